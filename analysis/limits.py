"""Absolute limits: at most a share of the canary's requests fails, or takes too long.

Reads counts of a block and nothing else. The mathematics is analysis.eprocess; what follows from a
check's words is analysis.judge. Nothing here interpolates: a bucket tells what it counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isclose, isfinite, log

from analysis import wording
from analysis.checks import CheckState, Look, Weighed
from analysis.eprocess import (
    STARTS_EVERY_SECONDS,
    Evidence,
    LimitTest,
    add,
    begin,
    beyond,
    cap,
    forfeit,
    inside,
)
from analysis.history import NOTHING_KNOWN, History
from analysis.samples import Block, Counts
from analysis.verdict import Ground

DOUBT = log(10)
"""Evidence of 1 : 10 against a canary is no failure, but nothing to be called safe either."""

STABLE_CAP = log(100)
"""What stable's own evidence may remember of an incident, so that the next look after it sees the
end of it: some 200 requests at a limit of 1 %."""

# ---------------------------------------------------------------- what is bad about a request


@dataclass(frozen=True, slots=True)
class Tally:
    """Of `total` requests, `bad` ones."""

    bad: int
    total: int


@dataclass(frozen=True, slots=True)
class Measured:
    """How many requests of an arm were bad, as far as its buckets tell.

    Attributes:
        surely: requests that are bad in any case; None where none can be told.
        maybe: requests that may be bad; None likewise. Equal to `surely` where it is exact.
        bounds: the bucket bounds behind `maybe` and `surely`; equal where exact, 0 or infinite
            where there is none.
    """

    surely: Tally | None
    maybe: Tally | None
    bounds: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class FailedRequests:
    """Bad is what the application itself counted as failed."""

    def measure(self, counts: Counts) -> Measured:
        tally = Tally(counts.failed, counts.requests)
        return Measured(tally, tally)

    def clause(self, tally: str, below: float, above: float) -> str:  # noqa: ARG002 - as above
        return f"canary failed {tally}"

    def caveat(self, below: float, above: float) -> str:  # noqa: ARG002 - counts are exact
        return ""


@dataclass(frozen=True, slots=True)
class SlowRequests:
    """Bad is what took longer than `seconds`.

    A histogram tells that only at its own bounds. Where none of them is `seconds`, a request
    beyond the next larger bound was slow in any case, and one within the next smaller bound was
    not: the first speaks for failing, the second for passing, and neither is an interpolation.
    """

    seconds: float

    def measure(self, counts: Counts) -> Measured:
        below = max((b for b in counts.within if self._reaches(b, self.seconds)), default=0.0)
        above = min((b for b in counts.within if self._reaches(self.seconds, b)), default=inf)
        return Measured(self._slower(counts, above), self._slower(counts, below), (below, above))

    def clause(self, tally: str, below: float, above: float) -> str:
        counted_at = above or below or self.seconds
        return f"canary took longer than {wording.seconds(counted_at)} for {tally}"

    def caveat(self, below: float, above: float) -> str:
        """Name both neighbours where no bucket ends at the limit; 0 stands for none."""
        if below == above:
            return ""
        passing = f"passed by {wording.seconds(below)}" if below else "cannot be passed"
        failing = f"failed by {wording.seconds(above)}" if above else "cannot be failed"
        return f"no bucket ends at {wording.seconds(self.seconds)}: {passing}, {failing}"

    @staticmethod
    def _reaches(bound: float, limit: float) -> bool:
        return bound <= limit or isclose(bound, limit)

    @staticmethod
    def _slower(counts: Counts, bound: float) -> Tally | None:
        within = counts.within.get(bound)
        return None if within is None else Tally(counts.timed - within, counts.timed)


# ---------------------------------------------------------------- an absolute limit


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """At most the share `limit` of the canary's requests is bad.

    Keeps three e-processes (analysis.eprocess): `beyond` against the canary, `inside` for it, and
    `stable`, which says whether the stable version is itself beyond the limit. While it is, the
    canary's bad requests say nothing about the canary: its winnings are given back, so that it is
    not rolled back when the shared incident ends.

    Attributes:
        limit: a share between 0 and 1.
        log_safe: log(1/beta), what `inside` must reach.
        tempering: phi, for failures in clumps.
    """

    name: str
    limit: float
    bad: FailedRequests | SlowRequests
    log_safe: float
    decides: bool = True
    tempering: float = 1.0
    stake: float = 1.0

    @property
    def keeps_evidence(self) -> bool:
        return True

    def begin(self, past: History = NOTHING_KNOWN) -> CheckState:  # noqa: ARG002 - of no use
        evidence = {
            "beyond": begin(self._beyond),
            "inside": begin(self._inside),
            "stable": begin(self._beyond),
        }
        return CheckState(evidence, dict.fromkeys(_NUMBERS, 0.0))

    @property
    def _beyond(self) -> LimitTest:
        return beyond(self.limit, tempering=self.tempering)

    @property
    def _inside(self) -> LimitTest:
        return inside(self.limit, tempering=self.tempering)

    def take(self, state: CheckState, look: Look) -> CheckState:
        block = look.block
        if block is None:
            return state
        canary, stable = self.bad.measure(block.canary), self.bad.measure(block.stable)
        worse = _add(state.evidence["beyond"], self._beyond, canary.surely, block.seconds)
        safer = _add(state.evidence["inside"], self._inside, canary.maybe, block.seconds)
        shared = _add(state.evidence["stable"], self._beyond, stable.surely, block.seconds)
        shared = cap(shared, STABLE_CAP)
        if shared.log_e >= self.log_safe:
            worse = forfeit(worse)
        numbers = _count(state.numbers, block, canary, stable)
        return CheckState({"beyond": worse, "inside": safer, "stable": shared}, numbers)

    def weigh(self, state: CheckState, look: Look) -> Weighed:  # noqa: ARG002 - state has it
        against = state.evidence["beyond"].log_e
        favour = state.evidence["inside"].log_e
        is_over_now = _recent_share(state.numbers) > self.limit
        ground = Ground.UNDECIDED
        if state.numbers["unmeasured"]:
            ground = Ground.NO_DATA
        elif state.evidence["stable"].log_e >= self.log_safe and is_over_now:
            ground = Ground.SHARED_INCIDENT
        elif against >= DOUBT:
            ground = Ground.DOUBTFUL
        return Weighed(
            facts=self._facts(state.numbers, ground),
            against=against,
            favour=favour,
            safe=ground is Ground.UNDECIDED and favour >= self.log_safe,
            ground=ground,
        )

    def _facts(self, numbers: Mapping[str, float], ground: Ground) -> str:
        if ground is Ground.NO_DATA:
            return (
                f"canary completed {wording.counted(numbers['unmeasured'])} requests of which no"
                " histogram of its pods tells how long they took"
            )
        below, above = numbers["below"], numbers["above"]
        parts = [self.bad.clause(_spoken(numbers, self.limit), below, above)]
        if numbers["stable_total"]:
            parts.append(f"stable {wording.part(numbers['stable_bad'], numbers['stable_total'])}")
        parts.append(f"limit {wording.percent(self.limit)}")
        caveat = self.bad.caveat(below, above)
        return ", ".join([*parts, caveat] if caveat else parts)


_NUMBERS = (
    "unmeasured",
    "bad",
    "total",
    "recent_bad",
    "recent_total",
    "recent_seconds",
    "earlier_bad",
    "earlier_total",
    "stable_bad",
    "stable_total",
    "below",
    "above",
)


def _add(evidence: Evidence, test: LimitTest, tally: Tally | None, seconds: float) -> Evidence:
    if tally is None or not tally.total:
        return evidence
    return add(evidence, test, bad=tally.bad, total=tally.total, seconds=seconds)


def _count(
    numbers: Mapping[str, float], block: Block, canary: Measured, stable: Measured
) -> Mapping[str, float]:
    """Add a block to the numbers that sentences are made of.

    They count what is surely bad where buckets tell it. `recent` is what came since the minute
    began, `earlier` the minute before it.
    """
    told = dict(numbers)
    if told["recent_seconds"] >= STARTS_EVERY_SECONDS:
        told["earlier_bad"], told["earlier_total"] = told["recent_bad"], told["recent_total"]
        told["recent_bad"] = told["recent_total"] = told["recent_seconds"] = 0.0
    told["recent_seconds"] += block.seconds
    tally = canary.surely or canary.maybe
    if tally is None:
        told["unmeasured"] += block.canary.requests
    elif tally.total:
        told["unmeasured"] = 0.0
    if tally is not None:
        for total in ("", "recent_"):
            told[f"{total}bad"] += tally.bad
            told[f"{total}total"] += tally.total
        told["below"], told["above"] = (b if isfinite(b) else 0.0 for b in canary.bounds)
    if tally := stable.surely or stable.maybe:
        told["stable_bad"] += tally.bad
        told["stable_total"] += tally.total
    return told


def _recent(numbers: Mapping[str, float]) -> tuple[float, float]:
    return (
        numbers["recent_bad"] + numbers["earlier_bad"],
        numbers["recent_total"] + numbers["earlier_total"],
    )


def _recent_share(numbers: Mapping[str, float]) -> float:
    bad, total = _recent(numbers)
    return bad / total if total else 0.0


def _spoken(numbers: Mapping[str, float], limit: float) -> str:
    """Say the canary's counts, and the last minutes' where the sum would hide them."""
    whole = wording.part(numbers["bad"], numbers["total"])
    if _recent_share(numbers) <= limit or numbers["bad"] > limit * numbers["total"]:
        return whole
    return f"{wording.part(*_recent(numbers))} in the last minutes ({whole} in all)"
