"""How Flagger and Argo Rollouts decide, on a canary's counts: for comparison with our judge.

Both ask at fixed times whether the canary's success rate of the last minute keeps a fixed limit; no
request at all is a failed check, and none is ever forgiven. Re-stated from reading Flagger's
scheduler (pkg/controller/scheduler.go) and Argo Rollouts' analysis (analysis/analysis.go), success
rate only; neither is run here.

- Flagger takes the canary back at the first check after `threshold` failed ones.
- Argo takes it back as soon as more than `failureLimit` checks failed.

Times are seconds since the canary's first weight. Nothing of ours depends on this module.
"""

from collections import deque
from dataclasses import dataclass

WINDOW_SECONDS = 60.0
LIMIT = 0.01
"""Flagger's tutorial: a success rate of at least 99 %."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One peer, as it is set up.

    Attributes:
        most: failed checks that are endured.
        at_once: whether one more takes the canary back at its own check, or the next one does.
    """

    name: str
    most: int
    at_once: bool
    interval: float = 60.0
    limit: float = LIMIT


FLAGGER = Rule("Flagger", most=5, at_once=False)
"""Its tutorial: interval 1m, threshold 5."""

ARGO = Rule("Argo Rollouts", most=3, at_once=True)
"""Its documentation's example: interval 60s, failureLimit 3; the fourth failed check ends it."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One check.

    Attributes:
        requests, failed: the canary's, of the last minute.
        failed_checks: so far, this one included.
    """

    at: float
    requests: int
    failed: int
    fails: bool
    failed_checks: int
    rolls_back: bool


class Peer:
    """One rollout as a peer sees it; it is told of every look, whenever it comes."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        # As many looks as come in a minute; they leave by age.
        self._looks: deque[tuple[float, int, int]] = deque()
        self._checks = 0
        self._failed = 0

    def look(self, at: float, requests: int, failed: int) -> Tick | None:
        """Take the canary's requests since the last look; None between two checks."""
        self._looks.append((at, requests, failed))
        while self._looks[0][0] <= at - WINDOW_SECONDS:
            self._looks.popleft()
        if at < (self._checks + 1) * self._rule.interval:
            return None
        self._checks = int(at // self._rule.interval)
        return self._check(at)

    def _check(self, at: float) -> Tick:
        requests = sum(n for _, n, _ in self._looks)
        failed = sum(y for _, _, y in self._looks)
        fails = not requests or failed > self._rule.limit * requests
        back = not self._rule.at_once and self._failed >= self._rule.most
        if not back:
            self._failed += fails
            back = self._rule.at_once and self._failed > self._rule.most
        return Tick(at, requests, failed, fails, self._failed, back)
