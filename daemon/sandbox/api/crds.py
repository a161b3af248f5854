"""CustomResourceDefinitions: from the object to a `Kind`, at run time."""

from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api import generation
from daemon.sandbox.api.columns import AGE, NAME
from daemon.sandbox.api.resources import Column, Kind, version_rank
from daemon.sandbox.api.schema import Schema
from daemon.sandbox.api.status import Cause

_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def kind_of(crd: Obj) -> Kind | None:
    """The kind that a CRD defines, or None if it serves no version."""
    spec, names = crd["spec"], crd["status"]["acceptedNames"]
    served = sorted(
        (version for version in spec["versions"] if version.get("served")),
        key=lambda version: version_rank(version["name"]),
    )
    if not served:
        return None
    group, plural = spec["group"], names["plural"]
    storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
    subresources = {name for version in served for name in version.get("subresources") or {}}
    return Kind(
        group=group,
        plural=plural,
        kind=names["kind"],
        singular=names["singular"],
        list_kind=names["listKind"],
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        versions=tuple(version["name"] for version in served),
        storage=f"{group}/{storage}",
        stored_as=(group, plural),
        namespaced=spec["scope"] == "Namespaced",
        subresources=frozenset(subresources),
        custom=True,
        needs_version=True,
        generation=(
            generation.content_changed
            if "status" in subresources
            else generation.content_or_status_changed
        ),
        columns={version["name"]: _columns(version) for version in served},
        schemas={version["name"]: _schema(version) for version in served},
        scale_paths={
            version["name"]: scale
            for version in served
            if (scale := (version.get("subresources") or {}).get("scale"))
        },
    )


def _schema(version: dict[str, Any]) -> Schema:
    return Schema((version.get("schema") or {}).get("openAPIV3Schema") or _OPEN, root=True)


def _columns(version: dict[str, Any]) -> tuple[Column, ...]:
    printed = version.get("additionalPrinterColumns")
    if not printed:
        return (NAME, AGE)
    return (
        NAME,
        *(
            Column(
                column["name"],
                column["jsonPath"],
                type=column["type"],
                format=column.get("format", ""),
                description=column.get("description", ""),
                priority=column.get("priority", 0),
            )
            for column in printed
        ),
    )


def prepare(new: Obj, _old: Obj | None) -> None:
    """Names that are left out, and the status that the API server itself writes."""
    spec = new.setdefault("spec", {})
    names = spec.setdefault("names", {})
    kind = str(names.get("kind", ""))
    names.setdefault("singular", kind.lower())
    names.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})
    at = new["metadata"]["creationTimestamp"]
    stored = [v.get("name") for v in spec.get("versions") or () if v.get("storage")]
    status = new.get("status") or {}
    new["status"] = {
        "acceptedNames": dict(names),
        "conditions": [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found", at),
            _condition("Established", "InitialNamesAccepted", "the names have been accepted", at),
        ],
        "storedVersions": list(dict.fromkeys([*(status.get("storedVersions") or ()), *stored])),
    }  # fmt: skip


def _condition(name: str, reason: str, message: str, at: str) -> dict[str, str]:
    return {
        "type": name,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": at,
    }


def check(new: Obj, _old: Obj | None) -> list[Cause]:
    """What makes a CRD unusable."""
    spec = new["spec"]
    names, versions = spec["names"], spec.get("versions") or []
    causes: list[Cause] = [
        ("FieldValueRequired", "Required value", f"spec.{path}")
        for path, value in (
            ("group", spec.get("group")),
            ("scope", spec.get("scope")),
            ("names.plural", names.get("plural")),
            ("names.kind", names.get("kind")),
            ("versions", versions),
        )
        if not value
    ]
    if causes:
        return causes
    wanted = f"{names['plural']}.{spec['group']}"
    if new["metadata"]["name"] != wanted:
        message = (
            f'Invalid value: "{new["metadata"]["name"]}": must be spec.names.plural+"."+spec.group'
        )
        causes.append(("FieldValueInvalid", message, "metadata.name"))
    if sum(1 for version in versions if version.get("storage")) != 1:
        message = "Invalid value: must have exactly one version marked as storage version"
        causes.append(("FieldValueInvalid", message, "spec.versions"))
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            where = f"spec.versions[{index}].schema.openAPIV3Schema"
            causes.append(("FieldValueRequired", "Required value: schemas are required", where))
    return causes
