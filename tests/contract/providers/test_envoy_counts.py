"""What a real Envoy counts of an endpoint: every failed attempt once, whatever failed.

The table in `analysis.providers.envoy_page` was made with this; a new Envoy that counts otherwise
breaks a row here.
"""

import asyncio
import json
import socket
import struct
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from analysis.providers.envoy_page import counts_failures, read_cluster
from analysis.samples import Counters
from daemon.sandbox.dying import with_this_thread
from daemon.sandbox.gateway import envoy_path

PATIENCE = 20.0
FILTERS = "type.googleapis.com/envoy.extensions.filters"
GRPC = {"content-type": "application/grpc"}
ANSWERS = {
    "/ok": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "/404": b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n",
    "/409": b"HTTP/1.1 409 X\r\ncontent-length: 0\r\n\r\n",
    "/500": b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n",
    "/half": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok",
    "/garbage": b"what?\r\n\r\n",
    "/not-found": b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 5\r\ncontent-length: 0\r\n\r\n",
    "/unavailable": b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\ncontent-length: 0\r\n\r\n",
}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Behave by the path; `/hang` says nothing until the other side gives up."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            if path == "/cut":
                off = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, off)
                break
            writer.write(ANSWERS.get(path, b""))
            await writer.drain()
            if path in ("/half", "/garbage"):
                break
    writer.close()


def free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def cluster(name: str, *endpoints: tuple[str, int]) -> dict:
    hosts = [
        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
        for host, port in endpoints
    ]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "0.5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]},
    }


def route(prefix: str, to: str, timeout: str = "0.5s", **more: object) -> dict:
    action = {"cluster": to, "timeout": timeout, "prefix_rewrite": "/", **more}
    return {"match": {"prefix": prefix}, "route": action}


def configuration(port: int, admin: int, up: int, dead: int, *, dynamic_stats: bool) -> dict:
    twice = {"retry_on": "5xx,retriable-4xx", "num_retries": 2}
    once = {"retry_on": "5xx", "num_retries": 1, "per_try_timeout": "0.2s"}
    routes = [
        route("/retry/", "up", retry_policy=twice),
        route("/tries/", "up", "5s", retry_policy=once),
        route("/dead/retry/", "dead", retry_policy=twice),
        route("/dead/", "dead"),
        route("/", "up"),
    ]
    router = {"@type": f"{FILTERS}.http.router.v3.Router", "dynamic_stats": dynamic_stats}
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "route_config": {"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "router", "typed_config": router}],
    }
    chain = {"filters": [{"name": "manager", "typed_config": manager}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "admin": {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}},
        },
        "static_resources": {
            "listeners": [{"name": "l", "address": address, "filter_chains": [chain]}],
            "clusters": [
                cluster("up", ("127.0.0.1", up)),
                cluster("dead", ("127.0.0.1", dead)),
                cluster("six", ("fd00::7", 8080), ("::1", 8080)),
            ],
        },
    }


@dataclass
class Proxy:
    """One Envoy in front of an application that does what the path says."""

    url: str
    admin: str
    session: aiohttp.ClientSession

    async def ask(self, path: str, *, headers: dict | None = None, patience: float = 10) -> None:
        """Ask once; what the client gets does not matter here."""
        timeout = aiohttp.ClientTimeout(total=patience)
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self.session.get(
                self.url + path, headers=headers or {}, timeout=timeout
            ) as it:
                await it.read()

    async def page(self, path: str) -> bytes:
        async with self.session.get(self.admin + path) as it:
            return await it.read()

    async def counters(self, name: str = "up") -> Counters:
        return read_cluster(await self.page("/clusters"), name).endpoints["127.0.0.1"]

    async def number(self, name: str, which: str = "up") -> int:
        lines = (await self.page("/clusters")).decode().splitlines()
        [value] = [
            line.rpartition("::")[2]
            for line in lines
            if line.startswith(f"{which}::127.0.0.1:") and f"::{name}::" in line
        ]
        return int(value)


@asynccontextmanager
async def proxy_in(directory, *, dynamic_stats: bool = True):
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    up = server.sockets[0].getsockname()[1]
    port, admin, dead = free_port(), free_port(), free_port()
    file = directory / "envoy.json"
    file.write_text(json.dumps(configuration(port, admin, up, dead, dynamic_stats=dynamic_stats)))
    process = await asyncio.create_subprocess_exec(
        envoy_path(),
        *("-c", str(file), "-l", "off", "--concurrency", "1"),
        *("--disable-hot-restart", "--use-dynamic-base-id"),
        preexec_fn=with_this_thread(),
    )
    try:
        async with server, aiohttp.ClientSession() as session:
            proxy = Proxy(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}", session)
            await until_ready(proxy)
            yield proxy
            server.close()
    finally:
        process.terminate()
        await process.wait()


