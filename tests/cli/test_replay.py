"""`crossfade replay`: a saved rollout judged again, as it was or by other rules. No cluster."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click.testing
import pytest

from analysis.journal import Sums
from daemon.cli.evidence_case import MAX_BYTES, Case, text_of
from daemon.cli.program import program
from tests.cli.conftest import Ran
from tests.cli.stories import KEY, POLICY, Story, bad, good, told

BAD, GOOD = told(bad), told(good)


def case(story: Story) -> Case:
    return Case(KEY, story.record, story.rollout, story.journal)


def run(*arguments: str) -> Ran:
    result = click.testing.CliRunner().invoke(program(), arguments, prog_name="crossfade")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    """Writes a rollout's file, or any text, and returns its name."""

    def save(content: Story | str) -> str:
        file = tmp_path / "case.json"
        file.write_text(content if isinstance(content, str) else text_of(case(content)))
        return str(file)

    return save


Save = Callable[..., str]


# ---------------------------------------------------------------- as it was


@pytest.mark.parametrize("story", [BAD, GOOD], ids=["rolled back", "not"])
def test_all_verdicts_come_out_again(saved: Save, story: Story) -> None:
    ran = run("replay", saved(story))

    first, second, *_ = ran.stdout.splitlines()
    looks = len(story.journal.lines)
    assert ran.code == 0
    assert f"rollout 20261123-140152-3f2a: {looks} looks from 2026-11-23 14:01:56Z to" in first
    assert second == f"All {looks} verdicts come out again as they were stored."


def test_looks_at_which_the_verdict_changed_are_shown(saved: Save) -> None:
    ran = run("replay", saved(BAD))

    shown = [line for line in ran.stdout.splitlines() if re.match(r"14:\d\d:\d\d ", line)]
    assert "  5%  inconclusive (too few requests): canary completed " in shown[0]
    assert " 20%  fail (worse): canary failed " in shown[-1]


def test_a_verdict_that_was_edited_is_found_with_exit_1(saved: Save) -> None:
    ran = run("replay", saved(text_of(case(BAD)).replace("Fail Worse", "Pass Safe")))

    assert ran.code == 1
    assert re.search(
        r"NOT as they were stored: from 14:\d\d:\d\d on it is Fail \(Worse\), not Pass \(Safe\)",
        ran.stdout,
    )


def test_counts_that_were_edited_change_the_verdicts(saved: Save) -> None:
    def healed(look: Any) -> Any:
        if isinstance(look[6], list):
            look[6][2][1] = 0
        return look

    document = json.loads(text_of(case(BAD)))
    document["journal"]["looks"] = [healed(look) for look in document["journal"]["looks"]]

    assert run("replay", saved(json.dumps(document))).code == 1


def test_json_tells_every_look(saved: Save) -> None:
    document = json.loads(run("replay", saved(BAD), "-o", "json").stdout)

    replayed = document["replay"]
    assert (document["kind"], replayed["agrees"]) == ("RolloutReplay", True)
    assert len(replayed["looks"]) == len(BAD.journal.lines)
    assert replayed["looks"][-1]["verdict"] == "Fail"
    assert replayed["looks"][-1]["stored"] == ["Fail", "Worse"]


def test_a_rollout_without_looks_is_replayed_too(saved: Save) -> None:
    ran = run("replay", saved(replace(BAD, journal=replace(BAD.journal, lines=(), size=0))))

    assert (ran.code, ran.stdout.splitlines()[0][-18:]) == (0, " no look was taken")


def test_where_the_replay_begins_is_said(saved: Save) -> None:
    ran = run("replay", saved(replace(BAD, journal=replace(BAD.journal, gone=Sums(looks=7)))))

    assert "(7 earlier ones are gone)" in ran.stdout


# ---------------------------------------------------------------- what if


def test_with_the_same_rules_nothing_changes(saved: Save) -> None:
    ran = run("replay", saved(BAD), "--what-if", "confidence=99%,minRequests=30")

    assert ran.code == 0
    assert re.search(r"first fail: 14:\d\d:\d\d, at 20%, as before", ran.stdout)


