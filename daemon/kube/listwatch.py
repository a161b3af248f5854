"""A cache of one kind in one namespace, kept true by LIST and WATCH.

The cache is what the API server last told us, and `age()` says how long ago that was; it is never
ahead of the server. The loop has no end and no fault stops it: it pauses, resumes or lists again.

    LIST (paged, newest) -> diff with the cache, deletions too -> WATCH from there, with bookmarks
      clean end after a healthy while   resume at once from the last resourceVersion
      clean end at once, network fault  pause, resume; after some in a row: list again
      410, as event or as status        list again, at once the first time
      anything that is no event         pause, list again

A list whose resourceVersion is older than one already seen comes from a lagging server and is not
believed (it counts as a fault), unless several in a row say the same: then the cluster's store was
restored. Must not be put here: what the objects mean (`trim` says) and what to do about a change.
"""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from daemon.errors import CrossfadeError, GoneError, TransientError
from daemon.ports import Clock, Cluster, Obj, Resource

T = TypeVar("T")


Key = tuple[str, str]
"""(namespace, name)"""


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One object's record before and after; None stands for "not there"."""

    key: Key
    before: T | None
    after: T | None


@dataclass(frozen=True, slots=True)
class WatchTimings:
    """Seconds, all of them; a test shortens them, the daemon takes them as they are.

    Attributes:
        shortest, longest: a watch's life, drawn between the two so that no two end together.
        first_pause, longest_pause: the pause doubles from the one to the other, with full jitter.
        healthy_after: a stream that lived this long is no fault and ends the doubling.
        relist_after: a lost event is repaired after this long at the latest.
        longest_retry_after: more than this we do not wait, whatever the server asks for.
    """

    shortest: int = 240
    longest: int = 300
    first_pause: float = 0.2
    longest_pause: float = 30.0
    healthy_after: float = 10.0
    relist_after: float = 600.0
    longest_retry_after: float = 60.0


WATCH_TIMINGS: Final = WatchTimings()
PAGE_LIMIT: Final = 500
"""Objects a page: client-go's default, a body of about 2 MiB."""
MAX_PAGES: Final = 200
"""100,000 objects; a list that goes on is broken or not for us."""
STALE_LISTS_REFUSED: Final = 8
"""About half a minute of pauses; by then it is no lag: the store was restored from a backup."""
EVENT_TYPES: Final = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")
RETRY_AFTER_SPREAD: Final = 0.25
"""Clients that were told the same time do not come back in the same instant."""
RESUMES: Final = 3
"""Faults in a row after which resuming is given up: something at that point cannot be read."""
LAST_PART: Final = 0.05
"""No watch is opened for less than this share of `relist_after`; the list is made instead."""


class BrokenStreamError(TransientError):
    """What came over the wire is no list and no event: nothing can be resumed from it."""


