"""The cluster's objects with the API's own rules, without HTTP: what the server serves.

Every method is synchronous and atomic: it returns when the object and everything that follows
from it at once (dependents, contents of a namespace) is stored. Refusals are StatusError. Entries
that are handed out are shared and must not be changed; `Entry.text` is the JSON.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from daemon.ports import Obj, Resource
from daemon.sandbox.api import builtin_kinds, crds, gojson, status
from daemon.sandbox.api.deletion import Deletion, Remover
from daemon.sandbox.api.fields import Writer
from daemon.sandbox.api.meta import MalformedObjectError
from daemon.sandbox.api.patches import Patch
from daemon.sandbox.api.patching import Patching
from daemon.sandbox.api.requests import ListOptions
from daemon.sandbox.api.resources import Kind, Registry
from daemon.sandbox.api.selectors import parse_labels
from daemon.sandbox.api.storage import HISTORY, Entry, Key, Storage
from daemon.sandbox.api.subresources import bind
from daemon.sandbox.api.watch import Watch
from daemon.sandbox.api.writing import (
    Draft,
    Options,
    begin,
    carry_over,
    check_draft,
    identify,
    refuse_malformed,
    same,
    settle_draft,
    time_text,
    track,
)

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
MAX_NAME_TRIES = 8
"""Names that generateName tries, as the real one does."""
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_DEFAULT = Options()
_CRD = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write came to.

    Attributes:
        entry: the stored object; with dryRun, the one that would have been stored.
        created: whether it is new.
        warnings: for the Warning header.
    """

    entry: Entry
    created: bool = False
    warnings: tuple[str, ...] = ()


def wall_clock() -> float:
    """Seconds since the epoch."""
    return datetime.now(UTC).timestamp()  # noqa: TID251 -- the sandbox is the API server whose clock the others follow


