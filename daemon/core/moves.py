"""How decisions are built. Gates and phases say what; this says how it is written down.

Invariants kept here, whoever decides: `decision` grows exactly with a changed route; `since`
changes exactly with phase or step; every write carries our writer id, epoch and the last proof.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from config.schema import Rollout
from daemon.core.model import (
    Confirmed,
    Decision,
    Effect,
    Fresh,
    Held,
    Notice,
    Observation,
    Phase,
    Record,
    Request,
    ScaleToZero,
    Verify,
    Work,
)
from daemon.core.reasons import Reason
from daemon.core.record import MAX_HANDLED, MAX_REVISIONS, in_record_precision
from daemon.core.situation import (
    WITH_GUIDE_TO_CANARY,
    canary_of,
    confirmed_at,
    current,
    guide_kind,
    seen_request_ids,
    serving,
    split_by,
    stable_can_serve,
    told,
)

IDLE_LOOK = timedelta(minutes=10)
"""Watches wake an idle target; this is only a belt beside the braces."""
SOON = timedelta(seconds=1)
HELD_WRITTEN_AFTER = timedelta(seconds=10)
"""A hiccup that is over within this is not worth a write to the route."""


# ---------------------------------------------------------------- no write


def stay(
    rollout: Rollout, seen: Observation, reason: Reason, message: str, look: timedelta = SOON
) -> Decision:
    """Change nothing. A held state that is over is taken off the record."""
    record = current(seen)
    if record.held is not None:
        return write(rollout, seen, reason, message, record_only=True, held=None)
    return Decision(reason, message, max(look, SOON / 10), work=work_of(rollout, record, seen))


def hold(rollout: Rollout, seen: Observation, reason: Reason, message: str) -> Decision:
    """Wait without a verdict. Written to the record once it lasted; told with the write."""
    record = current(seen)
    notices = (Notice(reason, message, warning=True),)
    if record.held is not None and record.held.reason is reason:
        return Decision(reason, message, SOON, work=work_of(rollout, record, seen), notices=notices)
    begun = seen.holding.since if seen.holding and seen.holding.reason is reason else seen.now
    if seen.now - begun < HELD_WRITTEN_AFTER:
        return Decision(reason, message, SOON, work=work_of(rollout, record, seen))
    held = Held(reason, in_record_precision(begun))
    decision = write(rollout, seen, reason, message, record_only=True, held=held, keep_reason=True)
    return replace(decision, notices=notices)


def alarm(rollout: Rollout, seen: Observation, reason: Reason, message: str) -> Decision:
    """Hold, and tell at once instead of after a while."""
    decision = hold(rollout, seen, reason, message)
    return replace(decision, notices=(Notice(reason, message, warning=True),))


def blocked(reason: Reason, message: str) -> Decision:
    """Do nothing until a person has changed something."""
    notice = Notice(reason, message, warning=True)
    return Decision(reason, message, IDLE_LOOK, notices=(notice,), blocked=True)


# ---------------------------------------------------------------- writes


def write(
    rollout: Rollout,
    seen: Observation,
    reason: Reason,
    message: str,
    *,
    record_only: bool = False,
    keep_reason: bool = False,
    handled: tuple[str, ...] = (),
    **changes: Any,
) -> Decision:
    """Decide on a new record and, unless `record_only`, on the route that goes with it.

    `keep_reason` leaves the record's reason (it names the last step, not the wait); `handled` are
    the ids of requests that this write answers; `changes` are fields of the record.
    """
    record = current(seen)
    moved = changes.get("phase", record.phase) is not record.phase or (
        changes.get("step", record.step) != record.step
    )
    computed: dict[str, Any] = {
        "reason": record.reason if keep_reason else reason,
        "message": record.message if keep_reason else message,
        "writer": seen.writer.id,
        "epoch": epoch(seen, record),
        "since": in_record_precision(seen.now) if moved else record.since,
        "decision": record.decision if record_only else record.decision + 1,
        "confirmed": _confirmed(seen, record),
        "handled": _handled(seen, record, handled),
        "held": None,
    }
    after = replace(record, **(computed | changes))
    return Decision(
        reason,
        message,
        SOON,
        record=after,
        split=None if record_only else split_by(rollout, after),
        notices=(Notice(reason, message),),
        work=work_of(rollout, after, seen),
        verify=Verify.NOTHING if record_only else Verify.DEPLOYMENTS,
    )


def epoch(seen: Observation, record: Record) -> int:
    """Return the fence of a write: ours, or one more than the last writer's."""
    if record.writer == seen.writer.id:
        return record.epoch
    return max(seen.writer.lease_transitions or 0, record.epoch + 1)


def _confirmed(seen: Observation, record: Record) -> Confirmed | None:
    if confirmed_at(seen) is None:
        return record.confirmed
    return Confirmed(record.decision, record.weight)


def _handled(seen: Observation, record: Record, new: tuple[str, ...]) -> tuple[str, ...]:
    """Remember answered ids. A bare verb counts again once the annotation held another value."""
    there = set(seen_request_ids(seen))
    kept = [it for it in record.handled if not it.startswith("text-") or it in there]
    return tuple(dict.fromkeys([*kept, *new]))[-MAX_HANDLED:]


