"""The kinds Crossfade reads, and what the caches keep of them.

A cached Deployment as it came over the wire takes 30 KiB, its record here half a one; strings that
repeat are interned. A record of an object with missing or odd fields is the record of its defaults:
trimming never fails. Must not be put here: what a version, a revision or a request means.
"""

import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from daemon.ports import Obj, Resource

DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
REPLICASETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
PODS: Final = Resource("", "v1", "pods", "Pod")
SERVICES: Final = Resource("", "v1", "services", "Service")
CONFIGMAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
ENDPOINTSLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
EVENTS: Final = Resource("events.k8s.io", "v1", "events", "Event")
HPAS: Final = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
VIRTUALSERVICES: Final = Resource("gateway.solo.io", "v1", "virtualservices", "VirtualService")
ROUTETABLES: Final = Resource("gateway.solo.io", "v1", "routetables", "RouteTable")
UPSTREAMS: Final = Resource("gloo.solo.io", "v1", "upstreams", "Upstream")

REQUEST_ANNOTATION: Final = "crossfade.dev/request"
REVISION_ANNOTATION: Final = "deployment.kubernetes.io/revision"
TEMPLATE_HASH_LABEL: Final = "pod-template-hash"
OUR_PREFIX: Final = "crossfade.dev/"
SCRAPE_PREFIX: Final = "prometheus.io/"
METRICS_PORT: Final = "metrics"
"""Name of a container's port that serves metrics, by a wide-spread habit."""

MAX_ANNOTATION: Final = 4096
"""Characters kept of an annotation of ours: no request is longer, a hostile one is cut."""
DEFAULT_PROGRESS_DEADLINE: Final = 600
"""Seconds; what the API server fills in for spec.progressDeadlineSeconds."""
EPOCH: Final = datetime.fromtimestamp(0, UTC)

_SCRAPE_KEYS: Final = ("scrape", "port", "path")
_PLAIN_PATH: Final = re.compile(r"[\w./~?=,:-]{0,100}", re.ASCII)
"""Of a metrics page: short, and nothing that a record would have to escape."""

Labels = tuple[tuple[str, str], ...]
"""Sorted pairs: a tenth of a dict's memory, and hashable."""


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """What is kept of a Deployment.

    Attributes:
        replicas: spec.replicas, 1 where absent.
        revision: the annotation deployment.kubernetes.io/revision, "" where absent.
        progress_deadline: seconds.
        request: text of the annotation crossfade.dev/request, or None.
        annotations: those of crossfade.dev/, the request among them, each cut to MAX_ANNOTATION.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    observed_generation: int
    replicas: int
    ready_replicas: int
    updated_replicas: int
    template_labels: Labels
    revision: str
    created: datetime
    progress_deadline: int
    paused: bool
    annotations: Labels

    @property
    def request(self) -> str | None:
        """What a person asks for, unparsed."""
        return label(self.annotations, REQUEST_ANNOTATION)


@dataclass(frozen=True, slots=True)
class PodRecord:
    """What is kept of a Pod.

    Attributes:
        ip: status.podIP, "" until it has one.
        ready: condition Ready is True (a pod that is terminating may still be).
        terminating: deletion was asked for.
        owner_uid: uid of the controlling owner (the ReplicaSet), "" where there is none.
        restarts: of all its containers.
        page: its metrics page as `:port/path`, as its annotations or ports name it; "" if they do
            not.
    """

    namespace: str
    name: str
    uid: str
    ip: str
    labels: Labels
    ready: bool
    terminating: bool
    owner_uid: str
    restarts: int
    page: str = ""

    @property
    def template_hash(self) -> str:
        """The label pod-template-hash, "" where absent."""
        return label(self.labels, TEMPLATE_HASH_LABEL) or ""


@dataclass(frozen=True, slots=True)
class ReplicaSetRecord:
    """What is kept of a ReplicaSet: enough to tell a Deployment's revision."""

    namespace: str
    name: str
    uid: str
    owner_uid: str
    revision: str
    template_hash: str


def label(labels: Labels, key: str) -> str | None:
    """Return the value of that key, or None."""
    return next((value for name, value in labels if name == key), None)


