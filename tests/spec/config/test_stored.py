"""A running rollout's policy as plain data, and its hash."""

import json
from pathlib import Path

import pytest

from config.errors import PolicyError
from config.load import load_policy
from config.schema import Check, SuccessRate
from config.stored import dump_rollout, load_rollout, policy_hash
from tests.spec.config.policies import GOOD, HEAD, echo, without_smoke

WAYS_TO_CHANGE = [
    "stable: v1",
    "bake: 11m",
    "hold: 4m",
    "canaryHeader: {stage: other}",
    "allowOpenRoutes: true",
    "analysis: {confidence: 98%}",
    "analysis: {checks: [{name: a, successRate: {atLeast: 99%}}]}",
    "analysis: {checks: [{name: success rate, successRate: {atLeast: 99%}}]}",
    "analysis: {checks: [{name: success rate, successRate: {}}]}",
    "ramp: budget",
    "after: {then: delete}",
    "gateway: {headers: {a: b}}",
    "metrics: {series: {code: status}}",
    "steps: [5, 25, 51, 100]",
]


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_rollout_survives_being_stored_as_text(file: Path):
    for rollout in load_policy(file.read_text(), filename=file.name).rollouts.values():
        stored = json.dumps(dump_rollout(rollout))

        assert load_rollout(json.loads(stored)) == rollout
        assert policy_hash(load_rollout(json.loads(stored))) == policy_hash(rollout)


def test_what_is_stored_is_written_as_people_write_it_with_references_unresolved():
    stored = dump_rollout(echo("gateway: {headers: {Authorization: '${secret:a/b}'}}"))

    assert stored["bake"] == "10m"
    assert stored["analysis"]["confidence"] == "99%"
    assert stored["canaryHeader"] == {"stage": "canary"}
    assert stored["gateway"]["headers"] == {"Authorization": "${secret:a/b}"}


def test_a_hash_is_of_the_meaning_not_of_the_spelling():
    spelled = echo(
        "bake: 600s", "hold: 5m", "steps: [5, 25, 50, 100]", "analysis: {confidence: 99.0%}"
    )

    assert policy_hash(spelled) == policy_hash(echo())


@pytest.mark.parametrize("line", WAYS_TO_CHANGE)
def test_another_meaning_has_another_hash(line: str):
    assert policy_hash(echo(line)) != policy_hash(echo())


def test_the_order_of_headers_does_not_change_the_hash():
    one, other = echo("gateway: {headers: {a: b, c: d}}"), echo("gateway: {headers: {c: d, a: b}}")

    assert one == other
    assert policy_hash(one) == policy_hash(other)


def test_the_hash_of_the_short_policy_stays_what_it_is():
    """A running rollout is recognised by it, over releases of the daemon."""
    assert policy_hash(echo()) == "e9d2ee723fd3b344c1bc7f96e74d409abc188e7a347c4d4c796587c3f4ba6275"


STORED_BEFORE = Path(__file__).parent / "stored_before_the_comparison.json"
"""The short policy, as it was stored while a success rate of 99 % was the default."""


def test_what_an_earlier_version_stored_is_judged_as_it_was_then():
    (check,) = load_rollout(json.loads(STORED_BEFORE.read_text())).analysis.checks

    assert check == Check(name="success rate", success_rate=SuccessRate(at_least=0.99))


def test_what_an_earlier_version_stored_is_recognised_by_its_hash():
    stored = load_rollout(json.loads(STORED_BEFORE.read_text()))

    assert policy_hash(stored) == "444451c101a24d3d838928b17cea6b7dc9e12c5faffdf2e931621d453bfb5071"


def test_the_first_default_is_left_out_of_a_hash_beside_other_keys():
    """As an earlier version computed it from `confidence` alone."""
    checks = "checks: [{name: success rate, successRate: {atLeast: 99%}}]"

    rollout = echo(f"analysis: {{confidence: 98%, {checks}}}")

    assert policy_hash(rollout) == (
        "4379f64f837b24017c6cdc5781373776ba6ae351606c81a72cfbde69036b100b"
    )


@pytest.mark.parametrize(
    ("change", "path"),
    [
        pytest.param({"surprise": 1}, "surprise", id="unknown key"),
        pytest.param({"bake": 5}, "bake", id="wrong type"),
        pytest.param({"bake": None}, "bake", id="nothing"),
        pytest.param({"bake": "400d"}, "bake", id="out of bounds"),
        pytest.param({"namespace": "a/../b"}, "namespace", id="wrong name"),
        pytest.param({"steps": [{"weight": 5, "hold": "5m"}]}, "steps", id="steps that do not end"),
        pytest.param({"steps": []}, "steps", id="no steps"),
        pytest.param(
            {"gateway": {"headers": {"a": "b\r\nc: d"}}}, "gateway.headers.a", id="header"
        ),
    ],
)
def test_what_was_stored_and_edited_is_validated_like_a_file(change: dict[str, object], path: str):
    with pytest.raises(PolicyError) as refused:
        load_rollout(dump_rollout(echo()) | change)

    assert [problem.path for problem in refused.value.problems] == [path]
    assert str(refused.value).startswith(f"stored policy: {path}: ")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"a": object()}, id="no data"),
        pytest.param({"a": float("nan")}, id="not a number"),
    ],
)
def test_what_is_not_plain_data_is_refused(data: dict[str, object]):
    with pytest.raises(PolicyError, match="not plain data"):
        load_rollout(data)


def test_data_that_is_too_deep_is_refused():
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"a": deep}

    with pytest.raises(PolicyError, match="not plain data"):
        load_rollout(deep)


def test_a_stored_policy_says_the_same_when_its_file_had_layers():
    head = HEAD + "defaults: {bake: 7m}\n"

    assert policy_hash(echo(head=head)) == policy_hash(echo("bake: 7m"))
    assert echo(base=without_smoke(), head=head).bake == echo("bake: 7m").bake
