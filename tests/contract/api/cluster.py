"""A Kubernetes API over plain HTTP, for tests: the embedded one, or a real one by its URL.

`CROSSFADE_CONFORMANCE_URL` (and `CROSSFADE_CONFORMANCE_TOKEN`) point the whole suite at a real API
server; tests of what only the sandbox has then skip.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from daemon.sandbox.api import ApiServer

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
DEADLINE = 10.0
ROOT_CA = "kube-root-ca.crt"
"""The ConfigMap that a real cluster puts into every namespace, a moment after it was made."""
USED = (
    ("v1", "configmaps"),
    ("v1", "secrets"),
    ("coordination.k8s.io/v1", "leases"),
    ("apps/v1", "deployments"),
    ("conformance.crossfade.dev/v1", "widgets"),
    ("conformance.crossfade.dev/v1", "gadgets"),
)
"""What tests make that can be run in a namespace which is used again."""


@dataclass(frozen=True)
class Answer:
    code: int
    headers: Any
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def meta(self) -> Any:
        return self.body["metadata"]

    def ok(self) -> "Answer":
        assert self.code in {200, 201, 202}, self.text
        return self


@dataclass
class Cluster:
    base: str
    session: aiohttp.ClientSession
    namespace: str
    headers: dict[str, str] = field(default_factory=dict)
    server: ApiServer | None = None

    async def send(
        self, method: str, path: str, body: Any = None, *, kind: str = JSON, accept: str = JSON,
        headers: dict[str, str] | None = None, **query: str,
    ) -> Answer:  # fmt: skip
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Content-Type": kind, "Accept": accept, **self.headers, **(headers or {})}
        async with (
            asyncio.timeout(DEADLINE),
            self.session.request(
                method, self.base + path, data=data, headers=sent, params=query
            ) as answer,
        ):
            return Answer(answer.status, answer.headers, await answer.text())

    def at(self, plural: str, name: str = "", sub: str = "", *, api: str = "v1") -> str:
        """Path of a namespaced resource."""
        root = f"/apis/{api}" if "/" in api else f"/api/{api}"
        parts = [f"{root}/namespaces/{self.namespace}/{plural}", name, sub]
        return "/".join(part for part in parts if part)

    async def get(self, path: str, **query: str) -> Answer:
        return await self.send("GET", path, **query)

    async def post(self, path: str, body: Any, **query: str) -> Answer:
        return await self.send("POST", path, body, **query)

    async def put(self, path: str, body: Any, **query: str) -> Answer:
        return await self.send("PUT", path, body, **query)

    async def delete(self, path: str, body: Any = None, **query: str) -> Answer:
        return await self.send("DELETE", path, body, **query)

    async def patch(self, path: str, body: Any, kind: str = JSON_PATCH, **query: str) -> Answer:
        return await self.send("PATCH", path, body, kind=kind, **query)

    async def apply(self, path: str, body: Any, manager: str, **query: str) -> Answer:
        return await self.patch(path, body, APPLY, fieldManager=manager, **query)

    async def config(self, name: str = "c", **more: Any) -> Answer:
        """Create a ConfigMap."""
        return (await self.post(self.at("configmaps"), config(name, **more))).ok()

    async def until(self, path: str, holds: Callable[[Answer], bool]) -> Answer:
        """Read again and again until it holds, as what follows a write may take a while."""
        async with asyncio.timeout(DEADLINE):
            while not holds(answer := await self.get(path)):  # noqa: ASYNC110 -- an API is polled
                await asyncio.sleep(0.02)
        return answer

    async def gone(self, path: str) -> None:
        """Return when the object is not there any more."""
        await self.until(path, lambda answer: answer.code == 404)

    async def empty(self) -> None:
        """Remove everything that a test may have left, finalizers and all, and wait for it."""
        # Events are not waited for: the cluster goes on writing its own.
        await self.delete(self.at("events"))
        for api, plural in USED:
            path = self.at(plural, api=api)
            await self.delete(path, propagationPolicy="Background")
            for it in _left(await self.get(path)):
                if it["metadata"].get("finalizers"):
                    nobody = {"metadata": {"finalizers": None}}
                    await self.patch(f"{path}/{it['metadata']['name']}", nobody, MERGE)
            await self.until(path, lambda answer: not _left(answer))

    async def add_crd(self, crd: Any) -> str:
        """Serve a custom kind; returns its apiVersion."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        answer = await self.post(path, crd)
        assert answer.code in {201, 409}, answer.text
        spec = crd["spec"]
        api = f"{spec['group']}/{spec['versions'][0]['name']}"
        await self.until(f"/apis/{api}/{spec['names']['plural']}", lambda a: a.code == 200)
        return api

    @asynccontextmanager
    async def watch(
        self, path: str, *, accept: str = JSON, **query: str
    ) -> AsyncIterator["Events"]:
        params = {"watch": "true", "timeoutSeconds": "60", **query}
        async with self.session.get(
            self.base + path, params=params, headers={"Accept": accept, **self.headers}
        ) as answer:
            yield Events(answer)


