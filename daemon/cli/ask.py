"""The commands that ask for something: abort, promote, pause, resume, retry."""

import functools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.exits import Exit
from daemon.cli.options import Command, DurationType, Place, TargetType, with_place
from daemon.core.model import Verb

if TYPE_CHECKING:
    from daemon.cli.request import Wish
    from daemon.cli.session import Session

WAIT = "30s"
"""A running daemon answers in a second or two; a rollback is proved within confirmTimeout."""


def asking(command: Command) -> Command:
    """Add target and options that all five have; the command returns the wish."""

    @click.argument("target", type=TargetType())
    @with_place
    @click.option("--reason", metavar="TEXT", default="", help="Why; shown wherever it is told.")
    @click.option(
        "--dry-run", is_flag=True, help="Check everything, the rights too; write nothing."
    )
    @click.option("--wait/--no-wait", default=True, show_default=True, help="Wait for the answer.")
    @click.option(
        "--timeout", type=DurationType(), default=WAIT, show_default=True, help="How long to wait."
    )
    @functools.wraps(command)
    def ask(
        target: str,
        place: Place,
        dry_run: bool,
        wait: bool,
        timeout: timedelta,
        **options: Any,
    ) -> None:
        from daemon.cli.session import in_session

        wish = command(**options)

        async def run(session: "Session") -> Exit:
            return await _ask(session, target, wish, dry_run, patience=timeout if wait else None)

        in_session(place, run)

    return ask


async def _ask(
    session: "Session", target: str, wish: "Wish", dry_run: bool, *, patience: timedelta | None
) -> Exit:
    from daemon.cli.answers import nothing_to_do, wait_for_answer
    from daemon.cli.choose import choose
    from daemon.cli.request import write_request

    found = await choose(session, target)
    if (fulfilled := nothing_to_do(found, wish)) is not None:
        click.echo(f"{found.key}: {fulfilled}")
        return Exit.DONE
    written = await write_request(session, found, wish, dry_run=dry_run)
    if dry_run:
        click.echo(
            f"{found.key}: {wish.verb} would be asked for on Deployment {written.deployment} "
            "(the API server accepts it); nothing was changed."
        )
        return Exit.DONE
    told = f"{wish.verb} of {found.key} asked for by {session.user}, request {written.id}"
    if patience is None:
        click.echo(f"{told}.")
        return Exit.DONE
    click.echo(f"{told}; waiting for the daemon", err=True)
    return await wait_for_answer(session, found, wish, written, patience)


def _wish(verb: Verb, **members: Any) -> "Wish":
    from daemon.cli.request import Wish

    return Wish(verb, **members)


@click.command()
@click.option(
    "--skip",
    type=click.Choice(["readiness"]),
    multiple=True,
    help="Go back even if stable has no ready pods.",
)
@asking
def abort(reason: str, skip: tuple[str, ...]) -> "Wish":
    """Send all traffic back to stable, now.

    The new version is rejected until `crossfade retry`.
    """
    return _wish(Verb.ABORT, reason=reason, skip=skip)


@click.command()
@click.option(
    "--skip-check",
    "skip",
    metavar="NAME",
    multiple=True,
    help="Go on although this check fails; needs --reason.",
)
@asking
def promote(reason: str, skip: tuple[str, ...]) -> "Wish":
    """Go straight to 100%, without the holds.

    Readiness, proof and smoke tests are never skipped.
    """
    if skip and not reason:
        raise click.UsageError("--skip-check overrides a failing check: say why with --reason TEXT")
    return _wish(Verb.PROMOTE, reason=reason, skip=skip)


@click.command()
@asking
def pause(reason: str) -> "Wish":
    """Stop every change forward; rollback stays armed."""
    return _wish(Verb.PAUSE, reason=reason)


@click.command()
@asking
def resume(reason: str) -> "Wish":
    """End a pause, or accept that the route was edited and go on."""
    return _wish(Verb.RESUME, reason=reason)


@click.command()
@click.option("--version", metavar="VERSION", help="Version to start [the rejected one].")
@asking
def retry(reason: str, version: str | None) -> "Wish":
    """Start a rejected or known version again."""
    return _wish(Verb.RETRY, reason=reason, version=version)


COMMANDS = (abort, promote, pause, resume, retry)
