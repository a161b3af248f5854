"""The embedded Kubernetes API server: HTTP in front of a Store.

    api = ApiServer()
    await api.start()
    ... api.url, api.store, api.faults, api.recorder ...
    await api.stop()

What a request means is read in `requests`, what it does is done by `store`, how it is answered is
written in `answers`; here is only who may do what in which order.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aiohttp import web

from daemon.ports import Obj
from daemon.sandbox.api.answers import Answers
from daemon.sandbox.api.faults import Effect, Fault, Faults
from daemon.sandbox.api.kubeconfig import write_kubeconfig
from daemon.sandbox.api.rbac import Person, Question, Rbac, denial, person_of
from daemon.sandbox.api.recorder import Recorder
from daemon.sandbox.api.requests import Asked, read_path
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.reviews import Reviews
from daemon.sandbox.api.routes import Routes
from daemon.sandbox.api.status import StatusError, no_such_resource
from daemon.sandbox.api.store import Store, wall_clock
from daemon.sandbox.api.streams import Streams, Timing

MAX_BODY = 3 * 1024 * 1024
"""Bytes of a request's body, the API server's own limit."""
STOP_SECONDS = 2.0
"""Time that requests under way have when the server stops."""
NOBODY = "system:anonymous"
_NO_TOKENS: Mapping[str, str] = MappingProxyType({})


class ApiServer:
    """A Kubernetes API server in this process.

    Args:
        clock: seconds since the epoch; the `Date` of every answer and every time in objects.
        tokens: bearer token -> user; empty: everybody may do everything.
        admins: users whom RBAC does not bind.
        bookmark_seconds: time between a watch's bookmarks.
        store: the objects; a new cluster by default.
    """

    def __init__(
        self, *, clock: Callable[[], float] = wall_clock, tokens: Mapping[str, str] = _NO_TOKENS,
        admins: frozenset[str] = frozenset({"admin"}), bookmark_seconds: float = 10.0,
        store: Store | None = None,
    ) -> None:  # fmt: skip
        self.store = store or Store(clock=clock)
        self.faults = Faults()
        self.recorder = Recorder()
        self.tokens = tokens
        self.url = ""
        self._clock = clock
        self._admins = admins
        self._rbac = Rbac(self.store.storage)
        self._answers = Answers(self.store, clock)
        self._routes = Routes(self.store, self._answers, Reviews(self._rbac, tokens, admins))
        self._streams = Streams(
            self.store.storage, self._answers, self.faults, Timing(bookmark_seconds)
        )
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `url` says where."""
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        address = self._runner.addresses[0]
        self.url = f"http://{address[0]}:{address[1]}"

    async def stop(self) -> None:
        """End all watches and stop listening."""
        self.faults.clear()
        self._streams.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def add_crd(self, crd: Obj) -> None:
        """Serve a custom kind; the object is that of a CRD's YAML."""
        self.store.add_crd(crd)

    def write_kubeconfig(
        self, path: Path, *, user: str = "admin", namespace: str = "default"
    ) -> None:
        """Write a kubeconfig for a user of `tokens`; without tokens it needs none."""
        token = next((t for t, name in self.tokens.items() if name == user), None)
        write_kubeconfig(path, url=self.url, token=token, namespace=namespace)

    # -------------------------------------------------------------- a request

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = self._asked(request)
        self.recorder.note(asked, self._clock())
        fault = self.faults.on_request(asked)
        try:
            if fault is not None:
                early = await self._before(fault, request)
                if early is not None:
                    return early
            response = await self._answer(request, asked)
        except StatusError as error:
            response = self._answers.refusal(error)
        if fault is not None and fault.effect is Effect.LOSE:
            _abort(request)
        return response

    def _asked(self, request: web.BaseRequest) -> Asked:
        query = request.query
        found = read_path(request.method, request.path, query)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        user = self.tokens.get(token, NOBODY) if self.tokens else ""
        headers = request.headers
        return Asked(
            **found,
            user=user,
            agent=headers.get("User-Agent", ""),
            accept=headers.get("Accept", ""),
            content_type=headers.get("Content-Type", ""),
        )

    async def _before(self, fault: Fault, request: web.BaseRequest) -> web.Response | None:
        """What a fault does before the request has any effect."""
        if fault.effect is Effect.ANSWER:
            raise fault.error()
        if fault.effect is Effect.RAW:
            return self._answers.body(fault.body, fault.code, kind="text/plain")
        if fault.effect is Effect.HANG:
            await fault.lifted.wait()
            _abort(request)
            return web.Response(status=503)
        if fault.effect is Effect.SLOW:
            await asyncio.sleep(fault.seconds)
        return None

    async def _answer(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        person = self._authorise(request, asked)
        if not asked.is_resource:
            return self._routes.other(asked)
        kind = self.store.registry.find(asked.group, asked.version, asked.plural)
        if kind is None or (asked.subresource and asked.subresource not in kind.subresources):
            raise no_such_resource()
        asked = _scoped(asked, kind)
        if asked.verb == "watch":
            return await self._streams.serve(request, asked, kind)
        body = b"" if asked.verb in {"get", "list"} else await _read(request)
        return self._routes.resource(kind, asked, body, person)

    def _authorise(self, request: web.BaseRequest, asked: Asked) -> Person:
        if not self.tokens:
            return Person("admin", ("system:masters", "system:authenticated"))
        if asked.user == NOBODY:
            if "Authorization" in request.headers or asked.is_resource:
                raise StatusError("Unauthorized", "Unauthorized")
            return Person(NOBODY, ("system:unauthenticated",))
        person = person_of(asked.user, self._admins)
        question = _question(asked)
        if not self._rbac.allows(person, question):
            self.recorder.note_denied(asked)
            raise denial(person, question)
        return person


def _question(asked: Asked) -> Question:
    if not asked.is_resource:
        return Question(asked.verb, path=asked.path)
    return Question(
        asked.verb,
        asked.group,
        asked.plural,
        asked.subresource,
        asked.namespace,
        asked.name,
    )


def _scoped(asked: Asked, kind: Kind) -> Asked:
    """Refuse paths of the wrong scope; a namespace's own requests have none."""
    if not kind.namespaced and asked.namespace:
        if kind.plural != "namespaces":
            raise no_such_resource()
        return replace(asked, namespace="")
    if kind.namespaced and not asked.namespace and (asked.name or asked.verb == "create"):
        raise no_such_resource()
    return asked


async def _read(request: web.BaseRequest) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > MAX_BODY:
            raise StatusError(
                "RequestEntityTooLarge", f"Request entity too large: limit is {MAX_BODY}", {}
            )
        parts.append(part)
    return b"".join(parts)


def _abort(request: web.BaseRequest) -> None:
    transport: Any = request.transport
    if transport is not None:
        transport.abort()
