"""What tests, the demo and people do to a running world.

Everything goes through the API, as kubectl would do it, but for what happens to processes: killing
one, or resetting its counters. Not here: starting and stopping a world.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import aiohttp

from daemon.errors import NotFoundError, TransientError
from daemon.ports import Obj, Resource
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.clock import SandboxClock
from daemon.sandbox.controllers.objects import is_ready
from daemon.sandbox.kinds import DEPLOYMENTS, PODS
from daemon.sandbox.knobs import PREFIX
from daemon.sandbox.manifests import echo_deployment, objects_of, text_of
from daemon.sandbox.node import Node
from daemon.sandbox.pod import PodRun

NAMESPACE: Final = "echo"
REQUEST: Final = aiohttp.ClientTimeout(total=5.0)
"""The gateway is on this machine; what takes longer is an answer by itself."""
MAX_BODY: Final = 65_536
"""Bytes of an answer that are read."""
POLL_SECONDS: Final = 0.02
UNTIL_SECONDS: Final = 10.0
"""For a condition that `until` waits for; everything in a world takes a second or two."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back through the gateway.

    Attributes:
        version: the version that answered, or "" where the gateway answered itself.
    """

    status: int
    version: str
    headers: dict[str, str]
    body: str


class Actions:
    """Acts on a world through its client, its node and its gateway's URL.

    Attributes:
        client: for everything that has no method here.
        node: runs the pods.
        pod_port: where the pods of echo listen, at their own addresses.
    """

    client: SandboxClient
    node: Node
    clock: SandboxClock
    pod_port: int
    _http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        """Where the gateway's first proxy listens."""
        raise NotImplementedError

    # ------------------------------------------------------------ asking

    async def ask(
        self, path: str = "/", headers: dict[str, str] | None = None, *, url: str = ""
    ) -> Answer:
        """Send one GET through the gateway; `url` names another proxy than the first.

        Raises:
            TransientError: no answer.
        """
        try:
            async with self._http.get(
                (url or self.url) + path, headers=headers, timeout=REQUEST, allow_redirects=False
            ) as answer:
                body = await answer.content.read(MAX_BODY)
                return Answer(
                    answer.status,
                    answer.headers.get("x-echo-version", ""),
                    {name.lower(): value for name, value in answer.headers.items()},
                    body.decode(errors="replace"),
                )
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise TransientError(f"the gateway does not answer: {fault!r}", sent=False) from fault

    async def until(
        self,
        condition: Callable[[], bool | Awaitable[bool]],
        what: str,
        seconds: float = UNTIL_SECONDS,
    ) -> None:
        """Wait for a condition, looked at again and again; a missing object counts as not yet.

        Raises:
            TimeoutError: it did not come about; says what was waited for.
        """
        try:
            async with asyncio.timeout(seconds):
                while not await _holds(condition):
                    await self.clock.sleep(POLL_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"waited {seconds:g} s in vain for: {what}") from None

    # ------------------------------------------------------------ objects

    def manifest(self, file: str) -> str:
        """Read one of the sandbox's manifests, as this world has it."""
        return text_of(file, pod_port=self.pod_port)

    async def apply(self, what: str | Obj | list[Obj]) -> list[Obj]:
        """Make objects what YAML, an object or a list of them says; others' fields stay."""
        if isinstance(what, str):
            what = objects_of(what)
        return [
            await self.client.apply(one) for one in ([what] if isinstance(what, dict) else what)
        ]

    async def get(self, resource: Resource, name: str, namespace: str = NAMESPACE) -> Obj:
        """Read one object."""
        return await self.client.get(resource, namespace, name)

    async def delete(self, resource: Resource, name: str, namespace: str = NAMESPACE) -> None:
        """Delete one object, and in the background what it owns."""
        await self.client.remove(resource, namespace, name)

    async def deploy(self, version: str, *, replicas: int = 2, **knobs: str) -> Obj:
        """Apply the Deployment of a version of echo; a knob is written `error_rate="0.2"`."""
        spelt = {name.replace("_", "-"): value for name, value in knobs.items()}
        body = echo_deployment(version, replicas=replicas, knobs=spelt, pod_port=self.pod_port)
        [applied] = await self.apply(body)
        return applied

    async def scale(self, version: str, replicas: int) -> None:
        """Give a version another size."""
        change = {"spec": {"replicas": replicas}}
        await self.client.merge_patch(DEPLOYMENTS, NAMESPACE, f"echo-{version}", change)

    async def pods(self, version: str) -> list[Obj]:
        """List the pods of a version, leaving ones too."""
        labels = f"app=echo,version={version}"
        return await self.client.list_all(PODS, NAMESPACE, label_selector=labels)

    async def ready(self, version: str, replicas: int = 2) -> None:
        """Wait until a version has exactly so many ready pods, and no others."""

        async def has_them() -> bool:
            pods = await self.pods(version)
            return len(pods) == replicas and all(is_ready(pod) for pod in pods)

        await self.until(has_them, f"{replicas} ready pods of {version}")

    # ------------------------------------------------------------ misbehaviour

    async def turn(self, version: str, **knobs: str | None) -> None:
        """Turn knobs on a version's running pods, without new pods; None takes a knob away.

        `metrics="vanish"` and so on belong here, too (see knobs.py).
        """
        annotations = {PREFIX + name.replace("_", "-"): value for name, value in knobs.items()}
        change = {"metadata": {"annotations": annotations}}
        names = [pod["metadata"]["name"] for pod in await self.pods(version)]
        for name in names:
            with suppress(NotFoundError):  # it left meanwhile
                await self.client.merge_patch(PODS, NAMESPACE, name, change)
        await self.until(
            lambda: all(self._is_turned(name, annotations) for name in names),
            f"the knobs {', '.join(annotations)} on {', '.join(names)}",
        )

    def kill(self, version: str) -> None:
        """Let the processes of a version crash, once; they start again after a back-off."""
        for run in self._runs(version):
            run.kill()

    def reset_metrics(self, version: str) -> None:
        """Let the processes of a version count from zero, as after a restart."""
        for run in self._runs(version):
            if run.echo:
                run.echo.reset()

    def _runs(self, version: str) -> Iterator[PodRun]:
        for (namespace, name), run in list(self.node.pods.items()):
            if namespace == NAMESPACE and name.startswith(f"echo-{version}-"):
                yield run

    def _is_turned(self, name: str, annotations: dict[str, str | None]) -> bool:
        """Tell whether the process took the annotations over; one that is gone need not."""
        run = self.node.pods.get((NAMESPACE, name))
        return run is None or run.obeys(annotations)


async def _holds(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    try:
        found = condition()
        return found if isinstance(found, bool) else await found
    except NotFoundError:
        return False
