"""Service -> EndpointSlices and Endpoints: which pods answer, on which port, and in what state.

A slice has one list of ports, so pods whose ports differ get a slice each. Services without a
selector are left alone: somebody else keeps their endpoints.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from daemon.errors import NotFoundError
from daemon.kube.listwatch import Change, Key
from daemon.ports import Obj, Resource
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.controllers.feed import Feed
from daemon.sandbox.controllers.loop import Loop
from daemon.sandbox.controllers.objects import controlled_by, is_leaving, is_ready, labels_match
from daemon.sandbox.kinds import ENDPOINT_SLICES, ENDPOINTS
from daemon.sandbox.knobs import PORTS_ANNOTATION

SERVICE_NAME: Final = "kubernetes.io/service-name"
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
MANAGER: Final = "endpointslice-controller.crossfade.dev"


class EndpointsController:
    """Keeps the endpoints of every Service with a selector; `loop` is to be run."""

    def __init__(self, client: SandboxClient, services: Feed, pods: Feed) -> None:
        self.loop = Loop(self._look)
        self._client = client
        self._services = services
        self._pods = pods
        services.subscribe(lambda change: self.loop.put(change.key))
        pods.subscribe(self._pod_changed)

    def _pod_changed(self, change: Change[Obj]) -> None:
        """Wake the Services that select the pod, or did until now."""
        labels = [pod["metadata"].get("labels") for pod in (change.before, change.after) if pod]
        for key, service in self._services.cache.items():
            selector = service["spec"].get("selector") or {}
            if key[0] == change.key[0] and any(labels_match(selector, one) for one in labels):
                self.loop.put(key)

    async def _look(self, key: Key) -> None:
        service = self._services.cache.get(key)
        if service is None or is_leaving(service) or not service["spec"].get("selector"):
            return
        pods = [
            pod
            for pod_key, pod in sorted(self._pods.cache.items())
            if pod_key[0] == key[0]
            and labels_match(service["spec"]["selector"], pod["metadata"].get("labels"))
            and has_address(pod)
        ]
        await self._write_slices(service, slices_of(service, pods))
        await self._write(ENDPOINTS, endpoints_of(service, pods))

    async def _write_slices(self, service: Obj, wanted: list[Obj]) -> None:
        namespace = service["metadata"]["namespace"]
        selector = f"{SERVICE_NAME}={service['metadata']['name']},{MANAGED_BY}={MANAGER}"
        present = await self._client.list_all(ENDPOINT_SLICES, namespace, label_selector=selector)
        names = {one["metadata"]["name"] for one in wanted}
        for one in wanted:
            await self._write(ENDPOINT_SLICES, one)
        for one in present:
            if one["metadata"]["name"] not in names:
                await self._client.remove(ENDPOINT_SLICES, namespace, one["metadata"]["name"])

    async def _write(self, resource: Resource, wanted: Obj) -> None:
        """Create or replace, where the content differs."""
        metadata = wanted["metadata"]
        try:
            present = await self._client.get(resource, metadata["namespace"], metadata["name"])
        except NotFoundError:
            await self._client.create(resource, metadata["namespace"], wanted)
            return
        content = wanted.keys() - {"metadata", "apiVersion", "kind"}
        if any(present.get(part) != wanted[part] for part in content):
            wanted["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
            await self._client.replace(resource, metadata["namespace"], metadata["name"], wanted)


# ---------------------------------------------------------------- pure


def has_address(pod: Obj) -> bool:
    """Tell whether a pod can be an endpoint: it has an address and has not ended."""
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in {"Succeeded", "Failed"}


def slices_of(service: Obj, pods: list[Obj]) -> list[Obj]:
    """Build the EndpointSlices: one for each set of resolved ports; an empty one without pods."""
    groups: dict[str, tuple[list[dict[str, Any]], list[Obj]]] = {}
    for pod in pods:
        ports = ports_of(service, pod)
        groups.setdefault(json.dumps(ports), (ports, []))[1].append(pod)
    if not groups:
        groups[""] = ([], [])
    return [_slice(service, ports, members) for ports, members in groups.values()]


def ports_of(service: Obj, pod: Obj) -> list[dict[str, Any]]:
    """Resolve a Service's ports for one pod; a name that the pod does not have is left out."""
    real = json.loads((pod["metadata"].get("annotations") or {}).get(PORTS_ANNOTATION, "{}"))
    ports = []
    for port in service["spec"].get("ports") or []:
        number = _target(port, pod)
        if number is not None:
            entry = {"port": real.get(str(number), number), "protocol": port.get("protocol", "TCP")}
            ports.append({"name": port.get("name", ""), **entry})
    return ports


def _target(port: Mapping[str, Any], pod: Obj) -> int | None:
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int) or str(target).isdecimal():
        return int(target)
    for container in pod["spec"].get("containers") or []:
        for declared in container.get("ports") or []:
            if declared.get("name") == target:
                return int(declared["containerPort"])
    return None


def _slice(service: Obj, ports: list[dict[str, Any]], pods: list[Obj]) -> Obj:
    metadata = service["metadata"]
    suffix = hashlib.sha256(json.dumps(ports).encode()).hexdigest()[:5]
    return {
        "apiVersion": ENDPOINT_SLICES.api_version,
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{metadata['name']}-{suffix}",
            "namespace": metadata["namespace"],
            "labels": {
                **(metadata.get("labels") or {}),
                SERVICE_NAME: metadata["name"],
                MANAGED_BY: MANAGER,
            },
            "ownerReferences": [controlled_by(service)],
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [_endpoint(pod) for pod in pods],
    }


def _endpoint(pod: Obj) -> dict[str, Any]:
    ready = is_ready(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": ready and not is_leaving(pod),
            "serving": ready,
            "terminating": is_leaving(pod),
        },
        "nodeName": pod["spec"].get("nodeName"),
        "targetRef": _reference(pod),
    }


def _reference(pod: Obj) -> dict[str, Any]:
    metadata = pod["metadata"]
    return {
        "kind": "Pod",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def endpoints_of(service: Obj, pods: list[Obj]) -> Obj:
    """Build the older Endpoints object, which some gateways read; leaving pods are not in it."""
    subsets = []
    staying = [pod for pod in pods if not is_leaving(pod)]
    for one in slices_of(service, staying) if staying else []:
        subset: dict[str, Any] = {"ports": one["ports"]}
        for name, ready in (("addresses", True), ("notReadyAddresses", False)):
            addresses = [
                {
                    "ip": endpoint["addresses"][0],
                    "nodeName": endpoint["nodeName"],
                    "targetRef": endpoint["targetRef"],
                }
                for endpoint in one["endpoints"]
                if endpoint["conditions"]["ready"] is ready
            ]
            if addresses:
                subset[name] = addresses
        subsets.append(subset)
    metadata = service["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": dict(metadata.get("labels") or {}),
            "ownerReferences": [controlled_by(service)],
        },
        "subsets": subsets,
    }
