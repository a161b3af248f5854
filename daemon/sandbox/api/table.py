"""Other forms of an answer: the Table of `kubectl get`, and objects cut down to their metadata."""

import re
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api.columns import since
from daemon.sandbox.api.resources import Column, Kind

_FILTER = re.compile(r"^(\w*)\[\?\(@\.([\w.]+)\s*==\s*[\"'](.*)[\"']\)\]$")
_INDEX = re.compile(r"^(\w*)\[(\d+|\*)\]$")


def form_of(accept: str) -> str:
    """`Table`, `PartialObjectMetadata`, `PartialObjectMetadataList` or "" of an Accept header."""
    for part in accept.split(","):
        if "g=meta.k8s.io" in part and "v=v1;" in part.replace(" ", "") + ";":
            match = re.search(r"as=(\w+)", part)
            if match:
                return match.group(1)
        if part.partition(";")[0].strip() in {"application/json", "*/*"} and "as=" not in part:
            return ""
    return ""


def columns_of(kind: Kind, version: str) -> tuple[Column, ...]:
    """Columns of a kind; custom ones differ by version."""
    return kind.columns.get(version) or kind.columns[""]


def table(
    columns: tuple[Column, ...], objects: list[Obj], metadata: Obj, *, now: float,
    include: str = "Metadata", headed: bool = True,
) -> Obj:  # fmt: skip
    """A meta.k8s.io/v1 Table; events of a watch after the first have no column definitions."""
    definitions = [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in columns
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions if headed else None,
        "rows": [_row(columns, obj, now, include) for obj in objects],
    }


def _row(columns: tuple[Column, ...], obj: Obj, now: float, include: str) -> Obj:
    row: Obj = {"cells": [_cell(column, obj, now) for column in columns]}
    if include == "Object":
        row["object"] = obj
    elif include != "None":
        row["object"] = partial(obj)
    return row


def partial(obj: Obj) -> Obj:
    """PartialObjectMetadata of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj["metadata"],
    }


def _cell(column: Column, obj: Obj, now: float) -> Any:
    if callable(column.path):
        return column.path(obj, now)
    value = json_path(obj, column.path)
    if column.type == "date":
        return (
            since(value, now)
            if isinstance(value, str)
            else ("<unknown>" if value is None else value)
        )
    if column.type == "string" and value is not None and not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value


def json_path(obj: Any, path: str) -> Any:
    """The first value at a CRD's JSONPath: members, `[n]`, `[*]` and `[?(@.a=="b")]`; or None."""
    for step in re.findall(r"(?:[^.\[]|\[[^\]]*\])+", path.lstrip(".")):
        obj = _step(obj, step.replace("\\.", "."))
        if obj is None:
            return None
    return obj


def _step(obj: Any, step: str) -> Any:
    filtered, indexed = _FILTER.match(step), _INDEX.match(step)
    name = (filtered or indexed or [step, step])[1]
    if name:
        obj = obj.get(name) if isinstance(obj, dict) else None
    if filtered:
        _, path, wanted = filtered.groups()
        items = obj if isinstance(obj, list) else []
        return next((item for item in items if str(json_path(item, path)) == wanted), None)
    if indexed:
        index = 0 if indexed[2] == "*" else int(indexed[2])
        return obj[index] if isinstance(obj, list) and index < len(obj) else None
    return obj
