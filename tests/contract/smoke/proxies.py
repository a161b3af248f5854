"""Gateways on loopback sockets: well-behaved ones that can be changed, and raw ones that misbehave."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from aiohttp import web

DEADLINE = 10.0
"""Seconds that anything awaited in a test may take at most."""
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class QuickClock:
    """Virtual time: a sleep moves it and lets the sockets work once."""

    def __init__(self):
        self.seconds = 1000.0
        self.pauses = []
        self._waiting = []

    def monotonic(self):
        return self.seconds

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        self.seconds += seconds
        for event in [event for moment, event in self._waiting if moment <= self.seconds]:
            event.set()
        await asyncio.sleep(0.001)

    async def pass_by(self, seconds):
        """Wait until others have slept that long."""
        event = asyncio.Event()
        self._waiting.append((self.seconds + seconds, event))
        async with asyncio.timeout(DEADLINE):
            await event.wait()

    def now(self):
        return START + timedelta(seconds=self.seconds - 1000.0)


def numbers(decision=17, rollout="r7f3", version="v2"):
    """Our response headers, as the header route sets them."""
    return {
        "x-crossfade-rollout": rollout,
        "x-crossfade-decision": str(decision),
        "x-crossfade-version": version,
    }


class Proxy:
    """A gateway's proxy. `answer` decides on each request; `requests` keeps what came."""

    def __init__(self, answer=None):
        self.answer = answer or (lambda request: web.Response(headers=numbers()))
        self.requests = []
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def _take(self, request):
        await request.read()
        self.requests.append(request)
        found = self.answer(request)
        found.headers.setdefault("server", "envoy")
        return found

    @asynccontextmanager
    async def running(self, tls=None):
        runner = web.AppRunner(web.Application(), access_log=None, shutdown_timeout=0)
        runner.app.router.add_route("*", "/{tail:.*}", self._take)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


@asynccontextmanager
async def raw_server(reply):
    """A socket server; `reply(reader, writer)` does as it likes once a request's head has come."""

    async def serve(reader, writer):
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await reply(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def hang(reader, _writer):
    await reader.read()


async def close_early(_reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nabc")
    await writer.drain()


async def close_at_once(_reader, _writer):
    pass


async def huge_header(_reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nx-big: ")
    with suppress(ConnectionError):
        for _ in range(160):
            writer.write(b"secret" * 10_923)
            await writer.drain()


async def no_http(_reader, writer):
    writer.write(b"SSH-2.0-secret\r\n\r\n")
    await writer.drain()


def slice_of(*urls, name="http", **conditions):
    """EndpointSlices: one for each port, as the API groups them."""
    return [
        {
            "ports": [{"name": name, "port": int(url.rpartition(":")[2])}],
            "endpoints": [
                {
                    "addresses": ["127.0.0.1"],
                    "conditions": {"ready": True, "terminating": False} | conditions,
                }
            ],
        }
        for url in urls
    ]


class SliceCluster:
    """A cluster that holds EndpointSlices of one Service; `items` may be an error to raise."""

    def __init__(self, *items, pages=1):
        self.items = list(items)
        self.fault = None
        self.pages = pages
        self.asked = []

    async def list_page(self, resource, namespace, *, label_selector="", limit=500, token=""):
        self.asked.append((resource.plural, namespace, label_selector))
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        page = int(token or 0)
        size = -(-len(self.items) // self.pages) or 1
        more = str(page + 1) if page + 1 < self.pages else ""
        return {
            "items": self.items[page * size : (page + 1) * size],
            "metadata": {"continue": more},
        }
