"""The work beside reconcile: what runs, what is cancelled, and what it brings back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from analysis.errors import ProviderError, RefusedError
from analysis.journal import Unread, entries, load, replay
from analysis.judge import settings_from as judge_settings
from analysis.memory import save
from analysis.providers.base import Scope
from analysis.samples import Block, Counters, Number, NumberKind, Reading
from analysis.verdict import Ground
from daemon import reading
from daemon.background import AGAIN_SECONDS, Beside
from daemon.core.model import Phase, Proof, SmokeResult, Work
from daemon.kept import Kept
from daemon.kube.objects import trim_pod
from daemon.memory import Memory
from daemon.said import Said, said_in
from daemon.tools import Tools
from tests.fakes.clock import VirtualClock, turns
from tests.fakes.shop import KEY, pod
from tests.spec.routers import routes
from tests.spec.shell.works import PROVE, READ, SMOKE, WORK

INTERVAL = 10.0


class Metrics:
    """A provider whose counters a test sets; it may fail, hang or break."""

    def __init__(self, stage: "Stage") -> None:
        self.stage = stage
        self.closed = 0

    async def read(self, scope: Scope) -> Reading:
        self.stage.scopes.append(scope)
        if self.stage.trouble is not None:
            raise self.stage.trouble
        requests = self.stage.requests
        pods = {v: {f"echo-{v}-0": Counters(requests[v], 0)} for v in ("v1", "v2")}
        return Reading(self.stage.clock.monotonic(), pods)

    async def number(self, scope: Scope, query: str, window: float) -> Number:
        self.stage.queries.append((query, window))
        if self.stage.trouble_of_query is not None:
            raise self.stage.trouble_of_query
        return Number(NumberKind.VALUE, 1.0, self.stage.clock.monotonic())

    async def close(self) -> None:
        self.closed += 1


class Stage:
    """One target's side work, with a gateway and metrics that do what a test says."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.memory = Memory()
        self.woken = 0
        self.proved: list[Any] = []
        self.rollout = routes.a_rollout(analysis={"interval": "10s"})
        # what the outside does
        self.live: asyncio.Event = asyncio.Event()
        self.smoked: asyncio.Event = asyncio.Event()
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.broken: dict[str, Exception] = {}
        self.requests = {"v1": 0.0, "v2": 0.0}
        self.trouble: Exception | None = None
        self.trouble_of_query: Exception | None = None
        self.unbuildable: ProviderError | None = None
        self.scopes: list[Scope] = []
        self.queries: list[tuple[str, float]] = []
        self.providers: list[Metrics] = []
        self.beside = Beside(KEY, self.memory, self._tools())
        self.group: Any = None

    def _tools(self) -> Tools:
        return Tools(
            clock=self.clock,
            now=self.clock.now,
            prove=self._prove,
            smoke=self._smoke,
            provider=self._provider,
            pods=lambda _: (trim_pod(pod("v1", 0)), trim_pod(pod("v2", 1))),
            wake=lambda _: setattr(self, "woken", self.woken + 1),
            proved=self.proved.append,
        )

    async def _prove(self, work: Work, _: Any, __: Any, report: Callable[[Proof], None]) -> Proof:
        await self._outside(f"prove {work.decision}", self.live)
        return Proof(work.rollout, work.decision, self.clock.now(), self.clock.now())

    async def _smoke(self, work: Work, _: Any, __: Any) -> SmokeResult:
        await self._outside(f"smoke {work.decision}", self.smoked)
        return SmokeResult(
            work.rollout, work.decision, work.revision, True, "passed", self.clock.now()
        )

    async def _outside(self, what: str, done: asyncio.Event) -> None:
        self.begun.append(what)
        try:
            if (fault := self.broken.get(what.partition(" ")[0])) is not None:
                raise fault
            await done.wait()
        except asyncio.CancelledError:
            self.cancelled.append(what)
            raise

    def _provider(self, _: Any) -> Metrics:
        if self.unbuildable is not None:
            raise self.unbuildable
        self.providers.append(Metrics(self))
        return self.providers[-1]

    async def assign(self, work: Work | None) -> None:
        self.beside.assign(work, self.rollout, {}, self.group)
        await turns()

    async def interval(self, **requests: float) -> None:
        """Let an interval pass in which so many requests came in."""
        for version, count in requests.items():
            self.requests[version] += count
        await self.clock.pass_time(INTERVAL)

    @property
    def judgement(self) -> Any:
        return self.memory.findings.judged.judgement


