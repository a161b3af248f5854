"""Rollouts for tests of the report: the documents' examples, and journals with all that can happen.

`a_case` lives through made-up looks; `renamed` puts foreign names wherever a name can stand.
"""

from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

from analysis.errors import UnavailableError
from analysis.journal import Journal
from analysis.samples import Block
from analysis.settings import JudgeSettings, settings_from
from benchmarks.examples import EXAMPLES, play
from config.load import load_policy
from config.schema import Rollout
from daemon.core.model import Phase, Record, TargetKey
from daemon.report.story import Case, Story, tell
from tests.cli.records import a_record
from tests.spec.analysis.journals import EVERY_KIND, Live, Look, Rate, some_history, some_looks
from tests.spec.analysis.readings import arm, block

KEY = TargetKey("echo", "echo")


@dataclass(frozen=True, slots=True)
class Made:
    """A case put together by hand."""

    key: TargetKey
    record: Record | None
    rollout: Rollout
    journal: Journal
    settings: JudgeSettings


@cache
def example(name: str) -> Story:
    """One of the documents' rollouts, told."""
    (found,) = (it for it in EXAMPLES if it.name == name)
    story = tell(play(found))
    assert story is not None
    return story


def a_policy(more: str = "") -> Rollout:
    text = f"""
apiVersion: crossfade.dev/v1
kind: Policy
metrics: {{pods: {{port: 8080}}}}
rollouts:
  echo:
    namespace: echo
    selector: {{app: echo}}
    route: {{gloo: {{virtualService: echo/echo, upstream: echo/echo}}}}
    smoke: [GET / -> 200]
    steps: [5, 20, 50, 100]
{more}
"""
    return load_policy(text, filename="policy.yaml").rollouts["echo"]


def good(_version: str, _weight: float) -> float:
    return 0.005


def bad_at_half(version: str, weight: float) -> float:
    return 0.2 if version == "v2" and weight >= 50 else 0.005


def a_case(
    rate: Rate = good,
    *,
    settings: JudgeSettings = EVERY_KIND,
    record: Record | None = None,
    looks: int = 40,
    rps: float = 40,
) -> Made:
    """Live through looks in which everything happens, until one fails."""
    chance = Random(3)
    live = Live(settings, some_history(chance, rps=rps))
    for look in some_looks(chance, looks, rate=rate, rps=rps):
        if live.look(look).verdict == "Fail":
            break
    return Made(KEY, record, a_policy(), live.journal, settings)


def a_limit_alone() -> Made:
    """A rollout whose policy compares nothing."""
    rollout = a_policy(
        "    analysis: {checks: [{name: success rate, successRate: {atLeast: 99%}}]}"
    )
    return replace(a_case(settings=settings_from(rollout)), rollout=rollout)


def without_data(looks: int = 3) -> Made:
    """A rollout whose provider never answered."""
    settings = settings_from(a_policy())
    live = Live(settings)
    for _ in range(looks):
        live.look(Look(UnavailableError("pods: connection refused")))
    return Made(KEY, None, a_policy(), live.journal, settings)


def everything_slow(looks: int = 3) -> Made:
    """A rollout of which every request is slow, beside a stable of which none is."""
    settings = settings_from(a_policy())
    live = Live(settings)
    for _ in range(looks):
        live.look(Look(block(arm(50, slow=50), arm(450))))
    return Made(KEY, None, a_policy(), live.journal, settings)


def only_references() -> Made:
    """A rollout whose only look set the references."""
    settings = settings_from(a_policy())
    live = Live(settings)
    live.look(Look(None))
    return Made(KEY, None, a_policy(), live.journal, settings)


def without_looks() -> Made:
    return replace(only_references(), journal=Journal("r", "v1", "v2", 0.0))


def told(case: Case) -> Story:
    story = tell(case)
    assert story is not None
    return story


def ended(phase: Phase, **changes: Any) -> Record:
    """A record of the rollout that the cases are about."""
    return a_record(phase, **changes)


def renamed(name: str) -> Made:
    """A case in which everything that has a name is called `name`."""
    settings = EVERY_KIND
    checks = tuple(
        replace(check, name=f"{place} {name}")  # type: ignore[type-var]  # all are dataclasses
        for place, check in enumerate(settings.checks)
    )
    settings = replace(settings, checks=checks)
    live = Live(settings)
    journal = replace(live.journal, rollout=name[:253], stable=name[:253], canary=name[:253])
    live.journal = replace(journal, stable_revision=name[:253], revision=name[:253])
    for look in some_looks(Random(3), 12, rate=good):
        read = look.read
        if isinstance(read, Block):
            read = replace(read, missing={name: name}, restarted=(name,))
        live.look(replace(look, read=UnavailableError(name) if look.step == 1 else read))
    return Made(TargetKey(name, name), None, a_policy(), live.journal, settings)
