"""What every router can do. Routers read and plan; they decide nothing and send nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from config.schema import Rollout
from daemon.core.model import RouteSeen, Split
from daemon.gateway import GatewayAddress, GatewayCluster
from daemon.ports import Obj, Resource

__all__ = ["Found", "GatewayAddress", "RouteObject", "Router"]


@dataclass(frozen=True, slots=True)
class RouteObject:
    """Address of the object that carries the weights."""

    resource: Resource
    namespace: str
    name: str


Found = Mapping[RouteObject, Obj | None]
"""Objects that were read; None where the API said that there is none."""


class Router(Protocol):
    """One gateway's route kind, for one target."""

    def address(self, rollout: Rollout) -> RouteObject:
        """The object that carries the weights."""
        ...

    def supporting(self, rollout: Rollout, found: Found | None = None) -> tuple[RouteObject, ...]:
        """Other objects that preflight needs, read on adoption and before a rollout.

        The Upstream names the Service: ask again with what was read until the answer grows no more.
        """
        ...

    def read(self, rollout: Rollout, obj: Obj, others: Found | None) -> RouteSeen:
        """Understand a route object; `others` None means preflight was not asked for."""
        ...

    def plan(
        self, rollout: Rollout, obj: Obj, split: Split | None, record_text: str
    ) -> list[dict[str, Any]]:
        """One JSON Patch: tests of uid, record and owned route as in `obj`, then record and split.

        `split` None leaves the route as it is (a record-only write): the owned and our own route
        are tested all the same.

        Raises:
            PermanentError: the owned route cannot be told, so there is nothing that may be written.
        """
        ...

    def gateway(self, rollout: Rollout, obj: Obj) -> GatewayAddress | str:
        """Where smoke and probes go; a sentence where policy and route do not tell."""
        ...

    def cluster(self, rollout: Rollout) -> GatewayCluster:
        """What the gateway's Envoys call the cluster of all versions, and where they are."""
        ...
