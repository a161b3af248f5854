"""Cells of the grid, and the traffic of a simulated rollout: reads of five seconds.

Requests arrive by a Poisson law, the gateway splits them at random by the weight in force, and each
arm fails at its own rate: independently, in clumps, over a drifting base, or while it warms up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log
from random import Random
from statistics import NormalDist

from analysis.history import History, read_history
from analysis.samples import Block, Counters, Counts, Reading, close_block
from benchmarks.detection.chance import binomial, clumped, poisson

READ_SECONDS = 5
HISTORY_SECONDS = 15
LONGEST_SECONDS = 900
REACTION_SECONDS = 2
MOST_CLUMPED_RATE = 0.3
"""A version that fails more than that fails request by request."""


BOUNDS_MS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000)
"""Envoy's default buckets up to a minute."""

SLOW_MS = 300.0
"""Requests that take longer are the harm of a slow canary."""

MEDIAN_MS, P99_MS = 50.0, 300.0
SIGMA = log(P99_MS / MEDIAN_MS) / NormalDist().inv_cdf(0.99)


@dataclass(frozen=True, slots=True)
class Times:
    """Lognormal durations; the canary's slowest `share` take `factor` times as long."""

    share: float = 1.0
    factor: float = 1.0

    @property
    def name(self) -> str:
        return f"slowest {self.share:.0%} x{self.factor:g}"

    def within(self, ms: float, *, canary: bool) -> float:
        """Return the probability that a request takes at most `ms`."""
        plain = NormalDist().cdf(log(ms / MEDIAN_MS) / SIGMA)
        if not canary or self.factor == 1 or plain <= 1 - self.share:
            return plain
        slowed = NormalDist().cdf(log(ms / self.factor / MEDIAN_MS) / SIGMA)
        return max(slowed, 1 - self.share)


@dataclass(frozen=True, slots=True)
class Variant:
    """How failures behave.

    Attributes:
        clump: mean size of a clump; 1 for none.
        drift: the base of both versions climbs to five times itself, with shared bursts.
        warm_up: the canary fails three times as much for its first half minute.
        history: readings of stable before the rollout, 15 s apart.
        pods: stable's; how clumps fall on them tells their size.
    """

    name: str
    clump: float = 1.0
    drift: bool = False
    warm_up: bool = False
    history: int = 120
    pods: int = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the grid.

    Attributes:
        change: of the canary's failures: "x1", "x2", "+5" (points), "all".
        times: how long requests take; None where nothing counts that.
    """

    variant: Variant
    rps: float
    base: float
    change: str
    times: Times | None = None

    @property
    def name(self) -> str:
        name = f"{self.variant.name}/{self.rps:g}rps/{self.base:.3%}/{self.change}"
        return f"{name}/{self.times.name}" if self.times else name

    @property
    def harmless(self) -> bool:
        return self.change == "x1" and (self.times is None or self.times.factor == 1)

    def canary_rate(self, base: float) -> float:
        """Return the canary's rate over a base of this moment."""
        if self.change == "all":
            return 1.0
        amount = float(self.change[1:])
        return min(base * amount if self.change[0] == "x" else base + amount / 100, 1.0)

    @property
    def beyond_margin(self) -> bool:
        """Whether it is worse by more than the excess that is declared acceptable."""
        return self.canary_rate(self.base) - self.base > max(0.001, 0.5 * self.base)


@dataclass(frozen=True, slots=True)
class Read:
    """One read, and the truth behind it.

    Attributes:
        harm: failed canary requests that stable would not have failed.
        stable_rate, canary_rate: the true ones.
    """

    at: float
    block: Block
    harm: int
    stable_rate: float
    canary_rate: float


