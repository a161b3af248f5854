"""What must hold: figures of the scores, their limits, and the binomial error they may have."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import comb, exp, fsum, log
from statistics import fmean
from typing import Any

from benchmarks.detection.grids import DRIFT, INDEPENDENT
from benchmarks.detection.results import Job, Results
from benchmarks.detection.rollouts import Score, bound
from benchmarks.detection.traffic import Cell

OURS = "Crossfade"

SURPRISE = 0.001
"""A count this improbable under its limit breaks it; a smaller one may be chance."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One figure and its limit.

    Attributes:
        at_least: the limit is a floor.
        kept: whether it holds, where that is not read off the value.
    """

    name: str
    value: float
    limit: float
    at_least: bool = False
    kept: bool | None = None

    @property
    def holds(self) -> bool:
        if self.kept is not None:
            return self.kept
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def plain(self) -> dict[str, Any]:
        limit = f">= {self.limit:g}" if self.at_least else self.limit
        return {"name": self.name, "value": self.value, "limit": limit, "holds": self.holds}


@dataclass(frozen=True, slots=True)
class Scored:
    """One cell with the scores of its judges."""

    cell: Cell
    scores: dict[str, Score]
    bound: float = 0.0

    def ratio(self, judge: str = OURS) -> float:
        """Harm against the bound; half a request is added to both, as a bound may be 1."""
        return (self.scores[judge].harm_mean + 0.5) / (self.bound + 0.5)

    @property
    def missed(self) -> float:
        """Share of bad canaries that were not taken back."""
        ours = self.scores[OURS]
        return 1 - ours.rolled_back / ours.runs


def scored(
    cells: Iterable[Cell], results: Results, judges: Callable[[Cell], Sequence[Job]]
) -> list[Scored]:
    """Look the scores up, and compute each bad cell's bound."""
    bounds: dict[tuple[float, float], float] = {}
    found = []
    for cell in cells:
        rate = cell.canary_rate(cell.base)
        if rate > cell.base and (cell.base, rate) not in bounds:
            bounds[cell.base, rate] = bound(cell.base, rate)
        scores = {job.judge: results[job] for job in judges(cell)}
        found.append(Scored(cell, scores, bounds.get((cell.base, rate), 0.0)))
    return found


def geometric_mean(values: Sequence[float]) -> float:
    return exp(fmean(log(value) for value in values)) if values else 0.0


def false_rollbacks(name: str, cells: Sequence[Scored], limit: float = 0.01) -> Gate:
    """Pool the cells: how many harmless canaries were taken back."""
    runs = sum(it.scores[OURS].runs for it in cells)
    false = sum(it.scores[OURS].rolled_back for it in cells)
    return Gate(name, false / runs, limit, kept=_plausible(false, runs, limit))


def worst_false_rollback(name: str, cells: Sequence[Scored], limit: float = 0.01) -> Gate:
    """The worst single cell. With many cells one is unlucky: the improbable one breaks it."""
    shares = {it.scores[OURS].rolled_back / it.scores[OURS].runs: it for it in cells}
    value = max(shares)
    ours = shares[value].scores[OURS]
    return Gate(name, value, limit, kept=_plausible(ours.rolled_back, ours.runs, limit))


def _plausible(count: int, runs: int, share: float) -> bool:
    """Say whether a binomial count this large has at least the probability SURPRISE."""
    below = fsum(
        comb(runs, k) * share**k * (1 - share) ** (runs - k) for k in range(min(count, runs))
    )
    return 1 - below >= SURPRISE


def harm_gates(variant: str, cells: Sequence[Scored], *, mean: float, worst: float) -> list[Gate]:
    """Harm against the bound, over decidable cells."""
    ratios = [it.ratio() for it in cells]
    gates = [Gate(f"{variant}: harm / bound, geometric mean", geometric_mean(ratios), mean)]
    if worst:
        gates.append(Gate(f"{variant}: harm / bound, worst cell", max(ratios), worst))
    return gates


def missed_gate(variant: str, cells: Sequence[Scored], limit: float) -> Gate:
    """Bad canaries beyond the declared margin that were not taken back."""
    missed = [it.missed for it in cells if it.cell.beyond_margin]
    return Gate(f"{variant}: bad canaries not taken back", fmean(missed), limit)


def peer_gates(cells: Sequence[Scored]) -> list[Gate]:
    """How many times fewer failed requests than Flagger."""
    gates = []
    for variant in (INDEPENDENT, DRIFT):
        own = [it for it in cells if it.cell.variant == variant]
        ours = geometric_mean([it.ratio() for it in own])
        for peer, least in (("Flagger 60 s", 10.0), ("Flagger 10 s", 2.0)):
            times = geometric_mean([it.ratio(peer) for it in own]) / ours
            name = f"{variant.name}: times fewer failed requests than {peer}"
            gates.append(Gate(name, times, least, at_least=True))
    return gates


def outage_gate(cells: Sequence[Scored]) -> Gate:
    """A canary that fails everything at 1000 requests a second."""
    outages = [it for it in cells if it.cell.change == "all" and it.cell.rps == 1000]
    value = max(it.scores[OURS].harm_median for it in outages)
    return Gate("1000 rps, all fail: failed requests, median of the worst cell", value, 10)


def speed_gate(cells: Sequence[Scored]) -> Gate:
    """A good canary at 1000 requests a second, promoted with evidence."""
    own = [it for it in cells if it.cell.variant == INDEPENDENT and it.cell.times is None]
    good = [it for it in own if it.cell.rps == 1000]
    value = max(it.scores[OURS].evidence_seconds or 900 for it in good)
    return Gate("1000 rps, good: seconds to promotion with evidence, median", value, 180)
