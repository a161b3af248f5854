"""What happened, as plain values: every commit that matters, and what the data plane really did.

A history is a list of items in the order of their time. Monitors read it; nothing here judges.
Times are seconds of the API server's clock.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from daemon.core.model import Record
from daemon.core.record import parse_record
from daemon.core.weights import exact

Obj = dict[str, Any]

DAEMON = "crossfade"
"""The field manager of the daemon's writes."""
RECORD = "rollout.crossfade.dev/"
OUR_HEADERS = ("x-crossfade-rollout", "x-crossfade-decision", "x-crossfade-version")
OPEN = "*"
"""Stands for the version where a route names no subset: any pod."""

Shares = Mapping[str, float]
"""version -> percent, without zeros."""


@dataclass(frozen=True, slots=True)
class App:
    """A Deployment as it stood at some moment.

    Attributes:
        hash: pod-template-hash of its current ReplicaSet; "" while there is none.
        settled: observedGeneration has reached generation.
        ready: ready pods of that hash that are not leaving.
        others: ready pods with the same version label and another hash.
    """

    name: str
    version: str
    uid: str = "uid"
    replicas: int = 2
    hash: str = "h"
    settled: bool = True
    ready: int = 2
    others: int = 0

    @property
    def revision(self) -> str:
        return f"{self.version}/{self.hash}"


@dataclass(frozen=True, slots=True)
class Commit:
    """One change of the route object or of a Deployment's spec.

    Attributes:
        version: its resourceVersion.
        actor: who wrote it: a field manager.
        kind: plural of the kind.
        apps: all Deployments of the target, after this commit.
        served: version -> (requests answered, of them failed) by its pods until now.
    """

    version: int
    at: float
    actor: str
    kind: str
    name: str
    old: Obj | None
    new: Obj | None
    apps: tuple[App, ...] = ()
    served: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def by_daemon(self) -> bool:
        return self.actor == DAEMON

    def __str__(self) -> str:
        return f"commit {self.version} of {self.kind}/{self.name} by {self.actor} at {self.at:.3f}"


@dataclass(frozen=True, slots=True)
class Apps:
    """The Deployments changed, or their pods did."""

    at: float
    apps: tuple[App, ...]


@dataclass(frozen=True, slots=True)
class Live:
    """What one proxy of the gateway does with ordinary requests; None while nobody can tell.

    Attributes:
        at: when its answer came.
        asked: when it was asked: what it answered was true at some moment in between.
    """

    at: float
    asked: float
    proxy: int
    shares: Shares | None


@dataclass(frozen=True, slots=True)
class Blind:
    """A version's metrics pages are all useless (or no longer are)."""

    at: float
    version: str
    blind: bool


@dataclass(frozen=True, slots=True)
class Life:
    """A daemon's process: "started", "stopping" (SIGTERM), "stopped" or "killed"."""

    at: float
    what: str
    code: int = 0


Item = Commit | Apps | Live | Blind | Life


# ---------------------------------------------------------------- reading a route object


def record_of(obj: Obj | None) -> Record | None:
    """Return the record on a route object, if there is a readable one."""
    text = record_text(obj)
    found = None if text is None else parse_record(text)
    return found if isinstance(found, Record) else None


def record_text(obj: Obj | None) -> str | None:
    annotations = ((obj or {}).get("metadata") or {}).get("annotations") or {}
    return next((text for key, text in annotations.items() if key.startswith(RECORD)), None)


def routes_of(obj: Obj | None) -> list[Obj]:
    """Return the routes of a VirtualService or a RouteTable."""
    spec = (obj or {}).get("spec") or {}
    return (spec.get("virtualHost") or spec).get("routes") or []


def response_headers(route: Obj) -> dict[str, str]:
    manipulation = (route.get("options") or {}).get("headerManipulation") or {}
    added = manipulation.get("responseHeadersToAdd") or []
    return {it["header"]["key"].lower(): it["header"]["value"] for it in added}


def is_guide(route: Obj) -> bool:
    return any(name in OUR_HEADERS for name in response_headers(route))


def destinations(route: Obj) -> Iterator[tuple[str, str, Any]]:
    """Yield (upstream, version or OPEN, weight) of each destination."""
    action = route.get("routeAction") or {}
    single, multi = action.get("single"), action.get("multi") or {}
    members = multi.get("destinations") or []
    if single:
        members = [{"destination": single, "weight": 100}]
    for member in members:
        destination = member.get("destination") or {}
        values = (destination.get("subset") or {}).get("values") or {}
        upstream = (destination.get("upstream") or {}).get("name", "")
        yield upstream, values.get("version", OPEN), member.get("weight", 0)


def owned_route(obj: Obj | None, upstream: str) -> Obj | None:
    """Return the route of ordinary requests to the Upstream: the first without header matchers."""
    for route in routes_of(obj):
        plain = not any(it.get("headers") for it in route.get("matchers") or [])
        ours = any(name == upstream for name, _, _ in destinations(route))
        if plain and ours and not is_guide(route):
            return route
    return None


def guide_of(obj: Obj | None) -> Obj | None:
    """Return our own route."""
    return next((route for route in routes_of(obj) if is_guide(route)), None)


def below_guide(obj: Obj | None) -> Obj | None:
    """Return the route under our own: the owned one, even where an edit has led it elsewhere."""
    routes = routes_of(obj)
    return next((route for guide, route in pairwise(routes) if is_guide(guide)), None)


def shares_of(obj: Obj | None, upstream: str) -> dict[str, float] | None:
    """Return version -> percent of the owned route; None where there is none or it is odd."""
    route = owned_route(obj, upstream)
    if route is None:
        return None
    found = {version: weight for _, version, weight in destinations(route)}
    if not all(type(weight) is int for weight in found.values()):
        return None
    return percent_of(found)


def percent_of(weights: Mapping[str, int]) -> dict[str, float]:
    """Return version -> percent, without zeros, of weights with whatever sum."""
    total = sum(weights.values())
    return {version: exact(100 * it / total) for version, it in weights.items() if it}
