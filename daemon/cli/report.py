"""The command `report`: one rollout as one page of HTML, from the cluster or from a saved file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.exits import Exit, Failure
from daemon.cli.options import Place, TargetType, with_place

if TYPE_CHECKING:
    from daemon.cli.evidence_case import Case
    from daemon.cli.session import Session


@click.command()
@click.argument("target", type=TargetType(), required=False)
@with_place
@click.option("--file", metavar="FILE", help="A rollout that `explain --save` wrote; no cluster.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["html"]),
    default="html",
    show_default=True,
    help="One file with everything in it: no script, no request to anybody.",
)
@click.option("--to", metavar="FILE", help="Write there instead of to standard output.")
def report(
    target: str | None,
    place: Place,
    file: str | None,
    output: str,  # noqa: ARG001 - one format so far, named so that a second one breaks nobody
    to: str | None,
) -> None:
    """Write a rollout down as a page: the verdict in counts, the pictures behind it, every weight.

    TARGET is one in the cluster; with --file a saved one is read instead.
    """
    if (target is None) == (file is None):
        raise click.UsageError("give a TARGET or --file FILE")
    if file is not None:
        from daemon.cli.evidence_case import read_case

        _write(_page(read_case(file)), to)
        return
    from daemon.cli.session import in_session

    async def run(session: "Session") -> Exit:
        assert target is not None
        _write(_page(await _case(session, target)), to)
        return Exit.DONE

    in_session(place, run)


async def _case(session: "Session", target: str) -> "Case":
    """Find a target and its evidence.

    Raises:
        Failure: it is not adopted, or there is no evidence to write about.
    """
    from daemon.cli.choose import choose
    from daemon.cli.evidence_case import case_of

    found = await choose(session, target)
    case = case_of(found)
    if isinstance(case, str):
        raise Failure(f"{found.key}: {case}; see crossfade explain {found.key}")
    if case.is_over:
        click.echo(f"this is {case.name}; of the one since then nothing has been judged", err=True)
    return case


def _page(case: "Case") -> str:
    from daemon.cli.explain_text import sources
    from daemon.report.page import page
    from daemon.report.story import tell

    story = tell(case)
    if story is None:
        raise Failure(f"{case.key}: no look has been taken yet")
    return page(story, read=list(sources(case.rollout)))


def _write(text: str, to: str | None) -> None:
    if to is None:
        click.echo(text, nl=False)
        return
    try:
        Path(to).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise Failure(f"{to}: {problem.strerror or problem}") from problem
    click.echo(f"{to}: {len(text.encode()) // 1024} KiB", err=True)


COMMANDS = (report,)
