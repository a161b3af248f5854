"""Server-side apply: a manager states the fields it wants; conflicts with other owners are refused.

Fields that the manager stated last time, states no more, and nobody else owns are removed.
"""

import json
from collections.abc import Iterable
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api import fields
from daemon.sandbox.api.fields import Path, Tree, Writer
from daemon.sandbox.api.patches import clone
from daemon.sandbox.api.resources import Shape
from daemon.sandbox.api.shapes import METADATA
from daemon.sandbox.api.status import StatusError

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class _Root:
    """Shape of a whole object: metadata as everywhere, the rest by kind."""

    keys: tuple[str, ...] = ()
    is_set = False
    atomic = False

    def __init__(self, shape: Shape | None) -> None:
        self._shape = shape

    def field(self, name: str) -> Shape | None:
        if name == "metadata":
            return METADATA
        return self._shape.field(name) if self._shape else None

    def items(self) -> Shape | None:
        return None

    def key_default(self, _key: str) -> Any:
        return None


def server_side_apply(
    live: Obj, stated: Obj, shape: Shape | None, writer: Writer, *, force: bool
) -> tuple[Obj, list[Obj]]:
    """Merge what is stated into a copy of the live object.

    Args:
        live: the current object, or one with only a name if it is being created.
        stated: the applied configuration, in the same API version.
        shape: how lists and maps of the kind merge.
        writer: operation is Apply.
        force: take over what others own instead of refusing.

    Returns:
        The merged object, and its managedFields (the live one's list if nothing changed).

    Raises:
        StatusError: 409 with causes FieldManagerConflict.
    """
    root = _Root(shape)
    entries: list[Obj] = live["metadata"].get("managedFields") or []
    mine = next((e for e in entries if _is_mine(e, writer)), None)
    wanted = stated_tree(stated, shape)
    merged = _merge(clone(live), _applicable(stated), root)
    changed = fields.difference(live, merged, shape)
    others = [entry for entry in entries if entry is not mine]
    if not force:
        _refuse_conflicts(others, changed.written, _left_by_kubectl(live, shape, writer))
    owned_elsewhere = {p for entry in others for p in fields.paths(entry.get("fieldsV1", {}))}
    if mine is not None:
        _drop_unstated(merged, mine.get("fieldsV1", {}), wanted, owned_elsewhere, root)
    changed = fields.difference(live, merged, shape)
    if mine is not None and mine["fieldsV1"] == wanted and not _any(changed):
        return merged, entries
    kept = []
    for entry in others:
        tree = entry.get("fieldsV1", {})
        for path in (*changed.written, *changed.removed):
            tree = fields.without(tree, path)
        if tree:
            kept.append(entry | {"fieldsV1": tree})
    return merged, [*kept, fields.new_entry(writer, stated["apiVersion"], wanted)]


def _any(changed: fields.Difference) -> bool:
    return bool(changed.written or changed.removed)


def _is_mine(entry: Obj, writer: Writer) -> bool:
    return (entry.get("manager"), entry.get("operation"), entry.get("subresource", "")) == (
        writer.manager,
        "Apply",
        writer.subresource,
    )


def _applicable(stated: Obj) -> Obj:
    """What of an applied configuration is merged: not what only the server writes."""
    metadata = {
        name: value
        for name, value in (stated.get("metadata") or {}).items()
        if name not in {"managedFields", "resourceVersion", "uid", "creationTimestamp"}
    }
    return stated | {"metadata": metadata}


def stated_tree(stated: Obj, shape: Shape | None) -> Tree:
    """The fields that a configuration states: leaves, and keyed items themselves."""
    tree: Tree = {}
    for path in fields.difference({}, stated, shape).written:
        if path[-1] != "." or path[-2].startswith("k:"):
            fields.insert(tree, path)
    return tree


def _merge(live: Any, stated: Any, shape: Shape | None) -> Any:
    kind = fields.kind_of(stated, shape)
    if kind == "map" and isinstance(live, dict):
        for name, value in stated.items():
            if name in live:
                live[name] = _merge(live[name], value, shape.field(name) if shape else None)
            else:
                live[name] = clone(value)
        return live
    if kind == "list" and isinstance(live, list):
        assert shape is not None
        present = {fields.key_element(item, shape): item for item in live}
        for item in stated:
            element = fields.key_element(item, shape)
            if element in present:
                _merge(present[element], item, shape.items())
            else:
                live.append(clone(item))
        return live
    if kind == "set" and isinstance(live, list):
        return live + [item for item in stated if item not in live]
    return clone(stated)


def _left_by_kubectl(live: Obj, shape: Shape | None, writer: Writer) -> set[Path]:
    """Fields that client-side `kubectl apply` stated, so that its server-side one may take them.

    As in the real one: only for the manager `kubectl`, and only where the live object still has
    what the last-applied annotation says.
    """
    text = (live["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    if text is None or writer.manager != "kubectl":
        return set()
    try:
        applied = json.loads(text)
        changed = fields.difference(applied, live, shape)
    except (ValueError, AttributeError, TypeError):
        return set()
    stated = set(fields.paths(stated_tree(applied, shape)))
    return stated - {*changed.written, *changed.removed}


def _refuse_conflicts(others: Iterable[Obj], written: Iterable[Path], allowed: set[Path]) -> None:
    changed = {path for path in written if path[-1] != "."} - allowed
    causes: list[tuple[str, str]] = []
    for entry in others:
        owned = changed & set(fields.paths(entry.get("fieldsV1", {})))
        who = f'"{entry.get("manager", "")}"'
        if entry.get("subresource"):
            who += f' with subresource "{entry["subresource"]}"'
        if entry.get("operation") == "Update":
            who += f" using {entry.get('apiVersion', '')}"
        causes.extend((who, _spell(path)) for path in sorted(owned))
    if not causes:
        return
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    raise StatusError(
        "Conflict",
        f"Apply failed with {count}: {_conflict_text(causes)}",
        {
            "causes": [
                {
                    "reason": "FieldManagerConflict",
                    "message": f"conflict with {who}",
                    "field": path,
                }
                for who, path in causes
            ]
        },
    )


def _conflict_text(causes: list[tuple[str, str]]) -> str:
    if len(causes) == 1:
        return f"conflict with {causes[0][0]}: {causes[0][1]}"
    lines = []
    for who in dict.fromkeys(who for who, _ in causes):
        lines.append(f"conflicts with {who}:")
        lines.extend(f"- {path}" for other, path in causes if other == who)
    return "\n".join(lines)


def _spell(path: Path) -> str:
    """`.spec.containers[name="x"].image`, as conflicts name a field."""
    text = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            keys = json.loads(rest)
            inner = ",".join(f"{key}={json.dumps(value)}" for key, value in keys.items())
            text += f"[{inner}]"
        else:
            text += f"[={rest}]"
    return text


def _drop_unstated(
    merged: Obj, before: Tree, wanted: Tree, elsewhere: set[Path], root: Shape
) -> None:
    stated = set(fields.paths(wanted))
    gone = sorted(set(fields.paths(before)) - stated, key=len)
    for path in gone:
        needed = any(other[: len(path)] == path for other in elsewhere | stated)
        if not needed:
            _remove(merged, path, root)


def _remove(value: Any, path: Path, shape: Shape | None) -> None:
    element, rest = path[0], path[1:]
    for found, item in list(fields.children(value, shape)) if value else ():
        if found != element:
            continue
        if rest:
            if isinstance(item, dict | list):
                _remove(item, rest, fields.child_shape(shape, element))
        elif isinstance(value, dict):
            del value[element[2:]]
        else:
            value.remove(item)
        return
