"""Builders for the article's objects: an echo application behind a VirtualService and one Upstream."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime

from config.schema import Rollout
from daemon.core.model import Phase, Record, TargetKey
from daemon.core.reasons import Reason
from daemon.core.record import format_record, record_annotation
from daemon.kube.objects import SERVICES, UPSTREAMS
from daemon.routers.base import RouteObject
from daemon.routers.gloo import GlooRouter

ROUTER = GlooRouter()
KEY = record_annotation(TargetKey("echo", "echo"))
US = {"name": "echo", "namespace": "gloo-system"}
UPSTREAM_AT = RouteObject(UPSTREAMS, "gloo-system", "echo")
SERVICE_AT = RouteObject(SERVICES, "echo", "echo")


def a_rollout(*, gloo=None, **changes):
    values = {
        "name": "echo",
        "namespace": "echo",
        "selector": {"app": "echo"},
        "route": {
            "gloo": {"virtualService": "gloo-system/echo", "upstream": "gloo-system/echo"}
            | (gloo or {})
        },
        "metrics": {"pods": {"port": 8080}},
        "smoke": {"requests": [{"name": "GET /", "method": "GET", "path": "/"}]},
        "steps": [{"weight": 50, "hold": "60s"}, {"weight": 100, "hold": "60s"}],
    } | changes
    values["route"]["gloo"] = {k: v for k, v in values["route"]["gloo"].items() if v is not None}
    return Rollout.model_validate(values, strict=False)


ROLLOUT = a_rollout()


def to(version, upstream=US):
    """A destination: one version's subset."""
    return {"upstream": dict(upstream), "subset": {"values": {"version": version}}}


def single(destination, **more):
    return {"matchers": [{"prefix": "/"}], "routeAction": {"single": destination}} | more


def pinned(version="v1", **more):
    return single(to(version), **more)


def open_route(**more):
    return single({"upstream": dict(US)}, **more)


def split(*shares, **more):
    """A route over versions: pairs of version and weight; None leaves the weight out."""
    members = [
        {"destination": to(version)} | ({} if weight is None else {"weight": weight})
        for version, weight in shares
    ]
    return {
        "matchers": [{"prefix": "/"}],
        "routeAction": {"multi": {"destinations": members}},
    } | more


def virtual_service(*routes, annotations=None, domains=("echo.example.com",), **more):
    metadata = {
        "name": "echo",
        "namespace": "gloo-system",
        "uid": "6f1c",
        "resourceVersion": "42",
    }
    if annotations is not None:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "gateway.solo.io/v1",
        "kind": "VirtualService",
        "metadata": metadata,
        "spec": {"virtualHost": {"domains": list(domains), "routes": deepcopy(list(routes))}},
    } | more


def a_record(**changes):
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    record = Record(
        id="r7f3",
        target="echo",
        policy="0" * 8,
        stable="v1",
        stable_revision="v1/aaa",
        canary="v2",
        revision="v2/bbb",
        phase=Phase.SMOKE,
        since=moment,
        reason=Reason.CANARY_READY,
        decision=17,
        epoch=1,
        writer="w1",
    )
    return replace(record, **changes)


RECORD = format_record(a_record())


def upstream(**kube):
    spec = {
        "serviceName": "echo",
        "serviceNamespace": "echo",
        "servicePort": 80,
        "selector": {"app": "echo"},
        "subsetSpec": {"selectors": [{"keys": ["version"]}], "fallbackPolicy": "NO_FALLBACK"},
    } | kube
    return {"metadata": {"name": "echo", "namespace": "gloo-system"}, "spec": {"kube": spec}}


def service(*, ports=None, selector=None):
    return {
        "metadata": {"name": "echo", "namespace": "echo"},
        "spec": {
            "ports": ports or [{"port": 80, "targetPort": 8080}],
            "selector": selector or {"app": "echo"},
        },
    }


def beside(the_upstream=None, the_service=None):
    return {UPSTREAM_AT: the_upstream or upstream(), SERVICE_AT: the_service or service()}


def read(*routes, rollout=ROLLOUT, others=None, record=None, **more):
    annotations = None if record is None else {KEY: record}
    return ROUTER.read(rollout, virtual_service(*routes, annotations=annotations, **more), others)
