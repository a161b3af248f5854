"""How much traffic the canary may get: a budget of failed requests, and when to be content.

By the time a bad canary is found and the route is back, it has failed about

    rps * weight * L * excess          (L: from a request to the weight taken back)

requests more than stable would have, on top of those that found it. So the weight rises as larger
and larger excesses are excluded: `weight = budget * c / (rps * L * u)`, with u the bound of the
excess rate (analysis.compare) and c the mean size of a clump, without which clumped failures, which
take more evidence, would be given too little traffic to be found. While nothing is excluded, u = 1
and c does not count: a canary that fails everything fails each request by itself.

With fixed steps the same formula turned round is the gate of a step. Pure; the weights in force,
holds and writes are daemon.core's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from analysis.verdict import Ground, Judgement, Verdict

BUDGET = 2.5
"""Requests that a bad canary may fail between two looks."""

REACTION_SECONDS = 2.0
"""From a verdict to the route that serves it, on top of the time between looks."""

LEAST_WEIGHT = 0.01
"""Percent; routes with decimals have weights that sum to 10000."""

FIRST_CAP, LATER_CAP = 5.0, 50.0
"""Percent. Above the first nobody goes before an excess of 20 points is excluded; above the second
comes promotion."""

UNSEEN_CAP = 20.0
"""Percent that the timetable gives a canary which has not had the least number of requests yet: too
few to judge it by are too few to do harm with."""

LARGE_EXCESS = 0.2

GRACE_SECONDS = 120.0
"""In two minutes a bad canary of a busy service has been found; a quiet one needs the timetable."""

EVERYBODY = 100.0

ACCEPTABLE_EXCESS = 0.001
ACCEPTABLE_SHARE = 0.5
"""An excess below a tenth of a point, or below half of stable's own rate, is accepted."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the evidence says about the canary's failures, as far as weights depend on it.

    Attributes:
        rate: requests a second of both versions; infinite where unknown.
        excess: bound of the excess failure rate; 1 where nothing is excluded.
        usual: stable's failure rate.
        clump: mean size of a clump of failures.
        delay: L, seconds from a request to the weight taken back.
        tolerance: excess that the policy accepts.
    """

    rate: float
    excess: float
    usual: float
    clump: float
    delay: float
    tolerance: float = 0.0


def acceptable_excess(seen: Exposure) -> float:
    """Return the excess below which a canary counts as good as stable."""
    return max(ACCEPTABLE_EXCESS, ACCEPTABLE_SHARE * seen.usual, seen.tolerance)


def allowed_weight(seen: Exposure, budget: float = BUDGET) -> float:
    """Return the percent of traffic that the budget allows now, 0.01 to 50."""
    cap = LATER_CAP if seen.excess <= LARGE_EXCESS else FIRST_CAP
    at_risk = seen.rate * seen.delay * seen.excess
    clump = seen.clump if seen.excess < 1 else 1.0
    weight = 100 * budget * clump / at_risk if at_risk > 0 else cap
    return in_writable_steps(min(max(weight, LEAST_WEIGHT), cap))


def needed_excess(seen: Exposure, weight: float, budget: float = BUDGET) -> float:
    """Return the gate of a fixed step: `weight` percent is allowed once the excess is below this.

    Without the acceptable excess in it, no excess that is ever tested would allow a step above some
    hundred canary requests a second. For promotion, after which nothing is compared any more, only
    the acceptable excess will do.
    """
    if weight >= EVERYBODY:
        return acceptable_excess(seen)
    at_risk = seen.rate * seen.delay * weight / 100
    affordable = budget * seen.clump / at_risk if at_risk > 0 else 0.0
    return max(affordable, acceptable_excess(seen))


def in_writable_steps(weight: float) -> float:
    """Round down to a hundredth of a percent, but never to 0."""
    return max(floor(weight * 100 + 1e-9) / 100, LEAST_WEIGHT)


# ---------------------------------------------------------------- the ramp without steps


@dataclass(frozen=True, slots=True)
class Timetable:
    """The least weight from a time on, for canaries that too few requests can decide about.

    Attributes:
        steps: (seconds since the first weight, percent), rising.
        ends: seconds after which an undecided canary is promoted.
    """

    steps: tuple[tuple[float, float], ...]
    ends: float

    def least(self, elapsed: float) -> float:
        return max((weight for start, weight in self.steps if elapsed >= start), default=0.0)


def timetable_of(steps: Sequence[tuple[float, float]]) -> Timetable:
    """Make a policy's steps, (percent, seconds of hold), the least weights of a ramp by budget.

    They begin `GRACE_SECONDS` after the first weight: until then the budget alone decides. The last
    step, 100, is no weight of the ramp but its end.
    """
    start, rising = GRACE_SECONDS, []
    for weight, hold in steps:
        if weight < EVERYBODY:
            rising.append((start, weight))
            start += hold
    return Timetable(tuple(rising), start)


def next_weight(
    judgement: Judgement, weight: float, *, elapsed: float, timetable: Timetable
) -> float:
    """Say the weight after a look, of a ramp by budget: 0 rolls back, 100 promotes.

    A Pass promotes at once, as `judge` was asked about a weight of 100. What is undecided rises by
    the budget, and by the timetable; everything else (doubt, no data) stays where it is.
    """
    if judgement.verdict is Verdict.FAIL:
        return 0.0
    if judgement.verdict is Verdict.PASS:
        return EVERYBODY
    if judgement.ground not in (Ground.UNDECIDED, Ground.TOO_FEW_REQUESTS):
        return weight
    if elapsed >= timetable.ends and judgement.ground is Ground.UNDECIDED:
        return EVERYBODY
    least = timetable.least(elapsed)
    if judgement.ground is Ground.TOO_FEW_REQUESTS:
        least = min(least, UNSEEN_CAP)
    return max(weight, judgement.allowed, least)
