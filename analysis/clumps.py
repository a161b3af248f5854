"""Bad requests that come together: how large the clumps are, and how many of them there were.

A client that retries, a node that hiccups, a slow query: one cause makes several requests of one
version fail, and a test that takes them for so many proofs is wrong (40 % false rollbacks instead
of 1 % with clumps of four). So evidence counts clumps, not requests.

- **Size.** For clumps of sizes K that fall on one pod each, the unevenness of stable's pods gives
  phi = E[K^2] / E[K] by the method of moments (`analysis.samples.Spread`): phi = sum seen / sum
  expected, over blocks. Each block weighs as much as it has bad requests, so that rare and frequent
  clumps give the same phi. Its standard error follows from the blocks' residuals (ratio estimator,
  Cochran 1977, section 6.4). Above `NOTICEABLE` the plausible sizes are those within one standard
  error, see below. Geometric sizes then have the mean
  c = (phi + 1) / 2. Where stable has one pod, two blocks in turn stand for two pods. Their failures
  differ by incidents and drift besides, so they tell only how large clumps are at most.
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

A size that is too large is no safe side: it takes a few bad requests for as many clumps, and many
for few, so it speaks against the arm that has few of them, and that is the canary. Each count is
therefore made with the end of the plausible sizes that spares whom the evidence is against
(`analysis.compare.Track`).

Invariant: 0 <= g <= y, and g grows with y. No thresholds of verdicts, no sentences here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import sqrt

from analysis.samples import Spread, spread_of

PRIOR_SIZE = 2.0
PRIOR_WEIGHT = 10.0
PRIOR_DOUBT = 2500.0
"""Before anything is known: phi = 2 with a standard error of 5, worth ten bad requests on two pods.
With little history a clump must not look like evidence. Thirty bad requests without clumps are
enough to forget it, and counting clumps costs little where bad requests are rare."""

ENOUGH_TO_SHOW = 20.0
"""Ten bad requests on three pods."""

NOTICEABLE = 1.25
"""An estimate below it is what chance makes of no clumps at all."""

ERRORS_ADDED = 1.0
"""Standard errors on either side of a noticeable estimate that are plausible."""

LARGEST = 20.0
"""Clumps larger than that are incidents, which no estimate of their size makes harmless."""


Sums = tuple[float, float, float, float, float]
"""seen, expected, and the sums of seen^2, seen * expected and expected^2."""


@dataclass(frozen=True, slots=True)
class Clumps:
    """What is known of one kind of bad request's clumps; sums over blocks.

    Attributes:
        seen, expected: as in Spread, with the prior; of pods in the same seconds.
        squares, products, weights: sums of seen^2, seen * expected and expected^2.
        turn_seen, ...: the same of blocks in turn.
        last_bad, last_total: the block that waits for its turn; 0 for none.
    """

    seen: float = PRIOR_SIZE * PRIOR_WEIGHT
    expected: float = PRIOR_WEIGHT
    squares: float = PRIOR_DOUBT
    products: float = 0.0
    weights: float = 0.0
    turn_seen: float = PRIOR_SIZE * PRIOR_WEIGHT
    turn_expected: float = PRIOR_WEIGHT
    turn_squares: float = PRIOR_DOUBT
    turn_products: float = 0.0
    turn_weights: float = 0.0
    last_bad: float = 0.0
    last_total: float = 0.0

    def add(self, spread: Spread | None, bad: float = 0.0, total: float = 0.0) -> "Clumps":
        """Learn from a block: how its pods differ, and how it differs from the one before."""
        pods, turns = self._pods, self._turns
        if spread is not None:
            pods = _add(pods, spread)
        if not total:
            return Clumps(*pods, *turns, self.last_bad, self.last_total)
        if not self.last_total:
            return Clumps(*pods, *turns, float(bad), float(total))
        turn = spread_of([(self.last_bad, self.last_total), (bad, total)])
        return Clumps(*pods, *(turns if turn is None else _add(turns, turn)))

    @property
    def phi(self) -> float:
        """How much more the bad requests vary than if each came by itself; 1 to 20.

        As much as it may be: with some standard errors added.
        """
        return 2 * self.sizes[0] - 1

    @property
    def sizes(self) -> tuple[float, float]:
        """Mean size c of a clump, as large and as small as it may be; 1 where there are none.

        Blocks differ by incidents too: without pods to compare there may be no clumps at all.
        """
        if self._pods_tell:
            phi, error = _estimate(self._pods)
            small = max(phi - ERRORS_ADDED * error, 1.0)
        else:
            phi, error = _estimate(self._turns)
            small = 1.0
        large = min(phi + ERRORS_ADDED * error, LARGEST)
        return (large + 1) / 2, (min(small, LARGEST) + 1) / 2

    @property
    def _pods_tell(self) -> bool:
        return self.expected - PRIOR_WEIGHT >= ENOUGH_TO_SHOW

    @property
    def _pods(self) -> Sums:
        return self.seen, self.expected, self.squares, self.products, self.weights

    @property
    def _turns(self) -> Sums:
        return (
            self.turn_seen,
            self.turn_expected,
            self.turn_squares,
            self.turn_products,
            self.turn_weights,
        )

    @property
    def shown_size(self) -> float:
        """Mean size of a clump as far as the data show it, without the prior; 1 for few data."""
        seen, expected, *_ = self._pods if self._pods_tell else self._turns
        if expected - PRIOR_WEIGHT < ENOUGH_TO_SHOW:
            return 1.0
        phi = (seen - PRIOR_SIZE * PRIOR_WEIGHT) / (expected - PRIOR_WEIGHT)
        return (min(max(phi, 1.0), LARGEST) + 1) / 2

    def as_numbers(self, prefix: str) -> dict[str, float]:
        """Its memory."""
        return {f"{prefix}{name}": getattr(self, name) for name in _FIELDS}


def clumps_from(numbers: Mapping[str, float], prefix: str) -> Clumps:
    """Read the memory back."""
    return Clumps(*(numbers[f"{prefix}{name}"] for name in _FIELDS))


_FIELDS = tuple(it.name for it in fields(Clumps))


def _add(sums: Sums, spread: Spread) -> Sums:
    a, b = spread.seen, spread.expected
    seen, expected, squares, products, weights = sums
    return seen + a, expected + b, squares + a * a, products + a * b, weights + b * b


def _estimate(sums: Sums) -> tuple[float, float]:
    """Return phi and its standard error; (1, 0) where it is what chance makes of no clumps."""
    seen, expected, squares, products, weights = sums
    phi = seen / expected if expected > 0 else LARGEST
    if phi <= NOTICEABLE:
        return 1.0, 0.0
    residuals = squares - 2 * phi * products + phi * phi * weights
    return phi, sqrt(max(residuals, 0.0)) / max(expected, PRIOR_WEIGHT)


def count_clumps(bad: float, promised: float, size: float) -> float:
    """Estimate the number of clumps behind `bad` requests, where `promised` are usual.

    `size` is the mean size of a clump, at least 1.
    """
    if bad <= 1 or size <= 1:
        return float(bad)
    z = promised / (size * (size - 1))
    further = bad - 1
    return 1 + 2 * z * further / (sqrt((1 + z) * (1 + z) + 4 * z * further) + 1 + z)
