"""What the control plane reads, and names of things.

Invariant: objects are looked at, never changed; order is by (namespace, name) wherever Gloo lists.
Must not be put here: what any of it means for Envoy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple, Self

from daemon.ports import Obj, Resource

Objects = Mapping[tuple[str, str], Obj]
"""(namespace, name) -> object, as ListWatch keeps them."""

GATEWAY_KINDS: Final = {
    "virtual_services": Resource("gateway.solo.io", "v1", "virtualservices", "VirtualService"),
    "route_tables": Resource("gateway.solo.io", "v1", "routetables", "RouteTable"),
    "gateways": Resource("gateway.solo.io", "v1", "gateways", "Gateway"),
    "route_options": Resource("gateway.solo.io", "v1", "routeoptions", "RouteOption"),
    "virtual_host_options": Resource(
        "gateway.solo.io", "v1", "virtualhostoptions", "VirtualHostOption"
    ),
    "upstreams": Resource("gloo.solo.io", "v1", "upstreams", "Upstream"),
    "upstream_groups": Resource("gloo.solo.io", "v1", "upstreamgroups", "UpstreamGroup"),
}
"""Snapshot field -> kind whose objects get a status from us."""

CLUSTER_KINDS: Final = {
    "services": Resource("", "v1", "services", "Service"),
    "endpoint_slices": Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    "endpoints": Resource("", "v1", "endpoints", "Endpoints"),
    "pods": Resource("", "v1", "pods", "Pod"),
}


class Ref(NamedTuple):
    """One object of a kind."""

    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """`namespace.name`, as Gloo writes it."""
        return f"{self.namespace}.{self.name}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a translation depends on, at one moment."""

    virtual_services: Objects = field(default_factory=dict)
    route_tables: Objects = field(default_factory=dict)
    gateways: Objects = field(default_factory=dict)
    route_options: Objects = field(default_factory=dict)
    virtual_host_options: Objects = field(default_factory=dict)
    upstreams: Objects = field(default_factory=dict)
    upstream_groups: Objects = field(default_factory=dict)
    services: Objects = field(default_factory=dict)
    endpoint_slices: Objects = field(default_factory=dict)
    endpoints: Objects = field(default_factory=dict)
    pods: Objects = field(default_factory=dict)

    @classmethod
    def of(cls, objects: Iterable[Obj]) -> Self:
        """Sort objects by their `kind`; kinds the gateway does not read are left out."""
        names = {r.kind: name for name, r in (GATEWAY_KINDS | CLUSTER_KINDS).items()}
        found: dict[str, dict[tuple[str, str], Obj]] = {f.name: {} for f in fields(cls)}
        for item in objects:
            if name := names.get(item["kind"]):
                found[name][address(item)] = item
        return cls(**found)

    def refs(self) -> Iterable[Ref]:
        """Every object that gets a verdict."""
        for name, resource in GATEWAY_KINDS.items():
            for namespace, own in sorted(getattr(self, name)):
                yield Ref(resource.kind, namespace, own)


def address(item: Obj) -> tuple[str, str]:
    meta = item["metadata"]
    return meta.get("namespace", ""), meta["name"]


def labels(item: Obj) -> Mapping[str, str]:
    return item["metadata"].get("labels") or {}


def spec(item: Obj) -> Obj:
    return item.get("spec") or {}


def at(item: Any, *path: str) -> Any:
    """Follow keys through maps; None as soon as one is missing."""
    for key in path:
        if not isinstance(item, dict):
            return None
        item = item.get(key)
    return item
