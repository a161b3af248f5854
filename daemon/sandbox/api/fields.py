"""managedFields: who wrote which field, as FieldsV1 trees.

A tree maps path elements (`f:name`, `k:{"name":"x"}`, `v:"x"`) to trees; `{}` is an owned leaf,
and the member `.` says that the map or item itself is owned. Trees are never changed in place.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api.resources import Shape
from daemon.sandbox.api.shapes import METADATA

Tree = dict[str, Any]
Path = tuple[str, ...]
MAX_UPDATERS = 10
"""Managers by Update that are kept, as in the real one; older ones become `ancient-changes`."""
_MISSING = object()
_NOT_OWNED = frozenset({
    "name", "generateName", "namespace", "uid", "resourceVersion", "generation", "selfLink",
    "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, when, through which door."""

    manager: str
    operation: str
    time: str
    subresource: str = ""


@dataclass(slots=True)
class Difference:
    """Paths that differ between two objects. A path that ends in `.` is a map or item itself."""

    written: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)


def difference(old: Obj, new: Obj, shape: Shape | None) -> Difference:
    """What somebody changed who turned `old` into `new`; server-owned metadata is left out."""
    found = Difference()
    for name in {**old, **new}:
        before, after = old.get(name, _MISSING), new.get(name, _MISSING)
        if name in {"apiVersion", "kind"} or before == after:
            continue
        if name == "metadata":
            for member in {**(old.get(name) or {}), **(new.get(name) or {})}:
                if member in _NOT_OWNED:
                    continue
                sides = [(o.get(name) or {}).get(member, _MISSING) for o in (old, new)]
                path = ("f:metadata", f"f:{member}")
                _compare(sides[0], sides[1], METADATA.field(member), path, found)
        else:
            _compare(before, after, shape.field(name) if shape else None, (f"f:{name}",), found)
    return found


def _compare(old: Any, new: Any, shape: Shape | None, path: Path, found: Difference) -> None:
    if old is _MISSING:
        found.written.extend(_owned(new, shape, path))
    elif new is _MISSING:
        found.removed.append(path)
    elif old == new:
        return
    elif kind_of(old, shape) != kind_of(new, shape) or kind_of(old, shape) == "leaf":
        found.removed.append(path)
        found.written.extend(_owned(new, shape, path))
    else:
        before, after = dict(children(old, shape)), dict(children(new, shape))
        for element in {**before, **after}:
            below = child_shape(shape, element)
            sides = before.get(element, _MISSING), after.get(element, _MISSING)
            _compare(*sides, below, (*path, element), found)


def kind_of(value: Any, shape: Shape | None) -> str:
    """`map`, `list` or `set` where members are owned one by one, else `leaf`."""
    if isinstance(value, dict):
        return "leaf" if shape is not None and shape.atomic else "map"
    if isinstance(value, list) and shape is not None:
        if shape.keys and all(isinstance(item, dict) for item in value):
            return "list"
        if shape.is_set:
            return "set"
    return "leaf"


def children(value: Any, shape: Shape | None) -> Iterator[tuple[str, Any]]:
    """(path element, value) of the members of a map, keyed list or set."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield f"f:{name}", item
    elif shape is not None and shape.keys:
        for item in value:
            yield key_element(item, shape), item
    else:
        for item in value:
            yield f"v:{json.dumps(item)}", item


def key_element(item: dict[str, Any], shape: Shape) -> str:
    """`k:{"name":"x"}` of an item of a keyed list."""
    keys = {key: item.get(key, shape.key_default(key)) for key in sorted(shape.keys)}
    present = {key: value for key, value in keys.items() if value is not None}
    return f"k:{json.dumps(present, separators=(',', ':'))}"


def child_shape(shape: Shape | None, element: str) -> Shape | None:
    """Shape of what a path element leads to."""
    if shape is None:
        return None
    return shape.field(element[2:]) if element.startswith("f:") else shape.items()


def _owned(value: Any, shape: Shape | None, path: Path) -> Iterator[Path]:
    kind = kind_of(value, shape)
    if kind == "leaf" or not value:
        yield path
        return
    yield (*path, ".")
    for element, item in children(value, shape):
        yield from _owned(item, child_shape(shape, element), (*path, element))


# ---------------------------------------------------------------- trees


def insert(tree: Tree, path: Path) -> None:
    """Add a path to a tree that is still being built."""
    for element in path:
        tree = tree.setdefault(element, {})


def union(left: Tree, right: Tree) -> Tree:
    """Both trees' paths."""
    merged = dict(left)
    for element, below in right.items():
        merged[element] = union(merged[element], below) if element in merged else below
    return merged


def without(tree: Tree, path: Path) -> Tree:
    """The tree without a path and what is below it; maps that own nothing any more go too."""
    element, rest = path[0], path[1:]
    below = tree.get(element)
    if below is None or rest == (".",):
        return tree if below is None else _without_itself(tree, element)
    smaller = without(below, rest) if rest else None
    if smaller is below:
        return tree
    others = {key: value for key, value in tree.items() if key != element}
    return {**others, element: smaller} if smaller else others


def _without_itself(tree: Tree, element: str) -> Tree:
    """Without the ownership of a map itself; what is owned below stays."""
    below = {key: value for key, value in tree[element].items() if key != "."}
    others = {key: value for key, value in tree.items() if key != element}
    return {**others, element: below} if below else others


def paths(tree: Tree, before: Path = ()) -> Iterator[Path]:
    """All owned paths; that of a map itself without the `.`."""
    for element, below in tree.items():
        if element == ".":
            yield before
        elif below:
            yield from paths(below, (*before, element))
        else:
            yield (*before, element)


# ---------------------------------------------------------------- entries


def after_changes(
    entries: list[Obj], found: Difference, writer: Writer, api_version: str
) -> list[Obj]:
    """ManagedFields after these changes by this writer."""
    mine: Tree = {}
    for path in found.written:
        insert(mine, path)
    identity = (writer.manager, writer.operation, api_version, writer.subresource)
    kept: list[Obj] = []
    for entry in entries:
        is_mine = _identity(entry) == identity
        tree = entry.get("fieldsV1", {})
        for path in found.removed if is_mine else (*found.removed, *found.written):
            tree = without(tree, path)
        if is_mine:
            mine = union(tree, mine)
        elif tree:
            kept.append(entry if tree is entry.get("fieldsV1") else entry | {"fieldsV1": tree})
    if mine:
        kept.append(new_entry(writer, api_version, mine))
    return _bounded(kept)


def _identity(entry: Obj) -> tuple[str, str, str, str]:
    return (
        entry.get("manager", ""),
        entry.get("operation", ""),
        entry.get("apiVersion", ""),
        entry.get("subresource", ""),
    )


def new_entry(writer: Writer, api_version: str, tree: Tree) -> Obj:
    """One entry of managedFields."""
    entry: Obj = {
        "manager": writer.manager,
        "operation": writer.operation,
        "apiVersion": api_version,
        "time": writer.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": tree,
    }
    return entry | ({"subresource": writer.subresource} if writer.subresource else {})


def _bounded(entries: list[Obj]) -> list[Obj]:
    updaters = [entry for entry in entries if entry.get("operation") == "Update"]
    too_many = len(updaters) - MAX_UPDATERS
    if too_many <= 0:
        return entries
    old = sorted(updaters, key=lambda entry: entry.get("time", ""))[: too_many + 1]
    tree: Tree = {}
    for entry in old:
        tree = union(tree, entry.get("fieldsV1", {}))
    ancient = old[0] | {"manager": "ancient-changes", "fieldsV1": tree}
    return [ancient, *(entry for entry in entries if entry not in old)]
