"""The work beside reconcile: proving a split, the smoke test, reading and judging metrics.

Reconcile never waits for any of it. Each target has two slots, one that proves (and then smokes) a
decision and one that reads; `assign` says what shall run, and what no longer fits is cancelled.
Results are findings that carry the rollout, decision and revision they belong to; they wake the
target and decide nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import structlog

from analysis.errors import ProviderError
from analysis.judge import JudgeSettings, JudgeState, begin, judge, judge_unread, on_step
from analysis.judge import settings_from as judge_settings
from analysis.memory import restore, save
from analysis.providers.base import PodAddress, Provider, Scope
from analysis.samples import Number, NumberKind, Reading, close_block
from analysis.verdict import Ground, Judgement, Verdict
from config.schema import Rollout
from daemon.core.model import Judged, Proof, SmokeFault, SmokeResult, TargetKey, Work
from daemon.kube.objects import PodRecord, label
from daemon.memory import Memory
from daemon.ports import Clock, Obj

Report = Callable[[Proof], None]

AGAIN_SECONDS = 5.0
"""Between two tries of side work that broke; a person needs longer to mend what broke it."""


class Proving(Protocol):
    """Proves one decision; reports what it got meanwhile."""

    async def __call__(self, work: Work, rollout: Rollout, obj: Obj, report: Report) -> Proof:
        """Return once every proxy answered with the decision's number."""
        ...


class Smoking(Protocol):
    """Runs one smoke test."""

    async def __call__(self, work: Work, rollout: Rollout, obj: Obj) -> SmokeResult:
        """Return the outcome; never raises for what the gateway does."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What the work needs from the rest of the daemon."""

    clock: Clock
    now: Callable[[], datetime]
    prove: Proving
    smoke: Smoking
    provider: Callable[[Rollout], Provider]
    pods: Callable[[Rollout], tuple[PodRecord, ...]]
    wake: Callable[[TargetKey], None]
    proved: Callable[[TargetKey], None]
    shared: Callable[[TargetKey, float], None] = lambda _key, _percent: None
    """told the share of ordinary requests that the canary really completed, in percent"""


@dataclass(slots=True)
class _Slot:
    """One running task and what it is for."""

    identity: tuple[object, ...]
    task: asyncio.Task[None]


