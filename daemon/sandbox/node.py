"""The one node of the sandbox: runs every pod as an echo application in this process.

It is scheduler and kubelet in one, and knows the cluster through the API alone.
"""

import asyncio
import random
from typing import Final

from daemon.errors import ConflictError, TransientError
from daemon.kube.listwatch import Change, Key
from daemon.ports import Obj
from daemon.sandbox.addresses import Addresses
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.clock import SandboxClock
from daemon.sandbox.controllers.feed import Feed
from daemon.sandbox.kinds import NODES
from daemon.sandbox.pod import PodRun

NODE: Final = "sandbox"
MOST_PODS: Final = 500
"""Tasks and sockets at a time; a pod beyond them stays Pending."""
LINGER_SECONDS: Final = 0.5
"""A leaving pod serves on for that long: ten times what an endpoint needs to leave the gateway."""
REGISTER_ATTEMPTS: Final = 50


class Node:
    """Runs pods. `run` is to be run; it registers the node first.

    Attributes:
        pods: (namespace, name) -> the run of each pod that is here.
    """

    def __init__(
        self,
        client: SandboxClient,
        pods: Feed,
        addresses: Addresses,
        *,
        clock: SandboxClock,
        rng: random.Random,
        linger: float = LINGER_SECONDS,
    ) -> None:
        self.pods: dict[Key, PodRun] = {}
        self._client = client
        self._feed = pods
        self._addresses = addresses
        self._clock = clock
        self._rng = rng
        self._linger = linger
        self._waiting: dict[Key, None] = {}
        self._awake = asyncio.Event()
        pods.subscribe(self._pod_changed)

    async def run(self) -> None:
        """Run pods for ever. Cancelling stops all of them and leaves their objects as they are."""
        await self._register()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._awake.wait()
                self._awake.clear()
                for key in list(self._waiting):
                    if len(self.pods) >= MOST_PODS:
                        break
                    del self._waiting[key]
                    self._admit(key, group)

    def _pod_changed(self, change: Change[Obj]) -> None:
        run = self.pods.get(change.key)
        if run:
            same = change.after is not None and change.after["metadata"]["uid"] == run.uid
            run.take(change.after if same else None)
            if same:
                return
        if change.after:
            self._wake(change.key)

    def _wake(self, key: Key) -> None:
        self._waiting[key] = None
        self._awake.set()

    def _admit(self, key: Key, group: asyncio.TaskGroup) -> None:
        pod = self._feed.cache.get(key)
        if pod is None or key in self.pods or not _is_for_us(pod):
            return
        run = self.pods[key] = PodRun(
            self._client,
            pod,
            self._addresses,
            clock=self._clock,
            rng=self._rng,
            linger=self._linger,
        )
        group.create_task(self._keep(key, run))

    async def _keep(self, key: Key, run: PodRun) -> None:
        try:
            await run.run(NODE)
        finally:
            del self.pods[key]
            if self._waiting:
                self._awake.set()
        pod = self._feed.cache.get(key)
        if pod is not None and pod["metadata"]["uid"] != run.uid:
            self._wake(key)  # another pod of the same name came while this one was leaving

    async def _register(self) -> None:
        for _ in range(REGISTER_ATTEMPTS):
            try:
                await self._client.create(NODES, "", _node(self._clock.stamp()))
            except ConflictError:
                return  # a node of that name is there, from a run before this one
            except TransientError:
                await self._clock.sleep(0.1)
            else:
                return


def _is_for_us(pod: Obj) -> bool:
    ended = (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
    return not ended and pod["spec"].get("nodeName", NODE) == NODE


def _node(stamp: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}},
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "capacity": {"pods": str(MOST_PODS)},
            "allocatable": {"pods": str(MOST_PODS)},
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "SandboxReady",
                    "message": "pods run as echo servers in one process",
                    "lastHeartbeatTime": stamp,
                    "lastTransitionTime": stamp,
                }
            ],
            "nodeInfo": {"kubeletVersion": "sandbox", "operatingSystem": "sandbox"},
        },
    }
