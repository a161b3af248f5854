"""A plot: one host on a shared world, with the daemon's own parts looking at it.

    await plot.serve(single(V1))                 # people write the route
    seen = await plot.read()                     # what the daemon says of it
    await plot.write(Pinned("v1"), GuideKind.WITNESS)
    proof = await plot.proof()

People act through the API, users through Envoy, the daemon through its router, prover and smoke
test. Nothing waits for time: `serve` returns when every proxy has taken or refused the routes.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import yaml

from analysis.providers.base import PodAddress, Scope
from analysis.samples import Counts
from config.load import load_policy
from config.schema import Rollout
from daemon.adapters import Adapters
from daemon.clock import SystemClock
from daemon.core.model import (
    DECISION_HEADER,
    VERSION_HEADER,
    Guide,
    GuideKind,
    Phase,
    Pinned,
    Proof,
    Record,
    RouteSeen,
    SmokeResult,
    Split,
    Weighted,
    Work,
)
from daemon.core.reasons import Reason
from daemon.core.record import format_record
from daemon.errors import NotFoundError
from daemon.http import AiohttpHttp
from daemon.kube.api import KubeApi
from daemon.kube.patch import encode
from daemon.ports import HttpAnswer, HttpRequest, Obj, Resource
from daemon.routers.base import RouteObject
from daemon.routers.gloo import GlooRouter
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.kinds import ROUTE_TABLES, UPSTREAMS, VIRTUAL_SERVICES
from daemon.sandbox.world import World
from tests.live.harness import SHORT, policy_text
from tests.live.traps.objects import NAMESPACE
from tests.live.traps.proving import PATIENCE, Proving

ROLLOUT = "r7f3"
SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WATCHED = {
    UPSTREAMS: "upstreams",
    VIRTUAL_SERVICES: "virtual_services",
    ROUTE_TABLES: "route_tables",
}

# ---------------------------------------------------------------- the shared world


@dataclass
class Ground:
    """The world that all plots of a test process share, and what the daemon's adapters need."""

    world: World
    cluster: KubeApi
    http: AiohttpHttp
    clock: SystemClock
    people: SandboxClient
    plots: int = 0

    def adapters(self) -> Adapters:
        """Make adapters that remember nothing of the plots before."""
        now = self.cluster.server_clock.now
        return Adapters(self.cluster, self.http, self.clock, router=GlooRouter(), now=now)

    def plot(self) -> "Plot":
        self.plots += 1
        return Plot(self, f"plot{self.plots}")


@asynccontextmanager
async def the_ground(world: World) -> AsyncIterator[Ground]:
    clock = SystemClock()
    cluster = await KubeApi.from_kubeconfig(clock, str(world.kubeconfig))
    try:
        people = SandboxClient(world.api.url, manager="kubectl-edit")
        async with AiohttpHttp(clock) as http, people:
            yield Ground(world, cluster, http, clock, people)
    finally:
        await cluster.close()


