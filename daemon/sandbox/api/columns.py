"""What `kubectl get` shows of the built-in kinds: names of the columns, and how a cell is found."""

from collections.abc import Callable
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api.events import last_seen, seconds
from daemon.sandbox.api.resources import Column

Cell = Callable[[Obj, float], Any]


def age_text(age: float) -> str:
    """Two units at most, as kubectl writes an age: 45s, 3m20s, 5h, 2d4h."""
    age = max(0, int(age))
    if age < 120:
        return f"{age}s"
    minutes = age // 60
    if minutes < 10:
        return _two(minutes, "m", age % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = age // 3600
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    return _two(days, "d", hours % 24, "h") if days < 8 else f"{days}d"


def _two(first: int, unit: str, second: int, lesser: str) -> str:
    return f"{first}{unit}{second}{lesser}" if second else f"{first}{unit}"


def since(text: str | None, now: float) -> str:
    """Age of a time, or <unknown>."""
    return age_text(now - seconds(text)) if text else "<unknown>"


def _age(obj: Obj, now: float) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def _name(obj: Obj, _now: float) -> Any:
    return obj["metadata"]["name"]


def _at(*path: str, default: Any = "") -> Cell:
    def cell(obj: Obj, _now: float) -> Any:
        value: Any = obj
        for member in path:
            value = value.get(member) if isinstance(value, dict) else None
        return default if value is None else value

    return cell


NAME = Column("Name", _name, format="name", description="Name must be unique within a namespace.")
AGE = Column("Age", _age, description="Time since the object was created.")
CREATED = Column("Created At", lambda obj, _now: obj["metadata"].get("creationTimestamp", ""))
PLAIN = (NAME, AGE)


def _containers(obj: Obj) -> list[dict[str, Any]]:
    found = obj.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    return [item for item in found if isinstance(item, dict)]


def _images() -> tuple[Column, ...]:
    return (
        Column(
            "Containers",
            lambda o, _: ",".join(c.get("name", "") for c in _containers(o)),
            priority=1,
        ),
        Column(
            "Images", lambda o, _: ",".join(c.get("image", "") for c in _containers(o)), priority=1
        ),
        Column("Selector", lambda o, _: _selector(o), priority=1),
    )


def _selector(obj: Obj) -> str:
    selector = obj.get("spec", {}).get("selector") or {}
    labels = selector.get("matchLabels", selector)
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"


def _ready(obj: Obj, _now: float) -> str:
    ready = obj.get("status", {}).get("readyReplicas", 0)
    return f"{ready}/{obj.get('spec', {}).get('replicas', 0)}"


def _pod_ready(obj: Obj, _now: float) -> str:
    statuses = obj.get("status", {}).get("containerStatuses") or []
    ready = sum(1 for status in statuses if status.get("ready"))
    return f"{ready}/{len(obj.get('spec', {}).get('containers', []))}"


def _pod_status(obj: Obj, _now: float) -> str:
    status = obj.get("status", {})
    text = status.get("reason") or status.get("phase", "Unknown")
    for container in status.get("containerStatuses") or []:
        state = container.get("state", {})
        waiting = state.get("waiting") or state.get("terminated") or {}
        text = waiting.get("reason") or text
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else text


def _restarts(obj: Obj, _now: float) -> str:
    statuses = obj.get("status", {}).get("containerStatuses") or []
    return str(sum(status.get("restartCount", 0) for status in statuses))


def _service_ports(obj: Obj, _now: float) -> str:
    def port(item: dict[str, Any]) -> str:
        node = f":{item['nodePort']}" if item.get("nodePort") else ""
        return f"{item.get('port')}{node}/{item.get('protocol', 'TCP')}"

    return ",".join(map(port, obj.get("spec", {}).get("ports") or [])) or "<none>"


def _external(obj: Obj, _now: float) -> str:
    spec = obj.get("spec", {})
    ingress = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    listed = [item.get("ip") or item.get("hostname", "") for item in ingress]
    if spec.get("type") == "LoadBalancer":
        return ",".join(listed) or "<pending>"
    return spec.get("externalName") or "<none>"


def _endpoints(obj: Obj, _now: float) -> str:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in obj.get("subsets") or []
        for address in subset.get("addresses") or []
        for port in subset.get("ports") or []
    ]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return ",".join(found[:3]) + more or "<none>"