@asynccontextmanager
async def a_stage() -> AsyncIterator[Stage]:
    stage = Stage()
    async with asyncio.TaskGroup() as group:
        stage.group = group
        yield stage
        stage.beside.stop()


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the blocks that the judge was given, None where there was none."""
    given: list[Any] = []
    judge = reading.judge

    def listening(settings: Any, state: Any, block: Any, *more: Any, **named: Any) -> Any:
        given.append(block)
        return judge(settings, state, block, *more, **named)

    monkeypatch.setattr(reading, "judge", listening)
    return given


# ---------------------------------------------------------------- prove and smoke


async def test_a_proof_is_a_finding_that_wakes_the_target_and_is_to_be_saved() -> None:
    async with a_stage() as stage:
        await stage.assign(PROVE)
        stage.live.set()
        await turns()

        assert stage.memory.findings.proof.confirmed_at == stage.clock.now()
        assert stage.woken == 1
        assert stage.proved == [KEY]


async def test_the_same_decision_is_not_proved_twice_at_a_time() -> None:
    async with a_stage() as stage:
        await stage.assign(PROVE)
        await stage.assign(PROVE)

        assert stage.begun == ["prove 4"]


async def test_a_new_decision_cancels_the_proof_of_the_last_one() -> None:
    async with a_stage() as stage:
        await stage.assign(PROVE)
        await stage.assign(replace(PROVE, decision=5))

        assert stage.cancelled == ["prove 4"]
        assert stage.begun == ["prove 4", "prove 5"]


@pytest.mark.parametrize("work", [None, WORK])
async def test_what_is_not_wanted_any_more_is_cancelled(work: Work | None) -> None:
    async with a_stage() as stage:
        await stage.assign(SMOKE)
        await stage.assign(work)

        assert stage.cancelled == ["prove 4"]


async def test_the_smoke_test_runs_once_the_split_is_proved_and_not_before() -> None:
    async with a_stage() as stage:
        await stage.assign(SMOKE)
        before = list(stage.begun)
        stage.live.set()
        await turns()

        assert before == ["prove 4"]
        assert stage.begun == ["prove 4", "smoke 4"]


async def test_a_smoke_result_is_a_finding_that_wakes_the_target() -> None:
    async with a_stage() as stage:
        await stage.assign(SMOKE)
        stage.live.set()
        stage.smoked.set()
        await turns()

        assert stage.memory.findings.smoke.passed
        assert stage.woken == 2


async def test_a_smoke_test_of_a_split_that_is_proved_already_needs_no_second_proof() -> None:
    async with a_stage() as stage:
        await stage.assign(replace(SMOKE, prove=False))

        assert stage.begun == ["smoke 4"]


async def test_proved_again_after_a_restart_a_hold_goes_on_from_the_first_proof() -> None:
    async with a_stage() as stage:
        first = stage.clock.now() - timedelta(minutes=4)
        stage.memory.confirmed = {("r1", 4): first}
        await stage.assign(PROVE)
        stage.live.set()
        await turns()

        assert stage.memory.findings.proof.confirmed_at == first


async def test_a_proof_that_breaks_is_told_as_unproved_and_begun_again() -> None:
    async with a_stage() as stage:
        stage.broken["prove"] = ValueError("odd port")
        began = stage.clock.now()
        await stage.assign(PROVE)
        proof = stage.memory.findings.proof
        stage.broken.clear()
        stage.live.set()
        await stage.clock.pass_time(AGAIN_SECONDS)

        assert (proof.confirmed_at, proof.first_probe_at) == (None, began)
        assert proof.detail == "probing: odd port"
        assert stage.memory.findings.proof.confirmed_at is not None


async def test_a_smoke_test_that_cannot_run_is_told_and_begun_again() -> None:
    async with a_stage() as stage:
        stage.broken["smoke"] = ValueError("${secret:a/b} cannot be read")
        await stage.assign(replace(SMOKE, prove=False))
        fault = stage.memory.findings.smoke_fault
        stage.broken.clear()
        stage.smoked.set()
        await stage.clock.pass_time(AGAIN_SECONDS)

        assert (fault.rollout, fault.decision) == ("r1", 4)
        assert fault.why == "${secret:a/b} cannot be read"
        assert stage.memory.findings.smoke.passed


async def test_a_fault_that_stays_the_same_is_logged_once() -> None:
    with capture_logs() as lines:
        async with a_stage() as stage:
            stage.broken["smoke"] = ValueError("the same")
            await stage.assign(replace(SMOKE, prove=False))
            for _ in range(3):
                await stage.clock.pass_time(AGAIN_SECONDS)

    assert len(stage.begun) == 4
    assert [it["event"] for it in lines] == ["background.failed"]


# ---------------------------------------------------------------- read and judge


async def test_the_first_reading_only_sets_references(blocks: list[Any]) -> None:
    async with a_stage() as stage:
        stage.requests = {"v1": 1e6, "v2": 1e6}
        await stage.assign(READ)

        assert blocks == [None]


async def test_each_interval_is_a_block_of_what_came_in_since_the_last(blocks: list[Any]) -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)

        block = blocks[-1]
        assert (block.stable.requests, block.canary.requests, block.weight) == (95, 5, 5)


async def test_without_a_weight_the_requests_of_smoke_tests_are_not_the_canarys(
    blocks: list[Any],
) -> None:
    async with a_stage() as stage:
        await stage.assign(replace(READ, phase=Phase.SMOKE, weight=0))
        await stage.interval(v1=95, v2=5)

        block = blocks[-1]
        assert (block.stable.requests, block.canary.requests, block.weight) == (95, 0, 0)


async def test_a_judgement_belongs_to_its_decision_and_wakes_the_target() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        woken = stage.woken
        await stage.interval(v1=95, v2=5)

        judged = stage.memory.findings.judged
        assert (judged.rollout, judged.decision, judged.revision) == ("r1", 4, "v2/b")
        assert judged.at == stage.clock.now()
        assert stage.woken == woken + 1


async def test_a_new_weight_closes_the_block_under_the_old_one_at_once(blocks: list[Any]) -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        stage.requests = {"v1": 10.0, "v2": 1.0}
        await stage.assign(replace(READ, decision=5, weight=25, step=1, prove=True))

        assert (blocks[-1].weight, blocks[-1].canary.requests) == (5, 1)
        assert stage.memory.findings.judged.decision == 4


async def test_once_a_split_is_proved_the_next_reading_only_sets_references(
    blocks: list[Any],
) -> None:
    async with a_stage() as stage:
        await stage.assign(replace(READ, prove=True))
        stage.requests = {"v1": 10.0, "v2": 200.0}
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)

        assert blocks[:2] == [None, None]
        assert blocks[2].canary.requests == 5


async def test_a_write_of_the_record_alone_goes_on_with_the_same_evidence(
    blocks: list[Any],
) -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.assign(replace(READ))
        await stage.interval(v1=95, v2=5)

        assert len(stage.providers) == 1
        assert blocks[-1].canary.requests == 5


async def test_a_changed_stable_begins_the_evidence_anew() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)
        first = stage.judgement.requests
        await stage.assign(replace(READ, stable_revision="v1/new"))

        assert (first, stage.judgement.requests) == (5, 0)
        assert [it.closed for it in stage.providers] == [1, 0]


async def test_saved_evidence_of_this_rollout_is_taken_up_after_a_restart() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)
        async with a_stage() as again:
            again.memory.kept = stage.memory.evidence()
            await again.assign(READ)

            assert again.judgement.requests == 5


async def test_evidence_that_is_lost_begins_anew_and_that_is_told() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)
        kept = stage.memory.evidence()
        with capture_logs() as lines:
            async with a_stage() as again:
                again.memory.kept = replace(kept, counts={**kept.counts, "state": "damaged"})
                await again.assign(READ)

                assert again.judgement.requests == 0

    (told,) = [it for it in lines if it["event"] == "evidence.begun_anew"]
    assert told["message"] == (
        "evidence begins anew: the judge's state is damaged, or of other checks"
    )
    assert (told["target"], told["rollout"], told["log_level"]) == (str(KEY), "r1", "warning")


async def test_evidence_goes_on_where_reading_stopped_for_a_moment() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)
        await stage.assign(None)
        await stage.assign(READ)

        assert stage.judgement.requests == 5


async def test_when_a_rollout_is_over_its_evidence_stays() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)
        during = stage.memory.evidence()
        await stage.assign(None)

        assert stage.memory.keeping is None
        assert stage.memory.evidence() == during != Kept()


async def test_the_next_rollout_takes_the_place_of_the_last_ones_evidence() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.assign(None)
        await stage.assign(replace(READ, rollout="r2"))

        assert stage.memory.evidence().counts["rollout"] == "r2"


# ---------------------------------------------------------------- a restart between two readings


async def _restarted(stage: Stage, seconds: float, **work: Any) -> Stage:
    """Return a process that comes after `stage`, some seconds after its last look."""
    again = Stage()
    again.clock.seconds = stage.clock.seconds + seconds
    again.memory.kept = stage.memory.evidence()
    again.group = stage.group
    again.requests = {"v1": stage.requests["v1"] + 190, "v2": stage.requests["v2"] + 10}
    await again.assign(replace(READ, **work))
    return again


async def test_after_a_restart_the_next_block_runs_from_the_last_reading(
    blocks: list[Any],
) -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)
        again = await _restarted(stage, 20.0)

        assert (blocks[-1].seconds, blocks[-1].canary.requests) == (20, 10)
        assert again.judgement.requests == 15
        again.beside.stop()


@pytest.mark.parametrize(
    ("seconds", "work"),
    [
        pytest.param(20, {"weight": 25, "decision": 5, "step": 1}, id="another weight"),
        pytest.param(20, {"decision": 6}, id="the weight was another one meanwhile"),
        pytest.param(121, {}, id="away for longer than a restart takes"),
        pytest.param(-5, {}, id="a clock that went back"),
    ],
)
async def test_after_a_restart_the_first_reading_only_sets_references_where(
    blocks: list[Any], seconds: float, work: dict[str, Any]
) -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)
        again = await _restarted(stage, seconds, **work)

        assert blocks[-1] is None
        again.beside.stop()


async def test_a_reading_from_before_its_proof_is_no_reference_after_a_restart(
    blocks: list[Any],
) -> None:
    async with a_stage() as stage:
        await stage.assign(replace(READ, prove=True))
        again = await _restarted(stage, 5.0)

        assert blocks[-1] is None
        again.beside.stop()


# ---------------------------------------------------------------- where a Pass leads to


@pytest.mark.parametrize(
    ("policy", "weight", "ahead"),
    [
        pytest.param({"steps": [5, 25, 100]}, 5, 25, id="the next step"),
        pytest.param({"steps": [5, 25, 100]}, 25, 100, id="everybody after the last step"),
        pytest.param({"steps": [5, 25, 100]}, 100, 100, id="promotion, in Baking"),
        pytest.param({"steps": [5, 25, 100]}, 3, 5, id="the first step above a weight between"),
        pytest.param({"steps": [5, 25, 100], "ramp": "budget"}, 5, 100, id="promotion by budget"),
    ],
)
async def test_a_pass_is_asked_for_by_the_weight_that_it_leads_to(
    monkeypatch: pytest.MonkeyPatch, policy: dict[str, Any], weight: int, ahead: float
) -> None:
    asked: list[float] = []
    judge = reading.judge

    def listening(*given: Any, ahead: float) -> Any:
        asked.append(ahead)
        return judge(*given, ahead=ahead)

    monkeypatch.setattr(reading, "judge", listening)
    async with a_stage() as stage:
        steps = [{"weight": it, "hold": "1m"} for it in policy["steps"]]
        stage.rollout = routes.a_rollout(**policy | {"steps": steps})
        await stage.assign(replace(READ, weight=weight))

    assert asked == [ahead]


# ---------------------------------------------------------------- the journal


async def test_the_journal_tells_every_look_and_what_came_of_it() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)
        stage.trouble = ProviderError("connection refused")
        await stage.interval()
        kept = stage.memory.evidence()

    settings = judge_settings(stage.rollout)
    journal = load(settings, kept.journal)
    assert journal is not None
    looks = list(entries(journal))
    assert (journal.rollout, journal.stable, journal.canary) == ("r1", "v1", "v2")
    assert [(it.decision, it.step, it.weight) for it in looks] == [(4, 0, 5)] * 3
    assert looks[0].read is None
    assert isinstance(looks[1].read, Block)
    assert looks[2].read == Unread(stale=False, message="connection refused")


async def test_the_last_judgement_is_kept_as_it_was_said() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)
        judgement, now = stage.judgement, stage.clock.now()
        said = said_in(stage.memory.evidence().counts)

    assert said == Said(now, 5, judgement.verdict, judgement.ground, judgement.message)


async def test_what_was_judged_can_be_judged_again_from_the_journal_alone() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        for n in range(5):
            await stage.interval(v1=95 + n, v2=5)
        await stage.assign(replace(READ, decision=5, weight=25, step=1))
        await stage.interval(v1=70, v2=30)
        kept = stage.memory.evidence()

    settings = judge_settings(stage.rollout)
    journal = load(settings, kept.journal)
    assert journal is not None
    *_, (_, state, judgement) = replay(settings, journal)
    assert judgement == stage.judgement
    assert save(settings, state) == kept.counts["state"]


async def test_the_journal_goes_on_after_a_restart() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        await stage.interval(v1=95, v2=5)
        again = await _restarted(stage, 20.0)
        again.beside.stop()

    journal = load(judge_settings(stage.rollout), again.memory.evidence().journal)
    assert journal is not None
    assert (len(journal.lines), journal.again) == (3, 0)


async def test_an_outage_of_the_provider_is_no_data_and_no_block_spans_it(
    blocks: list[Any],
) -> None:
    async with a_stage() as stage:
        await stage.assign(READ)
        stage.trouble = ProviderError("connection refused")
        await stage.interval(v1=95, v2=5)
        ground = stage.judgement.ground
        stage.trouble = None
        await stage.interval()

        assert ground is Ground.PROVIDER_DOWN
        assert "connection refused" not in str(blocks)
        assert len(blocks) == 2


async def test_a_provider_that_cannot_be_built_is_told_and_tried_again() -> None:
    async with a_stage() as stage:
        stage.unbuildable = RefusedError("${secret:a/b} cannot be read")
        await stage.assign(READ)
        message = stage.judgement.message
        stage.unbuildable = None
        await stage.interval()

        assert "${secret:a/b} cannot be read" in message
        assert len(stage.providers) == 1


async def test_a_reader_that_breaks_is_begun_again_with_a_new_provider() -> None:
    async with a_stage() as stage:
        stage.trouble = KeyError("a bug")
        await stage.assign(READ)
        silent = stage.memory.findings.judged
        stage.trouble = None
        await stage.clock.pass_time(AGAIN_SECONDS)

        assert silent is None
        assert [it.closed for it in stage.providers] == [1, 0]
        assert stage.memory.findings.judged is not None


async def test_a_query_that_has_no_answer_is_no_data_of_that_check_alone() -> None:
    async with a_stage() as stage:
        checks = [{"name": "errors", "query": "sum(x)", "atMost": 5}]
        stage.rollout = routes.a_rollout(
            analysis={"interval": "10s", "checks": checks},
            metrics={"prometheus": {"url": "http://127.0.0.1:9"}},
        )
        stage.trouble_of_query = ProviderError("no answer")
        await stage.assign(READ)

        assert stage.queries[0][0] == "sum(x)"
        assert stage.judgement.findings[0].ground is Ground.NO_DATA


async def test_the_pods_to_read_are_told_by_version_and_address() -> None:
    async with a_stage() as stage:
        await stage.assign(READ)

        scope = stage.scopes[0]
        assert {v: [it.ip for it in pods] for v, pods in scope.pods.items()} == {
            "v1": ["10.0.0.0"],
            "v2": ["10.0.0.1"],
        }
        assert (scope.stable, scope.canary) == ("v1", "v2")


async def test_stopping_ends_everything_and_closes_the_provider() -> None:
    async with a_stage() as stage:
        await stage.assign(replace(READ, prove=True))
        stage.beside.stop()
        await turns()

        assert stage.cancelled == ["prove 4"]
        assert stage.providers[0].closed == 1


async def test_nothing_is_proved_without_a_route() -> None:
    async with a_stage() as stage:
        stage.beside.assign(PROVE, stage.rollout, None, stage.group)
        await turns()

        assert stage.begun == []
