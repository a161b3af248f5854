"""Real servers on loopback: pods with metrics pages, and a Prometheus that knows four queries."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, *hosts: str) -> AsyncIterator[int]:
    """Serve on one port of each loopback address; yields the port."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        first, *others = hosts or ("127.0.0.1",)
        site = web.TCPSite(runner, first, 0)
        await site.start()
        port = runner.addresses[0][1]
        for host in others:
            await web.TCPSite(runner, host, port).start()
        yield port
    finally:
        await runner.cleanup()


@asynccontextmanager
async def answering(raw: bytes) -> AsyncIterator[int]:
    """Serve whatever bytes to every connection, then keep it open; for what no library would send."""
    held: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.add(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in held:
            writer.close()


async def fetch(url: str, seconds: float) -> bytes:
    """What the daemon hands in: one GET, 200 or an exception."""
    async with (
        ClientSession(timeout=ClientTimeout(total=seconds)) as session,
        session.get(url) as response,
    ):
        if response.status != 200:
            raise RuntimeError(f"answered {response.status}")
        return await response.read()


def success(result: Any, kind: str = "vector", **rest: Any) -> bytes:
    data = {"resultType": kind, "result": result}
    return json.dumps({"status": "success", "data": data, **rest}).encode()


@dataclass
class Sample:
    """One series as Prometheus stored it last; a native histogram is what the API says of it."""

    labels: dict[str, str]
    value: str | dict[str, Any]
    at: float


@dataclass
class Prometheus:
    """Answers `time()`, `sum by`, `max by (timestamp())` and the texts in `scripted`.

    Not PromQL: just the shapes that the provider asks, with matchers evaluated for real, so that a
    wrong escape selects other series or none.
    """

    now: float = 1_700_000_000.0
    samples: list[Sample] = field(default_factory=list)
    scripted: dict[str, bytes] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    def has(
        self, name: str, value: float | str | dict[str, Any], *, age: float = 1.0, **labels: str
    ) -> None:
        stored = value if isinstance(value, dict) else f"{value}"
        self.samples.append(Sample({"__name__": name, **labels}, stored, self.now - age))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.path == "/api/v1/query"
        self.asked.append(dict(request.query))
        self.authorizations.append(request.headers.get("Authorization", ""))
        body = self._answer(request.query["query"])
        return web.Response(body=body, content_type="application/json")

    def _answer(self, query: str) -> bytes:
        if query in self.scripted:
            return self.scripted[query]
        if query == "time()":
            return success([self.now, f"{self.now}"], "scalar")
        aggregated = re.fullmatch(
            r"(sum|max) by \(([\w, ]+)\) \((timestamp\()?(\w*)\{(.*)\}\)?\)", query
        )
        assert aggregated, f"not a query of the provider: {query}"
        how, by, stamps, metric, matchers = aggregated.groups()
        groups: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
        for sample in self.samples:
            if metric not in ("", sample.labels["__name__"]) or sample.at > self.now:
                continue
            if not _matches(matchers, sample.labels):
                continue
            names = [name for name in by.split(", ") if name in sample.labels]
            key = tuple((name, sample.labels[name]) for name in names)
            groups.setdefault(key, []).append(sample)
        return success(
            [
                {"metric": dict(key)} | self._aggregate(how, [*of_key], stamps=bool(stamps))
                for key, of_key in groups.items()
            ]
        )

    def _aggregate(self, how: str, samples: list[Sample], *, stamps: bool) -> dict[str, Any]:
        if not stamps and isinstance(samples[0].value, dict):
            [alone] = samples
            return {"histogram": [self.now, alone.value]}
        values = [it.at if stamps else float(str(it.value)) for it in samples]
        return {"value": [self.now, f"{max(values) if how == 'max' else sum(values)}"]}


def _matches(matchers: str, labels: dict[str, str]) -> bool:
    found = re.findall(r'(\w+)=~"((?:[^"\\]|\\.)*)"(?:, |$)', matchers)
    assert ", ".join(f'{label}=~"{pattern}"' for label, pattern in found) == matchers
    return all(
        re.fullmatch(pattern.replace("\\\\", "\\").replace('\\"', '"'), labels.get(label, ""))
        for label, pattern in found
    )
