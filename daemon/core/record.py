"""The record's text: ASCII JSON in one annotation, at most 8 KiB (contracts.md section 1).

Reading is strict: whoever may patch the route may write here, so nothing is guessed. What cannot
be read is `Damaged` and is left alone. Writing never fails for size: free texts go first, then the
oldest known revisions. Only ASCII, with `<`, `>` and `&` escaped, so that a JSON Patch `test` of
the text cannot depend on anybody's spelling.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from daemon.core.model import (
    Confirmed,
    Damaged,
    Held,
    Pause,
    Phase,
    Promote,
    Record,
    Retire,
    SmokePassed,
    TargetKey,
)
from daemon.core.reasons import Reason

FORMAT = 1
MAX_BYTES = 8 * 1024
"""An annotation shares 256 KiB with all others of the object; a record stays small beside them."""
MAX_TEXT_BYTES = 256
MAX_REVISIONS = 32
MAX_HANDLED = 8
MAX_NAME = 63
"""A label-like name part; the annotation's name is one `<namespace>.<target>` under a prefix."""
ANNOTATION_PREFIX = "rollout.crossfade.dev/"
MAX_INTEGER = 2**53
"""Past this, JSON readers disagree about integers."""


def record_annotation(key: TargetKey) -> str:
    """Return the annotation's key; a name over 63 characters ends in a hash instead."""
    name = f"{key.namespace}.{key.name}"
    if len(name) > MAX_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:10]
        name = f"{name[: MAX_NAME - len(digest) - 1]}-{digest}"
    return ANNOTATION_PREFIX + name


def format_time(moment: datetime) -> str:
    """RFC 3339, UTC, milliseconds."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def parse_time(text: object) -> datetime:
    """Read what `format_time` wrote, or any RFC 3339 time with a zone.

    Raises:
        ValueError: not such a time.
    """
    if not isinstance(text, str):
        raise ValueError("is not a time")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("has no time zone")
    return moment.astimezone(UTC)


def in_record_precision(moment: datetime) -> datetime:
    """Cut to milliseconds, so that a value written and read again is equal."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def cut(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """Make a free text printable ASCII of at most `limit` characters."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in text)
    return plain if len(plain) <= limit else plain[: limit - 3] + "..."


# ---------------------------------------------------------------- values


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 1024 or not value.isprintable():
        raise ValueError("is not a short printable text")
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise ValueError("is not a whole number from 0 up")
    return value


def _weight(value: object) -> int:
    if (number := _number(value)) > 100:
        raise ValueError("is over 100")
    return number


