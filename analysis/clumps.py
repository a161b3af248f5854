"""Bad requests that come together: how large the clumps are, and how many of them there were.

A client that retries, a node that hiccups, a slow query: one cause makes several requests of one
version fail, and a test that takes them for so many proofs is wrong (40 % false rollbacks instead
of 1 % with clumps of four). So evidence counts clumps, not requests.

- **Size.** For clumps of sizes K that fall on one pod each, the unevenness of stable's pods gives
  phi = E[K^2] / E[K] by the method of moments (`analysis.samples.Spread`): phi = sum seen / sum
  expected, over blocks. Each block weighs as much as it has bad requests, so that rare and frequent
  clumps give the same phi. Its standard error follows from the blocks' residuals (ratio estimator,
  Cochran 1977, section 6.4). Above `NOTICEABLE` the evidence takes phi + 1.5 standard errors: too
  large costs power, too small costs safety. Geometric sizes then have the mean c = (phi + 1) / 2.
- **Number.** Clumps come by a Poisson law of mean g0 and have geometric sizes of mean c (the
  Polya-Aeppli law). Of y bad requests, y - 1 of them may have begun a clump of their own; with
  z = g0 / (c - 1) the posterior odds of h + 1 against h further clumps are z (y - 1 - h) / ((h + 1)
  (h + 2)), which vanish around

      g = 1 + 2 z (y - 1) / (sqrt((1 + z)^2 + 4 z (y - 1)) + 1 + z)          (y >= 1; 0 for 0)

  One lone clump counts as one, however large; many of them count as y / c with a slope of 1/phi,
  which is tempering by phi (a quasi-likelihood); for c = 1, g = y. A clump far beyond the usual
  size counts by its square root, not by its size. By Jensen the factor of the mean number of clumps
  is at most the mean factor, so what is valid for clumps stays so where sizes follow the law; where
  they do not, it is as good as the simulations of benchmarks/detection say, and the batch bet of
  analysis.twosample stands beside it, which believes in no law.

Invariant: 0 <= g <= y, and g grows with y. No thresholds of verdicts, no sentences here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from analysis.samples import Spread

PRIOR_SIZE = 2.0
PRIOR_WEIGHT = 10.0
PRIOR_DOUBT = 2500.0
"""Before anything is known: phi = 2 with a standard error of 5, worth ten bad requests on two pods.
With little history a clump must not look like evidence. Thirty bad requests without clumps are
enough to forget it, and counting clumps costs little where bad requests are rare."""

ENOUGH_TO_SHOW = 20.0
"""Ten bad requests on three pods."""

NOTICEABLE = 1.15
"""An estimate below it is what chance makes of no clumps at all."""

ERRORS_ADDED = 1.5
"""Standard errors that are added to a noticeable estimate."""

LARGEST = 20.0
"""Clumps larger than that are incidents, which no estimate of their size makes harmless."""


@dataclass(frozen=True, slots=True)
class Clumps:
    """What is known of one kind of bad request's clumps; sums over blocks.

    Attributes:
        seen, expected: as in Spread, with the prior.
        squares, products, weights: sums of seen^2, seen * expected and expected^2.
    """

    seen: float = PRIOR_SIZE * PRIOR_WEIGHT
    expected: float = PRIOR_WEIGHT
    squares: float = PRIOR_DOUBT
    products: float = 0.0
    weights: float = 0.0

    def add(self, spread: Spread | None) -> "Clumps":
        """Learn from a block."""
        if spread is None:
            return self
        a, b = spread.seen, spread.expected
        return Clumps(
            self.seen + a,
            self.expected + b,
            self.squares + a * a,
            self.products + a * b,
            self.weights + b * b,
        )

    @property
    def phi(self) -> float:
        """How much more the bad requests vary than if each came by itself; 1 to 20."""
        phi = self.seen / self.expected if self.expected > 0 else LARGEST
        if phi <= NOTICEABLE:
            return 1.0
        residuals = self.squares - 2 * phi * self.products + phi * phi * self.weights
        error = sqrt(max(residuals, 0.0)) / max(self.expected, PRIOR_WEIGHT)
        return min(phi + ERRORS_ADDED * error, LARGEST)

    @property
    def size(self) -> float:
        """Mean size c of a clump; 1 where requests fail each by itself."""
        return (self.phi + 1) / 2

    @property
    def shown_size(self) -> float:
        """Mean size of a clump as far as the data show it, without the prior; 1 for few data."""
        expected = self.expected - PRIOR_WEIGHT
        if expected < ENOUGH_TO_SHOW:
            return 1.0
        phi = (self.seen - PRIOR_SIZE * PRIOR_WEIGHT) / expected
        return (min(max(phi, 1.0), LARGEST) + 1) / 2

    def as_numbers(self, prefix: str) -> dict[str, float]:
        """Its memory."""
        return {f"{prefix}{name}": getattr(self, name) for name in _FIELDS}


def clumps_from(numbers: Mapping[str, float], prefix: str) -> Clumps:
    """Read the memory back."""
    return Clumps(*(numbers[f"{prefix}{name}"] for name in _FIELDS))


_FIELDS = ("seen", "expected", "squares", "products", "weights")


def count_clumps(bad: float, promised: float, size: float) -> float:
    """Estimate the number of clumps behind `bad` requests, where `promised` are usual.

    `size` is the mean size of a clump, at least 1.
    """
    if bad <= 1 or size <= 1:
        return float(bad)
    z = promised / (size * (size - 1))
    further = bad - 1
    return 1 + 2 * z * further / (sqrt((1 + z) * (1 + z) + 4 * z * further) + 1 + z)
