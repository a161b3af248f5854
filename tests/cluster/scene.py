"""A scene on the real cluster: echo's pods, a gateway with two Envoys, users, and the daemon.

    scene = await begin(steps=[...])          # the fixture of conftest.py
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.BAKING)

Waiting walks over every write of the record since the last wait, so that a phase which passed
quickly is not missed. Everything a scene made is gone at its end, so that the next one may use the
same cluster.
"""

import asyncio
import copy
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from config.load import load_policy
from daemon.core.model import Phase, Record, TargetKey
from daemon.core.reasons import Reason
from daemon.core.record import parse_record, record_annotation
from daemon.errors import CrossfadeError, NotFoundError
from daemon.kube.listwatch import Change, ListWatch
from daemon.ports import Obj, Resource
from daemon.sandbox.actions import Actions
from daemon.sandbox.clock import SandboxClock
from daemon.sandbox.controllers.feed import Feed
from daemon.sandbox.crds import gloo_crds
from daemon.sandbox.gateway import GatewayController, GatewayOptions
from daemon.sandbox.gateway.service import proxy_objects
from daemon.sandbox.kinds import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    PODS,
    SERVICES,
    UPSTREAMS,
    VIRTUAL_SERVICES,
)
from daemon.sandbox.load import Load, Tally
from tests.cluster.audit import Audit
from tests.cluster.daemon import NAMESPACE as OWN
from tests.cluster.daemon import USER, ClusterDaemon, write_kubeconfig
from tests.cluster.kubernetes import Kubernetes
from tests.cluster.manifests import EXAMPLE, rendered
from tests.cluster.metrics import Prometheus
from tests.cluster.node import DocumentationAddresses, EchoNode

KEY = TargetKey("echo", "echo")
GATEWAY = "gloo-system"
PROXY_ADDRESS = "192.0.2.2"
PROXIES = 2
POD_PORT = 8080
RPS = 60.0
PATIENCE = 60.0
"""Seconds for what takes five on a quiet machine."""
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap")
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition"
)
RIGHTS = ("Namespace", "ServiceAccount", "Role", "RoleBinding")

SHORT: dict[str, Any] = {
    "namespace": "echo",
    "selector": {"app": "echo"},
    "route": {"gloo": {"virtualService": f"{GATEWAY}/echo", "upstream": f"{GATEWAY}/echo"}},
    "gateway": {"url": f"http://gateway-proxy.{GATEWAY}:80", "host": "echo.example", "path": "/"},
    "smoke": ["GET / -> 200"],
    "steps": [{"weight": 20, "hold": "3s"}, {"weight": 60, "hold": "3s"}, {"weight": 100}],
    "bake": "3s",
    "confirmTimeout": "20s",
    "analysis": {
        "interval": "1s",
        "minRequests": 20,
        "checks": [{"name": "success rate", "successRate": {"atLeast": "99%"}}],
        "onNoData": {"wait": "1h", "then": "pause"},
    },
    "after": {"drain": "1s", "keepOld": "1s", "then": "scaleToZero"},
}
"""The policy of most scenes: everything on, every time as short as it may be."""
LONG_STEP = [{"weight": 20, "hold": "10s"}, {"weight": 60, "hold": "3s"}, {"weight": 100}]
"""Steps with time for something to happen on the first."""
PATIENT = [{"weight": 20, "hold": "1m"}, {"weight": 100}]
"""Steps for a bad version: nothing but the verdict ends the first in time."""


