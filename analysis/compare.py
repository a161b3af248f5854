"""The comparison with the stable version that runs beside the canary: failures, and slow requests.

Reads both arms of a block. The mathematics is analysis.twosample, what comes in clumps is counted
by analysis.clumps, weights by analysis.ramp; what follows from a check's words is analysis.judge.

One kind of bad request is followed by a `Track`: stable's rate, forgotten with a half-life, and its
clumps. Both are read *before* a block is added, so the block cannot choose its own test. Its
evidence is E = 0.9 * mean over alternatives + 0.1 * mean of batch bets. A warming canary is
allowed `WARM_RATIO` times stable's rate for its first seconds of traffic.

Invariant: a block in which one arm has no requests moves no evidence; nothing depends on a clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log

from analysis.clumps import Clumps, clumps_from, count_clumps
from analysis.eprocess import Evidence, log_sum, open_bets, take
from analysis.history import History
from analysis.samples import Block, Spread
from analysis.twosample import FRACTIONS, RATIOS, Pair, batch, worse, worse_by

HALF_LIFE_SECONDS = 60.0
"""Of what is known of stable's rate: it moves within minutes, and a wrong guess costs power."""

HISTORY_COUNTS_AS_SECONDS = 300.0
"""However long the history is, it weighs as much as so many seconds of now."""

PRIOR_BAD, PRIOR_TOTAL = 0.25, 125.0
"""Of the rate: 0.2 % before anything is known."""

LEAST_RATE, MOST_RATE = 1e-6, 0.5

WARM_SECONDS = 45.0
WARM_RATIO = 5.0
"""Caches fill and code is compiled: three times stable's failures for half a minute are no
regression, and a test that does not know it sends back every new version."""

BATCH_SHARE = 0.1
"""Of the evidence. The bet is valid whatever makes failures come together, but blind at many clumps
a block; counting clumps does better on every grid, so this much is the insurance."""


@dataclass(frozen=True, slots=True)
class Arms:
    """Bad requests of both versions, in one block or in several added up."""

    canary_bad: int
    canary: int
    stable_bad: int
    stable: int

    def __add__(self, other: "Arms") -> "Arms":
        return Arms(
            self.canary_bad + other.canary_bad,
            self.canary + other.canary,
            self.stable_bad + other.stable_bad,
            self.stable + other.stable,
        )


def failed_in(block: Block) -> Arms:
    """Count failed requests; a restarted pod counts as one, as what it served is lost with it.

    Else a canary that crashes would hide its failures in the readings that its crashes spoil.
    """
    canary, stable = block.canary, block.stable
    return Arms(
        canary.failed + canary.restarts,
        canary.requests + canary.restarts,
        stable.failed + stable.restarts,
        stable.requests + stable.restarts,
    )


def slow_in(block: Block, bound: float) -> Arms | None:
    """Count the requests slower than the bound; None where an arm's buckets do not tell."""
    canary, stable = block.canary, block.stable
    if bound not in canary.within or bound not in stable.within:
        return None
    return Arms(
        canary.timed - canary.within[bound],
        canary.timed,
        stable.timed - stable.within[bound],
        stable.timed,
    )


