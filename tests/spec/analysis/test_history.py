"""What stable's readings before a rollout tell."""

import pytest

from analysis.history import NOTHING_KNOWN, read_history
from analysis.samples import FAILED, Counters, Reading
from tests.spec.analysis.readings import counters, reading


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
