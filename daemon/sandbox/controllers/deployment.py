"""Deployment -> ReplicaSets: one ReplicaSet a template, sized by the rolling update.

A template that was seen before finds its old ReplicaSet again (with a new revision number); old
ones are kept empty for `kubectl rollout undo`, up to revisionHistoryLimit. ReplicaSets are listed
live.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from daemon.errors import NotFoundError
from daemon.kube.listwatch import Change, Key
from daemon.ports import Obj
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.controllers.deployment_status import seconds_to_deadline, status_of, tally_of
from daemon.sandbox.controllers.feed import Feed
from daemon.sandbox.controllers.loop import Loop
from daemon.sandbox.controllers.objects import (
    controlled_by,
    is_controlled_by,
    is_leaving,
    owner_of,
    selector_text,
)
from daemon.sandbox.controllers.orphans import take_back_orphans
from daemon.sandbox.controllers.rolling import Size, limits_of, plan_paused, plan_sizes
from daemon.sandbox.controllers.template import HASH_LABEL, template_hash
from daemon.sandbox.kinds import DEPLOYMENTS, REPLICA_SETS

REVISION: Final = "deployment.kubernetes.io/revision"
DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS: Final = "deployment.kubernetes.io/max-replicas"
NOT_COPIED: Final = frozenset({REVISION, "kubectl.kubernetes.io/last-applied-configuration"})
"""Annotations of a Deployment that are its own and not its ReplicaSets'."""
HISTORY: Final = 10
"""Kubernetes' default for revisionHistoryLimit."""


