"""A small world in memory for the gateway's tests: objects, echo pods, one real Envoy.

There is no API server: objects go straight into the translator, and what it makes goes to Envoy by
files, as the controller would do it.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from daemon.clock import SystemClock
from daemon.sandbox.gateway.clusters import Gloo
from daemon.sandbox.gateway.envoy import Envoy
from daemon.sandbox.gateway.objects import Ref, Snapshot
from daemon.sandbox.gateway.translator import NO_PROXY, Translation, empty, translate
from daemon.sandbox.gateway.verdicts import Verdict
from daemon.sandbox.gateway.xds import XdsFiles

SERVED_BY = "x-served-by"


class Answer(NamedTuple):
    """What one request came back with, as far as a test tells answers apart."""

    status: int
    version: str | None = None
    served_by: str | None = None
    location: str | None = None
    body: str | None = None


class Pod:
    """An echo server on a loopback port of its own; it remembers the last request it saw."""

    def __init__(self, name: str, app: str, version: str) -> None:
        self.name = name
        self.labels = {"app": app, "version": version}
        self.port = 0
        self.seen: list[tuple[str, str, Mapping[str, str]]] = []
        self.failures = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.seen.append((request.method, request.path_qs, dict(request.headers)))
        if self.failures:
            self.failures -= 1
            return web.json_response({"version": self.labels["version"]}, status=503)
        return web.json_response({"version": self.labels["version"], "path": request.path_qs})

    def objects(self) -> list[dict[str, Any]]:
        """The pod and an EndpointSlice of its Service that holds it alone: each has its own port."""
        service = self.labels["app"]
        target = {"kind": "Pod", "name": self.name, "namespace": "echo"}
        return [
            {"kind": "Pod", "metadata": meta(self.name, "echo", self.labels)},
            {
                "kind": "EndpointSlice",
                "metadata": meta(self.name, "echo", {"kubernetes.io/service-name": service}),
                "ports": [{"name": "http", "port": self.port}],
                "endpoints": [
                    {"addresses": ["127.0.0.1"], "conditions": {"ready": True}, "targetRef": target}
                ],
            },
        ]


def meta(name: str, namespace: str = "gloo-system", labels: Any = None) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": labels or {}}


def service(name: str, port: int = 8080, namespace: str = "echo") -> dict[str, Any]:
    ports = [{"name": "http", "port": port}]
    return {"kind": "Service", "metadata": meta(name, namespace), "spec": {"ports": ports}}


@dataclass
class World:
    """Objects, the control plane's memory, and where Envoy listens."""

    envoy: Envoy
    session: aiohttp.ClientSession
    pods: list[Pod]
    gloo: Gloo = Gloo.V1_12
    memory: Any = NO_PROXY
    translation: Translation = field(default_factory=empty)
    objects: dict[Ref, dict[str, Any]] = field(default_factory=dict)

    async def reset(self) -> None:
        """Two ready pods of v1, two of v2, one of `other`; no Gloo objects; nothing remembered."""
        self.objects.clear()
        self.gloo = Gloo.V1_12
        self.memory = NO_PROXY
        for pod in self.pods:
            pod.seen.clear()
            pod.failures = 0
        pieces = [o for pod in self.pods for o in pod.objects()]
        await self.apply(service("echo"), service("other"), *pieces)

    async def apply(self, *objects: dict[str, Any]) -> bool:
        """Apply objects together, translate once; return whether Envoy took the routes."""
        for item in objects:
            self.objects[ref_of(item)] = item
        return await self.translate()

    async def remove(self, *refs: Ref) -> bool:
        for ref in refs:
            del self.objects[ref]
        return await self.translate()

    async def translate(self) -> bool:
        snapshot = Snapshot.of(self.objects.values())
        self.translation = translate(snapshot, self.memory, gloo=self.gloo)
        self.memory = self.translation.proxy
        self.envoy.files.publish(self.translation)
        taken = await self.envoy.decide()
        self.envoy.files.sweep()
        return taken

    def verdict(self, kind: str, name: str, namespace: str = "gloo-system") -> Verdict:
        return self.translation.verdicts[Ref(kind, namespace, name)]

    async def ask(
        self,
        host: str,
        path: str = "/",
        *,
        times: int = 1,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Counter[Answer]:
        """Send the same request a number of times and count the answers."""
        return Counter([await self._one(method, host, path, headers or {}) for _ in range(times)])

    async def _one(self, method: str, host: str, path: str, headers: Mapping[str, str]) -> Answer:
        url = f"http://127.0.0.1:{self.envoy.port}{path}"
        async with self.session.request(
            method, url, headers={**headers, "Host": host}, allow_redirects=False
        ) as answer:
            body = await answer.text()
            version = None
            if body.startswith('{"version"'):
                version, body = json.loads(body)["version"], ""
            return Answer(
                answer.status,
                version,
                answer.headers.get(SERVED_BY),
                answer.headers.get("location"),
                body or None,
            )


def ref_of(item: dict[str, Any]) -> Ref:
    return Ref(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"])


async def open_world(stack: AsyncExitStack, directory: Path) -> World:
    """Start the pods and the Envoy; the stack stops them."""
    pods = [
        Pod("echo-v1-a", "echo", "v1"),
        Pod("echo-v1-b", "echo", "v1"),
        Pod("echo-v2-a", "echo", "v2"),
        Pod("echo-v2-b", "echo", "v2"),
        Pod("other-a", "other", "o1"),
    ]
    await asyncio.gather(*(pod.start() for pod in pods))
    for pod in pods:
        stack.push_async_callback(pod.stop)
    files = XdsFiles(directory)
    files.publish(empty())
    envoy = Envoy("gateway-proxy-0", files, SystemClock())
    await envoy.start()
    stack.push_async_callback(envoy.stop)
    session = await stack.enter_async_context(aiohttp.ClientSession())
    return World(envoy, session, pods)
