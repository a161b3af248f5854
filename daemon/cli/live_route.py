"""What the route object really says, where that is not what the record on it says.

Read by the daemon's own router, from the object that the record was read from. What nobody can tell
(no policy is kept, or it cannot be read) is no difference.
"""

from daemon.cli.evidence_case import policy_of
from daemon.cli.find import Found
from daemon.core.model import Owned, Record
from daemon.core.situation import owned_by, shares
from daemon.core.weights import rest_of
from daemon.routers.gloo import GlooRouter


def edited(found: Found) -> Owned | None:
    """Return what the owned route says now; None where that is the record's split."""
    if not isinstance(found.record, Record) or found.obj is None:
        return None
    rollout = policy_of(found)
    if rollout is None:
        return None
    owned = GlooRouter().read(rollout, found.obj, None).owned
    return None if shares(owned) == shares(owned_by(found.record)) else owned


def share_of(owned: Owned, record: Record) -> float | None:
    """Return the canary's percent, where these two versions share the route."""
    found = shares(owned)
    if found is None or not found.keys() <= {record.stable, record.canary}:
        return None
    return rest_of(found.get(record.stable, 0))
