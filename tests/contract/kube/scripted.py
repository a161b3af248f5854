"""An HTTP server on a raw socket that answers as scripted, and a clock whose sleeps cost nothing.

A reply is what is done with one request: bytes are written, the clock is moved, the connection is
closed, cut or left silent. So a test can show a client every fault a server can have.
"""

import asyncio
import json
import random
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from urllib.parse import parse_qsl, urlsplit

from daemon.kube.api import CallTimeouts, KubeApi

DEADLINE = 5.0
"""Seconds that anything awaited in a test may take at most."""
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


class FakeClock:
    """Virtual time: a sleep moves it and yields once."""

    def __init__(self):
        self.seconds = 1000.0
        self.pauses = []

    def monotonic(self):
        return self.seconds

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


class UpperBound(random.Random):
    """Chance at its longest: a jittered pause is its bound."""

    def uniform(self, a, b):
        return b

    def randint(self, a, b):
        return b


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes

    @property
    def kind(self):
        return "watch" if self.query.get("watch") == "true" else self.method


Reply = Callable[[asyncio.StreamWriter], Awaitable[bool]]
"""Returns whether the connection may serve another request."""


def answer(status=200, body=b"{}", *, date=DATE, **headers) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {len(content)}"]
    lines += [f"Date: {date}"] if date else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]

    async def reply(writer):
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        return True

    return reply


def stream(*parts, end="close", before_end=lambda: None) -> Reply:
    """A chunked 200; parts are events or raw bytes. `end`: close, cut (no last chunk), reset, hang."""

    async def reply(writer):
        writer.write(
            f"HTTP/1.1 200 OK\r\nDate: {DATE}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        for part in parts:
            raw = part if isinstance(part, bytes) else json.dumps(part).encode() + b"\n"
            writer.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")
        await writer.drain()
        before_end()
        if end == "hang":
            await asyncio.Event().wait()
        if end == "reset":
            reset(writer)
        if end == "close":
            writer.write(b"0\r\n\r\n")  # the connection itself stays, as with Go's server
        return end == "close"

    return reply


async def silence(_writer) -> bool:
    await asyncio.Event().wait()
    return False


async def hang_up(_writer) -> bool:
    return False


async def cut_connection(writer) -> bool:
    reset(writer)
    return False


def reset(writer):
    """Close with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def raw(text: bytes) -> Reply:
    async def reply(writer):
        writer.write(text)
        return False

    return reply


class ScriptedServer:
    """Plays its replies one after the other, then what `every` says: silence, as a rule."""

    def __init__(self, replies=()):
        self.replies = deque(replies)
        self.every = lambda asked: silence
        self.asked: list[Asked] = []
        self.connections = 0
        self.open = 0
        self._changed = asyncio.Condition()
        self._tasks = set()

    async def _tell(self):
        async with self._changed:
            self._changed.notify_all()

    async def until(self, condition):
        async with asyncio.timeout(DEADLINE), self._changed:
            await self._changed.wait_for(condition)

    async def until_asked(self, count):
        await self.until(lambda: len(self.asked) >= count)

    async def serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                self.asked.append(await read_request(reader))
                await self._tell()
                reply = self.replies.popleft() if self.replies else self.every(self.asked[-1])
                gone = asyncio.ensure_future(reader.read(1)) if reply is silence else None
                playing = asyncio.ensure_future(reply(writer))
                self._tasks |= {t for t in (gone, playing) if t}
                await asyncio.wait([t for t in (gone, playing) if t], return_when="FIRST_COMPLETED")
                if not playing.done() or not playing.result():
                    playing.cancel()
                    break
                await writer.drain()
        writer.close()
        self.open -= 1
        await self._tell()

    @asynccontextmanager
    async def running(self, ssl=None):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=ssl)
        self.port = server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()


async def read_request(reader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in rest if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    return Asked(method, parts.path, dict(parse_qsl(parts.query)), headers, body)


SHORT = CallTimeouts(
    read=0.05, write=0.05, page=0.05, connect=0.05, watch_opens=0.05, watch_margin=0.05
)
PATIENT = CallTimeouts(read=DEADLINE, write=DEADLINE, page=DEADLINE, connect=DEADLINE)


def write_kubeconfig(folder: Path, url: str, user: dict | None = None) -> str:
    path = folder / "kubeconfig"
    named = {"name": "it"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{**named, "cluster": {"server": url}}],
        "users": [{**named, "user": user or {"token": "secret-one"}}],
        "contexts": [{**named, "context": {"cluster": "it", "user": "it"}}],
    }
    path.write_text(json.dumps(config))
    return str(path)


@asynccontextmanager
async def connected(folder: Path, url: str, clock=None, timeouts=PATIENT):
    api = await KubeApi.from_kubeconfig(
        clock or FakeClock(), write_kubeconfig(folder, url), timeouts=timeouts
    )
    try:
        yield api
    finally:
        await api.close()
