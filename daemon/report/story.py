"""What happened in a rollout, look by look: its journal judged again, and the sums a page shows.

Everything here is worked out from the journal and the policy that the rollout began with
(`analysis.explanation` says why it went as it went); the record only adds how it ended. Pure, and
no sentences or pictures.

Invariant: a verdict on the page is one that the judge gives to these very counts again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Final, Protocol

from analysis.checks import Look, Weighed
from analysis.compare import Arms, failed_in
from analysis.eprocess import log_sum
from analysis.explanation import Explanation, Raise, explain
from analysis.journal import Entry, Journal, replay
from analysis.judge import JudgeState, shares_of
from analysis.ramp import EVERYBODY, Exposure, acceptable_excess
from analysis.samples import Block
from analysis.settings import JudgeSettings
from analysis.verdict import Judgement, Verdict
from config.schema import Rollout
from daemon.core.model import Phase, Record, TargetKey

NONE: Final = Arms(0, 0, 0, 0)


class Case(Protocol):
    """One rollout, with all that is kept of it."""

    @property
    def key(self) -> TargetKey:
        """Its target."""
        ...

    @property
    def record(self) -> Record | None:
        """The record at the time; None where it is not known."""
        ...

    @property
    def rollout(self) -> Rollout:
        """The policy that it began with."""
        ...

    @property
    def journal(self) -> Journal:
        """What was read and judged."""
        ...

    @property
    def settings(self) -> JudgeSettings:
        """How it was judged."""
        ...


class Outcome(StrEnum):
    """How it ended, as far as it did."""

    ROLLED_BACK = "rolled back"
    PROMOTED = "promoted"
    FAILED = "failed"
    """a look failed it, and no record says what followed"""
    UNDER_WAY = "under way"


@dataclass(frozen=True, slots=True)
class Seen:
    """One look, with what was known after it.

    Attributes:
        at: seconds since the evidence began.
        evidence: check -> log of share * E against the canary; deciding checks only.
        total: log of the evidence of all of them together.
        sums: both versions' requests and failures up to here.
        exposure: None where no check compares failures.
        read: whether the look brought anything.
    """

    at: float
    entry: Entry
    judgement: Judgement
    evidence: Mapping[str, float]
    total: float
    sums: Arms
    exposure: Exposure | None
    read: bool

    @property
    def affected(self) -> float:
        """Canary requests that failed beyond what stable's share promises; at least 0."""
        sums = self.sums
        usual = sums.stable_bad / sums.stable if sums.stable else 0.0
        return max(sums.canary_bad - usual * sums.canary, 0.0)

    @property
    def at_risk(self) -> float | None:
        """Requests that may fail in excess until the weight can be taken back, at most."""
        seen = self.exposure
        if seen is None or seen.rate == inf:
            return None
        return seen.rate * seen.delay * seen.excess * self.entry.weight / 100

    @property
    def acceptable(self) -> float | None:
        """The excess with which it would count as good as stable."""
        return None if self.exposure is None else acceptable_excess(self.exposure)


@dataclass(frozen=True, slots=True)
class Change:
    """A look that changed something.

    Attributes:
        before: the look before it; None for the first.
        what: of "weight", "verdict", "excess", "restart".
    """

    seen: Seen
    before: Seen | None
    what: frozenset[str]


@dataclass(frozen=True, slots=True)
class Story:
    """A case, told."""

    case: Case
    outcome: Outcome
    explained: Explanation
    looks: tuple[Seen, ...]
    changes: tuple[Change, ...]

    @property
    def last(self) -> Seen:
        """The latest look."""
        return self.looks[-1]

    @property
    def canary(self) -> str:
        """The new version's name."""
        return self.case.journal.canary or "the canary"

    @property
    def stable(self) -> str:
        """The old version's name."""
        return self.case.journal.stable

    @property
    def record(self) -> Record | None:
        """The record, where it is about this rollout."""
        record = self.case.record
        return record if record and record.id == self.case.journal.rollout else None

    @property
    def blocks(self) -> Iterator[tuple[float, Block]]:
        """What was counted, with the time of the look."""
        for seen in self.looks:
            if isinstance(seen.entry.read, Block):
                yield seen.at, seen.entry.read

    @property
    def to_everybody(self) -> Raise | None:
        """The move to 100 %, if there was one."""
        raises = self.explained.raises
        return next((it for it in reversed(raises) if it.weight >= EVERYBODY), None)

    @property
    def deciding(self) -> Seen:
        """The look that the outcome rests on: the failed one, the one before 100 %, or the last."""
        looks = self.looks
        for seen in looks:
            if seen.judgement.verdict is Verdict.FAIL:
                return seen
        if self.outcome is Outcome.PROMOTED and self.to_everybody is not None:
            partly = [seen for seen in looks if seen.entry.weight < EVERYBODY]
            looks = tuple(partly) or looks
        return next((seen for seen in reversed(looks) if seen.read), looks[-1])

    def since_begun(self, at: float) -> float:
        """Return a time since the epoch as seconds since the evidence began."""
        return max(at - self.case.journal.begun, 0.0)


