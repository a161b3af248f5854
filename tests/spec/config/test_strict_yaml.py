"""What YAML may stand in a policy, and that it can be read in one way only."""

from pathlib import Path

import pytest
import yaml

from config.errors import PolicyError
from config.nodes import MapNode, plain
from config.strict_yaml import MAX_DEPTH, parse, resolve
from tests.spec.config.policies import GOOD


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("0", 0),
        ("-12", -12),
        ("100", 100),
        ("1.5", 1.5),
        ("-0.0", 0.0),
        ("1e3", 1000.0),
        ("1.5e-3", 0.0015),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("True", "True"),
        ("NULL", "NULL"),
        ("v1", "v1"),
        ("1.2.3", "1.2.3"),
        ("5m", "5m"),
        ("99%", "99%"),
        (".", "."),
        ("-", "-"),
        ("+", "+"),
        ("1:2:x", "1:2:x"),
    ],
)
def test_an_unquoted_value_is_what_everybody_reads(text: str, value: object):
    found = resolve(text)

    assert (type(found), found) == (type(value), value)
    assert str(found) != "-0.0"


@pytest.mark.parametrize(
    "text",
    [
        "010",
        "+5",
        "-0",
        "1_000",
        "0x1F",
        "0o7",
        "0b1",
        "1:30",
        "1:30:00",
        "190:20:30.15",
        "2020-01-01",
        ".nan",
        ".NaN",
        ".inf",
        "-.inf",
        "+.INF",
        ".5",
        "5.",
        "1_0.5",
        "01e5",
        "2001-12-14t21:59:43",
    ],
)
def test_a_value_that_programs_read_differently_is_refused(text: str):
    with pytest.raises(ValueError, match="in different ways"):
        resolve(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("1e400", id="beyond a double"),
        pytest.param("12e4567", id="a commit hash that is a number"),
        pytest.param("9" * 19, id="beyond 64 bits"),
        pytest.param("9" * 5000, id="beyond what Python converts"),
        pytest.param("1." + "5" * 40, id="more digits than a double has"),
    ],
)
def test_a_number_that_is_too_large_is_refused(text: str):
    with pytest.raises(ValueError, match="too large a number; if it is text, quote it"):
        resolve(text)


def test_quoted_values_and_keys_are_texts():
    text = "'010': \"1:30\"\nno: 'yes'\n1: {true: '', on: '~'}\n"

    assert plain(parse(text, filename="p")) == {
        "010": "1:30",
        "no": "yes",
        "1": {"true": "", "on": "~"},
    }


def test_block_texts_keep_their_lines():
    assert plain(parse("a: |\n  one\n  two\tx\n", filename="p")) == {"a": "one\ntwo\tx\n"}


def test_every_value_and_key_knows_its_line_column_and_path():
    root = parse("a:\n  - b: 1\n    c: [x, {d: 2}]\n", filename="p")

    assert isinstance(root, MapNode)
    assert root.key_place("a") == (1, 1, "a")
    (item,) = root.entries["a"].items  # type: ignore[union-attr]
    assert item.key_place("c") == (2 + 1, 5, "a[0].c")
    assert item.entries["c"].items[1].entries["d"].place == (3, 16, "a[0].c[1].d")


def test_columns_count_characters_not_bytes():
    root = parse("ä: {ö: ü}\n", filename="p")

    assert root.entries["ä"].entries["ö"].place == (1, 8, "ä.ö")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        pytest.param("a: &x 1", (1, 4), "anchor &x", id="anchor"),
        pytest.param("a: *x", (1, 4), "alias *x", id="alias"),
        pytest.param("<<: {a: 1}", (1, 1), "merge keys", id="merge key"),
        pytest.param("a: !!str 1", (1, 4), "tag '!!str'", id="tag"),
        pytest.param("a: ! 1", (1, 4), "tag '!'", id="empty tag"),
        pytest.param("!x {a: 1}", (1, 1), "tag '!x'", id="tag of a mapping"),
        pytest.param("&x [a]", (1, 1), "anchor &x", id="anchor of a list"),
        pytest.param("a: 1\n---\nb: 2", (2, 1), "second document", id="two documents"),
        pytest.param("%YAML 1.1\n---\na: 1", (1, 1), "directive", id="version directive"),
        pytest.param("%TAG ! !x\n---\na: 1", (1, 1), "directive", id="tag directive"),
        pytest.param("a: 1\na: 2", (2, 1), "'a' stands here twice; first on line 1", id="twice"),
        pytest.param("? [a]\n: 1", (1, 3), "not a list", id="list as a key"),
        pytest.param("? {a: 1}\n: 1", (1, 3), "not a mapping", id="mapping as a key"),
        pytest.param("'': 1", (1, 1), "a key has 1 to 253", id="empty key"),
        pytest.param('"a\\nb": 1', (1, 1), "on one line", id="key of two lines"),
        pytest.param("x" * 300 + ": 1", (1, 1), "a key has 1 to 253", id="long key"),
        pytest.param('a: "\\0"', (1, 4), "U+0000", id="escaped NUL"),
        pytest.param("a:\n\t- x", (2, 1), "a tab in the indentation", id="tab"),
        pytest.param("a:\n  \t- x", (2, 3), "a tab in the indentation", id="tab after blanks"),
        pytest.param("a: b\x00", (1, 5), "U+0000", id="NUL"),
        pytest.param("a: \x1b[0m", (1, 4), "U+001B", id="control character"),
        pytest.param("a: \ud800", (1, 4), "U+D800", id="half a character"),
        pytest.param("a: \u2028b", (1, 4), "U+2028", id="line separator"),
        pytest.param("\ufeffa: 1", (1, 1), "byte order mark", id="BOM"),
        pytest.param("a: b: c", (1, 5), "not YAML: mapping values", id="syntax"),
        pytest.param("", (1, 1), "the file is empty", id="nothing"),
        pytest.param("# nothing\n", (1, 1), "the file is empty", id="a comment"),
    ],
)
def test_what_a_policy_must_not_hold_is_refused_at_its_place(text, place, message):
    with pytest.raises(PolicyError) as refused:
        parse(text, filename="policy.yaml")

    (problem,) = refused.value.problems
    assert (problem.line, problem.column) == place
    assert message in problem.message


def test_problems_before_a_stop_are_told_with_it():
    with pytest.raises(PolicyError) as refused:
        parse("a: 010\nb: *x\n", filename="p")

    assert [problem.line for problem in refused.value.problems] == [1, 2]


def test_the_deepest_nesting_is_possible_and_one_more_is_not():
    assert plain(parse("[" * MAX_DEPTH + "]" * MAX_DEPTH, filename="p")) is not None

    with pytest.raises(PolicyError, match="nested deeper than 32 levels"):
        parse("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), filename="p")


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_without_the_fast_parser_everything_is_read_alike(file: Path, monkeypatch):
    fast = parse(file.read_text(), filename="p")

    monkeypatch.setattr("config.strict_yaml._LOADER", yaml.SafeLoader)

    assert parse(file.read_text(), filename="p") == fast


@pytest.mark.parametrize(
    "text",
    ["[" * 10_000, "- " * 10_000, "a: &x 1", "a: *x", "a: [", 'a: "\\ud800"', "a: 'b", "a: b: c"],
)
def test_without_the_fast_parser_the_same_is_refused(text: str, monkeypatch):
    monkeypatch.setattr("config.strict_yaml._LOADER", yaml.SafeLoader)

    with pytest.raises(PolicyError) as refused:
        parse(text, filename="p")

    assert [problem.line for problem in refused.value.problems] == [1]
