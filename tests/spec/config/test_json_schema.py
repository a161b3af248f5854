"""The JSON Schema for editors: it takes what loads, and describes every key."""

import json
from pathlib import Path
from typing import Any

import pytest

from config.json_schema import policy_json_schema
from config.keys import allowed_keys, fields_of
from config.load import read_policy
from config.nodes import plain
from config.schema import Model, Rollout
from config.show import show_policy
from config.strict_yaml import parse
from tests.spec.config.json_schema_validator import complaints
from tests.spec.config.policies import ECHO, GOOD, HEAD

SCHEMA = policy_json_schema()


def as_json(text: str) -> Any:
    return json.loads(json.dumps(plain(parse(text, filename="policy.yaml"))))


def models(model: type[Model] = Rollout) -> dict[str, type[Model]]:
    found = {model.__name__: model}
    for _, inner in fields_of(model):
        if inner is not None:
            found |= models(inner)
    return found


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_policy_that_loads_is_valid(file: Path):
    assert list(complaints(as_json(file.read_text()), SCHEMA, SCHEMA)) == []


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_policy_with_every_default_written_out_is_valid(file: Path):
    text = show_policy(read_policy(file.read_text(), filename=file.name))

    assert list(complaints(as_json(text), SCHEMA, SCHEMA)) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param("    weightt: 5\n", ".rollouts.echo.weightt: not possible", id="unknown key"),
        pytest.param("    bake: 5\n", ".rollouts.echo.bake: not of type string", id="no unit"),
        pytest.param(
            "    bake: PT5M\n", ".rollouts.echo.bake: does not match", id="other spelling"
        ),
        pytest.param("    onDrift: x\n", ".rollouts.echo.onDrift: none of", id="no such choice"),
        pytest.param(
            "    steps: [5, 101]\n", ".rollouts.echo.steps[1]: fits 0 of anyOf", id="weight"
        ),
        pytest.param(
            "    steps: [{bake: 5m}]\n", ".rollouts.echo.steps[0]: fits 0", id="no weight"
        ),
        pytest.param("    gateway: \n", ".rollouts.echo.gateway: not of type object", id="empty"),
        pytest.param(
            "    canaryHeader: {a: b, c: d}\n", ".rollouts.echo.canaryHeader: too", id="two"
        ),
        pytest.param(
            "    analysis: {confidence: 99}\n", ".analysis.confidence: not of", id="percent"
        ),
        pytest.param(
            "    analysis: {checks: [{name: a, successRate: {maxDrop: 1%}}]}\n",
            ".checks[0].successRate.maxDrop: does not match",
            id="points",
        ),
        pytest.param(
            "    analysis: {checks: [{name: a, latency: {maxRatio: 1.5}}]}\n",
            ".checks[0].latency.maxRatio: not of type string",
            id="ratio",
        ),
    ],
)
def test_an_editor_shows_these_mistakes(change: str, complaint: str):
    found = list(complaints(as_json(HEAD + ECHO + change), SCHEMA, SCHEMA))

    assert any(complaint in one for one in found), found


@pytest.mark.parametrize(
    "smoke",
    [
        "GET /",
        "[GET /]",
        "[{name: x}]",
        "[{get: /, post: /}]",
        "[{method: GET, path: /}]",
        "{retries: 11}",
    ],
)
def test_an_editor_shows_what_is_no_smoke_test(smoke: str):
    text = (HEAD + ECHO).replace("[GET / -> 200]", smoke)

    assert list(complaints(as_json(text), SCHEMA, SCHEMA))


@pytest.mark.parametrize("missing", ["apiVersion", "kind", "rollouts"])
def test_what_every_policy_begins_with_is_required(missing: str):
    document = as_json(HEAD + ECHO)
    del document[missing]

    assert list(complaints(document, SCHEMA, SCHEMA)) == [f": {missing} is required"]


@pytest.mark.parametrize("name", sorted(models()))
def test_every_key_that_loads_is_in_the_schema_and_no_other(name: str):
    definition = SCHEMA["$defs"][name]

    assert sorted(definition["properties"]) == sorted(allowed_keys(models()[name]))
    assert definition["additionalProperties"] is False


@pytest.mark.parametrize("name", sorted(SCHEMA["$defs"]))
def test_every_key_is_described(name: str):
    for key, schema in SCHEMA["$defs"][name]["properties"].items():
        referred = SCHEMA["$defs"].get(schema.get("$ref", "").removeprefix("#/$defs/"), {})
        assert schema.get("description") or referred.get("description"), key


def test_defaults_are_written_as_people_write_them():
    rollout = SCHEMA["$defs"]["Rollout"]["properties"]
    analysis = SCHEMA["$defs"]["Analysis"]["properties"]

    assert (rollout["hold"]["default"], rollout["bake"]["default"]) == ("5m", "10m")
    assert rollout["steps"]["default"] == [5, 25, 50, 100]
    assert rollout["canaryHeader"]["default"] == {"stage": "canary"}
    assert analysis["confidence"]["default"] == "99%"
    assert analysis["checks"]["default"] == [
        {"name": "success rate", "mode": "decide", "successRate": {}},
        {"name": "latency", "mode": "decide", "latency": {}},
    ]


def test_every_default_is_valid_by_its_own_schema():
    for definition in SCHEMA["$defs"].values():
        for key, schema in definition["properties"].items():
            if "default" in schema:
                assert list(complaints(schema["default"], schema, SCHEMA)) == [], key


def test_the_schema_says_its_draft_and_can_be_written_as_json():
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert policy_json_schema() == SCHEMA
