"""Target keys that want a look: deduplicated, one worker a key at a time, later looks included.

The key carries no event: whoever takes it looks at the whole world. A key that is put while it is
being worked on is looked at once more afterwards. Losing a key delays work; the resync finds it.
"""

import asyncio
from collections import deque

from daemon.core.model import TargetKey


class KeyQueue:
    """A queue of distinct keys with per-key exclusion. Bounded by the number of targets."""

    def __init__(self) -> None:
        self._waiting: deque[TargetKey] = deque()
        self._queued: set[TargetKey] = set()
        self._busy: set[TargetKey] = set()
        self._again: set[TargetKey] = set()
        self._some = asyncio.Event()
        self._freed = asyncio.Event()

    def put(self, key: TargetKey) -> None:
        """Ask for a look at a target, soon."""
        if key in self._busy:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._waiting.append(key)
            self._some.set()

    async def take(self) -> TargetKey:
        """Wait for a key and keep it until `done`."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        key = self._waiting.popleft()
        self._queued.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: TargetKey) -> None:
        """Give a key back; if it was put meanwhile, it is queued again."""
        self._busy.discard(key)
        self._freed.set()
        if key in self._again:
            self._again.discard(key)
            self.put(key)

    async def idle(self) -> None:
        """Wait until no key is being worked on. Keys that still wait are not waited for."""
        while self._busy:
            self._freed.clear()
            await self._freed.wait()

    def depth(self) -> int:
        """Count the keys that wait."""
        return len(self._waiting)
