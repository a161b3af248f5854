"""Where a route sends requests: one Upstream, a weighted list, a group.

Invariant: what Gloo passes on is passed on, right or wrong: whether Envoy takes it is Envoy's
decision (it refuses a total weight of 0, and with it every route of the listener).
Must not be put here: endpoints and clusters themselves (clusters.py).
"""

from collections.abc import Sequence
from typing import Any, Final

from daemon.ports import Obj
from daemon.sandbox.gateway.objects import Snapshot, at, spec
from daemon.sandbox.gateway.options import headers_of
from daemon.sandbox.gateway.verdicts import RouteReport

SUBSET_ON_PLAIN: Final = "route has a subset config, but the upstream does not"
SUBSET_UNKNOWN: Final = (
    "route has a subset config, but none of the subsets in the upstream match it"
)
NO_DESTINATIONS: Final = (
    "must specify at least one weighted destination for multi destination routes"
)
NO_TARGET: Final = (
    "must specify either 'singleDestination', 'multipleDestinations', 'upstreamGroup', "
    "'clusterHeader', or 'dynamicForwardProxy' for action"
)
NO_WEIGHT: Final = (
    "Incorrect configuration for Weighted Destination for route - Weighted Destinations "
    "require a total weight that is greater than or equal to 1"
)


class _NotFoundError(Exception):
    """A named thing is not there: a warning, never an error."""


def upstream_of(destination: Obj, namespace: str) -> tuple[str, str]:
    """(namespace, name) of the Upstream a destination means.

    Args:
        destination: `upstream`, `kube` or `consul`.
        namespace: of the object the route stands in: the default of an `upstream`.
    """
    if service := destination.get("kube"):
        ref = service.get("ref") or {}
        own = ref.get("namespace") or namespace
        return own, f"kube-svc:{own}-{ref.get('name', '')}-{service.get('port', 0)}"
    if consul := destination.get("consul"):
        return "gloo-system", f"consul-svc:{consul.get('serviceName', '')}"
    ref = destination.get("upstream") or {}
    return ref.get("namespace") or namespace, ref.get("name", "")


def cluster_name(upstream: tuple[str, str]) -> str:
    namespace, name = upstream
    return f"{name}_{namespace}" if namespace else name


def set_destination(
    action: Obj, namespace: str, snapshot: Snapshot, report: RouteReport, name: str
) -> Obj:
    """Render a `routeAction` as the part of an Envoy RouteAction that names the clusters.

    Findings go to `report`; what comes back may be incomplete or empty, as it would be in Gloo.
    """
    route: Obj = {}
    try:
        _expect_targets(action, namespace, snapshot)
    except _NotFoundError as missing:
        report.warn(str(missing))
    try:
        if problem := _fill(route, action, namespace, snapshot, report, name):
            report.error("ProcessingError", problem, name)
    except _NotFoundError as missing:
        report.warn(str(missing))
    return route


def _fill(  # noqa: PLR0917 -- one call site; a class would only rename the six
    route: Obj, action: Obj, namespace: str, snapshot: Snapshot, report: RouteReport, name: str
) -> str | None:
    if (single := action.get("single")) is not None:
        route["cluster"] = cluster_name(upstream_of(single, namespace))
        route.update(_subset_match(single))
        return _subset_problem(single, namespace, snapshot)
    if (multi := action.get("multi")) is not None:
        weighted = multi.get("destinations") or ()
        return _weigh(route, weighted, namespace, snapshot, report, name)
    if (ref := action.get("upstreamGroup")) is not None:
        route["cluster"] = ""
        destinations, own = _group(ref, snapshot)
        del route["cluster"]
        return _weigh(route, destinations, own, snapshot, report, name)
    if header := action.get("clusterHeader"):
        route["cluster_header"] = header
        return None
    if action.get("dynamicForwardProxy") is not None:
        route["cluster"] = "placeholder_gloo-system"
        return None
    return "unknown upstream destination type"