class Plot:
    """One host. `name` names its objects; what they are called besides is up to a test."""

    def __init__(self, ground: Ground, name: str) -> None:
        self.name = name
        self.host = f"{name}.example"
        self.world = ground.world
        self.cluster = ground.cluster
        self.people = ground.people
        self.changes: dict[str, Any] = {}
        self.decision = 0
        self._ground = ground
        self._adapters = ground.adapters()
        self._made: list[tuple[Resource, str]] = []
        self._others: list[Plot] = []

    def neighbour(self) -> "Plot":
        """Another team's host behind the same gateway."""
        self._others.append(self._ground.plot())
        return self._others[-1]

    async def clear(self) -> None:
        for other in self._others:
            await other.clear()
        for resource, name in reversed(self._made):
            with suppress(NotFoundError):
                await self.world.delete(resource, name, NAMESPACE)

    # ------------------------------------------------------------ people

    async def serve(self, *routes: Obj, domains: list[str] | None = None, **more: Any) -> Obj:
        """Write the VirtualService; `more` goes into its virtual host."""
        host = {"domains": domains or [self.host], "routes": list(routes), **more}
        body = self._body("gateway.solo.io/v1", "VirtualService", self.name)
        return await self._put(VIRTUAL_SERVICES, body | {"spec": {"virtualHost": host}})

    async def table(self, name: str, *routes: Obj, labels: Obj | None = None, **more: Any) -> Obj:
        """Write a RouteTable."""
        body = self._body("gateway.solo.io/v1", "RouteTable", f"{self.name}-{name}")
        body["metadata"]["labels"] = labels or {}
        return await self._put(ROUTE_TABLES, body | {"spec": {"routes": list(routes), **more}})

    async def upstream(self, name: str = "", *, more: Obj | None = None, **kube: Any) -> str:
        """Write an Upstream over the Service of echo, in subset mode; return its name.

        `kube` are other members than the usual ones, `more` stands beside `kube`.
        """
        full = f"{self.name}-{name}" if name else self.name
        spec = {
            "serviceName": "echo",
            "serviceNamespace": "echo",
            "servicePort": 80,
            "selector": {"app": "echo"},
            "subsetSpec": {"selectors": [{"keys": ["version"]}]},
        } | kube
        spec = {key: value for key, value in spec.items() if value is not None}
        body = self._body("gloo.solo.io/v1", "Upstream", full)
        await self._put(UPSTREAMS, body | {"spec": {"kube": spec} | (more or {})})
        return full

    def _body(self, version: str, kind: str, name: str) -> Obj:
        metadata: Obj = {"name": name, "namespace": NAMESPACE}
        return {"apiVersion": version, "kind": kind, "metadata": metadata}

    async def _put(self, resource: Resource, body: Obj) -> Obj:
        at = (resource, body["metadata"]["name"])
        if at not in self._made:
            self._made.append(at)
        [applied] = await self.world.apply(body)
        await self.taken(resource, applied)
        return applied

    async def taken_by_all(self) -> None:
        """Wait until every proxy has taken or refused the route object as it stands now."""
        at = GlooRouter().address(self.rollout)
        obj = await self._find(at)
        assert obj is not None
        await self.taken(at.resource, obj)

    async def taken(self, resource: Resource, obj: Obj) -> None:
        """Wait until the control plane has translated this object, and the proxies have decided."""
        gateway = self.world.gateway
        cache = gateway._watches[WATCHED[resource]].cache
        key, version = (NAMESPACE, obj["metadata"]["name"]), _version(obj)
        await self.world.until(
            lambda: key in cache and _version(cache[key]) >= version, f"{key} to be seen"
        )
        await gateway.settled()

    async def status(self, state: str) -> Obj:
        """Wait until the VirtualService's own state is this; return its whole status."""
        found: Obj = {}

        async def is_it() -> bool:
            obj = await self.world.get(VIRTUAL_SERVICES, self.name, NAMESPACE)
            statuses = (obj.get("status") or {}).get("statuses") or {}
            found.update(statuses.get(NAMESPACE) or {})
            return found.get("state") == state

        await self.world.until(is_it, f"{self.name} to be {state}", PATIENCE)
        return found

    # ------------------------------------------------------------ users

    async def get(
        self, path: str = "/", *, method: str = "GET", proxy: int = 0, **headers: str
    ) -> HttpAnswer:
        """Send one request to this host through a proxy; `stage="canary"` is a header."""
        request = HttpRequest(
            url=self.world.urls[proxy] + path,
            method=method,
            headers={"Host": self.host} | {k.replace("_", "-"): v for k, v in headers.items()},
            fresh=True,
        )
        return await self._ground.http.send(request)

    async def ask(self, path: str = "/", **more: Any) -> str:
        """Send one request; return the version that answered, else the status."""
        answer = await self.get(path, **more)
        return answer.headers.get("x-echo-version", "") or str(answer.status)

    async def asks(self, times: int, path: str = "/", **more: Any) -> Counter[str]:
        return Counter([await self.ask(path, **more) for _ in range(times)])

    async def answers(self, wanted: str, path: str = "/", **more: Any) -> None:
        """Wait until an answer comes from this version, or with this status."""

        async def does() -> bool:
            return await self.ask(path, **more) == wanted

        await self.world.until(does, f"{self.host} to answer {wanted}", PATIENCE)

    # ------------------------------------------------------------ the daemon

    @property
    def rollout(self) -> Rollout:
        """The policy's entry for this host; `changes` are other keys than the short policy's.

        Where requests go is derived from the route, unless `changes` says more.
        """
        changes = dict(self.changes)
        where = {"virtualService": f"{NAMESPACE}/{self.name}", "upstream": f"{NAMESPACE}/echo"}
        where |= (changes.pop("route", {})).get("gloo", {})
        gateway = {"url": SHORT["gateway"]["url"]} | changes.pop("gateway", {})
        if "routeTable" in where:
            del where["virtualService"]
            gateway = {"host": self.host} | gateway
        text = policy_text(changes, pod_port=self.world.pod_port, name=self.name)
        whole = yaml.safe_load(text)
        whole["rollouts"][self.name] |= {"route": {"gloo": where}, "gateway": gateway}
        return load_policy(yaml.safe_dump(whole), filename="policy.yaml").rollouts[self.name]

    async def read(self) -> RouteSeen:
        """What the daemon sees and says, preflight included."""
        router, rollout = GlooRouter(), self.rollout
        found: dict[RouteObject, Obj | None] = {}
        while missing := [it for it in router.supporting(rollout, found) if it not in found]:
            for it in missing:
                found[it] = await self._find(it)
        obj = await self._find(router.address(rollout))
        assert obj is not None
        return router.read(rollout, obj, found)

    async def _find(self, at: RouteObject) -> Obj | None:
        try:
            return await self._ground.cluster.get(at.resource, at.namespace, at.name)
        except NotFoundError:
            return None

    async def write(
        self,
        owned: Pinned | Weighted,
        guide: GuideKind | None = GuideKind.HEADER,
        *,
        base: Obj | None = None,
        canary: str = "v2",
    ) -> Obj:
        """Write the next decision as the daemon does: one patch of what was read (or of `base`)."""
        router, rollout = GlooRouter(), self.rollout
        at = router.address(rollout)
        obj = base or await self._find(at)
        assert obj is not None
        self.decision += 1
        split = Split(owned, guide and Guide(guide, ROLLOUT, self.decision))
        text = format_record(replace(self._record, decision=self.decision, canary=canary))
        patch = router.plan(rollout, obj, split, text)
        return await self._ground.cluster.json_patch(
            at.resource, at.namespace, at.name, encode(patch)
        )

    @property
    def _record(self) -> Record:
        return Record(
            id=ROLLOUT,
            target=self.name,
            policy="0" * 8,
            stable="v1",
            stable_revision="v1/a",
            canary="v2",
            revision="v2/b",
            phase=Phase.SMOKE,
            since=SINCE,
            reason=Reason.CANARY_READY,
            decision=self.decision,
            epoch=1,
            writer="w1",
        )

    def _work(self, guide: GuideKind, canary: str) -> Work:
        return Work(
            rollout=ROLLOUT,
            decision=self.decision,
            revision=f"{canary}/b",
            weight=0,
            stable="v1",
            stable_revision="v1/a",
            canary=canary,
            step=0,
            phase=Phase.SMOKE,
            guide=guide,
            prove=True,
            smoke=True,
        )

    @asynccontextmanager
    async def proving(self, guide: GuideKind = GuideKind.HEADER) -> AsyncIterator[Proving]:
        """Let the daemon prove its last decision."""
        obj = await self._find(GlooRouter().address(self.rollout))
        assert obj is not None
        holder: list[Proving] = []

        def note(proof: Proof) -> None:
            holder[0].reports.append(proof)
            holder[0].news.set()

        work = self._work(guide, "v2")
        task = asyncio.create_task(self._adapters.prove(work, self.rollout, obj, note))
        holder.append(Proving(task))
        try:
            yield holder[0]
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def proof(self, guide: GuideKind = GuideKind.HEADER) -> Proof:
        """Wait for the proof of the last decision."""
        async with self.proving(guide) as proving:
            return await proving.ended()

    async def counted(self, version: str) -> Counts:
        """Read a version's counters as the daemon does: from its pods' metrics pages."""
        pods = await self.world.pods(version)
        addresses = tuple(PodAddress(it["metadata"]["name"], it["status"]["podIP"]) for it in pods)
        scope = Scope("echo", self.name, version, None, {version: addresses}, self.rollout.metrics)
        reading = await self._adapters.provider(self.rollout).read(scope)
        assert not reading.missing, reading.missing
        found = reading.pods[version].values()
        return Counts(int(sum(it.requests for it in found)), int(sum(it.failed for it in found)))

    async def smoke(self, *, canary: str = "v2") -> SmokeResult:
        """Run the smoke test of the last decision."""
        obj = await self._find(GlooRouter().address(self.rollout))
        assert obj is not None
        work = self._work(GuideKind.HEADER, canary)
        return await self._adapters.smoke(work, self.rollout, obj)


def shown(answer: HttpAnswer) -> tuple[str, str]:
    """Return decision and version, as our route's response headers say."""
    return answer.headers.get(DECISION_HEADER, ""), answer.headers.get(VERSION_HEADER, "")


def one(sentences: tuple[str, ...], *texts: str) -> str:
    """Return the one sentence that says all of this."""
    found = [it for it in sentences if all(text in it for text in texts)]
    assert len(found) == 1, f"{texts} in {sentences}"
    return found[0]


def _version(obj: Obj) -> int:
    return int(obj["metadata"]["resourceVersion"])
