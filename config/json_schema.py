"""The policy file as JSON Schema (draft 2020-12), for editors.

Generated from the models, then widened by the short forms.
Invariant: every policy that loads is valid here; the reverse cannot hold, for a schema does not
know layers, sums or other files. A key that a layer may leave to another layer is not required.
"""

from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from config.grammar import LABEL_NAME
from config.keys import METHOD_KEYS
from config.layers import DEFAULT_HOLD, DEFAULT_STEPS
from config.load import API_VERSION, KIND
from config.schema import Rollout
from config.show import set_only

Schema = dict[str, Any]

SMOKE_LINE: Final = r"^(GET|POST|PUT|PATCH|DELETE|HEAD) +\S+ +-> +[0-9]{3}$"

_WHOLE: Final = ("Step", "Check", "SuccessRate", "Latency", "SmokeRequest")
"""Definitions that no layer completes: what they require is required."""


def policy_json_schema() -> Schema:
    """The schema; a new dictionary each time."""
    rollout: Schema = Rollout.model_json_schema(schema_generator=_Generate)
    definitions: Schema = {name: _tidy(one) for name, one in rollout.pop("$defs").items()}
    definitions["Rollout"] = _tidy(rollout)
    for name, definition in definitions.items():
        if name not in _WHOLE:
            definition.pop("required", None)
    _widen_steps(definitions)
    _widen_smoke(definitions)
    prometheus = definitions["Metrics"]["properties"]["prometheus"]
    definitions["Metrics"]["properties"]["prometheus"] = _or_short(prometheus, {"type": "string"})
    return _file(definitions)


def _file(definitions: Schema) -> Schema:
    rollout: Schema = {"$ref": "#/$defs/Rollout"}
    named = {
        "type": "object",
        "propertyNames": {"pattern": f"^{LABEL_NAME}$", "maxLength": 63},
        "additionalProperties": rollout,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Crossfade policy",
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "rollouts"],
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": "The file's format."},
            "kind": {"const": KIND, "description": "The file's kind."},
            "metrics": {
                "$ref": "#/$defs/Metrics",
                "description": "For rollouts without their own.",
            },
            "defaults": {**rollout, "description": "What rollouts have that do not say otherwise."},
            "profiles": {**named, "description": "Named sets of values, above the defaults."},
            "rollouts": {**named, "minProperties": 1, "description": "The targets, by name."},
        },
        "$defs": definitions,
    }


def _widen_steps(definitions: Schema) -> None:
    rollout, step = definitions["Rollout"]["properties"], definitions["Step"]
    del rollout["name"]
    rollout["profile"] = {"type": "string", "description": "Name of the profile it is under."}
    hold = step["properties"]["hold"]
    rollout["hold"] = {
        **hold,
        "default": DEFAULT_HOLD,
        "description": "The least time on each step that does not say its own.",
    }
    rollout["steps"]["items"] = {"anyOf": [step["properties"]["weight"], {"$ref": "#/$defs/Step"}]}
    rollout["steps"]["default"] = list(DEFAULT_STEPS)
    analysis = definitions["Analysis"]["properties"]
    analysis["checks"]["default"] = set_only(analysis["checks"]["default"])
    step["properties"]["bake"] = {**hold, "description": "At 100 only: in place of hold."}
    step["required"] = ["weight"]


def _widen_smoke(definitions: Schema) -> None:
    smoke, request = definitions["Smoke"]["properties"], definitions["SmokeRequest"]
    line = {"type": "string", "pattern": SMOKE_LINE, "examples": ["GET / -> 200"]}
    items = {"anyOf": [line, {"$ref": "#/$defs/SmokeRequest"}]}
    smoke["requests"]["items"] = items
    smoke["via"] = {"type": "string", "description": "Short for gateway.url."}
    rollout = definitions["Rollout"]["properties"]
    rollout["smoke"] = _or_short(rollout["smoke"], {"type": "array", "minItems": 1, "items": items})
    path = request["properties"].pop("path")
    del request["properties"]["method"], request["required"]
    for key in METHOD_KEYS:
        request["properties"][key] = {**path, "description": f"{key.upper()} this path."}
    request["properties"]["json"] = {"description": "A body, sent as JSON; or body."}
    request["oneOf"] = [{"required": [key]} for key in METHOD_KEYS]


def _or_short(long: Schema, short: Schema) -> Schema:
    """Either form, with the long form's description."""
    described = {"description": long.pop("description")}
    return {"anyOf": [short, long], **described}


def _tidy(schema: Any) -> Any:
    """Without generated titles and without null, which no key of the file takes."""
    match schema:
        case list():
            return [_tidy(item) for item in schema]
        case {"anyOf": [kind, {"type": "null"}], "default": None, "description": description}:
            return {**_tidy(kind), "description": description}
        case dict():
            return {
                key: _tidy(value)
                for key, value in schema.items()
                if key != "title" or not isinstance(value, str)
            }
        case _:
            return schema


class _Generate(GenerateJsonSchema):
    """Writes defaults as people write them: `5m`, not `PT5M`."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        shown = super().default_schema(schema)
        serialization = schema["schema"].get("serialization")
        if serialization is not None:
            shown["default"] = serialization["function"](schema["default"])
        return shown
