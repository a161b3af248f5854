"""How decisions are built. Gates and phases say what; this says how it is written down.

Invariants kept here, whoever decides: `decision` grows exactly with a changed route; `since`
changes exactly with phase or step; `reason` and `message` name the last such change, so a write of
the record alone leaves them; every write carries our writer id, epoch and the last proof.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
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
    Unclear,
    Verify,
    Work,
)
from daemon.core.reasons import Reason
from daemon.core.record import MAX_HANDLED, MAX_REVISIONS, in_record_precision
from daemon.core.situation import (
    ACTIVE,
    WITH_GUIDE_TO_CANARY,
    canary_of,
    candidates,
    confirmed_at,
    current,
    guide_kind,
    seen_request_ids,
    serving,
    shares,
    source_of,
    split_by,
    stable_can_serve,
    told,
)
from daemon.core.weights import FULL

IDLE_LOOK = timedelta(minutes=10)
"""Watches wake an idle target; this is only a belt beside the braces."""
SOON = timedelta(seconds=1)
HELD_WRITTEN_AFTER = timedelta(seconds=10)
"""A hiccup that is over within this is not worth a write to the route."""
WANTING_DATA = frozenset({Reason.NO_DATA, Reason.PROVIDER_DOWN, Reason.TOO_FEW_REQUESTS})
"""Holds that follow one another in one outage: one patience serves them all."""
OURS = "crossfade"
"""Who paused, where no person did."""


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
    work = work_of(rollout, record, seen)
    if record.held is not None and record.held.reason is reason:
        return Decision(reason, message, SOON, work=work, notices=notices)
    begun = seen.holding.since if seen.holding and seen.holding.reason is reason else seen.now
    if seen.now - begun < HELD_WRITTEN_AFTER:
        return Decision(reason, message, SOON, work=work)
    if record.held is not None and is_one_wait(record.held.reason, reason):
        begun = record.held.since
    held = Held(reason, in_record_precision(begun))
    decision = write(rollout, seen, reason, message, record_only=True, held=held)
    return replace(decision, notices=notices)


def is_one_wait(before: Reason, now: Reason) -> bool:
    """Tell whether a hold goes on although its reason may have changed."""
    return before is now or {before, now} <= WANTING_DATA


def alarm(rollout: Rollout, seen: Observation, reason: Reason, message: str) -> Decision:
    """Hold, and tell at once instead of after a while."""
    decision = hold(rollout, seen, reason, message)
    return replace(decision, notices=(Notice(reason, message, warning=True),))


def blocked(reason: Reason, message: str) -> Decision:
    """Do nothing until a person has changed something."""
    notice = Notice(reason, message, warning=True)
    return Decision(reason, message, IDLE_LOOK, notices=(notice,), blocked=True)


def route_doubts(seen: Observation) -> tuple[Notice, ...]:
    """Tell what preflight warns of and does not refuse."""
    warnings = seen.route.warnings if seen.route else ()
    return (Notice(Reason.ROUTE_WARNING, "; ".join(warnings), warning=True),) if warnings else ()


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

    `keep_reason` leaves the record's reason and message where route or phase change; `handled` are
    the ids of requests that this write answers; `changes` are fields of the record.
    """
    record = current(seen)
    after = replace(record, **changes)
    moved = (after.phase, after.step) != (record.phase, record.step)
    silent = keep_reason or (record_only and (after.id, after.phase) == (record.id, record.phase))
    computed: dict[str, Any] = {
        "reason": record.reason if silent else reason,
        "message": record.message if silent else message,
        "writer": seen.writer.id,
        "epoch": epoch(seen, record),
        "since": in_record_precision(seen.now) if moved else record.since,
        "decision": record.decision if record_only else record.decision + 1,
        "confirmed": _confirmed(seen, record),
        "ramp_since": _ramp_since(rollout, seen, after),
        "handled": remember_handled(seen, handled),
        "held": None,
    }
    known = _known_at_rest(rollout, seen, after)
    after = replace(record, **(computed | changes | {"known": known}))
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
    return max(seen.writer.lease_transitions or 0, record.epoch + 1, seen.writer.epoch or 0)


def _confirmed(seen: Observation, record: Record) -> Confirmed | None:
    if confirmed_at(seen) is None:
        return record.confirmed
    return Confirmed(record.decision, record.weight)


def _ramp_since(rollout: Rollout, seen: Observation, after: Record) -> datetime | None:
    """Return since when a ramp by budget runs: carried by the next write, as the last proof is."""
    record = current(seen)
    if rollout.ramp == "steps" or after.phase is not Phase.SHIFTING:
        return None
    proved = confirmed_at(seen) if record.weight else None
    return record.ramp_since or (None if proved is None else in_record_precision(proved))


def remember_handled(seen: Observation, new: tuple[str, ...]) -> tuple[str, ...]:
    """Remember answered ids; one that still stands on a Deployment is never the one to go.

    Forgetting it would obey it again. A bare verb goes with its annotation: it counts again once
    the annotation held another value.
    """
    there = set(seen_request_ids(seen))
    old = [it for it in current(seen).handled if not it.startswith("text-") or it in there]
    kept = list(dict.fromkeys([*old, *new]))
    while len(kept) > MAX_HANDLED:
        kept.remove(next((it for it in kept if it not in there), kept[0]))
    return tuple(kept)


def _known_at_rest(rollout: Rollout, seen: Observation, after: Record) -> tuple[str, ...]:
    """With `onNewVersion: ignore`, what came while the rollout ran starts nothing at its end."""
    ends = current(seen).phase in ACTIVE and after.phase not in ACTIVE
    known = after.known
    for it in candidates(seen) if ends and rollout.on_new_version == "ignore" else ():
        known = remember(seen, known, it.revision if it.version != current(seen).canary else None)
    return known


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


