"""What Gloo says about an object, and who edited it last: sentences to quote, never a proof.

A status may be a number or a word, flat or one per controller, stale or missing; `state` is the
object's own verdict, a sub-status is the whole listener's and names what froze it.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from daemon.routers.gloo_route import at, text_at

FIELD_MANAGER = "crossfade"
MAX_SAID = 1024
"""Bytes of a status that are quoted; Gloo cuts its own reasons there, too."""


class State(StrEnum):
    """Gloo's verdicts, in the order of their numbers."""

    PENDING = "Pending"
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    WARNING = "Warning"


BAD = (State.REJECTED, State.WARNING)


def own_verdict(obj: Any) -> str:
    """Say in a sentence what the object's own state refuses; empty if nothing."""
    said = [
        f"Gloo says {state}: {_reason(status)}"
        for status in _statuses(obj)
        if (state := _state(status)) in BAD
    ]
    return _cut("; ".join(said))


def listener_verdict(obj: Any) -> str:
    """Say which sub-status is bad beside an object that is itself accepted; empty if none."""
    said = []
    for status in _statuses(obj):
        subs = at(status, "subresourceStatuses")
        for name, sub in subs.items() if isinstance(subs, dict) else ():
            if (state := _state(sub)) in BAD:
                said.append(f"the gateway's {_plain(str(name))} is {state}: {_reason(sub)}")
    return _cut("; ".join(said))


def gateway_says(obj: Any) -> str:
    """Return the worst that the status says, own verdict first; empty if it says nothing bad."""
    return own_verdict(obj) or listener_verdict(obj)


def _statuses(obj: Any) -> Iterator[Any]:
    """Yield one status for each controller that wrote one; none yet means pending."""
    status = at(obj, "status")
    statuses = at(status, "statuses")
    if isinstance(statuses, dict) and statuses:
        yield from statuses.values()
    elif at(status, "state") is not None:
        yield status


def _state(status: Any) -> State | None:
    value = at(status, "state")
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) == 1:
        value = int(value)
    if type(value) is int:
        return list(State)[value] if 0 <= value < len(State) else None
    return next((state for state in State if state == value), None)


def _reason(status: Any) -> str:
    return _plain(text_at(status, "reason")) or "no reason given"


def _plain(text: str) -> str:
    """One printable line."""
    line = " ".join(text[: 4 * MAX_SAID].split())
    return "".join(c if c.isprintable() else "?" for c in line)


def _cut(text: str) -> str:
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= MAX_SAID:
        return text
    return encoded[: MAX_SAID - 3].decode("utf-8", "ignore") + "..."


def last_editor(obj: Any) -> str:
    """Name the last foreign manager of the spec and when it wrote; empty if there is none."""
    edits = []
    managed = at(obj, "metadata", "managedFields")
    for entry in managed if isinstance(managed, list) else ():
        manager = text_at(entry, "manager")
        if manager and manager != FIELD_MANAGER and at(entry, "fieldsV1", "f:spec") is not None:
            edits.append((text_at(entry, "time"), manager))
    if not edits:
        return ""
    time, manager = max(edits)
    return f"{_plain(manager)[:128]} at {_plain(time)[:32] or 'an unknown time'}"
