"""As much of JSON Schema (draft 2020-12) as the policy's schema uses, and nothing else."""

import re
from collections.abc import Iterator
from typing import Any

KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "default", "examples", "type", "const", "enum",
    "pattern", "minLength", "maxLength", "minimum", "maximum", "items", "minItems", "maxItems",
    "properties", "required", "additionalProperties", "propertyNames", "minProperties",
    "maxProperties", "anyOf", "oneOf",
}  # fmt: skip
TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def complaints(value: Any, schema: Any, root: dict[str, Any], path: str = "") -> Iterator[str]:
    """What a validator would say about a value; each complaint begins with the path."""
    if schema is True:
        return
    if schema is False:
        yield f"{path}: not possible"
        return
    unknown = schema.keys() - KNOWN
    assert not unknown, f"the schema uses {unknown}, which is not understood here"
    if "$ref" in schema:
        yield from complaints(
            value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, path
        )
    if "type" in schema and not TYPES[schema["type"]](value):
        yield f"{path}: not of type {schema['type']}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{path}: not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: none of {schema['enum']}"
    for key, count in (("anyOf", range(1, 99)), ("oneOf", range(1, 2))):
        if key in schema:
            fitting = [one for one in schema[key] if not list(complaints(value, one, root, path))]
            if len(fitting) not in count:
                yield f"{path}: fits {len(fitting)} of {key}"
    match value:
        case str():
            yield from _text(value, schema, path)
        case bool():
            pass
        case int() | float():
            if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
                yield f"{path}: out of bounds"
        case list():
            if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
                yield f"{path}: too few or too many"
            for index, item in enumerate(value):
                yield from complaints(item, schema.get("items", True), root, f"{path}[{index}]")
        case dict():
            yield from _mapping(value, schema, root, path)


def _text(value: str, schema: dict[str, Any], path: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{path}: too short or too long"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: does not match {schema['pattern']}"


def _mapping(value: dict[str, Any], schema: Any, root: dict[str, Any], path: str) -> Iterator[str]:
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        yield f"{path}: too few or too many"
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{path}: {key} is required"
    for key, inner in value.items():
        yield from complaints(key, schema.get("propertyNames", True), root, f"{path}.{key}")
        known = schema.get("properties", {})
        expected = known.get(key, schema.get("additionalProperties", True))
        yield from complaints(inner, expected, root, f"{path}.{key}")
