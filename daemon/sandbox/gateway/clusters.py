"""Upstreams as Envoy clusters, with the endpoints that belong to them.

Invariant: a cluster's endpoints are the ready ones of its Service at the port that the port rule
finds, filtered by `selector`, each with all labels of its pod (as strings) in the metadata
`envoy.lb`, where subsets and formatters read them. No port: no endpoints, and only a 503 tells.
Must not be put here: how the clusters reach Envoy.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from daemon.ports import Obj
from daemon.sandbox.gateway.destinations import cluster_name, service_behind, subset_spec
from daemon.sandbox.gateway.objects import Ref, Snapshot, at, labels, spec
from daemon.sandbox.gateway.selectors import has_labels
from daemon.sandbox.gateway.verdicts import Reports

CLUSTER_TYPE: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ASSIGNMENT_TYPE: Final = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
CONNECT_TIMEOUT: Final = "5s"
"""Gloo's default."""

LB_POLICIES: Final = {
    "roundRobin": "ROUND_ROBIN",
    "leastRequest": "LEAST_REQUEST",
    "random": "RANDOM",
    "ringHash": "RING_HASH",
    "maglev": "MAGLEV",
}
THRESHOLDS: Final = {
    "maxConnections": "max_connections",
    "maxPendingRequests": "max_pending_requests",
    "maxRequests": "max_requests",
    "maxRetries": "max_retries",
}


class Gloo(StrEnum):
    """Whose port rule holds."""

    V1_3 = "1.3"
    """A Service with one port is used whatever `servicePort` says."""
    V1_12 = "1.12"
    """`servicePort` must be one of the Service's ports."""


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One ready address behind a Service; `pod` is (namespace, name), or two empty strings."""

    address: str
    port: int
    pod: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Clusters:
    """Envoy clusters by name, and the load assignments of those that get theirs separately."""

    clusters: Mapping[str, Obj]
    assignments: Mapping[str, Obj]


def make_clusters(
    snapshot: Snapshot, direct: Iterable[tuple[str, str]], reports: Reports, gloo: Gloo
) -> Clusters:
    """Make a cluster for every Upstream that is not in error.

    Args:
        snapshot: the world.
        direct: Services that routes name directly (`kube` destinations), as Upstream refs.
        reports: gets the errors of Upstreams.
        gloo: whose port rule holds.
    """
    clusters: dict[str, Obj] = {}
    assignments: dict[str, Obj] = {}
    for key, upstream in sorted(snapshot.upstreams.items()):
        ref, name = Ref("Upstream", *key), cluster_name(key)
        if problem := _upstream_problem(ref, upstream, snapshot):
            reports.error(ref, problem)
            continue
        own = spec(upstream)
        clusters[name] = _cluster(name, own)
        if kube := own.get("kube"):
            assignments[name] = _assignment(name, _pods_of(kube, snapshot, gloo))
        else:
            _add_static(clusters[name], own["static"])
    for key in sorted(set(direct)):
        if key in snapshot.upstreams or (found := service_behind(key, snapshot)) is None:
            continue
        service, port = found
        meta, name = service["metadata"], cluster_name(key)
        kube = {
            "serviceName": meta["name"],
            "serviceNamespace": meta.get("namespace", ""),
            "servicePort": port,
        }
        clusters[name] = _cluster(name, {"kube": kube})
        assignments[name] = _assignment(name, _pods_of(kube, snapshot, gloo))
    return Clusters(clusters, assignments)


def _upstream_problem(ref: Ref, upstream: Obj, snapshot: Snapshot) -> str | None:
    own = spec(upstream)
    if kube := own.get("kube"):
        name, namespace = kube.get("serviceName", ""), kube.get("serviceNamespace", "")
        if (namespace, name) not in snapshot.services:
            return (
                f"Upstream {ref.key} references the service '{name}' "
                f"which does not exist in namespace '{namespace}'"
            )
        return None
    if (static := own.get("static")) is not None:
        hosts = static.get("hosts") or ()
        if not hosts:
            return f"cluster was configured improperly by one or more plugins: {ref.key}: no hosts"
        if any(not h.get("addr") for h in hosts):
            return "addr cannot be empty for host"
        if any(not h.get("port") for h in hosts):
            return "port cannot be empty for host"
        return None
    return f"cluster type of Upstream {ref.key} is not one of kube and static"


def _cluster(name: str, own: Obj) -> Obj:
    cluster: Obj = {
        "@type": CLUSTER_TYPE,
        "name": name,
        "type": "EDS",
        "connect_timeout": at(own, "connectionConfig", "connectTimeout") or CONNECT_TIMEOUT,
    }
    balancing = own.get("loadBalancerConfig") or {}
    cluster["lb_policy"] = next(
        (policy for key, policy in LB_POLICIES.items() if key in balancing), "ROUND_ROBIN"
    )
    if (panic := balancing.get("healthyPanicThreshold")) is not None:
        cluster["common_lb_config"] = {"healthy_panic_threshold": {"value": panic}}
    if breakers := own.get("circuitBreakers"):
        limits = {envoy: breakers[g] for g, envoy in THRESHOLDS.items() if g in breakers}
        cluster["circuit_breakers"] = {"thresholds": [limits]}
    if (subsets := subset_spec({"spec": own})) is not None:
        cluster["lb_subset_config"] = _subset_config(subsets)
    return cluster


def _subset_config(subsets: Any) -> Obj:
    config: Obj = {
        "fallback_policy": subsets.get("fallbackPolicy") or "ANY_ENDPOINT",
        "subset_selectors": [
            {
                "keys": list(s.get("keys") or ()),
                **({"single_host_per_subset": True} if s.get("singleHostPerSubset") else {}),
            }
            for s in subsets.get("selectors") or ()
        ],
    }
    if values := at(subsets, "defaultSubset", "values"):
        config["default_subset"] = dict(values)
    return config


def _add_static(cluster: Obj, static: Obj) -> None:
    hosts = static["hosts"]
    names = [h["addr"] for h in hosts if not _is_address(h["addr"])]
    cluster["type"] = "STRICT_DNS" if names else "STATIC"
    if names:
        cluster["dns_lookup_family"] = "V4_ONLY"
    endpoints = [_lb_endpoint(h["addr"], h["port"], {}) for h in hosts]
    cluster["load_assignment"] = {
        "cluster_name": cluster["name"],
        "endpoints": [{"lb_endpoints": endpoints}],
    }


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _assignment(name: str, pods: Iterable[tuple[Endpoint, Mapping[str, str]]]) -> Obj:
    endpoints = [_lb_endpoint(e.address, e.port, found) for e, found in pods]
    return {
        "@type": ASSIGNMENT_TYPE,
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": endpoints}] if endpoints else [],
    }


def _lb_endpoint(address: str, port: int, found: Mapping[str, str]) -> Obj:
    socket = {"address": address, "port_value": port}
    endpoint: Obj = {"endpoint": {"address": {"socket_address": socket}}}
    if found:
        own = {key: str(value) for key, value in found.items()}
        endpoint["metadata"] = {"filter_metadata": {"envoy.lb": own}}
    return endpoint


def _pods_of(
    kube: Obj, snapshot: Snapshot, gloo: Gloo
) -> Iterator[tuple[Endpoint, Mapping[str, str]]]:
    """Endpoints of an Upstream with their pods' labels; with a selector, only such pods'."""
    key = (kube.get("serviceNamespace", ""), kube.get("serviceName", ""))
    service = snapshot.services.get(key)
    port = service and _service_port(service, kube.get("servicePort") or 0, gloo)
    if not port:
        return
    selector = kube.get("selector") or {}
    for endpoint in sorted(set(_endpoints(key, port, snapshot))):
        pod = snapshot.pods.get(endpoint.pod)
        found = labels(pod) if pod else {}
        if selector and not has_labels(selector, found):
            continue
        yield endpoint, found


@dataclass(frozen=True, slots=True)
class _Port:
    """The Service's port that was found; `only` when it has no other."""

    name: str
    only: bool


