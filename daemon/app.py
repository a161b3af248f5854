"""The daemon: the only place that constructs things. Everyone else receives what they need.

    watches, ticks, findings -> queue -> workers -> reconcile
    one root task group: the first task that ends unexpectedly ends the process, and Kubernetes
    starts it again; the record on the route makes that safe.

SIGTERM: not ready, no new decision, the write in flight ends, evidence and Events are flushed, at
most ten seconds.
"""

import asyncio
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import structlog

from config.errors import PolicyError
from config.schema import Policy
from daemon.adapters import Adapters
from daemon.carry_out import Hands
from daemon.clock import SystemClock
from daemon.core.model import Outage, TargetKey
from daemon.errors import CrossfadeError, ForbiddenError
from daemon.evidence import Evidence, Stored
from daemon.http import AiohttpHttp
from daemon.kube.api import KubeApi
from daemon.kube.events import Events
from daemon.memory import Memory
from daemon.notices import Notices
from daemon.observe import Observer
from daemon.policyfile import PolicyFile
from daemon.ports import Clock, Http
from daemon.queue import KeyQueue
from daemon.reconcile import Reconciler, World
from daemon.routers.gloo import GlooRouter
from daemon.scheduler import Scheduler
from daemon.settings import Settings
from daemon.targets import Targets
from daemon.tools import Tools
from daemon.watcher import Watcher
from daemon.web.health import Heartbeats
from daemon.web.metrics import Metrics
from daemon.web.server import Web

