"""May a hold end? By evidence, by the timetable, or not yet, with the sentence why.

Invariant: only a fresh judgement of the very decision in force leads on; silence, an outage and too
few requests hold, and then ask a person. A Fail is no business of this page: it acts at any time.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from analysis.verdict import Ground, Verdict
from config.schema import Rollout
from daemon.core.model import Decision, Judged, Notice, Observation, Pause, Phase
from daemon.core.moves import OURS, Fate, hold, is_one_wait, roll_back, stay, write
from daemon.core.reasons import Reason
from daemon.core.record import in_record_precision
from daemon.core.situation import current
from daemon.core.skipped import deciding, in_words

LOOKS_BEFORE_STALE = 3
"""Intervals without a new judgement after which the last one is of yesterday."""
READING_TIME = timedelta(seconds=10)
"""A reading may take this long beside its interval."""

HELD_BY: dict[Ground, Reason] = {
    Ground.NO_DATA: Reason.NO_DATA,
    Ground.STALE: Reason.NO_DATA,
    Ground.PROVIDER_DOWN: Reason.PROVIDER_DOWN,
    Ground.TOO_FEW_REQUESTS: Reason.TOO_FEW_REQUESTS,
}
"""The reason in which a ground is told; every other one is told as Undecided, and holds as well."""


def grounds(rollout: Rollout, seen: Observation) -> tuple[Reason, str]:
    """Return what a judgement leads on by, in a reason and a sentence."""
    finding = deciding(rollout, seen)
    assert finding is not None
    skips = in_words(current(seen).promote)
    message = finding.judgement.message + (f"; {skips}" if skips else "")
    if finding.judgement.verdict is Verdict.PASS:
        return Reason.ANALYSIS_PASSED, message
    return Reason.UNDECIDED_BY_TIMETABLE, f"by timetable, undecided: {message}"


def may_go_on(rollout: Rollout, seen: Observation, ends: datetime) -> Decision | None:
    """Return why not yet: the hold, no data, too few requests, undecided; None means go on."""
    over = seen.now >= ends
    finding = fresh(rollout, seen)
    if finding is None:
        if over:
            return _wait_for_data(rollout, seen, Reason.NO_DATA, "no judgement of this step now")
        return _holding(rollout, seen, ends, "no judgement yet")
    judgement = finding.judgement
    held_by = HELD_BY.get(judgement.ground, Reason.UNDECIDED)
    if judgement.ground in (Ground.NO_DATA, Ground.STALE, Ground.PROVIDER_DOWN):
        return _wait_for_data(rollout, seen, held_by, judgement.message)
    if not over:
        return _holding(rollout, seen, ends, judgement.message)
    if judgement.verdict is Verdict.PASS:
        return None
    if judgement.ground is Ground.UNDECIDED:
        return _undecided(rollout, seen, judgement.message)
    return _wait_for_data(rollout, seen, held_by, judgement.message)


def fresh(rollout: Rollout, seen: Observation) -> Judged | None:
    """Return the judgement of the decision in force, unless its reader has fallen silent."""
    finding = deciding(rollout, seen)
    if finding is None or finding.decision != current(seen).decision:
        return None
    oldest = seen.now - LOOKS_BEFORE_STALE * rollout.analysis.interval - READING_TIME
    return finding if finding.at >= oldest else None


def _holding(rollout: Rollout, seen: Observation, ends: datetime, message: str) -> Decision:
    record = current(seen)
    left = ends - seen.now
    reason = Reason.BAKING if record.phase is Phase.BAKING else Reason.HOLDING
    until = f"for {max(left.total_seconds(), 0):.0f} s more"
    if reason is Reason.HOLDING and rollout.ramp == "budget":
        until = "until more is allowed"
    text = f"{record.weight} % {until}; {message}"
    return stay(rollout, seen, reason, text, min(left, rollout.analysis.interval))


def _undecided(rollout: Rollout, seen: Observation, message: str) -> Decision | None:
    if rollout.analysis.on_undecided == "hold":
        return hold(rollout, seen, Reason.UNDECIDED, message)
    if rollout.analysis.on_undecided == "rollback":
        text = f"undecided at the end of the hold: {message}"
        return roll_back(rollout, seen, Reason.UNDECIDED_ROLLED_BACK, text, fate=Fate.REJECTED)
    return None


def _wait_for_data(rollout: Rollout, seen: Observation, reason: Reason, message: str) -> Decision:
    """Hold; after onNoData.wait ask a person (or go back, if policy says so)."""
    held, rule = current(seen).held, rollout.analysis.on_no_data
    if held is None or not is_one_wait(held.reason, reason) or seen.now - held.since < rule.wait:
        return hold(rollout, seen, reason, message)
    text = f"{message}, for {(seen.now - held.since).total_seconds():.0f} s"
    if rule.then == "rollback":
        return roll_back(rollout, seen, Reason.NO_DATA_ROLLED_BACK, text, fate=Fate.REJECTED)
    decision = write(
        rollout,
        seen,
        Reason.PAUSED,
        f"paused: {text}",
        record_only=True,
        paused=Pause(reason, OURS, in_record_precision(seen.now)),
    )
    return replace(decision, notices=(Notice(Reason.PAUSED, decision.message, warning=True),))
