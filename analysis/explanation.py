"""Why a rollout went as it went: from its journal to counts, bands, evidence and raises.

Everything is worked out again from the journal (`analysis.journal.replay`), nothing is taken from
what was said then; whether both agree is part of the answer. Values only: the words, and how they
are laid out, are for whoever shows them.

Invariant: what is said about the evidence is as of the look that decided, the first Fail, or the
last look where none failed; what happened to users counts all looks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from analysis.bands import Band, follow
from analysis.checks import CheckKind, CheckState, Look
from analysis.compare import Arms, failed_in, track_of
from analysis.decidability import informative, smallest_seen
from analysis.journal import Entry, Journal, Unread, replay
from analysis.judge import JudgeState
from analysis.limits import LimitCheck, SlowRequests
from analysis.ramp import EVERYBODY
from analysis.samples import FAILED, Block
from analysis.settings import JudgeSettings
from analysis.verdict import Finding, Ground, Judgement, Verdict
from analysis.versus import COUNTS, FailuresVersus
from analysis.versus_latency import LatencyVersus

ROUNDED = 0.01
"""Percent: a weight is written in hundredths, the nearest, of what was allowed."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of bad request against its limit.

    Attributes:
        check: its name in findings.
        bound: seconds beyond which a request is slow; FAILED for failed ones.
        counts: both versions' bad requests, as the check counted them.
        log_e: evidence against the canary, of this kind alone.
        decides: False for `mode: observe`.
        ratio: times stable's rate that are no regression; None for a limit.
        tolerance: share of requests beyond stable's that is none either.
        limit: the greatest share; None for a comparison.
        band: times stable's rate that is not ruled out at 95 %; None where it was not worked out.
    """

    check: str
    bound: float
    counts: Arms
    log_e: float
    decides: bool
    ratio: float | None = None
    tolerance: float = 0.0
    limit: float | None = None
    band: Band | None = None


class Leave(StrEnum):
    """What allowed a weight."""

    START = "start"
    EVIDENCE = "evidence"
    BUDGET = "budget"
    """the budget of failed requests affords it, whatever is not excluded yet"""
    TIMETABLE = "timetable"
    OTHER = "other"
    """a request of a person, or the end of a hold that was not the judge's to give"""


@dataclass(frozen=True, slots=True)
class Raise:
    """A weight that the canary got.

    Attributes:
        at: of the first look under it, seconds since the epoch.
        ground: of the last look before it.
        excess: bound of the excess failure rate then; 1 where nothing was excluded.
        blind: the least excess that would have been seen by then in nine rollouts of ten; None
            where nothing would.
    """

    at: float
    weight: float
    leave: Leave
    ground: Ground | None
    excess: float
    requests: int
    blind: float | None


