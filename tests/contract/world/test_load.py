"""Users' requests: how many, counted by who answered and how. Over real sockets."""

import asyncio
import random
import socket

import pytest

from daemon.sandbox.clock import SandboxClock
from daemon.sandbox.echo import Echo
from daemon.sandbox.knobs import Knobs
from daemon.sandbox.load import NO_ANSWER, NOBODY, Load, Tally

DEADLINE = 10.0


@pytest.fixture
async def echo():
    echo = Echo("v7", "p", knobs=Knobs(), rng=random.Random(1))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    echo.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    await echo.listen([listening])
    yield echo
    await echo.close(grace=0)


async def until(condition):
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await SandboxClock().sleep(0.01)


async def test_requests_are_counted_by_answering_version_and_status(echo):
    load = Load(echo.url, rps=200, clock=SandboxClock())
    load.start()
    await until(lambda: load.total.sent >= 20)
    echo.knobs = Knobs(error_rate=1, error_paths=("/work",))
    await until(lambda: load.total.failed >= 5)

    total = await load.stop()

    assert set(total.answers) == {("v7", 200), ("v7", 500)}
    assert total.of("v7") == total.sent == echo.counts.by_code.total()
    assert total.failed_of("v7") == echo.counts.by_code[500]


async def test_seconds_sum_to_the_total(echo):
    load = Load(echo.url, rps=200, clock=SandboxClock())
    load.start()
    await until(lambda: len(load.seconds) >= 2)

    total = await load.stop()

    assert sum(second.tally.sent for second in load.seconds) == total.sent


async def test_nobody_answering_is_counted_as_failed():
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    load = Load(f"http://127.0.0.1:{closed.getsockname()[1]}", rps=100, clock=SandboxClock())
    load.start()
    await until(lambda: load.total.failed >= 3)

    total = await load.stop()
    closed.close()

    assert set(total.answers) == {(NOBODY, NO_ANSWER)}


async def test_a_slow_service_is_not_asked_on_more_connections_than_allowed(echo):
    echo.knobs = Knobs(latency=0.5)
    load = Load(echo.url, rps=200, clock=SandboxClock(), connections=3)
    load.start()
    await until(lambda: load.total.skipped >= 10)

    total = await load.stop()

    assert total.sent == 3


async def test_requests_that_run_when_it_stops_are_counted(echo):
    echo.knobs = Knobs(latency=0.3)
    load = Load(echo.url, rps=100, clock=SandboxClock())
    load.start()
    await until(lambda: load.seconds and load._busy >= 5)

    total = await load.stop()

    assert total.sent == echo.counts.by_code.total() >= 5


@pytest.mark.parametrize("url", ["http://example.com", "http://192.0.2.1:80", "https://127.0.0.1"])
def test_load_goes_to_loopback_only(url):
    with pytest.raises(ValueError, match="loopback"):
        Load(url, rps=1, clock=SandboxClock())


@pytest.mark.parametrize("rps", [0, -1, 2001])
def test_the_rate_is_bounded(rps):
    with pytest.raises(ValueError, match="rate"):
        Load("http://127.0.0.1:1", rps=rps, clock=SandboxClock())


def test_a_latency_share_is_a_bound_that_holds():
    tally = Tally()
    for seconds in [0.001] * 98 + [0.2, 0.9]:
        tally.add("v1", 200, seconds)

    assert 0.001 <= tally.latency(0.5, "v1") <= 0.00125
    assert 0.9 <= tally.latency(1.0) <= 0.9 * 1.25
    assert tally.latency(0.5, "v2") is None
