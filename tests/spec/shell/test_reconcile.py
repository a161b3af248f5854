"""One look at one target, whole: observe, decide, carry out, tell, save, and the work beside.

Everything is real but the cluster, the clock, and what would go over the wire to the gateway.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from analysis.errors import RefusedError
from analysis.providers.base import Scope
from analysis.samples import Number, Reading
from config.schema import Policy
from daemon.carry_out import Hands
from daemon.core.model import Phase, Proof, Record, SmokeResult, Work
from daemon.core.record import parse_record
from daemon.errors import ForbiddenError, InvalidError, TransientError
from daemon.evidence import Evidence
from daemon.kube.events import Regarding
from daemon.kube.objects import DEPLOYMENTS, VIRTUALSERVICES
from daemon.notices import Notices
from daemon.observe import Observer
from daemon.reconcile import LONGEST_BACKOFF, REFUSED_LOOK, SAVE_AGAIN, Reconciler, World
from daemon.routers.gloo import GlooRouter
from daemon.targets import Targets
from daemon.tools import Tools
from daemon.web.metrics import Metrics
from tests.fakes.clock import VirtualClock, turns
from tests.fakes.shop import KEY, Shop
from tests.spec.routers import routes

ABORT = '{"id": "2026-11-24T11:59:00.000Z-00ff", "verb": "abort"}'


class PastPages:
    """Metrics of stable at rest, of which only the asking is of interest."""

    def __init__(self, stage: "Stage") -> None:
        self.stage = stage

    async def read(self, scope: Scope) -> Reading:
        self.stage.past_of.extend(scope.pods)
        return Reading(self.stage.clock.monotonic(), {})

    async def number(self, scope: Scope, query: str, window: float) -> Number:
        raise RefusedError("no metrics in these tests")

    async def close(self) -> None:
        """Nothing is open."""


class Stage:
    """A daemon's one target. `settle` looks until nothing more happens by itself."""

    def __init__(self, shop: Shop | None = None, clock: VirtualClock | None = None, **policy: Any):
        self.shop = shop or Shop()
        self.clock = clock or VirtualClock()
        self.policy = routes.a_rollout(bake="60s", **policy)
        self.targets = Targets()
        self.targets.from_file(Policy(rollouts={"echo": self.policy}))
        self.metrics = Metrics()
        self.events: list[tuple[str, str, str]] = []
        self.wanted = asyncio.Event()
        self.writer = "first" if shop is None else "second"
        self.numbers = 0
        self.work: list[Work] = []
        self.past_of: list[str] = []
        self.evidence_cluster = self.shop.cluster
        self.reconciler = self._reconciler()
        self.look_again = timedelta(0)

    def _reconciler(self) -> Reconciler:
        cluster, router = self.shop.cluster, GlooRouter()
        observer = Observer(
            cluster,
            self.shop,
            router,
            now=self.clock.now,
            jumped_at=lambda: None,
            new_id=self._new_id,
            writer=self.writer,
        )
        tools = Tools(
            clock=self.clock,
            now=self.clock.now,
            prove=self._prove,
            smoke=self._smoke,
            provider=self._no_provider,
            pods=self.shop.pods,
            wake=lambda _: self.wanted.set(),
            proved=lambda _: None,
            provider_at_rest=lambda _: PastPages(self),
        )
        world = World(
            clock=self.clock,
            targets=self.targets,
            watcher=self.shop,  # type: ignore[arg-type]
            observer=observer,
            hands=Hands(cluster, router),
            evidence=Evidence(self.evidence_cluster, "crossfade"),
            notices=Notices(self, self.clock),  # type: ignore[arg-type]
            metrics=self.metrics,
            tools=tools,
        )
        return Reconciler(world, {})

    def _new_id(self) -> str:
        self.numbers += 1
        return f"{self.writer}-{self.numbers}"

    def _no_provider(self, _: Any) -> Any:
        raise RefusedError("no metrics in these tests")

    async def _prove(self, work: Work, *_: Any) -> Proof:
        self.work.append(work)
        return Proof(work.rollout, work.decision, self.clock.now(), self.clock.now())

    async def _smoke(self, work: Work, *_: Any) -> SmokeResult:
        self.work.append(work)
        return SmokeResult(
            work.rollout, work.decision, work.revision, True, "passed", self.clock.now()
        )

    def tell(self, regarding: Regarding, reason: str, note: str, **_: Any) -> None:
        self.events.append((regarding.name, reason, note))

    # ------------------------------------------------------------ looking

    async def look(self) -> timedelta:
        self.look_again = await self.reconciler.reconcile(KEY)
        await turns()
        return self.look_again

    async def settle(self) -> None:
        for _ in range(12):
            await self.look()

    @property
    def record(self) -> Record | None:
        text = (self.shop.route_object["metadata"].get("annotations") or {}).get(routes.KEY)
        found = parse_record(text) if text else None
        return found if isinstance(found, Record) else None

    @property
    def stored(self) -> Any:
        data = self.shop.cluster.objects["configmaps", "crossfade", "crossfade.echo.echo"]["data"]
        return {name: json.loads(text) for name, text in data.items()}

    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.events]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"crossfade_{name}", labels)


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