class ListWatch(Generic[T]):
    """Keeps `cache` true and tells every change.

    Attributes:
        cache: (namespace, name) -> record; a live view, only ever changed between awaits.
        synced: set once the first list has arrived, never cleared.
        problem: why the cache is not being renewed at the moment, or None.
        lists, watches: how many were begun, for metrics.
    """

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        namespace: str | None,
        *,
        trim: Callable[[Obj], T],
        changed: Callable[[Change[T]], None],
        clock: Clock,
        rng: random.Random,
        label_selector: str = "",
        timings: WatchTimings = WATCH_TIMINGS,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.synced = asyncio.Event()
        self.problem: CrossfadeError | None = None
        self.lists = self.watches = 0
        self._cluster = cluster
        self._trim = trim
        self._changed = changed
        self._clock = clock
        self._rng = rng
        self._selector = label_selector
        self._timings = timings
        self._records: dict[Key, T] = {}
        self._versions: dict[Key, int] = {}
        self.cache: Mapping[Key, T] = MappingProxyType(self._records)
        self._resume: str | None = None
        self._newest = 0
        self._listed = 0
        self._stale_lists = 0
        self._faults = 0
        self._listed_at = self._heard_at = float("-inf")

    def age(self) -> float:
        """Seconds since the last event, bookmark or list; infinite before the first."""
        return self._clock.monotonic() - self._heard_at

    async def run(self) -> None:
        """List and watch for ever. Cancel to stop.

        An exception out of `trim` or `changed` is a programmer's error and ends the run.
        """
        while True:
            try:
                if self._resume is None or self._seconds_to_relist() < self._shortest_watch():
                    await self._list()
                await self._watch(self._resume or "")
            except CrossfadeError as fault:
                if isinstance(fault, GoneError | BrokenStreamError) or self._faults >= RESUMES:
                    self._resume = None
                self.problem = fault
                await self._clock.sleep(self._pause_after(fault))

    # ------------------------------------------------------------ pauses

    def _seconds_to_relist(self) -> float:
        return self._listed_at + self._timings.relist_after - self._clock.monotonic()

    def _shortest_watch(self) -> float:
        return self._timings.relist_after * LAST_PART

    def _pause_after(self, fault: CrossfadeError) -> float:
        """Full jitter below a doubling bound; the first 410 after a healthy while costs nothing."""
        timings, faults = self._timings, self._faults
        self._faults += 1
        if isinstance(fault, GoneError) and faults == 0:
            return 0.0
        doubled = timings.first_pause * 2.0 ** min(faults, 30)  # 2 ** 30 pauses exceed any bound
        pause = self._rng.uniform(0.0, min(timings.longest_pause, doubled))
        asked = fault.retry_after if isinstance(fault, TransientError) else None
        if asked is not None:
            spread = 1.0 + self._rng.uniform(0.0, RETRY_AFTER_SPREAD)
            pause = max(pause, min(timings.longest_retry_after, asked * spread))
        return pause

    # ------------------------------------------------------------ list

    async def _list(self) -> None:
        """Read all pages, then put them in place of the cache in one go."""
        self.lists += 1
        records: dict[Key, T] = {}
        versions: dict[Key, int] = {}
        token, version = "", ""
        for _ in range(MAX_PAGES):
            page = await self._cluster.list_page(
                self.resource,
                self.namespace,
                label_selector=self._selector,
                limit=PAGE_LIMIT,
                token=token,
            )
            version, token, items = _parts_of_page(page)
            for item in items:
                key, versions[key] = _address(item)
                records[key] = self._trim(item)
            if not token:
                break
        else:
            raise BrokenStreamError(
                f"The list of {self.resource.plural} has more than {MAX_PAGES} pages."
            )
        self._refuse_stale(version)
        self._adopt(records, versions, version)

    def _refuse_stale(self, version: str) -> None:
        number = _number(version)
        if number and number < self._newest and self._stale_lists < STALE_LISTS_REFUSED:
            self._stale_lists += 1
            raise BrokenStreamError(
                f"The list of {self.resource.plural} is as of resourceVersion {number}, older than"
                f" {self._newest}, which was seen before: this API server lags behind."
            )
        self._stale_lists = 0

    def _adopt(
        self,
        records: dict[Key, T],
        versions: dict[Key, int],
        version: str,
    ) -> None:
        before = dict(self._records)
        self._records.clear()
        self._records.update(records)
        self._versions = versions
        self._resume = version
        self._newest = self._listed = _number(version)
        self._listed_at = self._heard_at = self._clock.monotonic()
        self.problem = None
        self.synced.set()
        for key in before.keys() - records.keys():
            self._tell(key, before[key], None)
        for key, record in records.items():
            self._tell(key, before.get(key), record)

    # ------------------------------------------------------------ watch

    async def _watch(self, resource_version: str) -> None:
        """Follow one stream to its end; an end that comes too early is a fault."""
        self.watches += 1
        opened_at = self._clock.monotonic()
        try:
            async with self._cluster.watch(
                self.resource,
                self.namespace,
                resource_version=resource_version,
                timeout_seconds=self._draw_life(),
                label_selector=self._selector,
            ) as lines:
                self.problem = None
                async for line in lines:
                    self._take(line)
        finally:
            lived = self._clock.monotonic() - opened_at
            if lived >= self._timings.healthy_after:
                self._faults = 0
        if lived < self._timings.healthy_after:
            raise TransientError(f"The watch of {self.resource.plural} ended after {lived:.1f} s.")

    def _draw_life(self) -> int:
        drawn = self._rng.randint(self._timings.shortest, self._timings.longest)
        return min(drawn, int(self._seconds_to_relist()))

    def _take(self, line: bytes) -> None:
        """Apply one line of the stream."""
        kind, obj = _parts_of_event(line)
        if kind == "ERROR":
            raise _error_of(obj)
        self._heard_at = self._clock.monotonic()
        if kind == "BOOKMARK":
            self._advance(_version_of(obj))
            return
        key, number = _address(obj)
        self._advance(_version_of(obj))
        if number and number <= self._versions.get(key, self._listed):
            return  # told twice, or late: what the cache holds is newer
        before, after = self._records.get(key), None
        if kind == "DELETED":
            self._records.pop(key, None)
        else:
            after = self._records[key] = self._trim(obj)
        # That of a deleted object is kept, too: the next list drops it (a bound of ten minutes).
        self._versions[key] = number
        self._tell(key, before, after)

    def _advance(self, version: str) -> None:
        """Resume after this one; an older one, told late, does not take us back."""
        number = _number(version)
        if not number or number > self._newest:
            self._resume = version
            self._newest = max(self._newest, number)

    def _tell(self, key: Key, before: T | None, after: T | None) -> None:
        if before != after:
            self._changed(Change(key, before, after))