def tell(case: Case) -> Story | None:
    """Judge the journal again and tell what happened; None for a journal without any look."""
    explained = explain(case.settings, case.journal)
    if explained is None:
        return None
    looks = tuple(_looks(case))
    return Story(case, _outcome(case, looks), explained, looks, tuple(_changes(looks)))


def _looks(case: Case) -> Iterator[Seen]:
    gone, begun = case.journal.gone, case.journal.begun
    sums = Arms(gone.canary_failed, gone.canary, gone.stable_failed, gone.stable)
    evidence: dict[str, float] = {}
    total, exposure = 0.0, None
    for entry, state, judgement in replay(case.settings, case.journal):
        read = entry.read is None or isinstance(entry.read, Block)
        if read:
            block = entry.read if isinstance(entry.read, Block) else None
            said = _weighed(case.settings, state, Look(block, entry.numbers, entry.ahead))
            evidence, total = _evidence(case.settings, said)
            exposure = _exposure(case.settings, said)
            sums += failed_in(block) if block else NONE
        at = max(entry.at - begun, 0.0)
        yield Seen(at, entry, judgement, evidence, total, sums, exposure, read)


def _weighed(settings: JudgeSettings, state: JudgeState, look: Look) -> tuple[Weighed, ...]:
    pairs = zip(settings.checks, state.checks, strict=True)
    return tuple(check.weigh(memory, look) for check, memory in pairs)


def _evidence(settings: JudgeSettings, said: Sequence[Weighed]) -> tuple[dict[str, float], float]:
    """Return log(share * E) of each deciding check by its name, and the log of their sum."""
    by_place = shares_of(settings, said)
    shares = {settings.checks[place].name: log_e for place, log_e in by_place.items()}
    return shares, log_sum(list(shares.values())) if shares else 0.0


def _exposure(settings: JudgeSettings, said: Sequence[Weighed]) -> Exposure | None:
    """Return the exposure with the largest excess left: the one that the weight waits for."""
    seen = [
        weighed.exposure
        for check, weighed in zip(settings.checks, said, strict=True)
        if check.decides and weighed.exposure is not None
    ]
    return max(seen, key=lambda it: it.excess, default=None)


# ---------------------------------------------------------------- what came of it


def _outcome(case: Case, looks: Sequence[Seen]) -> Outcome:
    record, journal = case.record, case.journal
    if record is None or record.id != journal.rollout:
        failed = any(seen.judgement.verdict is Verdict.FAIL for seen in looks)
        return Outcome.FAILED if failed else Outcome.UNDER_WAY
    match record.phase:
        case Phase.ROLLING_BACK | Phase.ROLLED_BACK:
            return Outcome.ROLLED_BACK
        case Phase.FINALISING | Phase.RETIRING:
            return Outcome.PROMOTED
        case Phase.IDLE:
            # Promoted, unless the canary went away and the old version is stable still.
            same = record.stable == journal.canary
            return Outcome.PROMOTED if same else Outcome.ROLLED_BACK
        case _:
            return Outcome.UNDER_WAY


def _changes(looks: Sequence[Seen]) -> Iterator[Change]:
    """Find the looks after which something stood differently than before."""
    before: Seen | None = None
    for seen in looks:
        what = frozenset(_differences(before, seen)) if before else frozenset({"verdict"})
        if what:
            yield Change(seen, before, what)
        before = seen


def _differences(before: Seen, seen: Seen) -> Iterator[str]:
    if before.entry.weight != seen.entry.weight:
        yield "weight"
    was, now = before.judgement, seen.judgement
    if (was.verdict, was.ground) != (now.verdict, now.ground):
        yield "verdict"
    if before.exposure and seen.exposure and seen.exposure.excess < before.exposure.excess:
        yield "excess"
    if isinstance(seen.entry.read, Block) and seen.entry.read.canary.restarts:
        yield "restart"
