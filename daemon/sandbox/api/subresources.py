"""Scale as an object of its own, and binding a pod to a node."""

from collections.abc import Mapping
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.status import bad_request, conflict

_BUILT_IN_SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
}


def scale_of(kind: Kind, version: str, obj: Obj) -> Obj:
    """autoscaling/v1 Scale of an object."""
    paths = _paths(kind, version)
    metadata = obj["metadata"]
    status: dict[str, Any] = {"replicas": _get(obj, paths["statusReplicasPath"]) or 0}
    selector = _selector(obj, paths)
    if selector:
        status["selector"] = selector
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": _get(obj, paths["specReplicasPath"]) or 0},
        "status": status,
    }


def rescale(kind: Kind, version: str, obj: Obj, scale: Any) -> None:
    """Write a Scale's replicas, and its metadata's preconditions, into a copy of the object.

    Raises:
        StatusError: 400, it is no Scale.
    """
    if not isinstance(scale, dict) or scale.get("kind", "Scale") != "Scale":
        raise bad_request("the object provided is unrecognized (must be of type Scale)")
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    members = _paths(kind, version)["specReplicasPath"].strip(".").split(".")
    target = obj
    for member in members[:-1]:
        target = target.setdefault(member, {})
    target[members[-1]] = replicas
    for name in ("uid", "resourceVersion"):
        value = (scale.get("metadata") or {}).get(name)
        if value:
            obj["metadata"][name] = value


def _paths(kind: Kind, version: str) -> Mapping[str, str]:
    return kind.scale_paths.get(version, _BUILT_IN_SCALE)


def _get(obj: Any, path: str) -> Any:
    for member in path.strip(".").split("."):
        obj = obj.get(member) if isinstance(obj, dict) else None
    return obj


def _selector(obj: Obj, paths: Mapping[str, str]) -> str:
    if "labelSelectorPath" in paths:
        return str(_get(obj, paths["labelSelectorPath"]) or "")
    labels = ((obj.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def bind(pod: Obj, binding: Any, now: str) -> None:
    """Put a copy of a pod on the node that a Binding names.

    Raises:
        StatusError: 400, no target; 409, it is on a node already.
    """
    target = (binding.get("target") or {}).get("name") if isinstance(binding, dict) else None
    if not target:
        raise bad_request("target.name: Required value")
    spec, name = pod["spec"], pod["metadata"]["name"]
    if spec.get("nodeName"):
        why = f"pod {name} is already assigned to node {spec['nodeName']!r}"
        raise conflict("", "pods/binding", name, why)
    spec["nodeName"] = target
    status = pod.setdefault("status", {})
    others = [c for c in status.get("conditions") or [] if c.get("type") != "PodScheduled"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}
    status["conditions"] = [*others, scheduled]
