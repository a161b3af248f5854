"""The command `explain`: why a rollout went as it went, from the record and its evidence alone."""

from typing import TYPE_CHECKING

import click

from daemon.cli.exits import Exit, Failure
from daemon.cli.options import Place, TargetType, with_place

OF_ANOTHER = "  Nothing of it has been judged. The evidence is still of the rollout before it:"

if TYPE_CHECKING:
    from daemon.cli.evidence_case import Case
    from daemon.cli.find import Found
    from daemon.cli.session import Session


@click.command()
@click.argument("target", type=TargetType(), required=False)
@with_place
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.option(
    "--save", metavar="FILE", help="Write the journal and its policy to a file, for `replay`."
)
def explain(target: str | None, place: Place, output: str, save: str | None) -> None:
    """Say why: the verdict in counts, its evidence, each weight.

    TARGET may be left out where the namespace has one rollout only.
    """
    from daemon.cli.session import in_session

    async def run(session: "Session") -> Exit:
        found = await _one(session, target)
        if save is not None:
            return _save(found, save)
        return _tell(found, session, output)

    in_session(place, run)


async def _one(session: "Session", target: str | None) -> "Found":
    """Return the target that was named, or the only one.

    Raises:
        Failure: it is not adopted, or nobody can say which one is meant.
    """
    from daemon.cli.choose import choose
    from daemon.cli.find import find_rollouts

    if target is not None:
        return await choose(session, target)
    found = await find_rollouts(session.cluster, session.place, session.namespace)
    here = [it for it in found if it.key.namespace == session.namespace]
    match here:
        case [only]:
            return only
        case []:
            raise Failure(f"no rollouts in namespace {session.namespace}; name one: NAMESPACE/NAME")
        case _:
            names = ", ".join(str(it.key) for it in here)
            raise Failure(f"which one? there are {names}", Exit.USAGE)


def _save(found: "Found", file: str) -> Exit:
    from daemon.cli.evidence_case import case_of, write_case

    case = case_of(found)
    if isinstance(case, str):
        raise Failure(f"{found.key}: {case}")
    write_case(case, file)
    looks = len(case.journal.lines)
    click.echo(f"{file}: {looks} looks of {case.name}; crossfade replay {file}")
    return Exit.DONE


def _tell(found: "Found", session: "Session", output: str) -> Exit:
    from daemon.cli.evidence_case import case_of

    case = case_of(found)
    if isinstance(case, str):
        _tell_the_record(found, session, case, output)
    elif output == "json":
        from daemon.cli.explain_json import as_json

        click.echo(as_json(case))
    else:
        hint = _next(case)
        following = [f"  Next:     {hint}"] if hint else []
        if case.is_over:
            said = [_standing(found, session), *following, OF_ANOTHER, "", _text(case)]
        else:
            said = [_text(case), *following]
        click.echo("\n".join(said))
    return Exit.DONE


def _text(case: "Case") -> str:
    from analysis.explanation import explain as work_out
    from daemon.cli.explain_text import text_of

    return text_of(case, work_out(case.settings, case.journal))


def _next(case: "Case") -> str | None:
    from daemon.core.model import Phase

    record = case.record
    if record is None:
        return None
    if record.phase is Phase.ROLLED_BACK:
        return f"crossfade retry {case.key}, once {record.canary} is mended; nobody is on it"
    if record.paused is not None:
        return f"crossfade resume {case.key}, or promote, or abort"
    return None


def _standing(found: "Found", session: "Session") -> str:
    """Say what `status` says, in a line."""
    from daemon.cli import screens
    from daemon.cli.status import status_of

    status = status_of(found, session.now())
    state = screens.state_in_words(status.state)
    return f"{found.key} {screens.versions_of(status.record)}: {state}: {status.why}"


def _tell_the_record(found: "Found", session: "Session", missing: str, output: str) -> None:
    """Say what the record says, and why there is no more."""
    if output == "json":
        from daemon.cli.explain_json import without_journal
        from daemon.cli.status import status_of

        status = status_of(found, session.now())
        click.echo(without_journal(found.key, missing, status.why))
        return
    click.echo(_standing(found, session))
    click.echo(f"  No evidence to explain it with: {missing}.")


COMMANDS = (explain,)
