"""`ports.Cluster` over a real API server: raw objects, one request a call, a time-out on each.

Every answer's `Date` feeds the ServerClock, and whether one came at all feeds the Reach. Names go
into a path only if the API's grammar allows them. Must not be put here: retries, caches, and what
the objects mean.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Self

import aiohttp

from daemon.errors import InvalidError
from daemon.kube.answers import (
    MAX_OBJECT,
    MAX_PAGE,
    Call,
    lines_of,
    only_our_errors,
    read_object,
    refuse,
)
from daemon.kube.bucket import TokenBucket
from daemon.kube.connection import (
    Connection,
    Outgoing,
    from_kubeconfig,
    in_cluster,
    notice_death,
)
from daemon.kube.objects import EVENTS
from daemon.kube.reach import Reach
from daemon.kube.servertime import ServerClock
from daemon.ports import Clock, Obj, Resource

FIELD_MANAGER: Final = "crossfade"
SUBRESOURCES: Final = frozenset({"", "scale", "status"})
NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""A DNS subdomain, which the names of all our kinds are; no slash, no dot at either end."""
NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
JSON_PATCH: Final = "application/json-patch+json"


@dataclass(frozen=True, slots=True)
class CallTimeouts:
    """Seconds; a test shortens them, the daemon takes them as they are.

    Attributes:
        read, write: one object; the API server itself gives up on its store after some seconds.
        page: one page of a list.
        connect: TCP and TLS, part of the others.
        watch_opens: until a watch's status is there.
        watch_margin: how much longer than asked for a watch may last before it counts as dead.
    """

    read: float = 5.0
    write: float = 10.0
    page: float = 30.0
    connect: float = 3.0
    watch_opens: float = 10.0
    watch_margin: float = 10.0


CALL_TIMEOUTS: Final = CallTimeouts()


