"""The command `replay`: a saved rollout judged again, as it was or by other rules. No cluster."""

from typing import TYPE_CHECKING

import click

from daemon.cli.exits import Exit

if TYPE_CHECKING:
    from daemon.cli.evidence_case import Case


@click.command()
@click.argument("file", metavar="FILE")
@click.option(
    "--what-if",
    metavar="KEY=VALUE,...",
    multiple=True,
    help="Judge the same counts with another alpha, confidence, minRequests, maxDrop, maxRatio,"
    " interval or steps.",
)
@click.option(
    "--as",
    "peer",
    type=click.Choice(["flagger", "argo"]),
    help="Judge the same counts by their rule, as in their tutorials.",
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def replay(file: str, what_if: tuple[str, ...], peer: str | None, output: str) -> None:
    """Judge a saved rollout again, as it was or by other rules.

    FILE is what `explain --save` wrote. As it was, every verdict comes out bit for bit; exit code 1
    if one does not.
    """
    if peer and what_if:
        raise click.UsageError("give --what-if or --as, not both")
    from daemon.cli.evidence_case import read_case

    case = read_case(file)
    if peer:
        _as_peer(case, peer, output)
    elif what_if:
        _what_if(case, what_if, output)
    else:
        _again(case, output)


def _again(case: "Case", output: str) -> None:
    from daemon.cli import replay_text
    from daemon.cli.replay_rules import judged

    again = judged(case)
    show = replay_text.again_as_json if output == "json" else replay_text.again
    click.echo(show(case, again))
    if again.differs is not None:
        raise SystemExit(Exit.ERROR)


def _what_if(case: "Case", texts: tuple[str, ...], output: str) -> None:
    from daemon.cli import replay_text
    from daemon.cli.replay_rules import judged, judged_otherwise, rules_of

    other = judged_otherwise(case, rules_of(texts))
    show = replay_text.what_if_as_json if output == "json" else replay_text.what_if
    click.echo(show(case, judged(case), other))


def _as_peer(case: "Case", name: str, output: str) -> None:
    from daemon.cli import replay_text
    from daemon.cli.replay_rules import judged, judged_by_peer

    show = replay_text.peer_as_json if output == "json" else replay_text.peer
    click.echo(show(case, judged(case), judged_by_peer(case, name)))


COMMANDS = (replay,)
