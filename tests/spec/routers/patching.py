"""A JSON Patch implementation that shares nothing with the product (RFC 6902, Kubernetes' reading).

`test` compares values strictly (1 is not true), and with null passes on a missing member whose parent
exists; `add` on an array index inserts; a missing parent is an error.
"""

from copy import deepcopy


class PatchRefusedError(Exception):
    """The API server would answer 422."""


def apply_patch(document, patch):
    document = deepcopy(document)
    for operation in patch:
        _apply(document, operation)
    return document


def _apply(document, operation):
    parts = [
        part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
    ]
    parent = document
    for part in parts[:-1]:
        try:
            parent = parent[int(part)] if isinstance(parent, list) else parent[part]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise PatchRefusedError(f"no {operation['path']}") from error
    if not isinstance(parent, dict | list):
        raise PatchRefusedError(f"no parent of {operation['path']}")
    if isinstance(parent, list):
        _apply_to_list(parent, int(parts[-1]), operation)
    else:
        _apply_to_object(parent, parts[-1], operation)


def _apply_to_list(parent, index, operation):
    match operation["op"]:
        case "add" if 0 <= index <= len(parent):
            parent.insert(index, deepcopy(operation["value"]))
        case "replace" if 0 <= index < len(parent):
            parent[index] = deepcopy(operation["value"])
        case "remove" if 0 <= index < len(parent):
            del parent[index]
        case "test" if 0 <= index < len(parent) and same(parent[index], operation["value"]):
            pass
        case _:
            raise PatchRefusedError(str(operation))


def _apply_to_object(parent, key, operation):
    match operation["op"]:
        case "add":
            parent[key] = deepcopy(operation["value"])
        case "replace" if key in parent:
            parent[key] = deepcopy(operation["value"])
        case "remove" if key in parent:
            del parent[key]
        case "test" if same(parent.get(key), operation["value"]):
            pass
        case _:
            raise PatchRefusedError(str(operation))


def same(one, other):
    """Equality of JSON: true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other
