"""What a rollout can see at all: canary requests that any test needs, and those that ours needs.

Wald's bound (1945), which the sequential probability ratio test reaches (Wald and Wolfowitz 1948):
log(1/alpha) / KL(p1 || p0) requests to detect p1 over p0, log(1/beta) / KL(p0 || p1) to exclude it,
on average, for a test that knows both rates. The judge knows neither; what it needs beyond the
bound was measured (`NEEDED`, `NEEDED_MOSTLY`).

A comparison has two arms: n canary requests beside so many of stable that the canary's part is w
count as n * (1 - w) (`informative`). Told before a rollout, and of one that decided nothing; no
verdict depends on it. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log


@dataclass(frozen=True, slots=True)
class Need:
    """Requests that the judge needs: so many times Wald's bound, and so many failures more."""

    times: float
    failures: float

    def to_detect(self, usual: float, rate: float, *, alpha: float) -> float:
        """Return the canary's requests, those of a small weight, after which it is taken back."""
        if rate <= usual:
            return inf
        bound = requests_to_detect(usual, rate, alpha=alpha)
        return self.times * bound + self.failures / rate


WALD = Need(1.0, 0.0)
"""The bound itself: what no test of the same error rate betters, on average."""

NEEDED = Need(1.75, 3.0)
NEEDED_MOSTLY = Need(3.0, 5.0)
"""On average, and in nine rollouts of ten. Measured on `benchmarks/detection`: independent
failures, bases 0.1 % and 1 %, x1.5 to x5, +1 and +5 points, fixed weights of 5, 25 and 50 %, 60
rollouts each. The means were 0.7 to 1.2 times the first, the ninetieth percentiles 0.65 to 1.35
times the second. Failures that come in clumps take longer."""

SEARCH_STEPS = 60
"""Halvings; the answer is shown with two digits."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Time on one weight.

    Attributes:
        weight: percent.
    """

    weight: float
    seconds: float

    def requests(self, rps: float) -> float:
        """Canary requests that come."""
        return rps * self.seconds * self.weight / 100

    def informative(self, rps: float) -> float:
        """Canary requests that the comparison learns as much from as if stable had all others."""
        return informative(self.requests(rps), self.weight)


def informative(requests: float, weight: float) -> float:
    """Return what canary requests beside stable's are worth; none at 100 %."""
    return requests * (1 - weight / 100)


def at_hand(stretches: Sequence[Stretch], rps: float) -> float:
    """Return the informative requests of a whole rollout."""
    return sum(stretch.informative(rps) for stretch in stretches)


def requests_to_detect(usual: float, rate: float, *, alpha: float) -> float:
    """Return the requests of a canary failing at `rate` after which it can be taken back."""
    return _requests(alpha, rate, usual)


def requests_to_exclude(usual: float, rate: float, *, beta: float) -> float:
    """Return the requests of a canary as good as stable that show it does not fail at `rate`."""
    return _requests(beta, usual, rate)


def smallest_seen(
    usual: float, requests: float, *, alpha: float, need: Need = NEEDED_MOSTLY
) -> float | None:
    """Return the least rate above `usual` that so many requests show; None if not even all failing.

    With `WALD` it is what no test at all sees less than, on average.
    """
    if need.to_detect(usual, 1.0, alpha=alpha) > requests:
        return None
    low, high = usual, 1.0
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        if need.to_detect(usual, middle, alpha=alpha) > requests:
            low = middle
        else:
            high = middle
    return high


def _requests(error: float, true: float, other: float) -> float:
    divergence = _divergence(true, other)
    return log(1 / error) / divergence if divergence > 0 else inf


def _divergence(p: float, q: float) -> float:
    """Kullback-Leibler, of one request; infinite where q calls impossible what p does not."""
    return _part(p, q) + _part(1 - p, 1 - q)


def _part(p: float, q: float) -> float:
    if p <= 0:
        return 0.0
    return p * log(p / q) if q > 0 else inf
