"""The control plane at work: watch, translate, publish to the proxies, write statuses.

Invariant: every change leads to a translation, every translation to files for each proxy that is
not frozen, and to statuses; a fault of one proxy or one status write stops nothing else.
Must not be put here: what anything means (translator.py), formats (xds.py, status.py).
"""

import asyncio
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from daemon.errors import CrossfadeError
from daemon.kube.listwatch import Change, ListWatch, WatchTimings
from daemon.ports import Clock, Cluster, Obj
from daemon.sandbox.gateway.clusters import Gloo
from daemon.sandbox.gateway.envoy import Envoy
from daemon.sandbox.gateway.hosts import DEFAULT_PROXY
from daemon.sandbox.gateway.objects import CLUSTER_KINDS, GATEWAY_KINDS, Snapshot
from daemon.sandbox.gateway.service import SERVICE_NAMESPACE, proxy_objects
from daemon.sandbox.gateway.status import StatusWriter
from daemon.sandbox.gateway.translator import NO_PROXY, Proxy, Translation, empty, translate
from daemon.sandbox.gateway.xds import XdsFiles

TIMINGS: Final = WatchTimings(longest_pause=1.0)
"""Faults are put into a sandbox's API server; nobody wants to wait half a minute afterwards."""
DEBOUNCE: Final = 0.01
"""Seconds; objects applied together are translated together."""
SWEEP_AFTER: Final = 0.25
"""Seconds until clusters without routes go; Envoy takes new routes in a few milliseconds."""
RESTART_AFTER: Final = 0.5
"""Seconds until a proxy that ended by itself is started again."""
POLL: Final = 0.01
NOWHERE: Final = "192.0.2.1"
"""Reserved for documentation: no machine has it, so no listener can bind to it."""
KEPT_OF_OTHERS: Final = ("name", "namespace", "labels")
"""Of Services, slices and pods: their status and versions do not concern a gateway."""


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How the sandbox's gateway behaves.

    Attributes:
        gloo: whose port rule holds.
        proxies: how many Envoys; each is one endpoint of the gateway's Service.
        host: address they listen on.
        port: of the first, the others follow it; 0 lets each choose a free one.
        apply_delay: seconds of Gloo's tick: a change waits for the next multiple (0: at once).
        status_delay: seconds by which statuses come later than the routes.
        namespace: the control plane's own: key of its statuses.
    """

    gloo: Gloo = Gloo.V1_12
    proxies: int = 1
    host: str = "127.0.0.1"
    port: int = 0
    apply_delay: float = 0.0
    status_delay: float = 0.0
    namespace: str = SERVICE_NAMESPACE


class GatewayController:
    """One control plane and its proxies. `run` until cancelled; then the Envoys are gone, too.

    Attributes:
        started: set once the proxies are bound and run the first translation.
        apply_delay, status_delay: may be changed while it runs.
        envoys: the proxies, for tests and demonstrations that kill one.
    """

    def __init__(
        self,
        cluster: Cluster,
        directory: Path,
        *,
        clock: Clock,
        rng: random.Random,
        options: GatewayOptions = GatewayOptions(),
    ) -> None:
        self.options = options
        self.apply_delay = options.apply_delay
        self.status_delay = options.status_delay
        self.started = asyncio.Event()
        self._clock = clock
        self._dirty = asyncio.Event()
        self._judged = asyncio.Event()
        self._refuse = ""
        self._frozen: set[int] = set()
        self._unbound: set[int] = set()
        self._memory: Proxy = NO_PROXY
        self._latest: Translation = empty()
        self._statuses = StatusWriter(cluster, options.namespace, DEFAULT_PROXY)
        self._watches = {
            name: ListWatch(
                cluster,
                resource,
                None,
                trim=_without_managed_fields if name in GATEWAY_KINDS else _bare,
                changed=self._noticed,
                clock=clock,
                rng=rng,
                timings=TIMINGS,
            )
            for name, resource in (GATEWAY_KINDS | CLUSTER_KINDS).items()
            if name != "endpoints"  # the slices say the same
        }
        self.envoys = [
            _make_envoy(number, directory, clock, options) for number in range(options.proxies)
        ]

    # ------------------------------------------------------------ what others ask

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """(host, port) of each proxy, known once `started`."""
        return [(envoy.host, envoy.port) for envoy in self.envoys]

    def proxy_objects(self) -> list[Obj]:
        """The gateway's Service and EndpointSlices, known once `started`."""
        return proxy_objects(
            self.addresses,
            namespace=self.options.namespace,
            admin_ports=[envoy.admin_port for envoy in self.envoys],
        )

    async def settled(self) -> None:
        """Wait until all changes seen so far are translated and every running proxy has decided.

        A proxy has decided when it runs the routes or has refused them; a frozen one is not asked.
        """
        while self._dirty.is_set():
            await self._clock.sleep(POLL)
        for number, envoy in enumerate(self.envoys):
            if number not in self._frozen and envoy.running:
                await envoy.decide()

    # ------------------------------------------------------------ faults

    @property
    def frozen(self) -> frozenset[int]:
        """Numbers of the proxies that are told nothing."""
        return frozenset(self._frozen)

    @property
    def refusing(self) -> str:
        """Why everything is rejected; empty where it is not."""
        return self._refuse

    def freeze(self, *proxies: int) -> None:
        """Take objects and write statuses, but never tell these proxies (none named: all)."""
        self._frozen |= set(proxies or range(len(self.envoys)))

    @property
    def unbound(self) -> frozenset[int]:
        """Numbers of the proxies whose listener cannot bind."""
        return frozenset(self._unbound)

    def unbind(self, *proxies: int) -> None:
        """Give these proxies (none named: all) a listener they cannot bind: they close theirs."""
        self._unbound |= set(proxies or range(len(self.envoys)))
        self._dirty.set()

    def thaw(self) -> None:
        """Tell every proxy the newest state again, and let it listen."""
        self._frozen.clear()
        self._unbound.clear()
        self._dirty.set()

    def reject_everything(self, reason: str) -> None:
        """Reject every VirtualService for this reason; an empty reason ends it."""
        self._refuse = reason
        self._dirty.set()

    def restart(self) -> None:
        """Forget what only the memory held: hosts that are rejected now are gone."""
        self._memory = NO_PROXY
        self._dirty.set()

    async def restart_proxy(self, number: int) -> None:
        """Stop one Envoy; it comes back by itself on the same port."""
        await self.envoys[number].stop()

    # ------------------------------------------------------------ the work

    async def run(self) -> None:
        """Start the proxies and serve for ever. Cancel to stop.

        Raises:
            PermanentError: no Envoy for this machine.
        """
        try:
            for envoy in self.envoys:
                envoy.files.publish(empty())
                await envoy.start()
            async with asyncio.TaskGroup() as tasks:
                for watch in self._watches.values():
                    tasks.create_task(watch.run())
                for number in range(len(self.envoys)):
                    tasks.create_task(self._keep_running(number))
                for watch in self._watches.values():
                    await watch.synced.wait()
                self._dirty.set()
                tasks.create_task(self._write_statuses())
                tasks.create_task(self._translate())
        finally:
            for envoy in self.envoys:
                await envoy.stop()

    async def _translate(self) -> None:
        while True:
            await self._dirty.wait()
            await self._clock.sleep(self._wait_for_tick())
            self._dirty.clear()
            translation = translate(
                self._snapshot(), self._memory, gloo=self.options.gloo, refuse=self._refuse
            )
            self._memory = translation.proxy
            self._latest = translation
            self._judged.set()
            due = [
                envoy.files
                for number, envoy in enumerate(self.envoys)
                if number not in self._frozen and envoy.files.publish(self._for(number))
            ]
            self.started.set()
            if due:
                await self._clock.sleep(SWEEP_AFTER)
                for files in due:
                    files.sweep()

    def _for(self, number: int) -> Translation:
        """The newest translation, as this proxy is told it."""
        latest = self._latest
        return replace(latest, address=NOWHERE) if number in self._unbound else latest

    def _snapshot(self) -> Snapshot:
        return Snapshot(**{name: dict(watch.cache) for name, watch in self._watches.items()})

    def _wait_for_tick(self) -> float:
        if self.apply_delay <= 0:
            return DEBOUNCE
        return self.apply_delay - self._clock.monotonic() % self.apply_delay

    async def _write_statuses(self) -> None:
        while True:
            await self._judged.wait()
            if self.status_delay > 0:
                await self._clock.sleep(self.status_delay)
            self._judged.clear()
            await self._statuses.write(self._snapshot(), self._latest)

    async def _keep_running(self, number: int) -> None:
        """What a kubelet does: start a proxy that ended again, with the configuration it had."""
        envoy = self.envoys[number]
        while True:
            await envoy.wait()
            await self._clock.sleep(RESTART_AFTER)
            try:
                await envoy.stop()
                await envoy.start()
            except CrossfadeError:
                continue

    def _noticed(self, change: Change[Any]) -> None:
        """A change of a status alone needs no translation, only a look at the statuses."""
        before, after = change.before, change.after
        if before is not None and after is not None and _meaning(before) == _meaning(after):
            self._judged.set()
        else:
            self._dirty.set()


def _make_envoy(number: int, directory: Path, clock: Clock, options: GatewayOptions) -> Envoy:
    name = f"{DEFAULT_PROXY}-{number}"
    port = options.port + number if options.port else 0
    return Envoy(name, XdsFiles(directory / name), clock, host=options.host, port=port)


def _meaning(item: Obj) -> Obj:
    own = {k: v for k, v in item.items() if k not in {"metadata", "status"}}
    return own | {"labels": item["metadata"].get("labels")}


def _without_managed_fields(item: Obj) -> Obj:
    metadata = {k: v for k, v in item["metadata"].items() if k != "managedFields"}
    return item | {"metadata": metadata}


def _bare(item: Obj) -> Obj:
    metadata = {k: v for k, v in item["metadata"].items() if k in KEPT_OF_OTHERS}
    return {k: v for k, v in item.items() if k != "status"} | {"metadata": metadata}
