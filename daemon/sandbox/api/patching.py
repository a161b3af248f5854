"""PATCH: which kind of patch it is, on which view of the object, and what comes of a bad one."""

from typing import TYPE_CHECKING, Any

import yaml

from daemon.ports import Obj, Resource
from daemon.sandbox.api import gojson, status
from daemon.sandbox.api.apply import server_side_apply
from daemon.sandbox.api.fields import Writer
from daemon.sandbox.api.meta import MalformedObjectError
from daemon.sandbox.api.patches import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Patch,
    clone,
    json_patch,
    merge_patch,
)
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.status import StatusError
from daemon.sandbox.api.storage import Entry
from daemon.sandbox.api.strategic import strategic_merge
from daemon.sandbox.api.subresources import rescale, scale_of
from daemon.sandbox.api.writing import (
    STRICT,
    UNKNOWN,
    WARN,
    Draft,
    Options,
    identify,
    refuse_malformed,
    settle_draft,
    time_text,
)

if TYPE_CHECKING:
    from daemon.sandbox.api.store import Outcome, Store


class _YamlLoader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a time is a string."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- the base class declares it
        first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


class Patching:
    """The four kinds of patches over one store."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    def patch(
        self, resource: Resource, namespace: str, name: str, patch: Patch,
        options: Options, *, subresource: str,
    ) -> "Outcome":  # fmt: skip
        """Apply one patch."""
        kind = self._store.kind_of(resource)
        content_type = patch.content_type.partition(";")[0].strip()
        patch = Patch(content_type, patch.body)
        strategic = () if kind.custom else (STRATEGIC_PATCH,)
        accepted = (JSON_PATCH, MERGE_PATCH, *strategic, APPLY_PATCH)
        if content_type not in accepted:
            raise status.StatusError(
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: "
                + ", ".join(accepted),
                {},
            )
        if content_type == APPLY_PATCH:
            stated = _stated(kind, resource.version, name, patch.body, options)
            return self._apply(resource, namespace, stated, options, subresource)
        old = self._store.find(resource, namespace, name)
        view = self._store.text(kind, resource.version, old)
        if subresource == "scale":
            shown = scale_of(kind, resource.version, gojson.decode(view))
            scale = _patched(shown, patch, kind)
            return self.scale(resource, old, scale, options)
        obj = _patched(gojson.decode(view), patch, kind)
        draft = _draft(kind, resource.version, obj, options, old)
        return self._store.update(draft, old, options, subresource)

    def scale(self, resource: Resource, old: Entry, scale: Any, options: Options) -> "Outcome":
        """Write a Scale object."""
        kind = self._store.kind_of(resource)
        obj: Obj = gojson.decode(self._store.text(kind, resource.version, old))
        rescale(kind, resource.version, obj, scale)
        uid = old.obj["metadata"]["uid"]
        if obj["metadata"].get("uid", uid) != uid:
            raise status.wrong_uid(
                kind.group, kind.plural, old.key.name, obj["metadata"]["uid"], uid
            )
        draft = _draft(kind, resource.version, obj, options, old)
        return self._store.update(draft, old, options, "scale")

    def _apply(
        self, resource: Resource, namespace: str, stated: Obj, options: Options, subresource: str
    ) -> "Outcome":
        kind, version, name = (
            self._store.kind_of(resource),
            resource.version,
            stated["metadata"]["name"],
        )
        old = self._store.storage.get(kind.key(namespace, name))
        stated = _part(kind, stated, subresource)
        live = _bare(stated, namespace) if old is None else self._view(kind, version, old)
        writer = Writer(options.manager, "Apply", time_text(self._store.clock()), subresource)
        merged, managed = server_side_apply(
            live, stated, kind.shape_of(version), writer, force=options.force
        )
        merged["metadata"].pop("managedFields", None)
        sent_version = stated["metadata"].get("resourceVersion")
        if sent_version:
            merged["metadata"]["resourceVersion"] = sent_version
        draft = _draft(kind, version, merged, options, old)
        if old is None:
            return self._store.create_settled(draft, namespace, options, managed)
        return self._store.update(draft, old, options, subresource, managed=managed)

    def _view(self, kind: Kind, version: str, entry: Entry) -> Obj:
        view: Obj = gojson.decode(self._store.text(kind, version, entry))
        return view


def _bare(stated: Obj, namespace: str) -> Obj:
    metadata = {"name": stated["metadata"]["name"]} | (
        {"namespace": namespace} if namespace else {}
    )
    return {"apiVersion": stated["apiVersion"], "kind": stated["kind"], "metadata": metadata}


def read_yaml(body: bytes) -> Any:
    """Read JSON or YAML.

    Raises:
        StatusError: 400.
    """
    try:
        return gojson.decode(body)
    except ValueError:
        pass
    try:
        return yaml.load(body, Loader=_YamlLoader)  # noqa: S506 -- it is a safe loader
    except (yaml.YAMLError, ValueError) as error:
        raise status.bad_request(f"error decoding YAML: {error}") from error


def _stated(kind: Kind, version: str, name: str, body: bytes, options: Options) -> Obj:
    """The configuration of an apply."""
    if options.manager == UNKNOWN:
        cause = (
            "FieldValueRequired", "Required value: is required for apply patch", "fieldManager",
        )  # fmt: skip
        raise status.invalid("meta.k8s.io", "PatchOptions", "", [cause])
    stated = identify(kind, version, read_yaml(body))
    if stated["metadata"].get("managedFields"):
        raise status.bad_request("metadata.managedFields must be nil")
    if stated["metadata"].setdefault("name", name) != name:
        raise status.wrong_name(stated["metadata"]["name"], name)
    _check_stated(kind, version, stated, options)
    return stated


def _part(kind: Kind, stated: Obj, subresource: str) -> Obj:
    """What of a configuration counts at this door: all but status, or status alone."""
    if subresource == "status":
        kept = {"apiVersion", "kind", "metadata", "status"}
        metadata = {"name": stated["metadata"]["name"]}
        return {k: v for k, v in stated.items() if k in kept} | {"metadata": metadata}
    return {k: v for k, v in stated.items() if k != "status" or not kind.has_status}


def _patched(obj: Obj, sent: Patch, kind: Kind) -> Any:
    if sent.content_type == JSON_PATCH:
        return json_patch(obj, sent.body)
    try:
        patch = gojson.decode(sent.body)
    except ValueError as error:
        raise status.bad_request(f"error decoding patch: {error}") from error
    if sent.content_type == MERGE_PATCH:
        return clone(merge_patch(obj, patch))
    if not isinstance(patch, dict):
        raise status.bad_request("error decoding patch: json: cannot unmarshal into Go value")
    try:
        return clone(strategic_merge(obj, patch, kind.shape))
    except (AttributeError, TypeError) as error:
        raise status.bad_request(f"error decoding patch: {error}") from error


def _draft(kind: Kind, version: str, obj: Any, options: Options, old: Entry | None) -> Draft:
    """Settle a patched object; what is malformed is a field error of the patch."""
    if not isinstance(obj, dict):
        raise _refused(
            obj, "json: cannot unmarshal array into Go value of type map[string]interface {}"
        )
    text = obj
    try:
        draft = Draft(kind, version, identify(kind, version, obj))
        settle_draft(draft, options.validation, old.obj if old else None)
    except MalformedObjectError as error:
        raise _refused(text, str(error)) from error
    return draft


def _check_stated(kind: Kind, version: str, stated: Obj, options: Options) -> None:
    """Refuse an applied configuration that states what the schema does not know."""
    trial = Draft(kind, version, clone(stated))
    try:
        settle_draft(trial, options.validation if options.validation == STRICT else WARN)
    except MalformedObjectError as error:
        raise refuse_malformed(kind, version, error) from error
    if trial.warnings:
        listed = ", ".join(trial.warnings)
        raise StatusError(
            "InternalError",
            f"failed to create typed patch object: {listed}: not declared in schema",
        )


def _refused(obj: Any, why: str) -> StatusError:
    shown = gojson.encode(obj).decode().replace("\\", "\\\\").replace('"', '\\"')
    cause = ("FieldValueInvalid", f'Invalid value: "{shown}": {why}', "patch")
    return status.invalid("", "", "", [cause])
