"""The band of one rate: where it stands, and that it holds at every look at once."""

from random import Random

import pytest

from analysis.rate_band import BETA, RateBand
from benchmarks.detection.chance import binomial
from tests.spec.analysis.readings import most_by_chance

RUNS = 200


@pytest.mark.parametrize(
    ("bad", "total", "ends"),
    [
        pytest.param(0, 0, (0.0, 1.0), id="nothing is known before any request"),
        pytest.param(0, 1000, (0.0, 0.0069975), id="no failure rules out high rates only"),
        pytest.param(5, 5, (0.41497, 1.0), id="nothing but failures rules out low rates only"),
        pytest.param(6, 83, (0.013223, 0.202118), id="both ends"),
    ],
)
def test_the_band_is_what_the_counts_do_not_rule_out(
    bad: int, total: int, ends: tuple[float, float]
) -> None:
    assert RateBand().take(bad, total).ends == pytest.approx(ends, rel=1e-4)


def test_it_does_not_matter_how_requests_come_in_blocks() -> None:
    once = RateBand().take(12, 900)
    often = RateBand().take(2, 300).take(10, 600)

    assert once.ends == often.ends


def test_clumps_widen_the_band() -> None:
    low, high = RateBand().take(20, 1000).ends
    wide_low, wide_high = RateBand().take(20, 1000, 4.0).ends

    assert wide_low < low < 0.02 < high < wide_high


def test_counts_at_their_largest_stay_finite() -> None:
    low, high = RateBand().take(10**6, 10**12).ends

    assert 0.99e-6 < low < 1e-6 < high < 1.01e-6


def ever_outside(rate: float, seed: int) -> bool:
    """Say whether the true rate was outside of the band at any of a hundred looks."""
    chance = Random(f"{rate}/{seed}")
    band = RateBand()
    for _ in range(100):
        total = chance.choice((1, 10, 100))
        band = band.take(binomial(chance, total, rate), total)
        low, high = band.ends
        if not low <= rate <= high:
            return True
    return False


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.5])
def test_the_true_rate_is_inside_at_every_look_in_95_of_100_rollouts(rate: float) -> None:
    missed = sum(ever_outside(rate, seed) for seed in range(RUNS))

    assert missed <= most_by_chance(RUNS, BETA)
