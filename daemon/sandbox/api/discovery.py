"""Discovery: /version, /api, /apis in both forms, and an OpenAPI stub that makes kubectl trust us.

kubectl reads from /openapi/v3 only whether PATCH knows `fieldValidation`, and then leaves
validation to the server; `kubectl explain` finds no fields here.
"""

import re
from collections.abc import Iterable
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api.resources import Kind, Registry

VERSION = "v1.34.0"
"""The Kubernetes version whose behaviour is copied."""
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_SUBRESOURCE_VERBS = {"binding": ["create"], "eviction": ["create"], "finalize": ["update"]}
_SUBRESOURCE_KINDS = {
    "scale": ("autoscaling", "v1", "Scale"),
    "binding": ("", "v1", "Binding"),
    "eviction": ("policy", "v1", "Eviction"),
}


def version() -> Obj:
    """Body of /version."""
    major, minor, _ = VERSION[1:].split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": VERSION,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "2025-08-27T10:17:00Z",
        "goVersion": "none",
        "compiler": "none",
        "platform": "linux/amd64",
    }


def api_versions() -> Obj:
    """Body of /api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def api_groups(registry: Registry) -> Obj:
    """Body of /apis."""
    groups = [_group(name, versions) for name, versions in registry.groups().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _group(name: str, versions: list[str]) -> Obj:
    listed = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def api_group(registry: Registry, name: str) -> Obj | None:
    """Body of /apis/<group>."""
    versions = registry.groups().get(name)
    if not versions:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name, versions)


def resources(registry: Registry, group: str, version: str) -> Obj | None:
    """Body of /api/v1 or /apis/<group>/<version>."""
    kinds = _kinds(registry, group, version)
    if not kinds:
        return None
    listed = [item for kind in kinds for item in _resources(kind)]
    group_version = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": listed,
    }


def _kinds(registry: Registry, group: str, version: str) -> list[Kind]:
    return [kind for kind in registry if kind.group == group and version in kind.versions]


def _verbs(kind: Kind, subresource: str = "") -> list[str]:
    if kind.review:
        return ["create"]
    if subresource:
        return _SUBRESOURCE_VERBS.get(subresource, ["get", "patch", "update"])
    return _VERBS


def _resources(kind: Kind) -> Iterable[Obj]:
    item: Obj = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": _verbs(kind),
    }
    if kind.short_names:
        item["shortNames"] = list(kind.short_names)
    if kind.categories:
        item["categories"] = list(kind.categories)
    yield item
    for name in sorted(kind.subresources):
        group, version, other = _SUBRESOURCE_KINDS.get(name, ("", "", kind.kind))
        below: Obj = {
            "name": f"{kind.plural}/{name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": other,
            "verbs": _verbs(kind, name),
        }
        yield below | ({"group": group, "version": version} if version else {})


def wants_aggregated(accept: str) -> bool:
    """Whether a client asks for all of discovery in one document."""
    return "as=APIGroupDiscoveryList" in accept and "v=v2;" in accept


AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def aggregated(registry: Registry, *, core: bool) -> Obj:
    """Body of /api or /apis in the aggregated form."""
    items = [
        {
            "metadata": {"creationTimestamp": None} | ({"name": group} if group else {}),
            "versions": [_aggregated_version(registry, group, version) for version in versions],
        }
        for group, versions in registry.groups().items()
        if (group == "") == core
    ]  # fmt: skip
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated_version(registry: Registry, group: str, version: str) -> Obj:
    return {
        "version": version,
        "freshness": "Current",
        "resources": [_aggregated(kind, version) for kind in _kinds(registry, group, version)],
    }


def _aggregated(kind: Kind, version: str) -> Obj:
    scope = "Namespaced" if kind.namespaced else "Cluster"
    item: Obj = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": version, "kind": kind.kind},
        "scope": scope,
        "singularResource": kind.singular,
        "verbs": _verbs(kind),
    }
    if kind.short_names:
        item["shortNames"] = list(kind.short_names)
    if kind.categories:
        item["categories"] = list(kind.categories)
    below = []
    for name in sorted(kind.subresources):
        own = (kind.group, version, kind.kind)
        group, other_version, other = _SUBRESOURCE_KINDS.get(name, own)
        below.append(
            {
                "subresource": name,
                "responseKind": {"group": group, "version": other_version, "kind": other},
                "verbs": _verbs(kind, name),
            }
        )
    return item | ({"subresources": below} if below else {})


# ---------------------------------------------------------------- OpenAPI


def openapi_index(registry: Registry) -> Obj:
    """Body of /openapi/v3."""
    names = [
        f"apis/{group}/{version}" if group else f"api/{version}"
        for group, versions in registry.groups().items()
        for version in versions
    ]
    hash_ = registry.generation
    return {"paths": {n: {"serverRelativeURL": f"/openapi/v3/{n}?hash={hash_}"} for n in names}}


def openapi_document(registry: Registry, path: str) -> Obj | None:
    """Body of /openapi/v3/<api/v1 or apis/group/version>."""
    match = re.fullmatch(r"(?:api|apis/([^/]+))/([^/]+)", path)
    if match is None:
        return None
    group, version = match[1] or "", match[2]
    paths: dict[str, Any] = {}
    for kind in _kinds(registry, group, version):
        where = "/namespaces/{namespace}" if kind.namespaced else ""
        paths[f"/{path}{where}/{kind.plural}/{{name}}"] = {"patch": _patch_operation(kind, version)}
    if not paths:
        return None
    info = {"title": "Kubernetes", "version": VERSION}
    schemas = {
        _schema_name(k, version): _schema(k, version) for k in _kinds(registry, group, version)
    }
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _patch_operation(kind: Kind, version: str) -> Obj:
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    return {
        "parameters": [{"name": n, "in": "query", "schema": {"type": "string"}} for n in names],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {
            "group": kind.group,
            "version": version,
            "kind": kind.kind,
        },
    }


def _schema_name(kind: Kind, version: str) -> str:
    return ".".join([*reversed((kind.group or "core").split(".")), version, kind.kind])


def _schema(kind: Kind, version: str) -> Obj:
    schema = kind.schemas.get(version)
    known: Obj = dict(schema.raw) if schema else {"type": "object"}
    known["x-kubernetes-group-version-kind"] = [
        {"group": kind.group, "version": version, "kind": kind.kind}
    ]
    return known
