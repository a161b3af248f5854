"""`ports.Http` with aiohttp: plain HTTP, sent once.

No redirects, no proxies from the environment, no cookies, no decompression, and a bound on every
answer. Nothing is tried again, but that a kept connection found closed is replaced. What goes
wrong becomes one sentence in a TransientError; neither a header's value nor a body ever stands in
it. What an answer means is for others to say.
"""

import errno
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from daemon.errors import TransientError
from daemon.ports import Clock, HttpAnswer, HttpRequest

MAX_CONNECTIONS = 100
"""Open at a time: dozens of proxies are probed at once; more would be a fault of ours."""
MAX_CA_FILES = 64
"""CA files that are remembered: one a policy entry in the worst case."""
PORTS = {"http": 80, "https": 443}


class AiohttpHttp:
    """Two pools: one keeps connections, the other opens one for each request.

    Use it as a context manager, or call `close`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept = _session(aiohttp.TCPConnector(limit=MAX_CONNECTIONS))
        self._fresh = _session(
            aiohttp.TCPConnector(limit=MAX_CONNECTIONS, force_close=True, use_dns_cache=False)
        )
        self._trust: dict[tuple[str, int], ssl.SSLContext] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._kept.close()
        await self._fresh.close()

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Send once.

        Raises:
            TransientError: no answer in time, a connection that failed, an answer that is no HTTP
                or too long, or a request that cannot be sent.
        """
        try:
            return await self._send(request)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            sentence = _sentence(error, request)
            unsent = isinstance(error, aiohttp.ClientConnectorError | aiohttp.InvalidURL)
            raise TransientError(sentence, sent=not unsent) from error

    async def _send(self, request: HttpRequest) -> HttpAnswer:
        url = URL(request.url)
        if url.scheme not in PORTS or not url.host or url.user is not None:
            raise aiohttp.InvalidURL(request.url)
        session = self._fresh if request.fresh else self._kept
        started = self._clock.monotonic()
        async with session.request(
            request.method,
            url,
            headers=request.headers,
            data=request.body or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=request.timeout),
            ssl=self._trusted(request.ca_file) if request.ca_file else True,
            server_hostname=_server_name(url, request.headers),
        ) as response:
            headers: dict[str, str] = {}
            for name, value in response.headers.items():
                headers.setdefault(name.lower(), value)
            body = b""
            if request.max_body:
                body = await _read(response, request.max_body)
            else:
                response.close()
            elapsed = self._clock.monotonic() - started
            return HttpAnswer(response.status, headers, body, elapsed)

    def _trusted(self, ca_file: str) -> ssl.SSLContext:
        """Return the TLS settings of a CA file; read again when the file changes.

        Raises:
            OSError: the file cannot be read.
        """
        key = (ca_file, Path(ca_file).stat().st_mtime_ns)
        if key not in self._trust:
            while len(self._trust) >= MAX_CA_FILES:
                del self._trust[next(iter(self._trust))]
            self._trust[key] = ssl.create_default_context(cafile=ca_file)
        return self._trust[key]


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        headers={"User-Agent": "crossfade", "Accept-Encoding": "identity"},
        skip_auto_headers=("Content-Type",),
    )


def _server_name(url: URL, headers: Mapping[str, str]) -> str | None:
    """Return the TLS name: the Host that is asked for, as a gateway is picked by it."""
    if url.scheme != "https":
        return None
    host = next((value for name, value in headers.items() if name.lower() == "host"), "")
    return host.partition(":")[0] or None


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read the body.

    Raises:
        TooLongError: it has more than `limit` bytes; the connection is closed.
    """
    body = bytearray()
    while chunk := await response.content.read(limit + 1 - len(body)):
        body += chunk
        if len(body) > limit:
            response.close()
            raise TooLongError
    return bytes(body)


class TooLongError(aiohttp.ClientError):
    """The body is longer than the request allows."""


def _sentence(error: Exception, request: HttpRequest) -> str:
    """Say what went wrong; never with a text of the other side."""
    match error:
        case TooLongError():
            return f"the body is longer than {request.max_body} bytes"
        case TimeoutError():
            return f"no answer within {request.timeout:g} s"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "the URL is none of the form http(s)://host[:port]/path"
        case aiohttp.ClientConnectorDNSError():
            return f"no address for {_peer(request.url)}"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {_peer(request.url)} is not trusted"
        case aiohttp.ClientSSLError():
            return f"no TLS connection with {_peer(request.url)}"
        case aiohttp.ClientConnectorError() if error.os_error.errno == errno.ECONNREFUSED:
            return f"connection refused by {_peer(request.url)}"
        case aiohttp.ClientConnectorError():
            return f"no connection to {_peer(request.url)}"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return f"{_peer(request.url)} closed the connection before the answer was complete"
        case aiohttp.ClientResponseError():
            return f"the answer of {_peer(request.url)} is no HTTP, or its headers are too long"
        case ssl.SSLError() | FileNotFoundError() | PermissionError() if request.ca_file:
            return f"the CA file {request.ca_file} cannot be used"
        case aiohttp.ClientOSError() | OSError():
            return f"the connection to {_peer(request.url)} broke"
        case _:
            return "the request cannot be sent: a header, the method or the URL is malformed"


def _peer(url: str) -> str:
    parsed = URL(url)
    return f"{parsed.host}:{parsed.port}"