@asynccontextmanager
async def a_stage(**more: Any) -> AsyncIterator[Stage]:
    stage = Stage(**more)
    async with asyncio.TaskGroup() as group:
        stage.reconciler.use(group)
        yield stage
        stage.reconciler.stop()


@asynccontextmanager
async def adopted(**more: Any) -> AsyncIterator[Stage]:
    async with a_stage(**more) as stage:
        stage.shop.deploy("v1", created="2026-11-01T00:00:00Z")
        await stage.settle()
        yield stage


# ---------------------------------------------------------------- the way of a look


async def test_a_target_is_adopted_proved_and_at_rest() -> None:
    async with adopted() as stage:
        assert stage.record.phase is Phase.IDLE
        assert stage.record.reason == "AdoptionConfirmed"
        assert [it.prove for it in stage.work] == [True]


async def test_a_target_at_rest_costs_no_request() -> None:
    async with adopted() as stage:
        calls = len(stage.shop.cluster.calls)

        await stage.settle()

        assert len(stage.shop.cluster.calls) == calls


async def test_a_new_version_is_brought_to_its_first_step() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")

        await stage.settle()

        assert (stage.record.phase, stage.record.weight) == (Phase.SHIFTING, 50)
        assert [(it.phase, it.smoke) for it in stage.work][1:3] == [(Phase.SMOKE, True)] * 2


async def test_a_decision_is_taken_again_on_what_was_read_live_for_it() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        stage.shop.freeze()
        stage.shop.cluster.edit(
            DEPLOYMENTS, "echo", "echo-v2", lambda it: it["status"].update(readyReplicas=0)
        )

        await stage.settle()

        assert stage.record.phase is Phase.PREPARING


async def test_a_route_that_vanishes_between_two_readings_is_told_and_nothing_is_written() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        stage.shop.freeze()
        stage.shop.cluster.take_away(VIRTUALSERVICES, "gloo-system", "echo")

        await stage.look()

        assert stage.reasons()[-1] == "RouteGone"
        assert stage.metric("route_gone", target="echo/echo") == 1


async def test_an_overtaken_write_is_looked_at_again_at_once() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        stage.shop.cluster.fail(
            "patch",
            "virtualservices",
            meanwhile=lambda: stage.shop.cluster.edit(
                VIRTUALSERVICES,
                "gloo-system",
                "echo",
                lambda it: it["spec"]["virtualHost"]["routes"][0].update(options={"a": 1}),
            ),
        )

        first = await stage.look()
        overtaken = stage.record.phase
        await stage.settle()

        assert (first, overtaken) == (timedelta(0), Phase.IDLE)
        assert stage.record.phase is Phase.SHIFTING


async def test_a_target_whose_caches_are_not_filled_waits() -> None:
    async with a_stage() as stage:
        stage.shop.is_synced = lambda _: False  # type: ignore[method-assign]

        await stage.settle()

        assert stage.shop.cluster.calls == []


async def test_while_stopping_nothing_is_written() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        stage.reconciler.draining = True

        await stage.settle()

        assert stage.record.phase is Phase.IDLE


# ---------------------------------------------------------------- faults


async def test_faults_in_a_row_are_looked_at_less_often_up_to_a_bound_and_told_in_metrics() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        stage.shop.cluster.fail("get", "virtualservices", TransientError("away"), times=9)

        looks = [await stage.look() for _ in range(9)]

        assert looks[:4] == [timedelta(seconds=it) for it in (0.5, 1, 2, 4)]
        assert looks[-1] == LONGEST_BACKOFF
        assert stage.metric("api_errors_total", kind="transient") == 9


async def test_a_server_that_names_a_time_is_not_asked_before() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        error = TransientError("too many requests", retry_after=17)
        stage.shop.cluster.fail("get", "virtualservices", error)

        assert await stage.look() == timedelta(seconds=17)


async def test_a_missing_right_is_told_and_blocks_this_target() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        error = ForbiddenError("may not get virtualservices in gloo-system")
        stage.shop.cluster.fail("get", "virtualservices", error)

        with capture_logs() as lines:
            await stage.look()

        told = [it for it in lines if it["event"] == "rollout.told"]
        assert "may not get virtualservices" in told[0]["message"]
        assert stage.metric("blocked", target="echo/echo") == 1


