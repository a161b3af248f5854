"""Stable's past: read while nothing is rolled out, and what a rollout begins with."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from analysis.errors import ProviderError, RefusedError
from analysis.history import NOTHING_KNOWN, History
from analysis.journal import load
from analysis.judge import settings_from
from analysis.providers.base import Scope
from analysis.samples import FAILED, Counters, Reading
from config.schema import Rollout
from daemon.background import Beside
from daemon.core.model import TargetKey
from daemon.kube.objects import trim_pod
from daemon.memory import Memory
from daemon.past import FAILING_SECONDS, READ_SECONDS, AtRest, phase_of
from daemon.tools import Tools
from tests.fakes.clock import VirtualClock, turns
from tests.fakes.shop import KEY, pod
from tests.spec.routers import routes
from tests.spec.shell.works import READ

ROLLOUT = routes.a_rollout(analysis={"interval": "10s"})
AT_REST = AtRest("v1", "v1/a", ROLLOUT.metrics)


class Pages:
    """A provider; stable completes 100 requests a reading, of which one fails."""

    def __init__(self, stage: "Stage") -> None:
        self.stage = stage
        self.closed = 0

    async def read(self, scope: Scope) -> Reading:
        self.stage.scopes.append(scope)
        self.stage.times.append(self.stage.clock.monotonic())
        if self.stage.trouble is not None:
            raise self.stage.trouble
        self.stage.requests += 100
        requests = self.stage.requests
        pods = {it: {f"echo-{it}-0": Counters(requests, requests / 100)} for it in scope.pods}
        return Reading(self.stage.clock.monotonic(), pods)

    async def number(self, scope: Scope, query: str, window: float) -> Any:
        raise AssertionError("nothing is asked")

    async def close(self) -> None:
        self.closed += 1


class Stage:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.memory = Memory()
        self.requests = 0.0
        self.trouble: ProviderError | None = None
        self.unbuildable: ProviderError | None = None
        self.offered = True
        self.read_by: Callable[[Rollout], None] = lambda _: None
        self.scopes: list[Scope] = []
        self.times: list[float] = []
        self.providers: list[Pages] = []
        self.group: Any = None
        self.beside = Beside(KEY, self.memory, self._tools())

    def _tools(self) -> Tools:
        async def never(*_: Any) -> Any:
            await asyncio.Event().wait()

        return Tools(
            clock=self.clock,
            now=self.clock.now,
            prove=never,
            smoke=never,
            provider=lambda _: Pages(self),
            pods=lambda _: (trim_pod(pod("v1", 0)), trim_pod(pod("v2", 1))),
            wake=lambda _: None,
            proved=lambda _: None,
            provider_at_rest=self._provider,
        )

    def _provider(self, rollout: Rollout) -> Pages | None:
        self.read_by(rollout)
        if self.unbuildable is not None:
            raise self.unbuildable
        if not self.offered:
            return None
        self.providers.append(Pages(self))
        return self.providers[-1]

    async def rest(self, at_rest: AtRest | None = AT_REST, rollout: Any = ROLLOUT) -> None:
        self.beside.assign(None, rollout, {}, self.group, at_rest)
        await turns()

    async def readings(self, number: int) -> None:
        """Let so many readings pass, the first one at the target's own phase."""
        await self.clock.pass_time(phase_of(KEY) + (number - 1) * READ_SECONDS)

    async def release(self, **work: Any) -> History:
        """Begin a rollout; return the past that it begins with."""
        self.beside.assign(replace(READ, **work), ROLLOUT, {}, self.group, None)
        await turns()
        journal = load(settings_from(ROLLOUT), self.memory.evidence().journal)
        assert journal is not None
        return journal.past


@asynccontextmanager
async def a_stage() -> AsyncIterator[Stage]:
    stage = Stage()
    async with asyncio.TaskGroup() as group:
        stage.group = group
        yield stage
        stage.beside.stop()


async def test_a_rollout_begins_with_what_stable_did_before_it() -> None:
    async with a_stage() as stage:
        await stage.rest()
        await stage.readings(4)
        past = await stage.release()

    assert (past.seconds, past.requests, past.bad[FAILED]) == (45, 300, 3)


async def test_only_stables_pods_are_read_every_quarter_of_a_minute() -> None:
    async with a_stage() as stage:
        await stage.rest()
        await stage.readings(3)

    assert {tuple(scope.pods) for scope in stage.scopes} == {("v1",)}
    assert {scope.canary for scope in stage.scopes} == {None}
    began = 1000.0 + phase_of(KEY)
    assert stage.times == pytest.approx([began, began + 15, began + 30])


