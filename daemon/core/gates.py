"""Gates: rules that hold whatever the phase. First match wins; the order is the safety argument.

    1  no record, or none we may touch      nothing is guessed
    2  another writer                       the fence: we stop
    3  takeover, together with an abort     our epoch before any decision of ours
    4  abort                                beats everything below, needs the API server alone
    5  the way back is finished             RollingBack and RolledBack look at nothing else
    6  canary gone, failing, changed        lowers exposure at once
    7  unconfirmed, drift                   stop raises, never a rollback (obstacles)
    8  requests, no way back, paused        people, and what only people can settle (people)
    9  two Deployments, unreadable          the world is not what a raise needs (obstacles)
    then the phase.

A gate returns a Decision, or None to let the next one look. Tests pin this order.
"""

from collections.abc import Callable
from typing import Final

from analysis.verdict import Verdict
from config.schema import Rollout
from daemon.core import people
from daemon.core.adoption import adopt
from daemon.core.lost import is_lost_in_mid_rollout, wait_for_a_person
from daemon.core.model import Damaged, Decision, Observation, Phase
from daemon.core.moves import IDLE_LOOK, Fate, alarm, blocked, hold, remember, roll_back, write
from daemon.core.obstacles import (
    edited_route_stops_raises,
    lost_policy_asks_a_person,
    one_deployment_has_each_version,
    paused_goes_nowhere,
    stable_must_be_able_to_take_it_back,
    unconfirmed_split_is_not_built_upon,
    unreadable_deployments_stop_everything,
)
from daemon.core.phases import leave, ready_deadline, rolling_back
from daemon.core.reasons import Reason
from daemon.core.situation import (
    ACTIVE,
    canary_of,
    candidates,
    current,
    drift,
    of_version,
    pending_abort,
    serving,
    since,
    smoke_result,
    stable_can_serve,
)
from daemon.core.skipped import deciding
from daemon.core.starting import prepare

Rule = Callable[[Rollout, Observation], Decision | None]


# ---------------------------------------------------------------- 1, 2: may we act at all


def route_must_be_there(_: Rollout, seen: Observation) -> Decision | None:
    """Without its route a target is told about and waits."""
    if seen.route is not None:
        return None
    return blocked(Reason.ROUTE_GONE, "the route object does not exist; nothing can be shifted")


def damaged_record_is_left_alone(_: Rollout, seen: Observation) -> Decision | None:
    """A record that cannot be read is never repaired or overwritten."""
    if not isinstance(seen.record, Damaged):
        return None
    return blocked(
        Reason.RECORD_DAMAGED,
        f"the record on the route {seen.record.why}; mend or remove the annotation",
    )


def route_without_record_is_adopted(rollout: Rollout, seen: Observation) -> Decision | None:
    """The first look at a route; or its record was stripped."""
    if seen.record is not None:
        return None
    lost = is_lost_in_mid_rollout(seen)
    return wait_for_a_person(rollout, seen) if lost else adopt(rollout, seen)


def another_writer_owns_it(_: Rollout, seen: Observation) -> Decision | None:
    """Once somebody wrote after us with our epoch or a later one, we stop acting on this record."""
    record, mine = current(seen), seen.writer
    if record.writer == mine.id or mine.epoch is None or record.epoch < mine.epoch:
        return None
    return Decision(
        Reason.LOST_LEADERSHIP,
        f"writer {record.writer} took over with epoch {record.epoch} (ours: {mine.epoch})",
        IDLE_LOOK,
        blocked=True,
    )


# ---------------------------------------------------------------- 3, 4: takeover and abort


def abort_beats_everything(rollout: Rollout, seen: Observation) -> Decision | None:
    """Back to stable from any phase before Idle; a takeover that is due goes in the same patch."""
    record = current(seen)
    request = pending_abort(seen)
    if request is None:
        return None
    if record.phase not in ACTIVE:
        return None
    if record.phase is Phase.ROLLING_BACK and drift(rollout, seen) is None:
        return None  # It is on its way; only a foreign edit makes it worth another write.
    by = f" by {request.by}" if request.by else ""
    why = f': "{request.reason}"' if request.reason else ""
    message = f"aborted{by}{why} at {record.weight} %"
    return roll_back(rollout, seen, Reason.ABORTED, message, fate=Fate.REJECTED, request=request)


def takeover_comes_first(rollout: Rollout, seen: Observation) -> Decision | None:
    """A record of another writer gets our epoch before anything else; route and number stay."""
    record = current(seen)
    if record.writer == seen.writer.id or record.phase not in ACTIVE:
        return None
    message = f"taken over from writer {record.writer}, epoch {record.epoch}"
    return write(
        rollout,
        seen,
        Reason.TAKEOVER,
        message,
        record_only=True,
        held=record.held,
    )


# ---------------------------------------------------------------- 5: the way back is finished


def way_back_is_finished(rollout: Rollout, seen: Observation) -> Decision | None:
    """RollingBack looks at nothing but its own route and proof."""
    if current(seen).phase is not Phase.ROLLING_BACK:
        return None
    return edited_route_stops_raises(rollout, seen) or rolling_back(rollout, seen)


# ---------------------------------------------------------------- 6: lower the exposure


def canary_must_be_there(rollout: Rollout, seen: Observation) -> Decision | None:
    """A canary without ready pods gets no traffic; a deleted one is not its fault."""
    record = current(seen)
    if record.phase not in ACTIVE or record.phase is Phase.PREPARING:
        return None
    gone = not any(it.replicas for it in of_version(seen, record.canary))
    if gone and serving(seen, record.canary) == 0:
        message = f"{record.canary} was deleted or scaled to zero at {record.weight} %"
        return _pods_lost(rollout, seen, Reason.CANARY_GONE, message, fate=Fate.FREE)
    if record.weight and serving(seen, record.canary) == 0:
        message = f"{record.canary} has no ready pod at {record.weight} %"
        return _pods_lost(rollout, seen, Reason.CANARY_NOT_READY, message, fate=Fate.REJECTED)
    if record.phase is Phase.SMOKE and serving(seen, record.canary) == 0:
        return _wait_for_pods_in_smoke(rollout, seen)
    return None


