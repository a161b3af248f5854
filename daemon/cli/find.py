"""Find rollouts with nothing but the Kubernetes API: the records on routes, and the evidence.

No policy file and no running daemon are needed. Whatever may not be listed everywhere is looked for
where it usually is; a right that is missing altogether is named.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from daemon.cli.evidence import LABELS, Evidence, evidence_of
from daemon.cli.options import Place
from daemon.core.model import Damaged, Phase, Record, TargetKey
from daemon.core.record import ANNOTATION_PREFIX, parse_record, record_annotation
from daemon.errors import ForbiddenError, NotFoundError
from daemon.kube.objects import CONFIGMAPS, ROUTETABLES, VIRTUALSERVICES
from daemon.ports import Cluster, Obj, Resource

ROUTE_KINDS: Final = (VIRTUALSERVICES, ROUTETABLES)
ENDED: Final = (Phase.IDLE, Phase.ROLLED_BACK)
MAX_PAGES: Final = 40
"""Pages of 500 objects; a cluster with more routes needs -n and --route-namespace."""


@dataclass(frozen=True, slots=True)
class Found:
    """One target that Crossfade has adopted.

    Attributes:
        resource, namespace, name: the object that carries the record.
        record: as on the route; None where only evidence is left of it (the record was lost).
        obj: the route object itself; None where it was not read.
    """

    key: TargetKey
    resource: Resource
    namespace: str
    name: str
    record: Record | Damaged | None
    evidence: Evidence | None = None
    obj: Obj | None = field(default=None, repr=False, compare=False)

    @property
    def known(self) -> Record | None:
        """The record, or its last copy where the record is lost."""
        if isinstance(self.record, Record):
            return self.record
        return self.evidence.saved if self.record is None and self.evidence else None


async def find_rollouts(cluster: Cluster, place: Place, namespace: str) -> tuple[Found, ...]:
    """Return all targets that can be seen, sorted.

    Raises:
        ForbiddenError: no kind of route may be listed anywhere.
        NotFoundError: the cluster serves no kind of route we know.
    """
    where = (*place.route_namespaces, namespace)
    found = [found async for route in _routes(cluster, where) for found in records_on(*route)]
    evidence = await _evidence(cluster, (place.daemon_namespace, namespace))
    whole = [_with_evidence(it, evidence) for it in found]
    there = {it.key for it in whole}
    lost = [
        _lost(copies[0])
        for key, copies in evidence.items()
        if key not in there and len(copies) == 1
    ]
    return tuple(sorted([*whole, *filter(None, lost)], key=lambda it: it.key))


def _lost(evidence: Evidence) -> Found | None:
    """Return a target that lost its record in mid-rollout; an ended one is simply adopted anew."""
    if evidence.saved is None or evidence.saved.phase in ENDED or evidence.route is None:
        return None
    return Found(evidence.key, *evidence.route, record=None, evidence=evidence)


async def read_again(cluster: Cluster, found: Found) -> Found:
    """Read one target's record and evidence anew, without listing anything.

    Raises:
        NotFoundError: the route object is gone.
    """
    obj = await cluster.get(found.resource, found.namespace, found.name)
    evidence = await _evidence_again(cluster, found)
    for again in records_on(found.resource, obj):
        if again.key == found.key:
            return _with_evidence(again, {found.key: [evidence]} if evidence else {})
    return replace(found, record=None, evidence=evidence, obj=obj)


async def _evidence_again(cluster: Cluster, found: Found) -> Evidence | None:
    before = found.evidence
    if before is None:
        return None
    try:
        return evidence_of(await cluster.get(CONFIGMAPS, before.namespace, before.name))
    except (NotFoundError, ForbiddenError):
        return None


def records_on(resource: Resource, obj: Obj) -> Iterable[Found]:
    """Return the records that a route object carries."""
    metadata = obj.get("metadata", {})
    for annotation, text in sorted((metadata.get("annotations") or {}).items()):
        if annotation.startswith(ANNOTATION_PREFIX) and isinstance(text, str):
            record = parse_record(text)
            key = _key_of(annotation, record)
            where = metadata["namespace"], metadata["name"]
            yield Found(key, resource, *where, record, obj=obj)


def _key_of(annotation: str, record: Record | Damaged) -> TargetKey:
    """Read namespace and target; a name that was shortened is completed from the record."""
    namespace, dot, target = annotation.removeprefix(ANNOTATION_PREFIX).partition(".")
    if isinstance(record, Record) and dot:
        whole = TargetKey(namespace, record.target)
        if record_annotation(whole) == annotation:
            return whole
    return TargetKey(namespace, target)


def _with_evidence(found: Found, evidence: dict[TargetKey, list[Evidence]]) -> Found:
    """Add the evidence of the same rollout; two ConfigMaps that claim it are believed neither."""
    if not isinstance(found.record, Record):
        return found
    same = [it for it in evidence.get(found.key, []) if it.belongs_to(found.record)]
    return replace(found, evidence=same[0]) if len(same) == 1 else found


# ---------------------------------------------------------------- listing


async def _routes(cluster: Cluster, where: Iterable[str]) -> AsyncIterator[tuple[Resource, Obj]]:
    refused: list[ForbiddenError] = []
    missing: list[NotFoundError] = []
    for resource in ROUTE_KINDS:
        try:
            for obj in await _list_where_allowed(cluster, resource, where):
                yield resource, obj
        except ForbiddenError as problem:
            refused.append(problem)
        except NotFoundError as problem:
            missing.append(problem)
    if len(refused) + len(missing) == len(ROUTE_KINDS):
        if refused:
            raise refused[0]
        raise NotFoundError(
            "the cluster serves neither VirtualService nor RouteTable of gateway.solo.io/v1; "
            "is this the right cluster (--context), and is Gloo installed?"
        )


async def _evidence(cluster: Cluster, where: Iterable[str]) -> dict[TargetKey, list[Evidence]]:
    try:
        found = await _list_where_allowed(cluster, CONFIGMAPS, where, LABELS)
    except ForbiddenError:
        return {}
    by_key: dict[TargetKey, list[Evidence]] = {}
    for config_map in found:
        if (evidence := evidence_of(config_map)) is not None:
            by_key.setdefault(evidence.key, []).append(evidence)
    return by_key


async def _list_where_allowed(
    cluster: Cluster, resource: Resource, where: Iterable[str], selector: str = ""
) -> list[Obj]:
    """List everywhere; if that is not allowed, in the namespaces given.

    Raises:
        ForbiddenError: allowed in none of them; names the right.
    """
    try:
        return await list_all(cluster, resource, None, selector)
    except ForbiddenError as problem:
        refused = problem
    found: list[Obj] = []
    allowed = False
    for namespace in dict.fromkeys(where):
        try:
            found += await list_all(cluster, resource, namespace, selector)
            allowed = True
        except ForbiddenError as problem:
            refused = problem
    if not allowed:
        raise refused
    return found


async def list_all(
    cluster: Cluster, resource: Resource, namespace: str | None, selector: str = ""
) -> list[Obj]:
    """Return all objects of a kind, at most MAX_PAGES pages of them."""
    items: list[Obj] = []
    token = ""
    for _ in range(MAX_PAGES):
        page = await cluster.list_page(resource, namespace, label_selector=selector, token=token)
        items += page.get("items") or []
        token = page.get("metadata", {}).get("continue") or ""
        if not token:
            break
    return items
