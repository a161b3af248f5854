"""What the work beside reconcile needs from the rest of the daemon; the app builds it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from analysis.providers.base import Provider, Scope
from config.schema import Rollout
from daemon.core.model import Proof, SmokeResult, TargetKey, Work
from daemon.kube.objects import PodRecord
from daemon.ports import Clock, Obj
from daemon.sources import Chosen

Report = Callable[[Proof], None]


class Proving(Protocol):
    """Proves one decision; reports what it got meanwhile."""

    async def __call__(self, work: Work, rollout: Rollout, obj: Obj, report: Report) -> Proof:
        """Return once every proxy answered with the decision's number."""
        ...


class Smoking(Protocol):
    """Runs one smoke test."""

    async def __call__(self, work: Work, rollout: Rollout, obj: Obj) -> SmokeResult:
        """Return the outcome; never raises for what the gateway does."""
        ...


class Choosing(Protocol):
    """Chooses a source of metrics by proof."""

    async def __call__(
        self, rollout: Rollout, scope: Scope, records: Iterable[PodRecord]
    ) -> Chosen:
        """Try each source once."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """The outside, as the work beside reconcile sees it."""

    clock: Clock
    now: Callable[[], datetime]
    prove: Proving
    smoke: Smoking
    provider: Callable[[Rollout], Provider]
    pods: Callable[[Rollout], tuple[PodRecord, ...]]
    wake: Callable[[TargetKey], None]
    proved: Callable[[TargetKey], None]
    shared: Callable[[TargetKey, float], None] = lambda _key, _percent: None
    """told the share of ordinary requests that the canary really completed, in percent"""
    provider_at_rest: Callable[[Rollout], Provider | None] = lambda _rollout: None
    """gives what stable's past is read with, at no cost to the API server; None where there is
    nothing of the kind"""
    choose: Choosing | None = None
    """finds what counts a rollout's requests where its policy names no source"""
