"""Following a scene: waiting for what happens, on events and with a deadline, never on time.

`reaches` walks over every commit of the route since the last wait, so that a phase which passed
quickly is not missed. Nothing here does anything to the world.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from daemon.core.model import Phase, Record
from daemon.core.reasons import Reason
from daemon.kube.objects import EVENTS
from daemon.ports import Resource
from daemon.sandbox.shipped import ShippedDaemon
from daemon.sandbox.world import World
from tests.live.history import Commit, Item, Obj, record_of, shares_of
from tests.live.inside import Inside
from tests.live.scribe import Scribe

UPSTREAM = "echo"
PATIENCE = 40.0
"""Seconds for a thing that takes two on a quiet machine; no test passes sooner or later for it."""


@dataclass(frozen=True, slots=True)
class Written:
    """One commit of the route with the record it carries."""

    commit: Commit
    record: Record | None

    @property
    def shares(self) -> dict[str, int] | None:
        return shares_of(self.commit.new, UPSTREAM)


class Following:
    """What a scene can wait for.

    Attributes:
        writes: every commit of the route, oldest first.
        route: kind, namespace and name of the object that carries the weights.
    """

    world: World
    scribe: Scribe
    daemon: Inside | ShippedDaemon | None
    route: tuple[Resource, str, str]

    def __init__(self) -> None:
        self.writes: list[Written] = []
        self._news = asyncio.Event()
        self._cursor = 0
        self._lines: list[Obj] = []
        self._heard = 0

    def _hear(self, fact: Obj) -> None:
        self._lines.append(fact)
        self._news.set()

    def _note(self, item: Item) -> None:
        if isinstance(item, Commit) and item.kind == self.route[0].plural:
            self.writes.append(Written(item, record_of(item.new)))
        self._news.set()

    async def wait(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """Wait until a condition holds; it is looked at whenever something happened."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not (found := condition()):
            self._check()
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise TimeoutError(f"waited {seconds:g} s in vain for {what}\n{self.story()}")
            self._news.clear()
            with suppress(TimeoutError):
                # Conditions may depend on more than our items, so look now and then anyway.
                await asyncio.wait_for(self._news.wait(), min(left, 0.1))
        return found

    async def next_second(self) -> None:
        """Wait until what is created now is newer than all before: API times have whole seconds."""
        second = int(self.scribe.now)
        await self.wait(lambda: int(self.scribe.now) > second, "the next second")

    def _check(self) -> None:
        if self.daemon is not None and (code := self.daemon.ended) is not None:
            raise AssertionError(f"the daemon ended with {code}\n{self.story()}")

    async def write(
        self, wanted: Callable[[Written], Any], what: str, seconds: float = PATIENCE
    ) -> Written:
        """Return the next commit of the route, from the last one waited for on, that is wanted."""

        def found() -> Written | None:
            while self._cursor < len(self.writes):
                if wanted(self.writes[self._cursor]):
                    return self.writes[self._cursor]
                self._cursor += 1
            self._cursor = max(len(self.writes) - 1, 0)
            return None

        return await self.wait(found, what, seconds)

    async def reaches(
        self,
        phase: Phase | None = None,
        *,
        reason: Reason | None = None,
        weight: int | None = None,
        where: Callable[[Record], Any] = lambda _: True,
        seconds: float = PATIENCE,
    ) -> Record:
        """Wait for a record as described, written since the last wait; return it."""

        def fits(it: Written) -> bool:
            record = it.record
            return (
                record is not None
                and phase in (None, record.phase)
                and reason in (None, record.reason)
                and weight in (None, record.weight)
                and bool(where(record))
            )

        wanted = " ".join(str(it) for it in (phase, reason, weight) if it is not None)
        record = (await self.write(fits, f"a record with {wanted or 'that'}", seconds)).record
        assert record is not None
        return record

    async def adopted(self, stable: str = "v1") -> Record:
        """Wait until the route is adopted and the pin is seen to be live."""
        return await self.reaches(
            Phase.IDLE, reason=Reason.ADOPTION_CONFIRMED, where=lambda it: it.stable == stable
        )

    async def line(self, wanted: Callable[[Obj], Any], what: str, seconds: float = PATIENCE) -> Obj:
        """Return the daemon's next log line, from the last one waited for on, that is wanted."""

        def found() -> Obj | None:
            while self._heard < len(self._lines):
                if wanted(self._lines[self._heard]):
                    return self._lines[self._heard]
                self._heard += 1
            return None

        return await self.wait(found, what, seconds)

    async def decides(self, reason: Reason, text: str = "", seconds: float = PATIENCE) -> str:
        """Wait until the daemon decides so (written or not); return the sentence."""
        fact = await self.line(
            lambda it: (
                it.get("event") == "rollout.decided"
                and it.get("reason") == str(reason)
                and text in str(it["message"])
            ),
            f"the daemon to decide {reason} with {text!r}",
            seconds,
        )
        return str(fact["message"])

    async def told(self, reason: Reason, text: str = "", seconds: float = PATIENCE) -> str:
        """Wait for an Event with this reason and this text in its note; return the note."""

        def found() -> str | None:
            return next((it for it in self.events(reason) if text in it), None)

        return await self.wait(found, f"an Event {reason} with {text!r}", seconds)

    def events(self, reason: Reason | None = None) -> list[str]:
        """Return the notes of the daemon's Events, oldest first."""
        storage = self.world.api.store.storage
        entries = [it.obj for it in storage.entries(EVENTS.group, EVENTS.plural)]
        entries = entries or [it.obj for it in storage.entries("", "events")]
        entries.sort(key=lambda it: int(it["metadata"]["resourceVersion"]))
        return [
            str(it.get("note") or it.get("message") or "")
            for it in entries
            if reason is None or it.get("reason") == str(reason)
        ]

    async def serves(self, shares: Mapping[str, int], seconds: float = PATIENCE) -> None:
        """Wait until every proxy does this with ordinary requests."""
        await self.wait(
            lambda: all(it == shares for it in self.scribe.live.values()),
            f"all proxies to serve {dict(shares)}",
            seconds,
        )

    # ------------------------------------------------------------ for people who read a failure

    def story(self) -> str:
        """Tell what happened: every commit of the route, and the daemon's last words."""
        start = self.scribe.items[0].at if self.scribe.items else 0.0
        lines = [f"  {self._told(it, start)}" for it in self.writes]
        words = [
            f"  {it.get('reason', it.get('event'))}: {it.get('message', it.get('error', ''))}"
            f"{it.get('text', '')}{it.get('exception', '')}"
            for it in self._lines[-8:]
        ]
        judged = [
            f"  {it.get('weight')} % {it.get('verdict')} {it.get('reason')}: {it.get('message')}"
            for it in self._lines
            if it.get("event") == "check.judged"
        ][-12:]
        return "\n".join(
            ["commits of the route:", *lines, "judged:", *judged, "last words:", *words]
        )

    @staticmethod
    def _told(it: Written, start: float) -> str:
        record = it.record
        said = (
            f"{record.phase} step {record.step} {record.weight} % decision {record.decision} "
            f"{record.reason}: {record.message}"
            if record
            else "no record"
        )
        return f"{it.commit.at - start:6.2f}s {it.commit.actor}: {it.shares} {said}"
