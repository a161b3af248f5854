"""The command `status`: which rollouts, in which format, once or until they have ended."""

import shutil
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from daemon.cli.exits import Exit
from daemon.cli.options import DurationType, Place, TargetType, with_place

if TYPE_CHECKING:
    from daemon.cli.find import Found
    from daemon.cli.session import Session
    from daemon.cli.status import Status

EVIDENCE_EVERY: Final = 10
"""Of a watched target only the record is read at each look; every tenth look finds all anew."""


@click.command()
@click.argument("target", type=TargetType(), required=False)
@with_place
@click.option("-A", "--all-namespaces", is_flag=True, help="Rollouts of all namespaces.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml", "name"]),
    default="table",
    show_default=True,
)
@click.option("--watch", is_flag=True, help="Until all have ended; the exit code says how.")
@click.option("--timeout", type=DurationType(), help="With --watch: how long at most.")
@click.option("--no-color", is_flag=True, help="No colour, as with NO_COLOR.")
def status(  # noqa: PLR0917 - click passes all by name
    target: str | None,
    place: Place,
    all_namespaces: bool,
    output: str,
    watch: bool,
    timeout: timedelta | None,
    no_color: bool,
) -> None:
    """Show rollouts: where they stand, what comes next, and why."""
    if target and all_namespaces:
        raise click.UsageError("give a TARGET or -A, not both")
    if watch and output not in ("table", "json"):
        raise click.UsageError("--watch shows a table, or JSON lines with -o json")
    from daemon.cli.session import in_session

    async def run(session: "Session") -> Exit:
        look = Looking(session, target, all_namespaces=all_namespaces)
        if watch:
            return await _watch(look, output, timeout, no_color=no_color)
        _print(await look(), output, session, no_color=no_color)
        return Exit.DONE

    in_session(place, run)


class Looking:
    """Looks for the rollouts asked for; knows a single target's place after the first look."""

    def __init__(self, session: "Session", target: str | None, *, all_namespaces: bool) -> None:
        self.session = session
        self._target = target
        self._everywhere = all_namespaces
        self._found: Found | None = None
        self._all: Sequence[Found] = ()
        self._looks = 0

    async def __call__(self) -> "Sequence[Status]":
        """Return the statuses.

        Raises:
            Failure: the target is not adopted.
        """
        from daemon.cli.status import status_of

        self._all = await self._find()
        return [status_of(it, self.session.now()) for it in self._all]

    async def unseen(self) -> "Sequence[str]":
        """Name the new versions of what was found that the daemon has not taken up."""
        from daemon.cli.unseen import unseen

        return [name for it in self._all for name in await unseen(self.session.cluster, it)]

    async def _find(self) -> "Sequence[Found]":
        from daemon.cli.choose import choose
        from daemon.cli.find import find_rollouts, read_again

        session = self.session
        if self._target is None:
            found = await find_rollouts(session.cluster, session.place, session.namespace)
            here = [it for it in found if self._everywhere or it.key.namespace == session.namespace]
            if not here:
                _say_nothing_here(session.namespace, len(found))
            return here
        if self._found is None or self._looks % EVIDENCE_EVERY == 0:
            self._found = await choose(session, self._target)
        else:
            self._found = await read_again(session.cluster, self._found)
        self._looks += 1
        return [self._found]


def _say_nothing_here(namespace: str, elsewhere: int) -> None:
    hint = f"; {elsewhere} elsewhere: crossfade status -A" if elsewhere else ""
    where = f"in namespace {namespace}" if elsewhere else "anywhere that can be listed"
    click.echo(f"no rollouts {where}{hint}", err=True)


def _print(
    statuses: "Sequence[Status]", output: str, session: "Session", *, no_color: bool
) -> None:
    from daemon.cli import screens

    match output:
        case "json":
            click.echo(screens.as_json(statuses))
        case "yaml":
            click.echo(screens.as_yaml(statuses))
        case "name":
            for it in statuses:
                click.echo(str(it.key))
        case _ if statuses:
            color = screens.use_color(no_color=no_color)
            limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
            click.echo(screens.table(statuses, session.now(), color=color, limit=limit))


async def _watch(look: Looking, output: str, patience: timedelta | None, *, no_color: bool) -> Exit:
    from daemon.cli import screens
    from daemon.cli import watch as watching

    session = look.session
    if output == "json":
        lines = watching.Lines(lambda it, _now: screens.as_json_line(it))
        return await watching.watch(session, look, look.unseen, lines, patience)
    if not sys.stdout.isatty():
        lines = watching.Lines(screens.change_line)
        return await watching.watch(session, look, look.unseen, lines, patience)
    async with watching.redrawing(color=screens.use_color(no_color=no_color)) as show:
        return await watching.watch(session, look, look.unseen, show, patience)


COMMANDS = (status,)
