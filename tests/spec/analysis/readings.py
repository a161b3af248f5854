"""Short ways to write readings, blocks and rollouts in tests of the analysis, and what chance does."""

from datetime import timedelta
from math import comb
from typing import Any

from analysis.judge import JudgeSettings, JudgeState, judge, settings_from
from analysis.samples import Block, Counters, Counts, Number, Reading
from analysis.verdict import Judgement
from config.schema import (
    Analysis,
    Check,
    GlooRoute,
    Latency,
    Metrics,
    PodsSource,
    PrometheusSource,
    Rollout,
    Route,
    Step,
    SuccessRate,
)

BOUNDS = (0.25, 0.5, 1.0)


def counters(requests: float, failed: float = 0, *, slow: float = 0) -> Counters:
    """A pod with buckets at 250 ms, 500 ms and 1 s; `slow` requests took more than a second."""
    return Counters(requests, failed, dict.fromkeys(BOUNDS, requests - slow), requests)


def reading(at: float, *, missing: dict[str, str] | None = None, **versions: Any) -> Reading:
    """`reading(5, v1={"a": counters(10)})`."""
    return Reading(at, versions, missing or {})


def arm(requests: int, bad: int = 0, *, slow: int = 0, pods: int = 1) -> Counts:
    within = dict.fromkeys(BOUNDS, requests - slow)
    return Counts(requests, bad, within, requests, pods)


def block(
    canary: Counts | None = None,
    stable: Counts | None = None,
    *,
    weight: int = 10,
    seconds: float = 5.0,
    **rest: Any,
) -> Block:
    return Block(seconds, weight, canary or arm(0), stable or arm(0), **rest)


SUCCESS = Check(name="success", success_rate=SuccessRate(at_least=0.99))
LATENCY = Check(
    name="latency",
    latency=Latency(slower_than=timedelta(milliseconds=500), at_most=0.05),
)
QUERY = Check(name="queue", query="queue_length", at_most=10)
"""The limits that most tests use."""


def rollout(*checks: Check, **analysis: Any) -> Rollout:
    prometheus = any(check.query for check in checks)
    source: dict[str, Any] = {"pods": PodsSource(port=8080)}
    if prometheus:
        source = {"prometheus": PrometheusSource(url="http://127.0.0.1:9090")}
    return Rollout(
        name="echo",
        namespace="echo",
        selector={"app": "echo"},
        route=Route(gloo=GlooRoute(virtual_service="echo/echo", upstream="echo/echo")),
        metrics=Metrics(**source),
        steps=(Step(weight=100, hold=timedelta(minutes=5)),),
        analysis=Analysis(checks=checks, **analysis),
    )


def settings(*checks: Check, **analysis: Any) -> JudgeSettings:
    return settings_from(rollout(*checks, **analysis))


def run(
    how: JudgeSettings,
    state: JudgeState,
    *looks: Block | None,
    numbers: dict[str, Number] | None = None,
) -> tuple[JudgeState, Judgement]:
    """Judge the looks one after the other; the last judgement counts."""
    assert looks
    for look in looks:
        state, judgement = judge(how, state, look, numbers or {})
    return state, judgement


def most_by_chance(runs: int, rate: float) -> int:
    """Return the largest number of misses that chance explains in 999 of 1,000 cases."""
    tail, most = 0.0, -1
    while tail < 0.999:
        most += 1
        tail += comb(runs, most) * rate**most * (1 - rate) ** (runs - most)
    return most