class Beside:
    """The work beside reconcile of one target."""

    def __init__(self, key: TargetKey, memory: Memory, tools: Tools) -> None:
        self._key = key
        self._memory = memory
        self._tools = tools
        self._proving: _Slot | None = None
        self._reading: _Slot | None = None
        self._reader: _Reader | None = None
        self._log = structlog.get_logger("crossfade").bind(target=str(key))

    def assign(
        self, work: Work | None, rollout: Rollout, obj: Obj | None, group: asyncio.TaskGroup
    ) -> None:
        """Let this work run from now on, and nothing else."""
        self._assign_proving(work, rollout, obj, group)
        self._assign_reading(work, rollout, group)

    def stop(self) -> None:
        """Cancel everything."""
        for slot in (self._proving, self._reading):
            if slot is not None:
                slot.task.cancel()
        self._proving = self._reading = self._reader = None

    # ------------------------------------------------------------ prove and smoke

    def _assign_proving(
        self, work: Work | None, rollout: Rollout, obj: Obj | None, group: asyncio.TaskGroup
    ) -> None:
        wanted = work if work is not None and (work.prove or work.smoke) else None
        identity = (wanted.rollout, wanted.decision) if wanted else None
        if self._proving is not None and self._proving.identity != identity:
            self._proving.task.cancel()
            self._proving = None
        if wanted is None or obj is None or self._proving is not None:
            return
        assert identity is not None
        task = group.create_task(self._prove_and_smoke(wanted, rollout, obj))
        self._proving = _Slot(identity, task)

    async def _prove_and_smoke(self, work: Work, rollout: Rollout, obj: Obj) -> None:
        if work.prove:
            began = self._tools.now()

            def broke(why: str) -> None:
                self._report(Proof(work.rollout, work.decision, None, began, f"probing: {why}"))

            await self._persist("proof", lambda: self._prove(work, rollout, obj), broke)
        if work.smoke:
            await self._persist(
                "smoke",
                lambda: self._smoke(work, rollout, obj),
                lambda why: self._cannot_smoke(SmokeFault(work.rollout, work.decision, why)),
            )

    async def _prove(self, work: Work, rollout: Rollout, obj: Obj) -> None:
        proof = await self._tools.prove(work, rollout, obj, self._report)
        before = self._memory.confirmed.get((proof.rollout, proof.decision))
        if before is not None and proof.confirmed_at is not None:
            # Proved again after a restart: the hold goes on from the first proof.
            proof = replace(proof, confirmed_at=min(before, proof.confirmed_at))
        self._report(proof)
        self._tools.proved(self._key)

    async def _smoke(self, work: Work, rollout: Rollout, obj: Obj) -> None:
        result = await self._tools.smoke(work, rollout, obj)
        self._memory.findings = replace(self._memory.findings, smoke=result)
        self._tools.wake(self._key)

    def _cannot_smoke(self, fault: SmokeFault) -> None:
        self._memory.findings = replace(self._memory.findings, smoke_fault=fault)
        self._tools.wake(self._key)

    def _report(self, proof: Proof) -> None:
        self._memory.findings = replace(self._memory.findings, proof=proof)
        self._tools.wake(self._key)

    # ------------------------------------------------------------ read and judge

    def _assign_reading(
        self, work: Work | None, rollout: Rollout, group: asyncio.TaskGroup
    ) -> None:
        wanted = work if work is not None and work.read else None
        identity = (wanted.rollout, wanted.revision, wanted.stable_revision) if wanted else None
        if self._reading is not None and self._reading.identity != identity:
            self._reading.task.cancel()
            self._reading = self._reader = None
        if wanted is None:
            return
        if self._reader is not None:
            self._reader.take(wanted)
            return
        self._reader = _Reader(self._key, self._memory, self._tools, rollout, wanted)
        assert identity is not None
        # What was read is out of date soon; that nothing new comes is what the target sees.
        reading = self._persist("reader", self._reader.run, lambda _: None)
        self._reading = _Slot(identity, group.create_task(reading))

    async def _persist(
        self, what: str, begin: Callable[[], Coroutine[Any, Any, None]], told: Callable[[str], None]
    ) -> None:
        """Begin again after a fault, until it ends by itself or is cancelled.

        One target's side work must neither end the daemon nor fall silent: whatever is the matter,
        a missing Secret or a bug of ours, is told, and seen as held.
        """
        said = ""
        while True:
            try:
                return await begin()
            except Exception as fault:  # noqa: BLE001 - the worker boundary of the side work
                why = str(fault) or type(fault).__name__
                if why != said:
                    self._log.exception("background.failed", work=what)
                    said = why
                told(why)
            await self._tools.clock.sleep(AGAIN_SECONDS)


