"""A route without a record, or one that a person has changed: adopt what it pins, or say why not.

Adoption pins everything to stable's subset *before* a new version exists, so that a new version's
pods take no traffic the moment they are ready. Whatever is ambiguous is refused with a reason.
A split that somebody left between two versions is `lost`'s business.
"""

from dataclasses import replace

from config.schema import Rollout
from daemon.core.model import (
    Decision,
    Fresh,
    Guide,
    GuideKind,
    Observation,
    Phase,
    Pinned,
    Record,
    Request,
    Split,
    Unclear,
    Verify,
    Version,
)
from daemon.core.moves import SOON, alarm, blocked, epoch, ignored, route_doubts, stay
from daemon.core.reasons import Reason
from daemon.core.record import MAX_HANDLED, in_record_precision
from daemon.core.situation import (
    ACTIVE,
    current,
    doubled,
    refusals,
    seen_request_ids,
    shares,
    told,
)


def adopt(rollout: Rollout, seen: Observation) -> Decision:
    """Take a route without a record: pin it to stable, and prove the pin by a witness."""
    assert seen.route is not None
    if seen.route.problems:
        return blocked(Reason.ROUTE_REFUSED, "; ".join(seen.route.problems))
    if isinstance(seen.route.owned, Unclear):
        return blocked(Reason.ROUTE_REFUSED, seen.route.owned.why)
    if len(shares(seen.route.owned) or ()) > 1:
        return blocked(
            Reason.ROUTE_REFUSED,
            f"the route is split by hand ({told(seen.route.owned)}); lead it to one version",
        )
    stable = stable_of(rollout, seen)
    if isinstance(stable, str):
        return blocked(Reason.STABLE_UNKNOWN, stable)
    if refused := refusals(rollout, seen, stable.version):
        return blocked(Reason.ROUTE_REFUSED, "; ".join(refused))
    if problem := doubled(seen.versions):
        return blocked(Reason.TWO_DEPLOYMENTS, f"{problem}; remove one of them")
    if young := [it.deployment for it in seen.versions if it.replicas and not it.revision]:
        message = f"the revision of {young[0]} is not known yet: it has no ReplicaSet so far"
        return replace(blocked(Reason.STABLE_UNKNOWN, message), next_look=SOON)
    if problem := _unready(seen, stable):
        return blocked(Reason.STABLE_UNKNOWN, problem)
    message = f"adopted with {stable.version} as stable; the route led to {told(seen.route.owned)}"
    decision = pin(first_record(seen, stable, lost=_was_lost(seen)), Reason.ADOPTED, message)
    return replace(decision, notices=(*decision.notices, *route_doubts(seen)))


def _unready(seen: Observation, stable: Version) -> str:
    if seen.fresh is Fresh.UNREADABLE:
        return f"the Deployment of {stable.version} cannot be read, so nothing is pinned to it"
    if not stable.serving:
        return f"{stable.version} has no ready pod; pinning the route to it would cut users off"
    return ""


def _was_lost(seen: Observation) -> bool:
    """Tell a stripped record by our own route, where no copy says what was known."""
    assert seen.route is not None
    return seen.saved is None and seen.route.guide is not None


def pin(record: Record, reason: Reason, message: str) -> Decision:
    """Write a record in Idle with the route pinned to its stable version, and a witness above."""
    record = replace(record, reason=reason, message=message)
    witness = Guide(GuideKind.WITNESS, record.id, record.decision)
    decision = blocked(reason, message)
    return replace(
        decision,
        blocked=False,
        record=record,
        split=Split(Pinned(record.stable), witness),
        verify=Verify.PREFLIGHT,
        notices=(replace(decision.notices[0], warning=False),),
    )


