"""The one port, over real sockets: what it answers, and what nobody can do to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from daemon.errors import PermanentError
from daemon.web import server as web_server
from daemon.web.metrics import Metrics
from daemon.web.server import Web


class State:
    """What the two complaints say at the moment."""

    stalled: str | None = None
    unready: str | None = None


@pytest.fixture
async def state() -> State:
    return State()


@pytest.fixture
async def web(state: State) -> AsyncIterator[Web]:
    server = Web(
        "127.0.0.1",
        0,
        metrics=Metrics("1.2.3"),
        stalled=lambda: state.stalled,
        unready=lambda: state.unready,
    )
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(web: Web) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{web.port}", timeout=aiohttp.ClientTimeout(total=5)
    ) as session:
        yield session


@asynccontextmanager
async def connection(web: Web) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    try:
        async with asyncio.timeout(5):
            yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def answer(client: aiohttp.ClientSession, path: str, method: str = "GET") -> tuple[int, str]:
    async with client.request(method, path) as response:
        return response.status, await response.text()


async def test_health_is_fine_while_nothing_is_stuck(client: aiohttp.ClientSession) -> None:
    assert await answer(client, "/healthz") == (200, "ok\n")


async def test_health_names_what_is_stuck(client: aiohttp.ClientSession, state: State) -> None:
    state.stalled = "scheduler has not beaten for 40 s"

    assert await answer(client, "/healthz") == (503, "scheduler has not beaten for 40 s\n")


async def test_an_unready_daemon_is_healthy(client: aiohttp.ClientSession, state: State) -> None:
    state.unready = "caches are not synced yet: deployments"

    assert (await answer(client, "/healthz"))[0] == 200


async def test_readiness_says_what_is_missing(client: aiohttp.ClientSession, state: State) -> None:
    state.unready = "caches are not synced yet: deployments"

    assert await answer(client, "/readyz") == (503, "caches are not synced yet: deployments\n")


async def test_metrics_are_served_as_prometheus_reads_them(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics") as response:
        text = await response.text()

        assert response.content_type == "text/plain"
        assert 'crossfade_build_info{version="1.2.3"} 1.0' in text


async def test_openmetrics_is_served_to_those_who_ask(client: aiohttp.ClientSession) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}

    async with client.get("/metrics", headers=accept) as response:
        assert response.content_type == "application/openmetrics-text"


@pytest.mark.parametrize("path", ["/", "/-/reload", "/metrics/", "/debug", "/../etc/passwd"])
async def test_anything_else_is_not_there(client: aiohttp.ClientSession, path: str) -> None:
    assert (await answer(client, path))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_written(client: aiohttp.ClientSession, method: str) -> None:
    assert (await answer(client, "/metrics", method))[0] == 405


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/nothing"])
async def test_every_answer_tells_browsers_to_be_careful(
    client: aiohttp.ClientSession, path: str
) -> None:
    async with client.get(path) as response:
        headers = response.headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


async def test_answers_do_not_tell_versions_of_libraries(client: aiohttp.ClientSession) -> None:
    async with client.get("/healthz") as response:
        assert response.headers["Server"] == "crossfade"


async def test_an_occupied_port_is_told_with_the_option_that_changes_it(web: Web) -> None:
    second = Web(
        "127.0.0.1",
        web.port,
        metrics=Metrics(),
        stalled=lambda: None,
        unready=lambda: None,
    )

    with pytest.raises(PermanentError, match=rf"127\.0\.0\.1:{web.port}.*--listen"):
        await second.start()


async def test_stopping_a_server_that_never_started_is_nothing() -> None:
    web = Web("127.0.0.1", 0, metrics=Metrics(), stalled=lambda: None, unready=lambda: None)

    await web.stop()


async def test_stopping_ends_open_connections(web: Web) -> None:
    async with connection(web) as (reader, _):
        await web.stop()

        assert await reader.read() == b""


async def test_a_connection_that_asks_too_slowly_is_closed(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "CONNECTION_SECONDS", 0.05)

    async with connection(web) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nX-Slow: ")

        assert await reader.read() == b""


async def test_connections_over_the_bound_are_refused_and_others_go_on(
    web: Web, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await answer(client, "/healthz"))[0] == 200
    monkeypatch.setattr(web_server, "MAX_CONNECTIONS", 1)

    async with connection(web) as (reader, _):
        assert await reader.read() == b""

    assert (await answer(client, "/healthz"))[0] == 200


async def test_a_line_without_end_is_refused(web: Web) -> None:
    async with connection(web) as (reader, writer):
        writer.write(b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")

        assert b" 400 " in await reader.readline()
