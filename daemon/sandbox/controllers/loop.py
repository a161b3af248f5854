"""The loop of a controller: a queue of keys, each looked at until the look succeeds.

A key stands in the queue at most once, so the queue is bounded by the number of objects. Looks run
one after the other, so a controller never races itself. A look that fails comes again, later and
later.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from daemon.errors import CrossfadeError
from daemon.kube.listwatch import Key

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
"""Seconds before a failed look comes again, doubling from the one to the other."""


class Loop:
    """Calls `look(key)` for every key that was put.

    Attributes:
        problem: why the last look failed, or None.
    """

    def __init__(self, look: Callable[[Key], Awaitable[None]]) -> None:
        self.problem: CrossfadeError | None = None
        self._look = look
        self._waiting: dict[Key, None] = {}
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._awake = asyncio.Event()

    def put(self, key: Key) -> None:
        """Look at this key soon."""
        self._waiting[key] = None
        self._awake.set()

    def put_after(self, key: Key, seconds: float) -> None:
        """Look at this key after so many seconds; the last such call for a key counts."""
        earlier = self._later.pop(key, None)
        if earlier:
            earlier.cancel()
        loop = asyncio.get_running_loop()
        self._later[key] = loop.call_later(max(0.0, seconds), self._due, key)

    async def run(self) -> None:
        """Look for ever. Cancel to stop."""
        try:
            while True:
                await self._awake.wait()
                if not self._waiting:
                    self._awake.clear()
                    continue
                key = next(iter(self._waiting))
                del self._waiting[key]
                await self._look_at(key)
        finally:
            for handle in self._later.values():
                handle.cancel()

    async def _look_at(self, key: Key) -> None:
        try:
            await self._look(key)
        except CrossfadeError as fault:
            self.problem = fault
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            pause = FIRST_PAUSE * 2.0 ** min(failures - 1, 30)  # 2 ** 30 exceeds any bound
            self.put_after(key, min(LONGEST_PAUSE, pause))
        else:
            self.problem = None
            self._failures.pop(key, None)

    def _due(self, key: Key) -> None:
        self._later.pop(key, None)
        self.put(key)
