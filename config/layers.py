"""Puts one rollout together: metrics of the file, defaults, profile, the rollout itself.

Invariant: the more specific layer wins key by key, lists and pairs are taken whole, and every
value keeps the place where it stands. The built-in defaults that are not in the schema (steps and
their holds, what is judged where the gateway counts) come last.
"""

from collections.abc import Sequence
from typing import Final

from config.judging import DEFAULT_CHECKS
from config.nodes import ListNode, MapNode, Node, Place, ScalarNode
from config.quantities import format_duration
from config.schema import Rollout

DEFAULT_STEPS: Final = (5, 25, 50, 100)
DEFAULT_HOLD: Final = "5m"
DEFAULT_BAKE: Final = format_duration(Rollout.model_fields["bake"].default)

_WHOLE: Final = frozenset({"canaryHeader", "selector"})
"""Mappings that mean something only as they were written."""

_EITHER: Final = (
    frozenset({"virtualService", "routeTable"}),
    frozenset({"prometheus", "pods", "envoy"}),
)
"""Choices: naming one in a more specific layer takes the others away."""


def merge(lower: Node, upper: Node) -> Node:
    """`upper` over `lower`."""
    if not isinstance(lower, MapNode) or not isinstance(upper, MapNode):
        return upper
    for choice in _EITHER:
        if choice & upper.entries.keys():
            lower = lower.without(*choice)
    entries = dict(lower.entries)
    for key, value in upper.entries.items():
        below = entries.get(key)
        entries[key] = value if below is None or key in _WHOLE else merge(below, value)
    return MapNode(entries, {**lower.keys, **upper.keys}, upper.place)


def merge_all(layers: Sequence[MapNode]) -> MapNode:
    """Layers in rising order of precedence as one mapping."""
    merged: Node = layers[0]
    for layer in layers[1:]:
        merged = merge(merged, layer)
    assert isinstance(merged, MapNode)
    return merged


def complete(merged: MapNode, name: str, key: Place) -> MapNode:
    """One rollout's mapping as the schema wants it; what nobody wrote has the place of its key."""
    steps = merged.get("steps") or _default_steps(key)
    hold = merged.get("hold") or _text(DEFAULT_HOLD, key)
    bake = merged.get("bake") or _text(DEFAULT_BAKE, key)
    if isinstance(steps, ListNode):
        held = tuple(_with_hold(step, hold, bake) for step in steps.items)
        steps = ListNode(held, steps.place)
    own = merged.without("hold", "profile")
    smoke = merged.get("smoke")
    if (
        isinstance(smoke, MapNode)
        and smoke.place.path == "defaults.smoke"
        and "requests" not in smoke.entries
    ):
        own = own.without("smoke")  # defaults for those that have a smoke test, not a test itself
    own = _judged_by_what_is_counted(own, key)
    return own.with_entries(
        {"name": _text(name, key), "steps": steps}, {"steps": merged.keys.get("steps", key)}
    )


def _judged_by_what_is_counted(own: MapNode, key: Place) -> MapNode:
    """Where the gateway counts, or may, no durations are known: the default compares failures only.

    A latency check that a person wrote is refused there; one that nobody wrote must not be.
    """
    nothing = MapNode({}, {}, key)
    metrics, analysis = own.get("metrics") or nothing, own.get("analysis") or nothing
    if not isinstance(metrics, MapNode) or metrics.entries.keys() & {"prometheus", "pods"}:
        return own
    if not isinstance(analysis, MapNode) or "checks" in analysis.entries:
        return own
    name = _text(DEFAULT_CHECKS[0].name, key)
    checks = ListNode((nothing.with_entries({"name": name, "successRate": nothing}),), key)
    places = {"analysis": own.keys.get("analysis", key)}
    return own.with_entries({"analysis": analysis.with_entries({"checks": checks})}, places)


def _with_hold(step: Node, hold: Node, bake: Node) -> Node:
    """The step with its time; at 100 that is the bake."""
    if not isinstance(step, MapNode) or "hold" in step.entries:
        return step
    weight = step.get("weight")
    last = isinstance(weight, ScalarNode) and weight.value == 100
    return step.with_entries({"hold": bake if last else hold})


def _default_steps(place: Place) -> ListNode:
    weights = (ScalarNode(weight, str(weight), place) for weight in DEFAULT_STEPS)
    steps = (MapNode({"weight": weight}, {"weight": place}, place) for weight in weights)
    return ListNode(tuple(steps), place)


def _text(value: str, place: Place) -> ScalarNode:
    return ScalarNode(value, value, place)
