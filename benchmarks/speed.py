"""Measure speed and size, print them with their limits, and write build/speed.json.

    python -m benchmarks.speed            # with more runs
    python -m benchmarks.speed --gates    # what has to hold in CI; exit 1 if anything does not

Bytecode is kept in build/, as the container image keeps its own: a start that compiles the
libraries again would measure the compiler.
"""

import asyncio
import os
import sys
from pathlib import Path

import click
from rich.console import Console

from benchmarks import failures, idle, judging, releases, starts
from benchmarks.gates import Gate, failed, save, show

WIDTH = 140
"""Columns where there is no terminal to ask."""
BUILD = Path(__file__).resolve().parent.parent / "build"


@click.command()
@click.option("--gates", "is_quick", is_flag=True, help="Fewer runs; exit 1 if a limit is passed.")
def main(*, is_quick: bool) -> None:
    """Measure speed and size of the shipped daemon in the sandbox."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(BUILD / "bytecode")
    gates = asyncio.run(_measure(is_quick=is_quick))
    save(gates, BUILD / "speed.json")
    show(gates, Console(width=None if sys.stdout.isatty() else WIDTH))
    missed = failed(gates)
    if missed:
        click.echo(f"{len(missed)} of {len(gates)} limits do not hold", err=True)
    raise SystemExit(1 if missed and is_quick else 0)


async def _measure(*, is_quick: bool) -> list[Gate]:
    """Measure one after the other; only the idle targets, where nothing is timed, run beside."""
    gates = await starts.measure(3 if is_quick else 5)
    async with asyncio.TaskGroup() as group:
        idling = group.create_task(idle.measure())
        gates += await releases.measure(3 if is_quick else 5)
        gates += await failures.measure(5 if is_quick else 10)
    return gates + idling.result() + judging.measure(5)


if __name__ == "__main__":
    main()
