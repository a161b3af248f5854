"""Requests of people: the annotation `crossfade.dev/request` on a Deployment.

JSON `{"id", "verb", "rollout"?, "version"?, "by"?, "reason"?, "skip"?}`, or a bare verb, so that
`kubectl annotate deployment echo-v2 crossfade.dev/request=abort` works. Whoever may patch the
Deployment may ask; the names inside are claims. The text is hostile input.
"""

import hashlib
import json
import re
from datetime import datetime, timedelta
from typing import Any

from daemon.core.model import BadRequest, Request, Verb
from daemon.core.record import MAX_SKIP_BYTES, MAX_SKIPS, cut, parse_time

REQUEST_ANNOTATION = "crossfade.dev/request"
MAX_REQUEST_BYTES = 4 * 1024
"""A request has a verb and a sentence; more is not a request."""
FUTURE_TOLERANCE = timedelta(minutes=5)
"""An id further ahead would win over every later request."""
_ID = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)-[0-9a-f]{4}")
_MEMBERS = {"id", "verb", "rollout", "version", "by", "reason", "skip"}


def text_hash(text: str) -> str:
    """Return the identity of a request that has no readable id of its own."""
    return "text-" + hashlib.sha256(text.encode()).hexdigest()[:16]


def parse_request(text: str, now: datetime) -> Request | BadRequest:
    """Read a request annotation; what cannot be obeyed says why."""
    if len(text.encode()) > MAX_REQUEST_BYTES:
        return BadRequest(text_hash(text), f"it is longer than {MAX_REQUEST_BYTES} bytes")
    bare = text.strip()
    if bare in set(Verb):
        return Request(id=text_hash(bare), verb=Verb(bare))
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return BadRequest(text_hash(text), f"{cut(bare, 40)!r} is neither a verb nor JSON")
    return _from_members(members, text_hash(text), now)


def _from_members(members: Any, fallback_id: str, now: datetime) -> Request | BadRequest:
    if not isinstance(members, dict) or not set(members) <= _MEMBERS:
        return BadRequest(fallback_id, "it is not an object of " + ", ".join(sorted(_MEMBERS)))
    skip = members.get("skip", [])
    texts = [members.get(key) for key in ("rollout", "version", "by", "reason")]
    if not all(text is None or isinstance(text, str) for text in texts):
        return BadRequest(fallback_id, "rollout, version, by and reason must be texts")
    if (
        not isinstance(skip, list)
        or len(skip) > MAX_SKIPS
        or not all(isinstance(item, str) and item.isprintable() for item in skip)
    ):
        return BadRequest(fallback_id, f"skip must be a list of at most {MAX_SKIPS} names")
    request_id, verb = members.get("id"), members.get("verb")
    asked = request_time(request_id) if isinstance(request_id, str) else None
    if asked is None:
        return BadRequest(
            fallback_id, "its id is not a time with milliseconds, '-', four hex digits"
        )
    if asked > now + FUTURE_TOLERANCE:
        return BadRequest(str(request_id), "its id is more than 5 minutes in the future")
    if not isinstance(verb, str) or verb not in set(Verb):
        return BadRequest(str(request_id), f"it has no known verb ({', '.join(Verb)})")
    rollout, version, by, reason = (None if text is None else cut(text) for text in texts)
    return Request(
        id=str(request_id),
        verb=Verb(verb),
        rollout=rollout,
        version=version,
        by=by or "",
        reason=reason or "",
        skip=tuple(cut(item, MAX_SKIP_BYTES) for item in skip),
    )


def request_time(request_id: str) -> datetime | None:
    """Return the moment inside an id, or None for the hash of a bare verb (or no id at all)."""
    if (match := _ID.fullmatch(request_id)) is None:
        return None
    try:
        return parse_time(match[1])
    except ValueError:
        return None


def newest_first(request: Request) -> tuple[bool, str]:
    """Sort key: ids carry their time; a bare verb has none and counts as older than any id."""
    return (request_time(request.id) is not None, request.id)