class _Reader:
    """Reads one rollout's metrics on its interval and judges them.

    A block never spans two weights: a new decision closes the block under the old weight at once,
    and when the new split is proved the next reading only sets the references, so that probes are
    in no count of the new step.
    """

    def __init__(
        self, key: TargetKey, memory: Memory, tools: Tools, rollout: Rollout, work: Work
    ) -> None:
        self._key = key
        self._memory = memory
        self._tools = tools
        self._rollout = rollout
        self._work = work
        self._next = work
        self._kick = asyncio.Event()
        self._settings: JudgeSettings = judge_settings(rollout)
        self._state: JudgeState = self._restored()
        self._before: Reading | None = None
        self._before_weight = work.weight
        self._provider: Provider | None = None
        self._told: tuple[Verdict, Ground] | None = None
        self._log = structlog.get_logger("crossfade").bind(target=str(key), rollout=work.rollout)

    def take(self, work: Work) -> None:
        """Go on under a new decision, or under the same one now proved."""
        if work != self._next:
            self._next = work
            self._kick.set()

    async def run(self) -> None:
        """Read for ever."""
        try:
            while True:
                self._kick.clear()
                await self._look()
                await self._pause()
        finally:
            if self._provider is not None:
                provider, self._provider = self._provider, None
                await provider.close()

    async def _pause(self) -> None:
        """Wait for the interval, or until something changed."""
        interval = self._rollout.analysis.interval.total_seconds()
        sleeping = asyncio.ensure_future(self._tools.clock.sleep(interval))
        kicked = asyncio.ensure_future(self._kick.wait())
        try:
            await asyncio.wait({sleeping, kicked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            kicked.cancel()

    async def _look(self) -> None:
        work, upcoming = self._work, self._next
        self._work = upcoming
        self._state = on_step(self._state, work.step)
        try:
            provider = self._provider or self._tools.provider(self._rollout)
            self._provider = provider
            reading = await provider.read(self._scope(work))
            numbers = await self._numbers(provider, work)
        except ProviderError as problem:
            judgement = judge_unread(self._settings, self._state, problem)
        else:
            proved_now = work.prove and not upcoming.prove and work.decision == upcoming.decision
            block = None
            one_weight = self._before_weight == work.weight
            if self._before is not None and one_weight and not proved_now:
                block = close_block(
                    self._before,
                    reading,
                    stable=work.stable,
                    canary=work.canary,
                    weight=work.weight,
                )
                if both := block.canary.requests + block.stable.requests:
                    self._tools.shared(self._key, 100 * block.canary.requests / both)
            self._before, self._before_weight = reading, upcoming.weight
            self._state, judgement = judge(self._settings, self._state, block, numbers)
        self._keep(work)
        judged = Judged(work.rollout, work.decision, work.revision, judgement, self._tools.now())
        self._tell(work, judgement)
        self._memory.findings = replace(self._memory.findings, judged=judged)
        self._tools.wake(self._key)

    def _tell(self, work: Work, judgement: Judgement) -> None:
        """Log a judgement when it says something else than the one before."""
        news = (judgement.verdict, judgement.ground)
        if news == self._told:
            return
        self._told = news
        self._log.info(
            "check.judged",
            revision=work.revision,
            step=work.step,
            weight=work.weight,
            verdict=str(judgement.verdict),
            reason=str(judgement.ground),
            message=judgement.message,
        )

    async def _numbers(self, provider: Provider, work: Work) -> dict[str, Number]:
        window = self._rollout.analysis.window.total_seconds()
        numbers: dict[str, Number] = {}
        for check in self._rollout.analysis.checks:
            if check.query is None:
                continue
            try:
                numbers[check.name] = await provider.number(self._scope(work), check.query, window)
            except ProviderError:
                numbers[check.name] = Number(NumberKind.NO_DATA)
        return numbers

    def _scope(self, work: Work) -> Scope:
        pods: dict[str, tuple[PodAddress, ...]] = {}
        for version in (work.stable, work.canary):
            if version is not None:
                pods[version] = tuple(
                    PodAddress(it.name, it.ip)
                    for it in self._tools.pods(self._rollout)
                    if it.ip
                    and not it.terminating
                    and label(it.labels, self._rollout.version_label) == version
                )
        return Scope(
            namespace=self._key.namespace,
            target=self._key.name,
            stable=work.stable,
            canary=work.canary,
            pods=pods,
            metrics=self._rollout.metrics,
        )

    # ------------------------------------------------------------ memory

    def _keep(self, work: Work) -> None:
        self._memory.counts = {
            "rollout": work.rollout,
            "stable": work.stable_revision,
            "state": save(self._settings, self._state),
        }

    def _restored(self) -> JudgeState:
        """Go on with the saved evidence of this very rollout; else start at E = 1."""
        counts = self._memory.counts
        same = (counts.get("rollout"), counts.get("stable")) == (
            self._work.rollout,
            self._work.stable_revision,
        )
        if same and (state := restore(self._settings, str(counts.get("state")))) is not None:
            return state
        return begin(self._settings, self._work.step)
