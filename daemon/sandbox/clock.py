"""The sandbox's one clock: monotonic time, sleeping, and the wall clock for timestamps in objects.

The sandbox plays the world outside the daemon, so its wall clock is the machine's; everything in
the sandbox receives this clock, nothing reads time elsewhere.
"""

import time
from datetime import UTC, datetime

from daemon.clock import SystemClock


class SandboxClock(SystemClock):
    """Real time, with the date."""

    def now(self) -> datetime:
        """The machine's wall clock, in UTC."""
        return datetime.fromtimestamp(time.time_ns() / 1e9, UTC)

    def stamp(self) -> str:
        """`now` as Kubernetes writes it in objects, in whole seconds."""
        return stamp_of(self.now())


class MovableClock:
    """The API server's wall clock: the machine's, moved by `ahead` seconds."""

    def __init__(self, clock: SandboxClock) -> None:
        self.ahead = 0.0
        self._clock = clock

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now().timestamp() + self.ahead


def stamp_of(moment: datetime) -> str:
    """Write a moment as Kubernetes does: RFC 3339, UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(stamp: str) -> datetime:
    """Read a timestamp of an object."""
    return datetime.fromisoformat(stamp)
