"""Watches over HTTP: lines of JSON, bookmarks, time limits, and the faults that hit a stream."""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from daemon.sandbox.api import gojson
from daemon.sandbox.api.answers import JSON, Answers
from daemon.sandbox.api.faults import Faults
from daemon.sandbox.api.listing import selection
from daemon.sandbox.api.requests import Asked, list_options
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.status import StatusError
from daemon.sandbox.api.storage import Storage
from daemon.sandbox.api.table import form_of
from daemon.sandbox.api.watch import Event, Watch

LONGEST_WATCH = 1_800.0
"""Seconds of a watch that names no timeoutSeconds; the real one takes 30 to 60 minutes."""
MAX_BATCH = 500
"""Events that are sent in one write, so that others get their turn."""


@dataclass(frozen=True, slots=True)
class Timing:
    """`bookmark_seconds`: time between bookmarks; the real one sends them about every minute."""

    bookmark_seconds: float = 10.0


class Streams:
    """Serves watches, and ends them when the server stops."""

    def __init__(self, storage: Storage, answers: Answers, faults: Faults, timing: Timing) -> None:
        self._storage = storage
        self._answers = answers
        self._faults = faults
        self._timing = timing
        self._stopping = False

    def stop(self) -> None:
        """End all watches."""
        self._stopping = True
        self._faults.wake_watches()

    async def serve(self, request: web.BaseRequest, asked: Asked, kind: Kind) -> web.StreamResponse:
        """Answer one watch until it ends."""
        options = list_options(asked)
        namespace = asked.namespace if kind.namespaced and asked.namespace else None
        watch = Watch(self._storage, kind, namespace, selection(asked, kind), options)
        transport = request.transport
        forget = self._faults.open_watch(
            asked, lambda: transport.abort() if transport else None, watch.wake
        )
        response = web.StreamResponse(
            headers={
                "Content-Type": JSON,
                "Date": self._answers.date(),
                "Cache-Control": "no-cache, private",
            }
        )
        stream = _Stream(kind, asked, form_of(asked.accept), watch, response)
        try:
            await response.prepare(request)
            await self._run(stream, options.timeout or LONGEST_WATCH, bookmarks=options.bookmarks)
            await response.write_eof()
        except ConnectionResetError:
            pass
        finally:
            watch.close()
            forget()
        return response

    async def _run(self, stream: "_Stream", seconds: float, *, bookmarks: bool) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        mark = loop.time() + self._timing.bookmark_seconds
        while not self._stopping and loop.time() < end:
            now = loop.time()
            if self._faults.is_silent(stream.asked):
                await stream.watch.wait(end - now, even_if_pending=True)
                continue
            error = self._faults.on_watch(stream.asked)
            if error is not None:
                await stream.send_error(error.error())
                return
            if await self._send_events(stream):
                return
            if bookmarks and now >= mark:
                mark = now + self._timing.bookmark_seconds
                await stream.response.write(
                    self._line(stream, Event("BOOKMARK", stream.watch.version))
                )
            await stream.watch.wait(min(end, mark if bookmarks else end) - now)
        if bookmarks and not self._faults.is_silent(stream.asked):
            await stream.response.write(self._line(stream, Event("BOOKMARK", stream.watch.version)))

    async def _send_events(self, stream: "_Stream") -> bool:
        """Send what is pending; returns whether the watch has ended."""
        lines: list[bytes] = []
        while len(lines) < MAX_BATCH and (event := stream.watch.take()) is not None:
            line = self._line(stream, event)
            if event.entry is not None and self._faults.on_event(stream.asked):
                await stream.response.write(b"".join(lines) + line[: len(line) // 2])
                return True
            lines.append(line)
        if lines:
            await stream.response.write(b"".join(lines))
        elif stream.watch.error is not None:
            await stream.send_error(stream.watch.error)
            return True
        return False

    def _line(self, stream: "_Stream", event: Event) -> bytes:
        kind, asked = stream.kind, stream.asked
        if event.entry is None:
            text = _bookmark(kind, asked, event)
        else:
            first, stream.first = stream.first, False
            text = self._answers.event_text(kind, asked, stream.form, event.entry, first=first)
        return b'{"type":"' + event.type.encode() + b'","object":' + text + b"}\n"


def _bookmark(kind: Kind, asked: Asked, event: Event) -> bytes:
    metadata: dict[str, object] = {"resourceVersion": str(event.version), "creationTimestamp": None}
    if event.initial_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    api_version = kind.api_version(asked.version)
    return gojson.encode({"kind": kind.kind, "apiVersion": api_version, "metadata": metadata})


@dataclass(slots=True)
class _Stream:
    """One open watch. `first`: no event was sent yet, so a Table must bring its columns."""

    kind: Kind
    asked: Asked
    form: str
    watch: Watch
    response: web.StreamResponse
    first: bool = True

    async def send_error(self, error: StatusError) -> None:
        text = gojson.encode(error.body())
        await self.response.write(b'{"type":"ERROR","object":' + text + b"}\n")
