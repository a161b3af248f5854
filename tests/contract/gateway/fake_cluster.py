"""A cluster in memory for the control plane's tests: objects, versions, watches, JSON Patch `add`.

It keeps what matters here: every write raises the one resourceVersion, and (Gloo's kinds have no
status subresource) a change of spec or status raises the object's generation.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

from daemon.errors import InvalidError, NotFoundError
from daemon.ports import Obj, Resource

Key = tuple[str, str]


class FakeCluster:
    """Implements of `daemon.ports.Cluster` what a gateway uses."""

    def __init__(self) -> None:
        self.objects: defaultdict[str, dict[Key, Obj]] = defaultdict(dict)
        self.patches: list[tuple[str, str, Any]] = []
        self.refusing = False
        self._version = 0
        self._events: defaultdict[str, list[tuple[int, str, Obj]]] = defaultdict(list)
        self._news = asyncio.Condition()

    async def apply(self, *objects: Obj) -> None:
        """Write objects as a user does: the status stays what it was."""
        for item in objects:
            key = (item["metadata"]["namespace"], item["metadata"]["name"])
            old = self.objects[item["kind"]].get(key)
            fresh = deepcopy(item)
            if old and "status" in old:
                fresh["status"] = old["status"]
            await self._store(item["kind"], key, fresh, old)

    async def remove(self, kind: str, namespace: str, name: str) -> None:
        gone = self.objects[kind].pop((namespace, name))
        await self._tell(kind, "DELETED", gone)

    async def strip_status(self, kind: str, namespace: str, name: str) -> None:
        old = self.objects[kind][namespace, name]
        await self._store(kind, (namespace, name), {**old, "status": {}}, old)

    def status(self, kind: str, name: str, namespace: str = "gloo-system") -> Any:
        item = self.objects[kind].get((namespace, name), {})
        return item.get("status", {}).get("statuses", {}).get("gloo-system")

    def generation(self, kind: str, name: str, namespace: str = "gloo-system") -> int:
        return self.objects[kind][namespace, name]["metadata"]["generation"]

    async def until(self, condition: Any) -> None:
        """Wait until something holds; it is looked at after each write."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(condition)

    # ------------------------------------------------------------ daemon.ports.Cluster

    async def list_page(self, resource: Resource, namespace: str | None, **_: Any) -> Obj:
        items = [deepcopy(o) for o in self.objects[resource.kind].values()]
        return {"metadata": {"resourceVersion": str(self._version)}, "items": items}

    def watch(self, resource: Resource, namespace: str | None, *, resource_version: str, **_: Any):
        return self._watch(resource.kind, int(resource_version))

    @asynccontextmanager
    async def _watch(self, kind: str, since: int) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self._lines(kind, since)

    async def _lines(self, kind: str, since: int) -> AsyncIterator[bytes]:
        events = self._events[kind]
        while True:
            later = [e for e in events if e[0] > since]
            for version, what, item in later:
                since = version
                yield json.dumps({"type": what, "object": item}).encode()
            if not later:
                async with self._news:
                    await self._news.wait()

    async def json_patch(
        self, resource: Resource, namespace: str, name: str, patch: bytes, **_: Any
    ) -> Obj:
        key = (namespace, name)
        if self.refusing:
            raise InvalidError("refused for the test")
        if key not in self.objects[resource.kind]:
            raise NotFoundError(f"{resource.kind} {namespace}/{name}")
        old = self.objects[resource.kind][key]
        fresh = deepcopy(old)
        operations = json.loads(patch)
        for operation in operations:
            *parents, last = operation["path"].strip("/").split("/")
            node = fresh
            for part in parents:
                node = node[part]
            node[last] = operation["value"]
        self.patches.append((resource.kind, name, operations))
        return deepcopy(await self._store(resource.kind, key, fresh, old))

    async def _store(self, kind: str, key: Key, fresh: Obj, old: Obj | None) -> Obj:
        changed = old is None or any(fresh.get(k) != old.get(k) for k in ("spec", "status"))
        generation = old["metadata"]["generation"] if old else 0
        self._version += 1
        fresh["metadata"] = {
            **fresh["metadata"],
            "generation": generation + changed,
            "resourceVersion": str(self._version),
        }
        self.objects[kind][key] = fresh
        await self._tell(kind, "MODIFIED" if old else "ADDED", fresh)
        return fresh

    async def _tell(self, kind: str, what: str, item: Obj) -> None:
        if what == "DELETED":
            self._version += 1
            item["metadata"]["resourceVersion"] = str(self._version)
        self._events[kind].append((self._version, what, deepcopy(item)))
        async with self._news:
            self._news.notify_all()
