"""Checks on any number of PromQL: one number is no count, so it takes three windows to fail."""

from math import inf, nan

import pytest

from analysis.checks import Look, QueryCheck
from analysis.samples import Number, NumberKind
from analysis.verdict import Ground

CHECK = QueryCheck("queue", "queue_length", window=60, at_most=10)


def value(number: float, at: float = 0.0) -> Number:
    return Number(NumberKind.VALUE, number, at)


def after(*numbers: Number | None, check: QueryCheck = CHECK):
    state = check.begin()
    for number in numbers:
        look = Look(None, {} if number is None else {check.name: number})
        state = check.take(state, look)
    return check.weigh(state, look)


@pytest.mark.parametrize(
    ("limits", "number", "inside"),
    [
        ({"at_most": 10}, 10, True),
        ({"at_most": 10}, 10.1, False),
        ({"at_least": 2}, 2, True),
        ({"at_least": 2}, 1.9, False),
        ({"at_least": 2, "at_most": 3}, 2.5, True),
        ({"at_least": 2, "at_most": 3}, -7, False),
    ],
)
def test_a_value_inside_its_limits_is_safe(limits, number, inside):
    said = after(value(number), check=QueryCheck("q", "q", 60, **limits))

    assert said.safe is inside


def test_one_value_beyond_the_limit_is_doubtful_and_no_failure():
    said = after(value(12))

    assert (said.failed, said.safe, said.ground) == (False, False, Ground.DOUBTFUL)
    assert said.facts == "the query answers 12, at most 10; beyond it in 1 of 3 windows in a row"


def test_three_windows_beyond_the_limit_fail():
    said = after(value(12, 0), value(13, 60), value(14, 120))

    assert said.failed
    assert said.facts == "the query answers 14, at most 10; beyond it in 3 of 3 windows in a row"


def test_it_stays_failed_while_it_stays_beyond():
    assert after(*[value(12, 60.0 * look) for look in range(9)]).failed


def test_looks_within_one_window_are_the_same_data_and_count_once():
    assert not after(*[value(12, 5.0 * look) for look in range(12)]).failed


@pytest.mark.parametrize(
    "interruption",
    [
        value(5, 90),
        Number(NumberKind.NO_DATA),
        Number(NumberKind.NAN),
        None,
    ],
    ids=["inside", "no data", "not a number", "not asked"],
)
def test_a_look_between_that_does_not_breach_starts_the_row_anew(interruption):
    assert not after(value(12, 0), value(12, 60), interruption, value(12, 120)).failed


def test_breaches_far_apart_are_not_in_a_row():
    assert not after(value(12, 0), value(12, 60), value(12, 3600)).failed


def test_a_clock_that_went_back_starts_the_row_anew():
    assert not after(value(12, 1000), value(12, 1060), value(12, 5)).failed


@pytest.mark.parametrize(
    ("number", "ground", "words"),
    [
        (Number(NumberKind.NO_DATA), Ground.NO_DATA, "no data"),
        (Number(NumberKind.NAN, nan), Ground.NO_DATA, "not a number"),
        (Number(NumberKind.INFINITE, inf), Ground.NO_DATA, "infinite"),
        (Number(NumberKind.MANY_SERIES), Ground.NO_DATA, "several series"),
        (Number(NumberKind.WRONG_TYPE), Ground.NO_DATA, "wrong type"),
        (Number(NumberKind.WARNINGS), Ground.NO_DATA, "answered with warnings"),
        (Number(NumberKind.STALE, 3), Ground.STALE, "stale"),
        (value(nan), Ground.NO_DATA, "infinite"),
        (value(inf), Ground.NO_DATA, "infinite"),
        (None, Ground.NO_DATA, "not asked"),
    ],
)
def test_anything_but_a_finite_value_is_neither_safe_nor_failed(number, ground, words):
    said = after(number)

    assert (said.safe, said.failed, said.ground) == (False, False, ground)
    assert words in said.facts
