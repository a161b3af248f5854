"""Wake-ups: each target's next look, and a resync of all. Only puts keys on the queue.

APScheduler with its traps closed: no misfire limit, coalesced, no jitter (its jitter accumulates);
jobs are coroutine functions, as it runs all others in threads; a look that is due while the one
before has not been ticked off is not dropped. "Hold 60 s" counts from the record's times, never
from these ticks: a lost or late one delays work and breaks nothing.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from daemon.core.model import TargetKey

RESYNC = timedelta(minutes=10)
"""A lost wake-up of an idle target is repaired after this long at the latest."""
SHORTEST = timedelta(milliseconds=50)
"""A look that asks for another at once still lets others have their turn."""

AT_A_TIME = 1000
"""Runs of one job: each ends in the turn of the loop in which it began."""


class Scheduler:
    """Puts keys on the queue when their time has come."""

    def __init__(
        self, put: Callable[[TargetKey], None], keys: Callable[[], Iterable[TargetKey]]
    ) -> None:
        self._put = put
        self._keys = keys
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={
                "misfire_grace_time": None,
                "coalesce": True,
                "max_instances": AT_A_TIME,
            },
        )

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.add_job(
            self._resync, "interval", seconds=RESYNC.total_seconds(), id="resync"
        )
        self._scheduler.start()

    def look_in(self, key: TargetKey, delay: timedelta) -> None:
        """Look at a target after this long; replaces the look that was planned."""
        due = datetime.now(UTC) + max(delay, SHORTEST)  # noqa: TID251 - APScheduler compares with it
        self._scheduler.add_job(
            self._look, "date", run_date=due, args=[key], id=f"look {key}", replace_existing=True
        )

    async def _look(self, key: TargetKey) -> None:
        self._put(key)

    async def _resync(self) -> None:
        for key in self._keys():
            self._put(key)

    def stop(self) -> None:
        """Stop ticking; no job waits for anything, so none is cut."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
