"""The article's cluster: an echo application behind a VirtualService, as objects in a fake cluster."""

from copy import deepcopy
from typing import Any

from daemon.core.model import TargetKey
from daemon.kube.objects import (
    DEPLOYMENTS,
    PODS,
    REPLICASETS,
    SERVICES,
    UPSTREAMS,
    VIRTUALSERVICES,
    DeploymentRecord,
    PodRecord,
    trim_deployment,
    trim_pod,
)
from daemon.observe import selected
from daemon.ports import Obj
from tests.fakes.cluster import Cluster
from tests.spec.routers import routes

KEY = TargetKey("echo", "echo")


def deployment(version: str, *, replicas: int = 2, ready: int = 2, **more: Any) -> Obj:
    """Return a Deployment echo-<version>, rolled out."""
    labels = {"app": "echo", "version": version} | more.get("labels", {})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": f"echo-{version}",
            "namespace": "echo",
            "generation": more.get("generation", 1),
            "creationTimestamp": more.get("created", "2026-11-24T11:00:00Z"),
            "annotations": {"deployment.kubernetes.io/revision": "1"} | more.get("notes", {}),
        },
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": labels}}},
        "status": {
            "observedGeneration": more.get("observed", more.get("generation", 1)),
            "readyReplicas": ready,
        },
    }


def replicaset(version: str, template_hash: str, *, owner: str = "", revision: str = "1") -> Obj:
    """Return a Deployment's ReplicaSet."""
    labels = {"app": "echo", "version": version, "pod-template-hash": template_hash}
    return {
        "metadata": {
            "name": f"echo-{version}-{template_hash}",
            "namespace": "echo",
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"uid": owner or f"uid-echo-{version}", "controller": True}],
        }
    }


def pod(version: str, number: int, template_hash: str = "", *, ready: bool = True) -> Obj:
    """Return a pod of a version."""
    labels = {
        "app": "echo",
        "version": version,
        "pod-template-hash": template_hash or f"hash-{version}",
    }
    return {
        "metadata": {"name": f"echo-{version}-{number}", "namespace": "echo", "labels": labels},
        "status": {
            "podIP": f"10.0.0.{number}",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


class Shop:
    """The cluster with the echo application, and the caches that follow it."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.cluster.put(UPSTREAMS, routes.upstream())
        self.cluster.put(SERVICES, routes.service())
        self.set_route(routes.open_route())
        self.stale: dict[Any, Obj] | None = None

    # ------------------------------------------------------------ people and controllers

    def set_route(self, *owned: Obj, annotations: dict[str, str] | None = None) -> None:
        self.cluster.put(VIRTUALSERVICES, routes.virtual_service(*owned, annotations=annotations))

    def deploy(self, version: str, pods: int = 2, **more: Any) -> None:
        """Let a version run, with its ReplicaSet and pods."""
        self.cluster.put(DEPLOYMENTS, deployment(version, ready=pods, **more))
        self.cluster.put(REPLICASETS, replicaset(version, f"hash-{version}"))
        for number in range(pods):
            self.cluster.put(PODS, pod(version, number))

    def ask(self, request: str | None, version: str = "v2") -> None:
        """Write a request on a Deployment."""

        def write(obj: Obj) -> None:
            obj["metadata"]["annotations"].pop("crossfade.dev/request", None)
            if request is not None:
                obj["metadata"]["annotations"]["crossfade.dev/request"] = request

        self.cluster.edit(DEPLOYMENTS, "echo", f"echo-{version}", write)

    @property
    def route_object(self) -> Obj:
        return self.cluster.objects["virtualservices", "gloo-system", "echo"]

    # ------------------------------------------------------------ the caches

    def freeze(self) -> None:
        """Let the caches lag: they show the present for ever."""
        self.stale = deepcopy(self.cluster.objects)

    def thaw(self) -> None:
        self.stale = None

    def _seen(self, plural: str) -> list[Obj]:
        objects = self.cluster.objects if self.stale is None else self.stale
        return [deepcopy(obj) for key, obj in sorted(objects.items()) if key[0] == plural]

    def deployments(self, rollout: Any) -> tuple[DeploymentRecord, ...]:
        records = map(trim_deployment, self._seen("deployments"))
        return tuple(it for it in records if selected(rollout, it.template_labels))

    def pods(self, rollout: Any) -> tuple[PodRecord, ...]:
        return tuple(it for it in map(trim_pod, self._seen("pods")) if selected(rollout, it.labels))

    def route(self, rollout: Any) -> Obj | None:
        return next(iter(self._seen("virtualservices")), None)

    def is_synced(self, rollout: Any) -> bool:
        return True

    def follow(self, rollouts: Any) -> None:
        pass
