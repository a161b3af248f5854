"""Faults on demand: for the next n matching requests, or until they are lifted.

    fault = api.faults.answer(409, times=2, verb="patch", resource="virtualservices")
    ...
    fault.lift()

Which requests match: `verb, group, resource, subresource, namespace, name, user` equal, `agent` a
prefix of the User-Agent; what is left out matches everything. The first fault that matches, in
the order they were added, counts; one that is used up is gone.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from daemon.sandbox.api.requests import Asked
from daemon.sandbox.api.status import StatusError

_REASONS = {
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
MAX_FAULTS = 1_000
"""Faults at one time; more is a mistake in a test."""


class Effect(StrEnum):
    """What happens to a matching request, or to a matching open watch."""

    ANSWER = "answer"
    """refused with a code, without effect"""
    HANG = "hang"
    """never answered; when the fault is lifted, the connection is closed"""
    SLOW = "slow"
    """answered late"""
    LOSE = "lose"
    """carried out, then the connection is closed without an answer"""
    RAW = "raw"
    """answered with a code and a body that is no Status"""
    SILENCE = "silence"
    """watches stay open and say nothing; told when the fault is lifted"""
    HALF_LINE = "half line"
    """the next event of a watch breaks off in the middle, then the connection is closed"""
    WATCH_ERROR = "watch error"
    """the next event of a watch is an ERROR with a Status, then it ends"""


@dataclass(eq=False, slots=True)
class Fault:
    """One fault. `left` None: until lifted. `hits`: how often it happened."""

    effect: Effect
    match: dict[str, str]
    left: int | None = None
    code: int = 0
    retry_after: int | None = None
    seconds: float = 0.0
    body: bytes = b""
    hits: int = 0
    lifted: asyncio.Event = field(default_factory=asyncio.Event)
    on_lift: Callable[[], None] = lambda: None

    def lift(self) -> None:
        """End it."""
        self.left = 0
        self.lifted.set()
        self.on_lift()

    def fits(self, asked: Asked) -> bool:
        """Whether it is still there and means this request."""
        return self.left != 0 and all(
            _value(asked, name).startswith(value)
            if name == "agent"
            else _value(asked, name) == value
            for name, value in self.match.items()
        )

    def hit(self) -> None:
        """Count one use."""
        self.hits += 1
        if self.left is not None:
            self.left -= 1

    def error(self) -> StatusError:
        """The refusal of ANSWER and WATCH_ERROR."""
        message = f"injected: {_REASONS[self.code]}"
        return StatusError(_REASONS[self.code], message, {}, retry_after=self.retry_after)


def _value(asked: Asked, name: str) -> str:
    return str(getattr(asked, "plural" if name == "resource" else name))


_ON_REQUESTS = {Effect.ANSWER, Effect.HANG, Effect.SLOW, Effect.LOSE, Effect.RAW}


class Faults:
    """The faults of one server."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._streams: dict[int, tuple[Asked, Callable[[], None], Callable[[], None]]] = {}
        self._next = 0

    # -------------------------------------------------------------- for tests and people

    def answer(
        self, code: int, *, times: int | None = 1, retry_after: int | None = None, **match: str
    ) -> Fault:
        """Refuse with 403, 404, 409, 410, 422, 429, 500, 503 or 504, without effect."""
        return self._add(Fault(Effect.ANSWER, match, times, code=code, retry_after=retry_after))

    def raw(self, code: int, body: bytes, *, times: int | None = 1, **match: str) -> Fault:
        """Answer with any code and body: an empty 200, a proxy's HTML."""
        return self._add(Fault(Effect.RAW, match, times, code=code, body=body))

    def hang(self, *, times: int | None = None, **match: str) -> Fault:
        """Never answer."""
        return self._add(Fault(Effect.HANG, match, times))

    def slow(self, seconds: float, *, times: int | None = None, **match: str) -> Fault:
        """Answer late."""
        return self._add(Fault(Effect.SLOW, match, times, seconds=seconds))

    def lose_answer(self, *, times: int | None = 1, **match: str) -> Fault:
        """Carry the request out and close the connection without an answer."""
        return self._add(Fault(Effect.LOSE, match, times))

    def silence(self, **match: str) -> Fault:
        """Let watches, open and new ones, say nothing though things change."""
        return self._add(Fault(Effect.SILENCE, match))

    def half_line(self, *, times: int | None = 1, **match: str) -> Fault:
        """Break off the next event of a watch in the middle of its line."""
        return self._add(Fault(Effect.HALF_LINE, match, times))

    def watch_error(self, code: int, *, times: int | None = 1, **match: str) -> Fault:
        """End a watch with an ERROR event, such as 410."""
        fault = self._add(Fault(Effect.WATCH_ERROR, match, times, code=code))
        self.wake_watches()
        return fault

    def cut_watches(self, **match: str) -> int:
        """Abort the connections of open watches; returns how many."""
        probe = Fault(Effect.HANG, match)
        streams = [stream for stream in self._streams.values() if probe.fits(stream[0])]
        for _, abort, _ in streams:
            abort()
        return len(streams)

    def stop_answering(self) -> Fault:
        """Hang everything, and silence every watch, until lifted."""
        silence = self.silence()
        hang = self.hang()
        hang.on_lift = silence.lift
        return hang

    def clear(self) -> None:
        """Lift all faults."""
        for fault in list(self._faults):
            fault.lift()
        self._faults.clear()

    # -------------------------------------------------------------- for the server

    def _add(self, fault: Fault) -> Fault:
        self._faults = [known for known in self._faults if known.left != 0]
        if len(self._faults) >= MAX_FAULTS:
            raise ValueError(f"more than {MAX_FAULTS} faults at a time")
        if fault.effect is Effect.SILENCE:
            fault.on_lift = self.wake_watches
        self._faults.append(fault)
        return fault

    def on_request(self, asked: Asked) -> Fault | None:
        """The fault of a request, which counts as used by it."""
        return self._use(asked, _ON_REQUESTS)

    def on_event(self, asked: Asked) -> Fault | None:
        """The fault of the next event of a watch, which counts as used by it."""
        return self._use(asked, {Effect.HALF_LINE})

    def on_watch(self, asked: Asked) -> Fault | None:
        """The error that a watch is to end with, if any."""
        return self._use(asked, {Effect.WATCH_ERROR})

    def is_silent(self, asked: Asked) -> bool:
        """Whether a watch may say nothing now."""
        return any(f.effect is Effect.SILENCE and f.fits(asked) for f in self._faults)

    def _use(self, asked: Asked, effects: set[Effect]) -> Fault | None:
        for fault in self._faults:
            if fault.effect in effects and fault.fits(asked):
                fault.hit()
                return fault
        return None

    def open_watch(
        self, asked: Asked, abort: Callable[[], None], wake: Callable[[], None]
    ) -> Callable[[], None]:
        """Make an open watch known; returns how to forget it."""
        number = self._next
        self._next += 1
        self._streams[number] = (asked, abort, wake)
        return lambda: self._streams.pop(number, None) and None

    def wake_watches(self) -> None:
        """Let every open watch look again at its faults."""
        for _, _, wake in list(self._streams.values()):
            wake()
