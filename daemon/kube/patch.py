r"""JSON Patches, in the bytes that a Kubernetes API server compares with.

The API server compares scalars of a `test` as JSON text in the spelling of Go's `encoding/json`,
not as values. So a patch is encoded here as Go would, and these bytes go out as they are:
`<`, `>`, `&`, U+2028 and U+2029 as `\u003c` and so on, all other non-ASCII characters as they are,
`50.0` as `50`, `1e-07` as `1e-7`; `\b` and `\f` as Go >= 1.22 (Kubernetes >= 1.30) spells them.

Must not be put here: which tests and writes a decision needs (the routers know).
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from daemon.ports import Obj

Operation = dict[str, Any]
"""One operation of a JSON Patch (RFC 6902)."""

MAX_DEPTH: Final = 100
"""Deeper than any route; keeps a hostile value from exhausting the stack."""

GO_ESCAPES: Final = str.maketrans(
    {char: f"\\u{ord(char):04x}" for char in "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"}
)


def test(path: str, value: Any) -> Operation:
    """Demand that the value stands there; None: that nothing stands there (its parent must)."""
    return {"op": "test", "path": path, "value": value}


def add(path: str, value: Any) -> Operation:
    """Set or replace a member of an object; on an index of an array it *inserts*."""
    return {"op": "add", "path": path, "value": value}


def replace(path: str, value: Any) -> Operation:
    """Put the value in place of the one that stands there."""
    return {"op": "replace", "path": path, "value": value}


def remove(path: str) -> Operation:
    """Take away what stands there."""
    return {"op": "remove", "path": path}


def pointer(*parts: str | int) -> str:
    """Join to a JSON Pointer (RFC 6901), escaping `~` and `/` inside the parts."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def expect_annotation(obj: Obj, key: str) -> Operation:
    """Test that the annotation is as in `obj`: this text, no such key, or no annotations."""
    annotations = annotations_of(obj)
    if annotations is None:
        return test("/metadata/annotations", None)
    return test(pointer("metadata", "annotations", key), annotations.get(key))


def set_annotation(obj: Obj, key: str, text: str) -> Operation:
    """Set the annotation of an object that stands as in `obj`.

    Two of these in one patch are wrong where `obj` has no annotations: the second would replace the
    map that the first adds. Put `expect_annotation` before it: then the map is known to be absent.
    """
    if annotations_of(obj) is None:
        return add("/metadata/annotations", {key: text})
    return add(pointer("metadata", "annotations", key), text)


def annotations_of(obj: Obj) -> Mapping[str, Any] | None:
    """Return the annotations, or None where the object has no such map."""
    metadata = obj.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return annotations if isinstance(annotations, dict) else None


def encode(patch: list[Operation]) -> bytes:
    """Encode as Go's `encoding/json` does; members keep their order.

    Raises:
        ValueError: NaN, an infinity, a lone surrogate, or a value nested deeper than MAX_DEPTH.
        TypeError: something that is no JSON.
    """
    parts: list[str] = []
    _write(patch, parts, 0)
    return "".join(parts).encode()


def _write(value: Any, parts: list[str], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"The patch is nested deeper than {MAX_DEPTH}.")
    if isinstance(value, dict):
        parts.append("{")
        for index, (key, member) in enumerate(value.items()):
            parts.append(("," if index else "") + _text(key) + ":")
            _write(member, parts, depth + 1)
        parts.append("}")
    elif isinstance(value, list | tuple):
        parts.append("[")
        for index, item in enumerate(value):
            parts.append("," if index else "")
            _write(item, parts, depth + 1)
        parts.append("]")
    else:
        parts.append(_scalar(value))


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _number(value)
    return _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"A patch cannot carry {type(value).__name__}.")
    return json.dumps(value, ensure_ascii=False).translate(GO_ESCAPES)


def _number(value: float) -> str:
    """Spell the shortest digits as Go does: from 1e-6 to below 1e21 without an exponent."""
    if not math.isfinite(value):
        raise ValueError(f"A patch cannot carry the number {value}.")
    mantissa, _, exponent = float.__repr__(value).partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    digits, point = whole + fraction, len(whole) + int(exponent or 0)
    if value != 0 and not 1e-6 <= abs(value) < 1e21:
        stripped = digits.lstrip("0")
        power = point - (len(digits) - len(stripped)) - 1
        tail = stripped[1:].rstrip("0")
        return f"{sign}{stripped[0]}{'.' + tail if tail else ''}e{power:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return sign + digits.ljust(point, "0")
    return f"{sign}{digits[:point]}.{digits[point:]}"
