"""Events have two APIs over one store: `v1` and `events.k8s.io/v1`. They are stored as the former.

Field names as in the real conversion: regarding is involvedObject, note is message, and the
counts and times of the old recorder are `deprecated…` in the new one.
"""

from datetime import UTC, datetime
from typing import Any

from daemon.ports import Obj

NEW = "events.k8s.io/v1"
_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
"""Old field -> new field; all others have one name."""
_BACK = {new: old for old, new in _NAMES.items()}


def convert(obj: Obj, api_version: str) -> Obj:
    """The event in that API version."""
    if obj.get("apiVersion") == api_version:
        return obj
    names = _NAMES if api_version == NEW else _BACK
    converted = {names.get(name, name): value for name, value in obj.items()}
    return converted | {"apiVersion": api_version}


def prepare(new: Obj, _old: Obj | None) -> None:
    """Fields that are always there: `kubectl describe` sorts and prints by them."""
    defaults: dict[str, Any] = {
        "involvedObject": {},
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
        "eventTime": None,
        "reportingComponent": "",
        "reportingInstance": "",
    }
    for name, value in defaults.items():
        new.setdefault(name, value)


def last_seen(obj: Obj) -> float:
    """When the event (v1) happened last, in seconds since the epoch."""
    series = obj.get("series") or {}
    text = (
        series.get("lastObservedTime")
        or obj.get("lastTimestamp")
        or obj.get("eventTime")
        or obj.get("firstTimestamp")
        or obj["metadata"].get("creationTimestamp")
    )
    return seconds(text) if text else 0.0


def seconds(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time."""
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()