def _weigh(  # noqa: PLR0917 -- see _fill
    route: Obj,
    destinations: Sequence[Obj],
    namespace: str,
    snapshot: Snapshot,
    report: RouteReport,
    name: str,
) -> str | None:
    """Fill in the weighted clusters.

    Like Gloo it stops at the first destination with a bad subset: the ones below it are lost.
    """
    clusters: list[Obj] = []
    route["weighted_clusters"] = {"clusters": clusters}
    if not destinations:
        return NO_DESTINATIONS
    for weighted in destinations:
        target = weighted.get("destination") or {}
        cluster = {
            "name": cluster_name(upstream_of(target, namespace)),
            "weight": weighted.get("weight") or 0,
            **_subset_match(target),
        }
        headers, problem = headers_of(weighted.get("options") or {})
        cluster.update(headers)
        if problem:
            report.error("ProcessingError", problem, name)
        clusters.append(cluster)
        if problem := _subset_problem(target, namespace, snapshot):
            return problem
    if sum(c["weight"] for c in clusters) < 1:
        report.error("ProcessingError", NO_WEIGHT, name)
    return None


def _subset_match(destination: Obj) -> Obj:
    if (subset := destination.get("subset")) is None:
        return {}
    values = subset.get("values") or {}
    return {"metadata_match": {"filter_metadata": {"envoy.lb": dict(values)}}}


def _subset_problem(destination: Obj, namespace: str, snapshot: Snapshot) -> str | None:
    """Why the subset would not be selected; the request is served all the same, by any pod.

    Raises:
        _NotFoundError: no such Upstream, or one without subsets.
    """
    values = at(destination, "subset", "values")
    if not values:
        return None
    ref = upstream_of(destination, namespace)
    _expect_upstream(ref, snapshot)
    subsets = subset_spec(snapshot.upstreams.get(ref, {}))
    if subsets is None:
        raise _NotFoundError(SUBSET_ON_PLAIN)
    keys = set(values)
    if any(
        set(s.get("keys") or ()) == keys and len(s["keys"]) == len(keys)
        for s in subsets.get("selectors") or ()
    ):
        return None
    return SUBSET_UNKNOWN


def subset_spec(upstream: Obj) -> Any:
    """The Upstream's subsets, or None; only kube and consul Upstreams have them."""
    own = spec(upstream) if upstream else {}
    found = at(own, "kube", "subsetSpec")
    return at(own, "consul", "subsetSpec") if found is None else found


def _group(ref: Obj, snapshot: Snapshot) -> tuple[Sequence[Obj], str]:
    key = (ref.get("namespace", ""), ref.get("name", ""))
    group = snapshot.upstream_groups.get(key)
    if group is None:
        raise _NotFoundError(f"*v1.UpstreamGroup {{ {key[0]}.{key[1]} }} not found")
    return spec(group).get("destinations") or (), key[0]


def _expect_targets(action: Obj, namespace: str, snapshot: Snapshot) -> None:
    if (single := action.get("single")) is not None:
        _expect_upstream(upstream_of(single, namespace), snapshot)
        return
    if (multi := action.get("multi")) is not None:
        destinations: Sequence[Obj] = multi.get("destinations") or ()
    elif (ref := action.get("upstreamGroup")) is not None:
        destinations, namespace = _group(ref, snapshot)
    elif "clusterHeader" in action or "dynamicForwardProxy" in action:
        return
    else:
        raise _NotFoundError(NO_TARGET)
    for weighted in destinations:
        try:
            _expect_upstream(upstream_of(weighted.get("destination") or {}, namespace), snapshot)
        except _NotFoundError as missing:
            text = f"invalid destination in weighted destination list: {missing}"
            raise _NotFoundError(text) from None


def _expect_upstream(ref: tuple[str, str], snapshot: Snapshot) -> None:
    if ref not in snapshot.upstreams and not service_behind(ref, snapshot):
        raise _NotFoundError(f"*v1.Upstream {{ {ref[0]}.{ref[1]} }} not found")


def service_behind(ref: tuple[str, str], snapshot: Snapshot) -> tuple[Obj, int] | None:
    """The Service and port that a `kube` destination stands for, if both exist."""
    namespace, name = ref
    prefix = f"kube-svc:{namespace}-"
    if not name.startswith(prefix):
        return None
    service_name, _, port = name.removeprefix(prefix).rpartition("-")
    service = snapshot.services.get((namespace, service_name))
    if service is None or not port.isdigit():
        return None
    ports = [p.get("port") for p in spec(service).get("ports") or ()]
    return (service, int(port)) if int(port) in ports else None
