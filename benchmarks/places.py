"""Where the scenes of peers.py are played: the sandbox, or a real Kubernetes without containers.

All are the shipped daemon, a real Envoy, users, and a clock; they differ in who answers for the API
server and in where the metrics come from: the pods themselves, or a real Prometheus.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import yaml

from benchmarks.stage import Stage
from daemon.core.model import Record
from daemon.kube.objects import DEPLOYMENTS
from daemon.sandbox.load import Load
from daemon.sandbox.world import World, WorldOptions
from tests.cluster import binaries
from tests.cluster.kubernetes import Kubernetes
from tests.cluster.metrics import Prometheus
from tests.cluster.node import DocumentationAddresses
from tests.cluster.scene import POD_PORT, Scene

SCRAPE_INTERVAL = "5s"
"""As where the peers were measured."""
Policy = dict[str, Any]
"""The target's entry, without its metrics; a key that is None is left out."""


class Place(Protocol):
    """One world with a daemon in it."""

    @property
    def load(self) -> Load:
        """The users."""
        ...

    def now(self) -> datetime:
        """The clock of `history`."""
        ...

    def history(self) -> list[tuple[datetime, Record]]:
        """Every state of the record, with when it was seen."""
        ...

    def requests(self) -> tuple[int, int]:
        """The daemon's requests beside watches so far; how many of them patched the route."""
        ...

    async def deploy(self, version: str, **knobs: str) -> object:
        """Apply a version."""
        ...

    async def remove(self, version: str) -> None:
        """Delete a version's Deployment."""
        ...

    async def until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for a condition."""
        ...

    async def lose_metrics(self) -> None:
        """Take the metrics away."""
        ...

    async def find_metrics(self) -> None:
        """Give them back."""
        ...


class SandboxPlace:
    """The sandbox; metrics come from the pods' own pages."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._versions: set[str] = {"v1"}

    @property
    def load(self) -> Load:
        assert self._stage.world.load is not None
        return self._stage.world.load

    def now(self) -> datetime:
        return self._stage.clock.now()

    def history(self) -> list[tuple[datetime, Record]]:
        return [(it.at, it.record) for it in self._stage.writes]

    def requests(self) -> tuple[int, int]:
        calls = self._stage.requests()
        routes = sum(
            number
            for call, number in calls.items()
            if (call.verb, call.resource) == ("patch", "virtualservices")
        )
        return calls.total(), routes

    async def deploy(self, version: str, **knobs: str) -> object:
        self._versions.add(version)
        return await self._stage.world.deploy(version, **knobs)

    async def remove(self, version: str) -> None:
        self._versions.discard(version)
        await self._stage.world.delete(DEPLOYMENTS, f"echo-{version}")

    async def until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        await self._stage.world.until(condition, what, seconds)

    async def lose_metrics(self) -> None:
        for version in self._versions:
            await self._stage.world.turn(version, metrics="vanish")

    async def find_metrics(self) -> None:
        for version in self._versions:
            await self._stage.world.turn(version, metrics=None)


class ClusterPlace:
    """A real Kubernetes; its metrics are lost with a real Prometheus."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    @property
    def load(self) -> Load:
        assert self._scene.load is not None
        return self._scene.load

    def now(self) -> datetime:
        return self._scene.clock.now()

    def history(self) -> list[tuple[datetime, Record]]:
        return list(zip(self._scene.moments, self._scene.writes, strict=True))

    def requests(self) -> tuple[int, int]:
        counted = self._scene.audit.counted()
        routes = sum(
            number
            for right, number in counted.items()
            if (right.verb, right.resource) == ("patch", "virtualservices")
        )
        return counted.total(), routes

    async def deploy(self, version: str, **knobs: str) -> object:
        return await self._scene.deploy(version, **knobs)

    async def remove(self, version: str) -> None:
        await self._scene.delete(DEPLOYMENTS, f"echo-{version}")

    async def until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        await self._scene.until(condition, what, seconds)

    async def lose_metrics(self) -> None:
        await self._scene.prometheus.kill()

    async def find_metrics(self) -> None:
        await self._scene.prometheus.start()


@asynccontextmanager
async def sandbox(policy: Policy, rps: float) -> AsyncIterator[SandboxPlace]:
    """Open the sandbox with an adopted target."""

    def text(world: World) -> str:
        chosen = {key: value for key, value in policy.items() if value is not None}
        entry = chosen | {"metrics": {"pods": {"port": world.pod_port}}}
        whole = {"apiVersion": "crossfade.dev/v1", "kind": "Policy", "rollouts": {"echo": entry}}
        return yaml.safe_dump(whole, sort_keys=False)

    async with Stage(text, WorldOptions(rps=rps)) as stage:
        await stage.adopted()
        yield SandboxPlace(stage)


@asynccontextmanager
async def kubernetes(policy: Policy, rps: float) -> AsyncIterator[ClusterPlace]:
    """Open a real control plane with an adopted target; metrics come from the pods.

    Inside of its network namespace only, as `kubernetes_with_prometheus`.
    """
    chosen = policy | {"metrics": {"pods": {"port": POD_PORT}}}
    async with kubernetes_with_prometheus(chosen, rps) as place:
        yield place


@asynccontextmanager
async def kubernetes_with_prometheus(policy: Policy, rps: float) -> AsyncIterator[ClusterPlace]:
    """Open a real control plane with an adopted target; metrics come from a Prometheus."""
    found = binaries.find()
    assert found is not None, "run `python -m tests.cluster.setup` first"
    with TemporaryDirectory(prefix="crossfade-bench-") as temporary:
        directory = Path(temporary)
        async with Kubernetes(found, directory / "kubernetes") as running:
            prometheus = Prometheus(directory / "prometheus", 21009, SCRAPE_INTERVAL)
            await prometheus.start()
            scene = Scene(running, prometheus, DocumentationAddresses(0), directory / "scene")
            try:
                await scene.begin(policy, rps=rps, start=True)
                await scene.adopted()
                yield ClusterPlace(scene)
            finally:
                await scene.end()
                await prometheus.kill()


async def quiet(place: Place, seconds: float = 3.0) -> None:
    """Wait until the daemon has sent nothing for so long."""
    before = (-1, -1)
    while (now := place.requests()) != before:
        before = now
        await asyncio.sleep(seconds)
