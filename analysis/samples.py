"""Counts, as they come from counters: readings, and the blocks between two readings.

A reading is cumulative, per pod: requests completed, failed, and at or below each latency bound.
A block is the difference of two readings of ours, summed per version. Nothing here knows a clock;
times come with the readings. Two arms are kept side by side from the start (`canary`, `stable`),
so that a test of one against the other reads the same blocks as a test against a limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Counters:
    """One pod's counters at one moment, all cumulative since the pod started.

    Attributes:
        requests: completed requests.
        failed: of these, the failed ones (by default code 5xx).
        within: bound in seconds -> requests at or below it (without +Inf); empty without a histogram.
        timed: requests the histogram counted; 0 without one.
    """

    requests: float
    failed: float
    within: Mapping[float, float] = field(default_factory=dict)
    timed: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a provider saw in one look.

    Attributes:
        at: seconds on one monotonic scale of the provider's choice; only differences are used.
        pods: version -> pod name -> counters. A version without readable pods has an empty mapping.
        missing: pods that should have answered and did not, with a reason, e.g. {"echo-v2-x": "timed out"}.
    """

    at: float
    pods: Mapping[str, Mapping[str, Counters]]
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counts:
    """One arm of a block: whole requests, summed over pods."""

    requests: int = 0
    failed: int = 0
    within: Mapping[float, int] = field(default_factory=dict)
    timed: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """The requests completed between two readings.

    Attributes:
        seconds: length of the block.
        weight: percent of ordinary traffic on the canary while it lasted.
        restarted: pods whose counters fell; they are left out of the counts.
    """

    seconds: float
    weight: int
    canary: Counts
    stable: Counts
    restarted: tuple[str, ...] = ()


class NumberKind(StrEnum):
    """What a query's answer was. Only VALUE may ever decide."""

    VALUE = "value"
    NO_DATA = "no data"
    NAN = "not a number"
    INFINITE = "infinite"
    MANY_SERIES = "several series"
    WRONG_TYPE = "wrong type"
    STALE = "stale"
    WARNINGS = "answered with warnings"


@dataclass(frozen=True, slots=True)
class Number:
    """The answer of one `query` check."""

    kind: NumberKind
    value: float = 0.0
