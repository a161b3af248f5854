"""Small readings of Kubernetes objects that several controllers share. Pure."""

from datetime import datetime, timedelta
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.clock import moment_of


def owner_of(obj: Obj, kind: str) -> tuple[str, str] | None:
    """Name the controlling owner of that kind: (name, uid)."""
    for reference in obj["metadata"].get("ownerReferences") or []:
        if reference.get("controller") and reference.get("kind") == kind:
            return reference["name"], reference["uid"]
    return None


def is_controlled_by(obj: Obj, owner: Obj) -> bool:
    """Tell whether this very owner, not one of the same name before it, controls the object."""
    found = owner_of(obj, owner["kind"])
    return found is not None and found[1] == owner["metadata"]["uid"]


def controlled_by(owner: Obj) -> dict[str, Any]:
    """Build the reference by which `owner` controls an object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def selector_text(selector: Obj) -> str:
    """Write a LabelSelector as a query parameter."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for requirement in selector.get("matchExpressions") or []:
        key, values = requirement["key"], ",".join(requirement.get("values") or [])
        match requirement["operator"]:
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":  # codespell:ignore
                parts.append(f"{key} notin ({values})")  # codespell:ignore
            case "Exists":
                parts.append(key)
            case _:
                parts.append(f"!{key}")
    return ",".join(parts)


def labels_match(selector: dict[str, str], labels: dict[str, str] | None) -> bool:
    """Tell whether labels carry everything a Service's selector asks for."""
    return bool(selector) and selector.items() <= (labels or {}).items()


def condition_of(obj: Obj, kind: str) -> dict[str, Any] | None:
    """Find a status condition."""
    for condition in (obj.get("status") or {}).get("conditions") or []:
        if condition["type"] == kind:
            found: dict[str, Any] = condition
            return found
    return None


def is_leaving(obj: Obj) -> bool:
    """Tell whether deletion was asked for."""
    return "deletionTimestamp" in obj["metadata"]


def is_active(pod: Obj) -> bool:
    """Tell whether a pod counts as a replica."""
    return not is_leaving(pod) and pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


def is_ready(pod: Obj) -> bool:
    """Tell whether a pod's Ready condition is true."""
    condition = condition_of(pod, "Ready")
    return condition is not None and condition["status"] == "True"


def seconds_to_available(pod: Obj, min_ready_seconds: int, now: datetime) -> float | None:
    """Say in how many seconds a ready pod counts as available: 0 if it does, None if not ready."""
    condition = condition_of(pod, "Ready")
    if condition is None or condition["status"] != "True":
        return None
    since = moment_of(condition["lastTransitionTime"])
    left = since + timedelta(seconds=min_ready_seconds) - now
    return max(0.0, left.total_seconds()) if min_ready_seconds else 0.0
