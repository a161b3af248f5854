"""JSON as Go's encoder spells it, and reading JSON without losing how a scalar was spelt.

A JSON Patch `test` compares scalars as JSON text, so the server's own spelling must be Go's: `<`,
`>`, `&` and the two Unicode line separators escaped, everything else raw UTF-8, numbers without
`.0`. Nothing about Kubernetes belongs here.
"""

import json
import re
from collections.abc import Callable
from json.decoder import JSONDecoder
from typing import Any

_ESCAPES = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
_NEEDS_ESCAPE = re.compile("[<>&\u2028\u2029]")
_OTHER_NUMBER = re.compile(r"[:,\[]-?\d[\d.]*(?:e|\.0[,\]}])")
"""Text that may hold a number which Python and Go spell differently, or a string like one."""
_OTHER_STRING = re.compile(rb"[<>&]|\xe2\x80[\xa8\xa9]|\\[/uU]")
"""Bytes of a patch that may hold a string spelt otherwise than Go would spell it."""
_HALF_PAIR = re.compile("[\ud800-\udfff]")

_compact: Callable[[Any], str] = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), check_circular=False
).encode


class Spelt(str):
    """A string with the JSON text that it was sent as."""

    __slots__ = ("text",)
    text: str


class SpeltFloat(float):
    """A number with the JSON text that it was sent as."""

    __slots__ = ("text",)
    text: str


def encode(value: Any) -> bytes:
    """Spell a value as Go's json.Encoder does, without the trailing newline."""
    text = _compact(value)
    if _OTHER_NUMBER.search(text):
        text = _with_go_numbers(value)
    if _NEEDS_ESCAPE.search(text):
        text = text.translate(_ESCAPES)
    try:
        return text.encode()
    except UnicodeEncodeError:  # Go replaces half surrogate pairs when it reads them
        return _HALF_PAIR.sub("\ufffd", text).encode()


def _with_go_numbers(value: Any) -> str:
    if isinstance(value, dict):
        items = (f"{_compact(key)}:{_with_go_numbers(item)}" for key, item in value.items())
        return "{" + ",".join(items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_with_go_numbers(item) for item in value) + "]"
    return float_text(value) if isinstance(value, float) else _compact(value)


def float_text(value: float) -> str:
    """Spell a float as Go does: shortest digits, an exponent only below 1e-6 and from 1e21 on."""
    shortest = repr(float(value))
    mantissa, exponent_mark, exponent = shortest.partition("e")
    size = abs(value)
    if size == 0 or 1e-6 <= size < 1e21:
        if not exponent_mark:
            return shortest.removesuffix(".0")
        digits = len(mantissa.partition(".")[2])
        return f"{value:.{max(0, digits - int(exponent))}f}"
    sign, number = exponent[0], exponent[1:]
    if sign == "-":
        number = number.lstrip("0")
    return f"{mantissa.removesuffix('.0')}e{sign}{number}"


def scalar_text(value: Any) -> str:
    """JSON text of a scalar: as it was sent, where that is known, else as Go spells it."""
    if isinstance(value, Spelt | SpeltFloat):
        return value.text
    if isinstance(value, float):
        return float_text(value)
    return _compact(value).translate(_ESCAPES)


def decode(body: bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: not JSON, not UTF-8, NaN or Infinity, or nested too deep.
    """
    return _reading(json.loads, body, parse_constant=_refuse_constant)


def decode_spelt(body: bytes) -> tuple[Any, bool]:
    """Read JSON in which scalars that Go would have spelt differently remember their text.

    Returns:
        The value, and whether anything in it does remember its text.

    Raises:
        ValueError: see decode.
    """
    floats: list[SpeltFloat] = []

    def spelt_float(text: str) -> SpeltFloat:
        floats.append(SpeltFloat(text))
        floats[-1].text = text
        return floats[-1]

    options: dict[str, Any] = {"parse_float": spelt_float, "parse_constant": _refuse_constant}
    if _OTHER_STRING.search(body):
        return _reading(json.loads, body, cls=_SpeltDecoder, **options), True
    return _reading(json.loads, body, **options), bool(floats)


def _reading(read: Callable[..., Any], body: bytes, **options: Any) -> Any:
    try:
        return read(body.decode(), **options)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"invalid character in literal {name}")


def _spelt_string(text: str, end: int, strict: bool = True) -> tuple[str, int]:
    plain, after = json.decoder.scanstring(text, end, strict)  # type: ignore[attr-defined]
    spelt = Spelt(plain)
    spelt.text = text[end - 1 : after]
    return spelt, after


class _SpeltDecoder(JSONDecoder):
    """The pure-Python scanner: the C one does not let strings be hooked."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.parse_string = _spelt_string
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]
