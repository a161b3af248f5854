"""The checker of the documents finds what it promises to find, and nothing in sound documents."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import check_docs
from tests.check_docs import Doc, Problem, fault_of_command, read_docs, whole_program

POLICY = """\
apiVersion: crossfade.dev/v1
kind: Policy
metrics: {pods: {port: 8080}}
rollouts:
  echo:
    namespace: echo
    selector: {app: echo}
    route: {gloo: {virtualService: gloo-system/echo, upstream: gloo-system/echo}}
"""


def found(
    rule: check_docs.Rule, text: str, path: str = "docs/a.md", **others: str
) -> list[Problem]:
    docs = {path: Doc(path, text)}
    docs |= {f"docs/{name}.md": Doc(f"docs/{name}.md", other) for name, other in others.items()}
    return list(rule(docs))


def test_the_documents_are_as_they_should_be():
    assert check_docs.check(read_docs(check_docs.ROOT)) == []


def test_the_program_tells_the_same_and_ends_with_0():
    script = check_docs.ROOT / "tests" / "check_docs.py"

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(" 0 problems\n")


# ---------------------------------------------------------------- links


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        pytest.param("b.md", "", id="a file beside it"),
        pytest.param("b.md#two-words", "", id="a heading of it"),
        pytest.param("#here", "", id="a heading of its own"),
        pytest.param("../top.md", "", id="a file above"),
        pytest.param("https://example.org/x.md", "", id="another site is not followed"),
        pytest.param("c.md", "there is no such file", id="no such file"),
        pytest.param("b.md#three", "there is no such heading", id="no such heading"),
        pytest.param("#there", "there is no such heading", id="no such heading of its own"),
    ],
)
def test_a_link_leads_to_a_file_and_a_heading_that_exist(tmp_path: Path, link: str, fault: str):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text(f"# Here\n\nsee [this]({link}) now\n")
    (tmp_path / "docs" / "b.md").write_text("## Two `words`\n\n```\n# Three\n```\n")
    (tmp_path / "top.md").write_text("")

    problems = list(check_docs.links_lead_somewhere(read_docs(tmp_path), tmp_path))

    assert problems == ([Problem("docs/a.md", 3, f"link {link}: {fault}")] if fault else [])


def test_a_link_inside_code_is_no_link():
    assert found(check_docs.links_lead_somewhere, "`[x](nowhere.md)`\n") == []


# ---------------------------------------------------------------- policies


def test_a_policy_that_loads_is_sound():
    assert (
        found(check_docs.policies_load, f"```yaml\n{POLICY}    smoke: [GET / -> 200]\n```\n") == []
    )


def test_a_mistake_in_a_policy_is_told_with_its_line_in_the_document():
    [problem] = found(check_docs.policies_load, f"text\n\n```yaml\n{POLICY}    hold: 5\n```\n")

    assert problem.line == 12
    assert "hold: 5 is not a duration" in problem.message


def test_yaml_that_is_no_policy_is_left_alone():
    assert found(check_docs.policies_load, "```yaml\nkind: Deployment\nhold: 5\n```\n") == []


# ---------------------------------------------------------------- commands


@pytest.mark.parametrize(
    "typed",
    [
        "status -A",
        "status echo -n echo --watch --timeout 2h",
        "abort shop/cart --reason 'a wrong flag'",
        "promote TARGET --skip-check=latency",
        "pause echo --no-wait",
        "sandbox up --dir box --rps 60",
        "demo --json | jq",
        "schema > policy.schema.json",
        "validate -",
        "COMMAND --help",
        "--version",
        "...",
    ],
)
def test_a_command_that_exists_is_sound(typed: str):
    assert fault_of_command(whole_program(), typed) == ""


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("foretell echo", "there is no command foretell"),
        ("sandbox down", "there is no command down"),
        ("abort echo --force", "abort has no option --force"),
        ("status -q", "status has no option -q"),
        ("promote --skip-check=x --skip y", "promote has no option --skip"),
        ("abort echo --reason 'unfinished --why", "abort has no option --why"),
    ],
)
def test_a_command_or_option_that_does_not_exist_is_named(typed: str, fault: str):
    assert fault_of_command(whole_program(), typed) == fault


@pytest.mark.parametrize(
    "text",
    [
        "run `crossfade foretell` now\n",
        "run `kubectl crossfade foretell` now\n",
        "```sh\ncrossfade foretell\n```\n",
        "```console\n$ crossfade foretell\n```\n",
        "```\n  crossfade foretell\n```\n",
    ],
)
def test_commands_are_found_wherever_people_copy_them_from(text: str):
    assert [it.message for it in found(check_docs.commands_exist, text)] == [
        "`crossfade foretell`: there is no command foretell"
    ]


def test_the_name_in_a_sentence_is_no_command():
    assert found(check_docs.commands_exist, "that crossfade explains itself\n") == []


# ---------------------------------------------------------------- figures, words, lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("# A\nMeasured: 5 s.\n\nSource: one run.\n", [], id="source after it"),
        pytest.param("# A\nSource: one run.\n\n5 s, measured.\n", [], id="source before it"),
        pytest.param("# A\n5 s, measured.\n", [2], id="no source"),
        pytest.param("# A\n5 s, measured.\n## B\nSource: x\n", [2], id="source elsewhere"),
        pytest.param("# A\n`measured`, unmeasured\n", [], id="code, and another word"),
    ],
)
def test_a_section_with_a_measured_figure_has_a_source(text: str, lines: list[int]):
    assert [it.line for it in found(check_docs.measured_figures_have_a_source, text)] == lines


@pytest.mark.parametrize(
    "text",
    [
        "TODO later",
        "see /home/ana/notes",
        "from docker.io/x",
        "```\n/tmp/x\n```",
        "written by a language model",
    ],
)
def test_unfinished_places_machines_registries_and_makers_are_not_named(text: str):
    assert len(found(check_docs.nothing_forbidden, text)) == 1


@pytest.mark.parametrize(
    "text",
    ["/etc/crossfade/secrets/name/key", "a User-Agent", "https://example.org/work/x", "todo"],
)
def test_ordinary_paths_and_words_are_no_fault(text: str):
    assert found(check_docs.nothing_forbidden, text) == []


@pytest.mark.parametrize(
    ("line", "problems"),
    [
        pytest.param("x" * 120, 0, id="120 fit"),
        pytest.param("x" * 121, 1, id="121 do not"),
        pytest.param("| " + "x" * 121, 0, id="a table"),
        pytest.param("```\n" + "x" * 121 + "\n```", 0, id="code"),
        pytest.param("[a](" + "x" * 121 + ")", 0, id="a link"),
    ],
)
def test_prose_has_at_most_120_characters_a_line(line: str, problems: int):
    assert len(found(check_docs.lines_fit, line)) == problems


# ---------------------------------------------------------------- names


def test_a_name_that_is_not_in_its_table_is_missed():
    text = "# Exit codes\n\n| code | |\n|---|---|\n| `0`, `1` | |\n\n## More\n\n| `2` | |\n"

    told = [it.message for it in found(check_docs.names_are_explained, text, path="docs/cli.md")]

    assert "Exit codes: `2` is not explained" in told
    assert "Exit codes: `1` is not explained" not in told


def test_a_name_that_does_not_exist_is_told_with_its_line():
    text = "## Reasons\n\n| `Adopted` | x |\n| `Adapted` | x |\n"

    problems = found(check_docs.names_are_explained, text, path="docs/operations.md")

    assert Problem("docs/operations.md", 4, "Reasons: there is no `Adapted`") in problems
    assert "Reasons: `Adopted` is not explained" not in [it.message for it in problems]


def test_an_option_that_no_page_names_is_missed():
    told = [it.message for it in found(check_docs.options_are_explained, "", path="docs/cli.md")]

    assert "option --no-wait of abort is not explained" in told
    assert "option --rps of sandbox up is not explained" in told


def test_an_option_is_explained_by_its_own_name_only():
    text = "`--watcher` and `--log-level-x`\n"

    told = [it.message for it in found(check_docs.options_are_explained, text, path="docs/cli.md")]

    assert "option --watch of status is not explained" in told
    assert "option --log-level of run is not explained" in told


# ---------------------------------------------------------------- generated tables


def test_old_tables_are_told_and_written_anew():
    old = Doc("docs/policy.md", f"before\n{check_docs.BEGIN}\nold\n{check_docs.END}\nafter\n")

    new = check_docs.with_tables(old)

    assert list(check_docs.tables_are_generated({old.path: old})) != []
    assert list(check_docs.tables_are_generated({new.path: new})) == []
    assert new.text.startswith(f"before\n{check_docs.BEGIN}\n")
    assert new.text.endswith(f"{check_docs.END}\nafter\n")


def test_tables_without_their_marks_are_told():
    bare = Doc("docs/policy.md", "no marks\n")

    assert list(check_docs.tables_are_generated({bare.path: bare})) != []


def test_every_key_that_may_be_written_is_in_a_table():
    from config.keys import allowed_keys, fields_of
    from config.schema import Model, Rollout

    def keys(model: type[Model]) -> set[str]:
        inner = {it for _, it in fields_of(model) if it is not None}
        return set(allowed_keys(model)).union(*map(keys, inner))

    text = check_docs.read_docs(check_docs.ROOT)["docs/policy.md"].text

    assert {key for key in keys(Rollout) if f"| `{key}` |" not in text} == set()
