"""One look at one target: observe, decide, carry out, say when to look again.

Level-triggered: correctness never depends on a tick or an event having arrived. A decision that
raises exposure, pins to stable or has effects is taken twice: on the caches, and again on what was
read live for it; only the second one is carried out. One canonical log line a look.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import structlog

from config.schema import Rollout
from daemon import account
from daemon.background import Beside
from daemon.carry_out import Hands, Outcome, Result
from daemon.core.decide import decide
from daemon.core.model import (
    Decision,
    Held,
    Notice,
    Observation,
    Phase,
    Record,
    TargetKey,
    Verify,
    Work,
)
from daemon.core.moves import blocked, work_of
from daemon.core.reasons import Reason
from daemon.core.record import parse_record, record_annotation
from daemon.core.situation import ACTIVE
from daemon.errors import (
    ConflictError,
    CrossfadeError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    PermanentError,
    TransientError,
)
from daemon.evidence import Draft, Evidence
from daemon.memory import Memory
from daemon.notices import Notices
from daemon.observe import Observer, Subject
from daemon.past import AtRest
from daemon.ports import Clock, Obj
from daemon.sources import with_source
from daemon.targets import Targets
from daemon.tools import Tools
from daemon.watcher import Watcher
from daemon.web.metrics import Metrics

RECONCILE_SECONDS = 30.0
"""The deadline of one look: its reads and its one write, each with a time-out of its own."""
FIRST_BACKOFF = timedelta(milliseconds=500)
LONGEST_BACKOFF = timedelta(seconds=8)
"""An API server that comes back after an hour finds us at work within ten seconds."""
REFUSED_LOOK = timedelta(seconds=30)
"""What a person has to change first is looked at less often; watches tell most changes anyway."""
PROOF_SECONDS = 2.0
"""A proof comes within this as a rule; the evidence of a decision and its proof is one write."""
SAVE_AGAIN = timedelta(seconds=10)
"""After a save that failed, and might not the next time: the end of a rollout is told by it."""
EVIDENCE_SECONDS = 60.0
"""What was judged since the last save: a crash costs so much, and `explain` is so old."""
HELD_FROM_PROOF = frozenset({Phase.SHIFTING, Phase.BAKING})
"""Whose hold begins with the proof: that moment must outlive us. Elsewhere it is proved again."""
STABLE_ALONE = frozenset({Phase.IDLE, Phase.PREPARING, Phase.ROLLED_BACK})
"""In Preparing nothing is exposed yet, and it can take as long as the canary's pods do."""
KINDS: Final[Mapping[type[Exception], str]] = {
    TransientError: "transient",
    ConflictError: "conflict",
    NotFoundError: "not_found",
    ForbiddenError: "forbidden",
    InvalidError: "invalid",
    GoneError: "gone",
}
"""Kinds of faults, as the metrics name them."""
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
            except PermanentError as problem:
                look = self._refused(key, memory, problem)
            except (CrossfadeError, TimeoutError) as problem:
                look = self._failed(memory, problem)
            except Exception as bug:  # noqa: BLE001 - the boundary of one target; others go on
                self._log.exception("rollout.look_broke")
                look = self._failed(memory, bug)
            else:
                memory.failures = 0
        self._world.metrics.reconciled(self._world.clock.monotonic() - began)
        return look

    def _failed(self, memory: Memory, problem: Exception) -> timedelta:
        memory.failures += 1
        backoff = min(LONGEST_BACKOFF, FIRST_BACKOFF * int(2 ** min(memory.failures - 1, 10)))
        asked = problem.retry_after if isinstance(problem, TransientError) else None
        look = max(backoff, timedelta(seconds=asked)) if asked else backoff
        self._world.metrics.api_failed(KINDS.get(type(problem), "other"))
        self._log.warning(
            "rollout.not_looked_at",
            error=str(problem) or type(problem).__name__,
            attempt=memory.failures,
            next_look_s=round(look.total_seconds(), 1),
        )
        return look

    def _refused(self, key: TargetKey, memory: Memory, problem: PermanentError) -> timedelta:
        """Tell people what trying again cannot mend: a missing right, as a rule."""
        notice = Notice(Reason.BLOCKED, str(problem), warning=True)
        self._world.notices.tell(key, memory, (notice,), ())
        self._world.metrics.blocked(str(key), blocked=True)
        return self._failed(memory, problem)

    # ------------------------------------------------------------ one look

    async def _look(self, key: TargetKey, memory: Memory) -> timedelta:
        subject = self._subject(key, memory)
        if subject is None:
            self._let_go(key)
            return UNKNOWN_LOOK
        if not self._world.watcher.is_synced(subject.rollout):
            return FIRST_BACKOFF
        seen, obj, decision = await self._decided(subject, memory)
        if _is_over(seen, decision) and self._world.targets.finished(key):
            self._world.watcher.follow(self._world.targets.followed())
            return AT_ONCE  # from here on the file's policy holds, if it names the target
        if decision.save_policy_first:
            decision = await self._with_policy_saved(subject, decision, memory)
        outcome = Outcome(Result.NOTHING_TO_WRITE)
        if obj is not None and not self.draining:
            outcome = await self._world.hands.carry_out(
                subject.rollout, decision, seen, obj, memory
            )
        decision = self._after(subject, seen, decision, outcome, memory)
        account.log_line(self._log, seen, decision, outcome)
        if outcome.result is Result.WRITTEN and decision.record is not None:
            self._remember(subject, decision.record, memory)
        if outcome.result is Result.OVERTAKEN:
            return AT_ONCE
        await self._save_when_due(key, subject.rollout, decision, memory)
        record = decision.record if outcome.result is Result.WRITTEN else seen.record
        self._assign(key, subject.rollout, decision, memory, record)
        return min(decision.next_look, SAVE_AGAIN) if memory.save_again else decision.next_look

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
                work=_standing_work(subject.rollout, seen),
                blocked=True,
                next_look=REFUSED_LOOK,
            )
        if outcome.result is Result.WRITTEN:
            self._world.metrics.wrote(str(subject.key), split=decision.split is not None)
        self._remember_hold(seen, decision, memory)
        if outcome.result is not Result.OVERTAKEN:
            route = self._world.hands.address(subject.rollout)
            about = account.about(route, subject.rollout, seen, decision)
            self._world.notices.tell(subject.key, memory, decision.notices, about)
            self._world.notices.moved_on(memory, decision.notices)
        account.show(self._world.metrics, subject.key, seen, decision, outcome)
        return decision

    @staticmethod
    def _remember_hold(seen: Observation, decision: Decision, memory: Memory) -> None:
        """Remember since when the same reason holds, until it is long enough to be written."""
        if memory.holding is None or memory.holding.reason is not decision.reason:
            memory.holding = Held(decision.reason, seen.now)

    # ------------------------------------------------------------ evidence

    async def _with_policy_saved(
        self, subject: Subject, decision: Decision, memory: Memory
    ) -> Decision:
        """Store the policy that a rollout begins with; without it a rollout does not begin.

        Raises:
            TransientError: it may be written a moment later.
        """
        try:
            await self._world.evidence.save(
                subject.key, Draft(subject.rollout, decision.record, None, memory.evidence())
            )
        except TransientError:
            raise  # looked at again soon, as after any fault of the API server
        except CrossfadeError as problem:
            message = f"the evidence ConfigMap cannot be written, so nothing starts: {problem}"
            refused = blocked(Reason.EVIDENCE_UNWRITABLE, message)
            return replace(refused, next_look=REFUSED_LOOK)
        self._world.targets.store(subject.key, subject.rollout)
        return decision

    def _remember(self, subject: Subject, record: Record, memory: Memory) -> None:
        memory.saved = record
        memory.unsaved_since = self._world.clock.monotonic()
        if record.phase in ACTIVE and record.policy == subject.policy_hash:
            # Also where it was found in the file alone: the file may change the next moment.
            self._world.targets.store(subject.key, subject.rollout)

    async def _save_when_due(
        self, key: TargetKey, rollout: Rollout, decision: Decision, memory: Memory
    ) -> None:
        """Save a written record at once, or with its proof; and what was judged, now and then."""
        if memory.saved is None:
            return
        if memory.unsaved_since is None:
            due = self._evidence_is_due(memory)
        else:
            waited = self._world.clock.monotonic() - memory.unsaved_since
            proving = decision.work is not None and decision.work.prove
            back = memory.saved.phase is Phase.ROLLING_BACK  # it rejects a revision: at once
            due = not proving or back or waited >= PROOF_SECONDS
        if due:
            await self._save(key, rollout, memory)

    def _evidence_is_due(self, memory: Memory) -> bool:
        now = self._world.clock.monotonic()
        if memory.save_again is not None:
            return now >= memory.save_again
        if memory.keeping is None or memory.evidence_saved is None:
            return False
        return now - memory.evidence_saved >= EVIDENCE_SECONDS

    async def _save(self, key: TargetKey, rollout: Rollout, memory: Memory) -> None:
        """Save the evidence, best effort."""
        memory.unsaved_since = memory.save_again = None
        memory.evidence_saved = self._world.clock.monotonic()
        proof, saved, kept = memory.findings.proof, memory.saved, memory.evidence()
        confirmed = None
        if proof is not None and saved is not None and proof.rollout == saved.id:
            at = proof.confirmed_at
            confirmed = None if at is None else (proof.rollout, proof.decision, at)
        try:
            await self._world.evidence.save(key, Draft(rollout, saved, confirmed, kept))
        except TransientError:
            memory.save_again = memory.evidence_saved + SAVE_AGAIN.total_seconds()
        except CrossfadeError:
            pass  # a missing right: only a person can mend it, and nothing of a rollout needs it

    async def save_proof(self, key: TargetKey) -> None:
        """Save confirmedAt at once, so that a restart does not start the hold again."""
        memory = self.memory(key)
        subject = self._subject(key, memory)
        if subject is None or memory.saved is None:
            return
        if memory.saved.phase in HELD_FROM_PROOF:
            await self._save(key, subject.rollout, memory)

    async def save_all(self) -> None:
        """Save what is known of every running rollout, at shutdown."""
        for key, memory in list(self._memories.items()):
            subject = self._subject(key, memory)
            running = memory.saved is not None and memory.saved.phase in ACTIVE
            pending = (memory.unsaved_since, memory.save_again) != (None, None)
            if subject is not None and (running or pending):
                await self._save(key, subject.rollout, memory)

    # ------------------------------------------------------------ the work beside

    def _assign(
        self, key: TargetKey, rollout: Rollout, decision: Decision, memory: Memory, record: object
    ) -> None:
        if self._group is None or self.draining:
            return
        if key not in self._beside:
            self._beside[key] = Beside(key, memory, self._world.tools)
        obj = memory.written or self._world.watcher.route(rollout)
        at_rest = _at_rest(rollout, record)
        self._beside[key].assign(decision.work, rollout, obj, self._group, at_rest)

    def _let_go(self, key: TargetKey) -> None:
        if (beside := self._beside.pop(key, None)) is not None:
            beside.stop()
        self._memories.pop(key, None)
        self._world.metrics.forget(str(key))

    def stop(self) -> None:
        """Cancel the work beside of all targets."""
        for beside in self._beside.values():
            beside.stop()


def _at_rest(rollout: Rollout, record: object) -> AtRest | None:
    """Say whose past is read, while only stable gets requests and nothing is shifted."""
    if not isinstance(record, Record) or record.phase not in STABLE_ALONE:
        return None
    # Where the policy names no source, it is the one that was proved for the last rollout.
    metrics = with_source(rollout, record.source or "").metrics
    return AtRest(record.stable, record.stable_revision, metrics)


def _standing_work(rollout: Rollout, seen: Observation) -> Work | None:
    """Return the work of the record as it stands: a refused write stops no proof and no reading."""
    return work_of(rollout, seen.record, seen) if isinstance(seen.record, Record) else None


def _is_over(seen: Observation, decision: Decision) -> bool:
    """Tell whether nothing of the last rollout is left to do, retirement included."""
    at_rest = isinstance(seen.record, Record) and seen.record.phase not in ACTIVE
    return at_rest and not decision.effects


def _covers(read: Verify, wanted: Verify) -> bool:
    order = list(Verify)
    return order.index(read) >= order.index(wanted)