class Fate(StrEnum):
    """What becomes of a revision that goes back."""

    REJECTED = "rejected"
    """it failed: it starts again on a retry only"""
    KNOWN = "known"
    """it was replaced: it has had its turn"""
    FREE = "free"
    """it was not its fault: it may start again"""


def roll_back(
    rollout: Rollout,
    seen: Observation,
    reason: Reason,
    message: str,
    *,
    fate: Fate,
    request: Request | None = None,
) -> Decision:
    """Pin everything to stable, whatever the route's action is now: traffic first.

    Without a ready pod of stable this would make an outage worse, so it is held instead, unless
    nobody is elsewhere, the canary has no ready pod either, or it is a person's abort that says so
    or comes while the Deployments cannot be read at all.
    """
    assert seen.route is not None
    owned = seen.route.owned
    if isinstance(owned, Unclear) and not owned.identifiable:
        text = f"{message}; the owned route cannot be told: {owned.why}"
        return alarm(rollout, seen, Reason.ROUTE_REFUSED, text)
    if _would_cut_users_off(seen, request):
        return _no_way_back(rollout, seen, message, request)
    decision = write(
        rollout,
        seen,
        reason,
        f"{message}; before: {told(owned)}",
        phase=Phase.ROLLING_BACK,
        step=0,
        weight=0,
        paused=None,
        promote=None,
        handled=(request.id,) if request else (),
        **_remembered(seen, fate),
    )
    notice = Notice(reason, decision.message, warning=True)
    return replace(decision, verify=Verify.EVERYTHING, notices=(notice,))


def _would_cut_users_off(seen: Observation, request: Request | None) -> bool:
    record = current(seen)
    assert seen.route is not None
    blind = seen.fresh is Fresh.UNREADABLE
    forced = request is not None and (blind or "readiness" in request.skip)
    nobody_elsewhere = shares(seen.route.owned) == {record.stable: FULL}
    nothing_to_lose = serving(seen, record.canary) == 0
    return not (forced or nobody_elsewhere or nothing_to_lose or stable_can_serve(seen))


def _remembered(seen: Observation, fate: Fate) -> dict[str, Any]:
    record = current(seen)
    match fate:
        case Fate.REJECTED:
            return {"rejected": remember(seen, record.rejected, record.revision)}
        case Fate.KNOWN:
            return {"known": remember(seen, record.known, record.revision)}
        case _:
            return {}


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
        rollout,
        seen,
        Reason.NO_WAY_BACK,
        text,
        record_only=True,
        handled=(request.id,),
        held=record.held,
    )
    assert decision.record is not None
    refused = replace(decision.record, reason=Reason.NO_WAY_BACK, message=text)
    notice = Notice(Reason.REQUEST_IGNORED, f"abort refused: {text}", warning=True)
    return replace(decision, record=refused, verify=Verify.EVERYTHING, notices=(notice,))


# ---------------------------------------------------------------- the work beside


def work_of(rollout: Rollout, record: Record, seen: Observation) -> Work | None:
    """Return what shall run beside reconcile while this record stands.

    A ramp by budget counts its requests from the beginning on, whatever the step; and it reads in
    Smoke already how many there are, on which its first weight depends.
    """
    kind = guide_kind(rollout, record)
    same = isinstance(seen.record, Record) and (
        (seen.record.id, seen.record.decision) == (record.id, record.decision)
    )
    proved = same and confirmed_at(seen) is not None
    prove = kind is not None and not proved
    by_budget = rollout.ramp == "budget" and record.phase in (Phase.SMOKE, Phase.SHIFTING)
    source = source_of(rollout, record, seen)
    judged_by = source or not rollout.metrics.auto
    read = record.phase in (Phase.SHIFTING, Phase.BAKING) or bool(by_budget and judged_by)
    finding = seen.findings.smoke
    tested = same and finding is not None and finding.decision == record.decision
    smoke = record.phase is Phase.SMOKE and rollout.smoke is not None and not tested
    before_users = Phase.SMOKE if rollout.smoke else Phase.PREPARING
    choose = not judged_by and (read or record.phase is before_users)
    if not (prove or smoke or read or choose):
        return None
    return Work(
        rollout=record.id,
        decision=record.decision,
        revision=record.revision or record.stable_revision,
        weight=record.weight,
        stable=record.stable,
        stable_revision=record.stable_revision,
        canary=record.canary if choose or record.phase in WITH_GUIDE_TO_CANARY else None,
        step=0 if by_budget else record.step,
        phase=record.phase,
        guide=kind,
        prove=prove,
        smoke=smoke,
        read=read,
        choose=choose,
        source=source,
    )


def take_pods_away(seen: Observation) -> tuple[Effect, ...]:
    """Scale the canary to zero: the way out where a rollback is written and not live."""
    canary = canary_of(seen)
    if canary is None:
        return ()
    return (ScaleToZero(canary.deployment, canary.uid, canary.resource_version),)


def ignored(rollout: Rollout, seen: Observation, request_id: str, asked: str, why: str) -> Decision:
    """Answer a request that does not apply: remember it, and tell why. `asked`: its verb."""
    message = f"{asked} ignored: {why}"
    decision = write(
        rollout,
        seen,
        Reason.REQUEST_IGNORED,
        message,
        record_only=True,
        handled=(request_id,),
        held=current(seen).held,
    )
    return replace(decision, notices=(Notice(Reason.REQUEST_IGNORED, message, warning=True),))
