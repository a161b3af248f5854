"""What each verb of each path does to the store; no I/O, so every request is atomic."""

from typing import Any

from aiohttp import web

from daemon.ports import Obj
from daemon.sandbox.api import discovery, gojson, status
from daemon.sandbox.api.answers import Answers
from daemon.sandbox.api.deletion import FOREGROUND
from daemon.sandbox.api.listing import list_page
from daemon.sandbox.api.patches import APPLY_PATCH, Patch
from daemon.sandbox.api.patching import read_yaml
from daemon.sandbox.api.rbac import Person
from daemon.sandbox.api.requests import Asked, deletion_of, write_options
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.reviews import Reviews
from daemon.sandbox.api.status import StatusError, no_such_resource
from daemon.sandbox.api.storage import Entry
from daemon.sandbox.api.store import Outcome, Store
from daemon.sandbox.api.subresources import scale_of

_JSON_TYPES = {"", "application/json", "application/yaml", "text/plain", "application/octet-stream"}
_HEALTH = {"/healthz", "/livez", "/readyz"}
MAX_DELETED = 100_000
"""Objects that one deletecollection removes."""


class Routes:
    """Answers every request but watches."""

    def __init__(self, store: Store, answers: Answers, reviews: Reviews) -> None:
        self._store = store
        self._answers = answers
        self._reviews = reviews

    # -------------------------------------------------------------- other paths

    def other(self, asked: Asked) -> web.Response:
        """Discovery, OpenAPI, version and health."""
        path, registry = asked.path.rstrip("/"), self._store.registry
        if path in _HEALTH or path.startswith(tuple(f"{known}/" for known in _HEALTH)):
            return self._answers.body(b"ok", kind="text/plain; charset=utf-8")
        if path in {"/api", "/apis"} and discovery.wants_aggregated(asked.accept):
            body = gojson.encode(discovery.aggregated(registry, core=path == "/api"))
            return self._answers.body(body, kind=discovery.AGGREGATED)
        found = self._document(path)
        if found is None:
            raise no_such_resource()
        return self._answers.json(found)

    def _document(self, path: str) -> Obj | None:
        registry, parts = self._store.registry, path.strip("/").split("/")
        match parts:
            case ["version"]:
                return discovery.version()
            case ["api"]:
                return discovery.api_versions()
            case ["apis"]:
                return discovery.api_groups(registry)
            case ["api", version]:
                return discovery.resources(registry, "", version)
            case ["apis", group]:
                return discovery.api_group(registry, group)
            case ["apis", group, version]:
                return discovery.resources(registry, group, version)
            case ["openapi", "v3"]:
                return discovery.openapi_index(registry)
            case ["openapi", "v3", *rest]:
                return discovery.openapi_document(registry, "/".join(rest))
            case [""]:
                return {"paths": ["/api", "/apis", "/healthz", "/openapi/v3", "/version"]}
        return None

    # -------------------------------------------------------------- resources

    def resource(self, kind: Kind, asked: Asked, body: bytes, person: Person) -> web.Response:
        """One request for a resource."""
        if kind.review:
            if asked.verb != "create":
                raise _not_allowed()
            return self._answers.json(
                self._reviews.answer(kind, _decoded(body, asked), person), 201
            )
        match asked.verb:
            case "get":
                return self._get(kind, asked)
            case "list":
                return self._answers.page(kind, asked, list_page(self._store.storage, kind, asked))
            case "create":
                return self._create(kind, asked, _decoded(body, asked))
            case "update":
                return self._update(kind, asked, _decoded(body, asked))
            case "patch":
                return self._patch(kind, asked, body)
            case "delete":
                return self._delete(kind, asked, body)
            case "deletecollection":
                return self._delete_all(kind, asked, body)
        raise _not_allowed()

    def _get(self, kind: Kind, asked: Asked) -> web.Response:
        entry = self._store.find(asked.resource, asked.namespace, asked.name)
        if asked.subresource == "scale":
            return self._answers.json(self._scale(kind, asked, entry))
        if asked.subresource not in {"", "status"}:
            raise _not_allowed()
        return self._answers.entry(kind, asked, entry)

    def _scale(self, kind: Kind, asked: Asked, entry: Entry) -> Obj:
        view = gojson.decode(self._store.text(kind, asked.version, entry))
        return scale_of(kind, asked.version, view)

    def _create(self, kind: Kind, asked: Asked, body: Any) -> web.Response:
        options = write_options(asked)
        if asked.subresource == "binding":
            self._store.bind(asked.namespace, asked.name, body, options)
            return self._answers.json(_success(), 201)
        if asked.subresource == "eviction":
            deletion = deletion_of(asked, (body or {}).get("deleteOptions"))
            self._store.delete(asked.resource, asked.namespace, asked.name, deletion)
            return self._answers.json(_success(), 201)
        if asked.name:
            raise _not_allowed()
        outcome = self._store.create(asked.resource, asked.namespace, body, options)
        return self._outcome(kind, asked, outcome)

    def _update(self, kind: Kind, asked: Asked, body: Any) -> web.Response:
        if not asked.name or asked.subresource not in {"", "status", "scale"}:
            raise _not_allowed()
        outcome = self._store.replace(
            asked.resource, asked.namespace, asked.name, body, write_options(asked),
            subresource=asked.subresource,
        )  # fmt: skip
        return self._outcome(kind, asked, outcome)

    def _patch(self, kind: Kind, asked: Asked, body: bytes) -> web.Response:
        if not asked.name or asked.subresource not in {"", "status", "scale"}:
            raise _not_allowed()
        if asked.content_type.startswith(APPLY_PATCH) and not asked.query.get("fieldManager"):
            cause = (
                "FieldValueRequired",
                "Required value: is required for apply patch",
                "fieldManager",
            )
            raise status.invalid("meta.k8s.io", "PatchOptions", "", [cause])
        outcome = self._store.patch(
            asked.resource, asked.namespace, asked.name, Patch(asked.content_type, body),
            write_options(asked), subresource=asked.subresource,
        )  # fmt: skip
        return self._outcome(kind, asked, outcome)

    def _outcome(self, kind: Kind, asked: Asked, outcome: Outcome) -> web.Response:
        code = 201 if outcome.created else 200
        if asked.subresource == "scale":
            return self._answers.json(self._scale(kind, asked, outcome.entry), code)
        return self._answers.entry(kind, asked, outcome.entry, code, warnings=outcome.warnings)

    def _delete(self, kind: Kind, asked: Asked, body: bytes) -> web.Response:
        if asked.subresource:
            raise _not_allowed()
        deletion = deletion_of(asked, _decoded(body, asked) if body else None)
        entry, gone = self._store.delete(asked.resource, asked.namespace, asked.name, deletion)
        if gone and kind.plural not in {"pods", "services"}:
            uid = entry.obj["metadata"]["uid"]
            return self._answers.json(status.success(kind.group, kind.plural, asked.name, uid))
        code = 202 if not gone and deletion.propagation == FOREGROUND else 200
        return self._answers.entry(kind, asked, entry, code)

    def _delete_all(self, kind: Kind, asked: Asked, body: bytes) -> web.Response:
        if kind.plural == "namespaces":
            raise _not_allowed()
        deletion = deletion_of(asked, _decoded(body, asked) if body else None)
        page = list_page(self._store.storage, kind, asked)
        for entry in page.entries[:MAX_DELETED]:
            if self._store.storage.get(entry.key) is not None:
                key = entry.key
                self._store.delete(asked.resource, key.namespace, key.name, deletion)
        return self._answers.page(kind, asked, page)


def _success() -> Obj:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }


def _decoded(body: bytes, asked: Asked) -> Any:
    plain = asked.content_type.partition(";")[0].strip()
    if plain not in _JSON_TYPES:
        hint = ""
        if "protobuf" in plain:
            hint = "; this API server reads no protobuf: use `kubectl apply -f` with a file"
        raise StatusError(
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
            f"application/json, application/yaml{hint}",
            {},
        )
    if plain == "application/yaml":
        return read_yaml(body)
    try:
        return gojson.decode(body)
    except ValueError as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error}") from error


def _not_allowed() -> StatusError:
    return StatusError(
        "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
    )
