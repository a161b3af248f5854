"""Structural schemas of custom kinds: pruning, defaults, validation, and how lists and maps merge.

A node is made from the CRD's JSON the first time it is needed: a CRD of half a megabyte has far
more nodes than an object ever touches. CEL rules (`x-kubernetes-validations`) are not evaluated.
"""

import re
from typing import Any

from daemon.sandbox.api.status import Cause

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_ROOT_FIELDS = frozenset({"apiVersion", "kind", "metadata"})
MAX_CAUSES = 50
"""Causes of one refusal; more help nobody."""


class Schema:
    """One node of a structural schema."""

    __slots__ = ("_fields", "_items", "embedded", "open", "raw", "type")

    def __init__(self, raw: dict[str, Any], *, root: bool = False) -> None:
        self.raw = raw
        self.type: str = raw.get("type", "")
        self.open: bool = bool(raw.get("x-kubernetes-preserve-unknown-fields"))
        self.embedded: bool = root or bool(raw.get("x-kubernetes-embedded-resource"))
        self._fields: dict[str, Schema | None] = {}
        self._items: Schema | None = None

    @property
    def takes_anything(self) -> bool:
        """Whether nothing at all is said about the value, so that nothing is ever pruned below."""
        return self.open and not (self.raw.get("properties") or self.raw.get("items"))

    def field(self, name: str) -> "Schema | None":
        """Schema of a member, or None where the schema knows none."""
        if name not in self._fields:
            raw = self.raw.get("properties", {}).get(name)
            if raw is None:
                raw = self.raw.get("additionalProperties") or None
            if raw is True:
                raw = {"x-kubernetes-preserve-unknown-fields": True}
            self._fields[name] = None if raw is None else Schema(raw)
        return self._fields[name]

    def items(self) -> "Schema | None":
        """Schema of a list's items."""
        if self._items is None and "items" in self.raw:
            self._items = Schema(self.raw["items"])
        return self._items

    # How server-side apply merges (the same questions as shapes.Shape answers for built-in kinds).

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the members that identify an item of this list; empty if it has no such keys."""
        if self.raw.get("x-kubernetes-list-type") == "map":
            return tuple(self.raw.get("x-kubernetes-list-map-keys", ()))
        return ()

    @property
    def is_set(self) -> bool:
        """Whether this list is a set of scalars."""
        return bool(self.raw.get("x-kubernetes-list-type") == "set")

    @property
    def atomic(self) -> bool:
        """Whether this map is owned as a whole."""
        return bool(self.raw.get("x-kubernetes-map-type") == "atomic")

    def key_default(self, key: str) -> Any:
        """Default of a list key that an item leaves out."""
        items = self.items()
        field = items.field(key) if items else None
        return field.raw.get("default") if field else None


_NEW = object()
"""Stands for "there was nothing before", which equals nothing."""


def settle(value: Any, schema: Schema, path: str, unknown: list[str], old: Any = _NEW) -> None:
    """Prune and default in place, depth first; names of what was pruned are added to `unknown`.

    What equals the `old` value at its place was settled when that was stored, and is skipped.
    """
    if value == old:
        return
    if isinstance(value, dict):
        _settle_object(value, schema, path, unknown, old)
    elif isinstance(value, list):
        items = schema.items()
        if items is not None:
            for index, item in enumerate(value):
                settle(item, items, f"{path}[{index}]", unknown, _item(old, index))


def _member(old: Any, name: str) -> Any:
    return old.get(name, _NEW) if isinstance(old, dict) else _NEW


def _item(old: Any, index: int) -> Any:
    return old[index] if isinstance(old, list) and index < len(old) else _NEW


def _settle_object(
    value: dict[str, Any], schema: Schema, path: str, unknown: list[str], old: Any
) -> None:
    if schema.takes_anything and not schema.embedded:
        return
    for name in list(value):
        if schema.embedded and name in _ROOT_FIELDS:
            continue
        field = schema.field(name)
        if field is None:
            if not schema.open:
                del value[name]
                unknown.append(f"{path}.{name}" if path else name)
        elif value[name] is None:
            if not field.raw.get("nullable") and not field.open:
                del value[name]  # as the real one does before it fills in defaults
        else:
            where = f"{path}.{name}" if path else name
            settle(value[name], field, where, unknown, _member(old, name))
    for name, raw in schema.raw.get("properties", {}).items():
        if name not in value and "default" in raw:
            value[name] = _copy(raw["default"])
            field = schema.field(name)
            assert field is not None
            settle(value[name], field, f"{path}.{name}", [])


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def check(value: Any, schema: Schema, path: str, causes: list[Cause], old: Any = _NEW) -> None:
    """Add to `causes` what the schema refuses; what equals the `old` value is not looked at."""
    if value == old or len(causes) >= MAX_CAUSES:
        return
    raw = schema.raw
    if value is None and raw.get("nullable"):
        return
    if not _type_fits(value, schema):
        wanted = schema.type or "integer,string"
        named = {dict: "object", list: "array", bool: "boolean", type(None): "null"}
        got = named.get(type(value), "string" if isinstance(value, str) else "number")
        message = f'Invalid value: "{got}": {path} in body must be of type {wanted}: "{got}"'
        causes.append(("FieldValueTypeInvalid", message, path))
        return
    if isinstance(value, dict):
        _check_object(value, schema, path, causes, old)
    elif isinstance(value, list):
        _check_list(value, schema, path, causes, old)
    else:
        _check_scalar(value, raw, path, causes)
    if "enum" in raw and value not in raw["enum"]:
        listed = ", ".join(f'"{item}"' for item in raw["enum"])
        message = f"Unsupported value: {_show(value)}: supported values: {listed}"
        causes.append(("FieldValueNotSupported", message, path))
    _check_combinations(value, raw, path, causes)


def _type_fits(value: Any, schema: Schema) -> bool:
    if schema.raw.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    if not schema.type:
        return True
    if isinstance(value, bool):
        return schema.type == "boolean"
    if schema.type == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(schema.type, (object,)))


def _check_object(
    value: dict[str, Any], schema: Schema, path: str, causes: list[Cause], old: Any
) -> None:
    raw = schema.raw
    for name in raw.get("required", ()):
        if name not in value:
            where = f"{path}.{name}" if path else name
            causes.append(("FieldValueRequired", "Required value", where))
    for word, count, fits in (
        ("at most", raw.get("maxProperties"), int.__le__),
        ("at least", raw.get("minProperties"), int.__ge__),
    ):
        if count is not None and not fits(len(value), count):
            message = (
                f"Invalid value: {len(value)}: {path} in body should have {word} {count} properties"
            )
            causes.append(("FieldValueInvalid", message, path))
    for name, item in value.items():
        if schema.embedded and name in _ROOT_FIELDS:
            continue
        field = schema.field(name)
        if field is not None:
            check(item, field, f"{path}.{name}" if path else name, causes, _member(old, name))


def _check_list(value: list[Any], schema: Schema, path: str, causes: list[Cause], old: Any) -> None:
    raw = schema.raw
    most, least = raw.get("maxItems"), raw.get("minItems")
    if most is not None and len(value) > most:
        message = f"Too many: {len(value)}: must have at most {most} items"
        causes.append(("FieldValueTooMany", message, path))
    if least is not None and len(value) < least:
        message = f"Invalid value: {len(value)}: {path} in body should have at least {least} items"
        causes.append(("FieldValueInvalid", message, path))
    items = schema.items()
    for index, item in enumerate(value if items is not None else ()):
        assert items is not None
        check(item, items, f"{path}[{index}]", causes, _item(old, index))
    _check_unique(value, schema, path, causes)


def _check_unique(value: list[Any], schema: Schema, path: str, causes: list[Cause]) -> None:
    if not (schema.keys or schema.is_set):
        return
    seen = []
    for index, item in enumerate(value):
        if schema.keys:
            item = {key: item.get(key, schema.key_default(key)) for key in schema.keys}  # noqa: PLW2901 -- the item's identity stands for it
        if item in seen:
            causes.append(
                ("FieldValueDuplicate", f"Duplicate value: {_show(item)}", f"{path}[{index}]")
            )
        seen.append(item)


def _check_scalar(value: Any, raw: dict[str, Any], path: str, causes: list[Cause]) -> None:
    def refuse(what: str) -> None:
        message = f"Invalid value: {_show(value)}: {path} in body should {what}"
        causes.append(("FieldValueInvalid", message, path))

    if isinstance(value, str):
        if len(value) > raw.get("maxLength", len(value)):
            message = f"Too long: may not be more than {raw['maxLength']} bytes"
            causes.append(("FieldValueTooLong", message, path))
        if len(value) < raw.get("minLength", 0):
            refuse(f"be at least {raw['minLength']} chars long")
        if "pattern" in raw and not _matches(raw["pattern"], value):
            refuse(f"match '{raw['pattern']}'")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        above = raw.get("exclusiveMaximum") and value == raw.get("maximum")
        below = raw.get("exclusiveMinimum") and value == raw.get("minimum")
        if value > raw.get("maximum", value) or above:
            refuse(f"be less than or equal to {raw['maximum']}")
        if value < raw.get("minimum", value) or below:
            refuse(f"be greater than or equal to {raw['minimum']}")
        if raw.get("multipleOf") and value % raw["multipleOf"]:
            refuse(f"be a multiple of {raw['multipleOf']}")


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:  # Go's syntax, which Python cannot read: not ours to judge
        return True


def _check_combinations(value: Any, raw: dict[str, Any], path: str, causes: list[Cause]) -> None:
    def fits(part: dict[str, Any]) -> bool:
        found: list[Cause] = []
        check(value, Schema(part), path, found)
        return not found

    def refuse(rule: str) -> None:
        message = f'Invalid value: "": "{path}" must validate {rule}'
        causes.append(("FieldValueInvalid", message, path))

    if "allOf" in raw and not all(map(fits, raw["allOf"])):
        refuse("all the schemas (allOf)")
    # An int-or-string says its two types by anyOf as well; the type check has settled that.
    if (
        "anyOf" in raw
        and not raw.get("x-kubernetes-int-or-string")
        and not any(map(fits, raw["anyOf"]))
    ):
        refuse("at least one schema (anyOf)")
    if "oneOf" in raw and sum(map(fits, raw["oneOf"])) != 1:
        refuse("one and only one schema (oneOf)")
    if "not" in raw and fits(raw["not"]):
        refuse("none of the schemas (not)")


def _show(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
