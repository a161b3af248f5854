"""The kinds of checks: what each one remembers, and what it says after a look.

A kind is a frozen value with three methods (`CheckKind`). It takes a whole block, both arms, and
keeps its memory in a `CheckState` of named evidence and named numbers; so a new kind (the
comparison with the stable version running beside it) needs a class of its own and nothing new in
the judge. `analysis.limits` holds the absolute limits, this module the kinds that judge plain
numbers.

Invariant: only counts and plain finite values move a state; everything else leaves no trace but a
sentence. What follows from several checks together is the judge's business, never decided here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Protocol

from analysis.eprocess import Evidence
from analysis.history import NOTHING_KNOWN, History
from analysis.ramp import Exposure
from analysis.samples import Block, Number, NumberKind
from analysis.verdict import Ground

BREACHES_TO_FAIL = 3
"""One number is no count and has no error bound: it must stay beyond its limit in three windows
that do not overlap."""

LONGEST_GAP_WINDOWS = 3
"""Two breaches further apart are not "in a row"; the row starts anew."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look brought.

    Attributes:
        block: None where no two readings could be compared.
        ahead: percent of the traffic that a Pass would lead to.
    """

    block: Block | None
    numbers: Mapping[str, Number] = field(default_factory=dict)
    ahead: float = 100.0


@dataclass(frozen=True, slots=True)
class CheckState:
    """One check's memory: a fixed set of names, each with finite numbers."""

    evidence: Mapping[str, Evidence]
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a check has to say after a look.

    Attributes:
        facts: the counts, as a clause: "canary failed 6 of 83 requests (7.2 %), limit 1 %".
        against: log of its e-process against the canary; None where it keeps none.
        favour: log of its e-process for the canary; None where it keeps none.
        failed: it failed by a rule of its own, without an e-process.
        safe: shown to keep its limit.
        over: the ground should it fail.
        ground: what is the matter while it neither failed nor is safe.
        note: what a shared incident comes to.
        exposure: how much traffic its evidence allows; None where it has no say in that.
    """

    facts: str
    against: float | None = None
    favour: float | None = None
    failed: bool = False
    safe: bool = False
    over: Ground = Ground.OVER_LIMIT
    ground: Ground = Ground.UNDECIDED
    note: str = "both versions are beyond it, which says nothing about the canary"
    exposure: Exposure | None = None


class CheckKind(Protocol):
    """What the judge needs of a check."""

    @property
    def name(self) -> str:
        """Its name in the policy."""
        ...

    @property
    def decides(self) -> bool:
        """False for `mode: observe`."""
        ...

    @property
    def keeps_evidence(self) -> bool:
        """Whether it shares in the e-value of the whole rollout (`Weighed.against` is a number)."""
        ...

    @property
    def stake(self) -> float:
        """Its share of the whole rollout's error rate, relative to the other checks'."""
        ...

    def begin(self, past: History = NOTHING_KNOWN) -> CheckState:
        """Its state before any data; later states have the same names and lengths."""
        ...

    def take(self, state: CheckState, look: Look) -> CheckState:
        """Learn from one look."""
        ...

    def weigh(self, state: CheckState, look: Look) -> Weighed:
        """Say what follows, from the state after the look."""
        ...


# ---------------------------------------------------------------- any number of PromQL


@dataclass(frozen=True, slots=True)
class QueryCheck:
    """One number of a query must stay within limits.

    A value inside is safe. A value beyond its limit in three windows that do not overlap, without a
    look between them that was inside or brought no value, fails: windows that overlap are the same
    data seen twice. Anything but one finite value is no data.

    Attributes:
        window: seconds the query looks back; values closer together than this count once.
    """

    name: str
    query: str
    window: float
    at_least: float | None = None
    at_most: float | None = None
    decides: bool = True
    stake: float = 1.0

    @property
    def keeps_evidence(self) -> bool:
        return False

    def begin(self, past: History = NOTHING_KNOWN) -> CheckState:  # noqa: ARG002 - of no use
        return CheckState({}, {"breaches": 0.0, "counted_at": 0.0})

    def take(self, state: CheckState, look: Look) -> CheckState:
        number = look.numbers.get(self.name)
        if number is None or not _is_finite(number) or self._keeps(number.value):
            return self.begin()
        breaches, since = state.numbers["breaches"], number.at - state.numbers["counted_at"]
        if not breaches or since > LONGEST_GAP_WINDOWS * self.window or since < 0:
            return self._breached(1.0, number.at)
        if since < self.window:
            return state
        return self._breached(min(breaches + 1, BREACHES_TO_FAIL), number.at)

    @staticmethod
    def _breached(breaches: float, at: float) -> CheckState:
        return CheckState({}, {"breaches": breaches, "counted_at": at})

    def weigh(self, state: CheckState, look: Look) -> Weighed:
        number = look.numbers.get(self.name)
        if number is None:
            return Weighed("the query was not asked", ground=Ground.NO_DATA)
        if not _is_finite(number):
            ground = Ground.STALE if number.kind is NumberKind.STALE else Ground.NO_DATA
            kind = NumberKind.INFINITE if number.kind is NumberKind.VALUE else number.kind
            return Weighed(f"the query's answer cannot be judged: {kind}", ground=ground)
        breaches = state.numbers["breaches"]
        facts = f"the query answers {number.value:.6g}, {self._limits()}"
        if not breaches:
            return Weighed(facts, safe=True)
        return Weighed(
            f"{facts}; beyond it in {breaches:.0f} of {BREACHES_TO_FAIL} windows in a row",
            failed=breaches >= BREACHES_TO_FAIL,
            ground=Ground.DOUBTFUL,
        )

    def _keeps(self, value: float) -> bool:
        least = -inf if self.at_least is None else self.at_least
        most = inf if self.at_most is None else self.at_most
        return least <= value <= most

    def _limits(self) -> str:
        limits = (("at least", self.at_least), ("at most", self.at_most))
        return " and ".join(f"{word} {limit:.6g}" for word, limit in limits if limit is not None)


def _is_finite(number: Number) -> bool:
    return number.kind is NumberKind.VALUE and isfinite(number.value)
