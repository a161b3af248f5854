"""The one port: `/metrics`, `/healthz`, `/readyz`. Read-only; anything else is 404.

Invariant: nobody who can reach the port can change anything, learn a secret or slow a rollout down:
no request has a body we read, a connection lives for seconds, and their number is bounded.
"""

import asyncio
import errno
from collections.abc import Callable

from aiohttp import web

from daemon.errors import PermanentError
from daemon.web.metrics import Metrics

CONNECTION_SECONDS = 10.0
"""A scrape takes milliseconds; whoever is slower than this holds a socket for nothing."""
MAX_CONNECTIONS = 128
"""A kubelet and a few scrapers; more would eat file descriptors that the watches need."""
MAX_LINE_BYTES = 4096
STOP_SECONDS = 1.0
"""Answers in flight at shutdown get this long."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "crossfade",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Complaint = Callable[[], str | None]
"""Returns a sentence if something is wrong, else None."""


class Web:
    """The server for metrics and health.

    Args:
        host: address to bind; "" is every address.
        port: 0 lets the system choose; `port` tells which after `start`.
        stalled: what is stuck inside this process; makes `/healthz` 503.
        unready: what is not loaded or synced yet; makes `/readyz` 503.
    """

    def __init__(
        self, host: str, port: int, *, metrics: Metrics, stalled: Complaint, unready: Complaint
    ) -> None:
        self.port = port
        self._host = host
        self._metrics = metrics
        self._stalled = stalled
        self._unready = unready
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            PermanentError: the address cannot be bound; says which and what to do.
        """
        runner = web.AppRunner(
            self._app(),
            access_log=None,
            keepalive_timeout=CONNECTION_SECONDS,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            shutdown_timeout=STOP_SECONDS,
        )
        await runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: _accept(runner), self._host or None, self.port
            )
        except OSError as problem:
            await runner.cleanup()
            raise PermanentError(self._cannot_listen(problem)) from problem
        self._runner = runner
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening; answers in flight get STOP_SECONDS."""
        if self._server is None or self._runner is None:
            return
        self._server.close()
        await self._runner.cleanup()
        await self._server.wait_closed()
        self._server = self._runner = None

    def _cannot_listen(self, problem: OSError) -> str:
        address = f"{self._host or '*'}:{self.port}"
        match problem.errno:
            case errno.EADDRINUSE:
                why = "another process listens there"
            case errno.EACCES:
                why = "ports below 1024 need a privilege"
            case _:
                why = problem.strerror or str(problem)
        return f"cannot listen on {address}: {why}; choose another address with --listen HOST:PORT"

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=0)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/healthz", self._show_health)
        app.router.add_get("/readyz", self._show_readiness)
        app.on_response_prepare.append(_add_headers)
        return app

    async def _show_metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._metrics.page(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _show_health(self, _request: web.Request) -> web.Response:
        return _answer(self._stalled())

    async def _show_readiness(self, _request: web.Request) -> web.Response:
        return _answer(self._unready())


def _answer(complaint: str | None) -> web.Response:
    return web.Response(status=503 if complaint else 200, text=f"{complaint or 'ok'}\n")


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


class _Refused(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def _accept(runner: web.AppRunner) -> asyncio.Protocol:
    """Serve one connection for at most CONNECTION_SECONDS, if there is room."""
    server = runner.server
    if server is None or len(server.connections) >= MAX_CONNECTIONS:
        return _Refused()
    connection = server()
    asyncio.get_running_loop().call_later(CONNECTION_SECONDS, connection.force_close)
    return connection
