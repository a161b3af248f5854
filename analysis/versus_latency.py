"""The check kind that compares how many requests are slow, at the histogram's own bounds.

It keeps evidence against the canary only: nothing that it sees leads to a Pass, and it stands in
the way of none unless it doubts. An interpolated quantile is no statistic and is not used.

Invariant: bounds are chosen before the first block that they judge, and stay.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isclose

from analysis import wording
from analysis.checks import CheckState, Look, Weighed
from analysis.compare import (
    WARM_SECONDS,
    Arms,
    Bets,
    Null,
    Track,
    open_comparison,
    ratio_in_force,
    slow_in,
    track_from,
    track_of,
)
from analysis.eprocess import Evidence, log_mean
from analysis.history import NOTHING_KNOWN, History
from analysis.limits import DOUBT
from analysis.samples import FAILED, Block, Counts
from analysis.verdict import Ground
from analysis.versus import COUNTS, count_block, in_counts

MOST_BOUNDS = 10
"""Latency bounds that are compared. Each one costs the others, and neighbours say the same."""

RAREST, MOST_COMMON = 0.0005, 0.3
"""Share of requests slower than a bound that is worth comparing: rarer shows too seldom, and what
is more common is not the tail."""

ENOUGH_TO_CHOOSE = 30
"""Timed requests of stable in one block that choose the bounds where no history does."""

SMALLEST_HISTORY = 2000
"""Timed requests; below, the history cannot tell a share of 0.05 %, and the largest bounds that saw
nothing slow are no use."""


@dataclass(frozen=True, slots=True)
class LatencyVersus:
    """No larger a share of the canary's requests is slow than `ratio` times stable's.

    "Slow" is beyond one of the histogram's own bounds; up to `MOST_BOUNDS` of them are compared,
    chosen from the history, or from stable's first block with enough requests, which is then not
    judged. E is the mean over them: valid whatever they have to do with each other.

    Attributes:
        bound: seconds; compared there alone, at the next larger bound that the histogram has.
        warm: seconds of traffic in which it may be several times as slow.
    """

    name: str
    ratio: float = 1.25
    bound: float | None = None
    warm: float = WARM_SECONDS
    decides: bool = True
    stake: float = 1.0

    @property
    def keeps_evidence(self) -> bool:
        return True

    def begin(self, past: History = NOTHING_KNOWN) -> CheckState:
        evidence: dict[str, Evidence] = {}
        bets = open_comparison(())
        for slot in range(MOST_BOUNDS):
            evidence[f"worse{slot}"], evidence[f"batch{slot}"] = bets.worse, bets.batch
        numbers = {"exposed": 0.0, "untimed": 0.0}
        bounds = self._bounds_in_history(past)
        for slot in range(MOST_BOUNDS):
            bound = bounds[slot] if slot < len(bounds) else 0.0
            track = track_of(past, bound) if bound else Track()
            numbers |= _slot_numbers(slot, bound, track)
        return CheckState(evidence, numbers)

    def take(self, state: CheckState, look: Look) -> CheckState:
        block = look.block
        if block is None:
            return state
        numbers, evidence = dict(state.numbers), dict(state.evidence)
        if not numbers["0.bound"]:
            for slot, bound in enumerate(self._bounds_in_block(block.stable)):
                numbers |= _slot_numbers(slot, bound, Track())
                _learn(numbers, slot, block)
        else:
            ratio = ratio_in_force(self.ratio, numbers["exposed"], self.warm)
            for slot, bound in _chosen(numbers):
                if (arms := slow_in(block, bound)) is not None:
                    self._bet(evidence, numbers, slot, arms=arms, block=block, ratio=ratio)
        canary = block.canary
        numbers["untimed"] = 0.0 if canary.timed else numbers["untimed"] + canary.requests
        numbers["exposed"] += block.seconds if block.weight else 0.0
        return CheckState(evidence, numbers)

    def _bounds_in_history(self, past: History) -> list[float]:
        slower = {bound: bad for bound, bad in past.bad.items() if bound != FAILED}
        if self.bound is not None:
            return _next_larger(self.bound, slower)
        if past.timed < SMALLEST_HISTORY:
            return []
        shares = {bound: bad / past.timed for bound, bad in slower.items()}
        return _spaced(sorted(b for b, share in shares.items() if RAREST <= share <= MOST_COMMON))

    def _bounds_in_block(self, stable: Counts) -> list[float]:
        """Choose from one block, which cannot tell what is rare: the tail's smallest bounds."""
        if self.bound is not None:
            return _next_larger(self.bound, stable.within)
        if stable.timed < ENOUGH_TO_CHOOSE:
            return []
        most = MOST_COMMON * stable.timed
        tail = [bound for bound, n in stable.within.items() if stable.timed - n <= most]
        return sorted(tail)[:MOST_BOUNDS]

    @staticmethod
    def _bet(
        evidence: dict[str, Evidence],
        numbers: dict[str, float],
        slot: int,
        *,
        arms: Arms,
        block: Block,
        ratio: float,
    ) -> None:
        track = track_from(numbers, f"{slot}.")
        bets = _bets(evidence, slot).take(track, arms, Null(ratio), block.seconds)
        evidence[f"worse{slot}"], evidence[f"batch{slot}"] = bets.worse, bets.batch
        count_block(numbers, f"{slot}.", arms)
        learned = track.learn(arms, block.seconds, block.spread.get(numbers[f"{slot}.bound"]))
        numbers |= learned.as_numbers(f"{slot}.")

    def compared(self, state: CheckState) -> dict[float, float]:
        """Log of the evidence against the canary at each compared bound, by the bound."""
        return {bound: _bets(state.evidence, slot).log_e for slot, bound in _chosen(state.numbers)}

    def weigh(self, state: CheckState, look: Look) -> Weighed:  # noqa: ARG002 - state has it
        numbers = state.numbers
        logs = {slot: _bets(state.evidence, slot).log_e for slot, _ in _chosen(numbers)}
        if not logs:
            facts = "no histogram of stable tells yet how long requests take"
            return Weighed(facts, against=0.0, safe=True)
        against = log_mean(list(logs.values()))
        leader = max(logs, key=logs.__getitem__)
        bound = wording.seconds(numbers[f"{leader}.bound"])
        doubts = against >= DOUBT
        facts = f"canary took longer than {bound} for {in_counts(numbers, f'{leader}.')}"
        if untimed := numbers["untimed"]:
            facts += f", its last {wording.counted(untimed)} requests are in no histogram"
        return Weighed(
            facts=facts,
            against=against,
            safe=not doubts,
            over=Ground.WORSE,
            ground=Ground.DOUBTFUL if doubts else Ground.UNDECIDED,
        )


