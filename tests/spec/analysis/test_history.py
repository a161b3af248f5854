"""What stable's readings before a rollout tell."""

from dataclasses import fields, replace
from functools import partial
from itertools import pairwise

import pytest

from analysis.clumps import Clumps
from analysis.history import (
    NOTHING_KNOWN,
    PART_SECONDS,
    WINDOW_SECONDS,
    Recent,
    read_history,
)
from analysis.samples import FAILED, Counters, Counts, Reading, close_block
from tests.spec.analysis.readings import arm, block, counters, reading

close = partial(close_block, stable="v1", weight=0)


def ring(*steps: tuple[float, int]) -> list[Reading]:
    """Two pods; each step is the requests and failures of each, so far."""
    return [
        reading(15.0 * place, v1={"a": counters(n, y), "b": counters(n, 0)})
        for place, (n, y) in enumerate(steps)
    ]


def test_readings_are_summed_up():
    past = read_history(ring((0, 0), (100, 2), (300, 5)), stable="v1")

    assert (past.seconds, past.requests, past.timed) == (30, 600, 600)
    assert past.bad[FAILED] == 5
    assert past.total(FAILED) == past.total(0.25) == 600


def test_clumps_are_learned_from_its_pods():
    past = read_history(ring((0, 0), *((100 * n, 10 * n) for n in range(1, 40))), stable="v1")

    assert past.clumps[FAILED].phi == pytest.approx(10, rel=0.2)


@pytest.mark.parametrize("readings", [[], ring((5, 0))], ids=["none", "one"])
def test_fewer_than_two_readings_say_nothing(readings):
    assert read_history(readings, stable="v1") == NOTHING_KNOWN


def test_another_versions_pods_say_nothing():
    assert read_history(ring((0, 0), (9, 9)), stable="v7") == NOTHING_KNOWN


def test_a_bound_that_is_no_longer_counted_is_forgotten():
    old = Counters(100, 0, {0.1: 90, 0.5: 95}, 100)
    new = Counters(200, 0, {0.5: 190}, 200)
    newer = Counters(300, 0, {0.5: 280}, 300)
    readings = [reading(at, v1={"a": it}) for at, it in enumerate((counters(0), old, new, newer))]

    past = read_history(readings, stable="v1")

    assert set(past.bad) == {FAILED, 0.5}


def test_a_pod_that_vanished_at_the_end_forgets_nothing():
    past = read_history([*ring((0, 0), (50, 1)), reading(45, v1={})], stable="v1")

    assert past.bad[FAILED] == 1


def test_durations_begin_anew_where_no_bound_is_counted_any_more():
    old, newer = Counters(100, 1, {0.1: 90}, 100), Counters(200, 1, {0.3: 190}, 200)
    newest = Counters(300, 1, {0.3: 270}, 300)
    pages = (Counters(0, 0), old, replace(old, requests=150), newer, newest)
    readings = [reading(at, v1={"a": it}) for at, it in enumerate(pages)]

    past = read_history(readings, stable="v1")

    assert past.bad == {FAILED: 1, 0.3: 20}
    assert (past.requests, past.timed) == (300, 100)


def test_a_block_without_durations_leaves_them_as_they_were():
    timed, untimed = block(stable=arm(100, slow=3)), block(stable=Counts(50, 1, pods=1))

    past = NOTHING_KNOWN.add(timed).add(untimed)

    assert (past.requests, past.timed, past.bad[1.0]) == (150, 100, 3)


# ---------------------------------------------------------------- the last half hour


def test_what_was_added_up_in_parts_is_what_all_of_it_says():
    steps = [(100 * n, 7 * n // 3) for n in range(100)]
    readings = ring(*steps)

    recent = Recent()
    for before, after in pairwise(readings):
        recent = recent.add(close(before, after, canary=None), after.at)

    whole = read_history(readings, stable="v1")
    joined = recent.history(readings[-1].at)
    assert len(recent.parts) == 5
    assert (joined.seconds, joined.requests, joined.bad) == (1485, whole.requests, whole.bad)
    for field in fields(Clumps):
        seen, expected = (getattr(it.clumps[FAILED], field.name) for it in (joined, whole))
        assert seen == pytest.approx(expected)


def test_what_is_half_an_hour_ago_is_forgotten():
    recent = Recent()
    for minute in range(1, 181):
        recent = recent.add(block(stable=arm(10), seconds=60), 60.0 * minute)

    assert len(recent.parts) <= WINDOW_SECONDS / PART_SECONDS + 1
    assert 1500 <= recent.history(10_800).seconds <= 1800
    assert recent.history(20_000) == NOTHING_KNOWN


def test_of_nothing_recent_nothing_is_known():
    assert Recent().history(5.0) == NOTHING_KNOWN


def test_durations_are_those_of_the_bounds_that_are_counted_now():
    old = Counts(100, 0, {0.1: 90}, 100, 1)
    new = Counts(10, 0, {0.3: 8}, 10, 1)

    recent = Recent().add(block(stable=old, seconds=400), 400).add(block(stable=new), 800)

    past = recent.history(800)
    assert (past.requests, past.timed, past.bad) == (110, 10, {FAILED: 0, 0.3: 2})
