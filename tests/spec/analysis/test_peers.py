"""Flagger's and Argo Rollouts' rules, as re-stated: a fixed limit on the last minute."""

import pytest

from analysis.peers import ARGO, FLAGGER, Peer, Tick


def ticks(rule, *minutes: tuple[int, int]) -> list[Tick]:
    """Checks of a canary whose minutes bring these (requests, failed), in looks of 15 s."""
    peer = Peer(rule)
    found = []
    for minute, (requests, failed) in enumerate(minutes):
        for quarter in range(4):
            at = 60.0 * minute + 15 * (quarter + 1)
            first = quarter == 0
            tick = peer.look(at, requests if first else 0, failed if first else 0)
            found += [tick] if tick is not None else []
    return found


BAD, FINE, QUIET = (100, 2), (100, 1), (0, 0)


def test_a_check_comes_once_an_interval():
    assert [tick.at for tick in ticks(FLAGGER, *[FINE] * 3)] == [60, 120, 180]


def test_a_look_that_comes_late_is_the_check_of_its_interval():
    peer = Peer(FLAGGER)

    seen = [peer.look(at, 1, 0) for at in (59.0, 63.0, 118.0, 121.0)]

    assert [tick is not None for tick in seen] == [False, True, False, True]


@pytest.mark.parametrize(
    ("minute", "fails"),
    [
        pytest.param(BAD, True, id="2 of 100"),
        pytest.param(FINE, False, id="1 of 100, on the limit"),
        pytest.param(QUIET, True, id="no request at all"),
    ],
)
def test_a_check_fails_beyond_the_limit_and_without_requests(minute, fails):
    (tick,) = ticks(FLAGGER, minute)

    assert (tick.fails, tick.failed_checks) == (fails, int(fails))


def test_only_the_last_minute_counts():
    _, second = ticks(FLAGGER, BAD, FINE)

    assert (second.requests, second.failed, second.fails) == (100, 1, False)


def test_flagger_takes_back_one_check_after_five_failed_ones():
    assert [tick.rolls_back for tick in ticks(FLAGGER, *[BAD] * 6)] == [False] * 5 + [True]
    assert ticks(FLAGGER, *[BAD] * 5, FINE)[-1].rolls_back


def test_argo_takes_back_at_the_fourth_failed_check():
    assert [tick.rolls_back for tick in ticks(ARGO, *[BAD] * 4)] == [False] * 3 + [True]
    assert not ticks(ARGO, *[BAD] * 3, FINE)[-1].rolls_back


def test_no_failed_check_is_forgiven():
    assert ticks(ARGO, BAD, FINE, BAD, FINE, BAD, FINE, BAD)[-1].rolls_back
