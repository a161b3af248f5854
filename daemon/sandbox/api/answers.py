"""From entries to bodies: objects, lists, tables, Status; always with the server's own Date.

Stored JSON is sent as it is: only tables and other versions are encoded anew.
"""

from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate

from aiohttp import web

from daemon.ports import Obj
from daemon.sandbox.api import gojson
from daemon.sandbox.api.listing import Page
from daemon.sandbox.api.requests import Asked
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.status import StatusError
from daemon.sandbox.api.storage import Entry
from daemon.sandbox.api.store import Store
from daemon.sandbox.api.table import columns_of, form_of, partial, table

JSON = "application/json"


class Answers:
    """Makes responses."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._date = (0, "")

    def date(self) -> str:
        """The Date header's value now."""
        now = int(self._clock())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True))
        return self._date[1]

    def body(
        self, body: bytes, code: int = 200, *, kind: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:  # fmt: skip
        """A response with a body as it is."""
        sent = {"Content-Type": kind, "Date": self.date(), "Cache-Control": "no-cache, private"}
        return web.Response(body=body, status=code, headers=sent | dict(headers or {}))

    def json(self, body: Obj, code: int = 200) -> web.Response:
        """A response with any JSON."""
        return self.body(gojson.encode(body), code)

    def refusal(self, error: StatusError) -> web.Response:
        """A Status."""
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return self.body(gojson.encode(error.body()), error.code, headers=headers)

    def entry(
        self, kind: Kind, asked: Asked, entry: Entry, code: int = 200,
        *, warnings: Iterable[str] = (),
    ) -> web.Response:  # fmt: skip
        """One object."""
        form = form_of(asked.accept)
        headers = [("Warning", _warning(text)) for text in warnings]
        if form == "Table":
            body = gojson.encode(
                self._table(kind, asked, [entry], {"resourceVersion": str(entry.version)})
            )
        elif form == "PartialObjectMetadata":
            body = gojson.encode(partial(entry.obj))
        else:
            body = self._store.text(kind, asked.version, entry)
        response = self.body(body, code)
        for name, value in headers:
            response.headers.add(name, value)
        return response

    def page(self, kind: Kind, asked: Asked, page: Page) -> web.Response:
        """A list."""
        metadata: Obj = {"resourceVersion": str(page.version)}
        if page.token:
            metadata["continue"] = page.token
            if page.remaining is not None:
                metadata["remainingItemCount"] = page.remaining
        form = form_of(asked.accept)
        if form == "Table":
            return self.json(self._table(kind, asked, page.entries, metadata))
        if form == "PartialObjectMetadataList":
            head = {"kind": form, "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
            texts = [gojson.encode(partial(entry.obj)) for entry in page.entries]
        else:
            head = {
                "kind": kind.list_kind,
                "apiVersion": kind.api_version(asked.version),
                "metadata": metadata,
            }
            texts = [self._store.text(kind, asked.version, entry) for entry in page.entries]
        start = gojson.encode(head)[:-1]
        return self.body(start + b',"items":[' + b",".join(texts) + b"]}")

    def _table(
        self, kind: Kind, asked: Asked, entries: list[Entry], metadata: Obj, *, headed: bool = True
    ) -> Obj:
        # The columns of events are written for the stored form, so rows are made from that.
        include = asked.query.get("includeObject", "Metadata")
        objects = [entry.obj for entry in entries]
        columns = columns_of(kind, asked.version)
        return table(columns, objects, metadata, now=self._clock(), include=include, headed=headed)

    def event_text(
        self, kind: Kind, asked: Asked, form: str, entry: Entry, *, first: bool
    ) -> bytes:
        """The `object` of a watch event."""
        if form == "Table":
            version = {"resourceVersion": str(entry.version)}
            return gojson.encode(self._table(kind, asked, [entry], version, headed=first))
        if form:
            return gojson.encode(partial(entry.obj))
        return self._store.text(kind, asked.version, entry)


def _warning(text: str) -> str:
    """Value of a Warning header; what a header cannot carry is replaced."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    printable = "".join(sign if " " <= sign <= "~" else "?" for sign in quoted)
    return f'299 - "{printable}"'
