"""How two readings become a block, and what never becomes a count."""

from math import inf, nan

import pytest

from analysis.samples import FAILED, Counters, Counts, close_block
from tests.spec.analysis.readings import counters, reading


def close(before, after, weight=10, canary="v2"):
    return close_block(before, after, stable="v1", canary=canary, weight=weight)


def test_a_block_counts_what_was_completed_between_two_readings():
    before = reading(10, v1={"a": counters(1000, 10)}, v2={"b": counters(100, 1)})
    after = reading(15, v1={"a": counters(1900, 12)}, v2={"b": counters(183, 7, slow=3)})

    block = close(before, after, weight=5)

    assert (block.seconds, block.weight) == (5, 5)
    assert (block.stable.requests, block.stable.failed, block.stable.pods) == (900, 2, 1)
    assert (block.canary.requests, block.canary.failed) == (83, 6)
    assert block.canary.within == {0.25: 80, 0.5: 80, 1.0: 80}
    assert block.canary.timed == 83


def test_pods_are_subtracted_one_by_one_and_then_summed():
    before = reading(0, v2={"a": counters(10, 1), "b": counters(1000, 0)})
    after = reading(5, v2={"a": counters(30, 2), "b": counters(1001, 1)})

    assert close(before, after).canary == Counts(21, 2, {0.25: 21, 0.5: 21, 1.0: 21}, 21, pods=2)


def test_a_pods_first_reading_only_sets_its_reference():
    after = reading(5, v2={"new": counters(1000, 1000)})

    block = close(reading(0, v2={}), after)

    assert block.canary == Counts()
    assert block.missing == {"new": "first reading, counted from now on"}


def test_a_pod_whose_counter_fell_is_left_out_and_named():
    before = reading(0, v1={"s": counters(9)}, v2={"a": counters(50), "b": counters(50)})
    after = reading(5, v1={"s": counters(3)}, v2={"a": counters(60), "b": counters(8, 8)})

    block = close(before, after)

    assert block.canary.requests == 10
    assert block.canary.failed == 0
    assert block.restarted == ("b", "s")


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("requests fell", Counters(10, 0), Counters(9, 0)),
        ("failures fell", Counters(10, 5), Counters(20, 4)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_counter_that_falls_is_a_restart(rule, before, after):
    block = close(reading(0, v2={"a": before}), reading(5, v2={"a": after}))

    assert (block.canary, block.restarted) == (Counts(restarts=1), ("a",)), rule


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            Counters(10, 0, {1.0: 9}, 10), Counters(20, 0, {1.0: 8}, 20), id="a bucket fell"
        ),
        pytest.param(
            Counters(10, 0, {1.0: 5}, 10), Counters(20, 0, {1.0: 5}, 9), id="the count fell"
        ),
    ],
)
def test_a_histogram_that_falls_alone_was_reset_by_its_library_and_not_by_a_restart(before, after):
    block = close(reading(0, v2={"a": before}), reading(5, v2={"a": after}))

    assert (block.canary, block.restarted) == (Counts(), ())
    assert block.missing == {"a": "its histogram began anew, counted from now on"}


@pytest.mark.parametrize(
    ("reason", "bad"),
    [
        ("a counter is not a number", Counters(nan, 0)),
        ("a counter is not a number", Counters(inf, 0)),
        ("a counter is not a number", Counters(30, 0, {1.0: nan}, 30)),
        ("a counter is negative", Counters(30, -1)),
        ("a counter is too large to be a count", Counters(1e17, 0)),
        ("more requests failed than were completed", Counters(30, 31)),
    ],
)
def test_a_pod_with_unsound_counters_is_left_out_with_a_reason(reason, bad):
    before = reading(0, v2={"a": counters(10), "b": counters(10)})

    block = close(before, reading(5, v2={"a": bad, "b": counters(15)}))

    assert block.canary.requests == 5
    assert block.missing == {"a": reason}


def test_an_unsound_reference_counts_nothing():
    block = close(reading(0, v2={"a": Counters(nan, 0)}), reading(5, v2={"a": counters(10)}))

    assert block.canary == Counts()
    assert "previous reading was unsound" in block.missing["a"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Counters(10, 0), Counters(12, 10)),
        (Counters(10, 0, {1.0: 0}, 10), Counters(12, 0, {1.0: 9}, 12)),
    ],
    ids=["more failed than completed", "more in a bucket than timed"],
)
def test_differences_that_contradict_each_other_are_left_out(before, after):
    block = close(reading(0, v2={"a": before}), reading(5, v2={"a": after}))

    assert block.canary == Counts()
    assert block.missing == {"a": "its counters contradict each other"}


def test_a_vanished_pod_has_nothing_to_be_counted():
    before = reading(0, v2={"a": counters(10), "gone": counters(500, 400)})

    block = close(before, reading(5, v2={"a": counters(11)}))

    assert (block.canary.requests, block.canary.pods, block.missing) == (1, 1, {})


def test_a_pod_that_could_not_be_read_keeps_its_reason():
    before = reading(0, v2={"a": counters(10)})

    block = close(before, reading(5, v2={}, missing={"a": "timed out"}))

    assert (block.canary, block.missing) == (Counts(), {"a": "timed out"})


def test_the_same_reading_twice_is_an_empty_block():
    same = reading(5, v1={"s": counters(100, 3)}, v2={"a": counters(50, 2, slow=1)})

    block = close(same, same)

    assert block.seconds == 0
    assert (block.canary.requests, block.canary.failed, block.canary.timed) == (0, 0, 0)
    assert (block.stable.requests, block.stable.failed, block.stable.timed) == (0, 0, 0)


def test_a_clock_that_went_back_makes_no_negative_length():
    assert close(reading(50), reading(40)).seconds == 0