def remember(seen: Observation, revisions: tuple[str, ...], new: str | None) -> tuple[str, ...]:
    """Add a revision to a list; past the bound the oldest that no Deployment has any more goes."""
    if not new or new in revisions:
        return revisions
    kept = [*revisions, new]
    there = {it.revision for it in seen.versions}
    while len(kept) > MAX_REVISIONS:
        gone = next((it for it in kept if it not in there), kept[0])
        kept.remove(gone)
    return tuple(kept)


# ---------------------------------------------------------------- the way back


def roll_back(
    rollout: Rollout,
    seen: Observation,
    reason: Reason,
    message: str,
    *,
    reject: bool,
    known: bool = False,
    request: Request | None = None,
) -> Decision:
    """Pin everything to stable, whatever the route's action is now: traffic first.

    Without a ready pod of stable this would make an outage worse, so it is held instead, unless
    nobody is on the canary, it has no ready pod either, the person says so, or the Deployments
    cannot be read at all.
    """
    record = current(seen)
    if seen.route is not None and (problem := _unpinnable(seen)):
        return alarm(rollout, seen, Reason.ROUTE_REFUSED, f"{message}; {problem}")
    forced = request is not None and "readiness" in request.skip
    unknown = seen.fresh is Fresh.UNREADABLE
    harmless = record.weight == 0 or serving(seen, record.canary) == 0
    if not (forced or unknown or harmless or stable_can_serve(seen)):
        return _no_way_back(rollout, seen, message, request)
    replaced = f"; before: {told(seen.route.owned)}" if seen.route else ""
    rejected = remember(seen, record.rejected, record.revision) if reject else record.rejected
    decision = write(
        rollout,
        seen,
        reason,
        message + replaced,
        phase=Phase.ROLLING_BACK,
        step=0,
        weight=0,
        paused=None,
        promote=None,
        rejected=rejected,
        known=remember(seen, record.known, record.revision) if known else record.known,
        handled=(request.id,) if request else (),
    )
    notice = Notice(reason, decision.message, warning=True)
    return replace(decision, verify=Verify.EVERYTHING, notices=(notice,))


def _unpinnable(seen: Observation) -> str | None:
    owned = seen.route.owned if seen.route else None
    identifiable = getattr(owned, "identifiable", True)
    return None if identifiable else f"the owned route cannot be told: {getattr(owned, 'why', '')}"


def _no_way_back(
    rollout: Rollout, seen: Observation, message: str, request: Request | None
) -> Decision:
    record = current(seen)
    text = (
        f"{message}; but {record.stable} has no ready pod to go back to: scale it up, "
        'or abort with skip "readiness"'
    )
    if request is None:
        decision = alarm(rollout, seen, Reason.NO_WAY_BACK, text)
        return replace(decision, verify=Verify.EVERYTHING)
    decision = write(
        rollout, seen, Reason.NO_WAY_BACK, text, record_only=True, handled=(request.id,)
    )
    notice = Notice(Reason.REQUEST_IGNORED, f"abort refused: {text}", warning=True)
    return replace(decision, verify=Verify.EVERYTHING, notices=(notice,))


# ---------------------------------------------------------------- the work beside


def work_of(rollout: Rollout, record: Record, seen: Observation) -> Work | None:
    """Return what shall run beside reconcile while this record stands."""
    kind = guide_kind(rollout, record)
    same = isinstance(seen.record, Record) and (
        (seen.record.id, seen.record.decision) == (record.id, record.decision)
    )
    proved = same and confirmed_at(seen) is not None
    prove = kind is not None and not proved
    read = record.phase in (Phase.SHIFTING, Phase.BAKING)
    smoke = record.phase is Phase.SMOKE and not (
        same and seen.findings.smoke and seen.findings.smoke.decision == record.decision
    )
    if not (prove or smoke or read):
        return None
    return Work(
        rollout=record.id,
        decision=record.decision,
        revision=record.revision or record.stable_revision,
        weight=record.weight,
        stable=record.stable,
        stable_revision=record.stable_revision,
        canary=record.canary if record.phase in WITH_GUIDE_TO_CANARY else None,
        step=record.step,
        phase=record.phase,
        guide=kind,
        prove=prove,
        smoke=smoke,
        read=read,
    )


def take_pods_away(seen: Observation) -> tuple[Effect, ...]:
    """Scale the canary to zero: the way out where a rollback is written and not live."""
    canary = canary_of(seen)
    if canary is None:
        return ()
    return (ScaleToZero(canary.deployment, canary.uid, canary.resource_version),)


def ignored(rollout: Rollout, seen: Observation, request: Request, why: str) -> Decision:
    """Answer a request that does not apply: remember it, and tell why."""
    message = f"{request.verb} ignored: {why}"
    decision = write(
        rollout,
        seen,
        Reason.REQUEST_IGNORED,
        message,
        record_only=True,
        keep_reason=True,
        handled=(request.id,),
        held=current(seen).held,
    )
    return replace(decision, notices=(Notice(Reason.REQUEST_IGNORED, message, warning=True),))