class DeploymentController:
    """Makes, sizes and forgets ReplicaSets; `loop` is to be run."""

    def __init__(
        self,
        client: SandboxClient,
        deployments: Feed,
        replica_sets: Feed,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self.loop = Loop(self._look)
        self._client = client
        self._now = now
        deployments.subscribe(lambda change: self.loop.put(change.key))
        replica_sets.subscribe(self._replica_set_changed)

    def _replica_set_changed(self, change: Change[Obj]) -> None:
        owner = owner_of(change.after or change.before or {"metadata": {}}, "Deployment")
        if owner:
            self.loop.put((change.key[0], owner[0]))

    async def _look(self, key: Key) -> None:
        try:
            deployment = await self._client.get(DEPLOYMENTS, *key)
        except NotFoundError:
            return
        owned = await self._owned(deployment)
        current = template_hash(deployment["spec"]["template"])
        new = next((one for one in owned if _hash_of(one) == current), None)
        if not is_leaving(deployment):
            if not deployment["spec"].get("paused"):
                new = await self._current(deployment, new, owned, current)
            old = [one for one in owned if new is None or one["metadata"]["uid"] != _uid(new)]
            await self._size(deployment, new, old)
            await self._forget(deployment, old)
        old = [one for one in owned if new is None or _uid(one) != _uid(new)]
        await self._report(deployment, new, old)

    async def _owned(self, deployment: Obj) -> list[Obj]:
        """List the Deployment's own ReplicaSets, oldest revision first."""
        found = await self._client.list_all(
            REPLICA_SETS,
            deployment["metadata"]["namespace"],
            label_selector=selector_text(deployment["spec"]["selector"]),
        )
        return sorted((one for one in found if is_controlled_by(one, deployment)), key=_revision)

    async def _current(
        self, deployment: Obj, new: Obj | None, owned: list[Obj], current: str
    ) -> Obj:
        """Make the ReplicaSet of the current template, or give it the newest revision number."""
        others = [_revision(one) for one in owned if new is None or _uid(one) != _uid(new)]
        revision = max([0, *others]) + 1
        if new is not None:
            revision = max(revision, _revision(new))
        namespace = deployment["metadata"]["namespace"]
        annotations = _annotations(deployment, revision)
        if new is None:
            body = replica_set_from(deployment, current, annotations)
            new = await self._client.create(REPLICA_SETS, namespace, body)
            await take_back_orphans(self._client, DEPLOYMENTS, deployment, REPLICA_SETS, [new])
        elif not annotations.items() <= (new["metadata"].get("annotations") or {}).items():
            new = await self._client.merge_patch(
                REPLICA_SETS, namespace, _name(new), {"metadata": {"annotations": annotations}}
            )
        mine = deployment["metadata"].get("annotations") or {}
        if mine.get(REVISION) != str(revision):
            change = {"metadata": {"annotations": {REVISION: str(revision)}}}
            await self._client.merge_patch(DEPLOYMENTS, namespace, _name(deployment), change)
        return new

    async def _size(self, deployment: Obj, new: Obj | None, old: list[Obj]) -> None:
        limits = limits_of(deployment)
        sizes = [_size_of(one) for one in old]
        if deployment["spec"].get("paused"):
            every = sizes if new is None else [*sizes, _size_of(new)]
            plan = plan_paused(limits, every[-1], every[:-1]) if every else {}
        else:
            assert new is not None, "a Deployment that is not paused has a current ReplicaSet"
            plan = plan_sizes(limits, _size_of(new), sizes)
        for name, replicas in plan.items():
            change = {"spec": {"replicas": replicas}}
            await self._client.merge_patch(
                REPLICA_SETS, deployment["metadata"]["namespace"], name, change
            )

    async def _forget(self, deployment: Obj, old: list[Obj]) -> None:
        """Delete the oldest empty ReplicaSets beyond the history's limit."""
        limit = deployment["spec"].get("revisionHistoryLimit", HISTORY)
        empty = [one for one in old if _is_empty(one)]
        for one in empty[: max(0, len(empty) - limit)]:
            metadata = one["metadata"]
            await self._client.remove(
                REPLICA_SETS, metadata["namespace"], metadata["name"], uid=metadata["uid"]
            )

    async def _report(self, deployment: Obj, new: Obj | None, old: list[Obj]) -> None:
        key = (deployment["metadata"]["namespace"], _name(deployment))
        now = self._now()
        limits, tally = limits_of(deployment), tally_of(new, old)
        status = status_of(deployment, limits, tally, _name(new) if new else "", now)
        present = deployment.get("status") or {}
        if any(present.get(name) != value for name, value in status.items()):
            await self._client.patch_status(DEPLOYMENTS, *key, status)
        wait = seconds_to_deadline(deployment, status, now)
        if wait is not None and wait > 0:
            self.loop.put_after(key, wait)


def replica_set_from(deployment: Obj, hashed: str, annotations: dict[str, str]) -> Obj:
    """Build the ReplicaSet of a template: the hash is in its name, labels, selector and pods."""
    spec, template = deployment["spec"], deployment["spec"]["template"]
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), HASH_LABEL: hashed}
    selector = spec["selector"]
    match_labels = {**(selector.get("matchLabels") or {}), HASH_LABEL: hashed}
    body: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{_name(deployment)}-{hashed}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [controlled_by(deployment)],
        },
        "spec": {
            "replicas": 0,
            "selector": {**selector, "matchLabels": match_labels},
            "template": {**template, "metadata": {**metadata, "labels": labels}},
        },
    }
    if "minReadySeconds" in spec:
        body["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return body


def _annotations(deployment: Obj, revision: int) -> dict[str, str]:
    limits = limits_of(deployment)
    copied = {
        name: value
        for name, value in (deployment["metadata"].get("annotations") or {}).items()
        if name not in NOT_COPIED
    }
    return copied | {
        REVISION: str(revision),
        DESIRED: str(limits.replicas),
        MAX_REPLICAS: str(limits.replicas + limits.surge),
    }


def _size_of(replica_set: Obj) -> Size:
    status = replica_set.get("status") or {}
    return Size(
        _name(replica_set),
        replica_set["spec"].get("replicas", 1),
        status.get("replicas", 0),
        status.get("availableReplicas", 0),
    )


def _is_empty(replica_set: Obj) -> bool:
    size = _size_of(replica_set)
    return size.wanted == 0 and size.present == 0 and not is_leaving(replica_set)


def _hash_of(replica_set: Obj) -> str:
    return str((replica_set["metadata"].get("labels") or {}).get(HASH_LABEL, ""))


def _revision(replica_set: Obj) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if text.isdecimal() else 0


def _name(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


def _uid(obj: Obj) -> str:
    return str(obj["metadata"]["uid"])
