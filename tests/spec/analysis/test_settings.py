"""From the policy to how a rollout is judged."""

from datetime import timedelta
from math import log

import pytest

from analysis.checks import QueryCheck
from analysis.judge import settings_from
from analysis.limits import FailedRequests, LimitCheck, SlowRequests
from config.schema import Check, SuccessRate
from tests.spec.analysis.readings import LATENCY, QUERY, SUCCESS, rollout


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
