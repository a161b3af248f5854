"""A policy's text as a tree that remembers where everything stands.

Invariant: a node's place is where a person finds it in the file, whatever later moved or merged it.
Nothing here knows the policy's keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Line and column from 1, and the path as people write it."""

    line: int
    column: int
    path: str


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value; `text` is what stands in the file."""

    value: str | int | float | bool | None
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence."""

    items: tuple["Node", ...]
    place: Place


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping; `keys` says where each key stands (one added by a short form: at its value)."""

    entries: Mapping[str, "Node"]
    keys: Mapping[str, Place]
    place: Place

    def get(self, key: str) -> "Node | None":
        """The value under a key, or None."""
        return self.entries.get(key)

    def key_place(self, key: str) -> Place:
        """Where the key stands."""
        return self.keys[key]

    def with_entries(
        self, more: Mapping[str, "Node"], keys: Mapping[str, Place] | None = None
    ) -> "MapNode":
        """A copy with entries added or replaced."""
        places = {key: node.place for key, node in more.items()} | dict(keys or {})
        return MapNode({**self.entries, **more}, {**self.keys, **places}, self.place)

    def only(self, *kept: str) -> "MapNode":
        """A copy with no keys but these."""
        return self.without(*(key for key in self.entries if key not in kept))

    def without(self, *gone: str) -> "MapNode":
        """A copy without some keys."""
        kept = {key: node for key, node in self.entries.items() if key not in gone}
        return MapNode(kept, {key: self.keys[key] for key in kept}, self.place)


Node = ScalarNode | ListNode | MapNode


def plain(node: Node) -> Any:
    """The node as plain values; lists become tuples."""
    match node:
        case ScalarNode(value=value):
            return value
        case ListNode(items=items):
            return tuple(plain(item) for item in items)
        case _:
            return {key: plain(value) for key, value in node.entries.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """The deepest node on a way down, and the key it stands under."""

    node: Node
    key: Place
    rest: Path = ()


def find(root: Node, key: Place, path: Path) -> Found:
    """Follow `path` from `root`, which stands under `key`, as far as it goes."""
    node = root
    for index, step in enumerate(path):
        match node:
            case MapNode(entries=entries, keys=keys) if step in entries:
                node, key = entries[str(step)], keys[str(step)]
            case ListNode(items=items) if isinstance(step, int) and step < len(items):
                node = items[step]
                key = node.place
            case _:
                return Found(node, key, path[index:])
    return Found(node, key)
