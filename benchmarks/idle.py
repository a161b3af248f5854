"""Many targets with nothing to do: memory, and requests to the API server."""

from collections import Counter
from typing import Any

from benchmarks.gates import Gate
from benchmarks.stage import Stage, memory_mib, record_of
from daemon.core.model import TargetKey
from daemon.kube.objects import VIRTUALSERVICES
from daemon.ports import Obj
from daemon.sandbox.api import Call
from daemon.sandbox.world import World, WorldOptions

TARGETS = 50
NAMESPACES = 10
"""One watch a kind and namespace: several, as in a company."""
WINDOW_SECONDS = 20.0
"""Long enough for every interval of the daemon but the resync, which asks for nothing either."""
QUIET_SECONDS = 2.0
"""Without a request: the Events and the evidence of the adoptions are written."""
MOST_LOOKS = 20
"""The token bucket lets about twenty requests through a second; there are some hundreds."""
MEMORY_MIB = 120.0


async def measure() -> list[Gate]:
    """Let the daemon follow fifty adopted targets; return the figures."""
    async with Stage(_policy, WorldOptions(start_with=())) as stage:
        await stage.world.apply([it for number in range(TARGETS) for it in _objects(stage, number)])
        await stage.world.until(lambda: _all_adopted(stage), f"{TARGETS} adoptions", 60.0)
        before = await _quiet(stage)
        await stage.clock.sleep(WINDOW_SECONDS)
        asked = stage.requests() - before
        memory = memory_mib(stage.daemon.pid)
    return [
        Gate(
            f"daemon's memory with {TARGETS} idle targets",
            "MiB",
            MEMORY_MIB,
            () if memory is None else (memory,),
        ),
        Gate(
            f"API requests of {TARGETS} idle targets in {WINDOW_SECONDS:.0f} s, without watches",
            "",
            0,
            (float(asked.total()),),
        ),
    ]


async def _quiet(stage: Stage) -> Counter[Call]:
    """Wait until what adoption is followed by is done; return the requests until then."""
    before = stage.requests()
    for _ in range(MOST_LOOKS):
        await stage.clock.sleep(QUIET_SECONDS)
        now = stage.requests()
        if now == before:
            break
        before = now
    return before


async def _all_adopted(stage: Stage) -> bool:
    routes = {
        it["metadata"]["name"]: it
        for it in await stage.world.client.list_all(VIRTUALSERVICES, "gloo-system")
    }
    records = [record_of(routes.get(_name(it)), _key(it)) for it in range(TARGETS)]
    return all(it is not None and it.reason == "AdoptionConfirmed" for it in records)


def _name(number: int) -> str:
    return f"app-{number:02}"


def _key(number: int) -> TargetKey:
    return TargetKey(f"team-{number % NAMESPACES}", _name(number))


def _policy(world: World) -> str:
    head = "apiVersion: crossfade.dev/v1\nkind: Policy\nrollouts:\n"
    return head + "".join(
        f"""
  {_name(number)}:
    namespace: {_key(number).namespace}
    selector: {{app: {_name(number)}}}
    route:
      gloo: {{virtualService: gloo-system/{_name(number)}, upstream: gloo-system/{_name(number)}}}
    gateway: {{url: "http://gateway-proxy.gloo-system:80", host: {_name(number)}.example, path: /}}
    metrics: {{pods: {{port: {world.pod_port}}}}}
    smoke: [GET / -> 200]
    steps:
      - {{weight: 10, hold: 5m}}
      - {{weight: 100}}
"""
        for number in range(TARGETS)
    )


def _objects(stage: Stage, number: int) -> list[Obj]:
    """Build an application with its route, as echo has them in the sandbox."""
    name, namespace = _name(number), _key(number).namespace
    renamed: list[Obj] = []
    if number < NAMESPACES:
        renamed.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    return [*renamed, *_application(stage.world.pod_port, name, namespace)]


def _application(port: int, name: str, namespace: str) -> list[Obj]:
    labels = {"app": name, "version": "v1"}
    upstream = {"name": name, "namespace": "gloo-system"}
    route = {
        "matchers": [{"prefix": "/"}],
        "routeAction": {"single": {"upstream": upstream}},
    }
    container = {"name": "app", "image": "sandbox/echo:v1", "ports": [{"containerPort": port}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    kube = {
        "serviceName": name,
        "serviceNamespace": namespace,
        "servicePort": 80,
        "selector": {"app": name},
        "subsetSpec": {"selectors": [{"keys": ["version"]}]},
    }
    service = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": port}]}
    host = {"domains": [f"{name}.example"], "routes": [route]}
    return [
        _object("v1", "Service", name, namespace, service),
        _object("apps/v1", "Deployment", f"{name}-v1", namespace, deployment),
        _object("gloo.solo.io/v1", "Upstream", name, "gloo-system", {"kube": kube}),
        _object("gateway.solo.io/v1", "VirtualService", name, "gloo-system", {"virtualHost": host}),
    ]


def _object(version: str, kind: str, name: str, namespace: str, spec: dict[str, Any]) -> Obj:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