def _pods_lost(
    rollout: Rollout, seen: Observation, reason: Reason, message: str, *, fate: Fate
) -> Decision:
    record = current(seen)
    final = record.phase in (Phase.FINALISING, Phase.RETIRING)
    if final and not stable_can_serve(seen):
        text = f"{message}, and {record.stable} has none either"
        return alarm(rollout, seen, Reason.NO_WAY_BACK, text)
    return roll_back(rollout, seen, reason, message, fate=fate)


def _wait_for_pods_in_smoke(rollout: Rollout, seen: Observation) -> Decision:
    record = current(seen)
    message = f"{record.canary} has no ready pod for the smoke test"
    if seen.now - since(seen) >= ready_deadline(rollout, canary_of(seen)):
        return roll_back(rollout, seen, Reason.CANARY_NOT_READY, message, fate=Fate.REJECTED)
    return hold(rollout, seen, Reason.WAITING_FOR_PODS, message)


def failing_canary_goes_back(rollout: Rollout, seen: Observation) -> Decision | None:
    """A Fail counts for any decision of the same rollout and revision, unless it is skipped."""
    record = current(seen)
    smoke, finding = smoke_result(seen), deciding(rollout, seen)
    if record.phase is Phase.SMOKE and smoke and not smoke.passed:
        return roll_back(rollout, seen, Reason.SMOKE_FAILED, smoke.message, fate=Fate.REJECTED)
    exposed = record.phase in (Phase.SHIFTING, Phase.BAKING)
    if exposed and finding and finding.judgement.verdict is Verdict.FAIL:
        why = finding.judgement.message
        return roll_back(rollout, seen, Reason.ANALYSIS_FAILED, why, fate=Fate.REJECTED)
    return None


def changed_canary_starts_again(rollout: Rollout, seen: Observation) -> Decision | None:
    """New pods never inherit a weight: another template goes back to 0 and is proved anew."""
    record = current(seen)
    canary = canary_of(seen)
    if record.phase not in ACTIVE or canary is None or not canary.revision:
        return None
    if canary.revision == record.revision:
        return None
    message = f"{record.canary} changed from {record.revision} to {canary.revision}"
    if record.phase is Phase.PREPARING and canary in candidates(seen):
        return prepare(rollout, seen, canary, Reason.CANARY_CHANGED, message)
    if record.phase is Phase.PREPARING:
        text = f"{message}, which was rejected or replaced before"
        return leave(rollout, seen, Reason.CANARY_CHANGED, text)
    if record.phase in (Phase.FINALISING, Phase.RETIRING):
        return write(
            rollout,
            seen,
            Reason.STABLE_CHANGED,
            f"{message} after its promotion; promoted as it is",
            record_only=True,
            revision=canary.revision,
        )
    return roll_back(rollout, seen, Reason.CANARY_CHANGED, message, fate=Fate.KNOWN)


def new_version_supersedes(rollout: Rollout, seen: Observation) -> Decision | None:
    """A third version restarts a rollout that is not yet at 100 %, unless policy queues it."""
    record = current(seen)
    early = record.phase in (Phase.PREPARING, Phase.SMOKE, Phase.SHIFTING)
    if not early or rollout.on_new_version != "restart":
        return None
    third = candidates(seen)[:1]
    if not third or third[0].version == record.canary:
        return None  # Older versions wait for their turn.
    message = f"{third[0].version} ({third[0].deployment}) appeared and supersedes {record.canary}"
    if record.phase is Phase.PREPARING:
        return prepare(rollout, seen, third[0], Reason.SUPERSEDED, message)
    return roll_back(rollout, seen, Reason.SUPERSEDED, message, fate=Fate.KNOWN)


def changed_stable_is_followed(rollout: Rollout, seen: Observation) -> Decision | None:
    """Stable's template changed in mid-rollout: noted, and the evidence starts anew."""
    record = current(seen)
    stable = of_version(seen, record.stable)
    early = record.phase in (Phase.PREPARING, Phase.SMOKE, Phase.SHIFTING, Phase.BAKING)
    if not early or len(stable) != 1 or not stable[0].revision:
        return None
    if stable[0].revision == record.stable_revision:
        return None
    return write(
        rollout,
        seen,
        Reason.STABLE_CHANGED,
        f"{record.stable} changed from {record.stable_revision} to {stable[0].revision}; "
        "evidence starts anew",
        record_only=True,
        stable_revision=stable[0].revision,
        known=remember(seen, record.known, record.stable_revision),
        held=record.held,
    )


GATES: Final[tuple[Rule, ...]] = (
    route_must_be_there,
    damaged_record_is_left_alone,
    route_without_record_is_adopted,
    another_writer_owns_it,
    abort_beats_everything,
    takeover_comes_first,
    way_back_is_finished,
    canary_must_be_there,
    failing_canary_goes_back,
    changed_canary_starts_again,
    new_version_supersedes,
    changed_stable_is_followed,
    unconfirmed_split_is_not_built_upon,
    edited_route_stops_raises,
    people.requests_are_answered,
    lost_policy_asks_a_person,
    stable_must_be_able_to_take_it_back,
    paused_goes_nowhere,
    one_deployment_has_each_version,
    unreadable_deployments_stop_everything,
)
