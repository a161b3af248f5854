"""Gloo objects for tests, as short as they can be written and still be read."""

from typing import Any

from tests.contract.gateway.world import meta

Obj = dict[str, Any]


def host_of(name: str) -> str:
    return f"{name}.example.com"


def virtual_service(name: str, *routes: Obj, namespace: str = "gloo-system", **more: Any) -> Obj:
    """A VirtualService for <name>.example.com; `more` goes into its virtual host."""
    own = {"domains": [host_of(name)], "routes": list(routes), **more}
    return {
        "apiVersion": "gateway.solo.io/v1",
        "kind": "VirtualService",
        "metadata": meta(name, namespace),
        "spec": {"virtualHost": own},
    }


def route_table(name: str, *routes: Obj, labels: Any = None, **more: Any) -> Obj:
    return {
        "apiVersion": "gateway.solo.io/v1",
        "kind": "RouteTable",
        "metadata": meta(name, "echo", labels),
        "spec": {"routes": list(routes), **more},
    }


def upstream(name: str, *, subsets: Any = None, port: int = 8080, selector: Any = None) -> Obj:
    """An Upstream of the Service `echo`."""
    kube: Obj = {"serviceName": "echo", "serviceNamespace": "echo", "servicePort": port}
    kube["selector"] = selector or {"app": "echo"}
    if subsets is not None:
        kube["subsetSpec"] = subsets
    return {
        "apiVersion": "gloo.solo.io/v1",
        "kind": "Upstream",
        "metadata": meta(name),
        "spec": {"kube": kube},
    }


def group(name: str, *destinations: Obj) -> Obj:
    return {
        "apiVersion": "gloo.solo.io/v1",
        "kind": "UpstreamGroup",
        "metadata": meta(name),
        "spec": {"destinations": list(destinations)},
    }


BY_VERSION: Obj = {"selectors": [{"keys": ["version"]}]}
ECHO = upstream("echo", subsets=BY_VERSION)
CLOSED = upstream("closed", subsets={**BY_VERSION, "fallbackPolicy": "NO_FALLBACK"})


def at(upstream_name: str = "echo", namespace: str = "gloo-system", **values: str) -> Obj:
    """A destination: an Upstream, and a subset where values are given."""
    own: Obj = {"upstream": {"name": upstream_name, "namespace": namespace}}
    if values:
        own["subset"] = {"values": values}
    return own


V1, V2, V9 = at(version="v1"), at(version="v2"), at(version="v9")


def to(destination: Obj, **more: Any) -> Obj:
    """A route of everything (or of `matchers`) to one destination."""
    return {"matchers": [{"prefix": "/"}], "routeAction": {"single": destination}, **more}


def share(*weighted: tuple[Obj, int | None], **more: Any) -> Obj:
    """A route of everything (or of `matchers`), divided by weight; None leaves the weight out."""
    destinations = [{"destination": d, **({} if w is None else {"weight": w})} for d, w in weighted]
    action = {"multi": {"destinations": destinations}}
    return {"matchers": [{"prefix": "/"}], "routeAction": action, **more}


def canary(destination: Obj = V2, **more: Any) -> Obj:
    """The header route."""
    matcher = {"prefix": "/", "headers": [{"name": "stage", "value": "canary"}]}
    return to(destination, matchers=[matcher], **more)


def answering(value: str) -> Obj:
    """Options that set the identity header on every answer."""
    header = {"header": {"key": "x-served-by", "value": value}, "append": False}
    return {"headerManipulation": {"responseHeadersToAdd": [header]}}


SERVING_VERSION = "%UPSTREAM_METADATA(envoy.lb:version)%"
SERVING_VERSION_JSON = '%UPSTREAM_METADATA(["envoy.lb","version"])%'
