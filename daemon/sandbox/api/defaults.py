"""Defaults, fields that only the server writes, and the few checks of built-in kinds.

Only what clients depend on: a Deployment's strategy and deadlines, a Service's address, a pod's
phase. The full validation of the real types is not attempted; nothing that a client sent is
dropped.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from daemon.ports import Obj
from daemon.sandbox.api.status import Cause

Prepare = Callable[[Obj, Obj | None], None]


def _default(target: dict[str, Any], **values: Any) -> None:
    for name, value in values.items():
        target.setdefault(name, value)


def _reset_status(new: Obj, old: Obj | None, fresh: Any) -> None:
    if old is None:
        new["status"] = fresh


def default_pod_spec(spec: dict[str, Any]) -> None:
    """Fill in a pod's spec, of a pod or of a template."""
    _default(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        if not isinstance(container, dict):
            continue
        image = container.get("image", "")
        latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
        _default(
            container,
            resources={},
            terminationMessagePath="/dev/termination-log",
            terminationMessagePolicy="File",
            imagePullPolicy="Always" if latest else "IfNotPresent",
        )
        for port in container.get("ports", ()):
            _default(port, protocol="TCP")
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if probe in container:
                _default_probe(container[probe])


def _default_probe(probe: dict[str, Any]) -> None:
    _default(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if "httpGet" in probe:
        _default(probe["httpGet"], path="/", scheme="HTTP")


def _default_template(spec: dict[str, Any]) -> None:
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    default_pod_spec(template.setdefault("spec", {}))


def prepare_deployment(new: Obj, old: Obj | None) -> None:
    """Defaults of apps/v1 Deployment."""
    spec = new.setdefault("spec", {})
    _default(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    _default(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.get("rollingUpdate") or {}
        _default(rolling, maxUnavailable="25%", maxSurge="25%")
        strategy["rollingUpdate"] = rolling
    _default_template(spec)
    _reset_status(new, old, {})


def prepare_replicaset(new: Obj, old: Obj | None) -> None:
    """Defaults of apps/v1 ReplicaSet."""
    spec = new.setdefault("spec", {})
    _default(spec, replicas=1)
    _default_template(spec)
    _reset_status(new, old, {"replicas": 0})


def prepare_pod(new: Obj, old: Obj | None) -> None:
    """Defaults of v1 Pod."""
    spec = new.setdefault("spec", {})
    default_pod_spec(spec)
    _default(spec, enableServiceLinks=True)
    _reset_status(new, old, {"phase": "Pending", "qosClass": "BestEffort"})


def prepare_secret(new: Obj, _old: Obj | None) -> None:
    """`stringData` becomes `data`."""
    import base64

    _default(new, type="Opaque")
    plain = new.pop("stringData", None) or {}
    if plain:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        new["data"] = (new.get("data") or {}) | encoded


def prepare_namespace(new: Obj, old: Obj | None) -> None:
    """Phase, the finalizer of the contents, and the label with the name."""
    new.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    metadata = new["metadata"]
    metadata["labels"] = (metadata.get("labels") or {}) | {
        "kubernetes.io/metadata.name": metadata["name"]
    }
    _reset_status(new, old, {"phase": "Active"})


def prepare_hpa(new: Obj, old: Obj | None) -> None:
    """Defaults of autoscaling/v2 HorizontalPodAutoscaler."""
    spec = new.setdefault("spec", {})
    _default(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    _reset_status(new, old, {"desiredReplicas": 0, "currentMetrics": None})


def prepare_role_binding(new: Obj, _old: Obj | None) -> None:
    """ApiGroup of subjects and of the role."""
    _default(new.setdefault("roleRef", {}), apiGroup="rbac.authorization.k8s.io")
    for subject in new.get("subjects") or ():
        people = subject.get("kind") in {"User", "Group"}
        if people:
            _default(subject, apiGroup="rbac.authorization.k8s.io")


def prepare_endpoint_slice(new: Obj, _old: Obj | None) -> None:
    """Ports' protocol."""
    for port in new.get("ports") or ():
        _default(port, protocol="TCP", name="")


def prepare_endpoints(new: Obj, _old: Obj | None) -> None:
    """Ports' protocol."""
    for subset in new.get("subsets") or ():
        for port in subset.get("ports") or ():
            _default(port, protocol="TCP")


def prepare_status_only(new: Obj, old: Obj | None) -> None:
    """Kinds whose status starts empty."""
    _reset_status(new, old, {})


def service_preparer() -> Prepare:
    """Defaults of v1 Service, with addresses and node ports that are given out once."""
    hosts = (f"10.96.{number // 250}.{number % 250 + 2}" for number in range(250 * 250))
    node_ports = itertools.count(30_000)

    def prepare(new: Obj, old: Obj | None) -> None:
        spec = new.setdefault("spec", {})
        _default(
            spec,
            type="ClusterIP",
            sessionAffinity="None",
            internalTrafficPolicy="Cluster",
            ipFamilyPolicy="SingleStack",
            ipFamilies=["IPv4"],
        )
        for port in spec.get("ports") or ():
            _default(port, protocol="TCP", targetPort=port.get("port"))
        if spec["type"] != "ExternalName":
            _give_addresses(spec, (old or {}).get("spec", {}), hosts)
        if spec["type"] in {"NodePort", "LoadBalancer"}:
            _default(spec, externalTrafficPolicy="Cluster")
            for port in spec.get("ports") or ():
                if not port.get("nodePort"):
                    port["nodePort"] = next(node_ports)
        _reset_status(new, old, {"loadBalancer": {}})

    return prepare


def _give_addresses(spec: dict[str, Any], before: dict[str, Any], hosts: Iterator[str]) -> None:
    if not spec.get("clusterIP"):
        spec["clusterIP"] = before.get("clusterIP") or next(hosts)
    spec["clusterIPs"] = [spec["clusterIP"]]


# ---------------------------------------------------------------- checks


def check_workload(new: Obj, old: Obj | None) -> list[Cause]:
    """A Deployment's or ReplicaSet's selector: there, matching the template, never changed."""
    causes: list[Cause] = []
    spec = new["spec"]
    selector = spec.get("selector") or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        causes.append(("FieldValueRequired", "Required value", "spec.selector"))
    labels = spec["template"]["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        message = f"Invalid value: {_go_map(labels)}: `selector` does not match template `labels`"
        causes.append(("FieldValueInvalid", message, "spec.template.metadata.labels"))
    if old is not None and old["spec"].get("selector") != spec.get("selector"):
        message = f"Invalid value: {_go_map(selector)}: field is immutable"
        causes.append(("FieldValueInvalid", message, "spec.selector"))
    replicas = spec.get("replicas")
    if not isinstance(replicas, int) or replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        causes.append(("FieldValueInvalid", message, "spec.replicas"))
    return causes + _check_pod_spec(spec["template"]["spec"], "spec.template.spec")


def _go_map(value: dict[str, Any]) -> str:
    inner = ", ".join(f'"{key}":"{item}"' for key, item in value.items())
    return f"map[string]string{{{inner}}}"


def check_pod(new: Obj, old: Obj | None) -> list[Cause]:
    """A pod's containers."""
    return [] if old is not None else _check_pod_spec(new["spec"], "spec")


def _check_pod_spec(spec: dict[str, Any], path: str) -> list[Cause]:
    containers = spec.get("containers")
    if not containers:
        return [("FieldValueRequired", "Required value", f"{path}.containers")]
    return [
        ("FieldValueRequired", "Required value", f"{path}.containers[{index}].{member}")
        for index, container in enumerate(containers)
        for member in ("name", "image")
        if not container.get(member)
    ]


def check_service(new: Obj, _old: Obj | None) -> list[Cause]:
    """A Service has ports, unless it has no address of its own."""
    spec = new["spec"]
    if spec["type"] == "ExternalName" or spec.get("clusterIP") == "None" or spec.get("ports"):
        return []
    return [("FieldValueRequired", "Required value", "spec.ports")]
