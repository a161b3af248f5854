"""Deleting: preconditions, finalizers, grace, and what goes with it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api import gojson, status
from daemon.sandbox.api.garbage import Dependents, without_owner
from daemon.sandbox.api.resources import Kind, Registry
from daemon.sandbox.api.storage import Entry, Storage
from daemon.sandbox.api.writing import Draft, time_text

FOREGROUND, ORPHAN, BACKGROUND = "Foreground", "Orphan", "Background"
_FINALIZERS = {FOREGROUND: "foregroundDeletion", ORPHAN: "orphan"}
_NAMESPACE = ("", "namespaces")
_CRD = ("apiextensions.k8s.io", "customresourcedefinitions")


@dataclass(frozen=True, slots=True)
class Deletion:
    """DeleteOptions. `uid`, `version`: preconditions; `grace` None: the kind's default."""

    uid: str | None = None
    version: str | None = None
    propagation: str = BACKGROUND
    grace: int | None = None
    dry_run: bool = False


class Remover:
    """Takes objects out of the storage, and after them what must not outlive them."""

    def __init__(
        self, storage: Storage, registry: Registry, write: Callable[[Draft, Entry], None]
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._write = write
        self._dependents = Dependents(storage)
        self._collecting = False

    def delete(
        self, kind: Kind, entry: Entry, deletion: Deletion, now: float
    ) -> tuple[Entry, bool]:
        """Delete an object; returns its last state, and whether it has gone already."""
        self._check_preconditions(kind, entry, deletion)
        if deletion.dry_run:
            return entry, True
        metadata = entry.obj["metadata"]
        finalizers = [f for f in metadata.get("finalizers") or () if f not in _FINALIZERS.values()]
        if deletion.propagation in _FINALIZERS and self._dependents.of(metadata["uid"]):
            finalizers.append(_FINALIZERS[deletion.propagation])
        grace = _grace(kind, entry.obj, deletion)
        contents = self._contents(kind, entry)
        if not finalizers and not grace and not contents:
            return self.remove(entry, now), True
        entry = self._mark(kind, entry, finalizers, grace, now)
        for child, child_kind in contents:
            current = self._storage.get(child.key)
            if current is not None:
                self.delete(child_kind, current, Deletion(), now)
        if deletion.propagation == ORPHAN:
            self._orphan(entry)
        elif deletion.propagation == FOREGROUND:
            self._delete_dependents(entry, now)
        return self._settle(entry, now)

    def _check_preconditions(self, kind: Kind, entry: Entry, deletion: Deletion) -> None:
        uid = entry.obj["metadata"]["uid"]
        for name, wanted, found, happened in (
            ("UID", deletion.uid, uid, "deleted and then recreated"),
            ("ResourceVersion", deletion.version, str(entry.version), "modified"),
        ):
            if wanted is not None and wanted != found:
                why = (
                    f"the {name} in the precondition ({wanted}) does not match the {name} in "
                    f"record ({found}). The object might have been {happened}"
                )
                # Here, and only here, the real server names the kind where the plural belongs.
                raise status.conflict(kind.group, kind.kind, entry.key.name, why)

    def _contents(self, kind: Kind, entry: Entry) -> list[tuple[Entry, Kind]]:
        """What lives in a namespace, or the objects of a CRD."""
        tables: list[tuple[Kind, str | None]]
        if kind.stored_as == _NAMESPACE:
            tables = [(known, entry.key.name) for known in self._registry if known.namespaced]
        elif kind.stored_as == _CRD:
            spec = entry.obj["spec"]
            known = self._registry.of(spec["group"], spec["names"]["plural"])
            tables = [(known, None)] if known else []
        else:
            return []
        return [
            (child, known)
            for known, namespace in tables
            for child in self._storage.entries(*known.stored_as, namespace)
            if known.stored_as == (known.group, known.plural)
        ]

    def _mark(
        self, kind: Kind, entry: Entry, finalizers: list[str], grace: int, now: float
    ) -> Entry:
        obj: Obj = gojson.decode(entry.text)
        metadata = obj["metadata"]
        first = "deletionTimestamp" not in metadata
        if finalizers:
            metadata["finalizers"] = finalizers
        if first:
            metadata["deletionTimestamp"] = time_text(now + grace)
            metadata["deletionGracePeriodSeconds"] = grace
            if "generation" in metadata:
                metadata["generation"] += 1
        if kind.stored_as == _NAMESPACE:
            obj["status"] = {"phase": "Terminating"}
            obj["spec"] = {}
        if obj == entry.obj:
            return entry
        return self._storage.put(entry.key, obj)

    def _settle(self, entry: Entry, now: float) -> tuple[Entry, bool]:
        current = self._storage.get(entry.key)
        if current is None:
            return entry, True
        if self.is_due(current):
            return self.remove(current, now), True
        return current, False

    def is_due(self, entry: Entry) -> bool:
        """Whether an object that is being deleted has nothing left to wait for."""
        metadata = entry.obj["metadata"]
        if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
            return False
        if metadata.get("deletionGracePeriodSeconds"):
            return False
        kind = self._registry.of(entry.key.group, entry.key.plural)
        return kind is None or not self._contents(kind, entry)

    def remove(self, entry: Entry, now: float) -> Entry:
        """Take an object out, and then what depended on it alone."""
        last = self._storage.remove(entry.key)
        if (entry.key.group, entry.key.plural) == _CRD:
            spec = entry.obj["spec"]
            self._registry.drop(spec["group"], spec["names"]["plural"])
        if not self._collecting:
            self._collecting = True
            try:
                self._collect(now)
            finally:
                self._collecting = False
        return last

    def _collect(self, now: float) -> None:
        for uid, dependent in self._dependents.orphaned():
            left = without_owner(dependent.obj, uid)
            kind = self._registry.of(dependent.key.group, dependent.key.plural)
            current = self._storage.get(dependent.key)
            if kind is None or current is None:
                continue
            if any(self._exists(reference) for reference in left):
                self._set_owners(kind, current, left)
            else:
                self.delete(kind, current, Deletion(), now)
        self._finish_waiting(now)

    def _exists(self, reference: dict[str, Any]) -> bool:
        kind = self._registry.by_kind(reference.get("apiVersion", ""), reference.get("kind", ""))
        if kind is None:
            return True
        found = self._storage.entries(*kind.stored_as)
        return any(entry.obj["metadata"]["uid"] == reference.get("uid") for entry in found)

    def _set_owners(self, kind: Kind, entry: Entry, owners: list[Obj]) -> None:
        obj: Obj = gojson.decode(entry.text)
        if owners:
            obj["metadata"]["ownerReferences"] = owners
        else:
            obj["metadata"].pop("ownerReferences", None)
        self._write(Draft(kind, kind.storage.rpartition("/")[2], obj), entry)

    def _orphan(self, owner: Entry) -> None:
        uid = owner.obj["metadata"]["uid"]
        for dependent in self._dependents.of(uid):
            kind = self._registry.of(dependent.key.group, dependent.key.plural)
            if kind is not None:
                self._set_owners(kind, dependent, without_owner(dependent.obj, uid))
        self._drop_finalizer(owner, _FINALIZERS[ORPHAN])

    def _delete_dependents(self, owner: Entry, now: float) -> None:
        for dependent in self._dependents.of(owner.obj["metadata"]["uid"]):
            kind = self._registry.of(dependent.key.group, dependent.key.plural)
            if kind is not None:
                self.delete(kind, dependent, Deletion(propagation=FOREGROUND), now)

    def _finish_waiting(self, now: float) -> None:
        """Let go what waited: foreground owners without dependents, namespaces without contents."""
        for key in sorted(self._dependents.terminating):
            entry = self._storage.get(key)
            if entry is None:
                continue
            if not self._dependents.of(entry.obj["metadata"]["uid"]):
                self._drop_finalizer(entry, _FINALIZERS[FOREGROUND])
            self._settle(entry, now)

    def _drop_finalizer(self, entry: Entry, finalizer: str) -> None:
        current = self._storage.get(entry.key)
        if current is None or finalizer not in (current.obj["metadata"].get("finalizers") or ()):
            return
        obj: Obj = gojson.decode(current.text)
        left = [name for name in obj["metadata"]["finalizers"] if name != finalizer]
        if left:
            obj["metadata"]["finalizers"] = left
        else:
            del obj["metadata"]["finalizers"]
        self._storage.put(entry.key, obj)


def _grace(kind: Kind, obj: Obj, deletion: Deletion) -> int:
    """Seconds that a pod on a node is given; everything else goes at once."""
    if kind.stored_as != ("", "pods") or not obj["spec"].get("nodeName"):
        return 0
    if obj.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
        return 0
    if deletion.grace is not None:
        return deletion.grace
    return int(obj["spec"].get("terminationGracePeriodSeconds", 30))
