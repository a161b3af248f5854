"""The band of ratios: what it promises is probability, so it is tried with seeds."""

from math import inf
from random import Random

import pytest

from analysis.bands import BETA, GRID, Band, Ratio, arms_of, follow
from analysis.clumps import Clumps
from analysis.compare import Arms, Track
from analysis.samples import FAILED, Block, Counts
from benchmarks.detection.chance import binomial, poisson
from tests.spec.analysis.readings import most_by_chance

RUNS = 40
KNOWN = Track(bad=15.0, total=3000.0, clumps=Clumps(200.0, 200.0, 2600.0))
"""Stable is known to fail 0.5 %, each request by itself."""


def block(canary: Counts, stable: Counts, seconds: float = 5.0, weight: float = 10) -> Block:
    return Block(seconds, weight, canary, stable)


def ever_missed(ratio: float, seed: int) -> bool:
    """Say whether the truth was outside at any look, over a climbing base and random weights."""
    chance = Random(f"{ratio}/{seed}")
    seen = Ratio(KNOWN)
    for look in range(20):
        base = 0.005 * (1 + look / 10)
        requests = poisson(chance, 800)
        canary = binomial(chance, requests, chance.choice((0.02, 0.1, 0.5)))
        stable = requests - canary
        bad, stable_bad = binomial(chance, canary, ratio * base), binomial(chance, stable, base)
        seen = seen.take(
            block(Counts(canary, bad, pods=1), Counts(stable, stable_bad, pods=1)), FAILED
        )
        if not seen.band.low <= ratio <= seen.band.high:
            return True
    return False


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_the_true_ratio_is_inside_at_every_look_in_95_of_100_rollouts(ratio: float) -> None:
    missed = sum(ever_missed(ratio, seed) for seed in range(RUNS))

    assert missed <= most_by_chance(RUNS, BETA)


def test_a_band_never_widens() -> None:
    chance = Random(3)
    seen = Ratio(KNOWN)
    for _ in range(60):
        before = seen.band
        canary, stable = chance.randrange(1, 300), chance.randrange(1, 900)
        counts = Counts(canary, min(chance.randrange(9), canary), pods=1)
        seen = seen.take(block(counts, Counts(stable, chance.randrange(2), pods=1)), FAILED)
        assert before.low <= seen.band.low <= seen.band.high <= before.high


def test_the_band_closes_in_on_a_canary_that_is_three_times_as_bad() -> None:
    blocks = [block(Counts(1000, 15, pods=1), Counts(1000, 5, pods=1))] * 60

    seen = follow(blocks, FAILED, KNOWN)

    assert 2.0 <= seen.band.low < 3.0 < seen.band.high <= 4.0
    assert seen.counts == Arms(900, 60_000, 300, 60_000)


def test_clumps_widen_the_band() -> None:
    clumped = Track(bad=15.0, total=3000.0, clumps=Clumps(1400.0, 200.0, 2600.0))
    blocks = [block(Counts(1000, 15, pods=1), Counts(1000, 5, pods=1))] * 10

    plain, wide = follow(blocks, FAILED, KNOWN).band, follow(blocks, FAILED, clumped).band

    assert wide.low < plain.low
    assert wide.high > plain.high


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param((Counts(), Counts(900, 3, pods=1)), id="no canary"),
        pytest.param((Counts(90, 3, pods=1), Counts()), id="no stable"),
        pytest.param((Counts(), Counts()), id="nobody"),
    ],
)
def test_without_one_arm_nothing_is_ruled_out(counts: tuple[Counts, Counts]) -> None:
    seen = follow([block(*counts)] * 50, FAILED)

    assert (seen.band, seen.counts) == (Band(0.0, inf), Arms(0, 0, 0, 0))


def test_a_canary_that_fails_everything_is_far_above_whatever_was_known() -> None:
    blocks = [block(Counts(200, 200, pods=1), Counts(900, 900, pods=1))]
    worse = [block(Counts(200, 200, pods=1), Counts(900, 1, pods=1))] * 3

    assert follow(blocks, FAILED, KNOWN).band.low <= 1.0
    assert follow(worse, FAILED, KNOWN).band.low >= 100


def test_counts_at_their_largest_stay_finite() -> None:
    huge = [block(Counts(10**9, 10**9, pods=1), Counts(10**9, 0, pods=1))] * 3

    flawless = [block(Counts(10**9, 0, pods=1), Counts(10**9, 10**6, pods=1))] * 3

    assert follow(huge, FAILED).band == Band(GRID[-1], inf)
    assert follow(flawless, FAILED).band == Band(0.0, GRID[0])


# ---------------------------------------------------------------- what is counted


def test_a_restart_counts_as_one_failed_request() -> None:
    counted = arms_of(block(Counts(9, 1, pods=2, restarts=1), Counts(90, pods=3)), FAILED)

    assert counted == Arms(2, 10, 0, 90)


def test_slow_requests_are_those_beyond_the_bound() -> None:
    canary = Counts(9, 0, {0.5: 6, 1.0: 9}, 9, 1)
    stable = Counts(90, 0, {0.5: 88, 1.0: 90}, 90, 3)

    assert arms_of(block(canary, stable), 0.5) == Arms(3, 9, 2, 90)


def test_a_bound_that_one_version_does_not_have_tells_nothing() -> None:
    told = block(Counts(9, 0, {0.5: 6}, 9, 1), Counts(90, 0, {1.0: 88}, 90, 3))

    assert arms_of(told, 0.5) is None
    assert follow([told], 0.5) == Ratio()
