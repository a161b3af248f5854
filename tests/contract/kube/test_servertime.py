"""The API server's time: believed, carried, never going back."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.errors import TransientError
from daemon.kube.servertime import ServerClock
from tests.contract.kube.scripted import FakeClock

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""

START = 1_700_000_000


def date(seconds):
    return format_datetime(datetime.fromtimestamp(START + seconds, UTC), usegmt=True)


class Told:
    """A ServerClock that is told Dates at moments of a virtual clock."""

    def __init__(self):
        self.clock = FakeClock()
        self.server = ServerClock(self.clock)

    def at(self, monotonic, *dates):
        self.clock.seconds = 1000.0 + monotonic
        for each in dates:
            header = date(each) if isinstance(each, int) else each
            self.server.note(header, self.clock.seconds)
        return self.server.now().timestamp() - START


def test_before_the_first_answer_there_is_no_time():
    server = ServerClock(FakeClock())

    assert not server.known
    with pytest.raises(TransientError, match="not known yet"):
        server.now()


def test_the_first_date_is_believed_and_carried_by_the_monotonic_clock():
    told = Told()

    assert told.at(0, 100) == 100
    assert told.at(7.25) == 107.25


def test_time_is_aware_and_utc():
    told = Told()
    told.at(0, 0)

    assert told.server.now() == datetime.fromtimestamp(START, UTC)
    assert told.server.now().tzinfo is UTC


TABLE = [
    # (rule, [(when, *dates told then)], time afterwards, jumps)
    ("a date a little ahead moves time up: its fraction was cut", [(0, 100), (0.2, 101)], 101, 0),
    ("a date a little behind moves nothing", [(0, 100), (5, 104)], 105, 0),
    ("a date two seconds ahead is within the tolerance", [(0, 100), (5, 107)], 107, 0),
    ("one odd date ahead moves nothing", [(0, 100), (5, 4000)], 105, 0),
    ("one odd date behind moves nothing", [(0, 100), (5, 7)], 105, 0),
    ("two odd dates move nothing", [(0, 100), (5, 4000), (6, 4001)], 106, 0),
    ("three that agree are believed", [(0, 100), (5, 4000), (6, 4001), (7, 4002)], 4002, 1),
    ("three at once are one witness", [(0, 100), (5, 4000, 4000, 4000)], 105, 0),
    ("three within two seconds are two", [(0, 100), (5, 4000), (5.9, 4000), (6, 4001)], 106, 0),
    ("three that disagree move nothing", [(0, 100), (5, 4000), (6, 5000), (7, 6000)], 107, 0),
    ("a good one between starts the count again",
     [(0, 100), (5, 4000), (6, 4001), (7, 107), (8, 4003), (9, 4004)], 109, 0),
    ("a disagreeing one starts the count again",
     [(0, 100), (5, 4000), (6, 4001), (7, 50), (8, 4003), (9, 4004)], 109, 0),
    ("it may be the first of three itself",
     [(0, 100), (5, 50), (6, 4001), (7, 4002), (8, 4003)], 4003, 1),
    ("three seconds forward are no jump", [(0, 100), (5, 108), (6, 109), (7, 110)], 110, 0),
    ("five seconds forward are no jump", [(0, 100), (5, 110), (6, 111), (7, 112)], 112, 0),
    ("six seconds forward are one", [(0, 100), (5, 111), (6, 112), (7, 113)], 113, 1),
    ("a believed step back is no jump and shows no earlier time",
     [(0, 100), (5, 50), (6, 51), (7, 52)], 107, 0),
    ("a frozen machine comes back an hour later", [(0, 100), (1, 3700), (2, 3701), (3, 3702)], 3702, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("told_then", "after", "jumps"), [pytest.param(*row[1:], id=row[0]) for row in TABLE]
)
def test_a_date_is_weighed(told_then, after, jumps):
    told = Told()

    for moment, *dates in told_then:
        shown = told.at(moment, *dates)

    assert shown == after
    assert told.server.jumps == jumps


def test_after_a_step_back_time_goes_on_at_half_speed_until_the_server_has_caught_up():
    told = Told()
    for moment, *dates in [(0, 100), (5, 95), (6, 96), (7, 97)]:  # ten seconds back
        told.at(moment, *dates)

    assert told.at(9) == 108
    assert told.at(27) == 117
    assert told.at(30) == 120


def test_the_moment_of_a_jump_is_the_time_right_after_it():
    told = Told()
    for moment, *dates in [(0, 100), (5, 4000), (6, 4001), (7, 4002)]:
        told.at(moment, *dates)

    assert told.server.jumped_at == datetime.fromtimestamp(START + 4002, UTC)


@pytest.mark.parametrize(
    "header",
    [None, "", "yesterday", "Tue, 99 Nov 2023 22:13:20 GMT", "0" * 10_000, "Tue, 14 Nov 2023 22:13:20 -0000",
     "Tue, 14 Nov 99999 22:13:20 GMT", "Tue, 14 Nov 2023 22:13:20 +9999999999"],
)  # fmt: skip
def test_what_is_no_date_is_left_out_of_account(header):
    told = Told()
    told.at(0, 100)

    assert told.at(1, header) == 101


@calm
@given(
    st.lists(
        st.tuples(st.floats(0, 100, allow_nan=False), st.integers(-4000, 4000), st.booleans()),
        max_size=40,
    )
)
def test_time_never_goes_back(steps):
    told = Told()
    last, moment = told.at(0, 0), 0.0

    for wait, off, honest in steps:
        moment += wait
        shown = told.at(moment, int(moment) if honest else int(moment) + off)
        assert shown >= last
        last = shown
