"""What a rollout will be able to decide, told before it: per check, by the end of each step.

From how many requests come and how many of stable's are bad (`Known`), the steps of the policy and
what the judge needs (`analysis.decidability`). A forecast for traffic like that; no verdict depends
on it. Pure, and no sentences.

At 100 % nothing is left to compare with, so only an absolute limit learns there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf

from analysis.checks import CheckKind
from analysis.compare import PRIOR_BAD, PRIOR_TOTAL
from analysis.decidability import (
    NEEDED,
    NEEDED_MOSTLY,
    WALD,
    Stretch,
    requests_to_exclude,
    smallest_seen,
)
from analysis.history import History
from analysis.journal import Journal, entries
from analysis.limits import LimitCheck, SlowRequests
from analysis.ramp import EVERYBODY, Exposure, acceptable_excess
from analysis.samples import FAILED, Block
from analysis.settings import BETA, JudgeSettings
from analysis.versus import FailuresVersus
from analysis.versus_latency import LatencyVersus

ASKED = (2.0, 5.0)
"""Times stable's rate that people ask about."""


@dataclass(frozen=True, slots=True)
class Known:
    """What traffic is like.

    Attributes:
        rps: requests a second of both versions; None where nobody knows.
        rates: FAILED or a latency bound -> the share of stable's requests that are bad.
        past: what checks choose their bounds from.
    """

    rps: float | None = None
    rates: Mapping[float, float] = field(default_factory=dict)
    past: History = field(default_factory=History)


@dataclass(frozen=True, slots=True)
class Sight:
    """The least bad rate that is seen.

    Attributes:
        mostly: in nine rollouts of ten; None where not even one that fails everything is.
        at_best: by a test that knows both rates, on average; nobody sees less.
    """

    mostly: float | None
    at_best: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """How long a canary so many times as bad takes, on average, on the most telling step.

    Attributes:
        seen: whether the rollout sees it in nine cases of ten.
        seconds: on `weight` percent; None where it is within what the check tolerates, or never.
    """

    times: float
    rate: float
    seen: bool
    seconds: float | None
    weight: float


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """One check, over the whole rollout.

    Attributes:
        bound: seconds beyond which a request is slow; FAILED for failed ones; None where no bound
            is chosen yet.
        usual: stable's share of bad ones; None where nobody knows.
        edge: the rate beyond which it is worse, or over the limit.
        steps: what is seen by the end of each step; empty where that cannot be told.
        excluding: requests that show, at least, on average, that a canary as good as stable is so;
            None where no proof is asked for, or none is possible.
        enough: whether so many come before 100 %.
    """

    check: str
    bound: float | None = None
    usual: float | None = None
    edge: float | None = None
    steps: tuple[Sight, ...] = ()
    asked: tuple[Asked, ...] = ()
    excluding: float | None = None
    enough: bool = False

    @property
    def whole(self) -> Sight | None:
        """What the whole rollout sees."""
        return self.steps[-1] if self.steps else None


def known_from(journal: Journal) -> Known:
    """Read what a rollout's evidence tells of stable and its traffic."""
    past, seconds, requests = journal.past, 0.0, 0
    stable = past
    for entry in entries(journal):
        if isinstance(entry.read, Block):
            block = entry.read
            stable = stable.add(block)
            seconds += block.seconds
            requests += block.canary.requests + block.stable.requests
    if not seconds:
        seconds, requests = past.seconds, past.requests
    rates = {
        key: (bad + PRIOR_BAD) / (stable.total(key) + PRIOR_TOTAL)
        for key, bad in stable.bad.items()
        if stable.total(key)
    }
    return Known(requests / seconds if seconds else None, rates, stable)


def plan(settings: JudgeSettings, stretches: Sequence[Stretch], known: Known) -> list[CheckPlan]:
    """Tell for each check that decides by counts what it can see, in their order."""
    counting = [it for it in settings.checks if it.decides and it.keeps_evidence]
    whole = sum(check.stake for check in counting)
    return [
        _plan(check, settings.alpha * check.stake / whole, stretches, known) for check in counting
    ]


