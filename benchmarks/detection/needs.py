"""How many canary requests the judge needs beyond Wald's bound: the figures of decidability.

    python -m benchmarks.detection.needs

One canary in each cell, at a fixed weight, until it is failed; independent failures, half an hour
of history. Requests count as n * (1 - weight), as in a comparison. Rates of requests are chosen so
that the bound takes five minutes: the judge reads every five seconds, which costs the quick more.
"""

from random import Random
from statistics import fmean, quantiles

from analysis.decidability import NEEDED, NEEDED_MOSTLY, Need, informative, requests_to_detect
from analysis.judge import begin, judge
from analysis.settings import JudgeSettings, compared
from analysis.verdict import Verdict
from benchmarks.detection.grids import BASES, INDEPENDENT
from benchmarks.detection.judges import ALPHA
from benchmarks.detection.traffic import REACTION_SECONDS, READ_SECONDS, Cell, Traffic

RUNS = 60
CHANGES = ("x1.5", "x2", "x5", "+1", "+5")
WEIGHTS = (5.0, 25.0, 50.0)
BOUND_SECONDS = 300.0
LEAST_RPS = 1.0
MOST_READS = 1200


def needed(cell: Cell, weight: float, seed: int) -> float:
    """Return the informative requests after which one bad canary is failed."""
    traffic = Traffic(cell, Random(f"{cell.name}/{seed}"))
    settings = JudgeSettings(compared(float(READ_SECONDS + REACTION_SECONDS)), ALPHA, 30)
    state, requests = begin(settings, past=traffic.history), 0
    for read in range(MOST_READS):
        block = traffic.read(READ_SECONDS * read, weight).block
        requests += block.canary.requests
        state, judgement = judge(settings, state, block, {})
        if judgement.verdict is Verdict.FAIL:
            break
    return informative(requests, weight)


def row(base: float, change: str, weight: float) -> str:
    """Measure one cell: the mean and the ninetieth percentile, as parts of the figures in use."""
    rate = Cell(INDEPENDENT, 1.0, base, change).canary_rate(base)
    bound = requests_to_detect(base, rate, alpha=ALPHA)
    rps = max(bound / (weight / 100) / BOUND_SECONDS, LEAST_RPS)
    cell = Cell(INDEPENDENT, round(rps, 1), base, change)
    runs = [needed(cell, weight, seed) for seed in range(RUNS)]
    mean, most = fmean(runs), quantiles(runs, n=10)[-1]

    def part(value: float, need: Need) -> str:
        return f"{value / need.to_detect(base, rate, alpha=ALPHA):.2f}"

    return (
        f"| {base:.1%} {change} | {weight:g} % | {bound:,.0f} | {mean / bound:.1f}"
        f" | {part(mean, NEEDED)} | {part(most, NEEDED_MOSTLY)} |"
    )


def main() -> None:
    """Print the table."""
    print("| cell | weight | Wald's bound | mean / bound | mean / NEEDED | 90 % / NEEDED_MOSTLY |")
    print("|---|---|---|---|---|---|")
    for base in BASES:
        for change in CHANGES:
            for weight in WEIGHTS:
                print(row(base, change, weight), flush=True)


if __name__ == "__main__":
    main()
