"""Evidence about one version against another running beside it: factors of a block, in logs.

Notation: a block brought n_a requests of the canary, y_a of them bad, and n_b, y_b of stable;
theta_a and theta_b are the unknown probabilities of a bad one. theta_b is free in every block, so
nothing here believes that it stays what it was.

- **Worse** (after Turner, Ly and Gruenwald 2021, "Generic e-variables for exact sequential k-sample
  tests", here with a margin). Null: theta_a <= r * theta_b. Alternative (a, b) with a > r * b,
  fixed before the block. With N = n_a + n_b, B = n_a (a + r) + n_b (1 + b r), C = n_a a + n_b b:

      t = 2 C / (B + sqrt(B^2 - 4 r N C))
      log e = y_a log(a / (r t)) + (n_a - y_a) log((1 - a) / (1 - r t))
            + y_b log(b / t) + (n_b - y_b) log((1 - b) / (1 - t))

  t is the Kullback-Leibler projection of the alternative onto the null's edge theta_a = r theta_b.
  Why E[e] <= 1: the expected factors of one request, A(theta_a) and F(theta_b), are linear, so
  n_a log A(r x) + n_b log F(x) is concave in x; at x = t it is 0 with slope 0 (t minimises the
  divergence), so it is <= 0 on the whole edge, and A grows with theta_a, so it is smaller inside.
  Unequal probabilities within a block are covered (AM-GM) while their means obey the null. With
  a < r * b the same formula tests the mirror, theta_a >= r * theta_b.
- **By a margin.** The same with the edge theta_a = theta_b + d. m is the alternative's projection
  onto it, where the derivative of the divergence vanishes:

      n_a ((1-a)/(1-m-d) - a/(m+d)) + n_b ((1-b)/(1-m) - b/m) = 0
      log e = y_a log(a/(m+d)) + (n_a-y_a) log((1-a)/(1-m-d))
            + y_b log(b/m) + (n_b-y_b) log((1-b)/(1-m))

  With a = b (an excess excluded) large values speak against theta_a >= theta_b + d, with a > b + d
  (worse by more than is tolerated) against theta_a <= theta_b + d.

- **Batch bet** (betting on a bounded mean, Waudby-Smith and Ramdas 2020). Of K = y_a + y_b bad
  requests of a block the canary's part has a mean of at most q = r w / (r w + 1 - w), w = n_a / N,
  however they hang together, if each clump lands by traffic share:

      log e = log(1 + f / q * (y_a / K - q))      with a fraction f < 1 staked

Every function is total for counts, whole or not (analysis.clumps counts clumps, and there may be
more of them than n requests make at their usual size: then n - y is 0), and gives 0 for an empty
arm. No memory, no thresholds, no sentences here.
"""

from dataclasses import dataclass
from math import log, log1p, sqrt

RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0)
EXCESSES = (0.003, 0.01, 0.03, 0.1, 0.3, 0.9)
"""Alternatives: multiples of stable's rate, and what is added to it. Each further one costs the
others log(n + 1) - log(n)."""

LEAST_LIFT = 1.1
"""An alternative inside the null cannot win; it is lifted this much beyond the null's edge."""

LARGEST_RATE = 0.97
"""Of an alternative: a canary that fails all but everything."""

FRACTIONS = (0.25, 0.5, 0.9)
"""Stakes of the batch bet. Below 1, so that no block can ruin it."""

MARGINS = (
    *(0.5, 0.35, 0.2, 0.14, 0.1, 0.07, 0.05, 0.035, 0.025, 0.02, 0.016, 0.0125),
    *(0.01, 0.008, 0.0065, 0.0055, 0.0045, 0.0037, 0.003, 0.0025, 0.002, 0.0016, 0.0013, 0.001),
)
"""Excess rates that may be excluded, the largest first. Steps of 1.25 where promotion is decided:
the one needed lies between two of them, and to exclude half as much takes twice as long."""

PROJECTION_STEPS = 60
"""Newton needs four to eight; even halving alone is exact to the last bits after so many."""

PROJECTION_PRECISION = 1e-9
"""Relative. The factor is flat at the projection: its error is the square of this one."""

TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Pair:
    """One block, both arms: `bad` of `total`. Whole requests, or clumps of them."""

    bad_a: float
    total_a: float
    bad_b: float
    total_b: float


def alternatives(rate: float, ratio: float, excesses: tuple[float, ...]) -> tuple[float, ...]:
    """Name the canary's rates to be tried for stable's `rate`, in an order that never changes."""
    least = LEAST_LIFT * ratio * rate
    wanted = (*(rate * times for times in RATIOS), *(rate + more for more in excesses))
    return tuple(min(max(a, least), LARGEST_RATE) for a in wanted)


