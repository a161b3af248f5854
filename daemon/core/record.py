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
from daemon.core.weights import FULL, exact

FORMAT = 1
MAX_BYTES = 8 * 1024
"""An annotation shares 256 KiB with all others of the object; a record stays small beside them."""
MAX_TEXT_BYTES = 256
"""Of a free text, as it stands in the annotation."""
MAX_NAME_BYTES = 253
"""The longest name Kubernetes knows; revisions, ids and hashes are shorter."""
MAX_REVISIONS = 32
MAX_HANDLED = 8
MAX_BY_BYTES = 64
"""Of who asked for something: an address of mail fits."""
MAX_SKIPS = 16
"""Checks that a request may name; there are fewer."""
MAX_SKIP_BYTES = 64
"""Of a check's name; a longer one is cut, and so it is where it is compared."""
MAX_NAME = 63
"""A label-like name part; the annotation's name is one `<namespace>.<target>` under a prefix."""
ANNOTATION_PREFIX = "rollout.crossfade.dev/"
ESCAPED = "<>&"
"""Characters that JSON encoders disagree about; each is written as six."""
MAX_INTEGER = 2**53
"""From here on JSON readers disagree about integers; a counter that got here counts no more."""


def record_annotation(key: TargetKey) -> str:
    """Return the annotation's key; a name over 63 characters ends in a hash instead."""
    name = f"{key.namespace}.{key.name}"
    if len(name) > MAX_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:10]
        name = f"{name[: MAX_NAME - len(digest) - 1]}-{digest}"
    return ANNOTATION_PREFIX + name


def format_time(moment: datetime) -> str:
    """RFC 3339, UTC, milliseconds."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


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
    try:
        return moment.astimezone(UTC)
    except OverflowError as problem:
        raise ValueError("is no time of our calendar") from problem


def in_record_precision(moment: datetime) -> datetime:
    """Cut to milliseconds, so that a value written and read again is equal."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def cut(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """Make a free text printable ASCII that takes at most `limit` bytes where it is written."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in text[: limit + 1])
    if _written_bytes(plain) <= limit:
        return plain
    while _written_bytes(plain) > limit - 3:
        plain = plain[:-1]
    return plain + "..."


def _written_bytes(plain: str) -> int:
    return len(plain) + sum(5 if c in ESCAPED else c in '"\\' for c in plain)


def is_name(text: str) -> bool:
    """Tell whether a text can be a name, an id or a revision: short, plain ASCII."""
    plain = all("!" <= c <= "~" and c not in ESCAPED + '"\\' for c in text)
    return plain and len(text) <= MAX_NAME_BYTES


# ---------------------------------------------------------------- values


def _text(value: object) -> str:
    if not isinstance(value, str) or value != cut(value):
        raise ValueError("is not a short printable ASCII text")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not is_name(value):
        raise ValueError("is not a short plain name")
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < MAX_INTEGER:
        raise ValueError("is not a whole number from 0 up")
    return value


def _weight(value: object) -> float:
    if type(value) is float and 0 < value < FULL:
        if exact(value) != value:
            raise ValueError("has more than two decimals")
        return exact(value)
    if (number := _number(value)) > FULL:
        raise ValueError("is over 100")
    return number


