"""The status of a pod as a kubelet writes it.

Pure, but for remembering when a condition last changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from daemon.ports import Obj


@dataclass(frozen=True, slots=True)
class Container:
    """How the one process behind a pod is.

    Attributes:
        waiting: reason and message while it does not run; empty while it runs.
        started_at: of the running process.
        restarts: how often it was started again.
        last_exit: when and how the process before it ended, or None.
    """

    ready: bool
    waiting: tuple[str, str] = ("", "")
    started_at: str = ""
    restarts: int = 0
    last_exit: dict[str, Any] | None = None

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return not self.waiting[0]


class PodStatus:
    """Builds one pod's statuses, one after the other."""

    def __init__(self, pod: Obj, stamp: Callable[[], str]) -> None:
        self._spec: dict[str, Any] = pod["spec"]
        # A real API server decides it when the pod is created, and refuses another.
        self._qos = (pod.get("status") or {}).get("qosClass", "BestEffort")
        self._stamp = stamp
        self._begun = stamp()
        self._changed: dict[str, tuple[str, str]] = {}

    def build(self, container: Container, ip: str) -> dict[str, Any]:
        """Write the whole status; equal input gives an equal status."""
        runs = container.runs or container.restarts > 0
        ready = "True" if container.ready else "False"
        return {
            "phase": "Running" if runs else "Pending",
            "startTime": self._begun,
            "hostIP": "127.0.0.1",
            "podIP": ip or None,
            "podIPs": [{"ip": ip}] if ip else None,
            "qosClass": self._qos,
            "conditions": [
                self._condition("PodScheduled", "True"),
                self._condition("Initialized", "True"),
                self._condition("ContainersReady", ready),
                self._condition("Ready", ready),
            ],
            "containerStatuses": [
                self._container(one, container) for one in self._spec.get("containers") or []
            ],
        }

    def _condition(self, kind: str, status: str) -> dict[str, Any]:
        before = self._changed.get(kind)
        if before is None or before[0] != status:
            before = self._changed[kind] = (status, self._stamp())
        condition = {"type": kind, "status": status, "lastTransitionTime": before[1]}
        if status == "False":
            condition["reason"] = "ContainersNotReady"
        return condition

    def _container(self, spec: dict[str, Any], container: Container) -> dict[str, Any]:
        image = spec.get("image", "")
        status: dict[str, Any] = {
            "name": spec["name"],
            "image": image,
            "imageID": f"sandbox://{image}",
            "ready": container.ready,
            "started": container.runs,
            "restartCount": container.restarts,
        }
        if container.runs:
            status["state"] = {"running": {"startedAt": container.started_at}}
        else:
            reason, message = container.waiting
            waiting = {"reason": reason, "message": message} if message else {"reason": reason}
            status["state"] = {"waiting": waiting}
        if container.last_exit:
            status["lastState"] = {"terminated": container.last_exit}
        return status
