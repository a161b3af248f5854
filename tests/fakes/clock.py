"""Virtual time: it stands still until a test lets it pass."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TURNS = 50
"""Turns of the loop after which everything that can run without time has run."""


class VirtualClock:
    """Implements `daemon.ports.Clock`; `now` is the API server's time on the same scale."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1000.0)

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.seconds + seconds, future))
        await future

    async def pass_time(self, seconds: float) -> None:
        """Let time pass; sleepers wake in their order, and each runs before the next."""
        end = self.seconds + seconds
        await turns()
        while due := [it for it in self._sleepers if it[0] <= end and not it[1].done()]:
            at, future = min(due, key=lambda it: it[0])
            self._sleepers.remove((at, future))
            self.seconds = max(self.seconds, at)
            future.set_result(None)
            await turns()
        self._sleepers = [it for it in self._sleepers if not it[1].done()]
        self.seconds = end


async def turns() -> None:
    """Let everything run that needs no time."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