def _plan(check: CheckKind, alpha: float, stretches: Sequence[Stretch], known: Known) -> CheckPlan:
    asked = [it for it in _questions(check, alpha, known) if it.usual is not None]
    if known.rps is None or not asked:
        return CheckPlan(check.name)
    plans = [_answer(it, stretches, known.rps) for it in asked]
    return min(plans, key=_sharpness)


def _sharpness(told: CheckPlan) -> float:
    """Of several latency bounds the one is shown that sees the smallest change."""
    sight = told.whole
    return sight.mostly / told.usual if sight and sight.mostly and told.usual else inf


# ---------------------------------------------------------------- what is asked


@dataclass(frozen=True, slots=True)
class _Question:
    """One test.

    Attributes:
        excess: what is to be excluded beyond `usual` before promotion; None for nothing.
        beside: whether it needs stable beside the canary.
    """

    check: str
    bound: float
    usual: float
    edge: float
    alpha: float
    excess: float | None
    beside: bool = True


def _questions(check: CheckKind, alpha: float, known: Known) -> Iterator[_Question]:
    match check:
        case FailuresVersus():
            if (share := known.rates.get(FAILED)) is not None:
                edge = max(check.ratio * share, share + check.tolerance)
                excess = acceptable_excess(Exposure(0, 0, share, 1, 0, check.tolerance))
                yield _Question(check.name, FAILED, share, edge, alpha, excess)
        case LatencyVersus():
            bounds = check.compared(check.begin(known.past))
            chosen = [bound for bound in bounds if bound in known.rates]
            for bound in chosen:
                usual = known.rates[bound]
                edge, part = check.ratio * usual, alpha / len(chosen)
                yield _Question(check.name, bound, usual, edge, part, None)
        case LimitCheck():  # pragma: no branch - other kinds keep no evidence
            key = FAILED
            if isinstance(check.bad, SlowRequests):
                wanted = check.bad.seconds
                key = min((it for it in known.rates if it >= wanted), default=-1.0)
            if (bad := known.rates.get(key)) is not None:
                room = max(check.limit - bad, 0.0) or None
                yield _Question(check.name, key, bad, check.limit, alpha, room, beside=False)


# ---------------------------------------------------------------- what is answered


def _answer(it: _Question, stretches: Sequence[Stretch], rps: float) -> CheckPlan:
    learned = [_learned(it, stretch, rps) for stretch in stretches]
    before_all = sum(
        n for n, stretch in zip(learned, stretches, strict=True) if stretch.weight < EVERYBODY
    )
    excluding = None
    if it.excess is not None:
        excluding = requests_to_exclude(it.usual, min(it.usual + it.excess, 1.0), beta=BETA)
    whole = sum(learned)
    return CheckPlan(
        it.check,
        it.bound,
        it.usual,
        it.edge,
        tuple(_sight(it, requests) for requests in accumulate(learned)),
        tuple(_asked(it, times, stretches, rps, whole) for times in ASKED),
        excluding,
        enough=excluding is not None and excluding <= before_all,
    )


def _learned(it: _Question, stretch: Stretch, rps: float) -> float:
    return stretch.informative(rps) if it.beside else stretch.requests(rps)


def _sight(it: _Question, requests: float) -> Sight:
    return Sight(
        smallest_seen(it.edge, requests, alpha=it.alpha, need=NEEDED_MOSTLY),
        smallest_seen(it.edge, requests, alpha=it.alpha, need=WALD),
    )


def _asked(
    it: _Question, times: float, stretches: Sequence[Stretch], rps: float, whole: float
) -> Asked:
    rate = min(it.usual * times, 1.0)
    most = NEEDED_MOSTLY.to_detect(it.edge, rate, alpha=it.alpha)
    mean = NEEDED.to_detect(it.edge, rate, alpha=it.alpha)
    # The step on which a second tells most: half the traffic, where it is compared.
    best = max(stretches, key=lambda stretch: _learned(it, stretch, rps) / stretch.seconds)
    a_second = _learned(it, best, rps) / best.seconds
    seconds = mean / a_second if a_second and mean < inf else None
    return Asked(times, rate, most <= whole, seconds, best.weight)
