"""WATCH: a bounded queue of events for one client, with selectors, resume, and initial events.

A `Watch` is fed by the storage and emptied by its reader; it knows nothing of HTTP. Selectors
turn changes into what the client sees: an object that enters its selection is ADDED, one that
leaves it is DELETED.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from daemon.sandbox.api import gojson
from daemon.sandbox.api.listing import too_new
from daemon.sandbox.api.requests import ListOptions
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.selectors import Predicate
from daemon.sandbox.api.status import StatusError, expired
from daemon.sandbox.api.storage import Change, Entry, Storage

MAX_PENDING = 10_000
"""Events that a reader may be behind; then its watch ends, as the real one ends slow watchers."""


@dataclass(frozen=True, slots=True)
class Event:
    """What the reader is told: ADDED, MODIFIED, DELETED, or BOOKMARK with `entry` None.

    `initial_end` marks the bookmark that ends the initial events.
    """

    type: str
    version: int
    entry: Entry | None = None
    initial_end: bool = False


class Watch:
    """One subscription. `close()` it when the reader leaves."""

    def __init__(
        self, storage: Storage, kind: Kind, namespace: str | None, selected: Predicate | None,
        options: ListOptions,
    ) -> None:  # fmt: skip
        """Subscribe.

        Raises:
            StatusError: 504, the version lies in the future. A forgotten version is no error here
                but the first thing read (see `error`), as in the real API.
        """
        self._kind = kind
        self._namespace = namespace
        self._selected = selected
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self.error: StatusError | None = None
        self.version = storage.version
        if options.version and options.version > storage.version:
            raise too_new(options.version, storage.version)
        self._begin(storage, options)
        self.close: Callable[[], None] = storage.listen(self._note)

    def _begin(self, storage: Storage, options: ListOptions) -> None:
        if options.initial_events or not options.version:
            for entry in storage.entries(*self._kind.stored_as, self._namespace):
                if self._selected is None or self._selected(entry.obj):
                    self._push(Event("ADDED", entry.version, entry))
            if options.initial_events:
                self._push(Event("BOOKMARK", storage.version, initial_end=True))
            return
        changes = storage.since(options.version)
        if changes is None:
            version = options.version
            self.error = expired(f"too old resource version: {version} ({storage.version})")
            return
        for change in changes:
            self._note(change)

    def _note(self, change: Change) -> None:
        self.version = change.version
        key = change.key
        if (key.group, key.plural) != self._kind.stored_as:
            return
        if self._namespace not in {None, key.namespace}:
            return
        was, now = self._sees(change.old), self._sees(change.new)
        if now:
            self._push(Event("MODIFIED" if was else "ADDED", change.version, change.new))
        elif was:
            self._push(Event("DELETED", change.version, self._left(change)))

    def _sees(self, entry: Entry | None) -> bool:
        return entry is not None and (self._selected is None or self._selected(entry.obj))

    def _left(self, change: Change) -> Entry:
        """The last state of an object that leaves, with the change's version."""
        if change.new is None or change.old is None:
            return change.last
        obj = change.old.obj
        obj = obj | {"metadata": obj["metadata"] | {"resourceVersion": str(change.version)}}
        return Entry(change.key, obj, gojson.encode(obj), change.version)

    def _push(self, event: Event) -> None:
        if len(self._events) >= MAX_PENDING:
            self.error = expired("the watcher is too slow; list again")
        else:
            self._events.append(event)
        self._wake.set()

    def take(self) -> Event | None:
        """The next event, or None if there is none now."""
        return self._events.popleft() if self._events else None

    async def wait(self, seconds: float, *, even_if_pending: bool = False) -> None:
        """Return when there may be something to take, or after that time."""
        if (self._events or self.error) and not even_if_pending:
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()
        except TimeoutError:
            return

    def wake(self) -> None:
        """Let a waiting reader look again."""
        self._wake.set()
