"""Measure how fast and how safely the judge decides; write build/detection.json.

    python -m benchmarks.detection                 # a part of the grid; its gates pool the cells
    python -m benchmarks.detection --full          # every cell; goes on where it was interrupted
    python -m benchmarks.detection --full --second # the second grid, which no choice was made on

Exit 1 if a gate does not hold.
"""

import os
import sys
from dataclasses import dataclass

import click
from rich.console import Console

from benchmarks.detection import grids, tables
from benchmarks.detection.gates import (
    OURS,
    Gate,
    Scored,
    false_rollbacks,
    harm_gates,
    missed_gate,
    outage_gate,
    peer_gates,
    scored,
    speed_gate,
    worst_false_rollback,
)
from benchmarks.detection.results import ROOT, Job, Results
from benchmarks.detection.traffic import Cell

WIDTH = 150
BUILD = ROOT / "build"
SLACK = 1.1
"""What a small run's mean may be beyond a limit by chance."""

MOST_MISSED_BY_SPRT = 0.05
"""A cell is decidable if the test that knows the truth misses at most so many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is run: rollouts of harmless and of bad cells, of peers and of slow canaries."""

    full: bool
    second: bool
    good: int
    bad: int
    peers: int
    slow: int

    def jobs(self, cell: Cell) -> list[Job]:
        """Name what is run in one cell."""
        if cell.times is not None:
            return [Job(cell, OURS, self.slow)]
        if cell.harmless:
            # The median time to a promotion is told there, and twelve runs are too few for one.
            times = 5 if cell.variant == grids.INDEPENDENT and cell.rps == 1000 else 1
            return [Job(cell, OURS, times * self.good)]
        jobs = [Job(cell, OURS, self.bad)]
        if cell.variant in (grids.INDEPENDENT, grids.DRIFT):
            jobs += [Job(cell, peer, self.peers) for peer in ("Flagger 60 s", "Flagger 10 s")]
            if self.full:
                more = ("Flagger 10 s tuned", "Argo", "SPRT 5 s")
                jobs += [Job(cell, peer, self.peers) for peer in more]
        return jobs


def _decidable(plan: Plan, results: Results) -> list[Cell]:
    cells = grids.bad(second=plan.second)
    if not plan.full:
        return [cell for cell in cells if grids.surely_decidable(cell)]
    jobs = [Job(cell, "SPRT 5 s", plan.peers) for cell in cells]
    results.run(jobs)
    return [job.cell for job in jobs if results[job].promoted <= MOST_MISSED_BY_SPRT * job.runs]


@click.command()
@click.option("--full", is_flag=True, help="Every cell, with many runs.")
@click.option("--second", is_flag=True, help="The second grid instead of the main one.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@click.option("--scale", default=1.0, show_default=True, help="Times the number of runs.")
def main(*, full: bool, second: bool, jobs: int, scale: float) -> None:
    """Measure how fast and how safely the judge decides."""
    os.nice(5)
    sizes = (1000, 300, 200, 100) if full else (12, 10, 6, 3)
    plan = Plan(full, second, *(max(int(size * scale), 2) for size in sizes))
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    name = "detection-second" if second else "detection"
    results = Results(BUILD / f"{name}.jsonl", jobs=jobs)
    decidable = _decidable(plan, results)
    quick = [] if second else grids.timed(slower=False)
    slow = [] if second else grids.timed(slower=True)
    harmless = grids.harmless(second=second) + quick
    results.run(job for cell in harmless + decidable + slow for job in plan.jobs(cell))
    good, bad, late = (scored(cells, results, plan.jobs) for cells in (harmless, decidable, slow))
    gates = _gates(plan, good, bad)
    tables.show_harmless(good, console)
    tables.show_bad(bad + late, console)
    tables.show_gates(gates, console)
    tables.save(gates, good + bad + late, BUILD / f"{name}.json")
    broken = [gate for gate in gates if not gate.holds]
    raise SystemExit(1 if broken else 0)


def _gates(plan: Plan, good: list[Scored], bad: list[Scored]) -> list[Gate]:
    gates = []
    by_name = dict.fromkeys(it.cell.variant for it in good)
    for variant in by_name:
        own = [it for it in good if it.cell.variant == variant]
        gates.append(false_rollbacks(f"{variant.name}: false rollbacks", own))
    if plan.full:
        gates.append(worst_false_rollback("false rollbacks, worst cell", good))
    slack = 1.0 if plan.full else SLACK
    for variant in dict.fromkeys(it.cell.variant for it in bad):
        own = [it for it in bad if it.cell.variant == variant]
        clumps = variant.clump > 1
        # Larger clumps take more failures to tell from chance; the bound knows of none.
        mean = 16.0 * max(variant.clump / 4, 1) if clumps else 3.0 * slack
        worst = 9.0 if plan.full and not clumps and not plan.second else 0.0
        gates += harm_gates(variant.name, own, mean=mean, worst=worst)
    if not plan.second:
        independent = [it for it in bad if it.cell.variant == grids.INDEPENDENT]
        gates += [missed_gate("independent", independent, 0.03), *peer_gates(bad)]
        gates += [outage_gate(bad), speed_gate(good)]
    return gates


if __name__ == "__main__":
    main()
