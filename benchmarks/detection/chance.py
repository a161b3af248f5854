"""Draws from a seeded `random.Random`: the standard library of Python 3.11 has no counts."""

from math import exp, floor, lgamma, log, sqrt
from random import Random

SMALL_MEAN = 10.0
"""Below it counting is faster than rejection, and rejection is not valid."""


def poisson(chance: Random, mean: float) -> int:
    """Draw by multiplication, or by transformed rejection (PTRS, Hoermann 1993)."""
    if mean < SMALL_MEAN:
        return _poisson_by_counting(chance, mean)
    b = 0.931 + 2.53 * sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = chance.random() - 0.5
        v = 1 - chance.random()
        us = 0.5 - abs(u)
        k = floor((2 * a / us + b) * u + mean + 0.43) if us > 0 else -1
        if us >= 0.07 and v <= v_r:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        left = log(v) + log(inverse_alpha) - log(a / (us * us) + b)
        if left <= k * log(mean) - mean - lgamma(k + 1):
            return k


def _poisson_by_counting(chance: Random, mean: float) -> int:
    product, limit, count = chance.random(), exp(-mean), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count


def binomial(chance: Random, n: int, p: float) -> int:
    """Draw by geometric gaps, or by transformed rejection (BTRS, Hoermann 1993)."""
    if n <= 0 or p <= 0:
        return 0
    if p >= 1:
        return n
    if p > 0.5:
        return n - binomial(chance, n, 1 - p)
    if n * p < SMALL_MEAN:
        return _binomial_by_gaps(chance, n, p)
    spread = sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = n * p + 0.5
    v_r = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    odds, mode = log(p / (1 - p)), floor((n + 1) * p)
    height = lgamma(mode + 1) + lgamma(n - mode + 1)
    while True:
        u = chance.random() - 0.5
        v = 1 - chance.random()
        us = 0.5 - abs(u)
        k = floor((2 * a / us + b) * u + c) if us > 0 else -1
        if not 0 <= k <= n:
            continue
        if us >= 0.07 and v <= v_r:
            return k
        v = log(v * alpha / (a / (us * us) + b))
        if v <= height - lgamma(k + 1) - lgamma(n - k + 1) + (k - mode) * odds:
            return k


def _binomial_by_gaps(chance: Random, n: int, p: float) -> int:
    count, position, scale = 0, 0, log(1 - p) if p > 1e-9 else -p
    while True:
        position += floor(log(1 - chance.random()) / scale) + 1
        if position > n:
            return count
        count += 1


def geometric(chance: Random, p: float) -> int:
    """Draw the trial of the first success, from 1."""
    return 1 if p >= 1 else floor(log(1 - chance.random()) / log(1 - p)) + 1


def clumped(chance: Random, mean: float, size: float) -> int:
    """Draw the sum of Poisson many clumps of geometric sizes with mean `size`."""
    clumps = poisson(chance, mean / size)
    if not clumps:
        return 0
    extra = chance.gammavariate(clumps, size - 1) if size > 1 else 0.0
    # A negative binomial is a Poisson whose mean is a Gamma.
    return clumps + poisson(chance, extra)
