"""Events for people (`kubectl describe`, `kubectl get events`), written beside all else.

Invariant: telling never waits and never fails. A bounded queue and one worker stand between the
caller and the API server; when the queue is full the oldest event is dropped and counted. Whether
something is worth an event (only changes are) the caller decides.
"""

import asyncio
import random
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from daemon.errors import ConflictError, CrossfadeError, TransientError
from daemon.kube.objects import EPOCH, EVENTS
from daemon.kube.servertime import ServerClock
from daemon.ports import Clock, Cluster, Obj, Resource

CONTROLLER: Final = "crossfade.dev/crossfade"
MAX_WAITING: Final = 200
"""Events in the queue: four for each of 50 targets; more is an outage, and old news by its end."""
MAX_NOTE: Final = 1024
"""Bytes the API server takes as a note."""
MAX_WORD: Final = 128
"""Characters it takes as reason, action or instance."""
MAX_STEM: Final = 200
"""Characters of the object's name in the event's, which may have 253 with the suffix."""
ATTEMPTS: Final = 3
"""Tries for one event. Its name is fixed before the first, so a lost answer makes no second one."""
PAUSE: Final = 1.0
"""Seconds between tries, twice as long each time, unless the server names them."""
LONGEST_PAUSE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object an event is about: a route or a Deployment."""

    resource: Resource
    namespace: str
    name: str
    uid: str = ""


class Events:
    """Tells events; `run` writes them.

    Attributes:
        written, dropped, failed: how many, for metrics; dropped for want of room, failed after all
            tries or refused.
        problem: why the last one failed, or None.
    """

    def __init__(
        self,
        cluster: Cluster,
        server_clock: ServerClock,
        clock: Clock,
        rng: random.Random,
        *,
        instance: str,
    ) -> None:
        self.written = self.dropped = self.failed = 0
        self.problem: CrossfadeError | None = None
        self._cluster = cluster
        self._server_clock = server_clock
        self._clock = clock
        self._rng = rng
        self._instance = (instance or "crossfade")[:MAX_WORD]
        self._waiting: deque[tuple[str, Obj]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def tell(
        self, regarding: Regarding, reason: str, note: str, *, action: str, warning: bool = False
    ) -> None:
        """Queue an event; returns at once, raises nothing.

        `reason` says why, in one CamelCase word; `action` what was done, likewise.
        """
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        event = self._event(regarding, reason, note, action, warning=warning)
        self._waiting.append((regarding.namespace, event))
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Write what is queued, one after the other, for ever. Cancel to stop."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._write(*self._waiting.popleft())
            self._idle.set()

    async def flush(self, seconds: float) -> None:
        """Wait until all is written, at most that long (at shutdown, before `run` is cancelled)."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def _write(self, namespace: str, event: Obj) -> None:
        for attempt in range(ATTEMPTS):
            try:
                await self._cluster.create(EVENTS, namespace, event)
            except ConflictError:
                break  # an earlier try of this very event got through
            except CrossfadeError as fault:
                self.problem = fault
                if not isinstance(fault, TransientError) or attempt + 1 == ATTEMPTS:
                    self.failed += 1
                    return
                asked = fault.retry_after or PAUSE * 2.0**attempt
                await self._clock.sleep(min(LONGEST_PAUSE, asked))
            else:
                break
        self.written += 1
        self.problem = None

    def _event(
        self, regarding: Regarding, reason: str, note: str, action: str, *, warning: bool
    ) -> Obj:
        stem = regarding.name[:MAX_STEM].rstrip("-.") or "crossfade"
        about = {
            "apiVersion": regarding.resource.api_version,
            "kind": regarding.resource.kind,
            "namespace": regarding.namespace,
            "name": regarding.name,
        }
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {
                "name": f"{stem}.{self._rng.getrandbits(64):016x}",
                "namespace": regarding.namespace,
            },
            "eventTime": _micro_time(self._server_clock),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": (action or reason)[:MAX_WORD],
            "reason": str(reason)[:MAX_WORD],
            "regarding": {**about, "uid": regarding.uid} if regarding.uid else about,
            "note": cut_note(note),
            "type": "Warning" if warning else "Normal",
        }


def cut_note(note: str) -> str:
    """Cut to MAX_NOTE bytes of UTF-8, between characters, with an ellipsis where it is cut."""
    encoded = note.encode(errors="replace")
    if len(encoded) <= MAX_NOTE:
        return encoded.decode()
    ellipsis = "…"
    return encoded[: MAX_NOTE - len(ellipsis.encode())].decode(errors="ignore") + ellipsis


def _micro_time(server_clock: ServerClock) -> str:
    """Spell as Go's MicroTime; before the first answer the epoch, plainly no real time."""
    now = server_clock.now() if server_clock.known else EPOCH
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
