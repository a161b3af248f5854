"""Four rollouts by seed, judged by the product: the examples of the documents.

Requests and failures are drawn by the laws of `benchmarks.detection.traffic`; the judge and its
journal are the product's own. `benchmarks.illustrations` draws and describes them.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from analysis.journal import Entry, Journal, append
from analysis.judge import begin, judge, on_step
from analysis.ramp import next_weight, timetable_of
from analysis.settings import settings_from
from analysis.verdict import Ground, Judgement, Verdict
from benchmarks.detection.traffic import READ_SECONDS, Cell, Times, Traffic, Variant
from config.load import load_policy
from config.schema import Rollout
from daemon.cli.evidence_case import Case
from daemon.core.model import Phase, Record, TargetKey
from daemon.core.reasons import Reason

BEGUN: Final = datetime(2026, 11, 23, 14, 1, 52, tzinfo=UTC)
LONGEST_SECONDS: Final = 3600

POLICY: Final = """
apiVersion: crossfade.dev/v1
kind: Policy
metrics: {prometheus: {url: "http://prometheus.monitoring:9090", scrapeInterval: 5s}}
rollouts:
  echo:
    namespace: echo
    selector: {app: echo}
    route: {gloo: {virtualService: gloo-system/echo, upstream: gloo-system/echo}}
    steps: [5, 25, 50, 100]
    hold: 2m
    bake: 1m
"""
BY_BUDGET: Final = f"{POLICY}    ramp: budget\n"


@dataclass(frozen=True, slots=True)
class Example:
    """One rollout.

    Attributes:
        policy: its text; one rollout, `echo`.
    """

    name: str
    cell: Cell
    seed: int
    policy: str = POLICY


PLAIN: Final = Variant("independent")
SAME: Final = Times()
SLOW: Final = Times(share=0.05, factor=2.0)
EXAMPLES: Final = (
    Example("failing", Cell(PLAIN, 100, 0.005, "+2.5", SAME), 1),
    Example("good", Cell(PLAIN, 1000, 0.001, "x1", SAME), 1, BY_BUDGET),
    Example("quiet", Cell(PLAIN, 2, 0.001, "x1", SAME), 1),
    Example("slow", Cell(PLAIN, 100, 0.001, "x1", SLOW), 1),
)


def play(example: Example) -> Case:
    """Play a rollout to its end."""
    rollout = load_policy(example.policy, filename="example").rollouts["echo"]
    traffic = Traffic(example.cell, Random(f"{example.name}/{example.seed}"))
    settings = settings_from(rollout)
    journal = Journal(
        "20261123-140152-3f2a",
        "v1",
        "v2",
        BEGUN.timestamp(),
        "v1/6d9f",
        "v2/77c4",
        traffic.history,
    )
    ramp = Ramp(rollout)
    state = begin(settings, 0, traffic.history)
    state, first = judge(settings, state, None, {}, ahead=ramp.ahead)
    ramp.begin(first)
    for start in range(0, LONGEST_SECONDS, READ_SECONDS):
        block = traffic.read(start, ramp.weight).block
        state = on_step(state, ramp.step)
        state, judgement = judge(settings, state, block, {}, ahead=ramp.ahead)
        at = BEGUN.timestamp() + start + READ_SECONDS
        entry = Entry(
            at=at,
            decision=3 + ramp.step,
            step=ramp.step,
            weight=ramp.weight,
            ahead=ramp.ahead,
            read=block,
            verdict=judgement.verdict,
            ground=judgement.ground,
        )
        journal = append(settings, journal, entry)
        if ramp.ends(judgement):
            break
    return Case(TargetKey("echo", "echo"), _record(ramp, judgement, at), rollout, journal)


class Ramp:
    """The weights, as the daemon gives them where nothing else is in the way."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._steps = [(float(it.weight), it.hold.total_seconds()) for it in rollout.steps]
        self._elapsed = 0.0
        self.step = 0
        self.weight = self._steps[0][0]
        self.outcome = Phase.SHIFTING

    @property
    def ahead(self) -> float:
        if self._rollout.ramp == "budget" or self.step + 1 >= len(self._steps):
            return 100.0
        return self._steps[self.step + 1][0]

    def begin(self, first: Judgement) -> None:
        if self._rollout.ramp == "budget":
            self.weight = first.allowed

    def ends(self, judgement: Judgement) -> bool:
        """Take a look's judgement, and say whether the rollout is over."""
        self._elapsed += READ_SECONDS
        if judgement.verdict is Verdict.FAIL:
            self.outcome = Phase.ROLLED_BACK
            return True
        if self.weight >= 100:
            if self._elapsed < self._rollout.bake.total_seconds():
                return False
            self.outcome = Phase.IDLE
            return True
        if self._rollout.ramp == "budget":
            timetable = timetable_of(self._steps)
            weight = next_weight(judgement, self.weight, elapsed=self._elapsed, timetable=timetable)
            self._go(weight, len(self._steps) - 1 if weight >= 100 else self.step)
        elif self._elapsed >= self._steps[self.step][1] and (
            judgement.verdict is Verdict.PASS or judgement.ground is Ground.UNDECIDED
        ):
            self._go(self._steps[self.step + 1][0], self.step + 1)
        return False

    def _go(self, weight: float, step: int) -> None:
        if step != self.step:
            self._elapsed = 0.0
        self.weight, self.step = weight, step


def _record(ramp: Ramp, judgement: Judgement, at: float) -> Record:
    promoted = ramp.outcome is Phase.IDLE
    record = Record(
        id="20261123-140152-3f2a",
        target="echo",
        policy="0" * 64,
        stable="v1",
        stable_revision="v1/6d9f",
        phase=ramp.outcome,
        since=datetime.fromtimestamp(at, UTC) + timedelta(seconds=2),
        reason=Reason.PROMOTED if promoted else Reason.ANALYSIS_FAILED,
        decision=9,
        epoch=1,
        writer="crossfade-0",
        canary="v2",
        revision="v2/77c4",
        step=ramp.step,
        message=judgement.message,
    )
    if promoted:
        return replace(record, stable="v2", stable_revision="v2/77c4", canary=None, revision=None)
    return record
