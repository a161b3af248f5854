"""From what a client sent to what is stored: decoding, pruning, defaults, checks, generation.

Pure but for the clock value handed in: nothing here stores anything.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api import fields
from daemon.sandbox.api.fields import Writer
from daemon.sandbox.api.meta import MalformedObjectError, check_metadata, settle_metadata
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.schema import check, settle
from daemon.sandbox.api.status import Cause, StatusError, bad_request, invalid

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
UNKNOWN = "unknown"
"""The manager of a client that names neither itself nor a field manager."""


@dataclass(frozen=True, slots=True)
class Options:
    """Query parameters of a write.

    Attributes:
        manager: field manager; the server takes it from the User-Agent where none is given.
        validation: what happens to unknown fields: Strict, Warn or Ignore.
        force: take over the fields of others (server-side apply).
    """

    manager: str = UNKNOWN
    dry_run: bool = False
    validation: str = WARN
    force: bool = False


@dataclass(slots=True)
class Draft:
    """An object on its way into the store, in the version that the client speaks, then stored."""

    kind: Kind
    version: str
    obj: Obj
    warnings: list[str] = field(default_factory=list)


def time_text(seconds: float) -> str:
    """RFC 3339 with whole seconds, as metadata has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def identify(kind: Kind, version: str, body: Any) -> Obj:
    """Check that a body is an object of this kind, filling in apiVersion and kind.

    Raises:
        StatusError: 400, another kind or version, or no object.
    """
    if not isinstance(body, dict):
        raise bad_request(f"json: cannot unmarshal into Go value of type {kind.kind}")
    wanted = {"apiVersion": kind.api_version(version), "kind": kind.kind}
    sent = {name: body.get(name, wanted[name]) for name in wanted}
    if not kind.schemas and sent["kind"] != kind.kind:
        raise bad_request(
            f'{sent["kind"]} in version "{version}" cannot be handled as a {kind.kind}: '
            f"converting ({version}.{sent['kind']}) to (core.{kind.kind}): unknown conversion"
        )
    for name, word in (("apiVersion", "API version"), ("kind", "kind")):
        if body.get(name, wanted[name]) != wanted[name]:
            raise bad_request(
                f"the {word} in the data ({body[name]}) does not match the expected "
                f"{word} ({wanted[name]})"
            )
    return wanted | body | {"metadata": {} if body.get("metadata") is None else body["metadata"]}


def settle_draft(draft: Draft, validation: str, old: Obj | None = None) -> None:
    """Prune and default by metadata's rules and the schema; then the obj is in the stored version.

    `old` is the stored object, if the draft is a new version of it.

    Raises:
        MalformedObjectError: wrong types, or unknown fields and validation is Strict.
    """
    unknown: list[str] = []
    settle_metadata(draft.obj["metadata"], unknown)
    schema = draft.kind.schemas.get(draft.version)
    if schema is not None:
        same_version = old is not None and old["apiVersion"] == draft.obj["apiVersion"]
        settle(draft.obj, schema, "", unknown, old if same_version else None)
    if unknown and validation == STRICT:
        listed = ", ".join(f'unknown field "{name}"' for name in unknown)
        raise MalformedObjectError(f"strict decoding error: {listed}", strict=True)
    if unknown and validation == WARN:
        draft.warnings.extend(f'unknown field "{name}"' for name in unknown)
    draft.obj = draft.kind.convert(draft.obj, draft.kind.storage)


def refuse_malformed(kind: Kind, version: str, error: MalformedObjectError) -> StatusError:
    """400 of a POST or PUT."""
    return bad_request(
        f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}: {error}'
    )


def check_draft(draft: Draft, old: Obj | None) -> None:
    """Apply the kind's checks.

    Raises:
        StatusError: 422 with all causes.
    """
    kind, obj = draft.kind, draft.obj
    causes: list[Cause] = check_metadata(kind, obj, old)
    schema = kind.schemas.get(kind.storage.rpartition("/")[2]) or kind.schemas.get(draft.version)
    if schema is not None:
        check(obj, schema, "", causes, old)
    else:
        causes.extend(_check_built_in(draft, old))
    if causes:
        raise invalid(kind.group, kind.kind, obj["metadata"].get("name", ""), causes)


