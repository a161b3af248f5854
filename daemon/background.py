"""The work beside reconcile: proving a split, the smoke test, reading metrics.

Reconcile never waits for any of it. Each target has four slots: one that proves (and then smokes) a
decision, one that finds what counts a rollout's requests where the policy does not say it, one that
reads a rollout and judges it (daemon.reading), and one that reads stable while there is none
(daemon.past). `assign` says what shall run, and what no longer fits is cancelled.
Results are findings that carry the rollout, decision and revision they belong to; they wake the
target and decide nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import structlog

from analysis.history import NOTHING_KNOWN, History
from config.schema import Rollout
from daemon.core.model import Proof, SmokeFault, SourceFound, TargetKey, Work
from daemon.memory import Memory
from daemon.past import AtRest, PastReader
from daemon.ports import Obj
from daemon.reading import Reader, scope_of
from daemon.sources import with_source
from daemon.tools import Tools

CHOOSE_SECONDS = 2.0
"""Between two tries to prove a source of metrics: a pod that became ready is counted by then."""
AGAIN_SECONDS = 5.0
"""Between two tries of side work that broke; a person needs longer to mend what broke it."""


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
        self._choosing: _Slot | None = None
        self._reading: _Slot | None = None
        self._reader: Reader | None = None
        self._resting: _Slot | None = None
        self._past: PastReader | None = None
        self._log = structlog.get_logger("crossfade").bind(target=str(key))

    def assign(
        self,
        work: Work | None,
        rollout: Rollout,
        obj: Obj | None,
        group: asyncio.TaskGroup,
        at_rest: AtRest | None = None,
    ) -> None:
        """Let this work run from now on, and nothing else; `at_rest` says whose past to read."""
        self._assign_proving(work, rollout, obj, group)
        self._assign_choosing(work, rollout, group)
        self._assign_resting(at_rest, rollout, group)
        self._assign_reading(work, rollout, group)

    def stop(self) -> None:
        """Cancel everything."""
        self._stop_reading()
        for slot in (self._proving, self._choosing, self._resting):
            if slot is not None:
                slot.task.cancel()
        self._proving = self._choosing = self._resting = None

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

    # ------------------------------------------------------------ choose a source of metrics

    def _assign_choosing(
        self, work: Work | None, rollout: Rollout, group: asyncio.TaskGroup
    ) -> None:
        wanted = work if work is not None and work.choose else None
        identity = (wanted.rollout, wanted.revision) if wanted else None
        if self._choosing is not None and self._choosing.identity != identity:
            self._choosing.task.cancel()
            self._choosing = None
        if wanted is None or self._choosing is not None:
            return
        assert identity is not None
        choosing = self._persist(
            "choice of metrics",
            lambda: self._choose(wanted, rollout),
            lambda why: self._found(SourceFound(*identity, "", why)),
        )
        self._choosing = _Slot(identity, group.create_task(choosing))

    async def _choose(self, work: Work, rollout: Rollout) -> None:
        """Try until a source is proved."""
        assert self._tools.choose is not None
        versions = [it for it in (work.stable, work.canary) if it is not None]
        while True:
            scope = scope_of(self._key, rollout, self._tools, versions)
            chosen = await self._tools.choose(rollout, scope, self._tools.pods(rollout))
            self._found(SourceFound(work.rollout, work.revision, chosen.source, chosen.why))
            if chosen.source:
                return
            await self._tools.clock.sleep(CHOOSE_SECONDS)

    def _found(self, found: SourceFound) -> None:
        """Note and log a finding that says something new."""
        if found == self._memory.findings.source:
            return
        if found.source:
            self._log.info("metrics.chosen", rollout=found.rollout, message=found.why)
        else:
            self._log.info("metrics.unproved", rollout=found.rollout, message=found.why)
        self._memory.findings = replace(self._memory.findings, source=found)
        self._tools.wake(self._key)

    # ------------------------------------------------------------ read and judge

    def _assign_reading(
        self, work: Work | None, rollout: Rollout, group: asyncio.TaskGroup
    ) -> None:
        wanted = work if work is not None and work.read else None
        identity = (
            (wanted.rollout, wanted.revision, wanted.stable_revision, wanted.source)
            if wanted
            else None
        )
        if self._reading is not None and self._reading.identity != identity:
            self._stop_reading()
        if wanted is None:
            return
        if self._reader is not None:
            self._reader.take(wanted)
            return
        rollout = with_source(rollout, wanted.source)
        self._reader = Reader(
            self._key,
            self._memory,
            self._tools,
            rollout=rollout,
            work=wanted,
            past=self._known_of(wanted, rollout),
        )
        assert identity is not None
        # What was read is out of date soon; that nothing new comes is what the target sees.
        reading = self._persist("reader", self._reader.run, lambda _: None)
        self._reading = _Slot(identity, group.create_task(reading))

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.put_down()
        if self._reading is not None:
            self._reading.task.cancel()
        self._reading = self._reader = None

    # ------------------------------------------------------------ stable's past

    def _assign_resting(
        self, at_rest: AtRest | None, rollout: Rollout, group: asyncio.TaskGroup
    ) -> None:
        identity = (at_rest, rollout) if at_rest else None
        if self._resting is not None and self._resting.identity != identity:
            self._resting.task.cancel()
            self._resting = None
        if at_rest is None or self._resting is not None:
            return
        if self._past is None or self._past.of != at_rest:
            self._past = PastReader(self._key, self._tools, at_rest)
        past, read = self._past, rollout.model_copy(update={"metrics": at_rest.metrics})
        reading = self._persist("history", lambda: past.run(read), lambda _: None)
        assert identity is not None
        self._resting = _Slot(identity, group.create_task(reading))

    def _known_of(self, work: Work, rollout: Rollout) -> History:
        """Say what is known of stable from before this rollout."""
        of = AtRest(work.stable, work.stable_revision, rollout.metrics)
        if self._past is None or self._past.of != of:
            return NOTHING_KNOWN
        return self._past.history()

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
