"""ReplicaSet -> Pods: keeps as many pods as asked for, and says in the status how they are.

Pods are listed live before any is made or deleted, so a slow watch never makes one too many.
"""

import contextlib
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from daemon.errors import NotFoundError
from daemon.kube.listwatch import Change, Key
from daemon.ports import Obj
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.controllers.feed import Feed
from daemon.sandbox.controllers.loop import Loop
from daemon.sandbox.controllers.objects import (
    controlled_by,
    is_active,
    is_controlled_by,
    is_leaving,
    is_ready,
    owner_of,
    seconds_to_available,
    selector_text,
)
from daemon.sandbox.controllers.orphans import take_back_orphans
from daemon.sandbox.controllers.template import ALPHABET
from daemon.sandbox.kinds import PODS, REPLICA_SETS

MOST_PODS_A_LOOK: Final = 100
"""Creations and deletions in one look; the rest comes with the next one, as others want their turn.
"""
SUFFIX_LENGTH: Final = 5
DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"


class ReplicaSetController:
    """Makes and deletes pods; `loop` is to be run."""

    def __init__(
        self,
        client: SandboxClient,
        replica_sets: Feed,
        pods: Feed,
        *,
        now: Callable[[], datetime],
        rng: random.Random,
    ) -> None:
        self.loop = Loop(self._look)
        self._client = client
        self._now = now
        self._rng = rng
        replica_sets.subscribe(lambda change: self.loop.put(change.key))
        pods.subscribe(self._pod_changed)

    def _pod_changed(self, change: Change[Obj]) -> None:
        owner = owner_of(change.after or change.before or {"metadata": {}}, "ReplicaSet")
        if owner:
            self.loop.put((change.key[0], owner[0]))

    async def _look(self, key: Key) -> None:
        try:
            replica_set = await self._client.get(REPLICA_SETS, *key)
        except NotFoundError:
            return
        pods = await self._client.list_all(
            PODS, key[0], label_selector=selector_text(replica_set["spec"]["selector"])
        )
        active = [pod for pod in pods if is_active(pod) and is_controlled_by(pod, replica_set)]
        if not is_leaving(replica_set):
            await self._adjust(replica_set, active)
        await self._report(replica_set, active)

    async def _adjust(self, replica_set: Obj, active: list[Obj]) -> None:
        wanted = replica_set["spec"].get("replicas", 1)
        made: list[Obj] = []
        for _ in range(min(wanted - len(active), MOST_PODS_A_LOOK)):
            pod = pod_from(replica_set, self._suffix())
            made.append(await self._client.create(PODS, replica_set["metadata"]["namespace"], pod))
        if made:
            active += made
            await take_back_orphans(self._client, REPLICA_SETS, replica_set, PODS, made)
        surplus = min(len(active) - wanted, MOST_PODS_A_LOOK)
        for pod in sorted(active, key=_deletion_order)[: max(0, surplus)]:
            metadata = pod["metadata"]
            with contextlib.suppress(NotFoundError):
                await self._client.remove(
                    PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"]
                )
            active.remove(pod)

    async def _report(self, replica_set: Obj, active: list[Obj]) -> None:
        """Write the status where it differs, and come back when the next pod becomes available."""
        min_ready = replica_set["spec"].get("minReadySeconds", 0)
        waits = [seconds_to_available(pod, min_ready, self._now()) for pod in active]
        soonest = min((wait for wait in waits if wait), default=None)
        metadata = replica_set["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if soonest is not None:
            self.loop.put_after(key, soonest)
        status: dict[str, Any] = {
            "replicas": len(active),
            "fullyLabeledReplicas": len(active) or None,
            "readyReplicas": sum(wait is not None for wait in waits) or None,
            "availableReplicas": sum(wait == 0 for wait in waits) or None,
            "observedGeneration": metadata.get("generation", 1),
        }
        present = replica_set.get("status") or {}
        if any(present.get(name) != value for name, value in status.items()):
            await self._client.patch_status(REPLICA_SETS, *key, status)

    def _suffix(self) -> str:
        return "".join(self._rng.choices(ALPHABET, k=SUFFIX_LENGTH))


def pod_from(replica_set: Obj, suffix: str) -> Obj:
    """Build a pod from the template."""
    template = replica_set["spec"]["template"]
    metadata = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{replica_set['metadata']['name']}-{suffix}",
            "namespace": replica_set["metadata"]["namespace"],
            "labels": dict(metadata.get("labels") or {}),
            "annotations": dict(metadata.get("annotations") or {}),
            "ownerReferences": [controlled_by(replica_set)],
        },
        "spec": template.get("spec") or {},
    }


def _deletion_order(pod: Obj) -> tuple[bool, int, bool, str]:
    """First those that serve nobody: without a node, then cheap, not ready, young."""
    metadata = pod["metadata"]
    cost = (metadata.get("annotations") or {}).get(DELETION_COST, "")
    age = metadata.get("creationTimestamp", "")
    return "nodeName" in pod["spec"], _number(cost), is_ready(pod), _reversed(age)


def _number(text: str) -> int:
    """Read a whole number; what is none counts 0, as in Kubernetes."""
    try:
        return int(text)
    except ValueError:
        return 0


def _reversed(stamp: str) -> str:
    """Turn a timestamp's order around: the youngest sorts first."""
    return "".join(chr(255 - ord(letter)) for letter in stamp)
