"""Carry a decision out: one JSON Patch with record and route together, then effects beside it.

A decision patch is sent once and never again. Whatever comes back that is no plain success, the
route is read: our record there means it took effect; a changed record, route or object means
somebody was first, and the next look decides anew; all as it was means the content was refused, and
a person has to see it. Effects follow only a decision made on live reads, and are idempotent.
"""

from dataclasses import dataclass
from enum import StrEnum

from config.schema import Rollout
from daemon.core.model import Decision, Delete, Effect, Observation, ScaleToZero, Split
from daemon.core.record import format_record, record_annotation
from daemon.errors import CrossfadeError, InvalidError, NotFoundError, PermanentError
from daemon.kube import patch
from daemon.kube.objects import DEPLOYMENTS
from daemon.memory import Memory
from daemon.ports import Cluster, Obj
from daemon.routers.base import RouteObject, Router


class Result(StrEnum):
    """What became of a decision."""

    NOTHING_TO_WRITE = "nothing to write"
    WRITTEN = "written"
    OVERTAKEN = "overtaken"
    """somebody wrote first: look again"""
    REFUSED = "refused"
    """the API server refuses the content: a person has to see it"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a decision, with the refusal's words."""

    result: Result
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A decision patch as it was sent."""

    rollout: Rollout
    split: Split | None
    key: str
    text: str
    operations: list[patch.Operation]


class Hands:
    """The only writer of routes and Deployments."""

    def __init__(self, cluster: Cluster, router: Router) -> None:
        self._cluster = cluster
        self._router = router

    async def carry_out(
        self, rollout: Rollout, decision: Decision, seen: Observation, obj: Obj, memory: Memory
    ) -> Outcome:
        """Write the decision; then its effects.

        Raises:
            CrossfadeError: nothing is known to have been written; look again later.
        """
        outcome = Outcome(Result.NOTHING_TO_WRITE)
        if decision.record is not None:
            outcome = await self._write(rollout, decision, seen, obj, memory)
        if outcome.result in (Result.NOTHING_TO_WRITE, Result.WRITTEN):
            for effect in decision.effects:
                await self._apply(effect, seen, memory)
        return outcome

    def address(self, rollout: Rollout) -> RouteObject:
        """Return the address of the object that carries the weights."""
        return self._router.address(rollout)

    # ------------------------------------------------------------ the one patch

    async def _write(
        self, rollout: Rollout, decision: Decision, seen: Observation, obj: Obj, memory: Memory
    ) -> Outcome:
        assert decision.record is not None
        text = format_record(decision.record)
        attempt = _Attempt(
            rollout=rollout,
            split=decision.split,
            key=record_annotation(seen.key),
            text=text,
            operations=self._router.plan(rollout, obj, decision.split, text),
        )
        at, body = self._router.address(rollout), patch.encode(attempt.operations)
        try:
            stored = await self._cluster.json_patch(at.resource, at.namespace, at.name, body)
        except CrossfadeError as problem:
            outcome = await self._read_back(attempt, memory, problem)
        else:
            outcome = Outcome(Result.WRITTEN)
            memory.written = stored
        if outcome.result is Result.WRITTEN:
            memory.epoch = decision.record.epoch
        return outcome

    async def _read_back(
        self, attempt: _Attempt, memory: Memory, problem: CrossfadeError
    ) -> Outcome:
        at = self._router.address(attempt.rollout)
        try:
            found = await self._cluster.get(at.resource, at.namespace, at.name)
        except NotFoundError:
            return Outcome(Result.OVERTAKEN, "the route is gone")
        there = (found["metadata"].get("annotations") or {}).get(attempt.key)
        memory.written = found
        if there == attempt.text:
            return Outcome(Result.WRITTEN, f"read back after: {problem}")
        if not isinstance(problem, PermanentError):
            raise problem
        if self._is_as_read(attempt, found):
            return Outcome(Result.REFUSED, _words(problem))
        return Outcome(Result.OVERTAKEN, str(problem))

    def _is_as_read(self, attempt: _Attempt, found: Obj) -> bool:
        """Tell whether all that the patch tested stands: the same plan would come of it again."""
        try:
            again = self._router.plan(attempt.rollout, found, attempt.split, attempt.text)
        except PermanentError:
            return False
        return again == attempt.operations

    # ------------------------------------------------------------ effects

    async def _apply(self, effect: Effect, seen: Observation, memory: Memory) -> None:
        namespace, name = seen.key.namespace, effect.deployment
        try:
            match effect:
                case ScaleToZero(uid=uid, resource_version=version):
                    await self._cluster.json_patch(
                        DEPLOYMENTS,
                        namespace,
                        name,
                        patch.encode(
                            [
                                patch.test("/metadata/uid", uid),
                                patch.test("/metadata/resourceVersion", version),
                                patch.replace("/spec/replicas", 0),
                            ]
                        ),
                        subresource="scale",
                    )
                case Delete(uid=uid, resource_version=version):
                    await self._cluster.delete(
                        DEPLOYMENTS, namespace, name, uid=uid, resource_version=version
                    )
        except NotFoundError:
            pass  # Somebody was quicker; gone is gone.
        memory.done |= {effect.uid}


def _words(problem: CrossfadeError) -> str:
    causes = problem.causes if isinstance(problem, InvalidError) else ()
    return "; ".join([str(problem), *causes])
