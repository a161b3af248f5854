"""A safety net under the API server: no fault of ours may turn into a flood of requests.

In ordinary work it never empties (idle: no requests; a rollout: 0.2 a second). Writes go ahead of
reads: they only wait once they have run a whole burst into debt, and the reads pay that back.
"""

from typing import Final

from daemon.ports import Clock

PER_SECOND: Final = 20.0
"""Requests; client-go's controllers are given the same order of magnitude."""
BURST: Final = 40.0
"""Requests at once: start-up lists and the first look at many targets."""


class TokenBucket:
    """Twenty requests a second, forty at once."""

    def __init__(
        self, clock: Clock, *, per_second: float = PER_SECOND, burst: float = BURST
    ) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._tokens = burst
        self._filled_at = clock.monotonic()

    async def take(self, *, urgent: bool = False) -> None:
        """Wait for one's turn. First come, first served; `urgent` may run into debt."""
        now = self._clock.monotonic()
        filled = self._tokens + (now - self._filled_at) * self._per_second
        self._tokens = min(self._burst, filled) - 1.0
        self._filled_at = now
        debt = -self._tokens - (self._burst if urgent else 0.0)
        if debt > 0:
            await self._clock.sleep(debt / self._per_second)
