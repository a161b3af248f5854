"""Requests of people other than abort (which has a gate of its own, far above).

Of several waiting ones the newest id wins; what does not apply is answered with why, once.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from config.schema import Rollout
from daemon.core import skipped
from daemon.core.adoption import adopt_anew
from daemon.core.model import (
    BadRequest,
    Decision,
    Notice,
    Observation,
    Pause,
    Phase,
    Request,
    Verb,
    Version,
)
from daemon.core.moves import alarm, ignored, remember_handled, write
from daemon.core.reasons import Reason
from daemon.core.record import cut, in_record_precision
from daemon.core.situation import ACTIVE, current, guide_kind, lacking, pending
from daemon.core.starting import prepare

FORWARD = (Phase.PREPARING, Phase.SMOKE, Phase.SHIFTING)
"""Phases from which a promote still has something to skip."""


def requests_are_answered(rollout: Rollout, seen: Observation) -> Decision | None:
    """Answer the newest waiting request; an older one is overtaken."""
    record = current(seen)
    waiting = pending(seen)
    if not waiting:
        return _unreadable(rollout, seen) or _forgotten(rollout, seen)
    request, overtaken = waiting[0], waiting[1:]
    if request.verb is Verb.RETRY and _pin_is_unproved(rollout, seen):
        return None  # It waits: a rollout begins without a witness on the route.
    if request.rollout not in (None, record.id):
        why = f"it names rollout {request.rollout}"
        decision = ignored(rollout, seen, request.id, request.verb, why)
    else:
        decision = ANSWERS[request.verb](rollout, seen, request)
    if decision.record is None:
        return decision
    ids = tuple(it.id for it in reversed(waiting))
    answered = replace(seen, record=decision.record)
    told = tuple(
        Notice(Reason.REQUEST_IGNORED, f"{it.verb} ignored: a newer {request.verb} came", True)
        for it in overtaken
    )
    return replace(
        decision,
        record=replace(decision.record, handled=remember_handled(answered, ids)),
        notices=(*decision.notices, *told),
    )


def _pin_is_unproved(rollout: Rollout, seen: Observation) -> bool:
    record = current(seen)
    return record.phase not in ACTIVE and guide_kind(rollout, record) is not None


def _unreadable(rollout: Rollout, seen: Observation) -> Decision | None:
    handled = current(seen).handled
    for it in seen.requests:
        if isinstance(it, BadRequest) and it.id not in handled:
            return ignored(rollout, seen, it.id, "a request is", it.why)
    return None


def _forgotten(rollout: Rollout, seen: Observation) -> Decision | None:
    """Note that an answered bare verb was taken off: put there again, it is a new request."""
    record = current(seen)
    if remember_handled(seen, ()) == record.handled:
        return None
    message = "an answered request was taken off"
    decision = write(rollout, seen, record.reason, message, record_only=True, held=record.held)
    return replace(decision, notices=())


def _pause(rollout: Rollout, seen: Observation, request: Request) -> Decision:
    record = current(seen)
    if record.phase is Phase.ROLLED_BACK:
        why = "the rollout is already rolled back"
        return ignored(rollout, seen, request.id, request.verb, why)
    pause = Pause(cut(request.reason) or "asked for", request.by, in_record_precision(seen.now))
    return _noted(rollout, seen, request, Reason.PAUSED, paused=pause)


def _resume(rollout: Rollout, seen: Observation, request: Request) -> Decision:
    record = current(seen)
    if record.paused is None:
        return ignored(rollout, seen, request.id, request.verb, "nothing is paused")
    if record.paused.reason == Reason.POLICY_LOST:
        # The rollout goes on under the policy that there is; from now on it is the recorded one.
        return _noted(rollout, seen, request, Reason.RESUMED, paused=None, policy=seen.policy_hash)
    return _noted(rollout, seen, request, Reason.RESUMED, paused=None)


def _promote(rollout: Rollout, seen: Observation, request: Request) -> Decision:
    record = current(seen)
    if record.phase is Phase.ROLLED_BACK:
        why = f"{record.canary} was rolled back: retry it first"
    elif record.phase not in FORWARD and not (record.phase is Phase.BAKING and request.skip):
        why = f"there is nothing to skip in {record.phase}"
    elif not (why := skipped.objection(rollout, seen, request.skip)):
        promote = skipped.promise_of(request)
        return _noted(rollout, seen, request, Reason.PROMOTED_BY_REQUEST, promote=promote)
    return ignored(rollout, seen, request.id, request.verb, why)


def _retry(rollout: Rollout, seen: Observation, request: Request) -> Decision:
    record = current(seen)
    version = request.version or record.canary
    running = [it for it in seen.versions if it.version == version and it.replicas and it.revision]
    if record.phase in ACTIVE:
        why = f"a rollout is in {record.phase}"
    elif version is None:
        why = "no version was rejected; name one (--version)"
    elif version == record.stable:
        why = f"{version} is stable"
    elif len(running) != 1:
        why = f"no single running Deployment has {version}"
    else:
        return _tried_again(rollout, seen, running[0])
    return ignored(rollout, seen, request.id, request.verb, why)


def _tried_again(rollout: Rollout, seen: Observation, version: Version) -> Decision:
    decision = prepare(
        rollout, seen, version, Reason.RETRIED, f"{version.version} is tried again on request"
    )
    if decision.record is None:
        return decision
    record = decision.record
    cleared = replace(
        record,
        rejected=tuple(it for it in record.rejected if it != version.revision),
        known=tuple(it for it in record.known if it != version.revision),
        paused=None,
    )
    return replace(decision, record=cleared)


def _noted(
    rollout: Rollout, seen: Observation, request: Request, reason: Reason, **changes: Any
) -> Decision:
    """Remember a request in the record; the route is as it was."""
    record = current(seen)
    by = f" by {request.by}" if request.by else ""
    why = f': "{request.reason}"' if request.reason else ""
    paused = changes.get("paused", record.paused)
    still = "; still paused, resume ends that" if paused and request.verb is Verb.PROMOTE else ""
    skips = ", ".join(request.skip)
    without = f" without {skips}" if skips and request.verb is Verb.PROMOTE else ""
    message = f"{request.verb}{without} requested{by}{why}{still}"
    return write(rollout, seen, reason, message, record_only=True, handled=(request.id,), **changes)


ANSWERS: dict[Verb, Callable[[Rollout, Observation, Request], Decision]] = {
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.PROMOTE: _promote,
    Verb.RETRY: _retry,
    Verb.ABORT: lambda rollout, seen, request: ignored(
        rollout,
        seen,
        request.id,
        request.verb,
        f"there is nothing to abort in {current(seen).phase}",
    ),
}


# ---------------------------------------------------------------- resume after a foreign edit


def resume_request(seen: Observation) -> Request | None:
    """Return a waiting resume, if it is the newest request."""
    waiting = pending(seen)
    return waiting[0] if waiting and waiting[0].verb is Verb.RESUME else None


def resume_after_drift(
    rollout: Rollout, seen: Observation, request: Request, difference: str
) -> Decision:
    """Write our split again with a fresh hold; in Idle and RolledBack adopt what the route pins."""
    record = current(seen)
    if record.phase not in ACTIVE:
        return adopt_anew(rollout, seen, request, difference)
    if record.weight and (lack := lacking(rollout, seen, record.weight)):
        return alarm(rollout, seen, Reason.WAITING_FOR_PODS, f"{difference}; {lack}")
    return write(
        rollout,
        seen,
        Reason.RESUMED,
        f"{difference}; resumed with {record.weight} % as recorded",
        keep_reason=True,
        handled=(request.id,),
        paused=None,
        policy=seen.policy_hash if seen.policy_lost else record.policy,
    )