# ---------------------------------------------------------------- what must be on the wire


def _number(version: str) -> int:
    """Read a resourceVersion as the number it is on every real server; 0 if it is none."""
    return int(version) if len(version) <= 20 and version.isascii() and version.isdecimal() else 0


def _metadata(obj: Any) -> dict[str, Any]:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    if not isinstance(metadata, dict):
        raise BrokenStreamError("The API server sent an object without metadata.")
    return metadata


def _version_of(obj: Any) -> str:
    version = _metadata(obj).get("resourceVersion")
    if not isinstance(version, str) or not version:
        raise BrokenStreamError("The API server sent an object without a resourceVersion.")
    return version


def _address(obj: Any) -> tuple[Key, int]:
    metadata = _metadata(obj)
    namespace, name = metadata.get("namespace", ""), metadata.get("name")
    if not isinstance(namespace, str) or not isinstance(name, str):
        raise BrokenStreamError("The API server sent an object without a name.")
    return (namespace, name), _number(_version_of(obj))


def _parts_of_page(page: Any) -> tuple[str, str, list[Any]]:
    metadata = _metadata(page)
    token, items = metadata.get("continue") or "", page.get("items", [])
    items = [] if items is None else items  # Go spells an empty list as null at times
    if not isinstance(token, str) or not isinstance(items, list):
        raise BrokenStreamError("The API server sent something that is no list.")
    return _version_of(page), token, items


def _parts_of_event(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as fault:
        raise BrokenStreamError("A line of the watch is no JSON, perhaps cut short.") from fault
    kind = event.get("type") if isinstance(event, dict) else None
    obj = event.get("object") if isinstance(event, dict) else None
    if kind not in EVENT_TYPES or not isinstance(obj, dict):
        raise BrokenStreamError("A line of the watch is no event: it lacks type and object.")
    return kind, obj


def _error_of(status: dict[str, Any]) -> CrossfadeError:
    code, message = status.get("code"), str(status.get("message", ""))[:200]
    if code == 410:
        return GoneError(f"The resourceVersion is too old: {message}")
    details = status.get("details")
    seconds = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    return BrokenStreamError(
        f"The API server ended the watch with {code}: {message}",
        retry_after=float(seconds) if isinstance(seconds, int) else None,
    )
