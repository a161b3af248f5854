"""From the policy to how a rollout is judged. No statistics here, and no I/O."""

from dataclasses import dataclass
from math import log

from analysis.checks import CheckKind, QueryCheck
from analysis.limits import FailedRequests, LimitCheck, SlowRequests
from analysis.versus import FailuresVersus
from analysis.versus_latency import LatencyVersus
from config.schema import Check, Rollout

BETA = 0.05
"""How often a canary that breaks a limit may be called safe. A false Pass costs one step's
exposure."""

QUIET_LOOKS = 3
"""Looks, or scrapes, that may pass without a request before silence means anything: pods are
scraped at different moments, so one arm's requests show before the other's."""

SMALLEST_ALPHA = 1e-9
LARGEST_ALPHA = 0.5
"""A confidence of 100 % could never be reached, and one of 0 % would fail every canary at once."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How one rollout is judged, fixed for its whole length.

    Attributes:
        alpha: bound of the probability of a false Fail.
        quiet: seconds without a completed request that are never called "no data".
        series: name of the requests counter, for sentences.
    """

    checks: tuple[CheckKind, ...]
    alpha: float
    min_requests: int
    quiet: float = 0.0
    series: str = ""

    @property
    def log_needed(self) -> float:
        return log(1 / self.alpha)


def settings_from(rollout: Rollout) -> JudgeSettings:
    """Read the policy. `mode: observe` checks are judged and reported, and decide nothing."""
    analysis, metrics = rollout.analysis, rollout.metrics
    scrape = metrics.prometheus.scrape_interval if metrics.prometheus else None
    window = analysis.window.total_seconds()
    alpha = min(max(1 - analysis.confidence, SMALLEST_ALPHA), LARGEST_ALPHA)
    return JudgeSettings(
        checks=tuple(_kind(check, window) for check in analysis.checks),
        alpha=alpha,
        min_requests=analysis.min_requests,
        quiet=QUIET_LOOKS * (scrape or analysis.interval).total_seconds(),
        series="" if metrics.envoy else metrics.series.requests,
    )


def compared(delay: float) -> tuple[CheckKind, ...]:
    """Return the comparison with stable; no policy asks for it yet.

    `delay` is L, seconds from a request to the weight taken back: the time between looks, the age
    of a sample, and analysis.ramp.REACTION_SECONDS.
    """
    return (
        FailuresVersus("success rate", log_safe=log(1 / BETA), delay=delay),
        LatencyVersus("latency"),
    )


def _kind(check: Check, window: float) -> CheckKind:
    decides = check.mode == "decide"
    safe = log(1 / BETA)
    if check.success_rate is not None:
        limit = 1 - check.success_rate.at_least
        return LimitCheck(check.name, limit, FailedRequests(), safe, decides)
    if check.latency is not None:
        slow = SlowRequests(check.latency.slower_than.total_seconds())
        return LimitCheck(check.name, check.latency.at_most, slow, safe, decides)
    query = check.query or ""
    return QueryCheck(check.name, query, window, check.at_least, check.at_most, decides)