class Scene(Actions):
    """One scene. Made by `begin`, ended by `end`.

    Attributes:
        writes: every state of the record that was seen, oldest first.
        moments: when each was seen.
        audit: the daemon's requests, from the beginning of the scene on.
        daemon: the running daemon, or None.
    """

    pod_port = POD_PORT

    def __init__(
        self,
        kubernetes: Kubernetes,
        prometheus: Prometheus,
        addresses: DocumentationAddresses,
        directory: Path,
    ) -> None:
        self.kubernetes = kubernetes
        self.prometheus = prometheus
        self.clock = SandboxClock()
        self.writes: list[Record] = []
        self.moments: list[datetime] = []
        self.lines: deque[Obj] = deque(maxlen=5000)
        self.daemon: ClusterDaemon | None = None
        self.load: Load | None = None
        self.audit = Audit(kubernetes.audit_log, USER)
        self.policy = directory / "policy" / "policy.yaml"
        self._directory = directory
        self._addresses = addresses
        self._rng = random.Random(7)
        self._cursor = 0
        self._stack = AsyncExitStack()
        self._parts: list[asyncio.Task[None]] = []

    # ------------------------------------------------------------ life

    async def begin(self, policy: Mapping[str, Any], *, rps: float, start: bool) -> None:
        """Apply the rights, bring up node, gateway and v1, let users come, start the daemon."""
        await self.open()
        await self.apply([it for it in rendered(EXAMPLE) if it["kind"] in RIGHTS])
        for file in ("echo.yaml", "echo-v1.yaml"):
            await self.apply(self.manifest(file))
        await self.ready("v1")
        await self._until_v1_answers()
        if rps:
            await self.users(rps)
        self.write_policy(policy)
        self.audit.skip()
        if start:
            await self.start()

    async def open(self) -> None:
        """Bring up node and gateway, with nothing on them."""
        self.policy.parent.mkdir(parents=True)
        self.client = await self._stack.enter_async_context(self.kubernetes.client())
        self._http = await self._stack.enter_async_context(_session())
        await apply_kinds(self)
        await self._start_parts()

    async def end(self) -> None:
        """Stop everything and remove every object of the scene."""
        try:
            await self.stop()
            await self.stop_users()
            await self._remove_objects()
        finally:
            for part in self._parts:
                part.cancel()
            await asyncio.gather(*self._parts, return_exceptions=True)
            await self._stack.aclose()

    async def _start_parts(self) -> None:
        feed = Feed(self.client, PODS, clock=self.clock, rng=self._rng)
        feed.subscribe(lambda _: self.prometheus.scrape(feed.cache.values()))
        self.node = EchoNode(self.client, feed, self._addresses, clock=self.clock, rng=self._rng)
        envoys = self._directory / "envoys"
        envoys.mkdir()
        self.gateway = GatewayController(
            self.client,
            envoys,
            clock=self.clock,
            rng=self._rng,
            # On every address: users of the load generator come over loopback, the daemon's
            # probes over the address that the EndpointSlices name.
            options=GatewayOptions(host="0.0.0.0", proxies=PROXIES),
        )
        watch = ListWatch(
            self.client,
            VIRTUAL_SERVICES,
            GATEWAY,
            trim=dict,
            changed=self._route_changed,
            clock=self.clock,
            rng=self._rng,
        )
        for part in (feed.run(), self.node.run(), self.gateway.run(), watch.run()):
            self._parts.append(asyncio.create_task(part))
        await self.until(lambda: self._check() and self.gateway.started.is_set(), "the Envoys", 30)
        proxies = [(PROXY_ADDRESS, port) for _, port in self.gateway.addresses]
        await self.apply(proxy_objects(proxies))

    async def _until_v1_answers(self) -> None:
        async def answers() -> bool:
            with suppress(CrossfadeError):
                return (await self.ask()).version == "v1"
            return False

        await self.until(answers, "v1 to answer through the gateway", PATIENCE)

    async def _remove_objects(self) -> None:
        for resource, namespace in (
            (DEPLOYMENTS, "echo"),
            (SERVICES, "echo"),
            (VIRTUAL_SERVICES, GATEWAY),
            (UPSTREAMS, GATEWAY),
            (ENDPOINT_SLICES, GATEWAY),
            (CONFIGMAPS, OWN),
        ):
            for it in await self.client.list_all(resource, namespace):
                with suppress(NotFoundError):
                    await self.client.remove(resource, namespace, it["metadata"]["name"])

        async def empty() -> bool:
            return not await self.client.list_all(PODS, "echo")

        await self.until(empty, "all pods to be gone", 60)

    # ------------------------------------------------------------ the daemon

    def write_policy(self, changes: Mapping[str, Any]) -> None:
        """Write the policy file: the short one with other keys; a key that is None is left out."""
        entry = copy.deepcopy(SHORT)
        interval = self.prometheus.scrape_interval
        metrics = {"prometheus": {"url": self.prometheus.url, "scrapeInterval": interval}}
        for key, value in ({"metrics": metrics} | dict(changes)).items():
            both = isinstance(value, Mapping) and isinstance(entry.get(key), Mapping)
            entry[key] = {**entry[key], **value} if both else value
        entry = {key: value for key, value in entry.items() if value is not None}
        whole = {"apiVersion": "crossfade.dev/v1", "kind": "Policy", "rollouts": {"echo": entry}}
        text = yaml.safe_dump(whole, sort_keys=False)
        load_policy(text, filename="policy.yaml")
        self.policy.write_text(text, encoding="utf-8")

    async def start(self) -> None:
        """Start the daemon (again), with a fresh token."""
        assert self.daemon is None, "the daemon runs already"
        config = await write_kubeconfig(
            self.kubernetes, self.client, self._directory / "daemon.kubeconfig"
        )
        self.daemon = ClusterDaemon(self.policy, config, told=self.lines.append)
        await self.daemon.start()

    async def stop(self) -> None:
        """Stop it as Kubernetes does."""
        daemon, self.daemon = self.daemon, None
        if daemon is not None:
            await daemon.stop()

    async def kill(self) -> None:
        """`kill -9`."""
        assert self.daemon is not None
        daemon, self.daemon = self.daemon, None
        await daemon.kill()

    # ------------------------------------------------------------ users

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.gateway.addresses[0][1]}"

    async def users(self, rps: float, *, host: str = "") -> Load:
        """Let users ask through both proxies from now on."""
        await self.stop_users()
        urls = [f"http://127.0.0.1:{port}" for _, port in self.gateway.addresses]
        headers = {"Host": host} if host else {}
        self.load = Load(*urls, rps=rps, clock=self.clock, headers=headers)
        self.load.start()
        return self.load

    async def stop_users(self) -> Tally | None:
        """Let nobody ask any more."""
        return await self.load.stop() if self.load else None

    @property
    def failed(self) -> int:
        """Users' requests that failed so far."""
        return self.load.total.failed if self.load else 0

    def of(self, version: str) -> int:
        """Users' requests that a version answered so far."""
        return self.load.total.of(version) if self.load else 0

    # ------------------------------------------------------------ the record

    def _route_changed(self, change: Change[Obj]) -> None:
        text = ((change.after or {}).get("metadata", {}).get("annotations") or {}).get(
            record_annotation(KEY)
        )
        record = None if text is None else parse_record(text)
        if isinstance(record, Record) and (not self.writes or self.writes[-1] != record):
            self.writes.append(record)
            self.moments.append(self.clock.now())

    @property
    def record(self) -> Record:
        """The record as last seen."""
        return self.writes[-1]

    async def reaches(
        self,
        phase: Phase | None = None,
        reason: Reason | None = None,
        where: Callable[[Record], Any] = lambda _: True,
        seconds: float = PATIENCE,
    ) -> Record:
        """Return the next record as described, from the last one waited for on."""

        def found() -> bool:
            self._check()
            while self._cursor < len(self.writes):
                record = self.writes[self._cursor]
                fits = phase in (None, record.phase) and reason in (None, record.reason)
                if fits and where(record):
                    return True
                self._cursor += 1
            self._cursor = max(len(self.writes) - 1, 0)
            return False

        wanted = " ".join(str(it) for it in (phase, reason) if it is not None) or "a record"
        try:
            await self.until(found, wanted, seconds)
        except TimeoutError as late:
            raise TimeoutError(f"{late}\n{self.story()}") from None
        return self.writes[self._cursor]

    async def adopted(self) -> Record:
        """Wait until the route is adopted and the pin is seen to be live."""
        return await self.reaches(Phase.IDLE, Reason.ADOPTION_CONFIRMED)

    async def promoted(self, version: str = "v2") -> Record:
        """Wait until a release is over and the old version is scaled to zero."""
        record = await self.reaches(
            Phase.IDLE, where=lambda it: it.stable == version, seconds=2 * PATIENCE
        )
        await self.until(self._old_is_down, "the old version to be scaled to zero", PATIENCE)
        return record

    async def _old_is_down(self) -> bool:
        return (await self.get(DEPLOYMENTS, "echo-v1"))["spec"]["replicas"] == 0

    async def line(
        self, wanted: Callable[[Obj], Any], what: str, seconds: float = PATIENCE
    ) -> None:
        """Wait until the daemon has logged such a line."""
        try:
            await self.until(lambda: any(wanted(it) for it in list(self.lines)), what, seconds)
        except TimeoutError as late:
            raise TimeoutError(f"{late}\n{self.story()}") from None

    def _check(self) -> bool:
        for part in self._parts:
            if part.done() and not part.cancelled() and (problem := part.exception()):
                raise problem
        if self.daemon is not None and (code := self.daemon.ended) is not None:
            raise AssertionError(f"the daemon ended with {code}\n{self.story()}")
        return True

    def story(self) -> str:
        """Tell what happened, for whoever reads a failure."""
        records = [
            f"  {it.phase} step {it.step} {it.weight} % decision {it.decision} {it.reason}:"
            f" {it.message}"
            for it in self.writes
        ]
        said = dict.fromkeys(
            f"  {it.get('reason', it.get('event'))}: {it.get('message', '')}"
            f"{it.get('error', '')}{it.get('text', '')}{it.get('exception', '')}"
            for it in list(self.lines)[-40:]
        )
        words = list(said)[-12:]
        answers = self.load.total.answers if self.load else Counter()
        return "\n".join(["records:", *records, "last lines:", *words, f"users: {answers}"])


async def apply_kinds(cluster: Actions) -> None:
    """Teach the API server Gloo's kinds, and make the namespaces."""

    async def served(name: str) -> bool:
        conditions = (await cluster.get(CRDS, name, "")).get("status", {}).get("conditions", ())
        return any(it["type"] == "Established" and it["status"] == "True" for it in conditions)

    names = [crd["metadata"]["name"] for crd in gloo_crds()]
    await cluster.apply(gloo_crds())
    for name in names:
        await cluster.until(lambda name=name: served(name), f"{name} to be served")
    await cluster.apply(cluster.manifest("namespaces.yaml"))


def _session() -> aiohttp.ClientSession:
    """Open a session that asks on a fresh connection each time, as a new user would."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