def test_many_targets_do_not_read_at_once() -> None:
    phases = sorted(phase_of(TargetKey(f"team-{n % 7}", f"app-{n}")) for n in range(50))

    in_a_second = [sum(second <= it < second + 1 for it in phases) for second in range(15)]
    assert 0 <= phases[0] <= phases[-1] < READ_SECONDS
    assert max(in_a_second) <= 10


async def test_while_a_rollout_runs_nothing_is_added_to_the_past() -> None:
    async with a_stage() as stage:
        await stage.rest()
        await stage.readings(2)
        await stage.release()
        read = len(stage.scopes)
        await stage.clock.pass_time(9.0)  # less than the rollout's own interval

    assert len(stage.scopes) == read
    assert stage.providers[0].closed == 1


async def test_after_a_rollback_the_past_goes_on_without_the_rollout() -> None:
    async with a_stage() as stage:
        await stage.rest()
        await stage.readings(4)
        await stage.release()
        await stage.clock.pass_time(120.0)
        stage.requests += 10_000
        await stage.rest()
        await stage.readings(3)
        past = await stage.release(rollout="r2")

    assert (past.seconds, past.requests) == (45 + 30, 300 + 200)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(AtRest("v2", "v2/b", ROLLOUT.metrics), id="another version"),
        pytest.param(AtRest("v1", "v1/new", ROLLOUT.metrics), id="another revision"),
        pytest.param(
            AtRest("v1", "v1/a", routes.a_rollout(metrics={"pods": {"port": 9}}).metrics),
            id="other metrics",
        ),
    ],
)
async def test_the_past_of_something_else_is_nothing_known(other: AtRest) -> None:
    async with a_stage() as stage:
        await stage.rest(other)
        await stage.readings(4)
        past = await stage.release()

    assert past == NOTHING_KNOWN


async def test_a_policy_that_changed_elsewhere_forgets_nothing() -> None:
    async with a_stage() as stage:
        await stage.rest()
        await stage.readings(4)
        await stage.rest(rollout=routes.a_rollout(bake="5m"))
        past = await stage.release()

    assert past.requests == 300
    assert stage.providers[0].closed == 1


async def test_where_the_metrics_offer_nothing_at_rest_nothing_is_read() -> None:
    async with a_stage() as stage:
        stage.offered = False
        await stage.rest()
        await stage.readings(3)
        past = await stage.release()

    assert past == NOTHING_KNOWN
    assert len(stage.scopes) == 1  # the rollout's own


async def test_where_the_policy_names_no_source_the_one_of_the_last_rollout_is_read() -> None:
    unnamed = routes.a_rollout(metrics={})
    read: list[Rollout] = []
    async with a_stage() as stage:
        stage.read_by = read.append
        await stage.rest(rollout=unnamed)
        await stage.readings(1)

    assert [it.metrics for it in read] == [AT_REST.metrics]


async def test_what_cannot_be_read_is_told_when_it_begins_and_when_it_ends() -> None:
    with capture_logs() as lines:
        async with a_stage() as stage:
            stage.unbuildable = RefusedError("no such reference")
            await stage.rest()
            await stage.readings(1)
            stage.unbuildable, stage.trouble = None, ProviderError("connection refused")
            await stage.clock.pass_time(3 * FAILING_SECONDS)
            stage.trouble = None
            await stage.clock.pass_time(2 * FAILING_SECONDS)

    told = [(it["event"], it.get("error")) for it in lines]
    assert told == [("history.not_read", "no such reference"), ("history.read_again", None)]


async def test_what_cannot_be_read_is_tried_less_often() -> None:
    async with a_stage() as stage:
        stage.trouble = ProviderError("connection refused")
        await stage.rest()
        await stage.clock.pass_time(READ_SECONDS + 2 * FAILING_SECONDS)

    assert len(stage.times) == 3


async def test_a_gap_in_the_readings_is_no_block() -> None:
    async with a_stage() as stage:
        await stage.rest()
        await stage.readings(2)
        stage.trouble = ProviderError("connection refused")
        await stage.clock.pass_time(READ_SECONDS)
        stage.trouble = None
        await stage.clock.pass_time(FAILING_SECONDS + READ_SECONDS)
        past = await stage.release()

    assert (past.seconds, past.requests) == (30, 200)


async def test_that_a_rollout_begins_with_nothing_known_is_told() -> None:
    with capture_logs() as lines:
        async with a_stage() as stage:
            await stage.release()

    (told,) = [it for it in lines if it["event"] == "evidence.begun"]
    assert (told["history_seconds"], told["history_requests"]) == (0, 0)
