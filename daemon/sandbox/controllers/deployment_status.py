"""The status of a Deployment, from its ReplicaSets' statuses. Pure.

It is what `kubectl rollout status` reads: observedGeneration, the counts, and the conditions
Available and Progressing with Kubernetes' own reasons.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from daemon.ports import Obj
from daemon.sandbox.clock import moment_of, stamp_of
from daemon.sandbox.controllers.objects import condition_of
from daemon.sandbox.controllers.rolling import Limits

PROGRESS_DEADLINE_SECONDS: Final = 600
"""Kubernetes' default for progressDeadlineSeconds."""
COMPLETE: Final = "NewReplicaSetAvailable"


@dataclass(frozen=True, slots=True)
class Tally:
    """Pods over all ReplicaSets of a Deployment."""

    replicas: int
    updated: int
    ready: int
    available: int


def tally_of(new: Obj | None, old: list[Obj]) -> Tally:
    """Sum the statuses."""
    every = [*old, new] if new else old
    return Tally(
        replicas=sum(_count(one, "replicas") for one in every),
        updated=_count(new, "replicas") if new else 0,
        ready=sum(_count(one, "readyReplicas") for one in every),
        available=sum(_count(one, "availableReplicas") for one in every),
    )


def status_of(
    deployment: Obj, limits: Limits, tally: Tally, new_name: str, now: datetime
) -> dict[str, Any]:
    """Build the whole status; a member that is None is absent, as Kubernetes omits zeros."""
    conditions = [
        _available(deployment, limits, tally, now),
        _progressing(deployment, limits, tally, new_name, now),
    ]
    return {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": tally.replicas or None,
        "updatedReplicas": tally.updated or None,
        "readyReplicas": tally.ready or None,
        "availableReplicas": tally.available or None,
        "unavailableReplicas": max(0, limits.replicas - tally.available) or None,
        "conditions": conditions,
    }


def seconds_to_deadline(deployment: Obj, status: dict[str, Any], now: datetime) -> float | None:
    """Say when the progress deadline is to be looked at, or None where none is running."""
    progressing = status["conditions"][1]
    if progressing["status"] != "True" or progressing["reason"] == COMPLETE:
        return None
    return _left(deployment, progressing["lastUpdateTime"], now)


def _available(deployment: Obj, limits: Limits, tally: Tally, now: datetime) -> dict[str, Any]:
    if tally.available >= limits.replicas - limits.unavailable:
        text = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        text = (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    return _condition(deployment, "Available", *text, now=now, progressed=False)


def _progressing(
    deployment: Obj, limits: Limits, tally: Tally, new_name: str, now: datetime
) -> dict[str, Any]:
    before = condition_of(deployment, "Progressing")
    complete = (
        tally.updated == limits.replicas
        and tally.replicas == limits.replicas
        and tally.available == limits.replicas
    )
    progressed = complete or before is None or _moved(deployment, tally)
    if complete:
        text = ("True", COMPLETE, f'ReplicaSet "{new_name}" has successfully progressed.')
    elif progressed or before is None:
        text = ("True", "ReplicaSetUpdated", f'ReplicaSet "{new_name}" is progressing.')
    elif before["reason"] != COMPLETE and _left(deployment, before["lastUpdateTime"], now) <= 0:
        message = f'ReplicaSet "{new_name}" has timed out progressing.'
        text = ("False", "ProgressDeadlineExceeded", message)
    else:
        text = (before["status"], before["reason"], before["message"])
    return _condition(deployment, "Progressing", *text, now=now, progressed=progressed)


def _moved(deployment: Obj, tally: Tally) -> bool:
    """Tell whether the rollout got on since the last status: more new, fewer old, more ready."""
    status = deployment.get("status") or {}
    if status.get("observedGeneration") != deployment["metadata"].get("generation", 1):
        return True
    updated, old = status.get("updatedReplicas", 0), status.get("replicas", 0)
    return bool(
        tally.updated > updated
        or tally.replicas - tally.updated < old - updated
        or tally.ready > status.get("readyReplicas", 0)
        or tally.available > status.get("availableReplicas", 0)
    )


def _condition(
    deployment: Obj,
    kind: str,
    status: str,
    reason: str,
    message: str,
    *,
    now: datetime,
    progressed: bool,
) -> dict[str, Any]:
    """Write a condition; its times move only when something moved."""
    before = condition_of(deployment, kind)
    same = before is not None and (before["status"], before["reason"]) == (status, reason)
    stamp = stamp_of(now)
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": before["lastUpdateTime"]
        if before and same and (not progressed or reason == COMPLETE)
        else stamp,
        "lastTransitionTime": before["lastTransitionTime"]
        if before and before["status"] == status
        else stamp,
    }


def _left(deployment: Obj, since: str, now: datetime) -> float:
    deadline = deployment["spec"].get("progressDeadlineSeconds", PROGRESS_DEADLINE_SECONDS)
    return (moment_of(since) + timedelta(seconds=deadline) - now).total_seconds()


def _count(replica_set: Obj, name: str) -> int:
    return int((replica_set.get("status") or {}).get(name, 0))