class KubeApi:
    """A Kubernetes API server. Close it when done."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        *,
        timeouts: CallTimeouts = CALL_TIMEOUTS,
        bucket: TokenBucket | None = None,
    ) -> None:
        self.server_clock = ServerClock(clock)
        self.reach = Reach(clock)
        self._connection = connection
        self._clock = clock
        self._timeouts = timeouts
        self._bucket = bucket or TokenBucket(clock)

    @classmethod
    async def from_kubeconfig(
        cls,
        clock: Clock,
        path: str | None = None,
        context: str | None = None,
        *,
        timeouts: CallTimeouts = CALL_TIMEOUTS,
    ) -> Self:
        """Connect as a kubeconfig says; None: the default file, its current context."""
        return cls(await from_kubeconfig(path, context, _agent()), clock, timeouts=timeouts)

    @classmethod
    async def in_cluster(cls, clock: Clock) -> Self:
        """Connect as the pod's own service account."""
        return cls(await in_cluster(clock, _agent()), clock)

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    # ------------------------------------------------------------ reads

    async def get(self, resource: Resource, namespace: str, name: str) -> Obj:
        """Read one object from the store."""
        call = Call("get", resource, namespace, name)
        return await self._exchange(call, Outgoing("GET", _path(call)), seconds=self._timeouts.read)

    async def list_page(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        limit: int = 500,
        token: str = "",
    ) -> Obj:
        """Read one page of a list."""
        call = Call("list", resource, namespace)
        query = [("limit", str(limit))]
        query += [("labelSelector", label_selector)] if label_selector else []
        query += [("continue", token)] if token else []
        request = Outgoing("GET", _path(call), tuple(query))
        return await self._exchange(call, request, seconds=self._timeouts.page)

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        resource_version: str,
        timeout_seconds: int,
        label_selector: str = "",
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch with bookmarks; yields its lines."""
        call = Call("watch", resource, namespace)
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", resource_version),
            ("timeoutSeconds", str(timeout_seconds)),
        ]
        query += [("labelSelector", label_selector)] if label_selector else []
        seconds = timeout_seconds + self._timeouts.watch_margin
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=self._timeouts.connect)
        await self._bucket.take()
        response = await self._open(call, Outgoing("GET", _path(call), tuple(query)), limits)
        try:
            notice_death(response)
            async with aclosing(lines_of(response, call, seconds)) as lines:
                yield lines
        finally:
            response.close()  # its connection is in the middle of a stream: not for reuse

    async def _open(
        self, call: Call, request: Outgoing, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Return a watch's answer once its status is there and good."""
        opens = self._timeouts.watch_opens
        with self.reach.asking(), only_our_errors(call, opens):
            async with asyncio.timeout(opens):
                response = await self._connection.send(request, limits=limits)
                try:
                    self._note_date(response)
                    await refuse(response, call)
                except BaseException:
                    response.close()
                    raise
        return response

    # ------------------------------------------------------------ writes

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
        """Send a JSON Patch, bytes as they are."""
        call = Call("patch", resource, namespace, name, subresource)
        query = _write_query(dry_run=dry_run)
        request = Outgoing("PATCH", _path(call), query, patch, JSON_PATCH)
        return await self._exchange(call, request, seconds=self._timeouts.write)

    async def create(self, resource: Resource, namespace: str, body: Obj) -> Obj:
        """Create an object."""
        call = Call("create", resource, namespace)
        request = Outgoing("POST", _path(call), _write_query(), _json(body))
        return await self._exchange(call, request, seconds=self._timeouts.write)

    async def replace(self, resource: Resource, namespace: str, name: str, body: Obj) -> Obj:
        """PUT an object; its metadata.resourceVersion, where given, is a precondition."""
        call = Call("update", resource, namespace, name)
        request = Outgoing("PUT", _path(call), _write_query(), _json(body))
        return await self._exchange(call, request, seconds=self._timeouts.write)

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, resource_version: str
    ) -> None:
        """Delete with preconditions, propagation in the background."""
        call = Call("delete", resource, namespace, name)
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
        }
        request = Outgoing("DELETE", _path(call), (), _json(options))
        await self._exchange(call, request, seconds=self._timeouts.write)

    # ------------------------------------------------------------ the one way out

    async def _exchange(self, call: Call, request: Outgoing, *, seconds: float) -> Obj:
        """Wait for our turn, send once, read all, translate every error."""
        await self._bucket.take(urgent=request.method != "GET" and call.resource != EVENTS)
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=self._timeouts.connect)
        with self.reach.asking(), only_our_errors(call, seconds):
            response = await self._connection.send(request, limits=limits)
            try:
                self._note_date(response)
                await refuse(response, call)
                return await read_object(
                    response, call, MAX_PAGE if call.verb == "list" else MAX_OBJECT
                )
            finally:
                # Gives the connection back if all was read, closes it if not.
                response.release()

    def _note_date(self, response: aiohttp.ClientResponse) -> None:
        self.server_clock.note(response.headers.get("Date"), self._clock.monotonic())


def _agent() -> str:
    return f"crossfade/{version('crossfade')}"


def _write_query(*, dry_run: bool = False) -> tuple[tuple[str, str], ...]:
    query = (("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict"))
    return (*query, ("dryRun", "All")) if dry_run else query


def _json(body: Obj) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _path(call: Call) -> str:
    """Build the path, and refuse what is no name before anything is sent."""
    named = call.verb not in {"create", "list", "watch"}
    if call.namespace is not None and not NAMESPACE.fullmatch(call.namespace):
        raise InvalidError(f"{call.namespace[:64]!r} is no name of a namespace.")
    if named and not NAME.fullmatch(call.name):
        raise InvalidError(f"{call.name[:64]!r} is no name of an object.")
    if call.subresource not in SUBRESOURCES:
        raise InvalidError(f"{call.subresource[:64]!r} is no subresource that is used here.")
    path = call.resource.path
    path += f"/namespaces/{call.namespace}" if call.namespace is not None else ""
    path += f"/{call.resource.plural}"
    path += f"/{call.name}" if named else ""
    return path + (f"/{call.subresource}" if call.subresource else "")
