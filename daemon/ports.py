"""The only doors to the outside: time, chance, network, cluster.

Everything else in `daemon` receives these from `daemon.app` (or from a test or a simulation) and
never reaches past them, so that the whole daemon can run in virtual time unchanged. Chance is a
`random.Random` handed in by the app; there is no protocol for it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

Obj = dict[str, Any]
"""A Kubernetes object as it came over the wire."""


class Clock(Protocol):
    """Monotonic time and sleeping. Wall-clock time comes from the API server (see ServerClock)."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        ...


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One plain HTTP request of ours: a smoke test, a probe, a metrics page.

    Attributes:
        url: absolute URL; the connection goes to its host and port.
        headers: sent as they are; `Host` overrides the URL's.
        timeout: seconds for the whole exchange.
        max_body: bytes of the body that are read at most; a longer body is an error. 0 leaves the
            body unread.
        ca_file: PEM file to verify TLS with, or None for the system's.
        fresh: whether the request demands a connection of its own.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout: float = 5.0
    max_body: int = 65_536
    ca_file: str | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. Header names are lower case; of a repeated header the first counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Http(Protocol):
    """Plain HTTP. Never follows redirects, never retries, never uses proxies or cookies."""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Send once.

        Raises:
            TransientError: no answer in time, or the connection failed; says which.
        """
        ...


class Resource(NamedTuple):
    """A kind as the API addresses it."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """`v1` for the core group, else `group/version`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """`/api/v1` or `/apis/group/version`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


class Cluster(Protocol):
    """The Kubernetes API with raw objects. Every call has a time-out and is sent exactly once.

    All methods raise `daemon.errors` only: NotFoundError, ForbiddenError, InvalidError,
    ConflictError, GoneError, TransientError.
    """

    async def get(self, resource: Resource, namespace: str, name: str) -> Obj:
        """Read one object from the store (no resourceVersion, so never from an old cache)."""
        ...

    async def list_page(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        limit: int = 500,
        token: str = "",
    ) -> Obj:
        """Read one page of a list; `metadata.continue` of the answer is the next token."""
        ...

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        resource_version: str,
        timeout_seconds: int,
        label_selector: str = "",
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch with bookmarks; yields lines. HTTP errors are raised on entry."""
        ...

    async def json_patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: bytes,
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Obj:
        """Send a JSON Patch, bytes as they are (daemon.kube.patch encodes them as Go would)."""
        ...

    async def create(self, resource: Resource, namespace: str, body: Obj) -> Obj:
        """Create an object."""
        ...

    async def replace(self, resource: Resource, namespace: str, name: str, body: Obj) -> Obj:
        """PUT an object; its metadata.resourceVersion, where given, is a precondition."""
        ...

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, resource_version: str
    ) -> None:
        """Delete with preconditions, propagation in the background."""
        ...
