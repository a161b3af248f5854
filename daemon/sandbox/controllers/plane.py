"""The control plane: feeds and controllers put together and run as one."""

import asyncio
import random
from typing import Final

from daemon.errors import TransientError
from daemon.ports import Resource
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.clock import SandboxClock
from daemon.sandbox.controllers.deployment import DeploymentController
from daemon.sandbox.controllers.endpoints import EndpointsController
from daemon.sandbox.controllers.feed import Feed
from daemon.sandbox.controllers.loop import Loop
from daemon.sandbox.controllers.replicaset import ReplicaSetController
from daemon.sandbox.kinds import DEPLOYMENTS, PODS, REPLICA_SETS, SERVICES

SYNC_SECONDS: Final = 10.0
"""For the first lists; an API server that needs longer is not there."""


class ControlPlane:
    """Deployments, ReplicaSets and endpoints, kept true through the API.

    Attributes:
        pods: the feed of all pods, for a node to subscribe to.
    """

    def __init__(self, client: SandboxClient, clock: SandboxClock, rng: random.Random) -> None:
        def feed(resource: Resource) -> Feed:
            return Feed(client, resource, clock=clock, rng=rng)

        deployments, replica_sets, services = map(feed, (DEPLOYMENTS, REPLICA_SETS, SERVICES))
        self.pods = feed(PODS)
        self._feeds = (deployments, replica_sets, self.pods, services)
        self._loops: tuple[Loop, ...] = (
            DeploymentController(client, deployments, replica_sets, now=clock.now).loop,
            ReplicaSetController(client, replica_sets, self.pods, now=clock.now, rng=rng).loop,
            EndpointsController(client, services, self.pods).loop,
        )

    async def run(self) -> None:
        """Control for ever. Cancel to stop.

        Raises:
            TransientError: the API server gave no first lists.
        """
        async with asyncio.TaskGroup() as group:
            for feed in self._feeds:
                group.create_task(feed.run())
            await self._sync()
            for loop in self._loops:
                group.create_task(loop.run())

    async def _sync(self) -> None:
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                for feed in self._feeds:
                    await feed.synced()
        except TimeoutError:
            text = f"the API server gave the controllers no lists within {SYNC_SECONDS:g} s"
            raise TransientError(text) from None