def _texts(limit: int) -> Callable[[object], tuple[str, ...]]:
    def load(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > limit:
            raise ValueError(f"is not a list of at most {limit}")
        return tuple(_text(item) for item in value)

    return load


def _times(value: object) -> tuple[datetime, ...]:
    return tuple(parse_time(item) for item in _texts(MAX_HANDLED)(value))


Load = Callable[[object], Any]
Dump = Callable[[Any], Any]


def _optional(load: Load) -> Load:
    return lambda value: None if value is None else load(value)


def _members(value: object, *names: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise ValueError(f"is not an object of {', '.join(names)}")
    return value


def _pause(value: object) -> Pause:
    seen = _members(value, "reason", "by", "at")
    return Pause(_text(seen["reason"]), _text(seen["by"]), parse_time(seen["at"]))


def _held(value: object) -> Held:
    seen = _members(value, "reason", "since")
    return Held(Reason(_text(seen["reason"])), parse_time(seen["since"]))


def _promote(value: object) -> Promote:
    seen = _members(value, "id", "skip")
    return Promote(_text(seen["id"]), _texts(MAX_REVISIONS)(seen["skip"]))


def _smoke(value: object) -> SmokePassed:
    seen = _members(value, "decision", "at")
    return SmokePassed(_number(seen["decision"]), parse_time(seen["at"]))


def _confirmed(value: object) -> Confirmed:
    seen = _members(value, "decision", "weight")
    return Confirmed(_number(seen["decision"]), _weight(seen["weight"]))


def _retire(value: object) -> Retire:
    seen = _members(value, "deployment", "uid")
    return Retire(_text(seen["deployment"]), _text(seen["uid"]))


def _dump_pause(pause: Pause) -> dict[str, str]:
    return {
        "reason": cut(pause.reason),
        "by": cut(pause.by, 64),
        "at": format_time(pause.at),
    }


def _same(value: Any) -> Any:
    return value


def _maybe(dump: Dump) -> Dump:
    return lambda value: None if value is None else dump(value)


@dataclass(frozen=True, slots=True)
class _Field:
    """One member of the JSON object and the attribute it stands for."""

    key: str
    attribute: str
    load: Load
    dump: Dump = _same


_FIELDS = (
    _Field("id", "id", _text),
    _Field("target", "target", _text),
    _Field("policy", "policy", _text),
    _Field("stable", "stable", _text),
    _Field("stableRevision", "stable_revision", _text),
    _Field("canary", "canary", _optional(_text)),
    _Field("revision", "revision", _optional(_text)),
    _Field("phase", "phase", lambda value: Phase(_text(value)), str),
    _Field("step", "step", _number),
    _Field("weight", "weight", _weight),
    _Field("since", "since", parse_time, format_time),
    _Field("reason", "reason", lambda value: Reason(_text(value)), str),
    _Field("message", "message", _text, cut),
    _Field("decision", "decision", _number),
    _Field(
        "confirmed",
        "confirmed",
        _optional(_confirmed),
        _maybe(lambda it: {"decision": it.decision, "weight": it.weight}),
    ),
    _Field("epoch", "epoch", _number),
    _Field("writer", "writer", _text),
    _Field("paused", "paused", _optional(_pause), _maybe(_dump_pause)),
    _Field(
        "held",
        "held",
        _optional(_held),
        _maybe(lambda it: {"reason": str(it.reason), "since": format_time(it.since)}),
    ),
    _Field(
        "promote",
        "promote",
        _optional(_promote),
        _maybe(lambda it: {"id": it.id, "skip": list(it.skip)}),
    ),
    _Field(
        "smoke",
        "smoke",
        _optional(_smoke),
        _maybe(lambda it: {"decision": it.decision, "at": format_time(it.at)}),
    ),
    _Field("base", "base", _number),
    _Field("known", "known", _texts(MAX_REVISIONS), list),
    _Field("rejected", "rejected", _texts(MAX_REVISIONS), list),
    _Field("handled", "handled", _texts(MAX_HANDLED), list),
    _Field(
        "retire",
        "retire",
        _optional(_retire),
        _maybe(lambda it: {"deployment": it.deployment, "uid": it.uid}),
    ),
    _Field("deployments", "deployments", _texts(MAX_REVISIONS), list),
    _Field("restored", "restored", _times, lambda times: [format_time(it) for it in times]),
)


def _dump(record: Record) -> str:
    members = {"v": FORMAT} | {
        field.key: field.dump(getattr(record, field.attribute)) for field in _FIELDS
    }
    text = json.dumps(members, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def format_record(record: Record) -> str:
    """Return the annotation's text, at most MAX_BYTES: texts go first, then old revisions."""
    record = replace(
        record,
        known=record.known[-MAX_REVISIONS:],
        rejected=record.rejected[-MAX_REVISIONS:],
        handled=record.handled[-MAX_HANDLED:],
        restored=record.restored[-MAX_HANDLED:],
        deployments=record.deployments[:MAX_REVISIONS],
    )
    text = _dump(record)
    if len(text) > MAX_BYTES:
        record = replace(record, message="", deployments=())
        text = _dump(record)
    while len(text) > MAX_BYTES and (record.known or record.rejected):
        if len(record.known) >= len(record.rejected):
            record = replace(record, known=record.known[1:])
        else:
            record = replace(record, rejected=record.rejected[1:])
        text = _dump(record)
    return text


def parse_record(text: str) -> Record | Damaged:
    """Read an annotation. Anything unexpected makes it Damaged, with a sentence that says what."""
    if len(text) > MAX_BYTES:
        return Damaged(f"is {len(text)} bytes long; a record has at most {MAX_BYTES}")
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return Damaged("is not JSON")
    if not isinstance(members, dict):
        return Damaged("is not a JSON object")
    version = members.pop("v", None)
    if version != FORMAT or type(version) is not int:
        return Damaged(f"has format {version!r:.20}; this daemon reads format {FORMAT}")
    if unknown := set(members) - {field.key for field in _FIELDS}:
        return Damaged(f"has an unknown member {min(unknown)!r:.60}")
    values: dict[str, Any] = {}
    for field in _FIELDS:
        if field.key not in members:
            return Damaged(f"lacks the member {field.key!r}")
        try:
            values[field.attribute] = field.load(members[field.key])
        except (ValueError, OverflowError) as problem:
            return Damaged(f"member {field.key!r} {cut(str(problem), 80)}")
    return _plausible(Record(**values))


def _plausible(record: Record) -> Record | Damaged:
    """Refuse a record whose members contradict each other."""
    needs_canary = record.phase not in (Phase.IDLE, Phase.ROLLED_BACK)
    if needs_canary and (record.canary is None or record.revision is None):
        return Damaged(f"is in phase {record.phase} without a canary")
    if record.weight and record.phase not in _PHASES_WITH_WEIGHT:
        return Damaged(f"has weight {record.weight} in phase {record.phase}")
    return record


_PHASES_WITH_WEIGHT = (Phase.SHIFTING, Phase.BAKING, Phase.FINALISING, Phase.RETIRING)
