"""What the evidence ConfigMap adds to a record: the policy, when the split was proved, the journal.

Evidence is a convenience here: it is read leniently, and whatever is missing, damaged or belongs to
another rollout is simply not known. Nothing a command *does* depends on it, but for naming the
Deployments of a target whose record was lost.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from daemon.core.model import Record, TargetKey
from daemon.core.record import parse_record, parse_time
from daemon.kube.objects import ROUTETABLES, VIRTUALSERVICES
from daemon.ports import Obj, Resource
from daemon.said import Said, said_in

LABELS: Final = "app.kubernetes.io/managed-by=crossfade"
PREFIX: Final = "crossfade."
MAX_STEPS: Final = 100
"""Steps that are read; a policy with more is refused long before."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of the policy the rollout began with."""

    weight: int
    hold: timedelta | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known from one ConfigMap; None and empty mean not known.

    Attributes:
        namespace: where the ConfigMap is: the daemon's own.
        saved: the copy of the last record.
        confirmed: rollout, decision, and since when its split is proved.
        route: kind, namespace and name of the route object that the policy names.
        version_label: the pod-template label that tells versions apart.
        policy: the whole policy entry, unread; see `daemon.cli.evidence_case`.
        journal: the journal's text, unread.
        said: the last judgement that was saved, and of which rollout.
        interval: how often there is one.
    """

    key: TargetKey
    namespace: str = ""
    saved: Record | None = None
    steps: tuple[PlannedStep, ...] = ()
    bake: timedelta | None = None
    keep_old: timedelta | None = None
    confirmed: tuple[str, int, datetime] | None = None
    route: tuple[Resource, str, str] | None = None
    version_label: str = "version"
    policy: Mapping[str, Any] = field(default_factory=dict)
    journal: str = ""
    said: tuple[str, Said] | None = None
    interval: timedelta | None = None

    @property
    def by_budget(self) -> bool:
        """Whether the steps are the timetable of a ramp by budget."""
        return self.policy.get("ramp") == "budget"

    @property
    def name(self) -> str:
        """The ConfigMap's name."""
        return f"{PREFIX}{self.key.namespace}.{self.key.name}"

    def confirmed_at(self, record: Record) -> datetime | None:
        """Return since when this very decision is proved, or None."""
        if self.confirmed is None or self.confirmed[:2] != (record.id, record.decision):
            return None
        return self.confirmed[2]

    def said_of(self, record: Record) -> Said | None:
        """Return the last judgement of this rollout that was saved, or None."""
        if self.said is None or self.said[0] != record.id:
            return None
        return self.said[1]

    def belongs_to(self, record: Record) -> bool:
        """Tell whether this is about the same rollout."""
        return self.saved is not None and self.saved.id == record.id


def evidence_of(config_map: Obj) -> Evidence | None:
    """Read a ConfigMap; None if its name is not one of ours."""
    metadata = _mapping(config_map.get("metadata"))
    name = str(metadata.get("name", ""))
    namespace, dot, target = name.removeprefix(PREFIX).partition(".")
    if not name.startswith(PREFIX) or not dot or not target:
        return None
    data = _mapping(config_map.get("data"))
    policy = _mapping(_parsed(data.get("policy.json")))
    counts = _mapping(_parsed(data.get("counts.json")))
    after, analysis = _mapping(policy.get("after")), _mapping(policy.get("analysis"))
    return Evidence(
        key=TargetKey(namespace, target),
        namespace=str(metadata.get("namespace", "")),
        saved=_saved(data.get("record.json")),
        steps=_steps(policy.get("steps")),
        bake=_duration(policy.get("bake")),
        keep_old=_duration(after.get("keepOld")),
        confirmed=_confirmed(counts),
        route=_route(_mapping(_mapping(policy.get("route")).get("gloo"))),
        version_label=str(policy.get("versionLabel", "version")),
        policy=policy,
        journal=str(data.get("journal.json", "")),
        said=_said(_mapping(counts.get("judge"))),
        interval=_duration(analysis.get("interval")),
    )


def _saved(text: Any) -> Record | None:
    record = parse_record(text) if isinstance(text, str) else None
    return record if isinstance(record, Record) else None


def _confirmed(counts: Mapping[str, Any]) -> tuple[str, int, datetime] | None:
    rollout, decision = counts.get("id"), counts.get("decision")
    at = _attempt(parse_time, counts.get("confirmedAt"))
    if not isinstance(rollout, str) or not isinstance(decision, int) or at is None:
        return None
    return rollout, decision, at


def _said(judge: Mapping[str, Any]) -> tuple[str, Said] | None:
    said = said_in(judge)
    return None if said is None else (str(judge.get("rollout")), said)


def _route(gloo: Mapping[str, Any]) -> tuple[Resource, str, str] | None:
    for member, resource in (("virtualService", VIRTUALSERVICES), ("routeTable", ROUTETABLES)):
        namespace, slash, name = str(gloo.get(member) or "").partition("/")
        if namespace and slash and name:
            return resource, namespace, name
    return None


def _steps(value: Any) -> tuple[PlannedStep, ...]:
    steps = value if isinstance(value, list) else []
    return tuple(
        PlannedStep(weight, _duration(_mapping(step).get("hold")))
        for step in steps[:MAX_STEPS]
        if isinstance(weight := _mapping(step).get("weight"), int)
    )


def _duration(value: Any) -> timedelta | None:
    from config.quantities import parse_duration

    return _attempt(parse_duration, value) if isinstance(value, str) else None


def _attempt(read: Callable[[Any], T], value: Any) -> T | None:
    try:
        return read(value)
    except (ValueError, OverflowError):
        return None


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
