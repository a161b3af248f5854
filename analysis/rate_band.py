"""One version's rate of bad requests: a band that holds at every look at once.

Of n requests so far y were bad. For a rate p the evidence against "the rate is p" is the mixture
of all alternatives a under Beta(1/2, 1/2) (Robbins 1970; Jeffreys' weights favour no rate):

    log E(p) = log B(1/2 + y, 1/2 + n - y) - log B(1/2, 1/2) - y log p - (n - y) log(1 - p)

It is a martingale that begins at 1 where the rate is p, so by Ville the band {p: E(p) < 1/beta}
leaves out the true rate, at any look, with probability beta at most. -log E is concave in p with
its top at y/n, so each end is found by halving. Where bad requests come in clumps, y and n - y of
each block count divided by phi, known before it: the mixture of tempered factors, valid by Jensen
for clumps of that size.

It is about a rate that stands still. Where the base moves, `analysis.bands` compares within each
look and is not misled. For people to see; no verdict depends on it. Pure; no sentences here.
"""

from dataclasses import dataclass
from math import lgamma, log, log1p

BETA = 0.05
"""Bound of the probability that the band ever leaves out a rate that stands still."""

LOG_NEEDED = log(1 / BETA)
WEIGHT = 0.5
HALVINGS = 60
"""Exact to the last bits."""

LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class RateBand:
    """What is known of one version's rate; counts divided by the clumps' phi."""

    bad: float = 0.0
    good: float = 0.0

    def take(self, bad: float, total: float, phi: float = 1.0) -> "RateBand":
        """Add one block."""
        return RateBand(self.bad + bad / phi, self.good + (total - bad) / phi)

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest rate that are not ruled out."""
        total = self.bad + self.good
        if total <= 0:
            return 0.0, 1.0
        top = self.bad / total
        low = 0.0 if not self.bad else self._end(LEAST, top)
        high = 1.0 if not self.good else self._end(1 - LEAST, top)
        return low, high

    def _end(self, outside: float, inside: float) -> float:
        for _ in range(HALVINGS):
            middle = (outside + inside) / 2
            if self._log_e(middle) < LOG_NEEDED:
                inside = middle
            else:
                outside = middle
        return inside

    def _log_e(self, rate: float) -> float:
        won = _log_beta(WEIGHT + self.bad, WEIGHT + self.good) - _log_beta(WEIGHT, WEIGHT)
        return won - self.bad * log(rate) - self.good * log1p(-rate)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