def log_factor(pair: Pair, a: float, b: float, ratio: float) -> float:
    """Weigh one block for the alternative (a, b) against the edge theta_a = ratio * theta_b."""
    n_a, n_b = pair.total_a, pair.total_b
    if not n_a or not n_b:
        # The projection is then the alternative itself, or as near as the edge allows.
        return 0.0
    linear = n_a * (a + ratio) + n_b * (1 + b * ratio)
    constant = n_a * a + n_b * b
    root = sqrt(max(linear * linear - 4 * ratio * (n_a + n_b) * constant, 0.0))
    # This form of the smaller root does not cancel.
    t = min(max(2 * constant / (linear + root), TINY), (1 - 1e-9) / max(ratio, 1.0))
    edge = ratio * t
    value = max(n_a - pair.bad_a, 0.0) * (log1p(-a) - log1p(-edge))
    value += max(n_b - pair.bad_b, 0.0) * (log1p(-b) - log1p(-t))
    if pair.bad_a:
        value += pair.bad_a * log(a / edge)
    if pair.bad_b:
        value += pair.bad_b * log(b / t)
    return value


def worse(
    pair: Pair, rate: float, ratio: float, excesses: tuple[float, ...] = EXCESSES
) -> tuple[float, ...]:
    """Weigh one block against "the canary's rate is at most `ratio` times stable's".

    `rate` is stable's as it was known before the block; a bad guess costs power only.
    """
    return tuple(
        log_factor(pair, a, rate, ratio) if a > ratio * rate else 0.0
        for a in alternatives(rate, ratio, excesses)
    )


def excess_excluded(pair: Pair, rate: float, margin: float, tolerated: float = 0.0) -> float:
    """Weigh one block against "the canary's rate is at least stable's plus `margin`".

    Args:
        pair: the block.
        rate: stable's, as it was known before the block.
        margin: the excess to be excluded.
        tolerated: the excess that the canary is believed to have; 0 for margins within it.
    """
    return _by_margin(pair, rate + tolerated if tolerated < margin else rate, rate, margin)


def worse_by(
    pair: Pair, rate: float, margin: float, excesses: tuple[float, ...] = EXCESSES
) -> tuple[float, ...]:
    """Weigh one block against "the canary's rate is at most stable's plus `margin`".

    In the order of `worse`, whose alternatives begin where the tolerated ones end.
    """
    tolerated = rate + margin
    wanted = (*(tolerated * times for times in RATIOS), *(tolerated + more for more in excesses))
    return tuple(
        _by_margin(pair, min(a, LARGEST_RATE), rate, margin) if tolerated < LARGEST_RATE else 0.0
        for a in wanted
    )


def _by_margin(pair: Pair, a: float, b: float, margin: float) -> float:
    n_a, n_b = pair.total_a, pair.total_b
    if not n_a or not n_b:
        return 0.0
    m = _edge(pair, a, b, margin)
    above = m + margin
    value = max(n_a - pair.bad_a, 0.0) * (log1p(-a) - log(1 - above))
    value += max(n_b - pair.bad_b, 0.0) * (log1p(-b) - log1p(-m))
    return value + pair.bad_a * log(a / above) + pair.bad_b * log(b / m)


def _edge(pair: Pair, a: float, b: float, margin: float) -> float:
    """Find the projection's m, which lies between b and a - margin.

    The derivative rises with m, steeply and concavely near 0. Newton's steps from a point on its
    left climb without overshooting; where they would leave the interval, it is halved instead.
    """
    n_a, n_b = pair.total_a, pair.total_b
    ends = (max(a - margin, 0.0), min(b, 1 - margin))
    low, high = min(ends), max(ends)
    pull = n_a * ((1 - a) / max(1 - high - margin, TINY) - a / (high + margin)) + n_b
    m = min(max(n_b * b / pull, low + TINY), high) if pull > 0 else (low + high) / 2
    for _ in range(PROJECTION_STEPS):  # pragma: no branch - a bound that is not reached
        above, free = m + margin, max(1 - m - margin, TINY)
        slope = n_a * ((1 - a) / free - a / above) + n_b * ((1 - b) / (1 - m) - b / m)
        low, high = (m, high) if slope < 0 else (low, m)
        curve = n_a * ((1 - a) / (free * free) + a / (above * above))
        curve += n_b * ((1 - b) / ((1 - m) * (1 - m)) + b / (m * m))
        following = m - slope / curve
        if not low <= following <= high:
            following = (low + high) / 2
        step, m = abs(following - m), following
        if step <= PROJECTION_PRECISION * m:
            break
    return min(max(m, TINY), 1 - margin - TINY)


def batch(pair: Pair, ratio: float) -> tuple[float, ...]:
    """Weigh how one block's bad requests are shared out, whatever makes them come together."""
    bad = pair.bad_a + pair.bad_b
    if not bad or not pair.total_a or not pair.total_b:
        return (0.0,) * len(FRACTIONS)
    promised = ratio * pair.total_a / (ratio * pair.total_a + pair.total_b)
    surplus = pair.bad_a / bad - promised
    return tuple(log1p(fraction / promised * surplus) for fraction in FRACTIONS)
