"""Strategic merge patch for the built-in kinds: lists with a merge key are merged item by item.

Supported directives: `$patch: delete|replace|merge`, `$deleteFromPrimitiveList/<field>`,
`$setElementOrder/<field>`, `$retainKeys`. Custom kinds have no strategic merge (415).
"""

from typing import Any

from daemon.sandbox.api.resources import Shape

_DIRECTIVE = "$patch"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"


def strategic_merge(target: Any, patch: dict[str, Any], shape: Shape | None) -> Any:
    """Apply a patch in place; returns the result."""
    directive = patch.get(_DIRECTIVE)
    if directive == "replace" or not isinstance(target, dict):
        target = {}
    if directive == "delete":
        return {}
    if "$retainKeys" in patch:
        for name in set(target) - set(patch["$retainKeys"]):
            del target[name]
    for name, value in patch.items():
        if name.startswith(_DELETE):
            field = name.removeprefix(_DELETE)
            target[field] = [item for item in target.get(field) or [] if item not in value]
        elif not name.startswith("$"):
            _merge_member(target, name, value, shape.field(name) if shape else None)
    for name, order in patch.items():
        if name.startswith(_ORDER):
            field = name.removeprefix(_ORDER)
            _reorder(target, field, order, shape.field(field) if shape else None)
    return target


def _merge_member(target: dict[str, Any], name: str, value: Any, shape: Shape | None) -> None:
    if value is None:
        target.pop(name, None)
    elif isinstance(value, dict):
        if value.get(_DIRECTIVE) == "delete":
            target.pop(name, None)
        else:
            target[name] = strategic_merge(target.get(name), value, shape)
    elif isinstance(value, list) and shape is not None and shape.keys:
        target[name] = _merge_list(target.get(name) or [], value, shape)
    elif isinstance(value, list) and shape is not None and shape.is_set:
        present = target.get(name) or []
        target[name] = present + [item for item in value if item not in present]
    else:
        target[name] = value


def _merge_list(present: list[Any], patch: list[Any], shape: Shape) -> list[Any]:
    key = shape.keys[0]
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in patch):
        return [item for item in patch if _DIRECTIVE not in item]
    merged = list(present)
    for item in patch:
        found = next((i for i, other in enumerate(merged) if other.get(key) == item.get(key)), None)
        if item.get(_DIRECTIVE) == "delete":
            if found is not None:
                del merged[found]
        elif found is None:
            merged.append(strategic_merge({}, item, shape.items()))
        else:
            merged[found] = strategic_merge(merged[found], item, shape.items())
    return merged


def _reorder(target: dict[str, Any], field: str, order: list[Any], shape: Shape | None) -> None:
    if shape is None or field not in target:
        return
    key = shape.keys[0] if shape.keys else None
    wanted = [item.get(key) if key else item for item in order]

    def place(item: Any) -> int:
        identity = item.get(key) if key else item
        return wanted.index(identity) if identity in wanted else len(wanted)

    target[field] = sorted(target[field], key=place)