def trim_deployment(obj: Obj) -> DeploymentRecord:
    """Keep of a Deployment what decisions need."""
    metadata, spec, status = _map(obj, "metadata"), _map(obj, "spec"), _map(obj, "status")
    annotations = _map(metadata, "annotations")
    return DeploymentRecord(
        namespace=_interned(metadata, "namespace"),
        name=_interned(metadata, "name"),
        uid=_text(metadata, "uid"),
        resource_version=_text(metadata, "resourceVersion"),
        generation=_int(metadata, "generation"),
        observed_generation=_int(status, "observedGeneration"),
        replicas=_int(spec, "replicas", 1),
        ready_replicas=_int(status, "readyReplicas"),
        updated_replicas=_int(status, "updatedReplicas"),
        template_labels=_labels(_map(_map(spec, "template"), "metadata")),
        revision=_interned(annotations, REVISION_ANNOTATION),
        created=_time(metadata, "creationTimestamp"),
        progress_deadline=_int(spec, "progressDeadlineSeconds", DEFAULT_PROGRESS_DEADLINE),
        paused=spec.get("paused") is True,
        annotations=tuple(
            (sys.intern(key), text[:MAX_ANNOTATION])
            for key, text in sorted(annotations.items())
            if isinstance(text, str) and key.startswith(OUR_PREFIX)
        ),
    )


def trim_pod(obj: Obj) -> PodRecord:
    """Keep of a Pod what readiness, proofs and scrapes need."""
    metadata, status = _map(obj, "metadata"), _map(obj, "status")
    conditions, containers = _maps(status, "conditions"), _maps(status, "containerStatuses")
    return PodRecord(
        namespace=_interned(metadata, "namespace"),
        name=_text(metadata, "name"),
        uid=_text(metadata, "uid"),
        ip=_text(status, "podIP"),
        labels=_labels(metadata),
        ready=any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions),
        terminating=metadata.get("deletionTimestamp") is not None,
        owner_uid=_owner(metadata),
        restarts=sum(_int(container, "restartCount") for container in containers),
        page=sys.intern(_page(_map(metadata, "annotations"), _map(obj, "spec"))),
    )


def _page(annotations: Obj, spec: Obj) -> str:
    """Return where a pod says that its metrics are: by the usual annotations, else by a port."""
    scrape, port, path = (_text(annotations, f"{SCRAPE_PREFIX}{key}") for key in _SCRAPE_KEYS)
    ports = [it for container in _maps(spec, "containers") for it in _maps(container, "ports")]
    named = [str(_int(it, "containerPort")) for it in ports if it.get("name") == METRICS_PORT]
    if scrape == "false" or not (scrape == "true" or named):
        return ""
    numbers = named or [str(_int(it, "containerPort")) for it in ports]
    number = port or (numbers[0] if len(numbers) == 1 else "")
    valid = number.isascii() and number.isdecimal() and 0 < int(number[:6]) < 2**16
    valid = valid and _PLAIN_PATH.fullmatch(path) is not None
    return f":{number}/{path.removeprefix('/') or 'metrics'}" if valid else ""


def trim_replicaset(obj: Obj) -> ReplicaSetRecord:
    """Keep of a ReplicaSet whose it is, which revision, and its template's hash."""
    metadata = _map(obj, "metadata")
    return ReplicaSetRecord(
        namespace=_interned(metadata, "namespace"),
        name=_text(metadata, "name"),
        uid=_text(metadata, "uid"),
        owner_uid=_owner(metadata),
        revision=_interned(_map(metadata, "annotations"), REVISION_ANNOTATION),
        template_hash=label(_labels(metadata), TEMPLATE_HASH_LABEL) or "",
    )


# ---------------------------------------------------------------- one field, or its default


def _map(obj: dict[str, Any], key: str) -> dict[str, Any]:
    value = obj.get(key)
    return value if isinstance(value, dict) else {}


def _maps(obj: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = obj.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(obj: dict[str, Any], key: str) -> str:
    value = obj.get(key)
    return value if isinstance(value, str) else ""


def _interned(obj: dict[str, Any], key: str) -> str:
    return sys.intern(_text(obj, key))


def _int(obj: dict[str, Any], key: str, default: int = 0) -> int:
    value = obj.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _time(obj: dict[str, Any], key: str) -> datetime:
    try:
        time = datetime.fromisoformat(_text(obj, key))
    except ValueError:
        return EPOCH
    return time if time.tzinfo is not None else EPOCH


def _labels(metadata: dict[str, Any]) -> Labels:
    return tuple(
        (sys.intern(key), sys.intern(value))
        for key, value in sorted(_map(metadata, "labels").items())
        if isinstance(value, str)
    )


def _owner(metadata: dict[str, Any]) -> str:
    owners = _maps(metadata, "ownerReferences")
    return next((_interned(o, "uid") for o in owners if o.get("controller") is True), "")