def test_without_a_canary_its_arm_is_empty():
    before = reading(0, v1={"s": counters(1)}, v2={"a": counters(1)})
    after = reading(5, v1={"s": counters(4)}, v2={"a": counters(9)})

    block = close(before, after, canary=None)

    assert (block.canary, block.stable.requests) == (Counts(), 3)


def test_only_bounds_that_a_pod_has_in_both_readings_are_compared():
    before = reading(0, v2={"a": Counters(10, 0, {0.25: 8, 1.0: 9}, 10)})
    after = reading(5, v2={"a": Counters(20, 0, {0.5: 15, 1.0: 17}, 20)})

    assert close(before, after).canary.within == {1.0: 8}


def test_only_bounds_that_all_pods_have_are_summed():
    zero = Counters(10, 0, {0.5: 0, 1.0: 0}, 0)
    before = reading(0, v2={"a": zero, "b": Counters(10, 0, {1.0: 0, 2.0: 0}, 0)})
    after = reading(
        5,
        v2={
            "a": Counters(20, 0, {0.5: 4, 1.0: 6}, 10),
            "b": Counters(20, 0, {1.0: 7, 2.0: 9}, 10),
        },
    )

    counts = close(before, after).canary

    assert (counts.within, counts.timed) == ({1.0: 13}, 20)


def test_pods_without_a_common_bound_say_nothing_about_latency():
    before = reading(0, v2={"a": Counters(1, 0, {0.5: 1}, 1), "b": Counters(1, 0, {0.7: 1}, 1)})
    after = reading(5, v2={"a": Counters(9, 0, {0.5: 1}, 9), "b": Counters(9, 0, {0.7: 1}, 9)})

    counts = close(before, after).canary

    assert (counts.requests, counts.within, counts.timed) == (16, {}, 0)


def test_a_pod_without_a_histogram_does_not_hide_the_others():
    before = reading(0, v2={"a": counters(10), "b": Counters(10, 0)})
    after = reading(5, v2={"a": counters(20, slow=2), "b": Counters(30, 0)})

    counts = close(before, after).canary

    assert (counts.requests, counts.timed, counts.within[0.5]) == (30, 10, 8)


def test_a_pod_before_its_first_request_had_empty_buckets():
    before = reading(0, v2={"a": Counters(0, 0)})

    counts = close(before, reading(5, v2={"a": counters(7, slow=2)})).canary

    assert (counts.timed, counts.within[0.5]) == (7, 5)


def test_buckets_that_appear_after_requests_were_counted_are_not_taken_for_new():
    before = reading(0, v2={"a": Counters(900, 0)})

    counts = close(before, reading(5, v2={"a": counters(901)})).canary

    assert (counts.requests, counts.timed, counts.within) == (1, 0, {})


def test_parts_of_a_request_are_not_counted():
    before = reading(0, v2={"a": Counters(0.4, 0)})

    assert close(before, reading(5, v2={"a": Counters(2.2, 0)})).canary.requests == 1


# ---------------------------------------------------------------- how failures fall on pods


def spread(bad: dict[str, int], requests: int = 100, slow: int = 0):
    before = reading(0, v1=dict.fromkeys(bad, counters(0)))
    after = reading(5, v1={pod: counters(requests, y, slow=slow) for pod, y in bad.items()})
    return close(before, after).spread


def test_failures_that_fall_on_one_pod_are_uneven():
    """Six failures, two promised by each pod: (4^2 + 2^2 + 2^2) * 3, over 1 - 0.02."""
    found = spread({"a": 6, "b": 0, "c": 0})[FAILED]

    assert found.seen == pytest.approx(24 * 3 / 0.98)
    assert found.expected == 6 * 2


def test_even_failures_are_less_uneven_than_chance():
    found = spread({"a": 2, "b": 2, "c": 2})[FAILED]

    assert found.seen < found.expected


def test_slow_requests_are_compared_at_each_bound():
    assert set(spread({"a": 1, "b": 0}, slow=3)) == {FAILED, 0.25, 0.5, 1.0}


@pytest.mark.parametrize(
    ("row", "bad", "requests"),
    [
        ("one pod", {"a": 5}, 100),
        ("nothing failed", {"a": 0, "b": 0}, 100),
        ("everything failed", {"a": 9, "b": 9}, 9),
        ("no requests", {"a": 0, "b": 0}, 0),
    ],
)
def test_pods_that_cannot_be_compared_say_nothing(row, bad, requests):
    assert FAILED not in spread(bad, requests), row


def test_restarts_are_counted_by_arm():
    before = reading(0, v1={"s": counters(9)}, v2={"a": counters(50), "b": counters(50)})
    after = reading(5, v1={"s": counters(10)}, v2={"a": counters(6), "b": counters(51)})

    block = close(before, after)

    assert (block.canary.restarts, block.stable.restarts) == (1, 0)


def test_what_several_gateways_count_of_one_pod_is_one_pod():
    """Two gateways saw four and two failures of one pod: six of 200 are that pod's."""
    two = spread({"a@gw-1": 4, "a@gw-2": 2, "b@gw-1": 0, "b@gw-2": 0})

    assert two[FAILED] == spread({"a": 6, "b": 0}, requests=200)[FAILED]
    assert FAILED not in spread({"a@gw-1": 4, "a@gw-2": 2})


def test_a_gateway_that_restarts_is_no_restart_of_the_pods_it_counts():
    before = reading(0, v1={"s@gw": counters(90)}, v2={"a@gw": counters(50)})
    after = reading(5, v1={"s@gw": counters(10)}, v2={"a@gw": counters(6)})

    block = close(before, after)

    assert (block.canary.restarts, block.stable.restarts) == (0, 0)
    assert block.restarted == ("a@gw", "s@gw")
