"""A whole small cluster in one process, and an Envoy or more beside it.

    API server <- HTTP - controllers, node with echo pods, gateway's control plane -> Envoy
                            users' load -------------------------------------------->

Everything talks to the API server over HTTP, as in a real cluster. A world starts with the echo
application's first version behind the gateway, and leaves nothing behind: no process, no port, no
file. Not here: what its parts do, and Crossfade itself, which comes from outside with the
kubeconfig.
"""

import asyncio
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp

from daemon.errors import CrossfadeError, TransientError
from daemon.sandbox.actions import NAMESPACE, POLL_SECONDS, Actions
from daemon.sandbox.addresses import OWN_ADDRESSES, Addresses
from daemon.sandbox.api import ApiServer
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.clock import MovableClock, SandboxClock
from daemon.sandbox.controllers.plane import ControlPlane
from daemon.sandbox.crds import gloo_crds
from daemon.sandbox.gateway import GatewayController, GatewayOptions, Gloo
from daemon.sandbox.leftovers import PassingDirectory, written_files
from daemon.sandbox.listening import ensure_free
from daemon.sandbox.load import Load
from daemon.sandbox.manifests import FILES, POD_PORT
from daemon.sandbox.node import LINGER_SECONDS, Node

START_SECONDS: Final = 30.0
"""From nothing to the first answer; two seconds as a rule, more on a machine that is busy."""
KUBECONFIG: Final = "kubeconfig"
ADMIN: Final = "admin"
"""The user who may do everything, where there are users at all."""
POD_PORTS: Final = (POD_PORT, 8081, 8090, 18080)
"""Tried in turn: 8080 is often taken, on all addresses, by what somebody develops."""


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """How a world is made.

    Attributes:
        gloo: whose port rule the gateway follows.
        apply_delay: seconds of the gateway's tick: a change is live after up to that long.
        port: of the gateway's first proxy, the others follow; 0 takes free ones.
        api_port: of the API server; 0 takes a free one.
        proxies: how many Envoys.
        directory: for kubeconfig and manifests; None takes a temporary one.
        rps: users' requests a second from the start; 0 starts none.
        start_with: the manifests that are there from the start, beside the namespaces.
        tokens: bearer token -> user; with any, everybody needs one, and all but `admin` RBAC.
        own_addresses: whether each pod gets an address of its own (Linux only).
        seed: of all chance; None draws one.
    """

    gloo: Gloo = Gloo.V1_12
    apply_delay: float = 0.0
    port: int = 0
    api_port: int = 0
    proxies: int = 1
    directory: Path | None = None
    rps: float = 0.0
    start_with: tuple[str, ...] = ("echo.yaml", "echo-v1.yaml")
    tokens: Mapping[str, str] = field(default_factory=dict)
    own_addresses: bool = OWN_ADDRESSES
    seed: int | None = None


