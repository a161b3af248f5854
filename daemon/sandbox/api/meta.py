"""metadata: which members there are, what they may hold, what a client may not change."""

import re
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.status import Cause

MAX_ANNOTATIONS = 262_144
"""Bytes of all annotations of an object, the API server's own limit."""
_STRINGS = ("name", "generateName", "namespace", "uid", "resourceVersion", "creationTimestamp",
            "deletionTimestamp", "selfLink")  # fmt: skip
_MAPS = ("labels", "annotations")
_LISTS = ("finalizers", "ownerReferences", "managedFields")
_NUMBERS = ("generation", "deletionGracePeriodSeconds")
_KNOWN = frozenset((*_STRINGS, *_MAPS, *_LISTS, *_NUMBERS))

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")

_NAME_RULE = "name part must consist of alphanumeric characters, '-', '_' or '.'"
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"
)


class MalformedObjectError(Exception):
    """A body that is no object of its kind.

    Attributes:
        strict: whether only fieldValidation=Strict refuses it.
    """

    def __init__(self, message: str, *, strict: bool = False) -> None:
        super().__init__(message)
        self.strict = strict


def settle_metadata(metadata: Any, unknown: list[str]) -> None:
    """Drop unknown members, in place, and members that are null or empty maps.

    Raises:
        MalformedObjectError: a member of a wrong type.
    """
    if not isinstance(metadata, dict):
        raise MalformedObjectError("json: cannot unmarshal into Go struct field .metadata")
    for name in list(metadata):
        value = metadata[name]
        if name not in _KNOWN:
            del metadata[name]
            unknown.append(f"metadata.{name}")
        elif value is None or (name in _MAPS and value == {}) or (name in _LISTS and value == []):
            if name != "managedFields":  # an empty list there is a wish to forget them
                del metadata[name]
        elif not _fits(name, value):
            raise MalformedObjectError(
                f"json: cannot unmarshal {_go_kind(name, value)} into Go struct field "
                f"ObjectMeta.metadata.{name} of type {_go_type(name)}"
            )


def _fits(name: str, value: Any) -> bool:
    if name in _STRINGS:
        return isinstance(value, str)
    if name in _NUMBERS:
        return isinstance(value, int) and not isinstance(value, bool)
    if name in _MAPS:
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    kind = str if name == "finalizers" else dict
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _go_type(name: str) -> str:
    return "int64" if name in _NUMBERS else "string"


def _go_kind(name: str, value: Any) -> str:
    if name in _MAPS and isinstance(value, dict):
        value = next(item for item in value.values() if not isinstance(item, str))
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    names: dict[type, str] = {dict: "object", list: "array", str: "string"}
    return names.get(type(value), "null")


def check_metadata(kind: Kind, new: Obj, old: Obj | None) -> list[Cause]:
    """Causes for refusing the metadata of an object that is to be stored."""
    metadata = new["metadata"]
    causes: list[Cause] = []
    if old is None:
        causes.extend(_check_name(kind, metadata["name"]))
    else:
        causes.extend(_check_immutable(metadata, old["metadata"]))
    for key, value in (metadata.get("labels") or {}).items():
        if not _QUALIFIED.fullmatch(key):
            causes.append(_bad("metadata.labels", key, _NAME_RULE))
        if not _LABEL_VALUE.fullmatch(value):
            causes.append(_bad("metadata.labels", value, _VALUE_RULE))
    annotations = metadata.get("annotations") or {}
    causes.extend(
        _bad("metadata.annotations", key, _NAME_RULE)
        for key in annotations
        if not _QUALIFIED.fullmatch(key.lower())
    )
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > MAX_ANNOTATIONS:
        message = f"Too long: may not be more than {MAX_ANNOTATIONS} bytes"
        causes.append(("FieldValueTooLong", message, "metadata.annotations"))
    return causes


def _check_name(kind: Kind, name: str) -> list[Cause]:
    if kind.group == "rbac.authorization.k8s.io":
        good = not re.search(r"[/%]", name) and name not in {"", ".", ".."}
        rule = "may not contain '/' or '%'"
    elif kind.plural in {"namespaces", "services"}:
        good = bool(_LABEL.fullmatch(name)) and len(name) <= 63
        rule = (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'"
        )
    else:
        good = bool(_SUBDOMAIN.fullmatch(name)) and len(name) <= 253
        rule = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
            "'-' or '.', and must start and end with an alphanumeric character"
        )
    if good:
        return []
    return [_bad("metadata.name", name, rule)]


def _check_immutable(new: dict[str, Any], old: dict[str, Any]) -> list[Cause]:
    return [
        _bad(f"metadata.{name}", new[name], "field is immutable")
        for name in ("name", "namespace", "uid")
        if new.get(name) is not None and new[name] != old.get(name)
    ]


def _bad(path: str, value: str, rule: str) -> Cause:
    return ("FieldValueInvalid", f'Invalid value: "{value}": {rule}', path)
