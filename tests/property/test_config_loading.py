"""Properties of the policy's loader that hold for every text."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.errors import PolicyError
from config.grammar import body_pattern
from config.load import load_policy, read_policy
from config.nodes import ListNode, MapNode, Node, plain
from config.quantities import format_duration, format_percent, parse_duration, parse_percent
from config.references import parse_reference
from config.show import show_policy
from config.stored import dump_rollout, load_rollout, policy_hash
from config.strict_yaml import parse

POLICIES = Path(__file__).parents[1] / "policies"
TEXTS = [file.read_text() for file in sorted(POLICIES.glob("*/*.yaml"))]
FULL = (POLICIES / "good" / "full.yaml").read_text()
WORDS = re.findall(r"[\w.%$/-]+|\s+|.", FULL)

few = settings(max_examples=25)
"""For properties of whole policies, which take long to make up."""

NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
HOLDS = st.integers(1, 86_400).map(lambda seconds: f"{seconds}s")
LINES = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=20
)


class Plain(yaml.SafeDumper):
    """PyYAML's writer without aliases, which it writes for equal values."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@st.composite
def spliced(draw: st.DrawFn) -> str:
    """A policy with a piece taken out, and a piece of another one or any text put in."""
    text, other = draw(st.sampled_from(TEXTS)), draw(st.sampled_from(TEXTS))
    start = draw(st.integers(0, len(text)))
    end = min(len(text), start + draw(st.integers(0, 30)))
    cut = draw(st.integers(0, len(other)))
    piece = draw(
        st.one_of(st.text(max_size=10), st.just(other[cut : cut + 30]), st.sampled_from(WORDS))
    )
    return text[:start] + piece + text[end:]


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """A policy that loads, as plain data."""
    weights = sorted(draw(st.sets(st.integers(1, 99), max_size=6)))
    steps: list[Any] = [
        draw(st.sampled_from([weight, {"weight": weight, "hold": draw(HOLDS)}]))
        for weight in weights
    ]
    requests = draw(
        st.lists(
            st.fixed_dictionaries(
                {"name": LINES, "get": st.just("/")},
                optional={
                    "headers": st.dictionaries(
                        NAMES.map(lambda name: f"x-{name}"), NAMES, max_size=2
                    ),
                    "expect": st.fixed_dictionaries(
                        {},
                        optional={
                            "status": st.integers(100, 599),
                            "bodyContains": LINES.filter(
                                lambda text: "{{" not in text and "${" not in text
                            ),
                            "json": st.dictionaries(
                                NAMES.map(lambda name: f"$.{name}"),
                                st.none() | st.booleans() | st.integers(-9, 9) | LINES,
                                max_size=3,
                            ),
                        },
                    ),
                },
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda request: request["name"],
        )
    )
    rollout: dict[str, Any] = {
        "namespace": draw(NAMES),
        "selector": {"app": draw(NAMES)},
        "route": {"gloo": {"virtualService": "g/e", "upstream": "g/e"}},
        "smoke": requests,
        "steps": [*steps, 100],
        "bake": draw(HOLDS),
        "analysis": {"confidence": f"{draw(st.integers(90, 99))}%"},
    }
    defaults = draw(
        st.fixed_dictionaries(
            {}, optional={"hold": HOLDS, "onDrift": st.sampled_from(["pause", "restore"])}
        )
    )
    return {
        "apiVersion": "crossfade.dev/v1",
        "kind": "Policy",
        "metrics": {"pods": {"port": draw(st.integers(1, 65_535))}},
        "defaults": defaults,
        "rollouts": {draw(NAMES): rollout},
    }


def written(policy: dict[str, Any]) -> str:
    """JSON is YAML; the values stay what they are."""
    return json.dumps(policy, ensure_ascii=False)


@given(
    st.one_of(
        st.text(max_size=200), spliced(), st.lists(st.sampled_from(WORDS), max_size=60).map("".join)
    )
)
@example("a: !!binary x")
@example("? ? ? a")
@example("%")
@example("---")
@example("a: |\n \x85")
@example('"\\')
def test_any_text_either_loads_or_is_refused_with_lines_of_it(text: str):
    try:
        load_policy(text, filename="policy.yaml")
        problems = ()
    except PolicyError as refused:
        problems = refused.problems

    lines = text.count("\n") + text.count("\r") + 1
    assert all(1 <= problem.line <= lines for problem in problems)
    assert all(str(problem).isprintable() for problem in problems)


@given(st.binary(max_size=200))
def test_any_bytes_either_load_or_are_refused(content: bytes):
    with pytest.raises(PolicyError):
        load_policy(content, filename="policy.yaml")


@few
@given(policies())
def test_a_policy_that_is_stored_comes_back_as_it_was(policy: dict[str, Any]):
    (rollout,) = load_policy(written(policy), filename="policy.yaml").rollouts.values()

    stored = json.loads(json.dumps(dump_rollout(rollout)))

    assert load_rollout(stored) == rollout
    assert policy_hash(load_rollout(stored)) == policy_hash(rollout)


@few
@given(policies())
def test_a_policy_that_is_shown_means_the_same(policy: dict[str, Any]):
    read = read_policy(written(policy), filename="policy.yaml")

    assert load_policy(show_policy(read), filename="shown.yaml") == read.policy


@few
@given(policies(), policies())
def test_hashes_are_equal_exactly_where_policies_are(one: dict[str, Any], other: dict[str, Any]):
    (first,) = load_policy(written(one), filename="p").rollouts.values()
    (second,) = load_policy(written(other), filename="p").rollouts.values()

    assert (policy_hash(first) == policy_hash(second)) == (
        dump_rollout(first) == dump_rollout(second)
    )


def keys_of(node: Node) -> list[tuple[int, int, str]]:
    """Line, column and name of every key that is ours (names, labels and headers are the user's)."""
    match node:
        case MapNode():
            found = [(place.line, place.column, key) for key, place in node.keys.items()]
            if node.place.path.rpartition(".")[2] in {
                "rollouts", "profiles", "selector", "headers", "canaryHeader", "json",
            }:  # fmt: skip
                found = []
            inner = node.only(*(key for key in node.entries if key != "json")) if found else node
            return found + [key for value in inner.entries.values() for key in keys_of(value)]
        case ListNode(items=items):
            return [key for item in items for key in keys_of(item)]
        case _:
            return []


KEYS = sorted(set(keys_of(parse(FULL, filename="full.yaml"))))


def test_the_keys_that_are_misspelt_below_are_most_of_the_schema():
    assert len({key for _, _, key in KEYS}) >= 60


@given(st.sampled_from(KEYS), st.data())
def test_a_misspelt_key_is_reported_where_it_stands_with_the_right_one(key, data):
    line, column, word = key
    position = data.draw(st.integers(1, len(word)))
    misspelt = data.draw(
        st.sampled_from(
            [
                word[:position] + "z" + word[position:],
                word[: position - 1] + "z" + word[position:] if len(word) > 3 else word + "z",
                word[:position] + word[position - 1] + word[position:],
            ]
        )
    )
    lines = FULL.splitlines(keepends=True)
    before, after = lines[line - 1][: column - 1], lines[line - 1][column - 1 + len(word) :]
    lines[line - 1] = before + misspelt + after

    with pytest.raises(PolicyError) as refused:
        load_policy("".join(lines), filename="full.yaml")

    told = [
        problem
        for problem in refused.value.problems
        if (problem.line, problem.column) == (line, column)
    ]
    assert any(f"unknown key '{misspelt}'" in one.message for one in told)
    assert any(f"did you mean '{word}'?" in one.message for one in told)


@given(st.integers(0, 10**15))
def test_a_duration_survives_being_written(microseconds: int):
    value = timedelta(microseconds=microseconds)

    assert parse_duration(format_duration(value)) == value


@given(st.floats(0.000001, 1))
def test_a_percentage_survives_being_written(fraction: float):
    assert parse_percent(format_percent(fraction)) == fraction


@given(st.text(st.sampled_from("${}:/.abenvfilescrt \n"), max_size=20))
def test_a_text_is_a_literal_a_reference_or_refused(text: str):
    try:
        reference = parse_reference(text)
    except ValueError:
        return

    assert reference is None or str(reference) == text


@given(st.text(st.sampled_from("ab()|*+?{1,}[^]\\d."), max_size=14))
def test_an_expression_that_is_possible_cannot_take_for_ever(text: str):
    try:
        body_pattern(text)
    except ValueError:
        return

    re.search(text, "ab" * 12 + "!" + "a" * 24)  # a nested repeat would need 2**24 steps here


@given(
    st.recursive(
        st.integers(-9, 9) | st.booleans() | NAMES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=12,
    )
)
def test_plain_yaml_is_read_as_everybody_reads_it(value: Any):
    read = plain(parse(yaml.dump(value, Dumper=Plain), filename="p"))

    assert json.loads(json.dumps(read)) == value
