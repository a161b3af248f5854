"""Heartbeats: only a loop of our own that no longer turns makes the process unhealthy."""

from daemon.web.health import Heartbeats


class HandClock:
    """Time that moves when the test says so."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


def test_a_loop_that_beats_is_fine() -> None:
    clock = HandClock()
    beats = Heartbeats(clock)
    beats.beat("scheduler", every_seconds=10)

    clock.time = 30

    assert beats.stalled() is None


def test_a_loop_that_missed_three_beats_is_named() -> None:
    clock = HandClock()
    beats = Heartbeats(clock)
    beats.beat("scheduler", every_seconds=10)
    beats.beat("worker", every_seconds=100)

    clock.time = 31

    assert beats.stalled() == "scheduler has not beaten for 31 s"


def test_a_loop_that_beats_again_is_fine_again() -> None:
    clock = HandClock()
    beats = Heartbeats(clock)
    beats.beat("scheduler", every_seconds=10)
    clock.time = 100

    beats.beat("scheduler", every_seconds=10)

    assert beats.stalled() is None


def test_a_loop_that_ended_on_purpose_is_not_missed() -> None:
    clock = HandClock()
    beats = Heartbeats(clock)
    beats.beat("scheduler", every_seconds=10)

    beats.rest("scheduler")
    clock.time = 100

    assert beats.stalled() is None