def test_more_evidence_takes_longer_or_fails_nobody(saved: Save) -> None:
    stricter = run("replay", saved(BAD), "--what-if", "alpha=1e-9")
    laxer = run("replay", saved(BAD), "--what-if", "alpha=0.2")

    assert re.search(r"first fail: none; before 14:\d\d:\d\d", stricter.stdout)
    assert re.search(r"first fail: 14:\d\d:\d\d, at 20%, \d+ s sooner", laxer.stdout)


def test_a_rollout_that_never_failed_may_fail_by_other_rules(saved: Save) -> None:
    undecided = replace(BAD, journal=replace(BAD.journal, lines=BAD.journal.lines[:-1]))

    ran = run("replay", saved(undecided), "--what-if", "alpha=0.2")

    assert re.search(r"first fail: 14:\d\d:\d\d, at \d+%; before none", ran.stdout)


def test_minimum_requests_delay_a_pass(saved: Save) -> None:
    ran = run("replay", saved(GOOD), "--what-if", "minRequests=1000000")

    assert re.search(r"first pass: none; before 14:\d\d:\d\d", ran.stdout)


def test_a_tolerated_drop_is_written_as_in_the_policy(saved: Save) -> None:
    ran = run("replay", saved(BAD), "--what-if", "maxDrop=20pp,maxRatio=3x")

    assert "first fail: none; before" in ran.stdout
    assert "Judged with maxDrop=20pp, maxRatio=3x in place of evidence of 1 : 100" in ran.stdout


def test_a_longer_interval_puts_looks_together(saved: Save) -> None:
    document = json.loads(
        run("replay", saved(GOOD), "--what-if", "interval=30s", "-o", "json").stdout
    )

    assert len(document["replay"]["looks"]) < len(GOOD.journal.lines) / 3
    assert any("looks are put together" in it for it in document["replay"]["caveats"])


def test_other_steps_are_gates_with_a_word_about_what_was_never_observed(saved: Save) -> None:
    ran = run("replay", saved(GOOD), "--what-if", "steps=5,10,100,alpha=0.02")

    assert re.search(r"10% allowed by evidence at 14:\d\d:\d\d", ran.stdout)
    assert "100% never allowed by evidence: canary failed" in ran.stdout
    assert "traffic at other weights was never observed" in ran.stdout


def test_gates_are_in_the_json(saved: Save) -> None:
    document = json.loads(
        run("replay", saved(GOOD), "--what-if", "steps=5,10,100", "-o", "json").stdout
    )

    assert [it["weight"] for it in document["replay"]["gates"]] == [10, 100]


def test_evidence_that_is_gone_stays_as_it_was_judged(saved: Save) -> None:
    story = replace(BAD, journal=replace(BAD.journal, gone=Sums(looks=7)))

    moved = run("replay", saved(story), "--what-if", "maxDrop=1pp")
    same = run("replay", saved(story), "--what-if", "alpha=0.02")

    assert "the 7 looks before these are gone: their evidence stays" in moved.stdout
    assert "their evidence stays" not in same.stdout


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        pytest.param("speed=1", "write KEY=VALUE; the keys are alpha", id="no such key"),
        pytest.param("alpha", "write KEY=VALUE", id="no value"),
        pytest.param("alpha=0.1,alpha=0.2", "alpha is given twice", id="twice"),
        pytest.param("alpha=0", "write a probability, for example 0.001", id="alpha of 0"),
        pytest.param("alpha=much", "write a probability", id="alpha in words"),
        pytest.param("minRequests=few", "write a whole number", id="requests in words"),
        pytest.param("minRequests=0", "greater than or equal to 1", id="no requests"),
        pytest.param("confidence=100%", "out of bounds", id="a confidence of 100 %"),
        pytest.param("maxRatio=0.5x", "1x to 100x is possible here", id="a ratio below 1"),
        pytest.param("interval=1s", "read every 5s; looks can be put together", id="more often"),
        pytest.param("interval=soon", "is not a duration", id="an interval in words"),
        pytest.param("steps=5,4,100", "write rising percents up to 100", id="falling steps"),
        pytest.param("steps=5,50", "write rising percents up to 100", id="steps that end early"),
        pytest.param("steps=100", "write rising percents up to 100", id="one step"),
        pytest.param("steps=a,b", "write rising percents up to 100", id="steps in words"),
    ],
)
def test_a_rule_that_cannot_be_is_exit_2(saved: Save, rule: str, why: str) -> None:
    ran = run("replay", saved(BAD), "--what-if", rule)

    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: --what-if")
    assert why in ran.stderr


