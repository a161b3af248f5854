"""The sandbox's client with TLS, for a real API server."""

import ssl
from pathlib import Path
from typing import Self

import aiohttp

from daemon.sandbox.client import CONNECTIONS, SandboxClient


class TlsClient(SandboxClient):
    """A `SandboxClient` that believes one certificate."""

    def __init__(self, url: str, authority: Path, *, token: str, manager: str) -> None:
        super().__init__(url, token=token, manager=manager)
        self._tls = ssl.create_default_context(cafile=str(authority))

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            self.url,
            headers=self._headers,
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=self._tls),
            trust_env=False,
        )
        # aiohttp repeats a GET, PUT or DELETE on a dropped connection by itself.
        self._session._retry_connection = False
        return self
