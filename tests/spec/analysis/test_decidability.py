"""What a rollout can see at all."""

from math import inf

import pytest

from analysis.decidability import requests_to_detect, requests_to_exclude


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
