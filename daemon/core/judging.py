"""Whether anything could judge the canary, where the policy names no source of metrics.

Invariant: no weight without a judge. The canary gets its first traffic only once a source was
proved to tell the versions apart; that one is written down with the weight and kept to the end.
Must not be put here: how it is proved (daemon.sources), and what it counts.
"""

from config.schema import Rollout
from daemon.core.model import Decision, Observation
from daemon.core.moves import alarm, hold
from daemon.core.reasons import Reason
from daemon.core.situation import current, source_found, source_of


def nothing_to_judge_by(rollout: Rollout, seen: Observation) -> Decision | None:
    """Wait for metrics that tell the versions apart; None where there are some."""
    record = current(seen)
    if not rollout.metrics.auto or source_of(rollout, record, seen):
        return None
    found = source_found(record, seen)
    if found is None:
        message = "which metrics tell the versions apart is not known yet"
        return hold(rollout, seen, Reason.METRICS_UNPROVED, message)
    return alarm(rollout, seen, Reason.METRICS_UNPROVED, found.why)


def newly_chosen(rollout: Rollout, seen: Observation) -> str:
    """Say what was chosen, in the message of the write that writes it down; else nothing."""
    record = current(seen)
    found = source_found(record, seen)
    fresh = rollout.metrics.auto and record.source is None and found is not None
    return f"; metrics: {found.why}" if fresh and found else ""
