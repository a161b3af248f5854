"""Rollouts that were really judged, as their evidence tells them: for the commands that explain."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from analysis.history import History
from analysis.journal import Journal, dump
from analysis.settings import settings_from
from config.load import load_policy
from config.schema import Rollout
from config.stored import dump_rollout
from daemon.core.model import Phase, Record
from daemon.core.record import format_record
from tests.cli.records import KEY, NOW, a_record, an_evidence
from tests.spec.analysis.journals import Live, some_history, some_looks

POLICY = """
apiVersion: crossfade.dev/v1
kind: Policy
metrics: {pods: {port: 8080}}
rollouts:
  echo:
    namespace: echo
    selector: {app: echo}
    route: {gloo: {virtualService: gloo-system/echo, upstream: gloo-system/echo}}
    smoke: [GET / -> 200]
    steps: [5, 20, 50, 100]
    hold: 1m
"""

Rate = Callable[[str, float], float]


def good(version: str, weight: float) -> float:
    """Every version fails 0.5 % of its requests."""
    return 0.005


def bad(version: str, weight: float) -> float:
    """The canary fails 8 % once it has a fifth of the traffic."""
    return 0.08 if version == "v2" and weight >= 20 else 0.005


@dataclass(frozen=True, slots=True)
class Story:
    """A rollout that ended."""

    rollout: Rollout
    record: Record
    journal: Journal

    def evidence(self, **changes: Any) -> dict[str, Any]:
        """Return its evidence ConfigMap."""
        config_map = an_evidence(self.record, policy=dump_rollout(self.rollout))
        journal = dump(settings_from(self.rollout), self.journal)
        config_map["data"] |= {
            "record.json": format_record(self.record),
            "journal.json": journal,
        } | changes
        return config_map


def a_rollout(text: str = POLICY) -> Rollout:
    """Return the policy's only rollout."""
    (rollout,) = load_policy(text, filename="policy.yaml").rollouts.values()
    return rollout


def told(rate: Rate, *, text: str = POLICY, looks: int = 48, rps: float = 40) -> Story:
    """Live through a rollout until it failed or its looks are over."""
    chance = Random(7)
    rollout = a_rollout(text)
    live = Live(settings_from(rollout), past(chance, rps))
    for look in some_looks(chance, looks, rate=rate, rps=rps):
        if live.look(replace(look, numbers={})).verdict == "Fail":
            break
    began = datetime.fromtimestamp(live.journal.begun, UTC)
    failed = live.judged[-1][1].verdict == "Fail"
    since = min(began + timedelta(seconds=5.2 * len(live.judged)), NOW)
    record = a_record(Phase.BAKING, since=since, weight=100, step=3)
    if failed:
        message = live.judged[-1][1].message[:200]
        record = a_record(Phase.ROLLED_BACK, since=since, message=message)
    return Story(rollout, record, live.journal)


def past(chance: Random, rps: float) -> History:
    """Ten minutes of stable."""
    return some_history(chance, rps=rps)


def damaged(story: Story) -> str:
    """A journal that somebody edited."""
    document = json.loads(story.evidence()["data"]["journal.json"])
    document["looks"][0][3] = 400
    return json.dumps(document)


__all__ = ["KEY", "NOW", "POLICY", "Story", "a_rollout", "bad", "damaged", "good", "told"]
