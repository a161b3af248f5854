"""The echo application: says which version answered, and counts what it answered.

    GET /anything             version:v1   (headers x-echo-version, x-echo-pod)
    Accept: application/json  {"version": "v1", "pod": .., "method": .., "path": .., "headers": ..}
    GET /metrics              http_requests_total{code=..}, http_request_duration_seconds

Everything but /metrics is counted, once it was answered. Knobs may change at any moment and hold
from the next request on. Not here: pods and readiness.
"""

import asyncio
import random
import re
import socket
from bisect import bisect_left
from collections import Counter
from typing import Final

from aiohttp import web

from daemon.sandbox.knobs import Knobs, MetricsFault

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds in seconds: those that client libraries use by default."""
MAX_BODY: Final = 1024 * 1024
"""Bytes of a request's body; more is refused with 413."""
HANG_SECONDS: Final = 0.05
LONGEST_HANG: Final = 1200
"""Looks, a minute in all: whoever scrapes gives up long before."""
LATEST: Final = "text/plain; version=0.0.4; charset=utf-8"


class Counts:
    """What an application counts about itself, and its page in Prometheus' text format."""

    def __init__(self) -> None:
        self.by_code: Counter[int] = Counter()
        self._slots = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def add(self, code: int, seconds: float) -> None:
        """Count one answered request."""
        self.by_code[code] += 1
        self._slots[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def page(self, *, lying: bool = False) -> str:
        """Write the metrics page; a lying one counts every answer as 200."""
        total = sum(self.by_code.values())
        codes = {200: total} if lying else dict(sorted(self.by_code.items()))
        lines = [
            "# HELP http_requests_total Requests answered.",
            "# TYPE http_requests_total counter",
            *(f'http_requests_total{{code="{code}"}} {count}' for code, count in codes.items()),
            "# HELP http_request_duration_seconds Time to answer.",
            "# TYPE http_request_duration_seconds histogram",
        ]
        running = 0
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self._slots, strict=True):
            running += count
            lines.append(f'http_request_duration_seconds_bucket{{le="{bound}"}} {running}')
        lines += [
            f"http_request_duration_seconds_sum {self._seconds!r}",
            f"http_request_duration_seconds_count {total}",
        ]
        return "\n".join(lines) + "\n"


class Echo:
    """One process of the application.

    Attributes:
        counts: since the start, or since `reset`.
    """

    def __init__(self, version: str, pod: str, *, knobs: Knobs, rng: random.Random) -> None:
        self.counts = Counts()
        self._version = version
        self._pod = pod
        self._knobs = knobs
        self._rng = rng
        self._frozen = self.counts.page() if knobs.metrics is MetricsFault.STALE else ""
        self._server = web.Server(self._answer, access_log=None)
        self._listening: list[asyncio.Server] = []

    @property
    def knobs(self) -> Knobs:
        """How it behaves now."""
        return self._knobs

    @knobs.setter
    def knobs(self, knobs: Knobs) -> None:
        if knobs.metrics is MetricsFault.STALE and self._knobs.metrics is not MetricsFault.STALE:
            self._frozen = self.counts.page()
        self._knobs = knobs

    def reset(self) -> None:
        """Count from zero, as after a restart."""
        self.counts = Counts()

    async def listen(self, sockets: list[socket.socket]) -> None:
        """Answer on bound sockets, which are closed at the end."""
        loop = asyncio.get_running_loop()
        for one in sockets:
            self._listening.append(await loop.create_server(self._server, sock=one))

    async def close(self, *, grace: float) -> None:
        """Stop listening, let running requests end for so many seconds, then cut them off."""
        for one in self._listening:
            one.close()
        self._server.pre_shutdown()
        await self._server.shutdown(grace)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/metrics":
            await self._hang(request)
            return self._metrics()
        loop = asyncio.get_running_loop()
        started = loop.time()
        knobs = self._knobs
        if request.can_read_body and not await _drain(request):
            response = web.Response(status=413, text="the body is longer than 1 MiB\n")
        else:
            if knobs.latency:
                await asyncio.sleep(knobs.latency)
            failing = knobs.may_fail(request.path) and self._rng.random() < knobs.error_rate
            response = self._failure() if failing else self._echo(request)
        response.headers["x-echo-version"] = self._version
        response.headers["x-echo-pod"] = self._pod
        self.counts.add(response.status, loop.time() - started)
        return response

    def _echo(self, request: web.BaseRequest) -> web.Response:
        if "application/json" not in request.headers.get("Accept", ""):
            return web.Response(text=f"version:{self._version}\n")
        said = {
            "version": self._version,
            "pod": self._pod,
            "method": request.method,
            "path": request.path,
            "headers": {name.lower(): value for name, value in request.headers.items()},
        }
        return web.json_response(said)

    def _failure(self) -> web.Response:
        return web.Response(status=500, text=f"version:{self._version} failed\n")

    async def _hang(self, request: web.BaseRequest) -> None:
        """Keep whoever asks for metrics waiting while the knob says so, until they give up."""
        for _ in range(LONGEST_HANG):
            if self._knobs.metrics is not MetricsFault.HANG or request.transport is None:
                return
            await asyncio.sleep(HANG_SECONDS)

    def _metrics(self) -> web.Response:
        match self._knobs.metrics:
            case MetricsFault.VANISH:
                return web.Response(status=404, text="not found\n")
            case MetricsFault.GARBAGE:
                return web.Response(text="<html>it works!</html>\n")
            case MetricsFault.STALE:
                page = self._frozen
            case MetricsFault.NAN:
                page = re.sub(r"(?m)^([^#].*) \S+$", r"\1 NaN", self.counts.page())
            case fault:
                page = self.counts.page(lying=fault is MetricsFault.LIE)
        return web.Response(body=page.encode(), headers={"Content-Type": LATEST})


async def _drain(request: web.BaseRequest) -> bool:
    """Read the body away; tell whether it was short enough."""
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY:
            return False
    return True
