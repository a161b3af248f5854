"""The tables of docs/policy.md: every key that a person may write, from the JSON Schema.

Bounds of durations and percentages do not fit into a JSON Schema; they come from the models behind
it. Nothing is written by hand, so nothing can be forgotten or be out of date.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from config.json_schema import policy_json_schema
from config.keys import fields_of
from config.quantities import Between, PercentBetween, PointsBetween, RatioBetween, format_duration
from config.schema import Model, Rollout, Step

Schema = Mapping[str, Any]

_UNITS: Final = {
    PercentBetween: "percentage",
    PointsBetween: "percentage points",
    RatioBetween: "ratio",
}

SECTIONS: Final = (
    ("Rollout", "rollouts.NAME", "Also a profile (`profiles.NAME`) and `defaults`."),
    ("Route", "route", ""),
    ("GlooRoute", "route.gloo", "Exactly one of `virtualService` and `routeTable`."),
    ("Gateway", "gateway", ""),
    (
        "Metrics",
        "metrics",
        (
            "At the top of the file for all rollouts, or in one. One source, or none: see"
            " [which source](#which-source-tells-versions-apart)."
        ),
    ),
    ("PodsSource", "metrics.pods", ""),
    (
        "EnvoySource",
        "metrics.envoy",
        "`{}` takes the default. `latency` and `query` checks are not possible with it.",
    ),
    ("PrometheusSource", "metrics.prometheus", "Short form: the URL alone."),
    ("Series", "metrics.series", ""),
    ("Smoke", "smoke", "Short form: the list of requests alone."),
    (
        "SmokeRequest",
        "smoke.requests[]",
        "Exactly one method key. Short form: `GET / -> 200`.",
    ),
    ("Expect", "smoke.requests[].expect", ""),
    ("Step", "steps[]", "Short form: the weight alone."),
    ("Analysis", "analysis", ""),
    ("Check", "analysis.checks[]", "Exactly one of `successRate`, `latency`, `query`."),
    (
        "SuccessRate",
        "analysis.checks[].successRate",
        "`{}` or `maxDrop`: the comparison with stable. `atLeast` alone: the limit alone.",
    ),
    (
        "Latency",
        "analysis.checks[].latency",
        "`{}` or `maxRatio`: the comparison with stable. `atMost` alone: the limit alone.",
    ),
    ("OnNoData", "analysis.onNoData", ""),
    ("After", "after", ""),
)
"""Definition of the schema, where it stands in the file, and what a table cannot say."""


def policy_tables() -> str:
    """Return the tables as Markdown, with a heading each.

    Raises:
        AssertionError: the schema has a definition that no section shows.
    """
    schema = policy_json_schema()
    definitions = schema["$defs"]
    shown = {name for name, _, _ in SECTIONS}
    assert shown == set(definitions), f"sections differ from the schema: {shown ^ set(definitions)}"
    models = dict(_models(Rollout))
    parts = [_section("The file", "", schema, None)]
    for name, path, note in SECTIONS:
        parts.append(_section(f"`{path}`", note, definitions[name], models[name]))
    return "\n".join(parts)


def _models(model: type[Model]) -> Iterator[tuple[str, type[Model]]]:
    yield model.__name__, model
    for _, inner in fields_of(model):
        if inner is not None:
            yield from _models(inner)


def _section(title: str, note: str, definition: Schema, model: type[Model] | None) -> str:
    bounds = {} if model is None else _bounds(model)
    needed = _needed(definition, model)
    lines = [f"### {title}", ""]
    lines += [note, ""] if note else []
    lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, value in definition["properties"].items():
        cells = (
            f"`{key}`",
            bounds.get(key) or _kind(value),
            "required" if key in needed and "default" not in value else _default(value),
            _meaning(key, value),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def _needed(definition: Schema, model: type[Model] | None) -> set[str]:
    """Name the keys that must stand somewhere.

    The schema requires none of those that a layer may leave to another layer; the models say which
    must be there once all layers are put together.
    """
    if model is None or "required" in definition or "oneOf" in definition:
        return set(definition.get("required", ()))
    return {info.alias or name for name, info in model.model_fields.items() if info.is_required()}


def _bounds(model: type[Model]) -> dict[str, str]:
    """Say the bounds of durations and percentages, by key."""
    found = {} if model is Step else {"hold": _bounds(Step)["hold"]}
    for name, info in model.model_fields.items():
        for mark in (*info.metadata, *_marks(info.annotation)):
            match mark:
                case Between(shortest=least, longest=most):
                    span = f"{format_duration(least)} to {format_duration(most)}"
                    found[info.alias or name] = f"duration, {span}"
                case PercentBetween() | PointsBetween() | RatioBetween():
                    found[info.alias or name] = f"{_UNITS[type(mark)]}, {' to '.join(mark.bounds)}"
    return {"bake": found["hold"], **found}  # a short form takes what it stands for


def _marks(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for inner in get_args(annotation):
        yield from _marks(inner)


def _kind(value: Schema) -> str:
    match value:
        case {"const": only}:
            return f"`{only}`"
        case {"enum": choices}:
            return ", ".join(f"`{choice}`" for choice in choices)
        case {"anyOf": [*kinds]}:
            return " or ".join(dict.fromkeys(map(_kind, kinds)))
        case {"$ref": _}:
            return "mapping, see below"
        case {"type": "array"}:
            return "list"
        case {"type": "object"}:
            return "mapping"
        case {"type": "boolean"}:
            return "`true`, `false`"
        case {"type": "integer", "minimum": least, "maximum": most}:
            return f"whole number, {least:,} to {most:,}"
        case {"type": "integer" | "number"}:
            return "number"
        case {"type": "string", "examples": ["30s", *_]}:
            return "duration"
        case {"type": "string"}:
            return "text"
        case _:
            return "anything"


def _default(value: Schema) -> str:
    if "default" not in value or value["default"] in ("", {}):
        return "-"
    default = value["default"]
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _meaning(key: str, value: Schema) -> str:
    """Return the schema's words; a reference without any says what its definition is."""
    words = {"analysis": "How the canary is judged.", "after": "What becomes of the old version."}
    return str(value.get("description") or words.get(key, ""))
