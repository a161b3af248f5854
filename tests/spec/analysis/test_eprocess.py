"""What evidence against, and for, a limit is worth, and that it stays a finite number."""

from math import exp, isfinite, log

import pytest

from analysis.eprocess import (
    FIRST_STAKE,
    STARTS_EVERY_SECONDS,
    Evidence,
    LimitTest,
    add,
    begin,
    beyond,
    cap,
    forfeit,
    inside,
    log_mean,
)

LIMITS = (0.0, 1e-6, 0.001, 0.01, 0.05, 0.2, 0.5, 0.98, 1.0)


def after(test: LimitTest, *blocks: tuple[int, int], seconds: float = 5.0) -> Evidence:
    evidence = begin(test)
    for bad, total in blocks:
        evidence = add(evidence, test, bad=bad, total=total, seconds=seconds)
    return evidence


def until(test: LimitTest, evidence: Evidence, log_needed: float, *, bad: int) -> int:
    """Requests, all bad or all good, until the evidence suffices."""
    for requests in range(1, 2000):
        evidence = add(evidence, test, bad=bad, total=1, seconds=0)
        if evidence.log_e >= log_needed:
            return requests
    raise AssertionError("never")


@pytest.mark.parametrize("limit", LIMITS)
def test_evidence_begins_at_one(limit):
    assert begin(beyond(limit)).log_e == pytest.approx(0, abs=1e-12)
    assert begin(inside(limit)).log_e == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("limit", LIMITS)
def test_alternatives_lie_strictly_on_their_side_of_the_limit(limit):
    against, favour = beyond(limit), inside(limit)

    assert all(against.limit < rate < 1 for rate in against.alternatives)
    assert all(0 < rate < favour.limit for rate in favour.alternatives)


def test_one_alternatives_factor_is_the_likelihood_ratio():
    # y * log(a / l) + (n - y) * log((1 - a) / (1 - l)), with y = 2, n = 5
    expected = 2 * log(0.1 / 0.01) + 3 * log(0.9 / 0.99)

    assert LimitTest(0.01, (0.1,)).log_factors(2, 5) == pytest.approx((expected,))


def test_evidence_is_the_mean_over_the_alternatives():
    test = LimitTest(0.01, (0.02, 0.1))
    factors = [(0.02 / 0.01), (0.1 / 0.01)]

    e = exp(after(test, (1, 1)).log_e)

    assert e == pytest.approx(1 - FIRST_STAKE + FIRST_STAKE * sum(factors) / 2)


@pytest.mark.parametrize(
    ("limit", "requests"), [(0.0001, 2), (0.001, 2), (0.01, 2), (0.05, 3), (0.1, 3)]
)
def test_a_canary_that_fails_everything_is_found_after_a_few_requests(limit, requests):
    assert until(beyond(limit), begin(beyond(limit)), log(100), bad=1) == requests


@pytest.mark.parametrize("limit", LIMITS)
def test_one_failed_request_alone_is_never_enough(limit):
    assert after(beyond(limit), (1, 1)).log_e < log(50)


def test_one_failure_in_five_is_found_within_ten_failures():
    evidence = after(beyond(0.01), *[(1, 5)] * 4)

    assert evidence.log_e > log(100)


def test_one_failure_in_thirty_says_nothing_against_99_percent():
    assert after(beyond(0.01), (1, 30)).log_e < log(1.05)


def test_a_canary_without_failures_shows_that_it_keeps_one_percent():
    assert until(inside(0.01), begin(inside(0.01)), log(20), bad=0) == pytest.approx(390, abs=10)


def test_failures_beyond_the_limit_are_evidence_against_the_mirror():
    assert after(inside(0.01), (5, 100)).log_e < 0


@pytest.mark.parametrize("minutes_of_health", [1, 10, 60, 240])
def test_a_canary_that_breaks_after_a_good_start_is_found_as_fast(minutes_of_health):
    evidence = after(beyond(0.01), *[(0, 6000)] * minutes_of_health, seconds=60)

    assert until(beyond(0.01), evidence, log(100), bad=1) <= 5


def test_a_new_start_each_minute_of_observed_time_takes_from_the_reserve():
    steps = int(STARTS_EVERY_SECONDS / 5) + 1
    evidence = after(beyond(0.01), *[(0, 10)] * steps)

    assert evidence.starts == 2
    assert evidence.seconds == 5


@pytest.mark.parametrize("starts", [1, 2, 3, 50])
def test_a_start_moves_the_stake_and_creates_none(starts):
    # No bet was won or lost: the stakes and the reserve still sum to 1.
    evidence = begin(beyond(0.01))
    for _ in range(starts):
        evidence = add(evidence, beyond(0.01), bad=0, total=0, seconds=60)

    assert evidence.log_e == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("bad", [0, 5_000_000, 10_000_000])
def test_ten_million_requests_leave_finite_numbers(limit, bad):
    for test in (beyond(limit), inside(limit)):
        evidence = after(test, (bad, 10_000_000))

        assert isfinite(evidence.log_e)
        assert all(isfinite(bet) for bet in evidence.bets)


def test_tempering_divides_the_weight_of_a_block():
    plain = LimitTest(0.01, (0.1,)).log_factors(3, 10)
    tempered = LimitTest(0.01, (0.1,), tempering=4).log_factors(3, 10)

    assert tempered[0] == pytest.approx(plain[0] / 4)


def test_the_designs_hand_tempering_on():
    assert (beyond(0.01, tempering=3).tempering, inside(0.01, tempering=3).tempering) == (3, 3)


def test_a_cap_takes_winnings_and_leaves_losses():
    assert cap(Evidence((5.0, -3.0)), 2.0).bets == (2.0, -3.0)


def test_forfeited_evidence_is_one_at_most_and_can_win_again():
    lost = forfeit(after(beyond(0.01), (40, 50)))

    assert lost.log_e == pytest.approx(0, abs=1e-12)
    assert until(beyond(0.01), lost, log(100), bad=1) == 2


def test_forfeiting_after_a_later_start_leaves_its_smaller_stake():
    late = after(beyond(0.01), *[(1, 60)] * 3, seconds=60)

    assert forfeit(late).log_e < 0
    assert forfeit(late).starts == late.starts


def test_the_mean_of_logs_does_not_overflow():
    assert log_mean([1e8, 1e8]) == 1e8
