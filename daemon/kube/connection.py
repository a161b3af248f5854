"""One authenticated HTTP connection pool to the API server, built on kubernetes.aio.

The library gives the kubeconfig, in-cluster settings, TLS and authentication; bodies are ours, byte
for byte. Invariant: a request is sent once. Neither the library's retries nor aiohttp's (it would
send a PUT again when a kept connection breaks) are on; redirects, cookies and .netrc are off.

kubernetes.aio takes a second to import: only this module (and `api`, which needs it) may be what
imports it, so that the command line can leave it out. Must not be put here: what answers mean.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import OpenApiException
from kubernetes.aio.config import ConfigException, load_kube_config
from yarl import URL

from daemon.errors import CrossfadeError, PermanentError, TransientError
from daemon.ports import Clock

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts token and ca.crt."""
TOKEN_SECONDS: Final = 60.0
"""Age after which the token file is read again; the kubelet rotates it well before it expires."""
CREDENTIALS_SECONDS: Final = 10.0
"""Time for a kubeconfig's exec plugin to give a token."""
KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""A peer that is gone without a word is noticed after a minute instead of at the watch's end."""

Renew = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it goes out. `query` keeps its order; `body` is sent as it is."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = "application/json"


class Connection:
    """Sends requests, each once, with the credentials of the day."""

    def __init__(self, client: Any, renew: Renew, agent: str) -> None:
        self._client = client
        self._renew = renew
        self._agent = agent

    async def send(
        self, request: Outgoing, *, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Send once and return with the answer's head; the caller reads or closes it.

        Only where the server answers 401, so did nothing, are the credentials read anew and the
        request sent a second time.
        """
        response = await self._send(request, limits)
        if response.status != 401:
            return response
        response.close()
        await self.renew()
        return await self._send(request, limits)

    async def renew(self) -> None:
        """Read the credentials anew.

        Raises:
            TransientError: they cannot be read at the moment.
        """
        try:
            await self._renew()
        except CrossfadeError:
            raise
        except (*BAD_CONFIGURATION, TimeoutError) as fault:
            raise TransientError(
                f"The credentials cannot be read again: {fault}", sent=False
            ) from fault

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _send(
        self, request: Outgoing, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        settings = self._client.configuration
        headers = await self._headers(request)
        query = f"?{urlencode(request.query)}" if request.query else ""
        response: aiohttp.ClientResponse = await self._session().request(
            request.method,
            URL(settings.host.rstrip("/") + request.path + query, encoded=True),
            headers=headers,
            data=request.body,
            timeout=limits,
            allow_redirects=False,
            server_hostname=settings.tls_server_name,
            proxy=settings.proxy,
        )
        return response

    async def _headers(self, request: Outgoing) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": self._agent}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        try:
            await self._client.update_params_for_auth(
                headers, [], ["BearerToken"], request.path, request.method, None
            )
        except BAD_CONFIGURATION as fault:
            raise TransientError(f"The credentials cannot be used: {fault}", sent=False) from fault
        return headers

    def _session(self) -> aiohttp.ClientSession:
        """Return the library's pool, made on first use inside the loop, with all retries off."""
        rest = self._client.rest_client
        if rest.pool_manager is None:
            rest.configuration.client_session_kwargs = {
                "trust_env": False,
                "cookie_jar": aiohttp.DummyCookieJar(),
            }
            # Its documented hook; through `request` it would encode our bodies once more.
            rest.pool_manager = rest._create_pool_manager()  # noqa: SLF001
            # No public switch exists; tests/contract/kube proves that a lost PUT stays lost.
            rest.pool_manager._retry_connection = False  # noqa: SLF001
        session: aiohttp.ClientSession = rest.pool_manager
        return session


class TokenFile:
    """A service account's token: rotates under our feet, and can be empty for a moment."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._read_at = float("-inf")
        self._token = ""

    def fill(self, settings: Configuration) -> None:
        """Put the token into the library's settings (its `refresh_api_key_hook`)."""
        if self._clock.monotonic() - self._read_at >= TOKEN_SECONDS:
            self.read()
        settings.api_key["BearerToken"] = f"Bearer {self._token}"

    def read(self) -> None:
        """Read the file now. An empty or missing one leaves the last token in force.

        Raises:
            TransientError: there is no token at all yet.
        """
        try:
            token = self._path.read_text("ascii").strip()
        except (OSError, ValueError):
            token = ""
        if token:
            self._token, self._read_at = token, self._clock.monotonic()
        elif not self._token:
            raise TransientError(
                f"The token file {self._path} is missing or empty; it is read again.", sent=False
            )


async def from_kubeconfig(path: str | None, context: str | None, agent: str) -> Connection:
    """Connect as a kubeconfig says; None: the default file, its current context.

    Raises:
        PermanentError: the file or context cannot be used; says why.
    """
    settings: Any = Configuration()
    load: Any = load_kube_config

    async def renew() -> None:
        async with asyncio.timeout(CREDENTIALS_SECONDS):
            await load(path, context, settings, persist_config=False)
        if token := settings.api_key.get("BearerToken"):
            settings.api_key["BearerToken"] = token.strip()  # a token file often ends in a newline

    try:
        await renew()
        settings.proxy = settings.proxy or _proxy_for(settings.host)
        return await _connect(settings, renew, agent)
    except (*BAD_CONFIGURATION, TimeoutError) as fault:
        place = path or "the default kubeconfig"
        raise PermanentError(f"{place} cannot be used: {fault or type(fault).__name__}") from fault


async def in_cluster(
    clock: Clock,
    agent: str,
    environ: Mapping[str, str] = os.environ,
    folder: Path = SERVICE_ACCOUNT,
) -> Connection:
    """Connect as the pod's service account. An empty token file is no error here: it fills later.

    Raises:
        PermanentError: this is no pod, or its service account is not mounted.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    authority = folder / "ca.crt"
    if not host or not port or not authority.is_file():
        raise PermanentError(
            "Not inside a cluster: KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and"
            f" {authority} are needed. Outside of one, give a kubeconfig."
        )
    token = TokenFile(folder / "token", clock)
    settings: Any = Configuration(host=f"https://{f'[{host}]' if ':' in host else host}:{port}")
    settings.ssl_ca_cert = str(authority)
    settings.api_key["BearerToken"] = ""  # the hook is only asked where a key is known
    settings.refresh_api_key_hook = token.fill

    async def renew() -> None:
        token.read()

    try:
        return await _connect(settings, renew, agent)
    except BAD_CONFIGURATION as fault:
        raise PermanentError(f"{authority} cannot be used: {fault}") from fault


def notice_death(response: aiohttp.ClientResponse) -> None:
    """Have the kernel find out when the other side of a silent stream is gone."""
    transport = response.connection.transport if response.connection else None
    sock = transport.get_extra_info("socket") if transport else None
    if sock is None:
        return
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            if hasattr(socket, option):  # not every system has all three
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


async def _connect(settings: Configuration, renew: Renew, agent: str) -> Connection:
    settings.retries = None
    # It reads the system's certificates, which takes 30 ms: not in the loop.
    client: Any = await asyncio.to_thread(ApiClient, settings)
    return Connection(client, renew, agent)


def _proxy_for(host: str) -> str | None:
    """Return the environment's proxy for the API server, as kubectl would; never for loopback."""
    parts = urlsplit(host)
    name = parts.hostname or ""
    if name in {"localhost", "::1"} or name.startswith("127.") or proxy_bypass(name):
        return None
    return getproxies().get(parts.scheme)


BAD_CONFIGURATION: Final = (
    ConfigException,
    OpenApiException,
    OSError,
    yaml.YAMLError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
)
"""What a wrong kubeconfig makes the library raise: it takes the file's shape for granted."""
