"""The built-in kinds, as data."""

from dataclasses import replace
from typing import Any

from daemon.sandbox.api import columns, crds, defaults, events, generation
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.shapes import NamedShape

RBAC = "rbac.authorization.k8s.io"


def _kind(
    group: str, plural: str, kind: str, *subresources: str, version: str = "v1", **more: Any
) -> Kind:
    api_version = f"{group}/{version}" if group else version
    fields: dict[str, Any] = {
        "group": group,
        "plural": plural,
        "kind": kind,
        "singular": kind.lower(),
        "list_kind": f"{kind}List",
        "versions": (version,),
        "storage": api_version,
        "stored_as": (group, plural),
        "subresources": frozenset(subresources),
        "shape": NamedShape(),
        "columns": {"": columns.BUILT_IN.get(plural, columns.PLAIN)},
    }
    return Kind(**(fields | more))


def _core() -> list[Kind]:
    cluster: dict[str, Any] = {"namespaced": False}
    event = _kind(
        "",
        "events",
        "Event",
        short_names=("ev",),
        prepare=events.prepare,
        convert=events.convert,
        create_on_update=True,
    )
    return [
        _kind("", "namespaces", "Namespace", "status", short_names=("ns",),
              prepare=defaults.prepare_namespace, **cluster),
        _kind("", "nodes", "Node", "status", short_names=("no",),
              prepare=defaults.prepare_status_only, **cluster),
        _kind("", "pods", "Pod", "status", "binding", "eviction", short_names=("po",),
              categories=("all",), prepare=defaults.prepare_pod, check=defaults.check_pod,
              generation=generation.spec_changed),
        _kind("", "services", "Service", "status", short_names=("svc",), categories=("all",),
              prepare=defaults.service_preparer(), check=defaults.check_service,
              create_on_update=True),
        _kind("", "endpoints", "Endpoints", short_names=("ep",), singular="endpoints",
              prepare=defaults.prepare_endpoints, create_on_update=True),
        _kind("", "configmaps", "ConfigMap", short_names=("cm",)),
        _kind("", "secrets", "Secret", prepare=defaults.prepare_secret),
        _kind("", "serviceaccounts", "ServiceAccount", short_names=("sa",)),
        event,
        replace(event, group=events.NEW.partition("/")[0], columns={"": columns.EVENTS}),
    ]  # fmt: skip


def _workloads() -> list[Kind]:
    apps: dict[str, Any] = {
        "generation": generation.spec_changed,
        "categories": ("all",),
        "check": defaults.check_workload,
    }
    return [
        _kind("apps", "deployments", "Deployment", "status", "scale", short_names=("deploy",),
              prepare=defaults.prepare_deployment,
              **(apps | {"generation": generation.spec_or_annotations_changed})),
        _kind("apps", "replicasets", "ReplicaSet", "status", "scale", short_names=("rs",),
              prepare=defaults.prepare_replicaset, **apps),
        _kind("autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "status",
              version="v2", short_names=("hpa",), categories=("all",),
              prepare=defaults.prepare_hpa),
        _kind("discovery.k8s.io", "endpointslices", "EndpointSlice",
              prepare=defaults.prepare_endpoint_slice, generation=generation.content_changed),
        _kind("coordination.k8s.io", "leases", "Lease", create_on_update=True,
              needs_version=True),
    ]  # fmt: skip


def _policies() -> list[Kind]:
    cluster: dict[str, Any] = {"namespaced": False}
    admission: dict[str, Any] = {
        "short_names": (),
        "generation": generation.spec_changed,
        **cluster,
    }
    return [
        _kind(RBAC, "roles", "Role", create_on_update=True),
        _kind(RBAC, "rolebindings", "RoleBinding", create_on_update=True,
              prepare=defaults.prepare_role_binding),
        _kind(RBAC, "clusterroles", "ClusterRole", create_on_update=True, **cluster),
        _kind(RBAC, "clusterrolebindings", "ClusterRoleBinding", create_on_update=True,
              prepare=defaults.prepare_role_binding, **cluster),
        _kind("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition",
              "status", short_names=("crd", "crds"), generation=generation.spec_changed,
              needs_version=True, prepare=crds.prepare, check=crds.check, **cluster),
        # Kept, and listed; admission by CEL is not evaluated.
        _kind("admissionregistration.k8s.io", "validatingadmissionpolicies",
              "ValidatingAdmissionPolicy", "status", **admission),
        _kind("admissionregistration.k8s.io", "validatingadmissionpolicybindings",
              "ValidatingAdmissionPolicyBinding", **admission),
    ]  # fmt: skip


def _reviews() -> list[Kind]:
    authorization = "authorization.k8s.io"
    review: dict[str, Any] = {"review": True, "namespaced": False}
    return [
        _kind(authorization, "selfsubjectaccessreviews", "SelfSubjectAccessReview", **review),
        _kind(authorization, "subjectaccessreviews", "SubjectAccessReview", **review),
        _kind("authentication.k8s.io", "tokenreviews", "TokenReview", **review),
        _kind("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", **review),
    ]


def kinds() -> tuple[Kind, ...]:
    """All built-in kinds of one cluster; addresses of its Services are given out by them."""
    return (*_core(), *_workloads(), *_policies(), *_reviews())