def _names(limit: int) -> Callable[[object], tuple[str, ...]]:
    def load(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > limit:
            raise ValueError(f"is not a list of at most {limit}")
        return tuple(_name(item) for item in value)

    return load


def _times(value: object) -> tuple[datetime, ...]:
    return tuple(parse_time(item) for item in _names(MAX_HANDLED)(value))


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
    return Held(Reason(_name(seen["reason"])), parse_time(seen["since"]))


def _promote(value: object) -> Promote:
    told = isinstance(value, dict) and "by" in value
    seen = _members(value, "id", "skip", *(("by", "reason") if told else ()))
    skip = seen["skip"]
    if not isinstance(skip, list) or len(skip) > MAX_SKIPS:
        raise ValueError(f"does not skip a list of at most {MAX_SKIPS}")
    by, reason = (_text(seen["by"]), _text(seen["reason"])) if told else ("", "")
    return Promote(_name(seen["id"]), tuple(map(_text, skip)), by, reason)


def _dump_promote(promote: Promote) -> dict[str, object]:
    members: dict[str, object] = {"id": promote.id, "skip": list(promote.skip)}
    if promote.by or promote.reason:
        members |= {"by": cut(promote.by, MAX_BY_BYTES), "reason": cut(promote.reason)}
    return members


def _smoke(value: object) -> SmokePassed:
    seen = _members(value, "decision", "at")
    return SmokePassed(_number(seen["decision"]), parse_time(seen["at"]))


def _confirmed(value: object) -> Confirmed:
    seen = _members(value, "decision", "weight")
    return Confirmed(_number(seen["decision"]), _weight(seen["weight"]))


def _retire(value: object) -> Retire:
    seen = _members(value, "deployment", "uid")
    return Retire(_name(seen["deployment"]), _name(seen["uid"]))


def _dump_pause(pause: Pause) -> dict[str, str]:
    return {
        "reason": cut(pause.reason),
        "by": cut(pause.by, MAX_BY_BYTES),
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
    rare: bool = False
    """left out where it is None, so that a record without it is what it always was"""


_FIELDS = (
    _Field("id", "id", _name),
    _Field("target", "target", _name),
    _Field("policy", "policy", _name),
    _Field("stable", "stable", _name),
    _Field("stableRevision", "stable_revision", _name),
    _Field("canary", "canary", _optional(_name)),
    _Field("revision", "revision", _optional(_name)),
    _Field("phase", "phase", lambda value: Phase(_name(value)), str),
    _Field("step", "step", _number),
    _Field("weight", "weight", _weight),
    _Field("since", "since", parse_time, format_time),
    _Field("reason", "reason", lambda value: Reason(_name(value)), str),
    _Field("message", "message", _text, cut),
    _Field("decision", "decision", _number),
    _Field(
        "confirmed",
        "confirmed",
        _optional(_confirmed),
        _maybe(lambda it: {"decision": it.decision, "weight": it.weight}),
    ),
    _Field("epoch", "epoch", _number),
    _Field("writer", "writer", _name),
    _Field("paused", "paused", _optional(_pause), _maybe(_dump_pause)),
    _Field(
        "held",
        "held",
        _optional(_held),
        _maybe(lambda it: {"reason": str(it.reason), "since": format_time(it.since)}),
    ),
    _Field("promote", "promote", _optional(_promote), _maybe(_dump_promote)),
    _Field(
        "smoke",
        "smoke",
        _optional(_smoke),
        _maybe(lambda it: {"decision": it.decision, "at": format_time(it.at)}),
    ),
    _Field("base", "base", _number),
    _Field("known", "known", _names(MAX_REVISIONS), list),
    _Field("rejected", "rejected", _names(MAX_REVISIONS), list),
    _Field("handled", "handled", _names(MAX_HANDLED), list),
    _Field(
        "retire",
        "retire",
        _optional(_retire),
        _maybe(lambda it: {"deployment": it.deployment, "uid": it.uid}),
    ),
    _Field("deployments", "deployments", _names(MAX_REVISIONS), list),
    _Field("restored", "restored", _times, lambda times: [format_time(it) for it in times]),
    _Field("source", "source", _name, rare=True),
    _Field("rampSince", "ramp_since", parse_time, format_time, rare=True),
)


def _dump(record: Record) -> str:
    members = {"v": FORMAT} | {
        field.key: field.dump(value)
        for field in _FIELDS
        if (value := getattr(record, field.attribute)) is not None or not field.rare
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
            if field.rare:
                continue
            return Damaged(f"lacks the member {field.key!r}")
        try:
            values[field.attribute] = field.load(members[field.key])
        except ValueError as problem:
            return Damaged(f"member {field.key!r} {cut(str(problem), 80)}")
    return _plausible(Record(**values))


def _plausible(record: Record) -> Record | Damaged:
    """Refuse a record whose members contradict each other."""
    needs_canary = record.phase not in (Phase.IDLE, Phase.ROLLED_BACK)
    if needs_canary and not (record.canary and record.revision):
        return Damaged(f"is in phase {record.phase} without a canary")
    if record.phase in _FORWARD and record.revision in record.rejected:
        return Damaged(f"is in phase {record.phase} of a revision that it has rejected")
    if record.canary == record.stable:
        return Damaged(f"names {record.stable} as stable and as canary")
    if not _is_weight_of(record.phase, record.weight):
        return Damaged(f"has weight {record.weight} in phase {record.phase}")
    return record


_FORWARD = (Phase.PREPARING, Phase.SMOKE, Phase.SHIFTING, Phase.BAKING)


def _is_weight_of(phase: Phase, weight: float) -> bool:
    match phase:
        case Phase.SHIFTING:
            return weight < FULL
        case Phase.BAKING | Phase.FINALISING | Phase.RETIRING:
            return weight == FULL
        case _:
            return weight == 0
