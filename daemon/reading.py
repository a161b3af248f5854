"""Reads one rollout's metrics on its interval, judges them and keeps the evidence.

A block never spans two weights: a new decision closes the block under the old weight at once, and
when the new split is proved the next reading only sets the references, so that probes are in no
count of the new step. What a judgement leads to is daemon.core's; nothing is saved here, only held
ready for whoever saves.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import structlog

from analysis.errors import ProviderError
from analysis.history import History
from analysis.journal import Entry, Unread, append, unread
from analysis.judge import JudgeSettings, judge, judge_unread, on_step
from analysis.judge import settings_from as judge_settings
from analysis.providers.base import PodAddress, Provider, Scope
from analysis.ramp import EVERYBODY
from analysis.samples import Block, Number, NumberKind, Reading, close_block
from analysis.verdict import Ground, Judgement, Verdict
from config.schema import Rollout
from daemon.core.model import Judged, TargetKey, Work
from daemon.kept import Kept, Last, keep, reference, take_up
from daemon.kube.objects import label
from daemon.memory import Memory
from daemon.said import Said
from daemon.tools import Tools


class Reader:
    """Reads and judges one rollout's metrics while it lasts."""

    def __init__(
        self,
        key: TargetKey,
        memory: Memory,
        tools: Tools,
        *,
        rollout: Rollout,
        work: Work,
        past: History,
    ) -> None:
        self._key = key
        self._memory = memory
        self._tools = tools
        self._rollout = rollout
        self._work = work
        self._next = work
        self._kick = asyncio.Event()
        self._log = structlog.get_logger("crossfade").bind(target=str(key), rollout=work.rollout)
        self._settings: JudgeSettings = judge_settings(rollout)
        self._evidence, lost = take_up(self._settings, work, memory.kept, tools.now(), past=past)
        self._tell_beginning(lost)
        self._before: Reading | None = None
        self._before_weight = work.weight
        self._provider: Provider | None = None
        self._told: tuple[Verdict, Ground] | None = None
        memory.keeping = self.keep

    def take(self, work: Work) -> None:
        """Go on under a new decision, or under the same one now proved."""
        if work != self._next:
            self._next = work
            self._kick.set()

    def keep(self) -> Kept:
        """Write the evidence down, as after the last look."""
        return keep(self._settings, self._evidence)

    def put_down(self) -> None:
        """Leave the evidence to the target's memory; no look comes after it."""
        self._memory.kept, self._memory.keeping = self.keep(), None

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
        read: Block | Unread | None
        numbers: Mapping[str, Number] = {}
        state = on_step(self._evidence.state, work.step)
        ahead = weight_ahead(self._rollout, work.weight)
        try:
            provider = self._provider or self._tools.provider(self._rollout)
            self._provider = provider
            reading = await provider.read(self._scope(work))
            numbers = await self._numbers(provider, work)
        except ProviderError as problem:
            read, judgement = unread(problem), judge_unread(self._settings, state, problem)
        else:
            read = self._close(reading, work, upcoming)
            state, judgement = judge(self._settings, state, read, numbers, ahead=ahead)
        self._evidence = replace(self._evidence, state=state)
        self._note(work, ahead, read, numbers, judgement)

    def _note(
        self,
        work: Work,
        ahead: float,
        read: Block | Unread | None,
        numbers: Mapping[str, Number],
        judgement: Judgement,
    ) -> None:
        """Put a look down, tell what is new, and wake the target."""
        at = self._tools.now()
        entry = Entry(
            at=at.timestamp(),
            decision=work.decision,
            step=work.step,
            weight=work.weight,
            ahead=ahead,
            read=read,
            verdict=judgement.verdict,
            ground=judgement.ground,
            numbers=numbers,
        )
        journal = append(self._settings, self._evidence.journal, entry)
        said = Said(at, work.weight, judgement.verdict, judgement.ground, judgement.message)
        self._evidence = replace(self._evidence, journal=journal, said=said)
        self._tell(work, judgement)
        judged = Judged(work.rollout, work.decision, work.revision, judgement, at)
        self._memory.findings = replace(self._memory.findings, judged=judged)
        self._tools.wake(self._key)

    def _close(self, reading: Reading, work: Work, upcoming: Work) -> Block | None:
        """Close the block that this reading ends, if there is one of a single proved weight."""
        now, before = self._tools.now(), self._before
        if before is None:
            before = reference(self._evidence.last, work, reading, now)
        block = None
        proved_now = work.prove and not upcoming.prove and work.decision == upcoming.decision
        if before is not None and self._before_weight == work.weight and not proved_now:
            # Without a weight the canary answers smoke tests alone: no measure of users' requests.
            canary = work.canary if work.weight else None
            block = close_block(
                before, reading, stable=work.stable, canary=canary, weight=work.weight
            )
            if both := block.canary.requests + block.stable.requests:
                self._tools.shared(self._key, 100 * block.canary.requests / both)
        self._before, self._before_weight = reading, upcoming.weight
        # A reading from before its proof is no reference for a process that comes after us.
        last = Last(reading, upcoming.weight, upcoming.decision, now)
        self._evidence = replace(self._evidence, last=None if upcoming.prove else last)
        return block

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
        versions = [it for it in (work.stable, work.canary) if it is not None]
        return scope_of(self._key, self._rollout, self._tools, versions)

    # ------------------------------------------------------------ what is told

    def _tell_beginning(self, lost: str) -> None:
        past = self._evidence.journal.past
        if lost:
            self._log.warning("evidence.begun_anew", message=f"evidence begins anew: {lost}")
        if not self._evidence.journal.lines:
            self._log.info(
                "evidence.begun",
                history_seconds=round(past.seconds),
                history_requests=past.requests,
            )

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


def weight_ahead(rollout: Rollout, weight: float) -> float:
    """Return the percent of the traffic that a Pass at this weight leads to.

    A ramp by budget does not climb by Passes: the one that it gets is its end.
    """
    if rollout.ramp == "budget":
        return EVERYBODY
    return next((float(it.weight) for it in rollout.steps if it.weight > weight), EVERYBODY)


def scope_of(key: TargetKey, rollout: Rollout, tools: Tools, versions: list[str]) -> Scope:
    """Say whose metrics to read: stable's first, and the canary's, if there are two versions."""
    pods = tools.pods(rollout)
    of_version = {
        version: tuple(
            PodAddress(it.name, it.ip)
            for it in pods
            if it.ip and not it.terminating and label(it.labels, rollout.version_label) == version
        )
        for version in versions
    }
    return Scope(
        namespace=key.namespace,
        target=key.name,
        stable=versions[0],
        canary=versions[1] if len(versions) > 1 else None,
        pods=of_version,
        metrics=rollout.metrics,
    )
