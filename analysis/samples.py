"""Counts, as they come from counters: readings, and the blocks between two readings.

A reading is cumulative, per pod: requests completed, failed, and at or below each latency bound.
A block is the difference of two readings of ours: first per pod, then summed per version. Nothing
here knows a clock; times come with the readings. Two arms are kept side by side from the start
(`canary`, `stable`), so that a test of one against the other reads the same blocks as a test
against a limit.

Invariant: no count is ever negative, failed and "within" counts never exceed their totals, and
nothing is counted that is not the difference of two sound readings of one pod. No statistics here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import isfinite

LARGEST_COUNT = 2.0**53
"""Above it a float no longer holds every whole number, so a difference would be a guess."""


COUNTED_BY = "@"
"""Between a pod's name and who keeps its counters, where that is somebody else: several sources may
be one pod."""


@dataclass(frozen=True, slots=True)
class Counters:
    """One pod's counters at one moment, all cumulative since the pod started.

    Attributes:
        requests: completed requests.
        failed: of these, the failed ones (by default code 5xx).
        within: bound in seconds -> requests at or below it (without +Inf); empty without a
            histogram.
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
        pods: version -> pod, or source of a pod (`COUNTED_BY`), -> counters. A version without
            readable pods has an empty mapping.
        missing: pods that should have answered and did not, with a reason, e.g. {"echo-v2-x":
            "timed out"}.
    """

    at: float
    pods: Mapping[str, Mapping[str, Counters]]
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counts:
    """One arm of a block: whole requests, summed over pods.

    Attributes:
        within: only bounds that every timed pod of the arm has.
        timed: requests of the pods that `within` speaks of.
        pods: how many pods both readings hold; 0 means that nothing could be counted.
        restarts: how many pods were restarted in between; what they served is lost.
    """

    requests: int = 0
    failed: int = 0
    within: Mapping[float, int] = field(default_factory=dict)
    timed: int = 0
    pods: int = 0
    restarts: int = 0


FAILED = 0.0
"""Key of failures where latency bounds, all above 0, are the other keys."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How unevenly the bad requests of one arm fell on its pods (method of moments).

    Attributes:
        seen: sum over pods of (y - e)^2 * N / n, with e = n * Y / N what the pod's n of N requests
            promise of the arm's Y bad ones; over 1 - Y/N, the variance of a draw without clumps.
        expected: Y * (pods - 1), its mean were every request bad or not by itself. The ratio
            seen/expected is E[K^2]/E[K] for clumps of size K that each fall on one pod.
    """

    seen: float
    expected: float


@dataclass(frozen=True, slots=True)
class Block:
    """The requests completed between two readings.

    Attributes:
        seconds: length of the block.
        weight: percent of ordinary traffic on the canary while it lasted.
        restarted: pods whose counters fell; they are left out of the counts.
        missing: pods that could not be counted otherwise, with a reason; the canary's first.
        spread: FAILED or a latency bound -> how unevenly stable's bad requests fell on its pods.
    """

    seconds: float
    weight: float
    canary: Counts
    stable: Counts
    restarted: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    spread: Mapping[float, Spread] = field(default_factory=dict)


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
    """The answer of one `query` check.

    Attributes:
        at: seconds at which it was evaluated, on the provider's own scale; only differences are
            used.
    """

    kind: NumberKind
    value: float = 0.0
    at: float = 0.0


def close_block(
    before: Reading, after: Reading, *, stable: str, canary: str | None, weight: float
) -> Block:
    """Count the requests completed between two readings.

    A pod's first reading only sets its reference, and so does the first one after a missed reading:
    a block covers the same seconds in both arms, and a pod that answered late must not bring
    failures of an incident in which the other arm is not counted any more. A pod whose counter
    fell was
    restarted: it is left out and named. Vanished pods have nothing to be counted.

    Pass the readings on either side of a weight change as separate blocks, never across it.
    """
    of_canary = _count_arm(before, after, canary) if canary else _Arm()
    of_stable = _count_arm(before, after, stable)
    return Block(
        seconds=max(after.at - before.at, 0.0),
        weight=weight,
        canary=of_canary.counts,
        stable=of_stable.counts,
        restarted=(*of_canary.restarted, *of_stable.restarted),
        missing={**of_canary.missing, **after.missing, **of_stable.missing},
        spread=of_stable.spread,
    )


@dataclass(frozen=True, slots=True)
class _Arm:
    counts: Counts = field(default_factory=Counts)
    restarted: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    spread: Mapping[float, Spread] = field(default_factory=dict)


def _count_arm(before: Reading, after: Reading, version: str) -> _Arm:
    references = before.pods.get(version, {})
    restarted: list[str] = []
    missing: dict[str, str] = {}
    differences: dict[str, Counts] = {}
    for pod, now in sorted(after.pods.get(version, {}).items()):
        reference = references.get(pod)
        if fault := _fault(now):
            missing[pod] = fault
        elif reference is None:
            missing[pod] = "first reading, counted from now on"
        elif _fault(reference):
            missing[pod] = "its previous reading was unsound, counted from now on"
        elif _restarted(reference, now):
            restarted.append(pod)
        elif _began_anew(reference, now):
            missing[pod] = "its histogram began anew, counted from now on"
        elif _contradicts(difference := _difference(reference, now)):
            missing[pod] = "its counters contradict each other"
        else:
            differences[pod] = difference
    # Counters that somebody else keeps of a pod begin anew without a restart of the pod.
    own = sum(COUNTED_BY not in source for source in restarted)
    total = replace(_total(list(differences.values())), restarts=own)
    return _Arm(total, tuple(restarted), missing, _spreads(total, _by_pod(differences)))


def _fault(counters: Counters) -> str:
    """Say why these counters cannot be used, or nothing."""
    values = (counters.requests, counters.failed, counters.timed, *counters.within.values())
    if not all(isfinite(value) for value in values):
        return "a counter is not a number"
    if min(values) < 0:
        return "a counter is negative"
    if max(values) > LARGEST_COUNT:
        return "a counter is too large to be a count"
    if counters.failed > counters.requests:
        return "more requests failed than were completed"
    return ""


def _restarted(before: Counters, after: Counters) -> bool:
    return after.requests < before.requests or after.failed < before.failed


def _began_anew(before: Counters, after: Counters) -> bool:
    """Tell whether the histogram alone fell: client libraries reset native ones by themselves."""
    bounds = _bounds_in_both(before, after)
    fell = any(after.within[bound] < before.within[bound] for bound in bounds)
    return after.timed < before.timed or fell


def _bounds_in_both(before: Counters, after: Counters) -> Iterable[float]:
    return sorted(before.within.keys() & after.within.keys())


def _difference(before: Counters, after: Counters) -> Counts:
    """Subtract one pod's counters. Its latency counts only where a bound can be compared.

    A pod without any request has no histogram yet (clients create it with the first observation):
    then all its buckets were zero.
    """
    if not before.requests and not before.timed and not before.within:
        before = Counters(0.0, 0.0, dict.fromkeys(after.within, 0.0))
    within = {
        bound: int(after.within[bound] - before.within[bound])
        for bound in _bounds_in_both(before, after)
    }
    return Counts(
        requests=int(after.requests - before.requests),
        failed=int(after.failed - before.failed),
        within=within,
        timed=int(after.timed - before.timed) if within else 0,
        pods=1,
    )


def _contradicts(counts: Counts) -> bool:
    return counts.failed > counts.requests or any(
        within > counts.timed for within in counts.within.values()
    )


def _total(pods: list[Counts]) -> Counts:
    timed = [counts for counts in pods if counts.within]
    bounds = set.intersection(*(set(counts.within) for counts in timed)) if timed else set()
    return Counts(
        requests=sum(counts.requests for counts in pods),
        failed=sum(counts.failed for counts in pods),
        within={bound: sum(counts.within[bound] for counts in timed) for bound in sorted(bounds)},
        timed=sum(counts.timed for counts in timed) if bounds else 0,
        pods=len(pods),
    )


def _by_pod(sources: Mapping[str, Counts]) -> list[Counts]:
    """Add up the sources of each pod."""
    pods: dict[str, list[Counts]] = {}
    for source, counts in sources.items():
        pods.setdefault(source.partition(COUNTED_BY)[0], []).append(counts)
    return [_total(of_pod) for of_pod in pods.values()]


def _spreads(total: Counts, pods: list[Counts]) -> dict[float, Spread]:
    """Compare the pods of one arm; nothing where there is no second pod or nothing bad."""
    tallies = {FAILED: [(pod.failed, pod.requests) for pod in pods]}
    for bound in total.within:
        tallies[bound] = [(pod.timed - pod.within[bound], pod.timed) for pod in pods if pod.within]
    spreads = {key: spread_of(arm) for key, arm in tallies.items()}
    return {key: spread for key, spread in spreads.items() if spread is not None}


def spread_of(pods: Sequence[tuple[float, float]]) -> Spread | None:
    """Compare (bad, requests) of pods; None where there is no second one or nothing bad."""
    busy = [(bad, requests) for bad, requests in pods if requests]
    bad = sum(count for count, _ in busy)
    requests = sum(count for _, count in busy)
    if len(busy) < 2 or not 0 < bad < requests:
        return None
    share = bad / requests
    seen = sum((count - n * share) ** 2 * requests / n for count, n in busy) / (1 - share)
    return Spread(seen, float(bad * (len(busy) - 1)))
