"""One bad policy a file, with every word that a person gets to read beside it."""

from pathlib import Path

import pytest

from config.errors import MAX_PROBLEMS, PolicyError, Problem, Severity, quoted
from config.load import load_policy, read_policy
from tests.spec.config.policies import BAD, ECHO, HEAD, echo


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_policy_is_refused_with_these_words(file: Path):
    with pytest.raises(PolicyError) as refused:
        read_policy(file.read_bytes(), filename=file.name)

    told = [str(refused.value), *map(str, refused.value.warnings)]
    assert "\n".join(told) + "\n" == file.with_suffix(".txt").read_text()


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_every_problem_names_a_line_of_the_file(file: Path):
    lines = file.read_text().splitlines()

    with pytest.raises(PolicyError) as refused:
        load_policy(file.read_text(), filename=file.name)

    for problem in (*refused.value.problems, *refused.value.warnings):
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


def test_problems_come_sorted_by_place_and_each_once():
    problems = [Problem(3, 1, "b", "x"), Problem(1, 9, "a", "y"), Problem(3, 1, "b", "x")]

    error = PolicyError(problems, filename="policy.yaml")

    assert str(error).splitlines() == ["policy.yaml:1:9: a: y", "policy.yaml:3:1: b: x"]


def test_more_problems_than_anybody_corrects_at_once_are_counted():
    error = PolicyError(Problem(line, 1, "a", "x") for line in range(1, MAX_PROBLEMS + 6))

    assert len(error.problems) == MAX_PROBLEMS
    assert error.left_out == 5
    assert str(error).endswith("... and 5 more")


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        pytest.param(Problem(2, 3, "a.b", "is odd"), "2:3: a.b: is odd", id="with a place"),
        pytest.param(Problem(2, 3, "", "is odd"), "2:3: is odd", id="without a path"),
        pytest.param(Problem(0, 0, "a", "is odd"), "a: is odd", id="without a text"),
        pytest.param(
            Problem(2, 3, "a", "is odd", Severity.WARNING), "warning 2:3: a: is odd", id="warning"
        ),
    ],
)
def test_a_problem_reads_file_line_column_path_message(problem: Problem, told: str):
    assert str(problem).replace(" :", " ").removeprefix(":") == told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("echo", "'echo'", id="as it is"),
        pytest.param("a\nb\x1b[31m", "'a\\nb\\x1b[31m'", id="on one line, without terminal codes"),
        pytest.param("x" * 100, "'" + "x" * 57 + "...'", id="cut where long"),
    ],
)
def test_a_value_in_a_message_is_short_and_printable(text: str, shown: str):
    assert quoted(text) == shown


def test_one_mistake_in_the_defaults_is_told_once_however_many_rollouts_have_it():
    rollouts = "".join(
        f"  echo{number}:\n    namespace: echo\n    selector: {{app: e{number}}}\n"
        f"    route: {{gloo: {{virtualService: g/e{number}, upstream: g/e}}}}\n"
        for number in range(20)
    )

    with pytest.raises(PolicyError) as refused:
        load_policy(HEAD + "defaults: {bake: long}\nrollouts:\n" + rollouts, filename="p")

    assert [problem.path for problem in refused.value.problems] == ["defaults.bake"]


def test_a_secret_in_clear_is_not_repeated():
    with pytest.raises(PolicyError) as refused:
        echo("gateway: {url: 'http://me:hunter2@gw', headers: {Authorization: 'hunter2'}}")

    assert "hunter2" not in str(refused.value)


def test_a_warning_does_not_refuse_the_policy():
    text = HEAD + ECHO + "    steps: [{weight: 1, hold: 1s}, 100]\n"

    read = read_policy(text, filename="policy.yaml")

    (warning,) = read.warnings
    assert str(warning) == (
        "warning policy.yaml:10:13: rollouts.echo.steps[0]: at 1 % for 1s, 30 requests need"
        " 3,000 requests/s in all; with fewer this step is held"
    )


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        pytest.param(
            ["analysis: {checks: [{name: a, mode: observe, successRate: {atLeast: 99%}}]}"],
            "rollouts.echo.analysis.checks: every check only observes, so nothing can decide"
            " against the new version",
            id="nothing decides",
        ),
        pytest.param(
            ["analysis: {checks: [{name: a, query: up, atLeast: 1}]}"],
            "rollouts.echo.analysis.checks[0].query: does not use {{ version }}: it judges all"
            " versions together",
            id="a query for all versions",
        ),
    ],
)
def test_what_is_possible_and_hardly_meant_is_a_warning(lines: list[str], warning: str):
    text = HEAD + ECHO + "".join(f"    {line}\n" for line in lines)

    read = read_policy(text, filename="policy.yaml")

    assert [f"{one.path}: {one.message}" for one in read.warnings] == [warning]
