"""Label and field selectors, parsed once into predicates over an object's parsed form."""

import re
from collections.abc import Callable
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api.status import bad_request

Predicate = Callable[[Obj], bool]

_SET = re.compile(r"^\s*([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)\s*$")
_EQUALS = re.compile(r"^\s*([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([^\s!=,()]+)\s*$")


def parse_labels(text: str) -> Predicate | None:
    """Parse a label selector; None selects everything.

    Raises:
        StatusError: 400, it cannot be parsed.
    """
    parts = [_label_rule(part) for part in _split(text)]
    if not parts:
        return None

    def selected(obj: Obj) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(rule(labels) for rule in parts)

    return selected


def _split(text: str) -> list[str]:
    """Split at commas outside of parentheses."""
    return [part for part in re.split(r",(?![^()]*\))", text) if part.strip()]


def _label_rule(text: str) -> Callable[[dict[str, str]], bool]:
    if match := _SET.match(text):
        key, word, listed = match.groups()
        values = {value.strip() for value in listed.split(",")}
        if word == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _EQUALS.match(text):
        key, sign, value = match.groups()
        if sign == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _EXISTS.match(text):
        negated, key = match.groups()
        return lambda labels: (key in labels) != bool(negated)
    raise bad_request(f"unable to parse requirement: found '{text}', expected: a label requirement")


_ALWAYS = {"metadata.name", "metadata.namespace"}
_FIELDS = {
    "pods": {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
             "status.phase", "status.podIP", "status.nominatedNodeName"},
    "events": {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
               "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion",
               "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"},
    "namespaces": {"status.phase"},
    "nodes": {"spec.unschedulable"},
    "secrets": {"type"},
    "replicasets": {"status.replicas"},
}  # fmt: skip
_NEW_EVENT = {"regarding": "involvedObject", "reportingController": "reportingComponent"}


def parse_fields(text: str, plural: str) -> Predicate | None:
    """Parse a field selector of a kind; None selects everything.

    Raises:
        StatusError: 400, it cannot be parsed or the kind has no such label.
    """
    rules = [_field_rule(part, plural) for part in text.split(",") if part.strip()]
    if not rules:
        return None
    return lambda obj: all(rule(obj) for rule in rules)


def _field_rule(text: str, plural: str) -> Predicate:
    match = re.match(r"^([^=!]+)(==|=|!=)(.*)$", text.strip())
    if match is None:
        raise bad_request(f"invalid field selector: '{text}'; can't understand '{text}'")
    path, sign, value = match.groups()
    if plural == "events":
        first, dot, rest = path.partition(".")
        path = _NEW_EVENT.get(first, first) + dot + rest
    if path not in _ALWAYS | _FIELDS.get(plural, set()):
        raise bad_request(f'Unable to find "{plural}" that match label selector "", field selector '
                          f'"{text}": field label not supported: {path}')  # fmt: skip
    members = path.split(".")
    equal = sign != "!="
    return lambda obj: (_value(obj, members) == value) == equal


def _value(obj: Any, members: list[str]) -> str:
    for member in members:
        obj = obj.get(member) if isinstance(obj, dict) else None
    if isinstance(obj, bool):
        return str(obj).lower()
    if isinstance(obj, dict):  # an event's source is selected by its component
        return str(obj.get("component", ""))
    return "" if obj is None else str(obj)
