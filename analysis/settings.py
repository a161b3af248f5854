"""From the policy to how a rollout is judged. No statistics here, and no I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log

from analysis.checks import CheckKind, QueryCheck
from analysis.compare import WARM_SECONDS
from analysis.limits import FailedRequests, LimitCheck, SlowRequests
from analysis.ramp import REACTION_SECONDS
from analysis.versus import FailuresVersus
from analysis.versus_latency import LatencyVersus
from config.judging import DEFAULT_CHECKS
from config.schema import Check, Latency, Rollout, SuccessRate

BETA = 0.05
"""How often a canary that breaks a limit may be called safe. A false Pass costs one step's
exposure."""

LOG_SAFE = log(1 / BETA)

SLOW_RATIO = 1.25
"""Times stable's share of slow requests that is no regression, where the policy does not say. A
neighbouring bucket's difference is noise to users, and machines differ by as much."""

WARM_PART = 0.5
"""Of the first step's hold. While a canary warms up, little can be said against it, and at larger
weights least of all."""

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
    scrape = metrics.prometheus.scrape_interval if metrics.prometheus else analysis.interval
    delay = max(analysis.interval, scrape).total_seconds() + REACTION_SECONDS
    window = analysis.window.total_seconds()
    alpha = min(max(1 - analysis.confidence, SMALLEST_ALPHA), LARGEST_ALPHA)
    return JudgeSettings(
        checks=_kinds(analysis.checks, delay, window, _warm(rollout)),
        alpha=alpha,
        min_requests=analysis.min_requests,
        quiet=QUIET_LOOKS * scrape.total_seconds(),
        series="" if metrics.envoy else metrics.series.requests,
    )


def compared(delay: float) -> tuple[CheckKind, ...]:
    """Return the checks of a policy that names none: the comparison with stable.

    `delay` is L, seconds from a request to the weight taken back: the time between looks, the age
    of a sample, and analysis.ramp.REACTION_SECONDS.
    """
    return _kinds(DEFAULT_CHECKS, delay)


def _warm(rollout: Rollout) -> float:
    """Return how long a canary may warm up: over before anybody moves on to the second step."""
    if rollout.ramp == "budget":
        return WARM_SECONDS
    return min(WARM_SECONDS, WARM_PART * rollout.steps[0].hold.total_seconds())


def _kinds(
    checks: Sequence[Check], delay: float, window: float = 0.0, warm: float = WARM_SECONDS
) -> tuple[CheckKind, ...]:
    """Return the checks' kinds in their order; a comparison with a limit beside it is two."""
    kinds: list[CheckKind] = []
    for check in checks:
        if check.success_rate is not None:
            kinds += _failures(check, check.success_rate, delay, warm)
        elif check.latency is not None:
            kinds += _slow_requests(check, check.latency, warm)
        else:
            limits = check.at_least, check.at_most
            query = check.query or ""
            kinds.append(QueryCheck(check.name, query, window, *limits, _decides(check)))
    return tuple(kinds)


def _failures(check: Check, wanted: SuccessRate, delay: float, warm: float) -> Iterator[CheckKind]:
    if wanted.compares:
        yield FailuresVersus(
            check.name,
            log_safe=LOG_SAFE,
            delay=delay,
            tolerance=wanted.max_drop or 0.0,
            warm=warm,
            decides=_decides(check),
        )
    if wanted.at_least is not None:
        name, limit = check.limit_name or check.name, 1 - wanted.at_least
        yield LimitCheck(name, limit, FailedRequests(), LOG_SAFE, _decides(check))


def _slow_requests(check: Check, wanted: Latency, warm: float) -> Iterator[CheckKind]:
    slower_than = wanted.slower_than.total_seconds() if wanted.slower_than else None
    if wanted.compares:
        yield LatencyVersus(
            check.name,
            ratio=wanted.max_ratio or SLOW_RATIO,
            bound=slower_than,
            warm=warm,
            decides=_decides(check),
        )
    if wanted.at_most is not None and slower_than is not None:
        name, slow = check.limit_name or check.name, SlowRequests(slower_than)
        yield LimitCheck(name, wanted.at_most, slow, LOG_SAFE, _decides(check))


def _decides(check: Check) -> bool:
    return check.mode == "decide"
