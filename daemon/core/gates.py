"""Gates: rules that hold whatever the phase. First match wins; the order is the safety argument.

    1  no record, or none we may touch      nothing is guessed
    2  another writer                       the fence: we stop
    3  takeover, together with an abort     our epoch before any decision of ours
    4  abort                                beats everything below, needs the API server alone
    5  the way back is finished             RollingBack and RolledBack look at nothing else
    6  canary gone, failing, changed        lowers exposure at once
    7  unconfirmed, drift                   stop raises, never a rollback
    8  requests, paused                     people
    then the phase.

A gate returns a Decision, or None to let the next one look. Tests pin this order.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from analysis.verdict import Verdict
from config.schema import Rollout
from daemon.core import people
from daemon.core.adoption import adopt
from daemon.core.model import (
    Confirmed,
    Damaged,
    Decision,
    Observation,
    Pause,
    Phase,
)
from daemon.core.moves import IDLE_LOOK, alarm, blocked, hold, remember, roll_back, stay, write
from daemon.core.phases import BY_PHASE, prepare
from daemon.core.reasons import Reason
from daemon.core.record import in_record_precision
from daemon.core.situation import (
    ACTIVE,
    canary_of,
    candidates,
    confirmed_at,
    current,
    drift,
    guide_kind,
    judged,
    of_version,
    pending_abort,
    proof_of,
    serving,
    shares,
    smoke_result,
)

Rule = Callable[[Rollout, Observation], Decision | None]

RESTORES_AN_HOUR = 3
"""Past this, somebody else writes the route on purpose; a person has to settle it."""


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
    return adopt(rollout, seen) if seen.record is None else None


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
    if record.phase not in ACTIVE or record.phase is Phase.ROLLING_BACK:
        return None
    by = f" by {request.by}" if request.by else ""
    why = f': "{request.reason}"' if request.reason else ""
    message = f"aborted{by}{why} at {record.weight} %"
    return roll_back(rollout, seen, Reason.ABORTED, message, reject=True, request=request)


def takeover_comes_first(rollout: Rollout, seen: Observation) -> Decision | None:
    """A record of another writer gets our epoch before anything else; route and number stay."""
    record = current(seen)
    if record.writer == seen.writer.id or record.phase not in ACTIVE:
        return None
    paused = record.paused
    if seen.policy_lost and paused is None:
        paused = Pause(Reason.POLICY_LOST, "crossfade", in_record_precision(seen.now))
    message = f"taken over from writer {record.writer}, epoch {record.epoch}"
    return write(
        rollout,
        seen,
        Reason.TAKEOVER,
        message,
        record_only=True,
        keep_reason=True,
        paused=paused,
        held=record.held,
    )


# ---------------------------------------------------------------- 5: the way back is finished


def way_back_is_finished(rollout: Rollout, seen: Observation) -> Decision | None:
    """RollingBack looks at nothing but its own proof."""
    record = current(seen)
    if record.phase is not Phase.ROLLING_BACK:
        return None
    return BY_PHASE[record.phase](rollout, seen)


# ---------------------------------------------------------------- 6: lower the exposure


def canary_must_be_there(rollout: Rollout, seen: Observation) -> Decision | None:
    """A canary without ready pods gets no traffic; a deleted one is not its fault."""
    record = current(seen)
    if record.phase not in ACTIVE or record.phase is Phase.PREPARING:
        return None
    gone = not any(it.replicas for it in of_version(seen, record.canary))
    if gone and serving(seen, record.canary) == 0:
        message = f"{record.canary} was deleted or scaled to zero at {record.weight} %"
        return _pods_lost(rollout, seen, Reason.CANARY_GONE, message, reject=False)
    if record.weight and serving(seen, record.canary) == 0:
        message = f"{record.canary} has no ready pod at {record.weight} %"
        return _pods_lost(rollout, seen, Reason.CANARY_NOT_READY, message, reject=True)
    if record.phase is Phase.SMOKE and serving(seen, record.canary) == 0:
        return _wait_for_pods_in_smoke(rollout, seen)
    return None


def _pods_lost(
    rollout: Rollout, seen: Observation, reason: Reason, message: str, *, reject: bool
) -> Decision:
    record = current(seen)
    final = record.phase in (Phase.FINALISING, Phase.RETIRING)
    if final and serving(seen, record.stable) == 0:
        text = f"{message}, and {record.stable} has none either"
        return alarm(rollout, seen, Reason.NO_WAY_BACK, text)
    return roll_back(rollout, seen, reason, message, reject=reject)


def _wait_for_pods_in_smoke(rollout: Rollout, seen: Observation) -> Decision:
    record = current(seen)
    message = f"{record.canary} has no ready pod for the smoke test"
    if seen.now - record.since >= ready_deadline(rollout, seen):
        return roll_back(rollout, seen, Reason.CANARY_NOT_READY, message, reject=True)
    return hold(rollout, seen, Reason.WAITING_FOR_PODS, message)


def ready_deadline(rollout: Rollout, seen: Observation) -> timedelta:
    """Return how long the canary may take to be ready: the policy's, else the Deployment's."""
    canary = canary_of(seen)
    seconds = canary.progress_deadline if canary else 600
    return rollout.ready_deadline or timedelta(seconds=seconds)


def failing_canary_goes_back(rollout: Rollout, seen: Observation) -> Decision | None:
    """A Fail counts for any decision of the same rollout and revision."""
    record = current(seen)
    smoke, finding = smoke_result(seen), judged(seen)
    if record.phase is Phase.SMOKE and smoke and not smoke.passed:
        return roll_back(rollout, seen, Reason.SMOKE_FAILED, smoke.message, reject=True)
    exposed = record.phase in (Phase.SHIFTING, Phase.BAKING)
    if exposed and finding and finding.judgement.verdict is Verdict.FAIL:
        message = f"{finding.judgement.message} at {record.weight} %"
        return roll_back(rollout, seen, Reason.ANALYSIS_FAILED, message, reject=True)
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
    if record.phase is Phase.PREPARING:
        return prepare(rollout, seen, canary, Reason.CANARY_CHANGED, message)
    if record.phase in (Phase.FINALISING, Phase.RETIRING):
        return write(
            rollout,
            seen,
            Reason.STABLE_CHANGED,
            f"{message} after its promotion; promoted as it is",
            record_only=True,
            keep_reason=True,
            revision=canary.revision,
        )
    return roll_back(rollout, seen, Reason.CANARY_CHANGED, message, reject=False, known=True)


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
    return roll_back(rollout, seen, Reason.SUPERSEDED, message, reject=False, known=True)


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
        keep_reason=True,
        stable_revision=stable[0].revision,
        known=remember(seen, record.known, record.stable_revision),
        held=record.held,
    )


# ---------------------------------------------------------------- 7: what stops a raise

UNCONFIRMED: Final = {
    Phase.IDLE: Reason.ADOPTION_UNCONFIRMED,
    Phase.SMOKE: Reason.SMOKE_UNCONFIRMED,
    Phase.SHIFTING: Reason.RAISE_UNCONFIRMED,
    Phase.BAKING: Reason.RAISE_UNCONFIRMED,
    Phase.FINALISING: Reason.FINALISING_UNCONFIRMED,
}


def unconfirmed_split_is_not_built_upon(rollout: Rollout, seen: Observation) -> Decision | None:
    """Written is not live. A raise is taken back once; everything else is held and alarmed."""
    record, proof = current(seen), proof_of(seen)
    if guide_kind(rollout, record) is None or proof is None or confirmed_at(seen) is not None:
        return None
    begun = max(record.since, proof.first_probe_at)
    if seen.now - begun < rollout.confirm_timeout:
        return None
    reason = UNCONFIRMED[record.phase]
    says = seen.route.gateway_says if seen.route else ""
    quote = f"; the gateway says: {says}" if says else ""
    message = f"decision {record.decision} is not live: {proof.detail}{quote}"
    if reason is Reason.RAISE_UNCONFIRMED and record.reason is not Reason.RAISE_UNCONFIRMED:
        return _take_back(rollout, seen, message)
    return alarm(rollout, seen, reason, message)


def _take_back(rollout: Rollout, seen: Observation, message: str) -> Decision:
    """Return once to the last proved weight, paused until a person resumes."""
    record = current(seen)
    if drift(rollout, seen) is not None:
        return alarm(rollout, seen, Reason.ROUTE_EDITED, message)
    proved = record.confirmed or Confirmed(record.decision, 0)
    decision = write(
        rollout,
        seen,
        Reason.RAISE_UNCONFIRMED,
        f"{message}; taken back to {proved.weight} % and paused",
        phase=Phase.SHIFTING,
        weight=min(proved.weight, record.weight),
        paused=Pause(Reason.RAISE_UNCONFIRMED, "crossfade", in_record_precision(seen.now)),
    )
    return replace(decision, notices=tuple(replace(it, warning=True) for it in decision.notices))


def edited_route_stops_raises(rollout: Rollout, seen: Observation) -> Decision | None:
    """A foreign edit is seen, told, and answered by policy; never silently overwritten."""
    record = current(seen)
    difference = drift(rollout, seen)
    if difference is None:
        return None
    if (asked := people.resume_request(seen)) is not None:
        return people.resume_after_drift(rollout, seen, asked, difference)
    if record.paused is not None and record.paused.reason == Reason.DRIFT_FIGHT:
        return hold(rollout, seen, Reason.DRIFT_FIGHT, difference)
    if rollout.on_drift == "restore" and _restorable(seen):
        return _restore(rollout, seen, difference)
    return alarm(rollout, seen, Reason.ROUTE_EDITED, f"{difference}; resume writes ours again")


def _restorable(seen: Observation) -> bool:
    """Only an owned route that can be told is ever written over."""
    assert seen.route is not None
    return shares(seen.route.owned) is not None or getattr(seen.route.owned, "identifiable", False)


def _restore(rollout: Rollout, seen: Observation, difference: str) -> Decision:
    record = current(seen)
    recent = tuple(it for it in record.restored if seen.now - it < timedelta(hours=1))
    if len(recent) >= RESTORES_AN_HOUR:
        return write(
            rollout,
            seen,
            Reason.DRIFT_FIGHT,
            f"{difference}; restored {len(recent)} times within an hour, paused",
            record_only=True,
            keep_reason=True,
            paused=Pause(Reason.DRIFT_FIGHT, "crossfade", in_record_precision(seen.now)),
        )
    return write(
        rollout,
        seen,
        Reason.ROUTE_EDITED,
        f"{difference}; restored",
        keep_reason=True,
        restored=(*recent, in_record_precision(seen.now)),
    )


# ---------------------------------------------------------------- 8: people


def paused_goes_nowhere(rollout: Rollout, seen: Observation) -> Decision | None:
    """No forward change of phase or weight, and no retiring; clocks and evidence run on."""
    record = current(seen)
    if record.paused is None:
        return None
    by = f" by {record.paused.by}" if record.paused.by else ""
    return stay(rollout, seen, Reason.PAUSED, f"paused{by}: {record.paused.reason}")


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
    paused_goes_nowhere,
)
