"""A Kubernetes client on plain aiohttp, for the sandbox's own parts and for tests.

It sends each call once, with a time-out, and raises `daemon.errors` only. It imports no Kubernetes
library, so that a sandbox is up within a second or two. It speaks HTTP alone: pointed at a real API
server it works the same. Not here: retries, caches, and what objects mean.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from daemon.errors import (
    ConflictError,
    CrossfadeError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    TransientError,
)
from daemon.ports import Obj, Resource

CALL_SECONDS: Final = 10.0
"""For a whole exchange; an API server next door answers in milliseconds."""
MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of an answer; a page of 500 objects at etcd's limit of 1.5 MiB would be refused, and should
be.
"""
MAX_LINE: Final = 4 * 1024 * 1024
"""Bytes of a watch event: an object at etcd's limit, twice over."""
MAX_PAGES: Final = 200
"""100,000 objects at 500 a page."""
CONNECTIONS: Final = 64
"""At a time: about twenty watches and a few calls."""

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"


def path_of(
    resource: Resource, namespace: str | None, name: str = "", subresource: str = ""
) -> str:
    """Build the path of an object or, without a name, of a collection."""
    scope = f"/namespaces/{namespace}" if namespace else ""
    tail = "".join(f"/{part}" for part in (name, subresource) if part)
    return f"{resource.path}{scope}/{resource.plural}{tail}"