def first_record(seen: Observation, stable: Version, *, lost: bool) -> Record:
    """Return a record in Idle; what was known comes from the copy of the last one, if there is one.

    Without one, the versions older than stable are known; `lost`: every version that is there.
    """
    saved = seen.saved
    known = tuple(
        it.revision
        for it in seen.versions
        if it.revision and (lost or it.created <= stable.created)
    )
    return Record(
        id=seen.new_id,
        target=seen.key.name,
        policy=seen.policy_hash,
        stable=stable.version,
        stable_revision=stable.revision,
        phase=Phase.IDLE,
        since=in_record_precision(seen.now),
        reason=Reason.ADOPTED,
        decision=1,
        epoch=max(seen.writer.lease_transitions or 0, saved.epoch + 1 if saved else 1),
        writer=seen.writer.id,
        known=saved.known if saved else known,
        rejected=saved.rejected if saved else (),
        handled=tuple(dict.fromkeys([*(saved.handled if saved else ()), *seen_request_ids(seen)]))[
            -MAX_HANDLED:
        ],
        deployments=tuple(it.deployment for it in seen.versions),
    )


def stable_of(rollout: Rollout, seen: Observation) -> Version | str:
    """Find stable, or say why it cannot be told.

    The version that the route pins; on an open route the single one with ready pods; else the
    policy's; else, where a record was lost at rest, the one that its copy names.
    """
    assert seen.route is not None
    named = shares(seen.route.owned)
    ready = sorted({it.version for it in seen.versions if it.serving})
    at_rest = seen.saved is not None and seen.saved.phase not in ACTIVE
    if named is not None:
        (version,) = named
    elif len(ready) == 1:
        version = ready[0]
    elif rollout.stable is not None:
        version = rollout.stable
    elif seen.saved is not None and at_rest:
        version = seen.saved.stable
    else:
        both = " and ".join(ready) or "none"
        return f"the route names no version, and ready versions are: {both}; set `stable:`"
    found = [it for it in seen.versions if it.version == version and it.replicas]
    return found[0] if found else f"no running Deployment has version {version}"


def adopt_anew(rollout: Rollout, seen: Observation, request: Request, difference: str) -> Decision:
    """Answer a resume at rest: what somebody made the route pin is stable from now on."""
    record = current(seen)
    decision = adopt(rollout, replace(seen, record=None, saved=record))
    if decision.record is None or decision.split is None:
        return ignored(rollout, seen, request.id, request.verb, decision.message)
    kept = replace(
        decision.record,
        decision=record.decision + 1,
        epoch=epoch(seen, record),
        known=tuple(dict.fromkeys([*record.known, record.stable_revision])),
        message=f"{difference}; {decision.message}",
    )
    again = pin(kept, Reason.ADOPTED, kept.message)
    return replace(again, notices=(*again.notices, *route_doubts(seen)))


def replaced_in_place(rollout: Rollout, seen: Observation, record: Record) -> Decision | None:
    """Follow stable when its version label was changed on its only Deployment, once it is ready."""
    only = [it for it in seen.versions if it.replicas]
    if len(only) != 1 or any(it.version == record.stable for it in seen.versions):
        return None
    new = only[0]
    if new.revision in record.rejected:
        message = f"{record.stable} is gone, and {new.version} was rejected: deploy or retry"
        return alarm(rollout, seen, Reason.NO_WAY_BACK, message)
    if seen.fresh is Fresh.UNREADABLE or not (new.settled and new.revision and new.ready):
        message = f"{record.stable} became {new.version} in {new.deployment}, not ready yet"
        return stay(rollout, seen, Reason.WAITING_FOR_PODS, message)
    after = replace(
        record,
        id=seen.new_id,
        stable=new.version,
        stable_revision=new.revision,
        canary=None,
        revision=None,
        phase=Phase.IDLE,
        since=in_record_precision(seen.now),
        decision=record.decision + 1,
        epoch=epoch(seen, record),
        writer=seen.writer.id,
        held=None,
        retire=None,
        deployments=(new.deployment,),
    )
    message = f"{record.stable} became {new.version} in its only Deployment {new.deployment}"
    return pin(after, Reason.STABLE_REPLACED, message)
