"""A cluster that keeps state: objects with resourceVersions, JSON Patch tests, preconditions.

It implements `daemon.ports.Cluster` in memory. Faults come by plan: before the effect, or after it
(a lost answer). Somebody else's writes come in at a chosen moment. Nothing is copied from the
product: patches are applied by the test tree's own implementation.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from daemon.errors import ConflictError, InvalidError, NotFoundError
from daemon.ports import Obj, Resource
from tests.spec.routers.patching import PatchRefusedError, apply_patch

Key = tuple[str, str, str]
"""(plural, namespace, name)"""


@dataclass
class Fault:
    """One thing that goes wrong, so many times.

    Attributes:
        lost: the effect happens, and only the answer is lost.
        meanwhile: what somebody else does right before the call.
    """

    verb: str
    plural: str
    error: Exception | None = None
    lost: bool = False
    meanwhile: Callable[[], None] | None = None
    times: int = 1


@dataclass
class Cluster:
    """All objects, and every call that was made."""

    objects: dict[Key, Obj] = field(default_factory=dict)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    version: int = 0

    # ------------------------------------------------------------ somebody else

    def put(self, resource: Resource, obj: Obj) -> Obj:
        """Write an object as somebody else does."""
        metadata = obj["metadata"]
        return self._store((resource.plural, metadata["namespace"], metadata["name"]), obj)

    def edit(self, resource: Resource, namespace: str, name: str, change: Callable[[Obj], None]):
        """Change an object as somebody else does."""
        obj = deepcopy(self.objects[resource.plural, namespace, name])
        change(obj)
        self._store((resource.plural, namespace, name), obj)

    def take_away(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object as somebody else does."""
        self.objects.pop((resource.plural, namespace, name))

    def fail(self, verb: str, plural: str, error: Exception | None = None, **more: Any) -> None:
        """Let the next such call go wrong."""
        self.faults.append(Fault(verb, plural, error, **more))

    def count(self, verb: str, plural: str) -> int:
        """Count the calls of a kind so far."""
        return sum(call[:2] == (verb, plural) for call in self.calls)

    # ------------------------------------------------------------ daemon.ports.Cluster

    async def get(self, resource: Resource, namespace: str, name: str) -> Obj:
        with _Call(self, "get", resource.plural, name):
            return deepcopy(self._there((resource.plural, namespace, name)))

    async def list_page(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        limit: int = 500,
        token: str = "",
    ) -> Obj:
        wanted = [it.split("=") for it in label_selector.split(",") if it]
        with _Call(self, "list", resource.plural, ""):
            found = [
                deepcopy(obj)
                for (plural, home, _), obj in sorted(self.objects.items())
                if (plural, home) == (resource.plural, namespace)
                and all((obj["metadata"].get("labels") or {}).get(k) == v for k, v in wanted)
            ]
        start = int(token or 0)
        rest = {"continue": str(start + limit)} if len(found) > start + limit else {}
        return {"metadata": rest, "items": found[start : start + limit]}

    async def json_patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: bytes,
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Obj:
        assert not dry_run
        key = (resource.plural, namespace, name)
        self.sent.append(patch)
        with _Call(self, "patch", resource.plural, name):
            old = self._there(key)
            try:
                if subresource == "scale":
                    changed = apply_patch(_scale_of(old), json.loads(patch))
                    new = deepcopy(old)
                    new["spec"]["replicas"] = changed["spec"]["replicas"]
                else:
                    new = apply_patch(old, json.loads(patch))
            except PatchRefusedError as problem:
                raise InvalidError(f"the server rejected our request: {problem}") from problem
            return deepcopy(self._store(key, new))

    async def create(self, resource: Resource, namespace: str, body: Obj) -> Obj:
        key = (resource.plural, namespace, body["metadata"]["name"])
        with _Call(self, "create", resource.plural, key[2]):
            if key in self.objects:
                raise ConflictError("already exists")
            return deepcopy(self._store(key, deepcopy(body)))

    async def replace(self, resource: Resource, namespace: str, name: str, body: Obj) -> Obj:
        key = (resource.plural, namespace, name)
        with _Call(self, "replace", resource.plural, name):
            old = self._there(key)
            if body["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
                raise ConflictError("the object has been modified")
            return deepcopy(self._store(key, deepcopy(body)))

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, resource_version: str
    ) -> None:
        key = (resource.plural, namespace, name)
        with _Call(self, "delete", resource.plural, name):
            metadata = self._there(key)["metadata"]
            if (uid, resource_version) != (metadata["uid"], metadata["resourceVersion"]):
                raise ConflictError("a precondition failed")
            del self.objects[key]

    def watch(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nobody watches in these tests")

    # ------------------------------------------------------------ the store

    def _there(self, key: Key) -> Obj:
        if key not in self.objects:
            raise NotFoundError(f"{key[0]} {key[1]}/{key[2]} not found")
        return self.objects[key]

    def _store(self, key: Key, obj: Obj) -> Obj:
        self.version += 1
        old = self.objects.get(key)
        metadata = obj["metadata"]
        metadata["uid"] = old["metadata"]["uid"] if old else metadata.get("uid", f"uid-{key[2]}")
        metadata["resourceVersion"] = str(self.version)
        self.objects[key] = obj
        return obj


class _Call:
    """One call: counted, and answered as the plan says."""

    def __init__(self, cluster: Cluster, verb: str, plural: str, name: str) -> None:
        self._fault: Fault | None = None
        self._cluster = cluster
        self._what = (verb, plural, name)

    def __enter__(self) -> None:
        self._cluster.calls.append(self._what)
        for fault in self._cluster.faults:
            if (fault.verb, fault.plural) == self._what[:2] and fault.times:
                fault.times -= 1
                self._fault = fault
                break
        fault = self._fault
        if fault is not None and fault.meanwhile is not None:
            fault.meanwhile()
        if fault is not None and fault.error is not None and not fault.lost:
            raise fault.error

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._fault is not None and self._fault.error is not None:
            raise self._fault.error


def _scale_of(obj: Obj) -> Obj:
    metadata = obj["metadata"]
    kept = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")}
    return {"metadata": kept, "spec": {"replicas": obj["spec"].get("replicas", 1)}}
