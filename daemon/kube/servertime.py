"""What time it is for the API server: `now` of every decision.

Holds must last as long as promised whatever this node's wall clock does, across restarts and
leaders; so time is the `Date` of the API server's answers (whole seconds), carried forward by the
monotonic clock. Invariants: `now()` never goes back, and one odd `Date` moves nothing.

    Date within 2 s of the estimate   believed; one ahead moves the estimate up (a Date is cut)
    Date further off                  believed once 3 answers, each >= 1 s after the last, agree
    believed, backwards               `now()` runs at half speed until the server has caught up
    believed, forwards by > 5 s       counted in `jumps`: running holds start again

Must not be put here: what a jump means for a rollout.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from daemon.errors import TransientError
from daemon.ports import Clock

TOLERANCE: Final = 2.0
"""Seconds: one for the fraction a Date leaves out, one for the way of the answer."""
AGREEING: Final = 3
"""Answers that must agree on a time far from ours."""
APART: Final = 1.0
"""Seconds between two of them: answers to one burst of requests are one witness, not three."""
JUMP: Final = 5.0
"""Seconds forward at once that no hold may be shortened by."""
CATCHING_UP: Final = 0.5
"""Speed of `now()` while it is ahead of the server: holds go on, and the two meet again."""


class ServerClock:
    """The API server's time. Feed it every answer's `Date`.

    Attributes:
        jumps: how many forward jumps of more than 5 s were believed.
        jumped_at: time right after the last of them, or None.
    """

    def __init__(self, clock: Clock) -> None:
        self.jumps = 0
        self.jumped_at: datetime | None = None
        self._clock = clock
        self._offset: float | None = None
        self._shown = 0.0
        self._shown_at = 0.0
        self._witnesses: list[tuple[float, float]] = []

    @property
    def known(self) -> bool:
        """Whether any answer has come in yet."""
        return self._offset is not None

    def now(self) -> datetime:
        """Return the API server's time.

        Raises:
            TransientError: before the first answer.
        """
        if self._offset is None:
            raise TransientError(
                "The API server's time is not known yet: it has not answered once.", sent=False
            )
        return datetime.fromtimestamp(0, UTC) + timedelta(
            seconds=self._show(self._clock.monotonic(), self._offset)
        )

    def note(self, date_header: str | None, monotonic: float) -> None:
        """Take in an answer's `Date` header and when, by the injected clock, it arrived.

        A header that is absent or no date is left out of account.
        """
        date = _seconds(date_header)
        if date is None:
            return
        if self._offset is None:
            self._offset = date - monotonic
            self._shown, self._shown_at = date, monotonic
            return
        ahead = date - (self._offset + monotonic)
        if abs(ahead) <= TOLERANCE:
            self._witnesses.clear()
            self._offset += max(0.0, ahead)
        else:
            self._weigh(date - monotonic, monotonic)

    def _show(self, monotonic: float, offset: float) -> float:
        floor = self._shown + max(0.0, monotonic - self._shown_at) * CATCHING_UP
        self._shown = max(floor, offset + monotonic)
        self._shown_at = max(self._shown_at, monotonic)
        return self._shown

    def _weigh(self, offset: float, monotonic: float) -> None:
        """Remember a Date that is far off, and believe it once enough of them agree."""
        witnesses = self._witnesses
        if witnesses and abs(offset - witnesses[0][0]) > TOLERANCE:
            witnesses.clear()
        if witnesses and monotonic - witnesses[-1][1] < APART:
            return
        witnesses.append((offset, monotonic))
        if len(witnesses) < AGREEING or self._offset is None:
            return
        self._show(monotonic, self._offset)  # what was shown until now stays the lower bound
        believed = max(offset for offset, _ in witnesses)
        forward = believed - self._offset
        self._offset = believed
        witnesses.clear()
        if forward > JUMP:
            self.jumps += 1
            self.jumped_at = self.now()


def _seconds(date_header: str | None) -> float | None:
    if not date_header or len(date_header) > 64:  # an HTTP date has 29 characters
        return None
    try:
        date = parsedate_to_datetime(date_header)
        return date.timestamp() if date.tzinfo is not None else None
    except (TypeError, ValueError, OverflowError):
        return None
