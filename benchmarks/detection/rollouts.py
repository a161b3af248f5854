"""One simulated rollout, and many of one cell."""

from dataclasses import asdict, dataclass
from math import ceil, log
from random import Random
from statistics import fmean, median
from typing import Any

from benchmarks.detection.chance import binomial, geometric
from benchmarks.detection.judges import ALPHA, Choice, judge_named
from benchmarks.detection.traffic import (
    LONGEST_SECONDS,
    REACTION_SECONDS,
    READ_SECONDS,
    Cell,
    Traffic,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one rollout ended: GO_ON means that it was still held after 15 minutes."""

    choice: Choice
    seconds: float
    harm: int


def roll_out(cell: Cell, judge_name: str, seed: int) -> Outcome:
    """Simulate one rollout. The same seed gives each judge of a cell the same history."""
    chance = Random(f"{cell.name}/{seed}")
    traffic = Traffic(cell, chance)
    judge = judge_named(judge_name, cell, traffic)
    harm = 0
    for start in range(0, LONGEST_SECONDS, READ_SECONDS):
        read = traffic.read(start, judge.weight)
        harm += read.harm
        choice = judge.look(read)
        if choice is not Choice.GO_ON:
            if choice is Choice.ROLL_BACK:
                harm += traffic.harm_until_back(read)
            return Outcome(choice, read.at + REACTION_SECONDS, harm)
    return Outcome(Choice.GO_ON, LONGEST_SECONDS, harm)


@dataclass(frozen=True, slots=True)
class Score:
    """All rollouts of one judge in one cell."""

    runs: int
    rolled_back: int
    promoted: int
    undecided: int
    harm_mean: float
    harm_median: float
    harm_p95: float
    seconds_median: float
    evidence_seconds: float
    """Median time to a promotion with evidence; 0 where there was none."""

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def score(cell: Cell, judge_name: str, runs: int) -> Score:
    """Run seeds 0..runs-1."""
    outcomes = [roll_out(cell, judge_name, seed) for seed in range(runs)]
    harms = sorted(outcome.harm for outcome in outcomes)
    ends: dict[Choice, list[float]] = {choice: [] for choice in Choice}
    for outcome in outcomes:
        ends[outcome.choice].append(outcome.seconds)
    proved = ends[Choice.PROMOTE]
    return Score(
        runs=runs,
        rolled_back=len(ends[Choice.ROLL_BACK]),
        promoted=len(proved) + len(ends[Choice.PROMOTE_UNDECIDED]),
        undecided=len(ends[Choice.PROMOTE_UNDECIDED]),
        harm_mean=fmean(harms),
        harm_median=median(harms),
        harm_p95=float(harms[min(ceil(0.95 * runs), runs - 1)]),
        seconds_median=median(outcome.seconds for outcome in outcomes),
        evidence_seconds=median(proved) if proved else 0.0,
    )


BOUND_RUNS = 4000


def bound(base: float, rate: float) -> float:
    """Return the mean excess failures by which Wald's test, reading each request, decides.

    It knows both rates, so no judge of the same error rate can need fewer on average.
    """
    if rate >= 1:
        return float(ceil(log(1 / ALPHA) / log(1 / base)))
    chance = Random(f"bound/{base}/{rate}")
    up, down = log(rate / base), log((1 - rate) / (1 - base))
    total = 0
    for _ in range(BOUND_RUNS):
        value, failures = 0.0, 0
        while value < log(1 / ALPHA):
            value += (geometric(chance, rate) - 1) * down + up
            failures += 1
        total += binomial(chance, failures, 1 - base / rate)
    return total / BOUND_RUNS
