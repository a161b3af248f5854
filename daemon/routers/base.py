"""What every router can do. Routers read and plan; they decide nothing and send nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from config.schema import Rollout
from daemon.core.model import RouteSeen, Split
from daemon.ports import Obj, Resource


@dataclass(frozen=True, slots=True)
class RouteObject:
    """Address of the object that carries the weights."""

    resource: Resource
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """Where a request must go to meet the owned route.

    Attributes:
        url: scheme, host and port of the gateway, e.g. http://gateway-proxy.gloo-system:80.
        host: value for the Host header (the route's domain).
        path: a path that the owned route matches.
        headers: headers the owned route demands besides.
    """

    url: str
    host: str
    path: str
    headers: Mapping[str, str]


class Router(Protocol):
    """One gateway's route kind, for one target."""

    def address(self, rollout: Rollout) -> RouteObject:
        """The object that carries the weights."""
        ...

    def supporting(self, rollout: Rollout) -> tuple[RouteObject, ...]:
        """Other objects that preflight needs (Upstream, Service), read on adoption and before a rollout."""
        ...

    def read(
        self, rollout: Rollout, obj: Obj, others: Mapping[RouteObject, Obj | None] | None
    ) -> RouteSeen:
        """Understand a route object; `others` None means preflight was not asked for."""
        ...

    def plan(self, rollout: Rollout, obj: Obj, split: Split | None, record_text: str) -> list[dict[str, Any]]:
        """One JSON Patch: tests of uid, record and owned route as in `obj`, then record and split.

        `split` None leaves the route as it is (a record-only write): the owned and our own route are tested all the same.
        """
        ...

    def gateway(self, rollout: Rollout, obj: Obj) -> GatewayAddress | str:
        """Where smoke and probes go, from policy and route; a sentence where it cannot be derived."""
        ...
