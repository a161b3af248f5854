"""How many times stable's rate the canary's is: a band that holds at every look at once.

For each ratio r of a grid two e-processes run, built of the same factors as the judge's evidence
(`analysis.twosample`): one against "the canary's rate is at most r times stable's", one against "at
least r times". The band is what neither has ruled out.

- The nulls of one side are nested, so they are tested in a fixed order: "at most r" from the
  smallest r up, "at least r" from the largest down, each only where all before it are ruled out. A
  side then errs with at most its alpha, whatever the size of the grid: it errs only if the first
  true null of the order is ruled out. Both sides have half of `BETA`, so with probability 95 % the
  true ratio, if there is one, is inside the band at every look of the rollout.
- What is ruled out stays so (a running intersection), hence the band never widens.
- Where bad requests come in clumps, log e is divided by phi, their mean size seen by a request
  (`analysis.clumps`): valid by Jensen for clumps up to that size, and unlike counting clumps it
  leans to neither side. Stable's rate is learned as in `analysis.compare`.

For people to see by how much; no verdict depends on it. Pure; no sentences here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, log

from analysis.compare import Arms, Track, failed_in, slow_in
from analysis.eprocess import log_mean
from analysis.samples import FAILED, Block
from analysis.twosample import LARGEST_RATE, Pair, log_factor

BETA = 0.05
"""Bound of the probability that the band ever leaves out the true ratio."""

LOG_NEEDED = log(2 / BETA)

GRID = (
    *(0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0),
    *(1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.4, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0),
    *(10.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0, 200.0, 500.0),
)
"""Ratios that are told apart: close together around 1, where people ask whether it is worse."""

MULTIPLES = (1.1, 1.4, 2.5, 10.0)
"""Alternatives, as multiples of the null's edge or parts of it."""

ADDED = (0.01, 0.1, 0.9)
"""Further alternatives above it: where stable fails almost nothing, no multiple is large enough."""

Bets = tuple[float, ...]
"""Logs of what the alternatives of one null have won."""

NONE = Arms(0, 0, 0, 0)

NOTHING = -inf
"""In place of evidence that has done its work."""


@dataclass(frozen=True, slots=True)
class Band:
    """Ratios that are not ruled out: `low` 0 and `high` infinite where nothing is."""

    low: float = 0.0
    high: float = inf


@dataclass(frozen=True, slots=True)
class Ratio:
    """What is known of one kind of bad request, canary against stable.

    Attributes:
        track: stable's rate and clumps so far.
        band: what is ruled out so far is outside.
        counts: both versions' bad requests so far, in blocks in which both had any request.
        above, below: evidence against "at most r" and "at least r", one row of bets a ratio.
    """

    track: Track = field(default_factory=Track)
    band: Band = Band()
    counts: Arms = NONE
    above: tuple[Bets, ...] = ((0.0,) * (len(MULTIPLES) + len(ADDED)),) * len(GRID)
    below: tuple[Bets, ...] = ((0.0,) * len(MULTIPLES),) * len(GRID)

    def take(self, block: Block, key: float) -> "Ratio":
        """Learn from one block; `key` is FAILED or a latency bound."""
        arms = arms_of(block, key)
        if arms is None:
            return self
        track = self.track.learn(arms, block.seconds, block.spread.get(key))
        if not arms.canary or not arms.stable:
            return Ratio(track, self.band, self.counts, self.above, self.below)
        above = _bet(self.above, _above, arms, self.track)
        below = _bet(self.below, _below, arms, self.track)
        band, above, below = _narrow(self.band, above, below)
        return Ratio(track, band, self.counts + arms, above, below)


def follow(blocks: Iterable[Block], key: float, track: Track | None = None) -> Ratio:
    """Take all blocks, oldest first; `track` is what was known of stable before them."""
    ratio = Ratio(track or Track())
    for block in blocks:
        ratio = ratio.take(block, key)
    return ratio


def arms_of(block: Block, key: float) -> Arms | None:
    """Count one kind of bad request in both versions; None where an arm's buckets do not tell."""
    return failed_in(block) if key == FAILED else slow_in(block, key)


def _above(rate: float, ratio: float) -> tuple[float | None, ...]:
    """Name the alternatives above the edge; None where there is no room for one."""
    edge = ratio * rate
    wanted = (*(edge * times for times in MULTIPLES), *(edge + more for more in ADDED))
    return tuple(a if (a := min(it, LARGEST_RATE)) > edge else None for it in wanted)


def _below(rate: float, ratio: float) -> tuple[float, ...]:
    return tuple(min(ratio * rate / times, LARGEST_RATE) for times in MULTIPLES)


def _bet(
    rows: tuple[Bets, ...],
    alternatives: Callable[[float, float], Sequence[float | None]],
    arms: Arms,
    track: Track,
) -> tuple[Bets, ...]:
    """Add one block to all ratios that are still open."""
    rate, phi = track.rate, track.clumps.phi
    pair = Pair(arms.canary_bad, arms.canary, arms.stable_bad, arms.stable)
    return tuple(
        bets
        if bets[0] == NOTHING
        else tuple(
            bet if a is None else bet + log_factor(pair, a, rate, ratio) / phi
            for bet, a in zip(bets, alternatives(rate, ratio), strict=True)
        )
        for bets, ratio in zip(rows, GRID, strict=True)
    )


def _narrow(
    band: Band, above: tuple[Bets, ...], below: tuple[Bets, ...]
) -> tuple[Band, tuple[Bets, ...], tuple[Bets, ...]]:
    """Move both ends as far as the order of tests has come; let go of the bets behind them."""
    low, upper = band.low, list(above)
    for place, ratio in enumerate(GRID):
        if ratio > band.low:
            if log_mean(upper[place]) < LOG_NEEDED:
                break
            low, upper[place] = ratio, (NOTHING,) * len(upper[place])
    high, lower = band.high, list(below)
    for place, ratio in reversed(list(enumerate(GRID))):
        if ratio < band.high:
            if log_mean(lower[place]) < LOG_NEEDED:
                break
            high, lower[place] = ratio, (NOTHING,) * len(lower[place])
    return Band(low, high), tuple(upper), tuple(lower)