class SandboxClient:
    """One API server; satisfies `daemon.ports.Cluster`, and adds what controllers and tests need.

    Use as an async context manager.
    """

    def __init__(self, url: str, *, token: str = "", manager: str = "crossfade-sandbox") -> None:
        self.url = url
        self.manager = manager
        self._headers = {"User-Agent": manager} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        self._session: aiohttp.ClientSession | None = None
        self._kinds: dict[tuple[str, str], tuple[Resource, bool]] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            self.url,
            headers=self._headers,
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._session:
            await self._session.close()

    # ------------------------------------------------------------ daemon.ports.Cluster

    async def get(self, resource: Resource, namespace: str, name: str) -> Obj:
        """Read one object from the store."""
        return await self._call("GET", path_of(resource, namespace, name))

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
        query = {"limit": str(limit), "labelSelector": label_selector, "continue": token}
        return await self._call("GET", path_of(resource, namespace), query=query)

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
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
            "labelSelector": label_selector,
        }
        return self._watch(path_of(resource, namespace), query, timeout_seconds)

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
        return await self._call(
            "PATCH",
            path_of(resource, namespace, name, subresource),
            query={"dryRun": "All" if dry_run else "", **self._writing()},
            body=patch,
            content_type=JSON_PATCH,
        )

    async def create(self, resource: Resource, namespace: str, body: Obj) -> Obj:
        """Create an object."""
        return await self._call(
            "POST", path_of(resource, namespace), query=self._writing(), body=_encode(body)
        )

    async def replace(self, resource: Resource, namespace: str, name: str, body: Obj) -> Obj:
        """PUT an object; its metadata.resourceVersion, where given, is a precondition."""
        path = path_of(resource, namespace, name)
        return await self._call("PUT", path, query=self._writing(), body=_encode(body))

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, resource_version: str
    ) -> None:
        """Delete with preconditions, propagation in the background."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        await self._delete(path_of(resource, namespace, name), {"preconditions": preconditions})

    # ------------------------------------------------------------ beyond it

    async def remove(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        grace_seconds: int | None = None,
    ) -> None:
        """Delete, whatever its version; a pod's own grace unless `grace_seconds` is given."""
        options: dict[str, Any] = {"preconditions": {"uid": uid}} if uid else {}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        await self._delete(path_of(resource, namespace, name), options)

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, change: Obj, *, subresource: str = ""
    ) -> Obj:
        """Send a merge patch: members that are None go away, lists are replaced."""
        return await self._call(
            "PATCH",
            path_of(resource, namespace, name, subresource),
            query=self._writing(),
            body=_encode(change),
            content_type=MERGE_PATCH,
        )

    async def patch_status(self, resource: Resource, namespace: str, name: str, status: Obj) -> Obj:
        """Merge into the status; nothing else of the object changes."""
        change = {"status": status}
        return await self.merge_patch(resource, namespace, name, change, subresource="status")

    async def bind(self, namespace: str, pod: str, node: str) -> None:
        """Put a pending pod on a node, as a scheduler does."""
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        pods = Resource("", "v1", "pods", "Pod")
        await self._call("POST", path_of(pods, namespace, pod, "binding"), body=_encode(body))

    async def apply(self, body: Obj) -> Obj:
        """Make an object of any kind what `body` says (server-side apply, by force)."""
        resource, namespaced = await self.resource_of(body["apiVersion"], body["kind"])
        metadata = body["metadata"]
        namespace = metadata.get("namespace", "default") if namespaced else ""
        return await self._call(
            "PATCH",
            path_of(resource, namespace, metadata["name"]),
            query={"fieldManager": self.manager, "force": "true", "fieldValidation": "Strict"},
            body=_encode(body),
            content_type=APPLY_PATCH,
        )

    async def list_all(
        self, resource: Resource, namespace: str | None, *, label_selector: str = ""
    ) -> list[Obj]:
        """Read a whole list, page by page."""
        items: list[Obj] = []
        token = ""
        for _ in range(MAX_PAGES):
            page = await self.list_page(
                resource, namespace, label_selector=label_selector, token=token
            )
            items += page.get("items") or []
            token = page["metadata"].get("continue") or ""
            if not token:
                return items
        raise TransientError(f"The list of {resource.plural} has more than {MAX_PAGES} pages.")

    async def resource_of(self, api_version: str, kind: str) -> tuple[Resource, bool]:
        """Ask the API server how a kind is addressed, and whether it lives in namespaces.

        Raises:
            NotFoundError: the server does not know the kind.
        """
        known = self._kinds.get((api_version, kind))
        if known:
            return known
        group, _, version = api_version.rpartition("/")
        listing = await self._call("GET", Resource(group, version, "", "").path)
        for entry in listing["resources"]:
            if entry["kind"] == kind and "/" not in entry["name"]:
                found = Resource(group, version, entry["name"], kind), bool(entry["namespaced"])
                self._kinds[api_version, kind] = found
                return found
        raise NotFoundError(f"The API server has no kind {kind} in {api_version}.")

    # ------------------------------------------------------------ the wire

    def _writing(self) -> dict[str, str]:
        return {"fieldManager": self.manager}

    async def _delete(self, path: str, options: Obj) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            **options,
        }
        await self._call("DELETE", path, body=_encode(body))

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Obj:
        """Send one request and read its JSON; a refusal becomes an error of daemon.errors."""
        try:
            async with self._open().request(
                method,
                path,
                params=_given(query),
                data=body,
                headers={"Content-Type": content_type} if body is not None else None,
                timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
            ) as answer:
                text = await _read(answer)
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise TransientError(f"{method} {path}: {type(fault).__name__} {fault}") from fault
        if answer.status >= 400:
            raise error_of(f"{method} {path}", answer.status, answer.headers, text)
        return _object(f"{method} {path}", text)

    @asynccontextmanager
    async def _watch(
        self, path: str, query: Mapping[str, str], seconds: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        # Bookmarks come at least once a minute, so a longer silence is a dead connection; the last
        # ten seconds give the server time to end the stream by itself.
        timeout = aiohttp.ClientTimeout(total=seconds + 10, sock_connect=CALL_SECONDS, sock_read=90)
        try:
            async with self._open().get(path, params=_given(query), timeout=timeout) as answer:
                if answer.status != 200:
                    text = await _read(answer)
                    raise error_of(f"WATCH {path}", answer.status, answer.headers, text)
                yield _lines(answer)
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise TransientError(f"WATCH {path}: {type(fault).__name__} {fault}") from fault

    def _open(self) -> aiohttp.ClientSession:
        assert self._session, "SandboxClient is used outside of its `async with`"
        return self._session


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Split at newlines; a rest without one is yielded, too, for the reader to refuse."""
    pending = b""
    async for chunk in answer.content.iter_any():
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
        if len(pending) > MAX_LINE:
            raise TransientError(f"A watch event is longer than {MAX_LINE} bytes.")
    if pending:
        yield pending


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY:
            raise TransientError(f"An answer is longer than {MAX_BODY} bytes.")
    return b"".join(chunks)


def _encode(body: Obj) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _given(query: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (query or {}).items() if value}


def _object(call: str, text: bytes) -> Obj:
    try:
        answer = json.loads(text)
    except ValueError as fault:
        raise TransientError(f"{call}: the answer is no JSON.") from fault
    if not isinstance(answer, dict):
        raise TransientError(f"{call}: the answer is no object.")
    return answer


def error_of(call: str, code: int, headers: Mapping[str, str], text: bytes) -> CrossfadeError:
    """Turn a refusal into the error that says what to do about it."""
    try:
        status = json.loads(text)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        status = {}
    message = f"{call}: {code} {str(status.get('message', ''))[:1024]}".rstrip()
    match code:
        case 401 | 403:
            return ForbiddenError(message)
        case 404:
            return NotFoundError(message)
        case 409:
            return ConflictError(message)
        case 410:
            return GoneError(message)
        case 429 | _ if code == 429 or code >= 500:
            wait = headers.get("Retry-After", "")
            return TransientError(message, retry_after=float(wait) if wait.isdecimal() else None)
        case _:
            causes = (status.get("details") or {}).get("causes") or []
            lines = tuple(str(cause.get("message", ""))[:512] for cause in causes)
            return InvalidError(message, causes=lines)