@dataclass
class Events:
    answer: aiohttp.ClientResponse

    async def next(self) -> Any:
        """The next event that is no bookmark, and of no object that the cluster made by itself."""
        while True:
            event = await self.any()
            name = event["object"].get("metadata", {}).get("name")
            if event["type"] != "BOOKMARK" and name != ROOT_CA:
                return event

    async def any(self) -> Any:
        """The next event; None at the end of the stream."""
        async with asyncio.timeout(DEADLINE):
            line = await self.answer.content.readline()
        return json.loads(line) if line else None

    async def told(self) -> str:
        """The next event in short: `ADDED name`."""
        event = await self.next()
        return f"{event['type']} {event['object']['metadata']['name']}"


def _left(answer: Answer) -> list[Any]:
    """Objects of a list that tests have made; of a kind that is not served there are none."""
    items = [] if answer.code == 404 else answer.body.get("items") or []
    return [it for it in items if it["metadata"]["name"] != ROOT_CA]


def config(name: str = "c", *, data: Any = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": data or {"k": "v"},
    }


def deployment(name: str = "echo", *, image: str = "echo:1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "echo", "image": image}]},
            },
            **spec,
        },
    }


def pod(name: str = "p", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"name": "echo", "image": "echo:1"}]},
    }


GROUP = "conformance.crossfade.dev"


def crd(
    kind: str, schema: dict[str, Any], *, subresources: Any = None, **version: Any
) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    served = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": schema}},
        **version,
    }
    if subresources is not None:
        served["subresources"] = subresources
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, "shortNames": [f"s{kind.lower()}"]},
            "versions": [served],
        },
    }


OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
TEXT = {"type": "string"}
NUMBER = {"type": "integer"}

ROUTES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": TEXT,
            "weight": NUMBER,
            "share": {"type": "number"},
            "tags": {"type": "object", "additionalProperties": TEXT},
        },
    },
}
WIDGET = crd(
    "Widget",
    {
        "spec": {
            "type": "object",
            "properties": {"text": TEXT, "share": {"type": "number"}, "routes": ROUTES},
        },
        "status": OPEN,
    },
)
"""Like Gloo's kinds: no status subresource, atomic lists."""

GADGET = crd(
    "Gadget",
    {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 0, "maximum": 10},
                "mode": {"type": "string", "enum": ["fast", "slow"], "default": "fast"},
                "label": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                "port": {"x-kubernetes-int-or-string": True},
                "free": OPEN,
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["id"],
                    "items": {
                        "type": "object",
                        "required": ["id"],
                        "properties": {"id": TEXT, "weight": NUMBER, "note": TEXT},
                    },
                },
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": TEXT},
                "plain": {"type": "array", "items": TEXT},
            },
        },
        "status": {
            "type": "object",
            "properties": {"replicas": NUMBER, "phase": TEXT, "observedGeneration": NUMBER},
        },
    },
    subresources={
        "status": {},
        "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas"},
    },
    additionalPrinterColumns=[
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "First", "type": "string", "jsonPath": ".spec.parts[0].id"},
        {"name": "Note", "type": "string", "jsonPath": '.spec.parts[?(@.id=="b")].note'},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ],
)
"""With status and scale, keyed lists, defaults and limits."""


def widget(name: str = "w", spec: Any = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Widget",
        "metadata": {"name": name, **metadata},
        "spec": spec or {"text": "plain"},
    }


def gadget(name: str = "g", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Gadget",
        "metadata": {"name": name},
        "spec": {"size": 1, **spec},
    }
