"""The command `demo`: plays the three releases, shows them, and ends with a summary."""

import asyncio
import signal
import time
from contextlib import ExitStack

import click

from daemon.cli.exits import Failure
from daemon.errors import CrossfadeError
from daemon.sandbox.demo import Demo, Ended, Screen
from daemon.sandbox.demo_screen import LineScreen, LiveScreen, as_json, summary, to_stderr

INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended."""


@click.command()
@click.option(
    "--json", "is_json", is_flag=True, help="Print the summary as JSON; progress on stderr."
)
def demo(*, is_json: bool) -> None:
    """Roll out a good version, roll back a bad one, and show how.

    Exit code 0 only if the good version was promoted without a failed request, the bad one was
    taken back after at most ten, and no user met the one that fails its smoke test.
    """
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            ended = asyncio.run(_play(_screen(stack, is_json=is_json)))
    except CrossfadeError as problem:
        raise Failure(str(problem)) from problem
    if ended is None:
        click.echo("interrupted; nothing is left behind", err=True)
        raise SystemExit(INTERRUPTED)
    click.echo(as_json(ended) if is_json else summary(ended, time.monotonic() - began))
    raise SystemExit(0 if all(it.ok for it in ended) else 1)


def _screen(stack: ExitStack, *, is_json: bool) -> Screen:
    if is_json:
        return LineScreen(to_stderr)
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        return stack.enter_context(LiveScreen(console))
    return LineScreen(click.echo)


async def _play(screen: Screen) -> list[Ended] | None:
    """Run the demo; the first signal ends it in order, further ones change nothing."""
    this = asyncio.current_task()
    assert this is not None
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            this.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    try:
        return await Demo(screen).run()
    except asyncio.CancelledError:
        return None
