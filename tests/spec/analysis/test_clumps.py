"""How large clumps are, and how many stand behind the failures of a block."""

import pytest

from analysis.clumps import ERRORS_ADDED, LARGEST, NOTICEABLE, Clumps, count_clumps
from analysis.samples import Spread


def learned(seen: float, expected: float, times: int) -> Clumps:
    clumps = Clumps()
    for _ in range(times):
        clumps = clumps.add(Spread(seen, expected))
    return clumps


def test_without_history_clumps_must_be_expected():
    assert Clumps().phi > 5


def test_history_without_clumps_makes_each_failure_count():
    assert learned(10, 10, 100).phi == 1
    assert learned(10, 10, 100).sizes == (1, 1)


def test_history_with_clumps_tells_their_size():
    clumps = learned(70, 10, 1000)

    assert clumps.phi == pytest.approx(7, rel=0.02)
    assert clumps.sizes == pytest.approx((4, 4), rel=0.02)


def test_an_estimate_of_few_failures_is_raised_by_its_error():
    few, many = Clumps().add(Spread(300, 20)), learned(300, 20, 500)

    assert few.phi > few.seen / few.expected + ERRORS_ADDED
    assert many.phi == pytest.approx(15, rel=0.02)


def test_no_estimate_is_larger_than_an_incident():
    assert learned(1e6, 1, 100).phi == LARGEST


def test_a_block_that_says_nothing_teaches_nothing():
    assert Clumps().add(None) == Clumps()


def test_a_memory_that_makes_no_sense_is_taken_for_the_worst():
    assert Clumps(turn_seen=1.0, turn_expected=0.0).phi == LARGEST


def test_a_few_failures_tell_a_range_of_sizes():
    large, small = Clumps().add(Spread(300, 30)).sizes

    assert 1 < small < 5 < large


def in_turn(*blocks: tuple[int, int]) -> Clumps:
    clumps = Clumps()
    for bad, total in blocks:
        clumps = clumps.add(None, bad, total)
    return clumps


def test_before_anything_failed_there_may_be_clumps_or_none():
    large, small = Clumps().sizes

    assert (large, small) == (pytest.approx(4.0), 1)


def test_with_one_pod_blocks_in_turn_tell_that_there_are_no_clumps():
    assert in_turn(*[(5, 500)] * 100).sizes == (1, 1)


def test_with_one_pod_blocks_in_turn_tell_how_large_clumps_are_at_most():
    """An incident of half of the blocks looks the same as clumps of a hundred."""
    large, small = in_turn(*[(0, 500), (9, 500)] * 100).sizes

    assert large == pytest.approx((9 / (1 - 9 / 1000) + 1) / 2, rel=0.05)
    assert small == 1


def test_each_block_takes_one_turn():
    assert in_turn((0, 500), (9, 500), (0, 500)) == in_turn((0, 500), (9, 500)).add(None, 0, 500)
    assert in_turn((0, 500), (9, 500)).last_total == 0


def test_a_block_without_requests_waits_for_no_turn():
    assert in_turn((3, 500), (0, 0)) == in_turn((3, 500))


def test_where_pods_tell_blocks_in_turn_do_not():
    clumps = learned(10, 10, 100)
    for bad in (0, 90) * 50:
        clumps = clumps.add(None, bad, 500)

    assert clumps.sizes == (1, 1)


def test_what_chance_makes_is_not_noticed():
    assert learned(10 * NOTICEABLE * 0.99, 10, 10_000).phi == 1


@pytest.mark.parametrize(
    ("row", "bad", "promised", "size", "count"),
    [
        ("nothing", 0, 5, 4, 0),
        ("one", 1, 5, 4, 1),
        ("each for itself", 7, 5, 1, 7),
        ("a lone clump", 40, 0.001, 4, 1),
        ("as many as usual", 4000, 4000, 4, 1000),
    ],
)
def test_clumps_are_counted(row, bad, promised, size, count):
    assert count_clumps(bad, promised, size) == pytest.approx(count, rel=0.1), row


def test_around_the_usual_one_more_failure_counts_by_its_dispersion():
    """phi = 2 * 4 - 1: a quasi-likelihood."""
    slope = count_clumps(8100, 8000, 4) - count_clumps(8000, 8000, 4)

    assert slope == pytest.approx(100 / 7, rel=0.02)


def test_two_failures_are_counted_as_their_posterior_says():
    """P(two clumps) = (z/2) / (1 + z/2) at z = 10: 1 + 10/12."""
    promised = 10 * 4 * 3

    assert count_clumps(2, promised, 4) == pytest.approx(1 + 10 / 12, abs=0.02)


def test_what_is_shown_needs_no_prior():
    assert learned(70, 10, 1000).shown_size == pytest.approx(4, rel=0.02)
    assert learned(5, 10, 1000).shown_size == 1


def test_few_failures_show_no_clumps():
    assert Clumps().add(Spread(100, 10)).shown_size == 1