class Traffic:
    """The traffic of one rollout; each read is drawn once, for the weight it is given."""

    def __init__(self, cell: Cell, chance: Random) -> None:
        self.cell = cell
        self._chance = chance
        self.history = self._past()

    def read(self, at: float, weight: float) -> Read:
        """Draw the read that covers at..at+5 s under a weight in percent."""
        chance, cell = self._chance, self.cell
        stable_rate = self._base(at)
        canary_rate = cell.canary_rate(stable_rate)
        if cell.variant.warm_up and at < 30:
            canary_rate = min(canary_rate * 3, 1.0)
        requests = poisson(chance, READ_SECONDS * cell.rps)
        canary = binomial(chance, requests, weight / 100)
        one = self._counters(canary, canary_rate, canary=True)
        pods = {
            f"stable-{pod}": self._counters(share, stable_rate, canary=False)
            for pod, share in enumerate(self._shares(requests - canary))
        }
        block = self._block({"canary": one}, pods, READ_SECONDS, weight)
        harm = self._harm(block.canary, stable_rate, canary_rate)
        return Read(at + READ_SECONDS, block, harm, stable_rate, canary_rate)

    def _harm(self, canary: Counts, stable_rate: float, canary_rate: float) -> int:
        """Draw how many of the canary's bad requests stable would have served well."""
        times, bad = self.cell.times, canary.failed
        if times is not None:
            canary_rate = 1 - times.within(SLOW_MS, canary=True)
            stable_rate = 1 - times.within(SLOW_MS, canary=False)
            bad = canary.timed - canary.within[SLOW_MS / 1000]
        share = max(1 - stable_rate / canary_rate, 0.0) if canary_rate else 0.0
        return binomial(self._chance, bad, share)

    def harm_until_back(self, read: Read) -> int:
        """Draw the excess failures from a verdict to the route taken back."""
        excess = max(read.canary_rate - read.stable_rate, 0.0)
        if (times := self.cell.times) is not None:
            slower = times.within(SLOW_MS, canary=False) - times.within(SLOW_MS, canary=True)
            excess = max(slower, 0.0)
        rate = self.cell.rps * read.block.weight / 100 * excess
        return poisson(self._chance, REACTION_SECONDS * rate)

    def _base(self, at: float) -> float:
        if not self.cell.variant.drift:
            return self.cell.base
        burst = self._chance.gammavariate(2, 0.5)
        return min(self.cell.base * (1 + 4 * min(at / 360, 1.0)) * burst, 0.5)

    def _failures(self, requests: int, rate: float) -> int:
        size = self.cell.variant.clump
        if size <= 1 or rate > MOST_CLUMPED_RATE:
            return binomial(self._chance, requests, rate)
        return min(clumped(self._chance, requests * rate, size), requests)

    def _shares(self, requests: int) -> Iterator[int]:
        """Split requests over stable's pods at random."""
        pods = self.cell.variant.pods
        for pod in range(pods):
            share = binomial(self._chance, requests, 1 / (pods - pod))
            requests -= share
            yield share

    def _counters(self, requests: int, rate: float, *, canary: bool) -> Counters:
        failed = self._failures(requests, rate)
        if self.cell.times is None:
            return Counters(requests, failed)
        within: dict[float, float] = {}
        # From the largest bound down: of those within one, how many are within the next smaller?
        left, whole = requests, 1.0
        for ms in sorted({*BOUNDS_MS, SLOW_MS}, reverse=True):
            part = self.cell.times.within(ms, canary=canary)
            left = binomial(self._chance, left, part / whole if whole else 0.0)
            within[ms / 1000], whole = float(left), part
        return Counters(requests, failed, within, requests)

    def _block(
        self,
        canary: Mapping[str, Counters],
        stable: Mapping[str, Counters],
        seconds: float,
        weight: float,
    ) -> Block:
        """Count as the product does, from readings; all counters were 0 before."""
        after = Reading(seconds, {"v1": stable, "v2": canary})
        zero = {
            version: dict.fromkeys(pods, Counters(0, 0)) for version, pods in after.pods.items()
        }
        return close_block(Reading(0.0, zero), after, stable="v1", canary="v2", weight=weight)

    def _past(self) -> History:
        cell, chance = self.cell, self._chance
        pods = cell.variant.pods
        totals = {f"stable-{pod}": Counters(0, 0) for pod in range(pods)}
        readings = [Reading(0.0, {"v1": dict(totals)})]
        for number in range(cell.variant.history):
            burst = chance.gammavariate(2, 0.5) if cell.variant.drift else 1.0
            rate = min(cell.base * burst, 0.5)
            for pod, before in totals.items():
                requests = poisson(chance, HISTORY_SECONDS * cell.rps / pods)
                totals[pod] = _sum(before, self._counters(requests, rate, canary=False))
            at = float(HISTORY_SECONDS * (number + 1))
            readings.append(Reading(at, {"v1": dict(totals)}))
        return read_history(readings, stable="v1")


def _sum(before: Counters, more: Counters) -> Counters:
    within = {bound: before.within.get(bound, 0.0) + n for bound, n in more.within.items()}
    return Counters(
        before.requests + more.requests,
        before.failed + more.failed,
        within,
        before.timed + more.timed,
    )
