"""What a smoke request expects, in its final words, and whether an answer meets it.

Pure. Every sentence names what was expected and what kind of thing came, never the body itself.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from config.schema import Expect
from daemon.ports import HttpAnswer

MAX_SHOWN = 120
"""Characters of an expectation that a sentence repeats."""
_MISSING = object()
"""Stands for "nothing there", which JSON's null is not."""


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace `{{ name }}` for the names given; anything else in braces stays as it is."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: values.get(found[1], found[0]), text)


def looks_into_body(expect: Expect) -> bool:
    """Whether anything is expected of the body itself."""
    wanted = (expect.body_contains, expect.body_matches, expect.json_path)
    return any(want is not None for want in wanted)


def unmet(answer: HttpAnswer, expect: Expect, values: Mapping[str, str]) -> str:
    """Say the first expectation that an answer does not meet; empty if it meets them all."""
    if answer.status != expect.status:
        return f"expected status {expect.status}, got {answer.status}"
    if answer.seconds > expect.within.total_seconds():
        allowed = expect.within.total_seconds()
        return f"expected an answer within {_time(allowed)}, it took {_time(answer.seconds)}"
    body = answer.body.decode("utf-8", "replace")
    size = f"got {len(answer.body)} bytes without it"
    if expect.body_contains is not None:
        wanted = fill(expect.body_contains, values)
        if wanted not in body:
            return f"expected a body that contains {_show(wanted)}, {size}"
    if expect.body_matches is not None:
        escaped = {name: re.escape(value) for name, value in values.items()}
        if not re.search(fill(expect.body_matches, escaped), body):
            return f"expected a body that matches {_show(expect.body_matches)}, {size}"
    if expect.json_path:
        return _unmet_json(body, expect.json_path, lambda text: fill(text, values))
    return ""


def _unmet_json(body: str, wanted: Mapping[str, Any], fill_in: Callable[[str], str]) -> str:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return f"expected JSON, got {len(body)} characters that are none"
    for path, value in wanted.items():
        expected = fill_in(value) if isinstance(value, str) else value
        found = _follow(document, path)
        if not _equal(found, expected):
            shown = _short(json.dumps(expected, ensure_ascii=False))
            return f"expected {shown} at {path}, got {_kind(found)}"
    return ""


def _follow(document: Any, path: str) -> Any:
    """Follow `$.name.other[0]`; the grammar is checked by the policy's loader."""
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(\d{1,6})\]", path.removeprefix("$")):
        if name and isinstance(document, dict):
            document = document.get(name, _MISSING)
        elif index and isinstance(document, list) and int(index) < len(document):
            document = document[int(index)]
        else:
            return _MISSING
    return document


def _equal(found: Any, expected: Any) -> bool:
    """Compare as JSON does: true is not 1, but 1 is 1.0."""
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    return bool(found == expected)


def _kind(value: Any) -> str:
    """Name the kind of a value, without telling it."""
    if value is _MISSING:
        return "nothing there"
    if value is None:
        return "null"
    kinds = {bool: "another boolean", int: "a number", float: "a number", str: "a string"}
    return kinds.get(type(value)) or ("a list" if isinstance(value, list) else "an object")


def _show(text: str) -> str:
    return f"'{_short(text)}'"


def _short(text: str) -> str:
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return plain if len(plain) <= MAX_SHOWN else plain[: MAX_SHOWN - 3] + "..."


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
