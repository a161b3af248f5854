"""Versions of objects, one global resourceVersion, a bounded history, and who is told of changes.

Invariant: an `Entry` and everything reachable from it never changes; readers that want to edit
decode its text. Nothing about HTTP, defaults or validation belongs here.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from daemon.ports import Obj
from daemon.sandbox.api import gojson

HISTORY = 10_000
"""Changes that are remembered for watches and pages; an older resourceVersion is 410 Gone."""
FIRST_VERSION = 1_000
"""The first resourceVersion, so that "0" and "1" are never those of an object."""


class Key(NamedTuple):
    """Where an object is stored. `namespace` is "" for cluster-wide kinds."""

    group: str
    plural: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one object.

    Attributes:
        obj: the parsed object; read only.
        text: the same as JSON in Go's spelling.
        version: its resourceVersion.
        views: JSON in other API versions, made on demand.
    """

    key: Key
    obj: Obj
    text: bytes
    version: int
    views: dict[str, bytes] = field(default_factory=dict)


class Change(NamedTuple):
    """One step of the history: `old` None was a creation, `new` None a deletion.

    `last` is what a watcher is told of a deletion: the last state, with the deletion's version.
    """

    version: int
    old: Entry | None
    new: Entry | None
    last: Entry

    @property
    def key(self) -> Key:
        """Of which object."""
        return self.last.key


Listener = Callable[[Change], None]


class Storage:
    """The objects of one cluster."""

    def __init__(self, *, history: int = HISTORY) -> None:
        self._tables: dict[tuple[str, str], dict[tuple[str, str], Entry]] = {}
        self._changes: deque[Change] = deque(maxlen=history)
        self._listeners: dict[int, Listener] = {}
        self._next_listener = 0
        self._forgotten = FIRST_VERSION
        self.version = FIRST_VERSION

    def get(self, key: Key) -> Entry | None:
        """The current version of an object."""
        table = self._tables.get((key.group, key.plural))
        return table.get((key.namespace, key.name)) if table else None

    def entries(self, group: str, plural: str, namespace: str | None = None) -> list[Entry]:
        """Current versions, by namespace and name; `namespace` None means all."""
        table = self._tables.get((group, plural), {})
        names = sorted(table if namespace is None else (n for n in table if n[0] == namespace))
        return [table[name] for name in names]

    def entries_at(
        self, group: str, plural: str, namespace: str | None, version: int
    ) -> list[Entry] | None:
        """The versions that were current at `version`, or None if that is forgotten."""
        if version < self._forgotten:
            return None
        entries = {entry.key: entry for entry in self.entries(group, plural, namespace)}
        for change in reversed(self._changes):
            if change.version <= version:
                break
            key = change.key
            if (key.group, key.plural) != (group, plural) or namespace not in {None, key.namespace}:
                continue
            if change.old is None:
                entries.pop(key, None)
            else:
                entries[key] = change.old
        return [entries[key] for key in sorted(entries)]

    def put(self, key: Key, obj: Obj) -> Entry:
        """Store the next version of an object; sets its resourceVersion. Takes `obj` over."""
        old = self.get(key)
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        entry = Entry(key, obj, gojson.encode(obj), self.version)
        self._tables.setdefault((key.group, key.plural), {})[key.namespace, key.name] = entry
        self._tell(Change(self.version, old, entry, entry))
        return entry

    def remove(self, key: Key) -> Entry:
        """Remove an object; returns its last state with the deletion's resourceVersion."""
        old = self._tables[key.group, key.plural].pop((key.namespace, key.name))
        self.version += 1
        metadata = old.obj["metadata"] | {"resourceVersion": str(self.version)}
        obj = old.obj | {"metadata": metadata}
        last = Entry(key, obj, gojson.encode(obj), self.version)
        self._tell(Change(self.version, old, None, last))
        return last

    def _tell(self, change: Change) -> None:
        if len(self._changes) == self._changes.maxlen:
            self._forgotten = self._changes[0].version
        self._changes.append(change)
        for listener in list(self._listeners.values()):
            listener(change)

    def since(self, version: int) -> Iterator[Change] | None:
        """Changes after `version`, oldest first, or None if some of them are forgotten."""
        if version < self._forgotten:
            return None
        return iter([change for change in self._changes if change.version > version])

    def forget(self) -> None:
        """Drop the history: every older resourceVersion is 410 from now on (etcd's compaction)."""
        self._changes.clear()
        self._forgotten = self.version

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` on every change, in order and at once; returns how to stop it."""
        number = self._next_listener
        self._next_listener += 1
        self._listeners[number] = listener
        return lambda: self._listeners.pop(number, None) and None
