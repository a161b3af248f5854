"""The commands of the sandbox, which `daemon.__main__` adds where the extra is installed."""

import asyncio
import shlex
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click
import durationpy

from daemon.cli.exits import Failure
from daemon.errors import CrossfadeError
from daemon.sandbox.control import controlled
from daemon.sandbox.demo_command import demo
from daemon.sandbox.fault_commands import fault
from daemon.sandbox.gateway import Gloo
from daemon.sandbox.load import MOST_PER_SECOND
from daemon.sandbox.world import World, WorldOptions

LONGEST_DELAY = 60.0
"""Seconds of the gateway's tick; a real one takes one second."""
MOST_PROXIES = 8
"""Envoys of 65 MB each."""

commands = click.Group("sandbox commands")
commands.add_command(demo)


@commands.group()
def sandbox() -> None:
    """A small cluster in processes of this machine, with a real Envoy.

    It needs neither Kubernetes nor root, listens on loopback only, and leaves nothing behind.
    """


sandbox.add_command(fault)


class _Delay(click.ParamType[float]):
    """A duration, or a span from 0s to one: `1s` and `0s..1s` mean the same tick."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        text = str(value).removeprefix("0s..")
        try:
            seconds = float(durationpy.from_str(text).total_seconds())
        except durationpy.DurationError:
            seconds = -1.0
        if not 0 <= seconds <= LONGEST_DELAY:
            self.fail(
                f"{value!r} is not a duration from 0s to 1m, such as 1s or 0s..1s", param, ctx
            )
        return seconds


@sandbox.command()
@click.option(
    "--gloo",
    type=click.Choice([one.value for one in Gloo]),
    default=Gloo.V1_12.value,
    show_default=True,
    help="Whose port rule to follow; 1.3 takes a Service's only port, whatever is asked.",
)
@click.option(
    "--apply-delay",
    type=_Delay(),
    default=0.0,
    metavar="DURATION",
    help="Let changes of routes be live after up to that long; 0s..1s is what a real Gloo takes.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Of the gateway; of several proxies the first, the others follow.",
)
@click.option(
    "--api-port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Of the API server.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Put kubeconfig and manifests there; a temporary directory otherwise.",
)
@click.option(
    "--rps",
    type=click.FloatRange(0, MOST_PER_SECOND),
    default=0.0,
    metavar="NUMBER",
    help=f"Users' requests a second to /work, at most {MOST_PER_SECOND}.",
)
@click.option(
    "--proxies",
    type=click.IntRange(1, MOST_PROXIES),
    default=1,
    metavar="NUMBER",
    help=f"Envoys of the gateway, at most {MOST_PROXIES}.",
)
def up(  # noqa: PLR0917 -- click calls it by name
    gloo: str,
    apply_delay: float,
    port: int,
    api_port: int,
    directory: Path | None,
    rps: float,
    proxies: int,
) -> None:
    """Start a sandbox and keep it until Ctrl-C.

    Ports left out are free ones. It begins with version v1 of the echo application.
    """
    options = WorldOptions(
        gloo=Gloo(gloo),
        apply_delay=apply_delay,
        port=port,
        api_port=api_port,
        directory=directory,
        rps=rps,
        proxies=proxies,
    )
    try:
        asyncio.run(_keep(options))
    except CrossfadeError as fault:
        raise Failure(str(fault)) from fault


async def _keep(options: WorldOptions) -> None:
    """Run a world until a signal cancels it, or a part of it breaks."""
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()
    assert this, "it runs as a task"
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _cancel_once(this))
    begun = loop.time()
    with suppress(asyncio.CancelledError):
        async with World(options) as world, controlled(world):
            click.echo(welcome(world, loop.time() - begun))
            await world.wait()


def _cancel_once(task: asyncio.Task[None]) -> Callable[[], None]:
    """Build what a signal does: the second one must not cut the clearing up short."""
    told = False

    def cancel() -> None:
        nonlocal told
        if not told:
            told = True
            task.cancel()

    return cancel


def welcome(world: World, seconds: float) -> str:
    """Say how to use a world, in lines to copy."""
    header = "curl -H 'stage: canary' "
    folder = shlex.quote(str(world.directory))
    lines = [
        f"The sandbox is up after {seconds:.1f} s: version v1 of echo, behind the gateway.",
        "",
        f"  export KUBECONFIG={folder}/kubeconfig",
        "  kubectl get deployments,pods",
        f"  kubectl apply -f {folder}/echo-v2.yaml",
        "",
        f"  {'curl ':<{len(header)}}{world.url}/work",
        f"  {header}{world.url}/work",
        "",
        *(f"  Envoy's admin page  {url}" for url in world.admin_urls),
        f"  API server          {world.api.url}",
        f"  a policy for echo   {folder}/policy.yaml",
        "",
        "Ctrl-C ends it and leaves nothing behind.",
    ]
    return "\n".join(lines)
