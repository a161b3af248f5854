"""From what comes back over HTTP to objects or `daemon.errors`: nothing else gets through.

An answer's text reaches a message only as one cut line, and where it quotes the refused object
(a 422) only from the point that says why. Must not be put here: sending, retrying.
"""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from daemon.errors import (
    ConflictError,
    CrossfadeError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    PermanentError,
    TransientError,
)
from daemon.ports import Obj, Resource

MAX_OBJECT: Final = 8 * 1024 * 1024
"""Bytes of one object: etcd holds 1.5 MiB, the API server takes 3 MiB."""
MAX_PAGE: Final = 64 * 1024 * 1024
"""Bytes of one page of 500 objects: 128 KiB each, thirty times a usual one."""
MAX_STATUS: Final = 64 * 1024
"""Bytes read of a refusal; its object is quoted in it at times, and is of no use."""
MAX_LINE: Final = 8 * 1024 * 1024
"""Bytes of one watch event: one object and a little."""
MAX_SENTENCE: Final = 200
"""Characters of the server's words in our message."""
MAX_CAUSES: Final = 5
STRICT: Final = "strict decoding error"
"""What `fieldValidation=Strict` says, after the whole refused object."""


class Call(NamedTuple):
    """What was asked for, for messages and rights."""

    verb: str
    resource: Resource
    namespace: str | None
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        group = f".{self.resource.group}" if self.resource.group else ""
        below = f"/{self.subresource}" if self.subresource else ""
        place = "in all namespaces" if self.namespace is None else f"in namespace {self.namespace}"
        which = f" {self.name!r}" if self.name else ""
        return f"{self.verb} {self.resource.plural}{group}{below}{which} {place}"


class UnreadableError(TransientError):
    """The answer is too long, cut short, or not what Kubernetes sends."""


@contextmanager
def only_our_errors(call: Call, seconds: float) -> Iterator[None]:
    """Translate whatever the HTTP stack raises, chained.

    A connection that was never made sent nothing; after anything else the request may have taken
    effect.
    """
    try:
        yield
    except CrossfadeError:
        raise
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as fault:
        raise TransientError(
            f"No connection to the API server to {call}: {_words(fault)}.", sent=False
        ) from fault
    except TimeoutError as fault:
        raise TransientError(
            f"No answer from the API server within {seconds:g} s to {call}."
        ) from fault
    except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as fault:
        raise TransientError(
            f"The connection to the API server broke on {call}: {_words(fault)}."
        ) from fault


async def read_object(response: aiohttp.ClientResponse, call: Call, limit: int) -> Obj:
    """Read the body of a success, at most `limit` bytes, as a JSON object."""
    body = await _read(response, limit)
    if len(body) > limit:
        raise UnreadableError(f"The answer to {call} is longer than {limit} bytes.")
    try:
        obj = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise UnreadableError(f"The answer to {call} is no JSON.") from fault
    if not isinstance(obj, dict):
        raise UnreadableError(f"The answer to {call} is no object.")
    return obj


async def refuse(response: aiohttp.ClientResponse, call: Call) -> None:
    """Raise what a status other than 2xx means; return on 2xx."""
    if 200 <= response.status < 300:
        return
    body = await _read(response, MAX_STATUS)
    try:
        status = json.loads(body) if len(body) <= MAX_STATUS else {}
    except (ValueError, RecursionError):
        status = {}
    if not isinstance(status, dict):
        status = {}
    raise error_of(call, response.status, status, response.headers.get("Retry-After"))


def error_of(
    call: Call, code: int, status: dict[str, Any], retry_after: str | None
) -> CrossfadeError:
    """Return the error that stands for this refusal."""
    said = _line(status.get("message"))
    says = f": {said}" if said else ""
    match code:
        case 401:
            return ForbiddenError(
                f"The API server does not know us (401) on {call}: the token is wrong or expired."
            )
        case 403:
            return ForbiddenError(f"Not allowed to {call} (403){says}")
        case 404:
            return NotFoundError(f"Nothing there to {call} (404), or the kind is not installed.")
        case 409:
            return ConflictError(f"Somebody wrote first: {call} (409){says}", sent=False)
        case 410:
            return GoneError(f"Too old to {call} (410){says}")
        case 422:
            return _invalid(call, code, status)
        case 400 if STRICT in str(status.get("message")):
            return _invalid(call, code, status)
        case 408 | 429:
            seconds = _retry_after(status, retry_after)
            return TransientError(
                f"Too busy to {call} ({code}){says}", retry_after=seconds, sent=False
            )
    if code >= 500:
        seconds = _retry_after(status, retry_after)
        return TransientError(
            f"The API server failed to {call} ({code}){says}", retry_after=seconds
        )
    return PermanentError(f"The API server refused to {call} ({code}){says}")


def _invalid(call: Call, code: int, status: dict[str, Any]) -> InvalidError:
    """Quote the causes only: the message of a 422 may hold the whole object."""
    details = status.get("details")
    found = details.get("causes") if isinstance(details, dict) else None
    texts = (
        [c.get("message") for c in found if isinstance(c, dict)] if isinstance(found, list) else []
    )
    if not texts and STRICT in str(status.get("message")):
        texts = [status.get("message")]
    causes = tuple(filter(None, (_line(text) for text in texts[:MAX_CAUSES])))
    why = "; ".join(causes) or "a test in the patch did not hold, or its content is invalid"
    return InvalidError(f"The API server refused to {call} ({code}): {why}", causes=causes)


def _line(text: Any) -> str:
    """Cut to one printable line; of a strict decoding error, the part that names the field."""
    if not isinstance(text, str):
        return ""
    at = text.rfind(STRICT)
    shown = text[max(at, 0) :][: MAX_SENTENCE + 1]
    line = "".join(char if char.isprintable() else " " for char in shown).strip()
    return line if len(line) <= MAX_SENTENCE else line[: MAX_SENTENCE - 1] + "…"


def _retry_after(status: dict[str, Any], header: str | None) -> float | None:
    """Seconds from the header, else from the Status; an HTTP date is not used by Kubernetes."""
    if header is not None and len(header) <= 6 and header.isascii() and header.isdecimal():
        return float(header)
    details = status.get("details")
    seconds = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    return float(seconds) if isinstance(seconds, int) and 0 < seconds < 1_000_000 else None


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read to the end, or to just beyond `limit`: the caller sees by the length which it was."""
    chunks, length = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        length += len(chunk)
        if length > limit:
            break
    return b"".join(chunks)[: limit + 1]


async def lines_of(
    response: aiohttp.ClientResponse, call: Call, seconds: float
) -> AsyncGenerator[bytes, None]:
    """Yield the stream's lines without their end; what follows the last end is a line, too."""
    pending = bytearray()
    with only_our_errors(call, seconds):
        async for chunk in response.content.iter_any():
            *complete, rest = chunk.split(b"\n")
            for line in complete:
                pending += line
                if pending.strip():
                    yield bytes(pending)
                pending.clear()
            pending += rest
            if len(pending) > MAX_LINE:
                raise UnreadableError(f"A line is longer than {MAX_LINE} bytes on {call}.")
    if pending.strip():
        yield bytes(pending)


def _words(fault: BaseException) -> str:
    return f"{type(fault).__name__} {_line(str(fault))}".strip()