async def until_ready(proxy: Proxy) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(aiohttp.ClientError):
                if await proxy.page("/ready") == b"LIVE\n":
                    return
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(tmp_path_factory):
    async with proxy_in(tmp_path_factory.mktemp("envoy")) as it:
        yield it


ROWS = [
    pytest.param("up", "/ok", {}, (1, 0), id="an answer below 500 is no failure"),
    pytest.param("up", "/404", {}, (1, 0), id="a 4xx is no failure"),
    pytest.param("up", "/500", {}, (1, 1), id="a 5xx is a failure"),
    pytest.param("up", "/hang", {}, (1, 1), id="a time-out is one failure"),
    pytest.param("up", "/cut", {}, (1, 1), id="a connection cut before the headers is a failure"),
    pytest.param("up", "/garbage", {}, (1, 1), id="what is no HTTP is a failure"),
    pytest.param("up", "/half", {}, (1, 0), id="an answer cut after its headers is none"),
    pytest.param("up", "/retry/500", {}, (3, 3), id="each retried attempt is one"),
    pytest.param("up", "/retry/cut", {}, (3, 3), id="each retried cut is one"),
    pytest.param(
        "up", "/retry/409", {}, (3, 2), id="what is retried failed, the last answer counts"
    ),
    pytest.param("up", "/tries/hang", {}, (2, 2), id="each try's time-out is one failure"),
    pytest.param("up", "/not-found", GRPC, (1, 0), id="a gRPC status of the client's is none"),
    pytest.param("up", "/unavailable", GRPC, (1, 1), id="a gRPC status of the server's is one"),
    pytest.param("dead", "/dead/ok", {}, (1, 1), id="a refused connection is one failure"),
    pytest.param("dead", "/dead/retry/ok", {}, (3, 3), id="each refused connection is one"),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("which", "path", "headers", "counted"), ROWS)
async def test_every_failed_attempt_is_counted_once(proxy, which, path, headers, counted):
    before = await proxy.counters(which)

    await proxy.ask(path, headers=headers)

    after = await proxy.counters(which)
    assert (after.requests - before.requests, after.failed - before.failed) == counted


@pytest.mark.asyncio(loop_scope="module")
async def test_a_client_who_gives_up_is_in_no_count(proxy):
    before, begun = await proxy.counters(), await proxy.number("rq_total")

    await proxy.ask("/tries/hang", patience=0.05)

    # Envoy has seen the client leave once nothing is active any more.
    async with asyncio.timeout(PATIENCE):
        while True:
            total, active = await proxy.number("rq_total"), await proxy.number("rq_active")
            if total > begun and active == 0:
                break
            await asyncio.sleep(0.02)
    assert await proxy.counters() == before


@pytest.mark.asyncio(loop_scope="module")
async def test_time_outs_and_refused_connections_are_in_the_errors_already(proxy):
    timeouts = await proxy.number("rq_timeout")
    refused = await proxy.number("cx_connect_fail", "dead")

    await proxy.ask("/hang")
    await proxy.ask("/dead/ok")

    assert await proxy.number("rq_timeout") == timeouts + 1
    assert await proxy.number("cx_connect_fail", "dead") == refused + 1


@pytest.mark.asyncio(loop_scope="module")
async def test_the_filter_shows_one_cluster_only(proxy):
    page = (await proxy.page("/clusters?filter=%5Eup%24")).decode()

    assert {line.partition("::")[0] for line in page.splitlines()} == {"up"}


@pytest.mark.asyncio(loop_scope="module")
async def test_addresses_of_ipv6_are_read(proxy):
    page = read_cluster(await proxy.page("/clusters"), "six")

    assert page.endpoints == {"fd00::7": Counters(0, 0), "::1": Counters(0, 0)}


async def statistics(proxy: Proxy) -> bytes:
    return await proxy.page(
        "/stats?filter=%5Ecluster%5C.up%5C.upstream_rq_%28total%7Ccompleted%29%24"
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_a_gateway_that_counts_failures_shows_it(proxy):
    await proxy.ask("/ok")

    assert counts_failures(await statistics(proxy)) is True


async def test_without_dynamic_stats_failures_are_not_counted_and_that_is_seen(tmp_path):
    async with proxy_in(tmp_path, dynamic_stats=False) as blind:
        for _ in range(20):
            await blind.ask("/500")

        assert await blind.counters() == Counters(0, 0)
        assert counts_failures(await statistics(blind)) is False
