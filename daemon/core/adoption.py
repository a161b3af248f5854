"""A route without a record: adopt it, or say why not; and what to do where a record was lost.

Adoption pins everything to stable's subset *before* a new version exists, so that a new version's
pods take no traffic the moment they are ready. Whatever is ambiguous is refused with a reason.
"""

from dataclasses import replace

from config.schema import Rollout
from daemon.core.model import (
    Decision,
    Guide,
    GuideKind,
    Observation,
    Phase,
    Pinned,
    Record,
    Request,
    Split,
    Unclear,
    Verb,
    Verify,
    Version,
    Weighted,
)
from daemon.core.moves import blocked, epoch, roll_back, write
from daemon.core.reasons import Reason
from daemon.core.record import in_record_precision
from daemon.core.situation import doubled, pending, seen_request_ids, shares, told


def adopt(rollout: Rollout, seen: Observation) -> Decision:
    """Take a route without a record: pin it to stable, and prove the pin by a witness."""
    assert seen.route is not None
    if seen.route.problems:
        return blocked(Reason.ROUTE_REFUSED, "; ".join(seen.route.problems))
    if isinstance(seen.route.owned, Unclear):
        return blocked(Reason.ROUTE_REFUSED, seen.route.owned.why)
    if _in_between(seen):
        return _lost_in_mid_rollout(rollout, seen)
    stable = _stable(rollout, seen)
    if isinstance(stable, str):
        return blocked(Reason.STABLE_UNKNOWN, stable)
    if problem := doubled(seen.versions):
        return blocked(Reason.TWO_DEPLOYMENTS, f"{problem}; remove one of them")
    if not stable.serving:
        return blocked(
            Reason.STABLE_UNKNOWN,
            f"{stable.version} has no ready pod; pinning the route to it would cut users off",
        )
    return pin(_first_record(seen, stable), Reason.ADOPTED, _adopted(seen, stable))


def _adopted(seen: Observation, stable: Version) -> str:
    assert seen.route is not None
    return f"adopted with {stable.version} as stable; the route led to {told(seen.route.owned)}"


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
        verify=Verify.EVERYTHING,
        notices=(replace(decision.notices[0], warning=False),),
    )


def _first_record(seen: Observation, stable: Version) -> Record:
    saved = seen.saved
    known = tuple(
        it.revision
        for it in seen.versions
        if it.revision and (_record_was_lost(seen) or it.created <= stable.created)
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
        handled=tuple(dict.fromkeys([*(saved.handled if saved else ()), *seen_request_ids(seen)])),
        deployments=tuple(it.deployment for it in seen.versions),
    )


def _record_was_lost(seen: Observation) -> bool:
    """Tell a stripped record by our own route, where no copy says what was known."""
    assert seen.route is not None
    return seen.saved is None and seen.route.guide is not None


def _stable(rollout: Rollout, seen: Observation) -> Version | str:
    """Find stable: the single pinned version; on an open route the single one with ready pods."""
    assert seen.route is not None
    named = shares(seen.route.owned)
    if named is not None:
        (version,) = named
    elif len(ready := sorted({it.version for it in seen.versions if it.serving})) == 1:
        version = ready[0]
    elif rollout.stable is not None:
        version = rollout.stable
    else:
        both = " and ".join(ready) or "none"
        return f"the route names no version, and ready versions are: {both}; set `stable:`"
    found = [it for it in seen.versions if it.version == version and it.replicas]
    return found[0] if found else f"no running Deployment has version {version}"


# ---------------------------------------------------------------- a lost record


def _in_between(seen: Observation) -> bool:
    assert seen.route is not None
    return len(shares(seen.route.owned) or {}) > 1


def _lost_in_mid_rollout(rollout: Rollout, seen: Observation) -> Decision:
    """Leave weights between 0 and 100 untouched until a person aborts or resumes."""
    assert seen.route is not None
    assert isinstance(seen.route.owned, Weighted)
    asked = [it for it in pending(seen) if it.verb in (Verb.ABORT, Verb.RESUME)]
    aborts = [it for it in asked if it.verb is Verb.ABORT]
    stable = _stable_of_lost(rollout, seen)
    if not asked or stable is None:
        missing = "" if stable else "; name stable in the policy (`stable:`) first"
        return blocked(
            Reason.RECORD_LOST,
            f"the route is split ({told(seen.route.owned)}) and carries no record; "
            f"weights are left alone: abort, or resume to go on from here{missing}",
        )
    rebuilt = _rebuilt(rollout, seen, stable)
    if rebuilt is None:
        return blocked(Reason.RECORD_LOST, f"stable is {stable}, which the route does not name")
    return _go_on(rollout, replace(seen, record=rebuilt), (aborts or asked)[0])


def _stable_of_lost(rollout: Rollout, seen: Observation) -> str | None:
    return seen.saved.stable if seen.saved else rollout.stable


def _go_on(rollout: Rollout, seen: Observation, request: Request) -> Decision:
    if request.verb is Verb.ABORT:
        return roll_back(
            rollout, seen, Reason.ABORTED, "aborted, record lost", reject=True, request=request
        )
    decision = write(
        rollout,
        seen,
        Reason.RESUMED,
        "resumed at this weight with a new record and a fresh hold",
        handled=(request.id,),
    )
    return replace(decision, verify=Verify.EVERYTHING)


def _rebuilt(rollout: Rollout, seen: Observation, stable: str) -> Record | None:
    """Make a record of what the route shows: new id, this weight, evidence anew."""
    assert seen.route is not None
    split = shares(seen.route.owned) or {}
    others = [version for version in split if version != stable]
    if len(others) != 1 or stable not in split:
        return None
    canary, weight = others[0], split[others[0]]
    by_version = {it.version: it for it in seen.versions}
    if stable not in by_version or canary not in by_version:
        return None
    first = _first_record(seen, by_version[stable])
    revision = by_version[canary].revision
    reached = [i for i, step in enumerate(rollout.steps) if step.weight <= weight]
    return replace(
        first,
        phase=Phase.SHIFTING,
        canary=canary,
        revision=revision,
        step=reached[-1] if reached else 0,
        weight=weight,
        decision=0,
        base=by_version[stable].serving,
        known=tuple(it for it in first.known if it != revision),
        handled=tuple(seen.saved.handled) if seen.saved else (),
    )


def replaced_in_place(seen: Observation, record: Record) -> Decision | None:
    """Follow stable when its version label was changed on its only Deployment."""
    only = [it for it in seen.versions if it.replicas]
    if len(only) != 1 or any(it.version == record.stable for it in seen.versions):
        return None
    new = only[0]
    if not (new.settled and new.revision and new.ready):
        return None
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