class World(Actions):
    """One world, from `async with World() as world:` to its end.

    Attributes:
        api: the API server; `api.faults` breaks it.
        api_clock: its wall clock, which may be moved.
        gateway: the control plane and its Envoys, with faults of its own.
        directory: holds `kubeconfig` and the manifests.
        load: the users of now or of last, None before the first.
    """

    api: ApiServer
    gateway: GatewayController
    directory: Path
    load: Load | None = None

    def __init__(self, options: WorldOptions = WorldOptions()) -> None:
        self.options = options
        self.clock = SandboxClock()
        self.api_clock = MovableClock(self.clock)
        self._rng = random.Random(options.seed)  # noqa: S311 -- the chance of a play, not of a secret
        self._addresses = Addresses(self._rng, own=options.own_addresses)
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._life: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._life = loop.create_task(self._live())
        opened = loop.create_task(self._up.wait())
        try:
            await asyncio.wait({self._life, opened}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._life.cancel()
            await asyncio.wait({self._life})
            raise
        finally:
            opened.cancel()
        if not self._up.is_set():
            await self.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._down.set()
        await self.wait()

    async def wait(self) -> None:
        """Return at the end of the world, which comes by itself only if a part of it broke.

        Raises:
            CrossfadeError: what broke.
        """
        assert self._life, "a world is used with `async with`"
        try:
            await asyncio.shield(self._life)
        except BaseExceptionGroup as group:
            told = group.subgroup(CrossfadeError)
            if told is None:
                raise
            raise _first(told) from group

    @property
    def url(self) -> str:
        """Where the gateway's first proxy listens."""
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """Where each proxy of the gateway listens."""
        return [f"http://{host}:{port}" for host, port in self.gateway.addresses]

    @property
    def admin_urls(self) -> list[str]:
        """Envoys' admin pages."""
        return [envoy.admin.url for envoy in self.gateway.envoys]

    @property
    def kubeconfig(self) -> Path:
        """For kubectl and for Crossfade."""
        return self.directory / KUBECONFIG

    async def users(self, rps: float) -> Load:
        """Let users ask /work at this rate from now on, counted from zero."""
        await self.stop_users()
        self.load = Load(*self.urls, rps=rps, clock=self.clock)
        self.load.start()
        return self.load

    async def stop_users(self) -> None:
        """Let nobody ask any more; the counts stay in `load`."""
        if self.load:
            await self.load.stop()

    # ------------------------------------------------------------ from start to end

    async def _live(self) -> None:
        self._ensure_free_ports()
        self.pod_port = self._addresses.free_port(POD_PORTS)
        async with AsyncExitStack() as stack:
            passing = stack.enter_context(PassingDirectory())
            self.directory = self.options.directory or passing.path
            self.api = await self._start_api(stack)
            texts = {file: self.manifest(file) for file in FILES}
            stack.enter_context(written_files(self.directory, {KUBECONFIG: "", **texts}))
            self.api.write_kubeconfig(self.kubeconfig, user=ADMIN, namespace=NAMESPACE)
            client = SandboxClient(self.api.url, token=self._admin_token())
            self.client = await stack.enter_async_context(client)
            self._http = await stack.enter_async_context(_session())
            stack.push_async_callback(self.stop_users)
            await self._play(passing.path)

    async def _play(self, envoy_files: Path) -> None:
        """Run all parts until the end."""
        plane = ControlPlane(self.client, self.clock, self._rng)
        self.node = self._make_node(plane)
        self.gateway = self._make_gateway(envoy_files)
        async with asyncio.TaskGroup() as group:
            parts = [
                group.create_task(part)
                for part in (plane.run(), self.node.run(), self.gateway.run())
            ]
            await self._open()
            self._up.set()
            await self._down.wait()
            await self.stop_users()
            for part in parts:
                part.cancel()

    async def _open(self) -> None:
        """Apply what is there from the start, and wait for the first answer through the gateway."""
        last = ""
        try:
            async with asyncio.timeout(START_SECONDS):
                for file in ("namespaces.yaml", *self.options.start_with):
                    await self.apply(self.manifest(file))
                await self.gateway.started.wait()
                await self.apply(self.gateway.proxy_objects())
                while self.options.start_with and (last := await self._first_answer()):
                    await self.clock.sleep(POLL_SECONDS)
        except TimeoutError:
            text = f"the sandbox is not ready after {START_SECONDS:g} s"
            raise TransientError(f"{text}: {last or 'no part of it answers'}") from None
        if self.options.rps:
            await self.users(self.options.rps)

    async def _first_answer(self) -> str:
        """Ask once; an empty text means that echo answered."""
        try:
            answer = await self.ask()
        except TransientError as fault:
            return str(fault)
        return "" if answer.status == 200 else f"the gateway answers {answer.status}"

    # ------------------------------------------------------------ parts

    async def _start_api(self, stack: AsyncExitStack) -> ApiServer:
        admins = frozenset({ADMIN})
        api = ApiServer(clock=self.api_clock, tokens=self.options.tokens, admins=admins)
        for crd in gloo_crds():
            api.add_crd(crd)
        stack.push_async_callback(api.stop)
        await api.start(port=self.options.api_port)
        return api

    def _make_node(self, plane: ControlPlane) -> Node:
        return Node(
            self.client,
            plane.pods,
            self._addresses,
            clock=self.clock,
            rng=self._rng,
            # An endpoint leaves the gateway a tick later than the cluster; no pod may go before.
            linger=LINGER_SECONDS + self.options.apply_delay,
        )

    def _make_gateway(self, files: Path) -> GatewayController:
        return GatewayController(
            self.client,
            files,
            clock=self.clock,
            rng=self._rng,
            options=GatewayOptions(
                gloo=self.options.gloo,
                proxies=self.options.proxies,
                port=self.options.port,
                apply_delay=self.options.apply_delay,
            ),
        )

    def _admin_token(self) -> str:
        return next((t for t, user in self.options.tokens.items() if user == ADMIN), "")

    def _ensure_free_ports(self) -> None:
        ensure_free(self.options.api_port, "--api-port")
        for number in range(self.options.proxies if self.options.port else 0):
            ensure_free(self.options.port + number, "--port")


def _session() -> aiohttp.ClientSession:
    """Open a session that asks on a fresh connection each time, as a new user would."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def _first(group: BaseExceptionGroup[CrossfadeError]) -> CrossfadeError:
    """Find the first error in a group of groups."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