async def test_a_bug_in_one_target_is_logged_and_looked_at_again() -> None:
    async with adopted() as stage:

        def broken(_: Any) -> Any:
            raise KeyError("a bug")

        stage.shop.deployments = broken  # type: ignore[method-assign]
        with capture_logs() as lines:
            look = await stage.look()

        assert "rollout.look_broke" in [it["event"] for it in lines]
        assert look == timedelta(seconds=0.5)


async def test_a_refused_write_is_told_blocks_and_is_tried_again_later() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        stage.shop.cluster.fail("patch", "virtualservices", InvalidError("denied by a webhook"))

        look = await stage.look()
        blocked = stage.metric("blocked", target="echo/echo")
        told = [note for _, reason, note in stage.events if reason == "WriteRefused"]
        await stage.settle()

        assert (look, blocked) == (REFUSED_LOOK, 1)
        assert "denied by a webhook" in told[0]
        assert stage.record.phase is Phase.SHIFTING


async def test_a_refused_write_does_not_stop_the_reading_of_what_stands() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        await stage.settle()
        assigned: list[Work | None] = []
        stage.reconciler._beside[KEY].assign = (  # type: ignore[method-assign]
            lambda work, *_: assigned.append(work)
        )
        stage.shop.cluster.fail("patch", "virtualservices", InvalidError("denied"), times=99)
        stage.shop.ask("pause")

        await stage.settle()

        assert "WriteRefused" in stage.reasons()
        assert {it is not None and it.read for it in assigned} == {True}


# ---------------------------------------------------------------- evidence


async def test_the_policy_is_stored_before_a_rollout_is_recorded() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        stage.shop.cluster.fail(
            "patch", "virtualservices", TransientError("away"), lost=False, times=1
        )

        await stage.look()

        assert stage.record.phase is Phase.IDLE
        assert stage.stored["policy.json"]["name"] == "echo"
        assert stage.stored["record.json"]["phase"] == "Preparing"


async def test_a_rollout_does_not_begin_where_its_policy_cannot_be_stored() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        error = ForbiddenError("may not write configmaps")
        for verb in ("create", "replace"):
            stage.shop.cluster.fail(verb, "configmaps", error, times=99)

        look = await stage.look()

        assert stage.record.phase is Phase.IDLE
        assert look == REFUSED_LOOK
        assert stage.metric("blocked", target="echo/echo") == 1
        assert "EvidenceUnwritable" in stage.reasons()


async def test_evidence_that_cannot_be_written_stops_no_running_rollout() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        await stage.look()
        for verb in ("create", "replace"):
            stage.shop.cluster.fail(verb, "configmaps", ForbiddenError("no"), times=99)

        await stage.settle()

        assert stage.record.phase is Phase.SHIFTING


async def test_the_copy_of_the_record_follows_the_record() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")

        await stage.settle()
        await stage.clock.pass_time(3)
        await stage.look()

        assert stage.stored["record.json"]["phase"] == "Shifting"


async def test_a_proof_is_saved_at_once_for_who_comes_after_a_restart() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        await stage.settle()

        await stage.reconciler.save_proof(KEY)

        assert stage.stored["counts.json"]["id"] == stage.record.id
        assert stage.stored["counts.json"]["decision"] == stage.record.decision


async def test_a_proof_that_no_hold_begins_with_is_saved_with_the_next_decision_only() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        await stage.settle()
        memory = stage.reconciler.memory(KEY)
        assert memory.saved is not None
        memory.saved = replace(memory.saved, phase=Phase.FINALISING)
        writes = stage.shop.cluster.count("replace", "configmaps")

        await stage.reconciler.save_proof(KEY)

        assert stage.shop.cluster.count("replace", "configmaps") == writes


async def test_in_a_long_hold_what_was_judged_is_saved_once_a_minute() -> None:
    async with adopted(
        steps=[{"weight": 50, "hold": "1h"}, {"weight": 100, "hold": "60s"}]
    ) as stage:
        stage.shop.deploy("v2")
        await stage.settle()
        saved = stage.shop.cluster.count("replace", "configmaps")
        for _ in range(24):
            await stage.clock.pass_time(5.0)
            await stage.look()

        assert stage.shop.cluster.count("replace", "configmaps") == saved + 2
        assert stage.stored["counts.json"]["judge"]["rollout"] == stage.record.id
        assert len(stage.stored["journal.json"]["looks"]) > 12


