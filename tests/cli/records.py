"""Records, evidence and objects for the tests of the command line: whole ones, easy to vary."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from daemon.core.model import Phase, Record, TargetKey
from daemon.core.reasons import Reason
from daemon.core.record import format_record, format_time, record_annotation

KEY = TargetKey("echo", "echo")
NOW = datetime(2026, 11, 23, 14, 10, tzinfo=UTC)


def a_record(phase: Phase = Phase.SHIFTING, **changes: Any) -> Record:
    """A rollout of v2 beside v1 at 25 %, in the third of five steps."""
    record = Record(
        id="20261123-140152-3f2a",
        target="echo",
        policy="0" * 64,
        stable="v1",
        stable_revision="v1/6d9f",
        phase=phase,
        since=NOW - timedelta(minutes=2),
        reason=Reason.ANALYSIS_PASSED,
        decision=17,
        epoch=4,
        writer="crossfade-0",
        canary="v2",
        revision="v2/77c4",
        step=2,
        weight=25,
        deployments=("echo-v1", "echo-v2"),
        message="both checks pass (4812 requests)",
    )
    with_weight = (Phase.SHIFTING, Phase.BAKING, Phase.FINALISING, Phase.RETIRING)
    return replace(record, **({} if phase in with_weight else {"weight": 0, "step": 0}) | changes)


def a_policy(**changes: Any) -> dict[str, Any]:
    """What the evidence keeps of the policy, as far as the command line reads it."""
    steps = [{"weight": weight, "hold": "5m"} for weight in (1, 5, 25, 50, 100)]
    return {
        "versionLabel": "version",
        "steps": steps,
        "bake": "10m",
        "after": {"drain": "30s", "keepOld": "1h", "then": "scaleToZero"},
        "route": {"gloo": {"virtualService": "gloo-system/echo"}},
    } | changes


def an_evidence(
    record: Record | None,
    *,
    key: TargetKey = KEY,
    namespace: str = "crossfade",
    confirmed_at: datetime | None = None,
    policy: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An evidence ConfigMap."""
    data = {"policy.json": json.dumps(policy or a_policy())}
    counts: dict[str, Any] = {"judge": {}}
    if record is not None:
        data["record.json"] = format_record(record)
        if confirmed_at is not None:
            counts |= {"id": record.id, "decision": record.decision}
            counts["confirmedAt"] = format_time(confirmed_at)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"crossfade.{key.namespace}.{key.name}",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "crossfade"},
        },
        "data": data | {"counts.json": json.dumps(counts)},
    }


def a_route(
    record: Record | str | None,
    *,
    key: TargetKey = KEY,
    namespace: str = "gloo-system",
    weights: dict[str, float] | None = None,
) -> dict[str, Any]:
    """A VirtualService that carries the record (or a text in its place), and these weights."""
    text = format_record(record) if isinstance(record, Record) else record
    annotations = {} if text is None else {record_annotation(key): text}
    return {
        "apiVersion": "gateway.solo.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": key.name, "namespace": namespace, "annotations": annotations},
        "spec": {"virtualHost": {"domains": ["*"], "routes": _routes(weights or {})}},
    }


def _routes(weights: dict[str, float]) -> list[dict[str, Any]]:
    upstream = {"name": "echo", "namespace": "gloo-system"}
    destinations = [
        {
            "destination": {"upstream": upstream, "subset": {"values": {"version": version}}},
            "weight": weight,
        }
        for version, weight in weights.items()
    ]
    route = {
        "matchers": [{"prefix": "/"}],
        "routeAction": {"multi": {"destinations": destinations}},
    }
    return [route] if weights else []


def a_deployment(version: str, *, app: str = "echo", namespace: str = "echo") -> dict[str, Any]:
    """A Deployment of one version."""
    labels = {"app": app, "version": version}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{app}-{version}", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "echo", "image": "echo:1"}]},
            },
        },
    }
