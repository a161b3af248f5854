"""The command `plan`: what a rollout will be able to decide, told before it. Changes nothing."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.exits import Exit, Failure
from daemon.cli.options import Place, with_place

if TYPE_CHECKING:
    from daemon.cli.find import Found
    from daemon.cli.plan_text import Planned
    from daemon.cli.session import Session
    from daemon.core.model import TargetKey

_TARGET = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?")


class ShareType(click.ParamType[float]):
    """`0.1%`: the policy's spelling."""

    name = "percentage"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the policy's spelling; the parser is loaded only when a share is given."""
        from config.quantities import parse_percent

        try:
            share = parse_percent(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)
        if not 0 <= share < 1:
            self.fail(f"{value} is no share of failed requests", param, ctx)
        return share


@click.command()
@click.argument("what", metavar="POLICY|TARGET")
@with_place
@click.option(
    "--rps",
    type=click.FloatRange(min=0, min_open=True),
    help="Requests a second, both versions [the last evidence's].",
)
@click.option(
    "--base", type=ShareType(), help="Share of stable's requests that fail [the last evidence's]."
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def plan(what: str, place: Place, rps: float | None, base: float | None, output: str) -> None:
    """Tell what a rollout will be able to see, step by step.

    POLICY is a policy file (or `-`), TARGET an adopted rollout. Nothing is changed.
    """
    from daemon.cli import plan_text

    given = plan_text.Given(rps, base)
    planned = _of_file(what, place, given) if _is_file(what) else _of_target(what, place, given)
    show = plan_text.as_json if output == "json" else plan_text.text_of
    click.echo(show(planned))


def _is_file(what: str) -> bool:
    return what == "-" or not _TARGET.fullmatch(what) or Path(what).is_file()


def _of_target(what: str, place: Place, given: Any) -> "list[Planned]":
    """Plan an adopted target by the policy of its evidence.

    Raises:
        Failure: it is not adopted, or its policy is not known.
    """
    from daemon.cli.choose import choose
    from daemon.cli.evidence_case import policy_of
    from daemon.cli.plan_text import planned
    from daemon.cli.session import in_session

    answers: list[Planned] = []

    async def run(session: "Session") -> Exit:
        found = await choose(session, what)
        rollout = policy_of(found)
        if rollout is None:
            raise Failure(f"{found.key}: no policy of it is kept; name a file: crossfade plan FILE")
        answers.append(planned(found.key, rollout, given, _journal(found), session.now()))
        return Exit.DONE

    in_session(place, run)
    return answers


def _of_file(file: str, place: Place, given: Any) -> "list[Planned]":
    """Plan every rollout of a file; what is not given is looked up where there is a cluster.

    Raises:
        Failure: the file is not there, or is no valid policy.
    """
    from config.errors import PolicyError
    from config.load import read_policy
    from daemon.cli.plan_text import planned
    from daemon.cli.policy import policy_bytes
    from daemon.core.model import TargetKey

    try:
        name = "stdin" if file == "-" else file
        policy = read_policy(policy_bytes(file), filename=name).policy
    except PolicyError as problem:
        raise Failure(f"invalid policy\n{problem}", Exit.USAGE) from problem
    keys = {TargetKey(it.namespace, it.name): it for it in policy.rollouts.values()}
    seen = {} if given.complete else _look(place, list(keys))
    return [planned(key, it, given, *seen.get(key, (None, None))) for key, it in keys.items()]


def _look(place: Place, keys: "list[TargetKey]") -> "dict[TargetKey, tuple[Any, Any]]":
    """Find the targets' journals; a cluster that cannot be asked is said on stderr, no failure."""
    from daemon.cli.find import find_rollouts
    from daemon.cli.session import in_session

    seen: dict[TargetKey, tuple[Any, Any]] = {}

    async def run(session: "Session") -> Exit:
        for found in await find_rollouts(session.cluster, session.place, session.namespace):
            if found.key in keys:
                seen[found.key] = _journal(found), session.now()
        return Exit.DONE

    try:
        in_session(place, run)
    except Failure as problem:
        click.echo(f"no evidence was looked at: {problem.message}", err=True)
    return seen


def _journal(found: "Found") -> Any:
    from daemon.cli.evidence_case import Case, case_of

    case = case_of(found)
    return case.journal if isinstance(case, Case) else None


COMMANDS = (plan,)
