"""Carry a decision out: one JSON Patch with record and route together, then effects beside it.

A decision patch is sent once and never again. Whatever comes back that is no plain success, the
route is read: our record there means it took effect; a changed record, route or object means
somebody was first, and the next look decides anew; all as it was means the content was refused, and
a person has to see it. Effects follow only a decision made on live reads, and are idempotent.
"""

from dataclasses import dataclass
from enum import StrEnum

from config.schema import Rollout
from daemon.core.model import Decision, Delete, Effect, Observation, ScaleToZero
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
        at = self._router.address(rollout)
        operations = self._router.plan(rollout, obj, decision.split, text)
        body = patch.encode(operations)
        try:
            stored = await self._cluster.json_patch(at.resource, at.namespace, at.name, body)
        except CrossfadeError as problem:
            outcome = await self._read_back(rollout, seen, text, memory, problem)
        else:
            outcome = Outcome(Result.WRITTEN)
            memory.written = stored
        if outcome.result is Result.WRITTEN:
            memory.epoch = decision.record.epoch
        return outcome

    async def _read_back(
        self,
        rollout: Rollout,
        seen: Observation,
        text: str,
        memory: Memory,
        problem: CrossfadeError,
    ) -> Outcome:
        at = self._router.address(rollout)
        try:
            found = await self._cluster.get(at.resource, at.namespace, at.name)
        except NotFoundError:
            return Outcome(Result.OVERTAKEN, "the route is gone")
        key = record_annotation(seen.key)
        there = (found["metadata"].get("annotations") or {}).get(key)
        memory.written = found
        if there == text:
            return Outcome(Result.WRITTEN, f"read back after: {problem}")
        if self._same(rollout, seen, found) and isinstance(problem, PermanentError):
            return Outcome(Result.REFUSED, _words(problem))
        if isinstance(problem, PermanentError):
            return Outcome(Result.OVERTAKEN, str(problem))
        raise problem

    def _same(self, rollout: Rollout, seen: Observation, found: Obj) -> bool:
        """Tell whether everything that the patch tested stands as it was read."""
        now = self._router.read(rollout, found, None)
        before = seen.route
        assert before is not None
        return (now.uid, now.record_text, now.owned, now.guide) == (
            before.uid,
            before.record_text,
            before.owned,
            before.guide,
        )

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
