"""How much traffic the evidence allows."""

from dataclasses import replace
from math import inf

import pytest

from analysis.ramp import (
    BUDGET,
    LEAST_WEIGHT,
    Exposure,
    acceptable_excess,
    allowed_weight,
    in_writable_steps,
    needed_excess,
    next_weight,
    timetable_of,
)
from analysis.verdict import Ground, Judgement, Verdict


def seen(rate: float = 1000.0, excess: float = 1.0, usual: float = 0.001, clump: float = 1.0):
    return Exposure(rate, excess, usual, clump, delay=7.0)


@pytest.mark.parametrize(
    ("row", "exposure", "weight"),
    [
        ("at first", seen(), 100 * BUDGET / 7000),
        ("ten times less is at risk", seen(excess=0.1), 100 * BUDGET / 700),
        ("nothing excluded: clumps do not count", seen(clump=4), 100 * BUDGET / 7000),
        ("clumps need more traffic", seen(excess=0.1, clump=4), 400 * BUDGET / 700),
        ("a small service", seen(rate=1), 5),
        ("a small service, outages excluded", seen(rate=1, excess=0.2), 50),
        ("nobody asks anything", seen(rate=0), 5),
        ("no traffic known yet", seen(rate=inf), LEAST_WEIGHT),
        ("a huge service", seen(rate=1e9), LEAST_WEIGHT),
    ],
)
def test_the_budget_of_failed_requests_allows_a_weight(row, exposure, weight):
    assert allowed_weight(exposure) == pytest.approx(weight, abs=0.01), row


def test_weights_are_hundredths_of_a_percent_and_never_more_than_allowed():
    assert in_writable_steps(5.6789) == 5.67
    assert in_writable_steps(0.29) == 0.29
    assert in_writable_steps(0.0001) == LEAST_WEIGHT


def test_a_small_excess_is_accepted():
    assert acceptable_excess(seen(usual=0.0001)) == 0.001
    assert acceptable_excess(seen(usual=0.01)) == 0.005


def test_an_excess_that_the_policy_tolerates_is_accepted():
    assert acceptable_excess(replace(seen(), tolerance=0.02)) == 0.02


def test_a_step_needs_an_excess_that_the_budget_affords():
    assert needed_excess(seen(rate=100), 10) == pytest.approx(BUDGET / 70)


def test_a_step_of_a_large_service_needs_no_more_than_the_acceptable_excess():
    assert needed_excess(seen(), 50) == 0.001


def test_a_step_without_traffic_needs_little():
    assert needed_excess(seen(rate=0), 50) == 0.001
    assert needed_excess(seen(rate=inf), 50) == 0.001


def test_promotion_needs_the_acceptable_excess_whatever_the_budget():
    assert needed_excess(seen(rate=1), 100) == 0.001


def test_what_is_allowed_is_what_the_gate_lets_through():
    exposure = seen(rate=20, excess=0.05)

    assert needed_excess(exposure, allowed_weight(exposure)) >= exposure.excess


# ---------------------------------------------------------------- the ramp without steps


MINUTES = timetable_of([(weight, 60.0) for weight in (5, 10, 20, 30, 40, 50, 100)])


def test_a_timetable_begins_after_its_grace_and_ends_with_the_last_hold():
    table = timetable_of([(5, 300.0), (25, 600.0), (100, 60.0)])

    assert table.steps == ((120.0, 5), (420.0, 25))
    assert table.ends == 1020.0


def judged(verdict=Verdict.INCONCLUSIVE, ground=Ground.UNDECIDED, allowed=0.5) -> Judgement:
    return Judgement(verdict, ground, "because", 100, allowed=allowed)


@pytest.mark.parametrize(
    ("row", "judgement", "elapsed", "weight"),
    [
        ("fail", judged(Verdict.FAIL, Ground.WORSE), 9, 0),
        ("pass", judged(Verdict.PASS, Ground.SAFE), 9, 100),
        ("allowed", judged(allowed=7.5), 9, 7.5),
        ("never falls", judged(allowed=0.1), 9, 2),
        ("early", judged(), 119, 2),
        ("by timetable", judged(), 120, 5),
        ("by timetable, later", judged(), 310, 30),
        ("by timetable, at the end", judged(), 480, 100),
        ("doubtful, at the end", judged(ground=Ground.DOUBTFUL), 480, 2),
        ("no data", judged(ground=Ground.NO_DATA), 310, 2),
        ("too few, allowed", judged(ground=Ground.TOO_FEW_REQUESTS, allowed=4), 9, 4),
        ("too few, late", judged(ground=Ground.TOO_FEW_REQUESTS), 430, 20),
        ("too few, at the end", judged(ground=Ground.TOO_FEW_REQUESTS), 600, 20),
    ],
)
def test_each_row_of_the_next_weight(row, judgement, elapsed, weight):
    assert next_weight(judgement, 2, elapsed=elapsed, timetable=MINUTES) == weight, row
