"""The policy shown as a file, with every default and its origin."""

from pathlib import Path

import pytest

from config.load import load_policy, read_policy
from config.show import show_policy
from tests.spec.config.policies import ECHO, GOOD, HEAD, POLICIES


def shown(text: str) -> list[str]:
    return show_policy(read_policy(text, filename="policy.yaml")).splitlines()


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_what_is_shown_can_be_loaded_and_means_the_same(file: Path):
    read = read_policy(file.read_text(), filename=file.name)

    assert load_policy(show_policy(read), filename="shown.yaml") == read.policy


@pytest.mark.parametrize(
    "line",
    [
        "    namespace: echo",
        "    versionLabel: version  # default",
        "        url: http://prometheus.monitoring:9090  # metrics",
        "    bake: 7m  # defaults",
        "      minRequests: 40  # profile critical",
        "      - weight: 5  # default",
        "        hold: 6m  # profile critical",
        "      - weight: 100  # default",
        "          get: /",
        "            status: 200",
        "            within: 5s  # default",
        "      retries: 2  # default",
    ],
)
def test_each_value_names_its_origin(line: str):
    layers = (
        "defaults: {bake: 7m, hold: 9m}\n"
        "profiles: {critical: {hold: 6m, analysis: {minRequests: 40}}}\n"
    )

    lines = shown(HEAD + layers + ECHO + "    profile: critical\n")

    assert line in [one.replace('"', "") for one in lines]


@pytest.mark.parametrize(
    ("written", "line"),
    [
        pytest.param("stable: '1.10'", '    stable: "1.10"', id="a number"),
        pytest.param("stable: 'true'", '    stable: "true"', id="a truth value"),
        pytest.param("stable: '010'", '    stable: "010"', id="a doubtful number"),
        pytest.param("stable: v1", "    stable: v1", id="a plain word"),
        pytest.param("gateway: {headers: {a: 'b: c'}}", '        a: "b: c"', id="a colon"),
    ],
)
def test_a_text_that_could_be_read_as_something_else_is_quoted(written: str, line: str):
    assert line in shown(HEAD + ECHO + f"    {written}\n")


def test_what_is_unset_is_left_out():
    lines = shown(HEAD + ECHO)

    assert not [line for line in lines if "null" in line or "caFile" in line]


def test_a_reference_is_shown_as_a_reference():
    text = (POLICIES / "good" / "full.yaml").read_text()

    assert '        bearerToken: "${secret:prom-read/token}"  # metrics' in shown(text)
