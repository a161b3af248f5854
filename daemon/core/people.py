"""Requests of people other than abort (which has a gate of its own, far above).

Of several waiting ones the newest id wins; what does not apply is answered with why, once.
"""

from collections.abc import Callable
from dataclasses import replace

from config.schema import Rollout
from daemon.core.model import (
    BadRequest,
    Decision,
    Notice,
    Observation,
    Pause,
    Phase,
    Promote,
    Record,
    Request,
    Verb,
    Version,
)
from daemon.core.moves import ignored, write
from daemon.core.phases import prepare
from daemon.core.reasons import Reason
from daemon.core.record import cut, in_record_precision
from daemon.core.situation import ACTIVE, current, pending

FORWARD = (Phase.PREPARING, Phase.SMOKE, Phase.SHIFTING)
"""Phases from which a promote still has something to skip."""


def requests_are_answered(rollout: Rollout, seen: Observation) -> Decision | None:
    """Answer the newest waiting request; an older one is overtaken."""
    record = current(seen)
    waiting = pending(seen)
    if not waiting:
        return _unreadable(rollout, seen)
    request = waiting[0]
    if request.rollout not in (None, record.id):
        return ignored(rollout, seen, request, f"it names rollout {request.rollout}")
    decision = ANSWERS[request.verb](rollout, seen, request)
    if decision.record is None:
        return decision
    ids = tuple(it.id for it in reversed(waiting))
    handled = tuple(dict.fromkeys([*decision.record.handled, *ids]))
    return replace(decision, record=replace(decision.record, handled=handled))


def _unreadable(rollout: Rollout, seen: Observation) -> Decision | None:
    handled = current(seen).handled
    for it in seen.requests:
        if isinstance(it, BadRequest) and it.id not in handled:
            return ignored(rollout, seen, Request(it.id, Verb.RESUME), it.why)
    return None


def _pause(rollout: Rollout, seen: Observation, request: Request) -> Decision:
    record = current(seen)
    if record.phase is Phase.ROLLED_BACK:
        return ignored(rollout, seen, request, "the rollout is already rolled back")
    pause = Pause(cut(request.reason) or "asked for", request.by, in_record_precision(seen.now))
    return _record_only(rollout, seen, request, Reason.PAUSED, paused=pause)


def _resume(rollout: Rollout, seen: Observation, request: Request) -> Decision:
    if current(seen).paused is None:
        return ignored(rollout, seen, request, "nothing is paused")
    return _record_only(rollout, seen, request, Reason.RESUMED, paused=None)


def _promote(rollout: Rollout, seen: Observation, request: Request) -> Decision:
    record = current(seen)
    if record.phase not in FORWARD:
        return ignored(rollout, seen, request, f"there is nothing to skip in {record.phase}")
    promote = Promote(request.id, request.skip)
    return _record_only(rollout, seen, request, Reason.PROMOTED_BY_REQUEST, promote=promote)


def _retry(rollout: Rollout, seen: Observation, request: Request) -> Decision:
    record = current(seen)
    if record.phase in ACTIVE:
        return ignored(rollout, seen, request, f"a rollout is in {record.phase}")
    version = request.version or record.canary
    if version is None:
        return ignored(rollout, seen, request, "no version was rejected; name one (--version)")
    if version == record.stable:
        return ignored(rollout, seen, request, f"{version} is stable")
    found = [it for it in seen.versions if it.version == version and it.replicas and it.revision]
    if len(found) != 1:
        return ignored(rollout, seen, request, f"no single running Deployment has {version}")
    return _tried_again(rollout, seen, request, found[0])


def _tried_again(
    rollout: Rollout, seen: Observation, request: Request, version: Version
) -> Decision:
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
        handled=(*record.handled, request.id),
    )
    return replace(decision, record=cleared)


def _record_only(
    rollout: Rollout,
    seen: Observation,
    request: Request,
    reason: Reason,
    *,
    paused: Pause | str | None = "",
    promote: Promote | None = None,
) -> Decision:
    record = current(seen)
    by = f" by {request.by}" if request.by else ""
    why = f': "{request.reason}"' if request.reason else ""
    return write(
        rollout,
        seen,
        reason,
        f"{request.verb} requested{by}{why}",
        record_only=True,
        handled=(request.id,),
        paused=record.paused if isinstance(paused, str) else paused,
        promote=promote or record.promote,
    )


ANSWERS: dict[Verb, Callable[[Rollout, Observation, Request], Decision]] = {
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.PROMOTE: _promote,
    Verb.RETRY: _retry,
    Verb.ABORT: lambda rollout, seen, request: ignored(
        rollout, seen, request, f"there is nothing to abort in {current(seen).phase}"
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
        return _adopt_anew(rollout, seen, request, difference)
    decision = write(
        rollout,
        seen,
        Reason.RESUMED,
        f"{difference}; resumed with {record.weight} % as recorded",
        handled=(request.id,),
        paused=None,
    )
    notice = Notice(Reason.RESUMED, decision.message)
    return replace(decision, notices=(notice,))


def _adopt_anew(rollout: Rollout, seen: Observation, request: Request, difference: str) -> Decision:
    from daemon.core.adoption import adopt

    record = current(seen)
    copy = replace(record, handled=(*record.handled, request.id))
    decision = adopt(rollout, replace(seen, record=None, saved=copy))
    if not isinstance(decision.record, Record):
        return decision
    kept = replace(
        decision.record,
        decision=record.decision + 1,
        known=tuple(dict.fromkeys([*record.known, record.stable_revision])),
    )
    split = decision.split
    assert split is not None
    assert split.guide is not None
    guide = replace(split.guide, decision=kept.decision)
    return replace(
        decision,
        record=kept,
        split=replace(split, guide=guide),
        message=f"{difference}; {decision.message}",
    )
