"""JSON Patch as the API server's Go library applies it, and JSON Merge Patch.

What differs from RFC 6902, and matters: `test` compares scalars as JSON text; `test` with null
(or without a value) passes on a missing member whose parent exists; negative array indices count
from the end. Documents are changed in place: callers hand in copies.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from daemon.sandbox.api import gojson
from daemon.sandbox.api.status import bad_request, rejected_patch

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
MAX_OPERATIONS = 10_000
"""Operations of one JSON Patch, the API server's own limit."""
_MISSING = object()


class Patch(NamedTuple):
    """A patch as it came over the wire; the content type says which kind it is."""

    content_type: str
    body: bytes


class _CannotApplyError(Exception):
    """The patch does not fit the document; the API server does not tell how."""


def json_patch(document: Any, body: bytes) -> Any:
    """Apply a JSON Patch; in place; returns the new document.

    Raises:
        StatusError: 400, the body is no list of operations; 422 without details, anything else.
    """
    try:
        operations, spelt = gojson.decode_spelt(body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    if not isinstance(operations, list) or not all(isinstance(o, dict) for o in operations):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal into Go value of type jsonpatch.Patch"
        )
    if len(operations) > MAX_OPERATIONS:
        raise bad_request(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}")
    try:
        for operation in operations:
            document = _apply(document, operation)
    except _CannotApplyError:
        raise rejected_patch() from None
    return clone(document) if spelt else document


def _apply(document: Any, operation: dict[str, Any]) -> Any:
    apply = _OPERATIONS.get(str(operation.get("op")))
    path = operation.get("path")
    if apply is None or not isinstance(path, str):
        raise _CannotApplyError
    return apply(document, path, operation)


def _parts(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise _CannotApplyError
    return [part.replace("~1", "/").replace("~0", "~") for part in str(path).split("/")[1:]]


def _container(document: Any, path: str) -> tuple[Any, str]:
    """The map or list that holds the last part of the path, and that part."""
    parts = _parts(path)
    if not parts:
        raise _CannotApplyError
    for part in parts[:-1]:
        document = _member(document, part)
        if document is _MISSING:
            raise _CannotApplyError
    if not isinstance(document, dict | list):
        raise _CannotApplyError
    return document, parts[-1]


def _member(container: Any, name: str) -> Any:
    if isinstance(container, dict):
        return container.get(name, _MISSING)
    if isinstance(container, list):
        index = _index(name, len(container))
        if index >= len(container):
            raise _CannotApplyError
        return container[index]
    return _MISSING


def _index(name: str, length: int) -> int:
    if not name.removeprefix("-").isdecimal():
        raise _CannotApplyError
    index = int(name)
    if index < 0:
        index += length
    if index < 0:
        raise _CannotApplyError
    return index


def _insert(container: Any, name: str, value: Any) -> None:
    if isinstance(container, dict):
        container[name] = value
    elif name == "-":
        container.append(value)
    else:
        index = _index(name, len(container) + 1)
        if index > len(container):
            raise _CannotApplyError
        container.insert(index, value)


def _add(document: Any, path: str, operation: dict[str, Any]) -> Any:
    if path == "":
        return operation.get("value")
    container, name = _container(document, path)
    _insert(container, name, operation.get("value"))
    return document


def _remove(document: Any, path: str, _operation: dict[str, Any]) -> Any:
    container, name = _container(document, path)
    if _member(container, name) is _MISSING:
        raise _CannotApplyError
    if isinstance(container, dict):
        del container[name]
    else:
        del container[_index(name, len(container))]
    return document


def _replace(document: Any, path: str, operation: dict[str, Any]) -> Any:
    if path == "":
        return operation.get("value")
    container, name = _container(document, path)
    # RFC 6902 refuses a missing member, too; the real server's library writes it.
    if not isinstance(container, dict) and _member(container, name) is _MISSING:
        raise _CannotApplyError
    key: Any = name if isinstance(container, dict) else _index(name, len(container))
    container[key] = operation.get("value")
    return document


def _source(document: Any, operation: dict[str, Any]) -> tuple[str, Any]:
    source = operation.get("from")
    if not isinstance(source, str):
        raise _CannotApplyError
    container, name = _container(document, source)
    value = _member(container, name)
    if value is _MISSING:
        raise _CannotApplyError
    return source, value


def _move(document: Any, path: str, operation: dict[str, Any]) -> Any:
    source, value = _source(document, operation)
    _remove(document, source, operation)
    return _add(document, path, {"value": value})


def _copy(document: Any, path: str, operation: dict[str, Any]) -> Any:
    _, value = _source(document, operation)
    return _add(document, path, {"value": clone(value)})


def _test(document: Any, path: str, operation: dict[str, Any]) -> Any:
    wanted = operation.get("value")
    if path == "":
        found = document
    else:
        container, name = _container(document, path)
        found = _member(container, name)
    if found is _MISSING or found is None:
        equal = wanted is None
    else:
        equal = wanted is not None and _equal(found, wanted)
    if not equal:
        raise _CannotApplyError
    return document


_OPERATIONS: dict[str, Callable[[Any, str, dict[str, Any]], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _equal(found: Any, wanted: Any) -> bool:
    if isinstance(found, dict):
        return (
            isinstance(wanted, dict)
            and found.keys() == wanted.keys()
            and all(_equal(value, wanted[name]) for name, value in found.items())
        )
    if isinstance(found, list):
        return (
            isinstance(wanted, list)
            and len(found) == len(wanted)
            and all(map(_equal, found, wanted))
        )
    if isinstance(wanted, dict | list):
        return False
    if type(found) is type(wanted) and type(found) in {str, int, bool}:  # both as Go spells them
        return bool(found == wanted)
    return gojson.scalar_text(found) == gojson.scalar_text(wanted)


def clone(value: Any) -> Any:
    """Copy maps and lists all the way down; scalars lose the memory of how they were spelt."""
    if isinstance(value, dict):
        return {name: clone(item) for name, item in value.items()}
    if isinstance(value, list):
        return [clone(item) for item in value]
    if isinstance(value, gojson.Spelt):
        return str(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**63 else float(value)
    return value


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply an RFC 7386 merge patch in place; returns the result."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merge_patch(target.get(name), value)
    return target
