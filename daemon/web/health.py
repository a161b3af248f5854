"""Whether the daemon's own loops still turn.

Nothing outside (API server, gateway, metrics) counts here: a restart would not mend it, and would
take the rollouts' observer away in the moment it is needed.
"""

from daemon.ports import Clock

MISSED_BEATS = 3
"""One late beat is load; more than three ticks without one is a stuck loop."""


class Heartbeats:
    """Named loops that promise to beat at least every so many seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._promised: dict[str, tuple[float, float]] = {}

    def beat(self, loop: str, every_seconds: float) -> None:
        """Say that `loop` turns, and how soon it will say so again."""
        self._promised[loop] = (self._clock.monotonic(), every_seconds)

    def rest(self, loop: str) -> None:
        """Forget a loop that ended on purpose."""
        self._promised.pop(loop, None)

    def stalled(self) -> str | None:
        """Return a sentence naming the loops that are overdue, or None."""
        now = self._clock.monotonic()
        late = [
            f"{loop} has not beaten for {now - at:.0f} s"
            for loop, (at, every) in sorted(self._promised.items())
            if now - at > MISSED_BEATS * every
        ]
        return "; ".join(late) or None
