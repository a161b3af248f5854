"""One command's connection to the cluster, and from what goes wrong to an exit code."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.cli.exits import Exit, Failure
from daemon.cli.kubeconfig import paths, whereabouts
from daemon.cli.options import Place
from daemon.errors import CrossfadeError, ForbiddenError, TransientError
from daemon.ports import Clock, Cluster


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with.

    Attributes:
        now: the API server's time; known after the first answer.
        namespace: where a target without a namespace is looked for.
        user: who asks, as a claim.
    """

    cluster: Cluster
    clock: Clock
    now: Callable[[], datetime]
    place: Place
    namespace: str
    user: str


def in_session(place: Place, command: Callable[[Session], Awaitable[Exit]]) -> None:
    """Run a command against the cluster; leave the process with its exit code if not 0.

    Raises:
        Failure: with the exit code that belongs to what went wrong.
    """
    try:
        code = asyncio.run(_run(place, command))
    except (ForbiddenError, TransientError) as problem:
        raise Failure(str(problem), Exit.UNREACHABLE) from problem
    except CrossfadeError as problem:
        raise Failure(str(problem)) from problem
    if code is not Exit.DONE:
        raise SystemExit(code)


async def _run(place: Place, command: Callable[[Session], Awaitable[Exit]]) -> Exit:
    async with open_session(place) as session:
        return await command(session)


@asynccontextmanager
async def open_session(place: Place) -> AsyncIterator[Session]:
    """Connect as the options say: a kubeconfig, else the pod's own account."""
    from daemon.clock import SystemClock
    from daemon.kube.api import KubeApi

    clock = SystemClock()
    if _only_in_cluster(place):
        api = await KubeApi.in_cluster(clock)
    else:
        _demand_a_kubeconfig(place)
        api = await KubeApi.from_kubeconfig(clock, place.kubeconfig, place.context)
    here = whereabouts(place.kubeconfig, place.context)
    namespace = place.namespace or here.namespace
    try:
        yield Session(api, clock, api.server_clock.now, place, namespace, here.user)
    finally:
        await api.close()


def _demand_a_kubeconfig(place: Place) -> None:
    """Say which file is missing; the library would speak of a missing key in it.

    Raises:
        Failure: there is no file to connect with.
    """
    there = [path for path in paths(place.kubeconfig) if path.is_file()]
    if there:
        return
    looked = ", ".join(map(str, paths(place.kubeconfig))) or "an empty KUBECONFIG"
    raise Failure(f"no kubeconfig: {looked} is not there; name one with --kubeconfig FILE")


def _only_in_cluster(place: Place) -> bool:
    """Tell whether the pod's own account is all there is (`kubectl exec ... crossfade status`)."""
    named = place.kubeconfig or place.context or os.environ.get("KUBECONFIG")
    usual = Path.home() / ".kube" / "config"
    return not named and not usual.exists() and "KUBERNETES_SERVICE_HOST" in os.environ
