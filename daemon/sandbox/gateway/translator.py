"""From Gloo's objects to Envoy's resources and every object's verdict. Pure.

    VirtualServices + RouteTables -> virtual hosts (hosts.py, delegation.py)
      of these, the rejected ones are replaced by what they were in the last translation
    virtual hosts + Upstreams     -> Envoy's route configuration (render.py)
    Upstreams + endpoints + pods  -> clusters and load assignments (clusters.py)

Invariant: the only memory is the `Proxy` handed in and out; without it a rejected host is gone, as
after a restart of a real control plane. Must not be put here: files, processes, the API server.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from daemon.ports import Obj
from daemon.sandbox.gateway.clusters import Clusters, Gloo, make_clusters
from daemon.sandbox.gateway.delegation import Route
from daemon.sandbox.gateway.destinations import upstream_of
from daemon.sandbox.gateway.hosts import (
    DEFAULT_PROXY,
    VirtualHost,
    check_host_domains,
    gateway_of,
    virtual_hosts,
)
from daemon.sandbox.gateway.objects import Ref, Snapshot, spec
from daemon.sandbox.gateway.render import render_host
from daemon.sandbox.gateway.verdicts import (
    ACCEPTED,
    Reports,
    RouteReport,
    State,
    Verdict,
    verdict_of,
)

ROUTES_TYPE: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
ROUTES_NAME: Final = "listener-::-8080-routes"
"""As Gloo names it; in Envoy's statistics the colons become underscores."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """What the control plane keeps in memory, and nowhere else.

    Attributes:
        hosts: the virtual hosts of the last translation, rejected ones as they were before.
        verdict: the Proxy's own, shown as sub-status of every object on it.
    """

    hosts: tuple[VirtualHost, ...] = ()
    verdict: Verdict = ACCEPTED


NO_PROXY: Final = Proxy()


@dataclass(frozen=True, slots=True)
class Translation:
    """One translation's outcome. `verdicts` has every object that gets a status.

    Attributes:
        address: what the listener binds to; empty for every address. Whether it can is for Envoy
            to find out: no verdict speaks of it.
    """

    routes: Obj
    clusters: Mapping[str, Obj]
    assignments: Mapping[str, Obj]
    verdicts: Mapping[Ref, Verdict]
    proxy: Proxy
    address: str = ""


def empty() -> Translation:
    """What an Envoy is given before anything is known."""
    nothing: Mapping[str, Obj] = MappingProxyType({})
    return Translation(_routes([]), nothing, nothing, MappingProxyType({}), NO_PROXY)


def translate(
    snapshot: Snapshot,
    before: Proxy = NO_PROXY,
    *,
    gloo: Gloo = Gloo.V1_12,
    proxy: str = DEFAULT_PROXY,
    refuse: str = "",
) -> Translation:
    """Translate the world once.

    Args:
        snapshot: the world.
        before: what the last translation left in memory.
        gloo: whose port rule holds.
        proxy: name of the proxy the gateways refer to.
        refuse: a fault to imitate: every VirtualService is rejected with this reason.
    """
    reports = Reports()
    gateway = gateway_of(snapshot, proxy)
    made, gateway_is_fine = virtual_hosts(gateway, snapshot, reports, proxy)
    for host in made:
        if refuse:
            reports.error(host.source, refuse)
        _judge(host, snapshot, reports)
    check_host_domains(made, reports)
    hosts = _with_old(made, before.hosts, reports) if gateway_is_fine else before.hosts
    report = RouteReport()
    routes = _routes([render_host(host, snapshot, report) for host in hosts])
    found: Clusters = make_clusters(snapshot, _direct(hosts, snapshot), reports, gloo)
    _judge_groups(snapshot, reports)
    return Translation(
        routes=routes,
        clusters=found.clusters,
        assignments=found.assignments,
        verdicts={ref: reports.verdict(ref) for ref in snapshot.refs()},
        proxy=Proxy(hosts, _proxy_verdict(report, hosts, before)),
        address=gateway.address,
    )


def _routes(hosts: list[Obj]) -> Obj:
    return {"@type": ROUTES_TYPE, "name": ROUTES_NAME, "virtual_hosts": hosts}


def _judge(host: VirtualHost, snapshot: Snapshot, reports: Reports) -> None:
    """Carry what rendering warns of over to the VirtualService; its errors stay on the Proxy."""
    report = RouteReport()
    render_host(host, snapshot, report)
    for warning in report.warnings:
        reports.warn(host.source, warning)


def _with_old(
    made: Iterable[VirtualHost], old: Iterable[VirtualHost], reports: Reports
) -> tuple[VirtualHost, ...]:
    """The accepted hosts, and the rejected ones as they were; sorted by name."""
    kept = [h for h in made if not reports.rejected(h.source)]
    kept += [h for h in old if reports.rejected(h.source)]
    return tuple(sorted(kept, key=lambda h: h.name))


def _proxy_verdict(report: RouteReport, hosts: tuple[VirtualHost, ...], before: Proxy) -> Verdict:
    """The Proxy's verdict; a Warning outlives its cause until the Proxy itself changes.

    A real control plane does not look at the Proxy again when only an Upstream has changed.
    """
    fresh = verdict_of(report.errors, [] if report.errors else report.warnings)
    stale = before.verdict.state is State.WARNING and before.hosts == hosts
    return before.verdict if stale and fresh.state is State.ACCEPTED else fresh


def _judge_groups(snapshot: Snapshot, reports: Reports) -> None:
    for key, group in snapshot.upstream_groups.items():
        for number, weighted in enumerate(spec(group).get("destinations") or (), 1):
            ref = Ref("UpstreamGroup", *key)
            target = weighted.get("destination")
            if target is None:
                reports.error(ref, f"destination # {number}: destination is nil")
            elif "upstream" in target and upstream_of(target, key[0]) not in snapshot.upstreams:
                wanted = ".".join(upstream_of(target, key[0]))
                text = f"destination # {number}: upstream not found: list did not find upstream"
                reports.error(ref, f"{text} {wanted}")


def _direct(hosts: Iterable[VirtualHost], snapshot: Snapshot) -> Iterable[tuple[str, str]]:
    """Services that routes or groups name without an Upstream."""
    for host in hosts:
        for route in host.routes:
            yield from (upstream_of(d, route.namespace) for d in _targets(route) if "kube" in d)
    for key, group in snapshot.upstream_groups.items():
        for weighted in spec(group).get("destinations") or ():
            target = weighted.get("destination") or {}
            if "kube" in target:
                yield upstream_of(target, key[0])


def _targets(route: Route) -> Iterable[Obj]:
    action = route.action.get("routeAction") or {}
    if single := action.get("single"):
        yield single
    for weighted in (action.get("multi") or {}).get("destinations") or ():
        yield weighted.get("destination") or {}
