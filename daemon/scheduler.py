"""Wake-ups: each target's next look, and a resync of all. Only puts keys on the queue.

APScheduler with its traps closed: no misfire limit, coalesced, one instance, no jitter (its jitter
accumulates). "Hold 60 s" counts from the record's times, never from these ticks: a lost or late one
delays work and breaks nothing.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from daemon.core.model import TargetKey

RESYNC = timedelta(minutes=10)
"""A lost wake-up of an idle target is repaired after this long at the latest."""
SHORTEST = timedelta(milliseconds=50)
"""A look that asks for another at once still lets others have their turn."""


class Scheduler:
    """Puts keys on the queue when their time has come."""

    def __init__(
        self, put: Callable[[TargetKey], None], keys: Callable[[], Iterable[TargetKey]]
    ) -> None:
        self._put = put
        self._keys = keys
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.add_job(
            self._resync, "interval", seconds=RESYNC.total_seconds(), id="resync"
        )
        self._scheduler.start()

    def every(self, seconds: float, work: Callable[[], None], name: str) -> None:
        """Call a quick, synchronous function on an interval."""
        self._scheduler.add_job(work, "interval", seconds=seconds, id=name)

    def look_in(self, key: TargetKey, delay: timedelta) -> None:
        """Look at a target after this long; replaces the look that was planned."""
        due = datetime.now(UTC) + max(delay, SHORTEST)  # noqa: TID251 - APScheduler compares with it
        self._scheduler.add_job(
            self._put, "date", run_date=due, args=[key], id=f"look {key}", replace_existing=True
        )

    def _resync(self) -> None:
        for key in self._keys():
            self._put(key)

    def stop(self) -> None:
        """Stop ticking; the jobs are short and synchronous, so none is cut."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
