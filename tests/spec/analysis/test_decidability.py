"""What a rollout can see at all."""

from math import inf

import pytest

from analysis.decidability import (
    NEEDED,
    NEEDED_MOSTLY,
    WALD,
    Stretch,
    at_hand,
    requests_to_detect,
    requests_to_exclude,
    smallest_seen,
)


@pytest.mark.parametrize(
    ("usual", "rate", "detect", "exclude"),
    [
        (0.001, 0.0015, 42_500, 31_600),
        (0.001, 0.002, 11_900, 9_750),
        (0.001, 0.005, 1_140, 1_250),
        (0.001, 0.011, 280, 391),
        (0.001, 0.051, 30, 63),
        (0.01, 0.015, 4_210, 3_130),
        (0.01, 0.02, 1_180, 960),
        (0.01, 0.05, 112, 121),
        (0.01, 0.06, 78, 90),
    ],
)
def test_walds_bounds(usual, rate, detect, exclude):
    """The published figures have two or three digits."""
    assert requests_to_detect(usual, rate, alpha=0.01) == pytest.approx(detect, rel=0.02)
    assert requests_to_exclude(usual, rate, beta=0.05) == pytest.approx(exclude, rel=0.02)


def test_a_canary_that_fails_everything_shows_at_once():
    assert requests_to_detect(0.001, 1.0, alpha=0.01) < 1
    assert requests_to_exclude(0.001, 1.0, beta=0.05) == 0


def test_equal_versions_are_never_told_apart():
    assert requests_to_detect(0.01, 0.01, alpha=0.01) == inf


def test_the_first_failure_of_a_service_without_any_tells_all():
    assert requests_to_detect(0.0, 0.01, alpha=0.01) == 0


# ---------------------------------------------------------------- what the judge needs


def test_the_judge_needs_more_than_any_test_must():
    bound = WALD.to_detect(0.001, 0.005, alpha=0.01)

    assert bound < NEEDED.to_detect(0.001, 0.005, alpha=0.01)
    assert NEEDED.to_detect(0.001, 0.005, alpha=0.01) < NEEDED_MOSTLY.to_detect(
        0.001, 0.005, alpha=0.01
    )


def test_a_canary_no_worse_than_stable_is_never_detected():
    assert NEEDED.to_detect(0.01, 0.01, alpha=0.01) == inf
    assert NEEDED.to_detect(0.01, 0.005, alpha=0.01) == inf


def test_even_a_canary_that_fails_everything_takes_a_few_requests():
    assert 3 < NEEDED.to_detect(0.001, 1.0, alpha=0.01) < 5


@pytest.mark.parametrize("requests", [10, 100, 1000, 100_000])
def test_the_smallest_rate_seen_is_the_one_that_needs_so_many_requests(requests):
    rate = smallest_seen(0.001, requests, alpha=0.01)

    assert rate is not None
    assert NEEDED_MOSTLY.to_detect(0.001, rate, alpha=0.01) == pytest.approx(requests, rel=1e-6)


def test_with_too_few_requests_not_even_an_outage_is_seen():
    assert smallest_seen(0.001, 5, alpha=0.01) is None


def test_no_test_sees_less_than_walds_bound():
    ours = smallest_seen(0.001, 1000, alpha=0.01)
    bound = smallest_seen(0.001, 1000, alpha=0.01, need=WALD)

    assert ours is not None
    assert bound is not None
    assert 0.001 < bound < ours


def test_a_comparison_learns_from_the_smaller_arm_and_at_100_percent_nothing():
    steps = [Stretch(5, 300), Stretch(50, 300), Stretch(100, 600)]

    assert [step.requests(12) for step in steps] == [180, 1800, 7200]
    assert at_hand(steps, 12) == pytest.approx(180 * 0.95 + 1800 * 0.5)
