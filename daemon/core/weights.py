"""Weights as numbers: percent of the traffic, two decimals at most.

Invariant: a whole number is an int, anything else a float of hundredths. So equal weights are equal
wherever they come from, `str` shows them as people write them ("0.35", "25"), and a record without
decimals is spelled as it always was.
"""

FULL = 100
"""Everybody."""
PARTS = 100
"""Hundredths of a percent are the finest that is written to a route."""


def exact(weight: float) -> float:
    """Return the weight in hundredths of a percent, the nearest; a whole number as an int."""
    rounded = round(weight, 2)
    return int(rounded) if rounded == int(rounded) else rounded


def rest_of(weight: float) -> float:
    """Return what is left for the other version."""
    return exact(FULL - weight)


def in_parts(weight: float) -> int:
    """Return how many hundredths of a percent a weight is."""
    return round(weight * PARTS)


def share_of(pods: int, weight: float) -> int:
    """Return how many of these pods a weight takes, rounded up; exact for hundredths."""
    return -(-pods * in_parts(weight) // (FULL * PARTS))
