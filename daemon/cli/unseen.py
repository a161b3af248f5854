"""New versions that the daemon has not taken up yet: the moment between `apply` and its first look.

The same rule as the daemon's (`daemon.core.situation.candidates`), from Deployments and their
ReplicaSets as the API has them. What may not be read is no new version: a watch then ends with what
the record says.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from daemon.cli.find import ENDED, Found, list_all
from daemon.core.model import Record
from daemon.errors import ForbiddenError
from daemon.kube.objects import (
    DEPLOYMENTS,
    REPLICASETS,
    DeploymentRecord,
    ReplicaSetRecord,
    label,
    trim_deployment,
    trim_replicaset,
)
from daemon.ports import Cluster

NOT_SETTLED: Final = ""
"""The revision of a Deployment whose controller has not seen its template yet."""


async def unseen(cluster: Cluster, found: Found) -> tuple[str, ...]:
    """Name the new versions of a target at rest that no rollout has begun with: `v2 (echo-v2)`."""
    record, evidence = found.record, found.evidence
    if not isinstance(record, Record) or record.phase not in ENDED or evidence is None:
        return ()
    selector = evidence.policy.get("selector")
    if not isinstance(selector, dict) or not selector:
        return ()
    try:
        deployments = await list_all(cluster, DEPLOYMENTS, found.key.namespace)
        new = list(
            _beside(record, map(trim_deployment, deployments), selector, evidence.version_label)
        )
        sets = await list_all(cluster, REPLICASETS, found.key.namespace) if new else []
    except ForbiddenError:
        return ()
    revisions = [trim_replicaset(it) for it in sets]
    old = {*record.known, *record.rejected, record.stable_revision}
    return tuple(
        f"{version} ({it.name})"
        for it, version in new
        if _revision(it, version, revisions) not in old
    )


def _beside(
    record: Record,
    deployments: Iterator[DeploymentRecord],
    selector: Mapping[str, Any],
    version_label: str,
) -> Iterator[tuple[DeploymentRecord, str]]:
    """Return the target's running Deployments of other versions than stable."""
    for it in deployments:
        version = label(it.template_labels, version_label)
        ours = all(label(it.template_labels, key) == value for key, value in selector.items())
        if ours and version and version != record.stable and it.replicas:
            yield it, version


def _revision(it: DeploymentRecord, version: str, sets: Sequence[ReplicaSetRecord]) -> str:
    if it.observed_generation < it.generation:
        return NOT_SETTLED
    for found in sets:
        if found.owner_uid == it.uid and found.revision == it.revision:
            return f"{version}/{found.template_hash}"
    return NOT_SETTLED