WORKERS = 8
"""Looks at a time: one slow target delays no other, and the API server sees few of us at once."""
POLICY_POLL_SECONDS = 2.0
"""Between two looks at the policy file; a stat, no read."""
DRAIN_SECONDS = 5.0
"""For the writes in flight at SIGTERM."""
FLUSH_SECONDS = 2.0
"""For Events and evidence at SIGTERM."""
START_RETRY_SECONDS = 2.0
"""Between two tries to reach the API server at start."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
BEAT_SECONDS = 5.0
"""How often the loop shows that it lives."""


async def run_daemon(settings: Settings) -> int:
    """Run until told to stop; return the exit code.

    Raises:
        CrossfadeError: the API server cannot be used at all (no configuration, no rights).
    """
    clock = SystemClock()
    file = PolicyFile(settings.policy)
    try:
        policy = file.load()
    except PolicyError as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - the answer of a command that cannot start
        return 2
    in_cluster = settings.kubeconfig is None and runs_in_cluster()
    kubeconfig = None if settings.kubeconfig is None else str(settings.kubeconfig)
    cluster = (
        await KubeApi.in_cluster(clock)
        if in_cluster
        else await KubeApi.from_kubeconfig(clock, kubeconfig, settings.context)
    )
    try:
        async with AiohttpHttp(clock) as http:
            app = App(settings, cluster, http, clock, random.Random())  # noqa: S311 - no secrets
            for name in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(name, app.stop)
            return await app.run(policy, file)
    finally:
        await cluster.close()


class App:
    """All parts of one daemon process, wired."""

    def __init__(
        self, settings: Settings, cluster: KubeApi, http: Http, clock: Clock, rng: random.Random
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._cluster = cluster
        self._stop = asyncio.Event()
        self._log = structlog.get_logger("crossfade")
        self.queue = KeyQueue()
        self.targets = Targets()
        self.metrics = Metrics(version("crossfade"))
        self.metrics.queue_depth_from(self.queue.depth)
        self.memories: dict[TargetKey, Memory] = {}
        self._beats = Heartbeats(clock)
        self._synced = False
        router = GlooRouter()
        writer = f"{settings.pod_name[:40]}-{rng.getrandbits(32):08x}"
        now: Callable[[], datetime] = cluster.server_clock.now
        self.watcher = Watcher(cluster, clock, rng, router=router, wake=self.queue.put)
        self._events = Events(cluster, cluster.server_clock, clock, rng, instance=settings.pod_name)
        self._evidence = Evidence(cluster, settings.evidence_namespace)
        adapters = Adapters(cluster, http, clock, router=router, now=now)
        self.reconciler = Reconciler(
            World(
                clock=clock,
                targets=self.targets,
                watcher=self.watcher,
                observer=Observer(
                    cluster,
                    self.watcher,
                    router,
                    now=now,
                    jumped_at=lambda: cluster.server_clock.jumped_at,
                    outages=lambda: _outages(cluster, clock),
                    new_id=lambda: f"{now():%Y%m%d-%H%M%S}-{rng.getrandbits(16):04x}",
                    writer=writer,
                    metrics_fault=adapters.metrics_fault,
                ),
                hands=Hands(cluster, router),
                evidence=self._evidence,
                notices=Notices(self._events, clock),
                metrics=self.metrics,
                tools=Tools(
                    clock=clock,
                    now=now,
                    prove=adapters.prove,
                    smoke=adapters.smoke,
                    provider=adapters.provider,
                    pods=self.watcher.pods,
                    wake=self.queue.put,
                    proved=self._save_proof,
                    shared=lambda key, percent: self.metrics.seen(str(key), percent),
                    provider_at_rest=adapters.provider_at_rest,
                    choose=adapters.choose,
                ),
            ),
            self.memories,
        )
        self.scheduler = Scheduler(self.queue.put, lambda: list(self.targets.followed()))
        self._web = Web(
            settings.listen_host,
            settings.listen_port,
            metrics=self.metrics,
            stalled=self._beats.stalled,
            unready=self._unready,
        )
        self._side: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------ life

    async def run(self, policy: Policy, file: PolicyFile) -> int:
        """Start everything, run until `stop`, drain."""
        await self._web.start()
        self._log.info("daemon.started", port=self._web.port, policy=str(self._settings.policy))
        self.targets.from_file(policy)
        self.metrics.policy_loaded(successful=True)
        try:
            async with asyncio.TaskGroup() as group:
                main = group.create_task(self._main(group, file))
                await self._stop.wait()
                await self._drain()
                main.cancel()
                for task in self._tasks:
                    task.cancel()
        finally:
            await self._web.stop()
        self._log.info("daemon.stopped")
        return 0

    def stop(self) -> None:
        """Begin to stop: what SIGTERM does."""
        self._stop.set()

    @property
    def port(self) -> int:
        """Return the port of metrics and health, once it listens."""
        return self._web.port

    _tasks: tuple[asyncio.Task[None], ...] = ()

    async def _main(self, group: asyncio.TaskGroup, file: PolicyFile) -> None:
        await self._take_up_evidence()
        self.watcher.follow(self.targets.followed())
        self.reconciler.use(group)
        self._tasks = (
            group.create_task(self.watcher.run()),
            group.create_task(self._events.run()),
            group.create_task(self._beat()),
            group.create_task(self._follow(file)),
            *(group.create_task(self._work()) for _ in range(WORKERS)),
        )
        self.scheduler.start()
        await self.watcher.synced()
        self._synced = True
        self._log.info("daemon.synced", targets=len(self.targets.followed()))
        for key in self.targets.followed():
            self.queue.put(key)

    async def _take_up_evidence(self) -> None:
        """Read the evidence, however long the API server takes to be there."""
        while True:
            try:
                stored = await self._evidence.load_all()
            except ForbiddenError as problem:
                # Without evidence the daemon is as safe, with less memory.
                self._log.warning("evidence.not_read", error=str(problem))
                return
            except CrossfadeError as problem:
                self._log.warning("api.not_reached", error=str(problem))
                await self._clock.sleep(START_RETRY_SECONDS)
            else:
                break
        for key, it in stored.items():
            self._remember(key, it)
        self.targets.from_evidence(stored)

    def _remember(self, key: TargetKey, stored: Stored) -> None:
        memory = self.memories.setdefault(key, Memory())
        memory.saved = stored.record
        memory.confirmed = stored.confirmed
        memory.kept = stored.kept

    async def _drain(self) -> None:
        """Stop deciding; let the write in flight end; flush what is worth keeping."""
        self._log.info("daemon.draining")
        self.reconciler.draining = True
        self.scheduler.stop()
        self.reconciler.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.queue.idle()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await self.reconciler.save_all()
        await self._events.flush(FLUSH_SECONDS)

    # ------------------------------------------------------------ loops

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            try:
                look = await self.reconciler.reconcile(key)
            finally:
                self.queue.done(key)
            if not self.reconciler.draining:
                self.scheduler.look_in(key, look)

    async def _beat(self) -> None:
        lost = 0
        while True:
            self._beats.beat("loop", BEAT_SECONDS)
            lost, told = self._events.dropped + self._events.failed, lost
            for _ in range(lost - told):
                self.metrics.event_dropped()
            for resource, seconds in self.watcher.ages():
                self.metrics.cache_aged(resource, seconds)
            await self._clock.sleep(BEAT_SECONDS)

    async def _follow(self, file: PolicyFile) -> None:
        """Follow the policy file: a bad one keeps the old policy and says so."""
        while True:
            await self._clock.sleep(POLICY_POLL_SECONDS)
            if not file.changed():
                continue
            try:
                policy = file.load()
            except PolicyError as problem:
                self.metrics.policy_loaded(successful=False)
                self._log.error("policy.rejected", error=str(problem), kept="the old policy")
                continue
            self.metrics.policy_loaded(successful=True)
            self._take(policy)

    def _take(self, policy: Policy) -> None:
        before = self.targets.followed()
        self.targets.from_file(policy)
        after = self.targets.followed()
        self.watcher.follow(after)
        self._log.info("policy.loaded", targets=len(after))
        for key in set(before) | set(after):
            self.queue.put(key)

    def _save_proof(self, key: TargetKey) -> None:
        """Save confirmedAt; a failure costs a longer hold after a restart."""
        task = asyncio.ensure_future(self.reconciler.save_proof(key))
        self._side.add(task)
        task.add_done_callback(self._side.discard)

    def _unready(self) -> str | None:
        if self._stop.is_set():
            return "stopping"
        return None if self._synced else "the caches are not filled yet"


def _outages(cluster: KubeApi, clock: Clock) -> tuple[Outage, ...]:
    """Return when the API server was out of reach, in its own time."""
    now, moment = cluster.server_clock.now(), clock.monotonic()
    return tuple(
        Outage(now - timedelta(seconds=moment - since), now - timedelta(seconds=moment - until))
        for since, until in cluster.reach.lost()
    )


def runs_in_cluster() -> bool:
    """Tell whether this process is in a pod with a service account."""
    return SERVICE_ACCOUNT.exists()
