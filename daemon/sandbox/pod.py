"""The life of one pod: bound, started, serving, perhaps crashing, at last leaving.

    bind -> [ start -> serve -> crash -> back-off ]* -> not ready -> linger -> stop -> gone

Each pod is one task; what the API server says about it arrives through `take`. Not here: which pods
there are.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from daemon.errors import CrossfadeError, NotFoundError, TransientError
from daemon.ports import Obj
from daemon.sandbox.addresses import Addresses, Berth
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.clock import SandboxClock
from daemon.sandbox.controllers.objects import is_leaving
from daemon.sandbox.echo import Echo
from daemon.sandbox.kinds import PODS
from daemon.sandbox.knobs import PORTS_ANNOTATION, KnobError, Knobs, read_knobs
from daemon.sandbox.pod_status import Container, PodStatus

FIRST_BACK_OFF: Final = 0.5
LONGEST_BACK_OFF: Final = 30.0
"""Seconds from a crash to the next start, doubling; Kubernetes takes 10 s to 5 min, a scene has no
time.
"""
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
"""Seconds before a status is written again that the API server refused, doubling."""
ENDING_SECONDS: Final = 1.0
"""For requests that still run when the listening ends."""
RETRY_SECONDS: Final = 1.0
"""Before a container is tried again that could not be made."""


class PodRun:
    """One pod of the node, from the moment it was seen to its end.

    Attributes:
        echo: the running process, or None.
        knobs: as last read.
    """

    def __init__(
        self,
        client: SandboxClient,
        pod: Obj,
        addresses: Addresses,
        *,
        clock: SandboxClock,
        rng: random.Random,
        linger: float,
    ) -> None:
        self.echo: Echo | None = None
        self.knobs = Knobs()
        self._client = client
        self._pod = pod
        self._addresses = addresses
        self._clock = clock
        self._rng = rng
        self._linger = linger
        self._status = PodStatus(pod, clock.stamp)
        self._container = Container(ready=False, waiting=("ContainerCreating", ""))
        self._written: dict[str, Any] = {}
        self._obeyed: dict[str, str] = {}
        self._ip = ""
        self._gone = self._killed = False
        self._news = asyncio.Event()

    @property
    def uid(self) -> str:
        """Of the pod."""
        return str(self._pod["metadata"]["uid"])

    def take(self, pod: Obj | None) -> None:
        """Learn what the API server says now; None: it knows the pod no more."""
        if pod is None:
            self._gone = True
        else:
            self._pod = pod
        self._news.set()

    def obeys(self, annotations: Mapping[str, str | None]) -> bool:
        """Tell whether the process behaves as these annotations say; None: not there."""
        return all(self._obeyed.get(name) == value for name, value in annotations.items())

    def kill(self) -> None:
        """Let the process crash, once."""
        self._killed = True
        self._news.set()

    async def run(self, node: str) -> None:
        """Live to the end of the pod. A cancelled run just stops the process."""
        berth: Berth | None = None
        try:
            await self._bind(node)
            while not self._leaving:
                berth = berth or await self._reserve()
                if berth and await self._start(berth):
                    await self._serve()
            await self._leave()
        finally:
            await self._stop(0.0)
            if berth:
                berth.close()

    # ------------------------------------------------------------ a container's life

    async def _bind(self, node: str) -> None:
        if "nodeName" not in self._pod["spec"]:
            metadata = self._pod["metadata"]
            await self._insist(
                lambda: self._client.bind(metadata["namespace"], metadata["name"], node)
            )

    async def _reserve(self) -> Berth | None:
        """Find an address; None and a pause where there is none."""
        try:
            berth = self._addresses.reserve(_ports(self._pod))
        except TransientError as fault:
            await self._cannot("CreateContainerError", str(fault))
            return None
        self._ip = berth.ip
        if any(declared != real for declared, real in berth.ports.items()):
            await self._annotate_ports(berth.ports)
        return berth

    async def _start(self, berth: Berth) -> bool:
        """Start the process; False where it cannot be made, or the pod is to go."""
        try:
            self.knobs = read_knobs(self._pod["metadata"].get("annotations") or {})
        except KnobError as fault:
            await self._cannot("CreateContainerConfigError", str(fault))
            return False
        await self._report()
        self._killed = False
        await self._wait(self.knobs.start_delay, lambda: self._leaving)
        if self._leaving:
            return False
        echo = Echo(
            version_of(self._pod),
            self._pod["metadata"]["name"],
            knobs=self.knobs,
            rng=self._rng,
        )
        try:
            await echo.listen(berth.take())
        except TransientError as fault:
            await self._cannot("CreateContainerError", str(fault))
            return False
        self.echo = echo
        return True

    async def _serve(self) -> None:
        """Serve until the process crashes or the pod is to go."""
        began, started_at = self._clock.monotonic(), self._clock.stamp()
        while not self._leaving:
            self._read_knobs()
            crash = self.knobs.crash
            left = None if crash is None else began + crash - self._clock.monotonic()
            if self._killed or (left is not None and left <= 0):
                await self._crash(started_at)
                return
            up, turn = self._flapping(self._clock.monotonic() - began)
            ready = up and not self.knobs.never_ready
            await self._report(ready=ready, waiting=("", ""), started_at=started_at)
            await self._next_news(min((it for it in (left, turn) if it is not None), default=None))

    def _flapping(self, age: float) -> tuple[bool, float | None]:
        """Tell whether it is ready at that age, and in how many seconds that turns."""
        flap = self.knobs.flap
        if flap is None:
            return True, None
        return int(age // flap) % 2 == 0, flap - age % flap

    async def _crash(self, started_at: str) -> None:
        await self._stop(0.0)
        restarts = self._container.restarts
        last_exit = {
            "exitCode": 1,
            "reason": "Error",
            "startedAt": started_at,
            "finishedAt": self._clock.stamp(),
        }
        await self._report(
            ready=False,
            waiting=("CrashLoopBackOff", "back-off restarting failed container"),
            restarts=restarts + 1,
            last_exit=last_exit,
        )
        back_off = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** min(restarts, 30))
        await self._wait(back_off, lambda: self._leaving)

    async def _leave(self) -> None:
        """Leave as a good application does: not ready first, serving on while anybody asks."""
        if self._gone:
            return
        metadata = self._pod["metadata"]
        await self._report(ready=False)
        if self.echo and metadata.get("deletionGracePeriodSeconds") != 0:
            await self._wait(self._linger, lambda: self._gone)
        await self._stop(ENDING_SECONDS)
        if not self._gone:
            await self._insist(
                lambda: self._client.remove(
                    PODS, metadata["namespace"], metadata["name"], uid=self.uid, grace_seconds=0
                )
            )

    async def _stop(self, grace: float) -> None:
        echo, self.echo = self.echo, None
        if echo:
            await echo.close(grace=grace)

    # ------------------------------------------------------------ news and status

    @property
    def _leaving(self) -> bool:
        return self._gone or is_leaving(self._pod)

    def _read_knobs(self) -> None:
        """Take over the knobs as they are now; an unreadable one leaves them as they were."""
        annotations = self._pod["metadata"].get("annotations") or {}
        try:
            self.knobs = read_knobs(annotations)
        except KnobError:
            return
        self._obeyed = annotations
        if self.echo:
            self.echo.knobs = self.knobs

    async def _wait(self, seconds: float, enough: Callable[[], bool]) -> None:
        """Return after so many seconds, or as soon as news made it `enough`."""
        until = self._clock.monotonic() + seconds
        while not enough() and (left := until - self._clock.monotonic()) > 0:
            await self._next_news(left)

    async def _next_news(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def _cannot(self, reason: str, message: str) -> None:
        await self._report(ready=False, waiting=(reason, message))
        await self._wait(RETRY_SECONDS, lambda: self._leaving)

    async def _report(self, **changes: Any) -> None:
        """Write the status where it differs from what was written last."""
        self._container = replace(self._container, **changes)
        status = self._status.build(self._container, self._ip)
        if status == self._written or self._gone:
            return
        metadata = self._pod["metadata"]
        await self._insist(
            lambda: self._client.patch_status(PODS, metadata["namespace"], metadata["name"], status)
        )
        self._written = status

    async def _annotate_ports(self, ports: dict[int, int]) -> None:
        text = "{" + ",".join(f'"{declared}":{real}' for declared, real in ports.items()) + "}"
        metadata = self._pod["metadata"]
        change = {"metadata": {"annotations": {PORTS_ANNOTATION: text}}}
        await self._insist(
            lambda: self._client.merge_patch(PODS, metadata["namespace"], metadata["name"], change)
        )

    async def _insist(self, call: Callable[[], Awaitable[Any]]) -> None:
        """Call until it succeeds; a pod that the API server does not know is gone."""
        pause = FIRST_PAUSE
        while not self._gone:
            try:
                await call()
            except NotFoundError:
                self._gone = True
            except CrossfadeError:
                await self._clock.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
            else:
                return


def version_of(pod: Obj) -> str:
    """Say which version a pod is: VERSION in its environment, else its label."""
    for container in pod["spec"].get("containers") or []:
        for variable in container.get("env") or []:
            if variable.get("name") == "VERSION" and variable.get("value"):
                return str(variable["value"])
    return str((pod["metadata"].get("labels") or {}).get("version", "unknown"))


def _ports(pod: Obj) -> tuple[int, ...]:
    """List the TCP ports that the pod's containers declare."""
    return tuple(
        {
            int(port["containerPort"]): None
            for container in pod["spec"].get("containers") or []
            for port in container.get("ports") or []
            if port.get("protocol", "TCP") == "TCP"
        }
    )
