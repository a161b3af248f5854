"""A route that is split between two versions and carries no record: what a person may do with it.

Nobody knows what the rollout had shown, so the weights are left alone until somebody aborts, or
resumes from here with everything to be proved anew.
"""

from dataclasses import replace

from config.schema import Rollout
from daemon.core.adoption import first_record
from daemon.core.model import (
    Decision,
    Fresh,
    Observation,
    Phase,
    Record,
    Request,
    Verb,
    Verify,
)
from daemon.core.moves import Fate, blocked, roll_back, write
from daemon.core.reasons import Reason
from daemon.core.situation import (
    canary_of,
    current,
    doubled,
    pending,
    shares,
    step_at,
    told,
)


def is_lost_in_mid_rollout(seen: Observation) -> bool:
    """Tell whether the route stands between two versions."""
    return seen.route is not None and len(shares(seen.route.owned) or ()) > 1


def wait_for_a_person(rollout: Rollout, seen: Observation) -> Decision:
    """Leave weights between 0 and 100 untouched until a person aborts or resumes."""
    assert seen.route is not None
    asked = [it for it in pending(seen) if it.verb in (Verb.ABORT, Verb.RESUME)]
    aborts = [it for it in asked if it.verb is Verb.ABORT]
    rebuilt = _rebuilt(rollout, seen)
    if isinstance(rebuilt, str) or not asked:
        missing = f"; {rebuilt}" if isinstance(rebuilt, str) else ""
        return blocked(
            Reason.RECORD_LOST,
            f"the route is split ({told(seen.route.owned)}) and carries no record; "
            f"weights are left alone: abort, or resume to go on from here{missing}",
        )
    return _go_on(rollout, replace(seen, record=rebuilt), (aborts or asked)[0])


def _go_on(rollout: Rollout, seen: Observation, request: Request) -> Decision:
    if request.verb is Verb.ABORT:
        decision = roll_back(
            rollout,
            seen,
            Reason.ABORTED,
            "aborted, record lost",
            fate=Fate.REJECTED,
            request=request,
        )
        # A refusal must not leave the rebuilt record behind: nobody resumed it.
        return decision if decision.split else blocked(decision.reason, decision.message)
    if seen.fresh is Fresh.UNREADABLE or canary_of(seen) is None:
        canary = current(seen).canary
        message = f"the Deployment of {canary} is not there to be resumed, or cannot be read; abort"
        return blocked(Reason.RECORD_LOST, message)
    message = "resumed at this weight with a new record and a fresh hold"
    decision = write(rollout, seen, Reason.RESUMED, message, handled=(request.id,))
    return replace(decision, verify=Verify.EVERYTHING)


def _rebuilt(rollout: Rollout, seen: Observation) -> Record | str:
    """Make a record of what the route shows: new id, this weight, evidence anew; or say why not."""
    assert seen.route is not None
    split = shares(seen.route.owned) or {}
    name = seen.saved.stable if seen.saved else rollout.stable
    if name is None:
        return "name stable in the policy (`stable:`) first"
    if name not in split:
        return f"stable is {name}, which the route does not name"
    if problem := doubled(seen.versions):
        return f"{problem}; remove one of them"
    (canary,) = (version for version in split if version != name)
    revisions = {it.version: it.revision for it in seen.versions if it.replicas}
    stable = next((it for it in seen.versions if it.version == name and it.replicas), None)
    if stable is None:
        return f"no running Deployment has version {name}"
    first = first_record(seen, stable, lost=seen.saved is None)
    revision = revisions.get(canary) or f"{canary}/unknown"
    return replace(
        first,
        phase=Phase.SHIFTING,
        canary=canary,
        revision=revision,
        step=max(step_at(rollout, split[canary]), 0),
        weight=split[canary],
        decision=0,
        base=stable.serving,
        known=tuple(it for it in first.known if it != revision),
        rejected=tuple(it for it in first.rejected if it != revision),
    )