def test_a_check_that_compares_nothing_cannot_compare_afterwards(saved: Save) -> None:
    text = POLICY + "    analysis: {checks: [{name: limit, successRate: {atLeast: 99%}}]}\n"

    ran = run("replay", saved(told(bad, text=text)), "--what-if", "maxDrop=1pp")

    assert ran.code == 2
    assert "no successRate check compares with stable" in ran.stderr


# ---------------------------------------------------------------- peers


def test_flaggers_rule_is_asked_once_a_minute(saved: Save) -> None:
    ran = run("replay", saved(GOOD), "--as", "flagger")

    assert (
        "Flagger: success rate of the canary's last minute at least 99 %, every 60 s" in ran.stdout
    )
    assert re.search(r"Flagger: has not rolled back by 14:\d\d:\d\d.*\(0 of 3 checks", ran.stdout)
    assert "Crossfade: does not fail it" in ran.stdout
    assert "not run" in ran.stdout


def test_argos_rule_takes_back_what_keeps_failing(saved: Save) -> None:
    story = told(lambda *_: 0.015, looks=60)

    document = json.loads(run("replay", saved(story), "--as", "argo", "-o", "json").stdout)

    checks = document["replay"]["checks"]
    assert document["replay"]["as"] == "Argo Rollouts"
    assert [it["rollsBack"] for it in checks].count(True) <= 1
    assert sum(it["fails"] for it in checks) == checks[-1]["failedChecks"]


def test_a_peer_that_rolls_back_is_told_with_the_time(saved: Save) -> None:
    story = told(lambda *_: 0.08, looks=96, rps=20)

    ran = run("replay", saved(story), "--as", "argo")

    assert re.search(r"Argo Rollouts: rolls back at 14:\d\d:\d\d", ran.stdout)
    assert ran.stdout.rstrip().endswith("failed (4 so far), rolls back")


def test_a_rollout_shorter_than_an_interval_was_never_checked(saved: Save) -> None:
    ran = run("replay", saved(told(good, looks=8)), "--as", "flagger")

    assert "no check: the rollout shared the traffic for less than one interval" in ran.stdout
    assert "LAST MINUTE" not in ran.stdout


def test_a_peer_and_other_rules_at_once_are_refused(saved: Save) -> None:
    ran = run("replay", saved(BAD), "--as", "argo", "--what-if", "alpha=0.1")

    assert ran.code == 2


# ---------------------------------------------------------------- files


def edited(**members: Any) -> str:
    return json.dumps(json.loads(text_of(case(BAD))) | members)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("{", "it is no JSON", id="no JSON"),
        pytest.param("[]", "it is no RolloutJournal", id="a list"),
        pytest.param('{"kind": "Policy"}', "`crossfade explain TARGET --save FILE`", id="a policy"),
        pytest.param(edited(apiVersion="v9"), "its format 'v9' is not", id="another format"),
        pytest.param(edited(policy={}), "its policy cannot be read", id="no policy"),
        pytest.param(edited(policy=7), "its policy cannot be read", id="a number as policy"),
        pytest.param(edited(journal={}), "its journal is damaged", id="no journal"),
        pytest.param(" " * (MAX_BYTES + 1), "it is longer than", id="too long"),
    ],
)
def test_a_file_that_is_not_ours_is_exit_2(saved: Save, text: str, why: str) -> None:
    ran = run("replay", saved(text))

    assert (ran.code, ran.stdout) == (2, "")
    assert why in ran.stderr


def test_a_file_that_is_not_there_is_exit_2(tmp_path: Path) -> None:
    ran = run("replay", str(tmp_path / "none.json"))

    assert ran.code == 2
    assert "No such file or directory" in ran.stderr


@pytest.mark.parametrize("members", [{"record": None}, {"target": 5}], ids=["record", "target"])
def test_without_record_or_target_it_is_replayed_all_the_same(
    saved: Save, members: dict[str, Any]
) -> None:
    assert run("replay", saved(edited(**members))).code == 0
