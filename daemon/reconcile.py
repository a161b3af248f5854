"""One look at one target: observe, decide, carry out, say when to look again.

Level-triggered: correctness never depends on a tick or an event having arrived. A decision that
raises exposure, pins to stable or has effects is taken twice: on the caches, and again on what was
read live for it; only the second one is carried out. One canonical log line a look.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from config.schema import Rollout
from daemon.background import Beside, Tools
from daemon.carry_out import Hands, Outcome, Result
from daemon.core.decide import decide
from daemon.core.model import (
    Decision,
    Held,
    Notice,
    Observation,
    Record,
    TargetKey,
    Verify,
)
from daemon.core.reasons import Reason
from daemon.core.record import parse_record, record_annotation
from daemon.core.situation import ACTIVE, of_version
from daemon.errors import CrossfadeError, TransientError
from daemon.evidence import Draft, Evidence
from daemon.kube.events import Regarding
from daemon.kube.objects import DEPLOYMENTS
from daemon.memory import Memory
from daemon.notices import Notices
from daemon.observe import Observer, Subject
from daemon.ports import Clock, Obj
from daemon.targets import Targets
from daemon.watcher import Watcher
from daemon.web.metrics import Metrics

RECONCILE_SECONDS = 30.0
"""The deadline of one look: its reads and its one write, each with a time-out of its own."""
FIRST_BACKOFF = timedelta(milliseconds=500)
LONGEST_BACKOFF = timedelta(seconds=30)
AT_ONCE = timedelta(0)
UNKNOWN_LOOK = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class World:
    """Everything a look needs, built by the app."""

    clock: Clock
    targets: Targets
    watcher: Watcher
    observer: Observer
    hands: Hands
    evidence: Evidence
    notices: Notices
    metrics: Metrics
    tools: Tools


class Reconciler:
    """Looks at targets; keeps each target's memory and the work beside it."""

    def __init__(self, world: World, memories: dict[TargetKey, Memory]) -> None:
        self._world = world
        self._memories = memories
        self._beside: dict[TargetKey, Beside] = {}
        self._log = structlog.get_logger("crossfade")
        self._group: asyncio.TaskGroup | None = None
        self.draining = False

    def use(self, group: asyncio.TaskGroup) -> None:
        """Run the work beside in this group."""
        self._group = group

    def memory(self, key: TargetKey) -> Memory:
        """Return a target's memory."""
        return self._memories.setdefault(key, Memory())

    async def reconcile(self, key: TargetKey) -> timedelta:
        """Look at a target once; return when to look again at the latest. Never raises."""
        memory = self.memory(key)
        began = self._world.clock.monotonic()
        with structlog.contextvars.bound_contextvars(target=str(key)):
            look: timedelta
            try:
                async with asyncio.timeout(RECONCILE_SECONDS):
                    look = await self._look(key, memory)
            except (CrossfadeError, TimeoutError) as problem:
                look = self._failed(memory, problem)
            else:
                memory.failures = 0
        self._world.metrics.reconciled(self._world.clock.monotonic() - began)
        return look

    def _failed(self, memory: Memory, problem: Exception) -> timedelta:
        memory.failures += 1
        backoff = min(LONGEST_BACKOFF, FIRST_BACKOFF * int(2 ** min(memory.failures - 1, 10)))
        asked = problem.retry_after if isinstance(problem, TransientError) else None
        look = max(backoff, timedelta(seconds=asked)) if asked else backoff
        self._world.metrics.api_failed(type(problem).__name__)
        self._log.warning(
            "rollout.not_looked_at",
            error=str(problem) or type(problem).__name__,
            attempt=memory.failures,
            next_look_s=round(look.total_seconds(), 1),
        )
        return look

    # ------------------------------------------------------------ one look

    async def _look(self, key: TargetKey, memory: Memory) -> timedelta:
        subject = self._subject(key, memory)
        if subject is None:
            self._let_go(key)
            return UNKNOWN_LOOK
        if not self._world.watcher.is_synced(subject.rollout):
            return FIRST_BACKOFF
        seen, obj, decision = await self._decided(subject, memory)
        if decision.save_policy_first and not await self._save_policy(subject, decision, memory):
            return LONGEST_BACKOFF
        outcome = Outcome(Result.NOTHING_TO_WRITE)
        if obj is not None and not self.draining:
            outcome = await self._world.hands.carry_out(
                subject.rollout, decision, seen, obj, memory
            )
        decision = self._after(subject, seen, decision, outcome, memory)
        self._log_line(seen, decision, outcome)
        if outcome.result is Result.WRITTEN:
            await self._save(key, subject.rollout, decision.record, memory)
        if outcome.result is Result.OVERTAKEN:
            return AT_ONCE
        self._assign(key, subject.rollout, decision, memory)
        return decision.next_look

    def _subject(self, key: TargetKey, memory: Memory) -> Subject | None:
        """Choose the policy by the record on the route (by the cache; a guess until it is read)."""
        targets, watcher = self._world.targets, self._world.watcher
        guess = targets.subject(key, None)
        if guess is None:
            return None
        obj = watcher.route(guess.rollout)
        if memory.written is not None and obj is not None:
            obj = memory.written
        annotations = (obj or {}).get("metadata", {}).get("annotations") or {}
        text = annotations.get(record_annotation(key))
        record = parse_record(text) if text is not None else memory.saved
        return targets.subject(key, record if isinstance(record, Record) else None)

    async def _decided(
        self, subject: Subject, memory: Memory
    ) -> tuple[Observation, Obj | None, Decision]:
        """Decide on the caches, then again on live reads as far as the decision asks for them."""
        level = Verify.NOTHING
        while True:
            seen, obj = await self._world.observer.observe(subject, memory, level)
            decision = decide(subject.rollout, seen)
            if _covers(level, decision.verify):
                return seen, obj, decision
            level = decision.verify

    # ------------------------------------------------------------ after the decision

    def _after(
        self,
        subject: Subject,
        seen: Observation,
        decision: Decision,
        outcome: Outcome,
        memory: Memory,
    ) -> Decision:
        if outcome.result is Result.REFUSED:
            message = f"the API server refuses the write: {outcome.detail}"
            notice = Notice(Reason.WRITE_REFUSED, message, warning=True)
            decision = replace(
                decision,
                reason=Reason.WRITE_REFUSED,
                message=message,
                notices=(notice,),
                record=None,
                split=None,
                work=None,
                blocked=True,
                next_look=LONGEST_BACKOFF,
            )
        if outcome.result is Result.WRITTEN:
            self._world.metrics.wrote(str(subject.key), split=decision.split is not None)
        self._remember_hold(seen, decision, memory)
        if outcome.result is not Result.OVERTAKEN:
            about = self._about(subject, seen)
            self._world.notices.tell(subject.key, memory, decision.notices, about)
            self._world.notices.moved_on(memory, decision.notices)
        self._show(subject.key, seen, decision, outcome)
        return decision

    @staticmethod
    def _remember_hold(seen: Observation, decision: Decision, memory: Memory) -> None:
        """Remember since when the same reason holds, until it is long enough to be written."""
        if memory.holding is None or memory.holding.reason is not decision.reason:
            memory.holding = Held(decision.reason, seen.now)

    def _about(self, subject: Subject, seen: Observation) -> tuple[Regarding, ...]:
        """Events stand on the route and on the Deployment that the news is about."""
        rollout = subject.rollout
        route = self._world.hands.address(rollout)
        about = [
            Regarding(
                route.resource,
                route.namespace,
                route.name,
                seen.route.uid if seen.route else "",
            )
        ]
        record = seen.record if isinstance(seen.record, Record) else None
        version = (record.canary or record.stable) if record else None
        about += [
            Regarding(DEPLOYMENTS, rollout.namespace, it.deployment, it.uid)
            for it in of_version(seen, version)[:1]
        ]
        return tuple(about)

    def _show(
        self, key: TargetKey, seen: Observation, decision: Decision, outcome: Outcome
    ) -> None:
        metrics, target = self._world.metrics, str(key)
        metrics.route_gone(target, gone=seen.route is None)
        metrics.blocked(target, blocked=decision.blocked)
        written = outcome.result is Result.WRITTEN
        record = decision.record if written else seen.record
        if not isinstance(record, Record):
            return
        metrics.stands(target, record.phase, record.weight)
        metrics.versions(target, record.stable, record.canary)
        metrics.held(target, record.held.reason if record.held else None)
        metrics.paused(target, paused=record.paused is not None)
        proof = seen.findings.proof
        confirmed = proof is not None and proof.decision == record.decision
        metrics.confirmed(target, confirmed=bool(confirmed and proof and proof.confirmed_at))
        if written:
            metrics.decided(target, record.phase, record.weight, decision.reason)
        if seen.findings.judged is not None:
            findings = seen.findings.judged.judgement.findings
            metrics.judged(target, {it.check: it.verdict for it in findings})

    def _log_line(self, seen: Observation, decision: Decision, outcome: Outcome) -> None:
        record = decision.record if outcome.result is Result.WRITTEN else seen.record
        facts: dict[str, object] = {}
        if isinstance(record, Record):
            facts = {
                "rollout": record.id,
                "revision": record.revision or record.stable_revision,
                "phase": str(record.phase),
                "step": record.step,
                "weight": record.weight,
                "decision": record.decision,
            }
        # What was written is news; a look that changed nothing is for those who ask for it.
        log = self._log.info if outcome.result is not Result.NOTHING_TO_WRITE else self._log.debug
        log(
            "rollout.decided",
            reason=str(decision.reason),
            message=decision.message,
            result=str(outcome.result),
            fresh=str(seen.fresh),
            **facts,
        )

    # ------------------------------------------------------------ evidence

    async def _save_policy(self, subject: Subject, decision: Decision, memory: Memory) -> bool:
        """Store the policy that a rollout begins with; without it a rollout does not begin."""
        try:
            await self._world.evidence.save(
                subject.key, Draft(subject.rollout, decision.record, None, memory.counts)
            )
        except CrossfadeError as problem:
            message = f"the evidence ConfigMap cannot be written, so nothing starts: {problem}"
            notice = Notice(Reason.EVIDENCE_UNWRITABLE, message, warning=True)
            self._world.notices.tell(subject.key, memory, (notice,), ())
            return False
        self._world.targets.store(subject.key, subject.rollout)
        return True

    async def _save(
        self, key: TargetKey, rollout: Rollout, record: Record | None, memory: Memory
    ) -> None:
        """Save the evidence, best effort."""
        if record is not None:
            memory.saved = record
            if record.phase not in ACTIVE:
                self._world.targets.finished(key)
        proof = memory.findings.proof
        confirmed = None
        if proof is not None and proof.confirmed_at is not None:
            confirmed = (proof.rollout, proof.decision, proof.confirmed_at)
        with suppress(CrossfadeError):
            draft = Draft(rollout, memory.saved, confirmed, memory.counts)
            await self._world.evidence.save(key, draft)

    async def save_proof(self, key: TargetKey) -> None:
        """Save confirmedAt at once, so that a restart does not start the hold again."""
        memory = self.memory(key)
        subject = self._subject(key, memory)
        if subject is not None and memory.saved is not None and memory.saved.phase in ACTIVE:
            await self._save(key, subject.rollout, None, memory)

    async def save_all(self) -> None:
        """Save what is known of every running rollout, at shutdown."""
        for key, memory in list(self._memories.items()):
            subject = self._subject(key, memory)
            running = memory.saved is not None and memory.saved.phase in ACTIVE
            if subject is not None and running:
                await self._save(key, subject.rollout, None, memory)

    # ------------------------------------------------------------ the work beside

    def _assign(self, key: TargetKey, rollout: Rollout, decision: Decision, memory: Memory) -> None:
        if self._group is None or self.draining:
            return
        if key not in self._beside:
            self._beside[key] = Beside(key, memory, self._world.tools)
        obj = memory.written or self._world.watcher.route(rollout)
        self._beside[key].assign(decision.work, rollout, obj, self._group)

    def _let_go(self, key: TargetKey) -> None:
        if (beside := self._beside.pop(key, None)) is not None:
            beside.stop()
        self._memories.pop(key, None)
        self._world.metrics.forget(str(key))

    def stop(self) -> None:
        """Cancel the work beside of all targets."""
        for beside in self._beside.values():
            beside.stop()


def _covers(read: Verify, wanted: Verify) -> bool:
    order = list(Verify)
    return order.index(read) >= order.index(wanted)
