"""The factors of one block, as numbers; that they are valid is tests/property's."""

from math import log

import pytest

from analysis.twosample import (
    EXCESSES,
    FRACTIONS,
    LARGEST_RATE,
    MARGINS,
    RATIOS,
    Pair,
    alternatives,
    batch,
    excess_excluded,
    log_factor,
    worse,
    worse_by,
)


@pytest.mark.parametrize(
    ("pair", "a", "rate", "ratio", "log_e"),
    [
        (Pair(6, 83, 2, 1604), 0.05, 0.001, 1, 13.8407074),
        (Pair(1, 250, 5, 4750), 0.01, 0.001, 5, -0.4454328),
    ],
    ids=["worse", "within the margin"],
)
def test_a_blocks_factor_is_the_published_number(pair, a, rate, ratio, log_e):
    assert log_factor(pair, a, rate, ratio) == pytest.approx(log_e, abs=1e-6)


def test_an_excluded_excess_is_the_published_number():
    assert excess_excluded(Pair(0, 400, 2, 4000), 0.001, 0.005) == pytest.approx(
        1.8279427, abs=1e-6
    )


def test_without_a_margin_the_projection_is_the_pooled_rate():
    """For r = 1 the factor against t is the one against the pooled rate of the alternative."""
    pooled = (100 * 0.1 + 900 * 0.01) / 1000
    expected = 5 * log(0.1 / pooled) + 95 * log(0.9 / (1 - pooled))
    expected += 9 * log(0.01 / pooled) + 891 * log(0.99 / (1 - pooled))

    assert log_factor(Pair(5, 100, 9, 900), 0.1, 0.01, 1.0) == pytest.approx(expected)


@pytest.mark.parametrize("pair", [Pair(0, 0, 5, 50), Pair(5, 50, 0, 0), Pair(0, 0, 0, 0)])
def test_an_empty_arm_says_nothing(pair):
    assert not any(worse(pair, 0.01, 1.0))
    assert excess_excluded(pair, 0.01, 0.1) == 0
    assert not any(batch(pair, 1.0))


def test_a_block_without_failures_is_no_bet_on_how_they_are_shared():
    assert batch(Pair(0, 50, 0, 50), 1.0) == (0.0,) * len(FRACTIONS)


def test_alternatives_lie_beyond_the_null_and_below_certainty():
    tried = alternatives(0.01, 5.0, EXCESSES)

    assert len(tried) == len(RATIOS) + len(EXCESSES)
    assert min(tried) == pytest.approx(0.055)
    assert all(rate <= LARGEST_RATE for rate in tried)


def test_without_a_margin_worse_by_is_worse():
    """The projections are found in two ways: by a formula, and step by step."""
    pair = Pair(3, 100, 9, 900)

    by_margin = worse_by(pair, 0.01, 0.0)

    assert by_margin == pytest.approx(worse(pair, 0.01, 1.0), rel=1e-6)


def test_within_a_tolerated_margin_failures_speak_for_the_canary():
    pair = Pair(60, 1000, 10, 1000)

    assert max(worse(pair, 0.01, 1.0)) > 10
    assert max(worse_by(pair, 0.01, 0.1)) < 0


def test_where_a_margin_reaches_certainty_nothing_is_claimed():
    assert not any(worse_by(Pair(9, 10, 5, 10), 0.5, 0.6))


def test_where_no_alternative_fits_nothing_is_claimed():
    """Five times half of all requests is more than all of them."""
    assert not any(worse(Pair(9, 10, 5, 10), 0.5, 5.0))


def test_margins_fall():
    assert list(MARGINS) == sorted(MARGINS, reverse=True)


@pytest.mark.parametrize(
    ("n_a", "n_b", "rate", "margin"),
    [
        (1e7, 1, 1e-6, 0.001),
        (1, 1e7, 0.5, 0.001),
        (1e7, 1e7, 0.5, 0.5),
        (0.3, 2000, 0.001, 0.5),
        (900, 1, 0.4, 0.5),
        (1, 900, 1e-6, 0.5),
    ],
)
def test_the_projection_is_where_the_divergence_is_least(n_a, n_b, rate, margin):
    """Any other point of the edge is farther from the alternative: the expected log is larger."""
    from analysis.twosample import _edge

    def divergence(m: float) -> float:
        above, good = m + margin, 1 - rate
        return n_a * (rate * log(rate / above) + good * log(good / (1 - above))) + n_b * (
            rate * log(rate / m) + good * log(good / (1 - m))
        )

    m = _edge(Pair(0, n_a, 0, n_b), rate, rate, margin)

    for other in (m * 0.99, min(m * 1.01, m + (1 - margin - m) / 2)):
        assert divergence(m) <= divergence(other) + 1e-9 * abs(divergence(m))
