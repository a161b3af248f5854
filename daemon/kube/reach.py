"""When the API server was out of our reach: since when, until when.

    out of reach     from the sending of a request that brought no answer of use (nothing, 429, 5xx)
                     until the next answer to any; and while a request waits longer than SLOW

A refusal (403, 404, 409, 422) is an answer. Nothing is asked here: the requests that are sent
anyway tell, so an outage in which nobody asks for anything is not known, and harms nobody. Must not
be put here: what follows for a rollout.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from daemon.errors import ConflictError, CrossfadeError, TransientError
from daemon.ports import Clock

SLOW: Final = 2.0
"""Seconds; a server that answers later than this shows the world as it was."""
MAX_SPANS: Final = 64
"""Of a server that flaps for hours the oldest are forgotten: no one waits that long for a proof."""


class Span(NamedTuple):
    """Out of reach from one moment to another, in seconds of the monotonic clock."""

    since: float
    until: float


class Reach:
    """What became of the requests to one API server."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spans: list[Span] = []
        self._silent_since: float | None = None
        self._waiting: dict[object, float] = {}

    def lost(self) -> tuple[Span, ...]:
        """Return when the server was out of reach until now, oldest first; none overlap."""
        now = self._clock.monotonic()
        begun = [sent for sent in self._waiting.values() if now - sent > SLOW]
        begun += [] if self._silent_since is None else [self._silent_since]
        spans = _joined(self._spans, Span(min(begun), now)) if begun else self._spans
        return tuple(spans[-MAX_SPANS:])

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Send one request and read its answer inside."""
        token, sent = object(), self._clock.monotonic()
        self._waiting[token] = sent
        try:
            yield
        except CrossfadeError as problem:
            of_use = isinstance(problem, ConflictError) or not isinstance(problem, TransientError)
            self._answered(sent) if of_use else self._unanswered(sent)
            raise
        else:
            self._answered(sent)
        finally:
            del self._waiting[token]

    def _answered(self, sent: float) -> None:
        now = self._clock.monotonic()
        begun = [] if self._silent_since is None else [self._silent_since]
        begun += [sent] if now - sent > SLOW else []
        if begun:
            self._spans = _joined(self._spans, Span(min(begun), now))[-MAX_SPANS:]
        self._silent_since = None

    def _unanswered(self, sent: float) -> None:
        self._silent_since = sent if self._silent_since is None else min(self._silent_since, sent)


def _joined(spans: list[Span], last: Span) -> list[Span]:
    """Add the span that ends last; what it overlaps becomes one with it."""
    apart = [span for span in spans if span.until < last.since]
    return [*apart, Span(min([last, *spans[len(apart) :]]).since, last.until)]
