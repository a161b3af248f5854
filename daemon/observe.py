"""Gather all that a decision may depend on: from caches, or by live reads where it matters.

`Verify` says how much is read live. A live Deployment's ready pods count no more than the API
server's own status says; a live read that fails leaves the cached values, marked UNREADABLE, so
that an abort can still go ahead while a raise cannot.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from config.schema import Rollout
from daemon.core.model import Fresh, Observation, Record, TargetKey, Verify, Version, Writer
from daemon.core.record import parse_record
from daemon.core.requests import parse_request
from daemon.errors import CrossfadeError, NotFoundError
from daemon.kube.objects import (
    DEPLOYMENTS,
    REPLICASETS,
    DeploymentRecord,
    PodRecord,
    label,
    trim_deployment,
    trim_replicaset,
)
from daemon.memory import Memory
from daemon.ports import Cluster, Obj
from daemon.routers.base import RouteObject, Router

MAX_SUPPORTING = 4
"""Rounds of reading what the last round named; route, Upstream and Service take two."""
MAX_HASHES = 4096
"""Template hashes remembered; one per Deployment, the oldest go."""


class Caches(Protocol):
    """What the watcher offers."""

    def deployments(self, rollout: Rollout) -> tuple[DeploymentRecord, ...]:
        """Return the target's Deployments."""
        ...

    def pods(self, rollout: Rollout) -> tuple[PodRecord, ...]:
        """Return the target's pods."""
        ...

    def route(self, rollout: Rollout) -> Obj | None:
        """Return the target's route."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """The target to look at, under the policy in force."""

    key: TargetKey
    rollout: Rollout
    policy_hash: str
    policy_lost: bool


class Observer:
    """Builds observations. Sends requests only for live reads and for unknown template hashes."""

    def __init__(
        self,
        cluster: Cluster,
        caches: Caches,
        router: Router,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        writer: str,
    ) -> None:
        self._cluster = cluster
        self._caches = caches
        self._router = router
        self._now = now
        self._new_id = new_id
        self._writer = writer
        self._hashes: dict[tuple[str, int], str] = {}
        self._last_hash: dict[str, tuple[str, str]] = {}

    async def observe(
        self, subject: Subject, memory: Memory, verify: Verify
    ) -> tuple[Observation, Obj | None]:
        """Return the observation and the route object it was read from.

        Raises:
            CrossfadeError: the route, or a template hash, could not be read live.
        """
        rollout = subject.rollout
        live_route = verify is Verify.EVERYTHING
        obj = await self._live_route(rollout) if live_route else self._route(rollout, memory)
        others = await self._supporting(rollout) if live_route else None
        seen = None if obj is None else self._router.read(rollout, obj, others)
        text = seen.record_text if seen else None
        record = None if text is None else parse_record(text)
        deployments = self._caches.deployments(rollout)
        fresh = Fresh.CACHED
        if verify is not Verify.NOTHING:
            deployments, fresh = await self._live_deployments(deployments, rollout, record)
        now = self._now()
        requests = {it.request for it in deployments if it.request is not None}
        return (
            Observation(
                key=subject.key,
                now=now,
                versions=await self._versions(rollout, deployments, fresh),
                route=seen,
                record=record,
                writer=Writer(self._writer, memory.epoch),
                new_id=self._new_id(),
                policy_hash=subject.policy_hash,
                policy_lost=subject.policy_lost,
                findings=memory.findings,
                requests=tuple(parse_request(text, now) for text in sorted(requests)),
                saved=memory.saved,
                fresh=fresh,
                holding=memory.holding,
                done=memory.done,
            ),
            obj,
        )

    # ------------------------------------------------------------ the route

    def _route(self, rollout: Rollout, memory: Memory) -> Obj | None:
        """The cache, unless our own last write is newer than what the watch has brought yet."""
        cached, written = self._caches.route(rollout), memory.written
        if cached is None or written is None:
            return cached
        if cached["metadata"].get("uid") != written["metadata"].get("uid"):
            return cached
        return written if _version_of(written) > _version_of(cached) else cached

    async def _live_route(self, rollout: Rollout) -> Obj | None:
        return await self._get(self._router.address(rollout))

    async def _supporting(self, rollout: Rollout) -> Mapping[RouteObject, Obj | None]:
        """Read what preflight needs; what was read may name more (an Upstream its Service)."""
        found: dict[RouteObject, Obj | None] = {}
        for _ in range(MAX_SUPPORTING):
            missing = [it for it in self._router.supporting(rollout, found) if it not in found]
            if not missing:
                break
            for it in missing:
                found[it] = await self._get(it)
        return found

    async def _get(self, at: RouteObject) -> Obj | None:
        try:
            return await self._cluster.get(at.resource, at.namespace, at.name)
        except NotFoundError:
            return None

    # ------------------------------------------------------------ Deployments

    async def _live_deployments(
        self, cached: tuple[DeploymentRecord, ...], rollout: Rollout, record: object
    ) -> tuple[tuple[DeploymentRecord, ...], Fresh]:
        """Read stable's and the canary's Deployments (all, before there is a record)."""
        names = {record.stable, record.canary} if isinstance(record, Record) else None
        fresh = Fresh.LIVE
        result = []
        for it in cached:
            if names is not None and label(it.template_labels, rollout.version_label) not in names:
                result.append(it)
                continue
            try:
                live = await self._cluster.get(DEPLOYMENTS, it.namespace, it.name)
            except NotFoundError:
                continue
            except CrossfadeError:
                fresh = Fresh.UNREADABLE
                result.append(it)
            else:
                result.append(trim_deployment(live))
        return tuple(result), fresh

    async def _versions(
        self, rollout: Rollout, deployments: tuple[DeploymentRecord, ...], fresh: Fresh
    ) -> tuple[Version, ...]:
        pods = self._caches.pods(rollout)
        return tuple(
            [await self._version(rollout, it, pods, fresh) for it in deployments],
        )

    async def _version(
        self,
        rollout: Rollout,
        deployment: DeploymentRecord,
        pods: tuple[PodRecord, ...],
        fresh: Fresh,
    ) -> Version:
        version = label(deployment.template_labels, rollout.version_label) or ""
        template_hash = await self._template_hash(rollout, deployment, version)
        mine = [
            it
            for it in pods
            if it.ready
            and not it.terminating
            and label(it.labels, rollout.version_label) == version
        ]
        ready = sum(it.template_hash == template_hash for it in mine)
        serving = len(mine)
        if fresh is Fresh.LIVE:
            serving = deployment.ready_replicas
            ready = min(ready, serving)
        return Version(
            deployment=deployment.name,
            uid=deployment.uid,
            resource_version=deployment.resource_version,
            version=version,
            revision=f"{version}/{template_hash}" if template_hash else "",
            settled=deployment.observed_generation >= deployment.generation,
            replicas=deployment.replicas,
            ready=ready,
            serving=serving,
            created=deployment.created,
            progress_deadline=deployment.progress_deadline,
            request=deployment.request,
        )

    async def _template_hash(
        self, rollout: Rollout, deployment: DeploymentRecord, version: str
    ) -> str:
        """The hash of the current ReplicaSet; ReplicaSets are read once per generation."""
        key = (deployment.uid, deployment.generation)
        if key in self._hashes:
            return self._hashes[key]
        if deployment.observed_generation < deployment.generation:
            revision, known = self._last_hash.get(deployment.uid, ("", ""))
            return known if revision == deployment.revision else ""
        selector = dict(rollout.selector) | {rollout.version_label: version}
        page = await self._cluster.list_page(
            REPLICASETS,
            deployment.namespace,
            label_selector=",".join(f"{name}={value}" for name, value in sorted(selector.items())),
        )
        for it in map(trim_replicaset, page.get("items") or ()):
            if it.owner_uid == deployment.uid and it.revision == deployment.revision:
                self._hashes[key] = it.template_hash
                self._last_hash[deployment.uid] = (it.revision, it.template_hash)
                while len(self._hashes) > MAX_HASHES:
                    del self._hashes[next(iter(self._hashes))]
                return it.template_hash
        return ""


def _version_of(obj: Obj) -> int:
    """Compare resourceVersions as numbers, as the API server's own watch cache does."""
    text = obj["metadata"].get("resourceVersion", "0")
    return int(text) if text.isdigit() else 0
