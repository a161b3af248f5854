"""The search for a source of metrics beside reconcile, and what is read by once it is found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from structlog.testing import capture_logs

from analysis.errors import RefusedError
from analysis.providers.base import Scope
from analysis.samples import Counters, Reading
from config.schema import EnvoySource, Metrics, Rollout
from daemon.background import CHOOSE_SECONDS, Beside
from daemon.core.model import SourceFound, Work
from daemon.kube.objects import trim_pod
from daemon.memory import Memory
from daemon.sources import Chosen
from daemon.tools import Tools
from tests.fakes.clock import VirtualClock, turns
from tests.fakes.shop import KEY, pod
from tests.spec.routers import routes
from tests.spec.shell.works import CHOOSE, READ

AUTO = routes.a_rollout(analysis={"interval": "10s"}).model_copy(update={"metrics": Metrics()})
READ_BY_GATEWAY = replace(READ, source="envoy:8082")
NOTHING = Chosen("", "nothing is switched on")
ENVOY = Chosen("envoy:8082", "the gateway pods count")


@dataclass
class Stage:
    """One target's side work; `outcomes` are those of the tries, the last one for all later."""

    outcomes: list[Chosen | Exception]
    clock: VirtualClock = field(default_factory=VirtualClock)
    memory: Memory = field(default_factory=Memory)
    tried: list[Scope] = field(default_factory=list)
    read_by: list[Metrics] = field(default_factory=list)
    woken: int = 0
    group: Any = None
    beside: Any = None

    async def choose(self, _: Rollout, scope: Scope, __: Any) -> Chosen:
        outcome = self.outcomes[min(len(self.tried), len(self.outcomes) - 1)]
        self.tried.append(scope)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def provider(self, rollout: Rollout) -> "Stage":
        self.read_by.append(rollout.metrics)
        if rollout.metrics.auto:
            raise RefusedError("which metrics tell the versions apart is not known yet")
        return self

    async def read(self, scope: Scope) -> Reading:
        self.read_by.append(scope.metrics)
        return Reading(self.clock.monotonic(), {v: {v: Counters(1, 0)} for v in ("v1", "v2")})

    async def close(self) -> None:
        pass

    async def assign(self, work: Work | None) -> None:
        self.beside.assign(work, AUTO, {}, self.group)
        await turns()

    def wake(self, _: Any) -> None:
        self.woken += 1

    @property
    def found(self) -> SourceFound | None:
        return self.memory.findings.source


async def nothing(*_: Any) -> Any:
    await asyncio.Event().wait()


@asynccontextmanager
async def a_stage(*outcomes: Chosen | Exception) -> AsyncIterator[Stage]:
    stage = Stage(list(outcomes))
    tools = Tools(
        clock=stage.clock,
        now=stage.clock.now,
        prove=nothing,
        smoke=nothing,
        provider=stage.provider,  # type: ignore[arg-type]
        pods=lambda _: (trim_pod(pod("v1", 0)), trim_pod(pod("v2", 1))),
        wake=stage.wake,
        proved=lambda _: None,
        choose=stage.choose,
    )
    stage.beside = Beside(KEY, stage.memory, tools)
    async with asyncio.TaskGroup() as group:
        stage.group = group
        yield stage
        stage.beside.stop()


async def test_what_is_found_is_a_finding_that_wakes_the_target() -> None:
    async with a_stage(ENVOY) as stage:
        await stage.assign(CHOOSE)

        assert stage.found == SourceFound("r1", "v2/b", "envoy:8082", "the gateway pods count")
        assert stage.woken == 1


async def test_both_versions_pods_are_looked_at() -> None:
    async with a_stage(ENVOY) as stage:
        await stage.assign(CHOOSE)

        assert {version: len(pods) for version, pods in stage.tried[0].pods.items()} == {
            "v1": 1,
            "v2": 1,
        }


async def test_it_is_tried_again_until_something_is_proved_and_told_once_each() -> None:
    with capture_logs() as logs:
        async with a_stage(NOTHING, NOTHING, ENVOY) as stage:
            await stage.assign(CHOOSE)
            for _ in range(3):
                await stage.clock.pass_time(CHOOSE_SECONDS)

            assert (len(stage.tried), stage.woken) == (3, 2)
            assert stage.found is not None
            assert stage.found.source == "envoy:8082"
    assert [it["event"] for it in logs] == ["metrics.unproved", "metrics.chosen"]


async def test_a_search_that_breaks_is_a_doubt_and_goes_on() -> None:
    async with a_stage(RuntimeError("a bug"), ENVOY) as stage:
        await stage.assign(CHOOSE)
        broken = stage.found
        await stage.clock.pass_time(60)

        assert broken == SourceFound("r1", "v2/b", "", "a bug")
        assert stage.found is not None
        assert stage.found.source == "envoy:8082"


async def test_one_search_runs_at_a_time_and_ends_when_nobody_wants_it() -> None:
    async with a_stage(NOTHING) as stage:
        await stage.assign(CHOOSE)
        await stage.assign(replace(CHOOSE, decision=5))
        assert len(stage.tried) == 1

        await stage.assign(None)
        await stage.clock.pass_time(60)

        assert len(stage.tried) == 1


async def test_another_revision_is_searched_for_anew() -> None:
    async with a_stage(ENVOY) as stage:
        await stage.assign(CHOOSE)
        await stage.assign(replace(CHOOSE, revision="v2/c"))

        assert stage.found is not None
        assert (len(stage.tried), stage.found.revision) == (2, "v2/c")


async def test_a_rollout_is_read_by_the_source_that_its_record_names() -> None:
    async with a_stage(NOTHING) as stage:
        await stage.assign(READ_BY_GATEWAY)

        assert stage.read_by[0] == stage.read_by[1] == Metrics(envoy=EnvoySource(port=8082))


async def test_a_rollout_without_a_source_is_not_judged_until_one_is_found() -> None:
    async with a_stage(NOTHING) as stage:
        await stage.assign(replace(READ_BY_GATEWAY, source="", choose=True))
        judged = stage.memory.findings.judged
        await stage.assign(READ_BY_GATEWAY)

        assert judged is not None
        assert "not known yet" in judged.judgement.message
        assert stage.read_by[-1] == Metrics(envoy=EnvoySource(port=8082))
