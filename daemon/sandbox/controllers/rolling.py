"""The arithmetic of a rolling update. Pure: sizes in, sizes out.

Invariant: a planned step never takes away a pod that is needed for `replicas - maxUnavailable`
available ones, and never asks for more than `replicas + maxSurge` pods in all.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from daemon.ports import Obj

DEFAULT_SHARE: Final = "25%"
"""Kubernetes' default for maxSurge and maxUnavailable."""


@dataclass(frozen=True, slots=True)
class Size:
    """One ReplicaSet: pods asked for, pods there, pods available."""

    name: str
    wanted: int
    present: int
    available: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How a Deployment may change its pods.

    Attributes:
        replicas: pods wanted in the end.
        surge: pods allowed above that.
        unavailable: pods that may be missing below that.
        recreate: strategy Recreate: all old pods go before the first new one comes.
    """

    replicas: int
    surge: int
    unavailable: int
    recreate: bool = False


def limits_of(deployment: Obj) -> Limits:
    """Read replicas and strategy with Kubernetes' defaults."""
    spec = deployment["spec"]
    replicas = spec.get("replicas", 1)
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Limits(replicas, 0, replicas, recreate=True)
    rolling = strategy.get("rollingUpdate") or {}
    surge = _resolve(rolling.get("maxSurge", DEFAULT_SHARE), replicas, math.ceil)
    unavailable = _resolve(rolling.get("maxUnavailable", DEFAULT_SHARE), replicas, math.floor)
    if surge == 0 and unavailable == 0:
        unavailable = 1  # otherwise nothing could ever move
    return Limits(replicas, surge, min(unavailable, replicas))


def plan_sizes(limits: Limits, new: Size, old: list[Size]) -> dict[str, int]:
    """Say which ReplicaSets shall have another size now: name -> replicas.

    Args:
        limits: from `limits_of`.
        new: the ReplicaSet of the current template.
        old: all others, oldest first.
    """
    if limits.recreate:
        return _recreate(limits, new, old)
    grown = _grow(limits, new, old)
    if grown != new.wanted:
        return {new.name: grown}
    return _shrink(limits, new, old)


def plan_paused(limits: Limits, newest: Size, others: list[Size]) -> dict[str, int]:
    """Say the sizes of a paused Deployment: it still scales, but does not roll.

    A single ReplicaSet with pods takes the whole size; of several, the newest takes the difference.
    """
    active = [size for size in [*others, newest] if size.wanted] or [newest]
    latest = active[-1]
    rest = sum(size.wanted for size in active[:-1])
    wanted = max(0, limits.replicas - rest)
    return {latest.name: wanted} if wanted != latest.wanted else {}


def _recreate(limits: Limits, new: Size, old: list[Size]) -> dict[str, int]:
    away = {size.name: 0 for size in old if size.wanted}
    if away:
        return away
    if any(size.present for size in old) or new.wanted == limits.replicas:
        return {}
    return {new.name: limits.replicas}


def _grow(limits: Limits, new: Size, old: list[Size]) -> int:
    if new.wanted >= limits.replicas:
        return limits.replicas
    total = new.wanted + sum(size.wanted for size in old)
    room = max(0, limits.replicas + limits.surge - total)
    return new.wanted + min(room, limits.replicas - new.wanted)


def _shrink(limits: Limits, new: Size, old: list[Size]) -> dict[str, int]:
    """Take pods from the old ones: first those that serve nobody, then as many as can be spared."""
    least = limits.replicas - limits.unavailable
    wanted = {size.name: size.wanted for size in old}
    total = new.wanted + sum(wanted.values())
    may_go = total - least - max(0, new.wanted - new.available)
    for size in old:
        idle = min(max(0, may_go), size.wanted - min(size.available, size.wanted))
        wanted[size.name] -= idle
        may_go -= idle
    spare = new.available + sum(min(size.available, wanted[size.name]) for size in old) - least
    for size in old:
        gone = min(max(0, spare), wanted[size.name])
        wanted[size.name] -= gone
        spare -= gone
    return {size.name: wanted[size.name] for size in old if wanted[size.name] != size.wanted}


def _resolve(value: Any, whole: int, rounded: Any) -> int:
    """Read a number of pods or a percentage of the whole."""
    if isinstance(value, str) and value.endswith("%"):
        return int(rounded(whole * int(value[:-1]) / 100))
    return int(value)