def _service_port(service: Obj, wanted: int, gloo: Gloo) -> _Port | None:
    ports = spec(service).get("ports") or ()
    only = len(ports) == 1
    for port in ports:
        if port.get("port") == wanted or (only and gloo is Gloo.V1_3):
            return _Port(port.get("name") or "", only)
    return None


def _endpoints(key: tuple[str, str], port: _Port, snapshot: Snapshot) -> Iterator[Endpoint]:
    """Ready endpoints of a Service, from its slices, or from Endpoints where it has no slice."""
    namespace, name = key
    slices = [
        s
        for (space, _), s in snapshot.endpoint_slices.items()
        if space == namespace and labels(s).get("kubernetes.io/service-name") == name
    ]
    for piece in slices:
        ready = [
            (address, e.get("targetRef"))
            for e in piece.get("endpoints") or ()
            if at(e, "conditions", "ready") is not False
            for address in e.get("addresses") or ()
        ]
        yield from _at_port(ready, piece.get("ports") or (), port, namespace)
    if slices or key not in snapshot.endpoints:
        return
    for subset in snapshot.endpoints[key].get("subsets") or ():
        ready = [(a["ip"], a.get("targetRef")) for a in subset.get("addresses") or ()]
        yield from _at_port(ready, subset.get("ports") or (), port, namespace)


def _at_port(
    ready: Iterable[tuple[str, Obj | None]], ports: Iterable[Obj], wanted: _Port, namespace: str
) -> Iterator[Endpoint]:
    number = next(
        (p["port"] for p in ports if wanted.only or (p.get("name") or "") == wanted.name), None
    )
    if number is None:
        return
    for address, target in ready:
        pod = target or {}
        own = (pod.get("namespace") or namespace, pod["name"]) if pod.get("name") else ("", "")
        yield Endpoint(address, number, own)
