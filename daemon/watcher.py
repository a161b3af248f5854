"""The caches: Deployments, pods and routes of all targets, one watch per kind and namespace.

A change only wakes the targets it concerns; what it means is read at the next look. An idle target
costs no request beside these watches. No decision is taken here.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from config.schema import Rollout
from daemon.core.model import TargetKey
from daemon.kube.listwatch import Change, ListWatch, WatchTimings
from daemon.kube.objects import (
    DEPLOYMENTS,
    PODS,
    DeploymentRecord,
    Labels,
    PodRecord,
    trim_deployment,
    trim_pod,
)
from daemon.observe import selected
from daemon.ports import Clock, Cluster, Obj, Resource
from daemon.routers.base import RouteObject, Router

TIMINGS = WatchTimings(longest_pause=8.0)
"""An API server that comes back after an hour is followed again within ten seconds."""
Scope = tuple[Resource, str]
"""A kind in a namespace: one watch."""


class Watcher:
    """All watches of the daemon; follows the policy when it changes."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        rng: random.Random,
        *,
        router: Router,
        wake: Callable[[TargetKey], None],
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._rng = rng
        self._router = router
        self._wake = wake
        self._rollouts: dict[TargetKey, Rollout] = {}
        self._watches: dict[Scope, ListWatch[Any]] = {}
        self._running: dict[ListWatch[Any], asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    # ------------------------------------------------------------ what is followed

    def follow(self, rollouts: Mapping[TargetKey, Rollout]) -> None:
        """Follow these targets from now on; watches that nobody needs any more end.

        A cache keeps nothing of routes that were nobody's when it saw them, so the watch of a route
        that is new to us begins anew.
        """
        known = {self._router.address(it) for it in self._rollouts.values()}
        self._rollouts = dict(rollouts)
        addresses = {self._router.address(it) for it in rollouts.values()}
        anew = {(it.resource, it.namespace) for it in addresses - known}
        wanted = {scope for it in rollouts.values() for scope in self._scopes(it)}
        for scope in (wanted - set(self._watches)) | anew:
            self._watches[scope] = self._watch(scope)
        for scope in set(self._watches) - wanted:
            del self._watches[scope]
        self._changed.set()

    def _scopes(self, rollout: Rollout) -> tuple[Scope, ...]:
        route = self._router.address(rollout)
        return (
            (DEPLOYMENTS, rollout.namespace),
            (PODS, rollout.namespace),
            (route.resource, route.namespace),
        )

    def _watch(self, scope: Scope) -> ListWatch[Any]:
        resource, namespace = scope
        trims: dict[Resource, Callable[[Obj], Any]] = {DEPLOYMENTS: trim_deployment, PODS: trim_pod}
        trim = trims.get(resource, self._trim_route(resource))
        return ListWatch(
            self._cluster,
            resource,
            namespace,
            trim=trim,
            changed=lambda change: self._wake_concerned(scope, change),
            clock=self._clock,
            rng=self._rng,
            timings=TIMINGS,
        )

    def _trim_route(self, resource: Resource) -> Callable[[Obj], Obj | None]:
        """Keep the targets' own routes whole, and of all others nothing."""

        def trim(obj: Obj) -> Obj | None:
            metadata = obj.get("metadata", {})
            address = RouteObject(resource, metadata.get("namespace", ""), metadata.get("name", ""))
            ours = any(self._router.address(it) == address for it in self._rollouts.values())
            return obj if ours else None

        return trim

    def _wake_concerned(self, scope: Scope, change: Change[Any]) -> None:
        for key, rollout in self._rollouts.items():
            if scope in self._scopes(rollout) and self._concerns(rollout, scope, change):
                self._wake(key)

    def _concerns(self, rollout: Rollout, scope: Scope, change: Change[Any]) -> bool:
        if scope[0] in (DEPLOYMENTS, PODS):
            sides = (change.before, change.after)
            return any(it is not None and selected(rollout, _labels(it)) for it in sides)
        route = self._router.address(rollout)
        return change.key == (route.namespace, route.name)

    # ------------------------------------------------------------ running

    async def run(self) -> None:
        """Keep all watches running, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                wanted = set(self._watches.values())
                for watch in set(self._running) - wanted:
                    self._running.pop(watch).cancel()
                for watch in wanted - set(self._running):
                    self._running[watch] = group.create_task(watch.run())
                await self._changed.wait()

    async def synced(self) -> None:
        """Wait until every cache has been filled once."""
        for watch in list(self._watches.values()):
            await watch.synced.wait()

    def is_synced(self, rollout: Rollout) -> bool:
        """Tell whether all caches of a target have been filled once."""
        return all(
            scope in self._watches and self._watches[scope].synced.is_set()
            for scope in self._scopes(rollout)
        )

    def ages(self) -> Iterable[tuple[str, float]]:
        """Yield plural and seconds since the last sign of life, per watch."""
        for (resource, namespace), watch in self._watches.items():
            yield f"{namespace}/{resource.plural}", watch.age()

    # ------------------------------------------------------------ reading

    def deployments(self, rollout: Rollout) -> tuple[DeploymentRecord, ...]:
        """Return the target's Deployments: those whose pod template the selector matches."""
        watch = self._watches.get((DEPLOYMENTS, rollout.namespace))
        records = watch.cache.values() if watch else ()
        return tuple(it for it in records if selected(rollout, it.template_labels))

    def pods(self, rollout: Rollout) -> tuple[PodRecord, ...]:
        """Return the target's pods."""
        watch = self._watches.get((PODS, rollout.namespace))
        records = watch.cache.values() if watch else ()
        return tuple(it for it in records if selected(rollout, it.labels))

    def route(self, rollout: Rollout) -> Obj | None:
        """Return the target's route object as last seen, or None."""
        route = self._router.address(rollout)
        watch = self._watches.get((route.resource, route.namespace))
        found: Obj | None = watch.cache.get((route.namespace, route.name)) if watch else None
        return found


def _labels(record: DeploymentRecord | PodRecord) -> Labels:
    return record.template_labels if isinstance(record, DeploymentRecord) else record.labels
