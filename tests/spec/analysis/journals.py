"""A rollout as the daemon reads and judges it, written into a journal: for tests of what reads one.

`Live` judges as `daemon.background` does; `some_looks` makes up what it could read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from analysis.errors import ProviderError, StaleError, UnavailableError
from analysis.history import NOTHING_KNOWN, History, read_history
from analysis.journal import Entry, Journal, Unread, append, unread
from analysis.judge import JudgeState, begin, judge, judge_unread, on_step
from analysis.limits import FailedRequests, LimitCheck, SlowRequests
from analysis.samples import Block, Counters, Number, NumberKind, Reading, close_block
from analysis.settings import JudgeSettings
from analysis.verdict import Judgement
from analysis.versus import FailuresVersus
from analysis.versus_latency import LatencyVersus
from tests.spec.analysis.readings import QUERY, settings

BEGUN = 1_795_442_512.0
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0)

EVERY_KIND = JudgeSettings(
    (
        FailuresVersus("success rate", log_safe=3.0, delay=7.0),
        LatencyVersus("latency"),
        LimitCheck("limit", 0.01, FailedRequests(), 3.0),
        LimitCheck("slow", 0.05, SlowRequests(0.3), 3.0, decides=False),
        *settings(QUERY).checks,
    ),
    alpha=0.01,
    min_requests=30,
    quiet=15.0,
)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look brings, or how it fails."""

    read: Block | ProviderError | None
    step: int = 0
    weight: float = 10
    ahead: float = 100.0
    seconds: float = 5.0
    numbers: dict[str, Number] = field(default_factory=dict)


@dataclass(slots=True)
class Live:
    """One rollout under way."""

    settings: JudgeSettings
    past: History = NOTHING_KNOWN
    judged: list[tuple[JudgeState, Judgement]] = field(default_factory=list)
    journal: Journal = field(init=False)
    state: JudgeState = field(init=False)
    now: float = BEGUN

    def __post_init__(self) -> None:
        self.journal = Journal(
            "20261123-140152-3f2a", "v1", "v2", self.now, "v1/6d9f", "v2/77c4", self.past
        )
        self.state = begin(self.settings, 0, self.past)

    def look(self, look: Look) -> Judgement:
        self.state = on_step(self.state, look.step)
        self.now += look.seconds
        if isinstance(look.read, ProviderError):
            judgement = judge_unread(self.settings, self.state, look.read)
            read: Block | Unread | None = unread(look.read)
        else:
            self.state, judgement = judge(
                self.settings, self.state, look.read, look.numbers, ahead=look.ahead
            )
            read = look.read
        entry = Entry(
            at=round(self.now, 3),
            decision=look.step + 3,
            step=look.step,
            weight=look.weight,
            ahead=look.ahead,
            read=read,
            verdict=judgement.verdict,
            ground=judgement.ground,
            numbers=look.numbers,
        )
        self.journal = append(self.settings, self.journal, entry)
        self.judged.append((self.state, judgement))
        return judgement


Rate = Callable[[str, float], float]


@dataclass(slots=True)
class Pod:
    requests: int = 0
    failed: int = 0
    within: list[int] = field(default_factory=lambda: [0] * len(BOUNDS))

    def counters(self) -> Counters:
        within = dict(zip(BOUNDS, map(float, self.within), strict=True))
        return Counters(self.requests, self.failed, within, self.requests)


class Traffic:
    """Counters of pods that serve users; failures and slow requests by chance."""

    def __init__(self, chance: Random, *, rps: float, pods: int = 3) -> None:
        self._chance = chance
        self._rps = rps
        self._pods = {v: {f"{v}-{i}": Pod() for i in range(pods)} for v in ("v1", "v2")}

    def serve(self, seconds: float, weight: float, rate: Rate) -> None:
        for _ in range(round(self._rps * seconds)):
            version = "v2" if self._chance.random() * 100 < weight else "v1"
            pod = self._chance.choice(list(self._pods[version].values()))
            took = self._chance.lognormvariate(-3.0, 0.8)
            pod.requests += 1
            pod.failed += self._chance.random() < rate(version, weight)
            pod.within = [n + (took <= bound) for n, bound in zip(pod.within, BOUNDS, strict=True)]

    def reading(self, at: float) -> Reading:
        pods = {
            version: {name: pod.counters() for name, pod in pods.items()}
            for version, pods in self._pods.items()
        }
        return Reading(at, pods)


def some_looks(chance: Random, count: int, *, rate: Rate, rps: float = 40) -> Iterator[Look]:
    """Looks of a rollout on four steps, with all that can happen to one."""
    traffic = Traffic(chance, rps=rps)
    before = traffic.reading(0.0)
    at = 0.0
    for number in range(count):
        step = min(number * 4 // count, 3)
        weight = (5, 20, 50, 100)[step]
        seconds = round(chance.uniform(4.8, 5.3), 3)
        at += seconds
        traffic.serve(seconds, weight, rate)
        after = traffic.reading(at)
        block = close_block(before, after, stable="v1", canary="v2", weight=weight)
        before = after
        value = Number(NumberKind.VALUE, chance.uniform(0, 8), at)
        odd = chance.random()
        read: Block | ProviderError | None = block
        if odd < 0.05:
            read = None
        elif odd < 0.1:
            read = UnavailableError("timed out after 2 s")
        elif odd < 0.12:
            read = StaleError("the newest sample is 60 s old")
        yield Look(read, step, weight, (20.0, 50.0, 100.0, 100.0)[step], seconds, {"queue": value})


def some_history(chance: Random, readings: int = 40, rps: float = 40) -> History:
    """What stable did before."""
    traffic = Traffic(chance, rps=rps)
    seen = [traffic.reading(0.0)]
    for number in range(1, readings):
        traffic.serve(15, 0, lambda *_: 0.005)
        seen.append(traffic.reading(15.0 * number))
    return read_history(seen, stable="v1")
