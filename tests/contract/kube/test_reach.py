"""When the API server counts as out of reach, by what became of the requests to it."""

from asyncio import CancelledError
from contextlib import suppress

import pytest

from daemon.errors import (
    ConflictError,
    CrossfadeError,
    ForbiddenError,
    NotFoundError,
    TransientError,
)
from daemon.kube.reach import MAX_SPANS, Reach, Span
from tests.contract.kube.scripted import FakeClock

SILENT = TransientError("no connection")


class Server:
    """A reach and its clock, which stands at 1000 s."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.reach = Reach(self.clock)

    def ask(self, seconds: float = 0.1, problem: CrossfadeError | None = None) -> None:
        """Send a request whose end, good or bad, comes after so many seconds."""
        with suppress(CrossfadeError), self.reach.asking():
            self.clock.seconds += seconds
            if problem is not None:
                raise problem

    @property
    def lost(self) -> list[tuple[float, float]]:
        return [(round(it.since - 1000, 3), round(it.until - 1000, 3)) for it in self.reach.lost()]


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_server_that_answers_is_in_reach_however_long_nobody_asks(server: Server) -> None:
    server.ask()
    server.clock.seconds += 3600
    server.ask()

    assert server.lost == []


def test_it_is_out_of_reach_from_the_request_without_an_answer_until_the_next_answer(
    server: Server,
) -> None:
    server.clock.seconds += 5
    server.ask(1.0, SILENT)
    server.clock.seconds += 20
    server.ask(0.5, SILENT)
    during = server.lost
    server.clock.seconds += 10
    server.ask()
    server.clock.seconds += 100

    assert during == [(5, 26.5)]
    assert server.lost == [(5, 36.6)]


@pytest.mark.parametrize("refusal", [NotFoundError, ForbiddenError, ConflictError])
def test_a_refusal_is_an_answer(server: Server, refusal: type[CrossfadeError]) -> None:
    server.ask(0.1, refusal("no"))

    assert server.lost == []


def test_while_a_request_waits_for_long_the_server_is_out_of_reach(server: Server) -> None:
    with server.reach.asking():
        server.clock.seconds += 2
        short = server.lost
        server.clock.seconds += 1
        long = server.lost

    assert (short, long, server.lost) == ([], [(0, 3)], [(0, 3)])


def test_other_answers_do_not_hide_that_one_request_still_waits(server: Server) -> None:
    with server.reach.asking():
        server.clock.seconds += 30
        server.ask()
        during = server.lost
        server.clock.seconds += 1

    assert during == [(0, 30.1)]
    assert server.lost == [(0, 31.1)]


def test_a_request_that_was_given_up_says_nothing(server: Server) -> None:
    with suppress(CancelledError), server.reach.asking():
        server.clock.seconds += 60
        raise CancelledError

    assert server.lost == []


def test_outages_that_touch_are_one(server: Server) -> None:
    with server.reach.asking():
        server.ask(1.0, SILENT)
        server.ask(1.0)
        server.clock.seconds += 5

    assert server.lost == [(0, 7)]


def test_of_many_outages_the_last_are_remembered(server: Server) -> None:
    for _ in range(MAX_SPANS + 10):
        server.clock.seconds += 60
        server.ask(1.0, SILENT)
        server.ask(1.0)

    lost = server.reach.lost()
    assert len(lost) == MAX_SPANS
    assert lost[-1] == Span(server.clock.seconds - 2, server.clock.seconds)
