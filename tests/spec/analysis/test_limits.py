"""Absolute limits: what counts as bad, which bucket speaks, and what a shared incident is."""

from math import log

import pytest

from analysis.checks import Look
from analysis.limits import FailedRequests, LimitCheck, SlowRequests, Tally
from analysis.samples import Counts
from analysis.verdict import Ground
from tests.spec.analysis.readings import arm, block

SAFE = log(20)
SUCCESS = LimitCheck("success", 0.01, FailedRequests(), SAFE)
LATENCY = LimitCheck("latency", 0.05, SlowRequests(0.5), SAFE)


def after(*blocks, check: LimitCheck = SUCCESS):
    state = check.begin()
    for it in blocks:
        state = check.take(state, Look(it))
    return check.weigh(state, Look(None))


def buckets(total: int, **within: int) -> Counts:
    """`buckets(100, b250=80)`: 80 of 100 within 250 ms."""
    bounds = {float(name[1:]) / 1000: count for name, count in within.items()}
    return Counts(total, 0, bounds, total, pods=1)


def test_failed_requests_are_counted_as_they_are():
    measured = FailedRequests().measure(Counts(83, 6))

    assert measured.surely == measured.maybe == Tally(6, 83)


def test_an_exact_bound_tells_slow_requests_exactly():
    measured = SlowRequests(0.5).measure(buckets(100, b250=60, b500=90, b1000=97))

    assert measured.surely == measured.maybe == Tally(10, 100)
    assert measured.bounds == (0.5, 0.5)


def test_a_bound_that_differs_by_rounding_is_exact():
    measured = SlowRequests(0.1 + 0.2).measure(Counts(9, 0, {0.3: 5}, 9))

    assert measured.surely == measured.maybe == Tally(4, 9)


def test_between_two_bounds_the_larger_speaks_for_failing_and_the_smaller_for_passing():
    measured = SlowRequests(0.5).measure(buckets(100, b250=60, b1000=97))

    assert (measured.surely, measured.maybe) == (Tally(3, 100), Tally(40, 100))
    assert measured.bounds == (0.25, 1.0)


def test_below_the_smallest_bound_nothing_can_be_passed():
    assert SlowRequests(0.1).measure(buckets(100, b250=60)).maybe is None


def test_above_the_largest_bound_nothing_can_be_failed():
    assert SlowRequests(5).measure(buckets(100, b250=60)).surely is None


def test_both_neighbours_are_named_where_no_bucket_ends_at_the_limit():
    said = after(block(buckets(100, b250=60, b1000=97)), check=LATENCY)

    assert said.facts == (
        "canary took longer than 1 s for 3 of 100 requests (3 %), limit 5 %, no bucket ends at"
        " 500 ms: passed by 250 ms, failed by 1 s"
    )


@pytest.mark.parametrize(
    ("limit", "words"),
    [(0.1, "cannot be passed, failed by 250 ms"), (5, "passed by 250 ms, cannot be failed")],
)
def test_a_limit_outside_all_buckets_says_what_it_cannot_do(limit, words):
    check = LimitCheck("latency", 0.05, SlowRequests(limit), SAFE)

    assert words in after(block(buckets(100, b250=60)), check=check).facts


def test_slow_requests_beyond_the_limit_are_evidence_against_the_canary():
    said = after(block(buckets(40, b500=20)), check=LATENCY)

    assert said.against is not None
    assert said.against > log(100)
    assert said.facts == "canary took longer than 500 ms for 20 of 40 requests (50 %), limit 5 %"


def test_a_bucket_that_is_too_small_never_fails_a_canary():
    # 40 % took longer than 250 ms, but nobody knows whether that was longer than 500 ms.
    said = after(*[block(buckets(100, b250=60, b1000=100))] * 20, check=LATENCY)

    assert said.against is not None
    assert said.against < log(1.1)
    assert not said.safe


def test_without_a_histogram_latency_has_no_data():
    said = after(block(Counts(90, 0, pods=1)), check=LATENCY)

    assert (said.ground, said.safe) == (Ground.NO_DATA, False)
    assert said.facts == (
        "canary completed 90 requests of which no histogram of its pods tells how long they took"
    )


def test_a_histogram_that_vanishes_ends_the_safety_it_had_shown():
    shown = [block(arm(1000))] * 3

    assert after(*shown, check=LATENCY).safe
    assert after(*shown, block(Counts(9, pods=1)), check=LATENCY).ground is Ground.NO_DATA


def test_a_histogram_that_comes_back_is_believed_again():
    blocks = [block(arm(1000)), block(Counts(9, pods=1)), block(arm(9))]

    assert after(*blocks, check=LATENCY).safe


def test_both_versions_counts_stand_in_the_sentence():
    said = after(block(arm(83, 6), arm(1604, 2)))

    assert said.facts == (
        "canary failed 6 of 83 requests (7.2 %), stable 2 of 1,604 requests (0.12 %), limit 1 %"
    )


def test_the_last_minutes_are_told_where_the_sum_would_hide_them():
    good = [block(arm(1000), seconds=60)] * 10

    said = after(*good, block(arm(50, 50), seconds=5))

    assert said.facts == (
        "canary failed 50 of 1,050 requests (4.8 %) in the last minutes (50 of 10,050 requests"
        " (0.5 %) in all), limit 1 %"
    )


def test_evidence_of_one_in_ten_against_it_is_nothing_to_be_called_safe():
    good = [block(arm(1000), seconds=60)] * 5

    said = after(*good, block(arm(4, 3)))

    assert said.favour is not None
    assert said.favour > SAFE
    assert (said.safe, said.ground) == (False, Ground.DOUBTFUL)


# ---------------------------------------------------------------- shared incidents

INCIDENT = block(arm(50, 10), arm(450, 90))
CALM = block(arm(50), arm(450))


def test_when_stable_is_beyond_its_limit_too_it_is_a_shared_incident():
    said = after(CALM, INCIDENT)

    assert said.ground is Ground.SHARED_INCIDENT
    assert said.against is not None
    assert said.against <= log(1.01)


def test_a_canary_that_keeps_the_limit_while_stable_does_not_is_judged_on_its_own():
    said = after(*[block(arm(500), arm(4500, 450))] * 4)

    assert said.safe


def test_after_a_shared_incident_the_canary_is_not_blamed_for_it():
    said = after(CALM, *[INCIDENT] * 20, *[CALM] * 2)

    assert said.against is not None
    assert said.against < log(2)
    assert said.ground is Ground.UNDECIDED


def test_a_canary_that_stays_bad_when_stable_recovers_is_found():
    said = after(CALM, *[INCIDENT] * 5, *[block(arm(50, 10), arm(450))] * 3)

    assert said.against is not None
    assert said.against > log(100)


def test_an_incident_of_stable_long_ago_does_not_shield_the_canary():
    said = after(*[INCIDENT] * 200, *[CALM] * 3, *[block(arm(50, 10), arm(450))] * 2)

    assert said.ground is not Ground.SHARED_INCIDENT
    assert said.against is not None
    assert said.against > log(100)


def test_without_stable_traffic_nothing_is_shared():
    assert after(block(arm(50, 10), weight=100)).ground is not Ground.SHARED_INCIDENT


def test_a_look_without_a_block_changes_nothing():
    state = SUCCESS.take(SUCCESS.begin(), Look(INCIDENT))

    assert SUCCESS.take(state, Look(None)) == state
