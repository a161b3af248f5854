"""Gloo's objects, as people write them: destinations, routes, matchers."""

from typing import Any

from daemon.ports import Obj

NAMESPACE = "gloo-system"
CANARY = {"stage": "canary"}


def to(version: str | None = None, upstream: str = "echo", **subset: str) -> Obj:
    """A destination; without a version or other labels it names no subset."""
    values = ({"version": version} if version else {}) | subset
    named = {"upstream": {"name": upstream, "namespace": NAMESPACE}}
    return named | ({"subset": {"values": values}} if values else {})


def single(destination: Obj, **more: Any) -> Obj:
    return {"matchers": [{"prefix": "/"}], "routeAction": {"single": destination}} | more


def share(*weighted: tuple[Obj, int], **more: Any) -> Obj:
    members = [{"destination": it, "weight": weight} for it, weight in weighted]
    return {
        "matchers": [{"prefix": "/"}],
        "routeAction": {"multi": {"destinations": members}},
    } | more


def header(name: str, value: str = "", **more: Any) -> Obj:
    return {"name": name, "value": value} | more


V1, V2, NOBODY = to("v1"), to("v2"), to("v9")
PINNED = single(V1)
OPEN = single(to())
NO_WEIGHTS = share((V1, 0), (V2, 0))
"""Gloo accepts it, Envoy refuses it with everything else of the listener."""
BAD_REGEX = {"matchers": [{"regex": "/(["}], "directResponseAction": {"status": 200}}
"""Gloo refuses it with everything else of the host."""