def _bets(evidence: Mapping[str, Evidence], slot: int) -> Bets:
    return Bets(evidence[f"worse{slot}"], evidence[f"batch{slot}"])


def _slot_numbers(slot: int, bound: float, track: Track) -> dict[str, float]:
    counts = {f"{slot}.{name}": 0.0 for name in COUNTS}
    return {f"{slot}.bound": bound} | counts | track.as_numbers(f"{slot}.")


def _chosen(numbers: Mapping[str, float]) -> Iterator[tuple[int, float]]:
    for slot in range(MOST_BOUNDS):
        if not (bound := numbers[f"{slot}.bound"]):
            return
        yield slot, bound


def _learn(numbers: dict[str, float], slot: int, block: Block) -> None:
    """Learn from the block that chose the bounds, which therefore has them."""
    bound, stable = numbers[f"{slot}.bound"], block.stable
    arms = Arms(0, 0, stable.timed - stable.within[bound], stable.timed)
    track = track_from(numbers, f"{slot}.").learn(arms, block.seconds, block.spread.get(bound))
    numbers |= track.as_numbers(f"{slot}.")


def _next_larger(wanted: float, bounds: Iterable[float]) -> list[float]:
    """Return the bound beyond which a request is slow in any case; none where none is."""
    larger = [bound for bound in bounds if bound >= wanted or isclose(bound, wanted)]
    return [min(larger)] if larger else []


def _spaced(bounds: list[float]) -> list[float]:
    """Take `MOST_BOUNDS` of them, evenly."""
    if len(bounds) <= MOST_BOUNDS:
        return bounds
    last = len(bounds) - 1
    return [bounds[round(place * last / (MOST_BOUNDS - 1))] for place in range(MOST_BOUNDS)]
