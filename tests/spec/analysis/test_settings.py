"""From the policy to how a rollout is judged."""

from datetime import timedelta
from math import log

import pytest

from analysis.checks import QueryCheck
from analysis.judge import settings_from
from analysis.limits import FailedRequests, LimitCheck, SlowRequests
from analysis.settings import BETA, SLOW_RATIO, compared
from analysis.versus import FailuresVersus
from analysis.versus_latency import LatencyVersus
from config.judging import DEFAULT_CHECKS
from config.schema import Check, Latency, SuccessRate
from tests.spec.analysis.readings import LATENCY, QUERY, SUCCESS, rollout

SECOND = timedelta(seconds=1)
LOG_SAFE = pytest.approx(log(1 / BETA))


def test_a_success_rate_becomes_a_limit_of_failures():
    (check,) = settings_from(rollout(SUCCESS)).checks

    assert isinstance(check, LimitCheck)
    assert check.bad == FailedRequests()
    assert check.limit == pytest.approx(0.01)
    assert (check.name, check.decides) == ("success", True)
    assert check.log_safe == pytest.approx(log(20))


def test_a_latency_becomes_a_limit_of_slow_requests():
    (check,) = settings_from(rollout(LATENCY)).checks

    assert isinstance(check, LimitCheck)
    assert (check.bad, check.limit) == (SlowRequests(0.5), 0.05)


def test_a_query_keeps_its_limits_and_the_policys_window():
    (check,) = settings_from(rollout(QUERY, window=timedelta(minutes=2))).checks

    assert check == QueryCheck("queue", "queue_length", 120, None, 10, decides=True)


@pytest.mark.parametrize("check", [SUCCESS, LATENCY, QUERY], ids=lambda check: check.name)
def test_an_observed_check_decides_nothing(check):
    (observed,) = settings_from(rollout(check.model_copy(update={"mode": "observe"}))).checks

    assert not observed.decides


def test_confidence_and_minimum_come_from_the_policy():
    how = settings_from(rollout(SUCCESS, confidence=0.95, min_requests=50))

    assert how.alpha == pytest.approx(0.05)
    assert how.log_needed == pytest.approx(log(20))
    assert how.min_requests == 50
    assert how.series == "http_requests_total"


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_a_confidence_that_nothing_could_meet_is_bounded(confidence):
    policy = rollout(SUCCESS)
    analysis = policy.analysis.model_copy(update={"confidence": confidence})

    how = settings_from(policy.model_copy(update={"analysis": analysis}))

    assert 0 < how.alpha <= 0.5


def test_silence_is_measured_in_looks_of_pods_and_in_scrapes_of_prometheus():
    of_pods = settings_from(rollout(SUCCESS, interval=timedelta(seconds=2)))
    of_prometheus = settings_from(rollout(QUERY, interval=timedelta(seconds=2)))

    assert (of_pods.quiet, of_prometheus.quiet) == (6, 45)


def test_checks_keep_the_policys_order():
    other = Check(name="other", success_rate=SuccessRate(at_least=0.9))

    names = [check.name for check in settings_from(rollout(LATENCY, other, SUCCESS)).checks]

    assert names == ["latency", "other", "success"]


# ---------------------------------------------------------------- the comparison with stable


def test_a_policy_without_checks_compares_failures_and_durations_with_stable():
    failures, slow = settings_from(rollout(*DEFAULT_CHECKS)).checks

    assert failures == FailuresVersus("success rate", log_safe=LOG_SAFE, delay=7)
    assert slow == LatencyVersus("latency", ratio=SLOW_RATIO)


def test_the_detection_benchmark_judges_by_the_checks_of_a_policy_without_checks():
    """Its figures are those of the default."""
    assert compared(delay=7) == settings_from(rollout(*DEFAULT_CHECKS)).checks


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        pytest.param(
            SuccessRate(max_drop=0.005),
            [FailuresVersus("rate", log_safe=LOG_SAFE, delay=7, tolerance=0.005)],
            id="a tolerance",
        ),
        pytest.param(
            SuccessRate(at_least=0.75, max_drop=0.0),
            [
                FailuresVersus("rate", log_safe=LOG_SAFE, delay=7),
                LimitCheck("rate limit", 0.25, FailedRequests(), LOG_SAFE),
            ],
            id="a limit besides",
        ),
    ],
)
def test_of_a_success_rate_what_is_written_is_judged(wanted, kinds):
    how = settings_from(rollout(Check(name="rate", success_rate=wanted)))

    assert list(how.checks) == kinds


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        pytest.param(
            Latency(max_ratio=1.5), [LatencyVersus("times", ratio=1.5)], id="another ratio"
        ),
        pytest.param(
            Latency(slower_than=SECOND, max_ratio=1.5),
            [LatencyVersus("times", ratio=1.5, bound=1.0)],
            id="at one bound",
        ),
        pytest.param(
            Latency(slower_than=SECOND, at_most=0.01, max_ratio=2.0),
            [
                LatencyVersus("times", ratio=2.0, bound=1.0),
                LimitCheck("times limit", 0.01, SlowRequests(1.0), LOG_SAFE),
            ],
            id="a limit besides",
        ),
    ],
)
def test_of_a_latency_what_is_written_is_judged(wanted, kinds):
    how = settings_from(rollout(Check(name="times", latency=wanted)))

    assert list(how.checks) == kinds


@pytest.mark.parametrize(
    "check",
    [
        Check(name="a", mode="observe", success_rate=SuccessRate(at_least=0.9, max_drop=0.0)),
        Check(
            name="a",
            mode="observe",
            latency=Latency(slower_than=SECOND, at_most=0.01, max_ratio=2.0),
        ),
    ],
    ids=["success rate", "latency"],
)
def test_a_comparison_that_is_observed_decides_nothing_nor_does_its_limit(check):
    comparison, limit = settings_from(rollout(check)).checks

    assert (comparison.decides, limit.decides) == (False, False)


def test_a_request_is_as_old_as_the_scrapes_of_prometheus_are_far_apart():
    """The weight is back so long after a request: the sample's age, and the reaction."""
    rate = Check(name="rate", success_rate=SuccessRate())

    of_pods = settings_from(rollout(rate, interval=2 * SECOND)).checks[0]
    of_prometheus = settings_from(rollout(rate, QUERY, interval=2 * SECOND)).checks[0]
    of_slow_looks = settings_from(rollout(rate, QUERY, interval=60 * SECOND)).checks[0]

    delays = [getattr(it, "delay", None) for it in (of_pods, of_prometheus, of_slow_looks)]
    assert delays == [4, 17, 62]


@pytest.mark.parametrize(
    ("row", "hold", "ramp", "seconds"),
    [
        ("long holds", timedelta(minutes=5), "steps", 45),
        ("short holds: over before the second step", timedelta(seconds=8), "steps", 4),
        ("no steps to wait on", timedelta(seconds=8), "budget", 45),
    ],
)
def test_a_canary_has_warmed_up_before_anybody_moves_on(row, hold, ramp, seconds):
    first, *others = rollout().steps
    steps = (first.model_copy(update={"hold": hold}), *others)
    policy = rollout(*DEFAULT_CHECKS).model_copy(update={"steps": steps, "ramp": ramp})

    assert [check.warm for check in settings_from(policy).checks] == [seconds, seconds], row