def _slice_ports(obj: Obj, _now: float) -> str:
    return ",".join(str(port.get("port")) for port in obj.get("ports") or []) or "<unset>"


def _slice_addresses(obj: Obj, _now: float) -> str:
    found = [item for point in obj.get("endpoints") or [] for item in point.get("addresses", [])]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return ",".join(found[:3]) + more or "<unset>"


def _object_of(obj: Obj, _now: float) -> str:
    about = obj.get("involvedObject", {})
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _hpa_reference(obj: Obj, _now: float) -> str:
    target = obj.get("spec", {}).get("scaleTargetRef", {})
    return f"{target.get('kind')}/{target.get('name')}"


def _node_status(obj: Obj, _now: float) -> str:
    for condition in obj.get("status", {}).get("conditions") or []:
        if condition.get("type") == "Ready":
            return "Ready" if condition.get("status") == "True" else "NotReady"
    return "Unknown"


def _role(obj: Obj, _now: float) -> str:
    role = obj.get("roleRef", {})
    return f"{role.get('kind')}/{role.get('name')}"


def _size(member: str) -> Cell:
    return lambda obj, _now: len(obj.get(member) or ())


def _replicas(member: str) -> Cell:
    return _at("status", member, default=0)


EVENTS = (
    Column("Last Seen", lambda obj, now: age_text(now - last_seen(obj))),
    Column("Type", _at("type")),
    Column("Reason", _at("reason")),
    Column("Object", _object_of),
    Column("Message", lambda obj, _now: str(obj.get("message", "")).strip()),
    Column("Name", _name, format="name", priority=1),
)

BUILT_IN: dict[str, tuple[Column, ...]] = {
    "namespaces": (NAME, Column("Status", _at("status", "phase")), AGE),
    "nodes": (
        NAME,
        Column("Status", _node_status),
        Column("Roles", lambda _obj, _now: "<none>"),
        AGE,
        Column("Version", _at("status", "nodeInfo", "kubeletVersion")),
    ),
    "pods": (
        NAME,
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _restarts),
        AGE,
        Column("IP", _at("status", "podIP", default="<none>"), priority=1),
        Column("Node", _at("spec", "nodeName", default="<none>"), priority=1),
    ),
    "services": (
        NAME,
        Column("Type", _at("spec", "type")),
        Column("Cluster-IP", _at("spec", "clusterIP", default="<none>")),
        Column("External-IP", _external),
        Column("Port(s)", _service_ports),
        AGE,
        Column("Selector", lambda obj, _now: _selector(obj), priority=1),
    ),
    "endpoints": (NAME, Column("Endpoints", _endpoints), AGE),
    "configmaps": (NAME, Column("Data", _size("data")), AGE),
    "secrets": (NAME, Column("Type", _at("type")), Column("Data", _size("data")), AGE),
    "serviceaccounts": (NAME, Column("Secrets", _size("secrets")), AGE),
    "events": EVENTS,
    "deployments": (
        NAME,
        Column("Ready", _ready),
        Column("Up-to-date", _replicas("updatedReplicas")),
        Column("Available", _replicas("availableReplicas")),
        AGE,
        *_images(),
    ),
    "replicasets": (
        NAME,
        Column("Desired", _at("spec", "replicas", default=0)),
        Column("Current", _replicas("replicas")),
        Column("Ready", _replicas("readyReplicas")),
        AGE,
        *_images(),
    ),
    "horizontalpodautoscalers": (
        NAME,
        Column("Reference", _hpa_reference),
        Column("MinPods", _at("spec", "minReplicas")),
        Column("MaxPods", _at("spec", "maxReplicas")),
        Column("Replicas", _replicas("currentReplicas")),
        AGE,
    ),
    "endpointslices": (
        NAME,
        Column("AddressType", _at("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _slice_addresses),
        AGE,
    ),
    "leases": (NAME, Column("Holder", _at("spec", "holderIdentity")), AGE),
    "roles": (NAME, CREATED),
    "clusterroles": (NAME, CREATED),
    "rolebindings": (NAME, Column("Role", _role), AGE),
    "clusterrolebindings": (NAME, Column("Role", _role), AGE),
    "customresourcedefinitions": (NAME, CREATED),
}
