"""A scene: the sandbox's world, the daemon in it, users, people, and a record of all that happens.

    scene = await begin(policy={"steps": [100]})     # the fixture of conftest.py
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.BAKING)

The daemon runs in this process (`Inside`: fast) or as the shipped program (`ShippedDaemon`).
"""

import copy
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.load import load_policy
from config.schema import Rollout
from config.stored import policy_hash
from daemon.core.model import Record, TargetKey
from daemon.core.record import record_annotation
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.kinds import ROUTE_TABLES, VIRTUAL_SERVICES
from daemon.sandbox.shipped import ShippedDaemon
from daemon.sandbox.world import World, WorldOptions
from tests.live.acting import PERSON, Acting
from tests.live.following import PATIENCE, UPSTREAM, Written
from tests.live.history import Commit, Obj, record_of, record_text, shares_of
from tests.live.inside import Inside
from tests.live.policies import SHORT, policy_text
from tests.live.scribe import Scribe

__all__ = [
    "ANNOTATION",
    "KEY",
    "PATIENCE",
    "PERSON",
    "RPS",
    "SHORT",
    "UPSTREAM",
    "Inside",
    "Scene",
    "Setting",
    "Written",
    "policy_text",
]

KEY = TargetKey("echo", "echo")
ANNOTATION = record_annotation(KEY)
RPS = 60.0
"""Users' requests a second: enough for a verdict within a step, cheap enough for four scenes."""


@dataclass(slots=True)
class Setting:
    """How a scene begins.

    Attributes:
        policy: other keys than those of the short policy.
        world: how the world is made.
        process: the shipped program as a process, instead of the daemon in this one.
        rps: users' requests a second; 0: no users.
        table: the weights live in a RouteTable of this name, the VirtualService delegates to it.
        start: whether the daemon starts at once.
    """

    policy: Mapping[str, Any] = field(default_factory=dict)
    world: Mapping[str, Any] = field(default_factory=dict)
    process: bool = False
    rps: float = RPS
    table: str = ""
    start: bool = True


class Scene(Acting):
    """One world with the daemon in it. Made by `begin`, ended by `end`.

    Attributes:
        world: the sandbox.
        scribe: its history.
        policies: hash -> policy, of all that were in force.
    """

    def __init__(self, setting: Setting, directory: Path) -> None:
        super().__init__()
        self.setting = setting
        self.policies: dict[str, Rollout] = {}
        self.policy = directory / "policy.yaml"
        self.daemon: Inside | ShippedDaemon | None = None
        self.world = World(WorldOptions(**setting.world))
        self._stack = AsyncExitStack()

    # ------------------------------------------------------------ life

    async def begin(self) -> None:
        """Build the world, let users come, start the daemon."""
        await self._stack.enter_async_context(self.world)
        client = SandboxClient(self.world.api.url, manager=PERSON)
        self.people = await self._stack.enter_async_context(client)
        if self.setting.table:
            await self._delegate(self.setting.table)
        kind = ROUTE_TABLES if self.setting.table else VIRTUAL_SERVICES
        self.route = (kind, "gloo-system", self.setting.table or "echo")
        self.scribe = Scribe(self.world, route=(kind.plural, self.route[2]), upstream=UPSTREAM)
        self.scribe.news.append(self._note)
        self.scribe.start()
        self._stack.push_async_callback(self.scribe.stop)
        self.write_policy(self.setting.policy)
        if self.setting.rps:
            await self.users(self.setting.rps)
        if self.setting.start:
            await self.start()

    async def end(self) -> None:
        """Stop everything; the history stays."""
        try:
            if self.daemon is not None:
                await self.stop()
        finally:
            await self._stack.aclose()

    async def _delegate(self, table: str) -> None:
        """Move the route into a RouteTable that the VirtualService delegates to."""
        service = await self.people.get(VIRTUAL_SERVICES, "gloo-system", "echo")
        routes = service["spec"]["virtualHost"]["routes"]
        await self.people.apply(
            {
                "apiVersion": "gateway.solo.io/v1",
                "kind": "RouteTable",
                "metadata": {"name": table, "namespace": "gloo-system"},
                "spec": {"routes": routes},
            }
        )
        ref = {"name": table, "namespace": "gloo-system"}
        delegating = [{"matchers": [{"prefix": "/"}], "delegateAction": {"ref": ref}}]
        change = {"spec": {"virtualHost": {"routes": delegating}}}
        await self.people.merge_patch(VIRTUAL_SERVICES, "gloo-system", "echo", change)
        await self.world.gateway.settled()

    def write_policy(self, changes: Mapping[str, Any]) -> None:
        """Write the policy file: the short one with other keys."""
        if self.setting.table:
            gloo = {
                "routeTable": f"gloo-system/{self.setting.table}",
                "upstream": "gloo-system/echo",
            }
            changes = {"route": {"gloo": gloo}} | dict(changes)
        text = policy_text(changes, pod_port=self.world.pod_port)
        for rollout in load_policy(text, filename="policy.yaml").rollouts.values():
            self.policies[policy_hash(rollout)] = rollout
        other = self.policy.with_suffix(".new")
        other.write_text(text, encoding="utf-8")
        other.replace(self.policy)

    # ------------------------------------------------------------ the daemon

    async def start(self) -> None:
        """Start the daemon (again)."""
        assert self.daemon is None, "the daemon runs already"
        self.scribe.life("started")
        kind = ShippedDaemon if self.setting.process else Inside
        self.daemon = kind(self.policy, self.world.kubeconfig, told=self._hear)
        await self.daemon.start()

    async def stop(self) -> int:
        """Stop it as SIGTERM does; return its exit code."""
        assert self.daemon is not None
        daemon, self.daemon = self.daemon, None
        self.scribe.life("stopping")
        code = await daemon.stop()
        self.scribe.life("stopped", code)
        return code

    async def kill(self) -> None:
        """End it without a last word."""
        assert self.daemon is not None
        daemon, self.daemon = self.daemon, None
        await daemon.kill()
        self.scribe.life("killed")

    async def synced(self) -> None:
        """Wait until the daemon has filled its caches."""
        await self.line(lambda it: it.get("event") == "daemon.synced", "the daemon to be synced")

    async def quiet(self) -> None:
        """Wait until the daemon's work is done: two looks at the world without a request."""
        assert self.setting.rps, "without users there is nothing to wait by"
        before = -1
        while before != (before := self.api_requests(watches=True)):
            users = self.answers.total()
            await self.wait(lambda users=users: self.answers.total() > users + 40, "users")

    def api_requests(self, *, watches: bool = False) -> int:
        """Count the daemon's requests to the API server so far."""
        count = self.world.api.recorder.count
        number = count(agent="crossfade/")
        return number if watches else number - count(agent="crossfade/", verb="watch")

    # ------------------------------------------------------------ the route now

    @property
    def object(self) -> Obj:
        """A copy of the route object as it stands."""
        kind, namespace, name = self.route
        return copy.deepcopy(self.world.api.store.find(kind, namespace, name).obj)

    @property
    def record(self) -> Record | None:
        return record_of(self.object)

    @property
    def record_text(self) -> str | None:
        return record_text(self.object)

    @property
    def shares(self) -> dict[str, int] | None:
        """What the owned route says now."""
        return shares_of(self.object, UPSTREAM)

    def route_writes(self) -> list[Written]:
        """Return the daemon's commits that changed the route's spec."""
        return [it for it in self.writes if it.commit.by_daemon and _spec_changed(it.commit)]


def _spec_changed(commit: Commit) -> bool:
    return (commit.old or {}).get("spec") != (commit.new or {}).get("spec")