@dataclass(frozen=True, slots=True)
class Users:
    """What the canary did to users.

    Attributes:
        requests, failed: the canary's, without restarts.
        excess: failed ones beyond what stable fails of as many.
    """

    requests: int
    failed: int
    excess: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A look whose verdict comes out otherwise than it was stored."""

    entry: Entry
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Explanation:
    """All there is to say.

    Attributes:
        decisive: the first look that failed, else the last one.
        judgement: what it came to.
        rest: findings of the checks that `measures` does not cover.
        unread: looks that brought nothing, and what the last of them said.
        differs: None where every verdict came out as it was stored.
    """

    decisive: Entry
    judgement: Judgement
    measures: tuple[Measure, ...]
    rest: tuple[Finding, ...]
    raises: tuple[Raise, ...]
    users: Users
    looks: int
    first: float
    last: float
    unread: int
    problem: str
    differs: Difference | None


def explain(settings: JudgeSettings, journal: Journal) -> Explanation | None:
    """Work a rollout out again; None where no look is kept."""
    looks = list(replay(settings, journal))
    if not looks:
        return None
    place = next((i for i, (_, _, it) in enumerate(looks) if it.verdict is Verdict.FAIL), -1)
    decisive, state, judgement = looks[place]
    until = looks[: place + 1] if place >= 0 else looks
    measures = tuple(_measures(settings, journal, [it for it, _, _ in until], state))
    covered = {measure.check for measure in measures}
    read = [entry for entry, _, _ in looks]
    failed = [entry.read for entry in read if isinstance(entry.read, Unread)]
    return Explanation(
        decisive=decisive,
        judgement=judgement,
        measures=measures,
        rest=tuple(it for it in judgement.findings if it.check not in covered),
        raises=tuple(_raises(settings, journal, looks)),
        users=_users(journal, read),
        looks=len(looks),
        first=read[0].at,
        last=read[-1].at,
        unread=len(failed),
        problem=failed[-1].message if failed else "",
        differs=first_difference(looks),
    )


Looks = Sequence[tuple[Entry, JudgeState, Judgement]]


def first_difference(looks: Looks) -> Difference | None:
    """Find the first look that comes out otherwise than it was stored."""
    for entry, _, judgement in looks:
        if (entry.verdict, entry.ground) != (judgement.verdict, judgement.ground):
            return Difference(entry, judgement)
    return None


# ---------------------------------------------------------------- measures


def _measures(
    settings: JudgeSettings, journal: Journal, read: Sequence[Entry], state: JudgeState
) -> Iterator[Measure]:
    blocks = [entry.read for entry in read if isinstance(entry.read, Block)]

    def band(key: float) -> Band:
        return follow(blocks, key, track_of(journal.past, key)).band

    for check, memory in zip(settings.checks, state.checks, strict=True):
        match check:
            case FailuresVersus():
                measure = _measure(check, memory, FAILED)
                yield replace(
                    measure, ratio=check.ratio, tolerance=check.tolerance, band=band(FAILED)
                )
            case LatencyVersus():
                logs = check.compared(memory)
                leader = max(logs, key=logs.__getitem__, default=None)
                for slot, (bound, log_e) in enumerate(logs.items()):
                    yield Measure(
                        check.name,
                        bound,
                        _counts(memory.numbers, f"{slot}."),
                        log_e,
                        check.decides,
                        ratio=check.ratio,
                        band=band(bound) if bound == leader else None,
                    )
            case LimitCheck():
                slow = isinstance(check.bad, SlowRequests)
                bound = memory.numbers["above"] or memory.numbers["below"] if slow else FAILED
                yield replace(_measure(check, memory, bound), limit=check.limit)


def _measure(check: CheckKind, memory: CheckState, bound: float) -> Measure:
    log_e = check.weigh(memory, Look(None)).against or 0.0
    return Measure(check.name, bound, _counts(memory.numbers), log_e, check.decides)


def _counts(numbers: Mapping[str, float], slot: str = "") -> Arms:
    return Arms(*(int(numbers[f"{slot}{name}"]) for name in COUNTS))


# ---------------------------------------------------------------- weights and users


def _raises(settings: JudgeSettings, journal: Journal, looks: Looks) -> Iterator[Raise]:
    before: tuple[Entry, Judgement] | None = None
    usual, learned, requests = track_of(journal.past, FAILED), 0.0, 0
    for entry, _, judgement in looks:
        if entry.weight > (before[0].weight if before else 0):
            rate = usual.rate
            seen = smallest_seen(rate, learned, alpha=settings.alpha)
            yield Raise(
                entry.at,
                entry.weight,
                _leave(before, entry.weight),
                before[1].ground if before else None,
                before[1].excess if before else 1.0,
                requests,
                None if seen is None else seen - rate,
            )
        before = entry, judgement
        if isinstance(entry.read, Block):
            canary = entry.read.canary.requests
            requests, learned = requests + canary, learned + informative(canary, entry.weight)
            usual = usual.learn(
                failed_in(entry.read), entry.read.seconds, entry.read.spread.get(FAILED)
            )


def _leave(before: tuple[Entry, Judgement] | None, weight: float) -> Leave:
    if before is None or not before[0].weight:
        return Leave.START
    entry, told = before
    if told.verdict is Verdict.PASS:
        return Leave.EVIDENCE
    # A look that asks about everybody below 100 % is one of a ramp by budget.
    if entry.ahead >= EVERYBODY and told.allowed >= weight - ROUNDED:
        return Leave.BUDGET
    if told.ground in (Ground.UNDECIDED, Ground.TOO_FEW_REQUESTS):
        return Leave.TIMETABLE
    return Leave.OTHER


def _users(journal: Journal, read: Sequence[Entry]) -> Users:
    """Count the canary's failures, and those that stable would not have had.

    Stable's rate is that of the same seconds; where it never served beside the canary, its past's.
    """
    blocks = [entry.read for entry in read if isinstance(entry.read, Block)]
    requests = sum(block.canary.requests for block in blocks)
    failed = sum(block.canary.failed for block in blocks)
    beside = [block.stable for block in blocks if block.canary.requests and block.stable.requests]
    served, lost = sum(arm.requests for arm in beside), sum(arm.failed for arm in beside)
    rate = lost / served if served else track_of(journal.past, FAILED).rate
    return Users(requests, failed, max(failed - requests * rate, 0.0))
