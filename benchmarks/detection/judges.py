"""Who decides: the product, its peers as re-stated from their sources, and the sequential test that
knows the truth.

A judge gives the weight of the next read and says after it whether to go on. The product's is
`analysis.judge` and `analysis.ramp` themselves. Peers follow Flagger's scheduler and Argo Rollouts'
analysis on fixed limits; they are re-stated from reading, not run.
"""

from dataclasses import replace
from enum import StrEnum
from math import log, log1p
from typing import Protocol

from analysis.judge import begin, judge
from analysis.peers import ARGO, FLAGGER, LIMIT, Peer, Tick
from analysis.ramp import next_weight, timetable_of
from analysis.settings import JudgeSettings, compared
from analysis.verdict import Verdict
from benchmarks.detection.traffic import REACTION_SECONDS, READ_SECONDS, Cell, Read, Traffic

ALPHA = 0.01
FIXED_STEPS = (5.0, 10.0, 20.0, 30.0, 40.0, 50.0)
STEP_SECONDS = 60


class Choice(StrEnum):
    GO_ON = "go on"
    ROLL_BACK = "roll back"
    PROMOTE = "promote"
    PROMOTE_UNDECIDED = "promote undecided"


class Judge(Protocol):
    """One rollout's judge."""

    weight: float

    def look(self, read: Read) -> Choice:
        """Take a read that was made under `weight`; set the next one."""
        ...


class Crossfade:
    """The product: comparison with stable, ramp by budget, `onUndecided: advance`."""

    def __init__(self, traffic: Traffic) -> None:
        self._settings = JudgeSettings(
            compared(delay=float(READ_SECONDS + REACTION_SECONDS)), ALPHA, min_requests=30
        )
        self._timetable = timetable_of([(step, STEP_SECONDS) for step in FIXED_STEPS])
        start = begin(self._settings, past=traffic.history)
        self._state, first = judge(self._settings, start, None, {})
        self.weight = first.allowed

    def look(self, read: Read) -> Choice:
        self._state, judgement = judge(self._settings, self._state, read.block, {})
        elapsed = read.at
        weight = next_weight(judgement, self.weight, elapsed=elapsed, timetable=self._timetable)
        if weight == 0:
            return Choice.ROLL_BACK
        if weight >= 100:
            decided = judgement.verdict is Verdict.PASS
            return Choice.PROMOTE if decided else Choice.PROMOTE_UNDECIDED
        self.weight = weight
        return Choice.GO_ON


class Sprt:
    """Wald's test with the true rates of each read, on a fixed ramp: no judge can know more."""

    def __init__(self, traffic: Traffic) -> None:  # noqa: ARG002 - as the others
        self.weight = FIXED_STEPS[0]
        self._log = 0.0

    def look(self, read: Read) -> Choice:
        canary = read.block.canary
        p0, p1 = read.stable_rate, min(read.canary_rate, 1 - 1e-12)
        self._log += canary.failed * log(p1 / p0)
        self._log += (canary.requests - canary.failed) * (log1p(-p1) - log1p(-p0))
        if self._log >= log(1 / ALPHA):
            return Choice.ROLL_BACK
        return _fixed_ramp(self, read)


def _fixed_ramp(ramp: Judge, read: Read) -> Choice:
    step = int(read.at // STEP_SECONDS)
    if step >= len(FIXED_STEPS):
        return Choice.PROMOTE
    ramp.weight = FIXED_STEPS[step]
    return Choice.GO_ON


class Flagger:
    """Flagger's rule (`analysis.peers`): a weight rises with each check that does not fail."""

    def __init__(self, interval: int, limit: float) -> None:
        self.weight = FIXED_STEPS[0]
        self._interval, self._step = interval, 0
        self._peer = Peer(replace(FLAGGER, interval=float(interval), limit=limit))

    def look(self, read: Read) -> Choice:
        tick = _ask(self._peer, read)
        if tick is None:
            return Choice.GO_ON
        if tick.rolls_back:
            return Choice.ROLL_BACK
        if tick.fails:
            return Choice.GO_ON
        self._step += 1
        if self._step >= len(self.steps):
            return Choice.PROMOTE
        self.weight = self.steps[self._step]
        return Choice.GO_ON

    @property
    def steps(self) -> tuple[float, ...]:
        if self._interval == STEP_SECONDS:
            return FIXED_STEPS
        return tuple(float(weight) for weight in range(5, 55, 5))


class Argo:
    """Argo's rule (`analysis.peers`); the ramp goes on until it takes the canary back."""

    def __init__(self, limit: float) -> None:
        self.weight = FIXED_STEPS[0]
        self._peer = Peer(replace(ARGO, limit=limit))

    def look(self, read: Read) -> Choice:
        tick = _ask(self._peer, read)
        if tick is not None and tick.rolls_back:
            return Choice.ROLL_BACK
        return _fixed_ramp(self, read)


def _ask(peer: Peer, read: Read) -> Tick | None:
    canary = read.block.canary
    return peer.look(read.at, canary.requests, canary.failed)


JUDGES = ("Crossfade", "Flagger 60 s", "Flagger 10 s", "Flagger 10 s tuned", "Argo", "SPRT 5 s")


def judge_named(name: str, cell: Cell, traffic: Traffic) -> Judge:
    """Make a judge for one rollout."""
    match name:
        case "Crossfade":
            return Crossfade(traffic)
        case "Flagger 60 s":
            return Flagger(60, LIMIT)
        case "Flagger 10 s":
            return Flagger(10, LIMIT)
        case "Flagger 10 s tuned":
            return Flagger(10, cell.base + LIMIT)
        case "Argo":
            return Argo(LIMIT)
        case "SPRT 5 s":
            return Sprt(traffic)
    raise ValueError(f"no judge is named {name}")
