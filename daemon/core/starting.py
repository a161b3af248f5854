"""How a rollout begins: which version is next, what forbids to start, and the first record of it.

Invariant: nothing starts that could not be carried through (a refused route, no room to remember
what was retired), and the route is not touched. Must not be put here: what happens afterwards.
"""

from dataclasses import replace

from config.schema import Rollout
from daemon.core.adoption import replaced_in_place
from daemon.core.model import Decision, Observation, Phase, Verify, Version
from daemon.core.moves import IDLE_LOOK, alarm, blocked, remember, route_doubts, stay, write
from daemon.core.reasons import Reason
from daemon.core.record import MAX_REVISIONS, in_record_precision
from daemon.core.situation import (
    candidates,
    current,
    doubled,
    of_version,
    refusals,
    seen_request_ids,
    serving,
)

ROOM = 2
"""Revisions that a release adds at most: the one it replaces, and its own if it is superseded."""


def wait_for_version(rollout: Rollout, seen: Observation) -> Decision:
    """Start a rollout when a revision appears that is neither known nor rejected."""
    record = current(seen)
    if (followed := replaced_in_place(rollout, seen, record)) is not None:
        return followed
    if problem := doubled(seen.versions):
        return alarm(rollout, seen, Reason.TWO_DEPLOYMENTS, f"{problem}; remove one of them")
    new = candidates(seen)
    if not new:
        message = f"{record.stable} serves everybody"
        return stay(rollout, seen, Reason.WAITING_FOR_VERSION, message, IDLE_LOOK)
    message = f"{new[0].version} ({new[0].deployment}) appeared beside {record.stable}"
    return prepare(rollout, seen, new[0], Reason.NEW_VERSION, message)


def prepare(
    rollout: Rollout, seen: Observation, canary: Version, reason: Reason, message: str
) -> Decision:
    """Begin a rollout: a new id, and the route unchanged. Its policy is stored before."""
    record = current(seen)
    if refused := refusals(rollout, seen, record.stable):
        return blocked(Reason.ROUTE_REFUSED, "; ".join(refused))
    if full := _no_room(seen):
        return blocked(Reason.BLOCKED, full)
    superseded = record.revision if record.phase is Phase.PREPARING else None
    stable = of_version(seen, record.stable)
    decision = write(
        rollout,
        seen,
        reason,
        message,
        record_only=True,
        handled=tuple(seen_request_ids(seen)),
        id=seen.new_id,
        policy=seen.policy_hash,
        phase=Phase.PREPARING,
        since=in_record_precision(seen.now),
        canary=canary.version,
        revision=canary.revision,
        stable_revision=stable[0].revision if len(stable) == 1 else record.stable_revision,
        step=0,
        weight=0,
        base=serving(seen, record.stable),
        known=remember(seen, record.known, superseded),
        confirmed=None,
        smoke=None,
        promote=None,
        retire=None,
        restored=(),
        source=None,
        deployments=(*(it.deployment for it in stable), canary.deployment),
    )
    return replace(
        decision,
        verify=Verify.PREFLIGHT,
        save_policy_first=True,
        notices=(*decision.notices, *route_doubts(seen)),
    )


def _no_room(seen: Observation) -> str:
    """Say that the record cannot remember one more revision; empty if it can.

    A revision of a Deployment that is still there must not be forgotten: it would start again.
    """
    record = current(seen)
    there = {it.revision for it in seen.versions}
    for revisions in (record.known, record.rejected):
        if sum(it in there for it in revisions) > MAX_REVISIONS - ROOM:
            return (
                f"{MAX_REVISIONS - ROOM} Deployments of earlier versions are all the record can "
                "remember: delete old ones"
            )
    return ""
