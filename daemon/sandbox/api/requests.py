"""What a request asks for: verb, resource, names, and the options of its query."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon.ports import Resource
from daemon.sandbox.api.deletion import BACKGROUND, FOREGROUND, ORPHAN, Deletion
from daemon.sandbox.api.status import StatusError, bad_request, invalid
from daemon.sandbox.api.writing import IGNORE, STRICT, UNKNOWN, WARN, Options


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        verb: get, list, watch, create, update, patch, delete or deletecollection; for a path that
            is no resource, the lower-case method.
        path: the URL's path.
        user: who asks; "" where nobody has to say.
        agent: User-Agent.
        resource: group, version, plural ("" and "" and "" for other paths).
        namespace: "" for cluster-wide.
        name: "" for collections.
        accept, content_type: headers.
    """

    verb: str
    path: str
    query: Mapping[str, str]
    user: str = ""
    agent: str = ""
    group: str = ""
    version: str = ""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    accept: str = ""
    content_type: str = ""

    @property
    def is_resource(self) -> bool:
        """Whether the path names a resource."""
        return bool(self.plural)

    @property
    def resource(self) -> Resource:
        """The resource, without its kind's name."""
        return Resource(self.group, self.version, self.plural, "")


_VERBS = {
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
    "GET": "get",
    "HEAD": "get",
}


def truth(query: Mapping[str, str], name: str) -> bool:
    """A boolean query parameter; present and empty is true, as in Go's conversion."""
    return name in query and query[name].lower() not in {"false", "0"}


def read_path(method: str, path: str, query: Mapping[str, str]) -> dict[str, Any]:
    """The parts of `Asked` that the path gives."""
    parts = [part for part in path.split("/") if part]
    verb = _VERBS.get(method, method.lower())
    found: dict[str, Any] = {"verb": method.lower(), "path": path, "query": query}
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return found
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "")[:3]
    if not name:
        watching = method == "GET" and truth(query, "watch")
        listed = {"get": "watch" if watching else "list", "delete": "deletecollection"}
        verb = listed.get(verb, verb)
    elif verb == "get" and truth(query, "watch"):
        verb = "watch"
    if plural == "namespaces" and name:
        namespace = name if subresource else namespace
    return found | {
        "verb": verb, "group": group, "version": version, "plural": plural,
        "namespace": namespace, "name": name, "subresource": subresource,
    }  # fmt: skip


def write_options(asked: Asked) -> Options:
    """Options of a POST, PUT or PATCH.

    Raises:
        StatusError: 422, an option has a value that is not supported.
    """
    validation = asked.query.get("fieldValidation") or WARN
    if validation not in {STRICT, WARN, IGNORE}:
        raise _unsupported("fieldValidation", validation, (IGNORE, WARN, STRICT))
    return Options(
        manager=asked.query.get("fieldManager") or asked.agent.partition("/")[0] or UNKNOWN,
        dry_run=_dry_run(asked.query.get("dryRun")),
        validation=validation,
        force=truth(asked.query, "force"),
    )


def _dry_run(value: str | None) -> bool:
    if value not in {None, "", "All"}:
        raise _unsupported("dryRun", str(value), ("All",))
    return bool(value)


def _unsupported(name: str, value: str, supported: tuple[str, ...]) -> StatusError:
    listed = ", ".join(f'"{item}"' for item in supported)
    message = f'Unsupported value: "{value}": supported values: {listed}'
    cause = ("FieldValueNotSupported", message, name)
    return invalid("meta.k8s.io", "PatchOptions", "", [cause])


def deletion_of(asked: Asked, body: Any) -> Deletion:
    """DeleteOptions of body and query; the query fills in what the body leaves out."""
    body = body if isinstance(body, dict) else {}
    query = asked.query
    conditions = body.get("preconditions") or {}
    propagation = body.get("propagationPolicy") or query.get("propagationPolicy") or BACKGROUND
    orphan = body.get("orphanDependents", query.get("orphanDependents"))
    if orphan is not None and "propagationPolicy" not in body:
        propagation = ORPHAN if orphan in {True, "true"} else BACKGROUND
    if propagation not in {BACKGROUND, FOREGROUND, ORPHAN}:
        raise _unsupported("propagationPolicy", str(propagation), (FOREGROUND, BACKGROUND, ORPHAN))
    grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
    dry = body.get("dryRun") or query.get("dryRun")
    return Deletion(
        uid=conditions.get("uid"),
        version=conditions.get("resourceVersion"),
        propagation=propagation,
        grace=None if grace in {None, ""} else int(str(grace)),
        dry_run=_dry_run(dry[0] if isinstance(dry, list) and dry else dry or None),
    )


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Query of a list or watch. `limit` 0 means no limit; `version` None means none was given."""

    limit: int = 0
    token: str = ""
    version: int | None = None
    match: str = ""
    timeout: float | None = None
    bookmarks: bool = False
    initial_events: bool = False


def list_options(asked: Asked) -> ListOptions:
    """Read them.

    Raises:
        StatusError: 400 or 422, a value cannot be read or they do not go together.
    """
    query = asked.query

    def number(name: str) -> int | None:
        text = query.get(name, "")
        if not text:
            return None
        if not text.isdigit():
            raise bad_request(f'Invalid value: "{text}": {name} is no number')
        return int(text)

    match = query.get("resourceVersionMatch", "")
    initial = truth(query, "sendInitialEvents")
    if initial and match != "NotOlderThan":
        message = (
            "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
        raise invalid(
            "meta.k8s.io",
            "ListOptions",
            "",
            [("FieldValueForbidden", message, "resourceVersionMatch")],
        )
    timeout = number("timeoutSeconds")
    return ListOptions(
        limit=number("limit") or 0,
        token=query.get("continue", ""),
        version=number("resourceVersion"),
        match=match,
        timeout=None if timeout is None else float(timeout),
        bookmarks=truth(query, "allowWatchBookmarks"),
        initial_events=initial,
    )
