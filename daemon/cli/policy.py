"""The commands about the policy file: validate and schema. No cluster, no network."""

import json
import sys
from pathlib import Path
from typing import Final

import click

from daemon.cli.exits import Exit, Failure

MAX_BYTES: Final = 1024 * 1024
"""More than any policy may have; the loader refuses what is over its own limit by itself."""


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def validate(files: tuple[str, ...]) -> None:
    """Check policy files: all problems at once, with line and column. FILE may be `-`."""
    if any([not _is_valid(file) for file in files]):  # noqa: C419 - all are checked, always
        raise SystemExit(Exit.USAGE)


def _is_valid(file: str) -> bool:
    """Print the answer for one file; it is the command's answer, so it goes to stdout."""
    from config.errors import PolicyError
    from config.load import read_policy

    name = "stdin" if file == "-" else file
    try:
        read = read_policy(policy_bytes(file), filename=name)
    except PolicyError as problem:
        for line in (str(problem), *problem.warnings):
            click.echo(line)
        errors = len(problem.problems) + problem.left_out
        told = f"{_counted(errors, 'error')}, {_counted(len(problem.warnings), 'warning')}"
        click.echo(f"{name}: {told}", err=True)
        return False
    for warning in read.warnings:
        click.echo(warning)
    click.echo(f"{name}: valid, {_counted(len(read.policy.rollouts), 'rollout')}")
    return True


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def policy_bytes(file: str) -> bytes:
    """Read a file as it is; what its bytes mean is the loader's to say.

    Raises:
        Failure: there is no such file.
    """
    try:
        if file == "-":
            return sys.stdin.buffer.read(MAX_BYTES)
        with Path(file).open("rb") as opened:
            return opened.read(MAX_BYTES)
    except OSError as problem:
        raise Failure(f"{file}: {problem.strerror or problem}", Exit.USAGE) from problem


@click.command()
def schema() -> None:
    """Print the policy's JSON Schema, for editors and CI."""
    from config.json_schema import policy_json_schema

    click.echo(json.dumps(policy_json_schema(), indent=2))


COMMANDS = (validate, schema)