def _check_built_in(draft: Draft, old: Obj | None) -> list[Cause]:
    try:
        return draft.kind.check(draft.obj, old)
    except (AttributeError, TypeError, KeyError) as error:
        wrong = MalformedObjectError(f"json: cannot unmarshal: {error}")
        raise refuse_malformed(draft.kind, draft.version, wrong) from error


def begin(draft: Draft, *, namespace: str, uid: str, now: float) -> None:
    """Fields that only the server sets on a new object; its status is dropped."""
    kind, obj = draft.kind, draft.obj
    metadata = obj["metadata"]
    for name in ("resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds",
                 "generation", "managedFields"):  # fmt: skip
        metadata.pop(name, None)
    if kind.namespaced:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    metadata["uid"] = uid
    metadata["creationTimestamp"] = time_text(now)
    if kind.generation is not None:
        metadata["generation"] = 1
    if kind.has_status:
        obj.pop("status", None)
    _prepare(draft, None)


def _prepare(draft: Draft, old: Obj | None) -> None:
    """Apply the kind's defaults; built-in kinds have no schema that found wrong types before."""
    try:
        draft.kind.prepare(draft.obj, old)
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        wrong = MalformedObjectError(f"json: cannot unmarshal: {error}")
        raise refuse_malformed(draft.kind, draft.version, wrong) from error


def carry_over(draft: Draft, old: Obj, subresource: str) -> None:
    """Bring an update together with what it may not change, and bump the generation."""
    kind, before = draft.kind, old["metadata"]
    if subresource == "status":
        status = draft.obj.get("status")
        metadata = draft.obj["metadata"]
        draft.obj = {name: value for name, value in old.items() if name != "status"}
        if status is not None:
            draft.obj["status"] = status
        kept = {} if kind.custom else {"annotations": metadata.get("annotations")}
        metadata = before | {name: value for name, value in kept.items() if value is not None}
        draft.obj["metadata"] = dict(metadata)
    elif kind.has_status and subresource != "binding":
        draft.obj.pop("status", None)
        if "status" in old:
            draft.obj["status"] = old["status"]
    metadata = draft.obj["metadata"]
    for name in ("name", "namespace", "uid"):
        if name in before:
            metadata.setdefault(name, before[name])
    for name in ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
                 "generation", "selfLink"):  # fmt: skip
        metadata.pop(name, None)
        if name in before:
            metadata[name] = before[name]
    if subresource == "status":
        return
    _prepare(draft, old)
    if kind.generation is not None and kind.generation(draft.obj, old):
        metadata["generation"] = before.get("generation", 0) + 1


def track(draft: Draft, old: Obj | None, writer: Writer, managed: list[Obj] | None = None) -> None:
    """Write managedFields; `managed` is given by an apply, which has worked them out itself."""
    metadata = draft.obj["metadata"]
    sent = metadata.pop("managedFields", None)
    entries: list[Obj] = (old or {}).get("metadata", {}).get("managedFields") or []
    if managed is None and sent in ([], [{}]) and old is not None:
        entries = []
    elif managed is None:
        stored = draft.kind.storage.rpartition("/")[2]
        shape = draft.kind.shape_of(stored) or draft.kind.shape_of(draft.version)
        fresh = (
            {"status": draft.obj["status"]}
            if draft.kind.has_status and "status" in draft.obj
            else {}
        )
        found = fields.difference(fresh if old is None else old, draft.obj, shape)
        if found.written or found.removed:
            api_version = draft.kind.api_version(draft.version)
            entries = fields.after_changes(entries, found, writer, api_version)
    else:
        entries = managed
    if entries:
        metadata["managedFields"] = entries


def same(new: Obj, old: Obj) -> bool:
    """Whether nothing differs but resourceVersion and the times in managedFields."""

    def bare(obj: Obj) -> Obj:
        metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
        managed = metadata.get("managedFields")
        if managed:
            metadata["managedFields"] = [{**entry, "time": ""} for entry in managed]
        return obj | {"metadata": metadata}

    return bare(new) == bare(old)
