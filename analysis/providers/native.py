"""Native histograms as Prometheus answers them: from buckets of any resolution to our own bounds.

Format: Prometheus HTTP API, "Native histograms". An answer names neither the resolution nor the
empty buckets, so the bounds in it change as requests come: what is taken instead are `BOUNDS`, at
which every resolution that is in use has an end of a bucket.

Invariant: a count at a bound is exact. Where a bucket that holds something reaches over a bound,
nothing is said of that bound, and nothing is interpolated. Pure; no I/O and no judging.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf, isclose, isfinite, log2
from typing import Any

from analysis.providers.exposition import PageError

BOUNDS = tuple(2.0 ** (half / 2) for half in range(-20, 21))
"""Seconds: 41 bounds from 1 ms to 17 min, each 1.41 times the one before. Those of schema 1, which
every finer schema has, too, and a coarser one in part; finer ones would be neighbours that say the
same, and the judge compares ten."""

MOST_OWN_BOUNDS = 64
"""Of a histogram with custom buckets; client libraries come with 11 to 20."""

FINEST = 2.0**8
"""Buckets from one power of two to the next in schema 8, the finest one."""

NEAR = 1e-9
"""Relative. Ends of buckets are powers of roots of two, which are rounded twice on their way."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What took more than `lower` and at most `upper` seconds; one over 0 may be the zero bucket.

    Which of its ends belongs to a bucket is not kept: above 0 it is the upper one, and all below 0
    is less than any bound.
    """

    lower: float
    upper: float
    count: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """One pod's requests by how long they took.

    Attributes:
        count: all of them; durations that are no number are in no bucket.
        buckets: those that hold something.
    """

    count: float
    buckets: tuple[Bucket, ...] = ()


def histogram_of(value: Any) -> Histogram | None:
    """Read `{"count": "2", "sum": "1.5", "buckets": [[0, "0.5", "1", "2"]]}`; else None."""
    if not isinstance(value, dict) or not isinstance(value.get("buckets", []), list):
        return None
    count = _number(value.get("count"))
    buckets = [_bucket(entry) for entry in value.get("buckets", [])]
    if count is None or None in buckets:
        return None
    return Histogram(count, tuple(bucket for bucket in buckets if bucket is not None))


def _bucket(entry: Any) -> Bucket | None:
    if not isinstance(entry, list) or len(entry) != 4 or entry[0] not in (0, 1, 2, 3):
        return None
    lower, upper, count = (_number(text) for text in entry[1:])
    if lower is None or upper is None or count is None or not lower <= upper:
        return None
    return Bucket(lower, upper, count)


def _number(text: Any) -> float | None:
    try:
        return float(text) if isinstance(text, str) else None
    except ValueError:
        return None


def cumulate(histogram: Histogram, name: str) -> tuple[Mapping[float, float], float]:
    """Count what is at or below each bound, and all; a bound that is not known is left out.

    Raises:
        PageError: the counts are none, or more is in the buckets than was counted.
    """
    counts = (histogram.count, *(bucket.count for bucket in histogram.buckets))
    if not all(isfinite(count) and count >= 0 for count in counts):
        raise PageError(f"the histogram {name} has a count that is none")
    inside = sum(bucket.count for bucket in histogram.buckets)
    if inside > histogram.count and not isclose(inside, histogram.count, rel_tol=NEAR):
        raise PageError(
            f"the histogram {name} has {inside:.0f} in its buckets and {histogram.count:.0f} in all"
        )
    bounds = _own_bounds(histogram.buckets) or BOUNDS
    return _within(histogram, bounds), histogram.count


def _within(histogram: Histogram, bounds: Sequence[float]) -> dict[float, float]:
    added = [0.0] * (len(bounds) + 1)
    unknown: set[int] = set()
    for bucket in histogram.buckets:
        first = bisect_left(bounds, bucket.upper * (1 - NEAR))
        added[first] += bucket.count
        if bucket.count:
            unknown.update(range(bisect_right(bounds, bucket.lower * (1 + NEAR)), first))
    # Fractions add up to a little more than their sum at times, and no part exceeds the whole.
    sums = (min(count, histogram.count) for count in accumulate(added))
    known = zip(bounds, sums, strict=False)
    return {bound: count for place, (bound, count) in enumerate(known) if place not in unknown}


def _own_bounds(buckets: Iterable[Bucket]) -> tuple[float, ...]:
    """Return the ends of custom buckets; nothing where the buckets are exponential ones."""
    ends = {
        end
        for bucket in buckets
        if bucket.lower != -bucket.upper  # the zero bucket, which ends wherever its client likes
        for end in (bucket.lower, bucket.upper)
        if 0 < end < inf
    }
    if len(ends) > MOST_OWN_BOUNDS or all(map(_is_exponential, ends)):
        return ()
    return tuple(sorted(ends))


def _is_exponential(end: float) -> bool:
    place = log2(end) * FINEST
    return isclose(place, round(place), abs_tol=1e-6)
