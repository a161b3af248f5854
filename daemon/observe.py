"""Gather all that a decision may depend on: from caches, or by live reads where it matters.

`Verify` says how much is read live. A live Deployment's ready pods count no more than the API
server's own status says; a read of a Deployment or its ReplicaSet that fails leaves what was known,
marked UNREADABLE, so that an abort can still go ahead while a raise cannot.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import structlog

from config.schema import Rollout
from daemon.core.model import (
    Damaged,
    Fresh,
    Observation,
    Outage,
    Phase,
    Record,
    RouteSeen,
    TargetKey,
    Verify,
    Version,
    Writer,
)
from daemon.core.record import parse_record
from daemon.core.requests import parse_request
from daemon.errors import CrossfadeError, NotFoundError
from daemon.kube.objects import (
    DEPLOYMENTS,
    REPLICASETS,
    DeploymentRecord,
    Labels,
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
MAX_REMEMBERED = 4096
"""Deployments of which something is remembered, such as a template hash; the oldest go."""


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
        jumped_at: Callable[[], datetime | None],
        outages: Callable[[], tuple[Outage, ...]] = tuple,
        new_id: Callable[[], str],
        writer: str,
        metrics_fault: Callable[[Rollout], Awaitable[str]] | None = None,
    ) -> None:
        self._cluster = cluster
        self._caches = caches
        self._router = router
        self._now = now
        self._jumped_at = jumped_at
        self._outages = outages
        self._new_id = new_id
        self._writer = writer
        self._metrics_fault = metrics_fault
        self._log = structlog.get_logger("crossfade")
        self._said: dict[str, str] = {}
        self._hashes: dict[tuple[str, int], str] = {}
        self._last_hash: dict[str, tuple[str, str, str]] = {}

    async def observe(
        self, subject: Subject, memory: Memory, verify: Verify
    ) -> tuple[Observation, Obj | None]:
        """Return the observation and the route object it was read from.

        Raises:
            CrossfadeError: the route, or what preflight needs, could not be read live.
        """
        rollout = subject.rollout
        live_route = verify in (Verify.EVERYTHING, Verify.PREFLIGHT)
        obj = await self._live_route(rollout) if live_route else self._route(rollout, memory)
        others = await self._supporting(rollout) if verify is Verify.PREFLIGHT else None
        seen = None if obj is None else self._router.read(rollout, obj, others)
        text = seen.record_text if seen else None
        record = None if text is None else parse_record(text)
        if seen is not None and verify is Verify.PREFLIGHT:
            seen = await self._with_metrics(rollout, seen, record)
        deployments = self._caches.deployments(rollout)
        fresh = Fresh.CACHED
        if verify is not Verify.NOTHING:
            deployments, fresh = await self._live_deployments(deployments, rollout, record)
        versions, fresh = await self._versions(rollout, deployments, fresh)
        now = self._now()
        requests = _requests(versions, record)
        return (
            Observation(
                key=subject.key,
                now=now,
                versions=versions,
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
                jumped_at=self._jumped_at(),
                outages=self._outages(),
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

    async def _with_metrics(
        self, rollout: Rollout, seen: RouteSeen, record: Record | Damaged | None
    ) -> RouteSeen:
        """Add what is wrong with the metrics: it forbids a rollout, and not to pin a route."""
        resting = isinstance(record, Record) and record.phase is not Phase.ROLLING_BACK
        if self._metrics_fault is None or not (record is None or resting):
            return seen
        fault = await self._metrics_fault(rollout)
        if not fault:
            return seen
        if resting:
            return replace(seen, problems=(*seen.problems, fault))
        return replace(seen, warnings=(*seen.warnings, fault))

    async def _get(self, at: RouteObject) -> Obj | None:
        try:
            return await self._cluster.get(at.resource, at.namespace, at.name)
        except NotFoundError:
            return None

    # ------------------------------------------------------------ Deployments

    async def _live_deployments(
        self, cached: tuple[DeploymentRecord, ...], rollout: Rollout, record: object
    ) -> tuple[tuple[DeploymentRecord, ...], Fresh]:
        """Read the Deployments of stable, canary and retirement (all, before there is a record)."""
        fresh = Fresh.LIVE
        result = []
        for it in cached:
            if isinstance(record, Record) and not _concerns(record, it, rollout):
                result.append(it)
                continue
            try:
                live = await self._cluster.get(DEPLOYMENTS, it.namespace, it.name)
            except NotFoundError:
                continue
            except CrossfadeError as problem:
                self._tell(it, problem)
                fresh = Fresh.UNREADABLE
                result.append(it)
            else:
                result.append(trim_deployment(live))
        return tuple(it for it in result if selected(rollout, it.template_labels)), fresh

    async def _versions(
        self, rollout: Rollout, deployments: tuple[DeploymentRecord, ...], fresh: Fresh
    ) -> tuple[tuple[Version, ...], Fresh]:
        hashes: dict[str, str] = {}
        for it in deployments:
            version = label(it.template_labels, rollout.version_label) or ""
            try:
                hashes[it.uid] = await self._template_hash(rollout, it, version)
            except CrossfadeError as problem:
                self._tell(it, problem)
                fresh = Fresh.UNREADABLE
                hashes[it.uid] = self._known_hash(it, version)
        pods = self._caches.pods(rollout)
        versions = [self._version(rollout, it, hashes[it.uid], pods, fresh) for it in deployments]
        return tuple(versions), fresh

    def _tell(self, deployment: DeploymentRecord, problem: CrossfadeError) -> None:
        """Log what could not be read, when it says something else than before."""
        if self._said.get(deployment.uid) != str(problem):
            self._said[deployment.uid] = str(problem)
            _drop_oldest(self._said)
            self._log.warning("deployment.not_read", deployment=deployment.name, error=str(problem))

    @staticmethod
    def _version(
        rollout: Rollout,
        deployment: DeploymentRecord,
        template_hash: str,
        pods: tuple[PodRecord, ...],
        fresh: Fresh,
    ) -> Version:
        version = label(deployment.template_labels, rollout.version_label) or ""
        mine = [
            it
            for it in pods
            if it.ready
            and not it.terminating
            and label(it.labels, rollout.version_label) == version
        ]
        # A raise waits for both; asking the cache for less would only cost a live read in vain.
        ready = sum(it.template_hash == template_hash for it in mine)
        ready = min(ready, deployment.ready_replicas)
        serving = len(mine)
        if fresh is Fresh.LIVE:
            serving = deployment.ready_replicas
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
            return self._known_hash(deployment, version)  # not yet seen by its controller
        selector = dict(rollout.selector) | {rollout.version_label: version}
        page = await self._cluster.list_page(
            REPLICASETS,
            deployment.namespace,
            label_selector=",".join(f"{name}={value}" for name, value in sorted(selector.items())),
        )
        for it in map(trim_replicaset, page.get("items") or ()):
            if it.owner_uid == deployment.uid and it.revision == deployment.revision:
                self._hashes[key] = it.template_hash
                self._last_hash[deployment.uid] = (it.revision, version, it.template_hash)
                _drop_oldest(self._hashes)
                _drop_oldest(self._last_hash)
                return it.template_hash
        return ""

    def _known_hash(self, deployment: DeploymentRecord, version: str) -> str:
        """The hash as last read, unless the Deployment has another revision or label now."""
        last = self._last_hash.get(deployment.uid, ("", "", ""))
        return last[2] if last[:2] == (deployment.revision, version) else ""


def selected(rollout: Rollout, labels: Labels) -> bool:
    """Tell whether a pod template's labels belong to the target and name a version."""
    there = dict(labels)
    return bool(there.get(rollout.version_label)) and all(
        there.get(key) == value for key, value in rollout.selector.items()
    )


def _concerns(record: Record, deployment: DeploymentRecord, rollout: Rollout) -> bool:
    """Tell whether a record may have an effect on a Deployment, or rests on its pods."""
    if record.retire is not None and record.retire.deployment == deployment.name:
        return True
    version = label(deployment.template_labels, rollout.version_label)
    return version in (record.stable, record.canary)


def _requests(versions: tuple[Version, ...], record: object) -> set[str]:
    """Return the requests that count: on a running Deployment, or on stable's or the canary's.

    An old Deployment keeps its last request as long as it is kept; nobody asks for anything there.
    """
    ours = {record.stable, record.canary} if isinstance(record, Record) else set()
    return {
        it.request
        for it in versions
        if it.request is not None and (it.replicas or it.version in ours)
    }


def _drop_oldest(remembered: dict[Any, Any]) -> None:
    while len(remembered) > MAX_REMEMBERED:
        del remembered[next(iter(remembered))]


def _version_of(obj: Obj) -> int:
    """Compare resourceVersions as numbers, as the API server's own watch cache does."""
    text = obj["metadata"].get("resourceVersion", "0")
    return int(text) if text.isdigit() else 0
