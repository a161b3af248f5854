"""Both versions' rates of one kind of bad request, look by look, each with its band.

The mathematics is `analysis.bands` and `analysis.rate_band`; here it is only followed. Pure.
"""

from dataclasses import dataclass
from typing import Final

from analysis.bands import Band, Ratio, arms_of
from analysis.compare import Arms, track_of
from analysis.rate_band import RateBand
from daemon.report.story import Story

Ends = tuple[float, float]
NONE: Final = Arms(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class RatePoint:
    """What is known after one look.

    Attributes:
        sums: of looks in which both versions had a request, or one of them.
        stable, canary: what is not ruled out of each rate, if it stands still.
        ratio: the canary's rate over stable's, compared within each look; None where stable had
            nothing bad.
        band: ratios that are not ruled out.
    """

    at: float
    sums: Arms
    stable: Ends
    canary: Ends
    ratio: float | None
    band: Band

    @property
    def stable_rate(self) -> float:
        return self.sums.stable_bad / self.sums.stable if self.sums.stable else 0.0

    @property
    def canary_rate(self) -> float:
        return self.sums.canary_bad / self.sums.canary if self.sums.canary else 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """One kind of bad request: FAILED, or slower than a bound of so many seconds."""

    key: float
    points: tuple[RatePoint, ...]

    @property
    def last(self) -> RatePoint | None:
        """What is known in the end."""
        return self.points[-1] if self.points else None


def follow_rates(story: Story, key: float) -> Rates:
    """Follow one kind through all looks that are kept."""
    seen = Ratio(track_of(story.case.journal.past, key))
    canary, stable = RateBand(), RateBand()
    sums, above, below = NONE, 0.0, 0.0
    points = []
    for at, block in story.blocks:
        arms = arms_of(block, key)
        if arms is None:
            continue
        # Known before the block, so that the block does not choose how much it counts.
        phi = seen.track.clumps.phi
        canary = canary.take(arms.canary_bad, arms.canary, phi)
        stable = stable.take(arms.stable_bad, arms.stable, phi)
        seen = seen.take(block, key)
        sums += arms
        if both := arms.canary + arms.stable:
            # Mantel and Haenszel (1959): strata are looks, so a base that moves cancels out.
            above += arms.canary_bad * arms.stable / both
            below += arms.stable_bad * arms.canary / both
        ratio = above / below if below else None
        points.append(RatePoint(at, sums, stable.ends, canary.ends, ratio, seen.band))
    return Rates(key, tuple(points))