async def test_after_a_rollout_its_journal_stays_in_the_evidence() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        await stage.settle()
        rollout = stage.record.id
        stage.shop.ask(ABORT)
        await stage.settle()

        assert stage.record.phase is Phase.ROLLED_BACK
        assert stage.stored["journal.json"]["rollout"] == rollout


async def test_evidence_of_an_end_that_could_not_be_written_is_written_a_moment_later() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        await stage.settle()
        away = TransientError("away")
        stage.shop.cluster.fail("replace", "configmaps", away, lost=False, times=4)
        stage.shop.ask(ABORT)
        await stage.settle()
        at_once = (stage.stored["record.json"]["phase"], stage.look_again)

        for _ in range(4):
            await stage.clock.pass_time(10)
            await stage.look()

        assert at_once == ("Shifting", SAVE_AGAIN)
        assert stage.stored["record.json"]["phase"] == "RolledBack"
        assert stage.look_again > SAVE_AGAIN


async def test_while_stable_serves_everybody_its_past_is_read() -> None:
    async with adopted() as stage:
        at_rest = len(stage.past_of)
        stage.shop.deploy("v2")
        await stage.settle()
        await stage.clock.pass_time(60.0)

        assert stage.record.phase is Phase.SHIFTING
        assert (at_rest, stage.past_of) == (0, [])
        stage.shop.ask(ABORT)
        await stage.settle()
        await stage.clock.pass_time(60.0)
        assert set(stage.past_of) == {"v1"}


async def test_at_the_end_of_the_process_everything_of_a_running_rollout_is_saved() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        await stage.settle()

        await stage.reconciler.save_all()

        assert stage.stored["record.json"]["weight"] == 50


# ---------------------------------------------------------------- policies and targets


async def test_a_running_rollout_goes_on_under_its_policy_whatever_the_file_says() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        await stage.settle()
        changed = routes.a_rollout(bake="1h", steps=[{"weight": 100, "hold": "1s"}])
        stage.targets.from_file(Policy(rollouts={"echo": changed}))

        await stage.settle()

        assert stage.record.paused is None
        assert stage.reconciler._subject(KEY, stage.reconciler.memory(KEY)).rollout == stage.policy


async def test_a_second_process_takes_a_running_rollout_over_and_is_paused_without_its_policy() -> (
    None
):
    async with adopted() as stage:
        stage.shop.deploy("v2")
        await stage.settle()
        number = stage.record.decision
        async with a_stage(shop=stage.shop, clock=stage.clock, confirmTimeout="45s") as second:
            await second.settle()

            assert second.record.writer == "second"
            assert second.record.decision == number
            assert second.record.paused.reason == "PolicyLost"


async def test_after_a_resume_the_policy_that_there_is_is_recorded_and_kept() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        await stage.settle()
        async with a_stage(shop=stage.shop, clock=stage.clock, confirmTimeout="45s") as second:
            await second.settle()
            stage.shop.ask("resume")
            await second.settle()
            second.targets.from_file(Policy(rollouts={"echo": stage.policy}))
            await second.settle()

            assert second.record.paused is None
            assert second.record.policy == second.targets.hash_of(second.policy)


async def test_a_target_that_nobody_names_any_more_is_let_go() -> None:
    async with adopted() as stage:
        stage.targets.from_file(Policy(rollouts={}))

        await stage.settle()

        assert stage.metric("phase", target="echo/echo", phase="Idle") is None


# ---------------------------------------------------------------- telling


async def test_news_stands_on_the_route_and_on_the_deployment_it_is_about() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")

        await stage.settle()

        about = {name for name, reason, _ in stage.events if reason == "NewVersion"}
        assert about == {"echo", "echo-v2"}


async def test_metrics_show_where_a_target_stands() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")

        await stage.settle()

        assert stage.metric("weight_set_percent", target="echo/echo") == 50
        assert stage.metric("phase", target="echo/echo", phase="Shifting") == 1


async def test_one_line_is_logged_for_what_was_written_and_none_for_what_was_not() -> None:
    async with adopted() as stage:
        stage.shop.deploy("v2")
        with capture_logs() as lines:
            await stage.look()
        with capture_logs() as quiet:
            stage.reconciler.draining = True
            await stage.look()

        decided = [it for it in lines if it["event"] == "rollout.decided"]
        assert [(it["phase"], it["result"]) for it in decided] == [("Preparing", "written")]
        assert [it["log_level"] for it in quiet if it["event"] == "rollout.decided"] == ["debug"]


async def test_a_cluster_without_the_route_is_blocked_and_nothing_breaks() -> None:
    async with a_stage() as stage:
        stage.shop.cluster.take_away(VIRTUALSERVICES, "gloo-system", "echo")

        await stage.settle()

        assert set(stage.reasons()) == {"RouteGone"}