class Store:
    """One cluster's objects.

    Args:
        clock: seconds since the epoch, for every time that the API server writes.
        new_uid: a fresh uid; a simulation hands in a reproducible one.
        history: changes that are remembered.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = wall_clock,
        new_uid: Callable[[], str] = lambda: str(uuid4()),
        history: int = HISTORY,
    ) -> None:
        self.clock = clock
        self.storage = Storage(history=history)
        self.registry = Registry(builtin_kinds.kinds())
        self._new_uid = new_uid
        self._names = 0
        self._patching = Patching(self)
        self._remover = Remover(self.storage, self.registry, self._finish)
        for name in NAMESPACES:
            self.create(
                Resource("", "v1", "namespaces", "Namespace"), "", {"metadata": {"name": name}}
            )

    # -------------------------------------------------------------- kinds

    def kind_of(self, resource: Resource) -> Kind:
        """The kind served at a resource's path; 404 where there is none."""
        kind = self.registry.find(resource.group, resource.version, resource.plural)
        if kind is None:
            raise status.no_such_resource()
        return kind

    def add_crd(self, crd: Obj) -> None:
        """Create or replace a CRD; its kind is served from now on."""
        crd = gojson.decode(gojson.encode(crd))
        old = self.storage.get(self.kind_of(_CRD).key("", crd["metadata"]["name"]))
        if old is None:
            self.create(_CRD, "", crd)
        else:
            crd["metadata"]["resourceVersion"] = str(old.version)
            self.replace(_CRD, "", crd["metadata"]["name"], crd)

    # -------------------------------------------------------------- reading

    def find(self, resource: Resource, namespace: str, name: str) -> Entry:
        """The current version; 404 where there is none."""
        kind = self.kind_of(resource)
        entry = self.storage.get(kind.key(namespace, name))
        if entry is None:
            raise status.not_found(kind.group, kind.plural, name)
        return entry

    def get(self, resource: Resource, namespace: str, name: str) -> Obj:
        """A copy of the object, in the resource's version; 404 where there is none."""
        entry = self.find(resource, namespace, name)
        obj: Obj = gojson.decode(self.text(self.kind_of(resource), resource.version, entry))
        return obj

    def list_objects(
        self, resource: Resource, namespace: str | None = None, *, labels: str = ""
    ) -> list[Obj]:
        """Copies of all objects that a label selector selects, by namespace and name."""
        kind = self.kind_of(resource)
        selected = parse_labels(labels)
        entries = self.storage.entries(*kind.stored_as, namespace)
        if selected is not None:
            entries = [entry for entry in entries if selected(entry.obj)]
        return [gojson.decode(self.text(kind, resource.version, entry)) for entry in entries]

    def watch(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "",
        version: int | None = None,
    ) -> Watch:  # fmt: skip
        """Subscribe to what happens after `version`; without one, to all that is there as well."""
        options = ListOptions(version=version)
        return Watch(self.storage, self.kind_of(resource), namespace, parse_labels(labels), options)

    def text(self, kind: Kind, version: str, entry: Entry) -> bytes:
        """JSON of an entry in a served version of its kind."""
        api_version = kind.api_version(version)
        if api_version == kind.storage:
            return entry.text
        if api_version not in entry.views:
            entry.views[api_version] = gojson.encode(kind.convert(entry.obj, api_version))
        return entry.views[api_version]

    # -------------------------------------------------------------- writing

    def create(
        self, resource: Resource, namespace: str, body: Any, options: Options = _DEFAULT
    ) -> Outcome:
        """Create an object. Takes `body` over."""
        kind = self.kind_of(resource)
        draft = Draft(kind, resource.version, identify(kind, resource.version, body))
        try:
            settle_draft(draft, options.validation)
        except MalformedObjectError as error:
            raise refuse_malformed(kind, resource.version, error) from error
        return self.create_settled(draft, namespace, options)

    def create_settled(
        self, draft: Draft, namespace: str, options: Options, managed: list[Obj] | None = None
    ) -> Outcome:
        """Create an object from a settled draft; `managed` is given by an apply."""
        kind, metadata = draft.kind, draft.obj["metadata"]
        if metadata.get("resourceVersion"):
            raise status.bad_request("resourceVersion should not be set on objects to be created")
        if kind.namespaced:
            _check_namespace(metadata, namespace)
            self._admit(kind, namespace, metadata)
        if not metadata.get("name"):
            self._generate_name(kind, namespace, metadata)
        key = kind.key(namespace, metadata["name"])
        begin(draft, namespace=namespace, uid=self._new_uid(), now=self.clock())
        check_draft(draft, None)
        if self.storage.get(key) is not None:
            raise status.already_exists(kind.group, kind.plural, key.name)
        operation = "Update" if managed is None else "Apply"
        track(draft, None, Writer(options.manager, operation, time_text(self.clock())), managed)
        warnings = tuple(draft.warnings)
        if options.dry_run:
            draft.obj["metadata"].pop("resourceVersion", None)
            return Outcome(Entry(key, draft.obj, gojson.encode(draft.obj), 0), True, warnings)
        return Outcome(self._put(kind, key, draft.obj), True, warnings)

    def _admit(self, kind: Kind, namespace: str, metadata: Obj) -> None:
        home = self.storage.get(Key("", "namespaces", "", namespace))
        if home is None:
            raise status.not_found("", "namespaces", namespace)
        if home.obj["metadata"].get("deletionTimestamp"):
            why = (
                f"unable to create new content in namespace {namespace} "
                "because it is being terminated"
            )
            raise status.forbidden(kind.group, kind.plural, metadata.get("name", ""), why)

    def _generate_name(self, kind: Kind, namespace: str, metadata: Obj) -> None:
        prefix = metadata.get("generateName")
        if not prefix:
            cause = (
                "FieldValueRequired",
                "Required value: name or generateName is required",
                "metadata.name",
            )
            raise status.invalid(kind.group, kind.kind, "", [cause])
        for _ in range(MAX_NAME_TRIES):
            self._names += 1
            number, letters = self._names * 7_368_787, ""  # prime to 27**5: every name comes once
            for _ in range(5):
                number, index = divmod(number, len(_SUFFIX))
                letters += _SUFFIX[index]
            metadata["name"] = prefix + letters
            if self.storage.get(kind.key(namespace, metadata["name"])) is None:
                return

    def replace(
        self, resource: Resource, namespace: str, name: str, body: Any,
        options: Options = _DEFAULT, *, subresource: str = "",
    ) -> Outcome:  # fmt: skip
        """PUT: replace an object, or its status or scale. Takes `body` over."""
        kind = self.kind_of(resource)
        old = self.storage.get(kind.key(namespace, name))
        if subresource == "scale":
            return self._patching.scale(
                resource, self.find(resource, namespace, name), body, options
            )
        draft = Draft(kind, resource.version, identify(kind, resource.version, body))
        try:
            settle_draft(draft, options.validation)
        except MalformedObjectError as error:
            raise refuse_malformed(kind, resource.version, error) from error
        metadata = draft.obj["metadata"]
        if metadata.get("name", name) != name:
            raise status.wrong_name(metadata["name"], name)
        metadata["name"] = name
        if kind.namespaced:
            _check_namespace(metadata, namespace)
        if old is None:
            if not kind.create_on_update or subresource or metadata.get("resourceVersion"):
                raise status.not_found(kind.group, kind.plural, name)
            return self.create_settled(draft, namespace, options)
        if kind.needs_version and not metadata.get("resourceVersion"):
            cause = (
                "FieldValueInvalid",
                "Invalid value: 0: must be specified for an update",
                "metadata.resourceVersion",
            )
            raise status.invalid(kind.group, kind.kind, name, [cause])
        if metadata.get("uid") and metadata["uid"] != old.obj["metadata"]["uid"]:
            found = old.obj["metadata"]["uid"]
            raise status.wrong_uid(kind.group, kind.plural, name, metadata["uid"], found)
        return self.update(draft, old, options, subresource)

    def patch(
        self, resource: Resource, namespace: str, name: str, patch: Patch,
        options: Options = _DEFAULT, *, subresource: str = "",
    ) -> Outcome:  # fmt: skip
        """PATCH an object, or its status or scale; an apply may create it."""
        return self._patching.patch(
            resource, namespace, name, patch, options, subresource=subresource
        )

    def update(
        self, draft: Draft, old: Entry, options: Options, subresource: str = "", *,
        managed: list[Obj] | None = None,
    ) -> Outcome:  # fmt: skip
        """Store a settled draft over an old version, if nobody wrote in between and it is sound."""
        kind, metadata = draft.kind, draft.obj["metadata"]
        if metadata.get("resourceVersion", str(old.version)) not in {str(old.version), "0", ""}:
            raise status.conflict(kind.group, kind.plural, old.key.name)
        carry_over(draft, old.obj, subresource)
        check_draft(draft, old.obj)
        operation = "Update" if managed is None else "Apply"
        writer = Writer(options.manager, operation, time_text(self.clock()), subresource)
        track(draft, old.obj, writer, managed)
        warnings = tuple(draft.warnings)
        if same(draft.obj, old.obj):
            return Outcome(old, False, warnings)
        if options.dry_run:
            draft.obj["metadata"]["resourceVersion"] = str(old.version)
            dry = Entry(old.key, draft.obj, gojson.encode(draft.obj), old.version)
            return Outcome(dry, False, warnings)
        entry = self._put(kind, old.key, draft.obj)
        if self._remover.is_due(entry):
            entry = self._remover.remove(entry, self.clock())
        return Outcome(entry, False, warnings)

    def _put(self, kind: Kind, key: Key, obj: Obj) -> Entry:
        entry = self.storage.put(key, obj)
        if kind.plural == _CRD.plural and kind.group == _CRD.group:
            served = crds.kind_of(entry.obj)
            if served is not None:
                self.registry.add(served)
        return entry

    def _finish(self, draft: Draft, old: Entry) -> None:
        """A write of the garbage collector."""
        self.update(draft, old, Options(manager="kube-controller-manager"))

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        deletion: Deletion = Deletion(),  # noqa: B008 -- frozen
    ) -> tuple[Entry, bool]:
        """Delete; returns the last state, and whether the object has gone already."""
        kind = self.kind_of(resource)
        return self._remover.delete(
            kind, self.find(resource, namespace, name), deletion, self.clock()
        )

    def bind(self, namespace: str, name: str, binding: Any, options: Options = _DEFAULT) -> None:
        """Put a pod on the node that a Binding names."""
        resource = Resource("", "v1", "pods", "Pod")
        old = self.find(resource, namespace, name)
        obj = gojson.decode(old.text)
        bind(obj, binding, time_text(self.clock()))
        self.update(Draft(self.kind_of(resource), "v1", obj), old, options, "binding")


def _check_namespace(metadata: Obj, namespace: str) -> None:
    if (metadata.get("namespace") or namespace) != namespace:
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