@dataclass(frozen=True, slots=True)
class Track:
    """What is known before a block; counts are forgotten with the half-life.

    Attributes:
        bad, total: stable's counts.
        canary_bad, canary_total: the canary's.
        clumps: how stable's bad requests come together.
    """

    bad: float = 0.0
    total: float = 0.0
    canary_bad: float = 0.0
    canary_total: float = 0.0
    clumps: Clumps = field(default_factory=Clumps)

    @property
    def rate(self) -> float:
        """Stable's rate."""
        return min(max(_rate(self.bad, self.total), LEAST_RATE), MOST_RATE)

    @property
    def excess(self) -> float:
        """What the canary's rate is above stable's, as far as its counts show; at least 0."""
        return max(_rate(self.canary_bad, self.canary_total) - self.rate, 0.0)

    def learn(self, arms: Arms, seconds: float, spread: Spread | None) -> "Track":
        """Add a block."""
        kept = 0.5 ** (seconds / HALF_LIFE_SECONDS)
        return Track(
            self.bad * kept + arms.stable_bad,
            self.total * kept + arms.stable,
            self.canary_bad * kept + arms.canary_bad,
            self.canary_total * kept + arms.canary,
            self.clumps.add(spread, arms.stable_bad, arms.stable),
        )

    def against(self, arms: Arms) -> Pair:
        """Count clumps so that none of the doubts about their size speaks against the canary.

        Its bad requests are as few clumps as they may be; everything else is in clumps as small as
        they may be.
        """
        large, small = self.clumps.sizes
        return self._count(arms, (large, small), (small, small))

    def favour(self, arms: Arms) -> Pair:
        """Count clumps so that none of the doubts speaks for the canary."""
        large, small = self.clumps.sizes
        return self._count(arms, (small, large), (large, small))

    def as_shown(self, arms: Arms) -> Pair:
        """Count clumps of the size that the data show, without any doubt."""
        size = self.clumps.shown_size
        return self._count(arms, (size, size), (size, size))

    def _count(self, arms: Arms, canary: tuple[float, float], stable: tuple[float, float]) -> Pair:
        """Count both arms in clumps of a size for bad requests and one for all requests.

        How many are usual is known before the block, from both versions: a canary that has kept
        failing has failed more often, not in larger clumps.
        """
        both = _rate(self.bad + self.canary_bad, self.total + self.canary_total)
        usual = max(self.rate, both)
        return Pair(
            count_clumps(arms.canary_bad, arms.canary * usual, canary[0]),
            arms.canary / canary[1],
            count_clumps(arms.stable_bad, arms.stable * usual, stable[0]),
            arms.stable / stable[1],
        )

    def as_numbers(self, prefix: str) -> dict[str, float]:
        """Its memory."""
        own = (self.bad, self.total, self.canary_bad, self.canary_total)
        numbers = {f"{prefix}{name}": value for name, value in zip(_FIELDS, own, strict=True)}
        return numbers | self.clumps.as_numbers(prefix)


_FIELDS = ("base_bad", "base_total", "base_canary_bad", "base_canary_total")


def _rate(bad: float, total: float) -> float:
    return (bad + PRIOR_BAD) / (max(total, 0.0) + PRIOR_TOTAL)


def track_from(numbers: Mapping[str, float], prefix: str) -> Track:
    """Read the memory back."""
    bad, total, canary_bad, canary_total = (numbers[f"{prefix}{name}"] for name in _FIELDS)
    return Track(bad, total, canary_bad, canary_total, clumps_from(numbers, prefix))


def track_of(past: History, key: float) -> Track:
    """Begin with what the history says."""
    total = past.total(key)
    if not total or key not in past.bad:
        return Track()
    scale = min(HISTORY_COUNTS_AS_SECONDS / past.seconds, 1.0) if past.seconds else 1.0
    clumps = past.clumps.get(key, Clumps())
    return Track(past.bad[key] * scale, total * scale, clumps=clumps)


@dataclass(frozen=True, slots=True)
class Null:
    """What is no regression, and what is looked for beyond it.

    Attributes:
        ratio: times stable's rate.
        margin: or stable's rate and so much; the canary is worse only beyond both. The batch bet
            does not know a margin and keeps out of it.
        excesses: alternatives beside multiples.
    """

    ratio: float
    margin: float = 0.0
    excesses: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Bets:
    """The evidence against the canary on one kind of bad request."""

    worse: Evidence
    batch: Evidence

    @property
    def log_e(self) -> float:
        parts = [
            self.worse.log_e + log(1 - BATCH_SHARE),
            self.batch.log_e + log(BATCH_SHARE),
        ]
        return log_sum(parts)

    def take(self, track: Track, arms: Arms, null: Null, seconds: float) -> "Bets":
        """Bet on one block with what was known before it."""
        if not arms.canary or not arms.stable:
            return self
        pair = track.against(arms)
        factors = worse(pair, track.rate, null.ratio, null.excesses)
        if null.margin:
            # Both must be broken: the smaller factor is valid under either.
            margins = worse_by(pair, track.rate, null.margin, null.excesses)
            factors = tuple(map(min, factors, margins))
            return Bets(take(self.worse, factors, seconds), self.batch)
        plain = Pair(arms.canary_bad, arms.canary, arms.stable_bad, arms.stable)
        shares = batch(plain, null.ratio)
        return Bets(take(self.worse, factors, seconds), take(self.batch, shares, seconds))


def open_comparison(excesses: tuple[float, ...]) -> Bets:
    """Bets before any data: E = 1."""
    return Bets(open_bets(len(RATIOS) + len(excesses)), open_bets(len(FRACTIONS)))


def ratio_in_force(ratio: float, exposed: float, warm: float) -> float:
    """The null's ratio for a canary that has had traffic for so many seconds."""
    return max(ratio, WARM_RATIO) if exposed < warm else ratio
