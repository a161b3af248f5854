"""`crossfade explain` against an API server: why, in counts, from the record and its evidence."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.bands import Band
from analysis.compare import Arms
from analysis.errors import UnavailableError
from analysis.explanation import Measure
from analysis.journal import Sums
from analysis.settings import settings_from
from daemon.cli.explain import OF_ANOTHER
from daemon.cli.explain_text import band_in_words, times
from daemon.core.model import Held, Pause, Phase, Promote, TargetKey
from daemon.core.reasons import Reason
from daemon.kube.objects import CONFIGMAPS
from tests.cli.conftest import Cluster
from tests.cli.records import KEY, NOW, a_record
from tests.cli.stories import POLICY, Story, a_rollout, bad, damaged, good, told
from tests.spec.analysis.journals import Live, Look
from tests.spec.analysis.readings import arm, block

BAD, GOOD = told(bad), told(good)
MANY_CHECKS = f"""{POLICY}
    metrics: {{prometheus: "http://prometheus.monitoring:9090"}}
    analysis:
      checks:
        - {{name: success rate, successRate: {{atLeast: 90%, maxDrop: 0.5pp}}}}
        - {{name: latency, latency: {{}}, mode: observe}}
        - {{name: queue, query: queue_length, atMost: 10}}
"""


def put(cluster: Cluster, story: Story, **changes: str) -> None:
    """Put a rollout with its evidence there."""
    cluster.adopt(story.record)
    cluster.put(CONFIGMAPS, story.evidence(**changes))


def lines_with(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip().startswith(start)]


# ---------------------------------------------------------------- a rollback


async def test_a_rollback_is_told_with_the_verdict_in_counts_first(cluster: Cluster) -> None:
    put(cluster, BAD)

    ran = await cluster.run("explain", "echo/echo")

    first, second, third, *_ = ran.stdout.splitlines()
    assert (ran.code, ran.stderr) == (0, "")
    assert re.fullmatch(
        r"✖ Rolled back echo/echo v1 → v2 at 2026-11-23 14:\d\d:\d\dZ, \d+m\d\ds after its"
        r" evidence began, at 20%",
        first,
    )
    assert re.match(
        r"  Decided by success rate at 2026-11-23 14:\d\d:\d\dZ, at 20%: canary failed \d+ of \d+"
        r" requests \([\d.]+ %\), stable \d+ of [\d,]+ requests .*evidence 1 : \d+, needs 1 : 100",
        second,
    )
    assert "fewer than 1 of 100 rollouts" in third


async def test_each_measure_is_told_with_both_rates_a_band_and_its_limit(cluster: Cluster) -> None:
    put(cluster, BAD)

    ran = await cluster.run("explain", "echo/echo")

    (heads,) = lines_with(ran.stdout, "CHECK")
    (failures,) = lines_with(ran.stdout, "success rate ")
    (slow,) = lines_with(ran.stdout, "latency > ")
    assert heads.split("  ")[1:] != []
    assert re.search(r"\d+x \[[\d.]+x \.\. \d+x\] +1x +1 : \d+", failures)
    assert re.search(r"1\.25x +none", slow)
    assert "more latency bounds with less evidence (-o json)" in ran.stdout


async def test_users_weights_evidence_and_source_are_told(cluster: Cluster) -> None:
    put(cluster, BAD)

    ran = await cluster.run("explain", "echo/echo")

    (users,) = lines_with(ran.stdout, "Users:")
    (weights,) = lines_with(ran.stdout, "Weights:")
    (evidence,) = lines_with(ran.stdout, "Evidence:")
    (read,) = lines_with(ran.stdout, "Read:")
    assert re.search(r"\d+ requests reached v2, \d+ failed, about \d+ more than v1 fails", users)
    assert "5% from 14:01:" in weights
    assert "the first weight" in weights
    assert "with 9m45s of stable's history: " in evidence
    assert read.endswith(
        "http_requests_total by code, http_request_duration_seconds_bucket by le, of each pod at"
        " :8080/metrics, every 5s"
    )
    assert "Next:     crossfade retry echo/echo" in ran.stdout


async def test_a_weight_is_told_with_what_allowed_it(cluster: Cluster) -> None:
    put(cluster, BAD)

    ran = await cluster.run("explain", "echo/echo")

    (raised,) = lines_with(ran.stdout, "20% from")
    assert re.search(
        r"an excess above [\d.]+ % was excluded, after \d+ canary requests|by timetable, undecided:"
        r" \d+ canary requests could not have shown less than \+[\d.]+ pp",
        raised,
    )


# ---------------------------------------------------------------- otherwise


async def test_a_rollout_under_way_is_told_as_of_its_last_look(cluster: Cluster) -> None:
    put(cluster, GOOD)

    ran = await cluster.run("explain", "echo/echo")

    assert ran.stdout.startswith("● echo/echo v1 → v2, baking at 100% since 2026-11-23 14:")
    assert "  Last look at 2026-11-23 14:05:5" in ran.stdout
    assert "Why: both checks pass (4812 requests)" in ran.stdout
    assert "Next:" not in ran.stdout


async def test_a_check_that_is_skipped_is_told_with_who_and_why(cluster: Cluster) -> None:
    record = replace(GOOD.record, promote=Promote("an-id", ("latency",), "ana", "slow disk"))
    put(cluster, replace(GOOD, record=record))

    ran = await cluster.run("explain", "echo/echo")

    assert '  Without latency, which was skipped by ana: "slow disk"\n' in ran.stdout


async def test_looks_that_brought_nothing_are_counted_with_why(cluster: Cluster) -> None:
    put(cluster, GOOD)

    ran = await cluster.run("explain", "echo/echo")

    assert re.search(
        r"48 looks from 14:01:56 to 14:05:\d\d; \d brought nothing: timed out", ran.stdout
    )


async def test_a_weight_by_timetable_says_what_it_could_not_have_seen(cluster: Cluster) -> None:
    put(cluster, GOOD)

    ran = await cluster.run("explain", "echo/echo")

    assert re.search(
        r"by timetable, undecided: [\d,]+ canary requests could not have shown less than \+[\d.]+"
        r" pp in nine rollouts of ten",
        ran.stdout,
    )


async def test_a_promoted_rollout_is_explained_after_it_ended(cluster: Cluster) -> None:
    record = a_record(Phase.IDLE, stable="v2", canary=None, revision=None)
    put(cluster, replace(GOOD, record=record))

    ran = await cluster.run("explain", "echo/echo")

    assert ran.stdout.startswith(
        "✔ Promoted echo/echo v1 → v2; v1 retired at 2026-11-23 14:08:00Z, 6m08s after"
    )


async def test_a_rollout_that_ended_with_the_old_version_is_not_told_as_promoted(
    cluster: Cluster,
) -> None:
    put(cluster, replace(GOOD, record=a_record(Phase.IDLE)))

    ran = await cluster.run("explain", "echo/echo")

    assert ran.stdout.startswith("✖ Not promoted: echo/echo v1 → v2, over at 2026-11-23 14:08:00Z")


@pytest.mark.parametrize(
    ("standing", "told_as", "following"),
    [
        pytest.param(
            {"paused": Pause(Reason.NO_DATA, "crossfade", NOW)},
            "Z, paused by crossfade at 2026-11-23 14:10:00Z: no data\n",
            "  Next:     crossfade resume echo/echo, or promote, or abort\n",
            id="paused",
        ),
        pytest.param(
            {"held": Held(Reason.TOO_FEW_REQUESTS, NOW)},
            "Z, held since 2026-11-23 14:10:00Z: too few requests\n",
            "",
            id="held",
        ),
    ],
)
async def test_what_keeps_a_rollout_where_it_is_stands_in_its_first_line(
    cluster: Cluster, standing: dict[str, Any], told_as: str, following: str
) -> None:
    put(cluster, replace(GOOD, record=replace(GOOD.record, **standing)))

    ran = await cluster.run("explain", "echo/echo")

    assert told_as in ran.stdout
    assert ran.stdout.endswith(following)


async def test_a_journal_of_an_earlier_rollout_is_told_as_such(cluster: Cluster) -> None:
    story = replace(BAD, journal=replace(BAD.journal, rollout="20261101-000000-aaaa"))
    put(cluster, story)

    ran = await cluster.run("explain", "echo/echo")

    first, hint, of_another, _, headline, *_ = ran.stdout.splitlines()
    assert first.startswith("echo/echo v1→v2: ✖ rolled back: canary failed ")
    assert hint.startswith("  Next:     crossfade retry echo/echo")
    assert of_another == OF_ANOTHER
    assert headline == "Rollout 20261101-000000-aaaa of echo/echo v1 → v2, up to 20%"
    assert ran.stdout.count("Next:") == 1


async def test_evidence_that_was_begun_anew_is_told(cluster: Cluster) -> None:
    put(cluster, replace(BAD, journal=replace(BAD.journal, again=1)))

    ran = await cluster.run("explain", "echo/echo")

    assert "it was lost and begun anew once in this rollout" in ran.stdout


async def test_limits_observed_checks_and_queries_are_told_as_what_they_are(
    cluster: Cluster,
) -> None:
    put(cluster, told(bad, text=MANY_CHECKS))

    ran = await cluster.run("explain", "echo/echo")

    assert re.search(r"success rate +\d+ of .* 1x \+ 0\.5 pp", ran.stdout)
    assert re.search(r"success rate limit +\d+ of .* 10 %", ran.stdout)
    assert "(observed)" in ran.stdout
    assert "queue: inconclusive: the query was not asked" in ran.stdout
    assert "queue: queue_length" in ran.stdout
    assert "Prometheus at http://prometheus.monitoring:9090, every 5s" in ran.stdout


async def test_an_envoy_source_is_named_by_its_page(cluster: Cluster) -> None:
    text = POLICY.replace("metrics: {pods: {port: 8080}}", "metrics: {envoy: {}}")
    put(cluster, told(bad, text=text))

    ran = await cluster.run("explain", "echo/echo")

    assert "/clusters of each gateway pod, port 8082: attempts by pod, every 5s" in ran.stdout


AUTO = POLICY.replace("metrics: {pods: {port: 8080}}\n", "")


async def test_a_source_that_was_found_is_named_from_the_record(cluster: Cluster) -> None:
    story = told(bad, text=AUTO)
    put(cluster, replace(story, record=replace(story.record, source="pods:9100/stats")))

    ran = await cluster.run("explain", "echo/echo")

    assert "of each pod at :9100/stats, every 5s" in ran.stdout


async def test_a_source_that_nobody_wrote_down_is_not_guessed(cluster: Cluster) -> None:
    put(cluster, told(bad, text=AUTO))

    ran = await cluster.run("explain", "echo/echo")

    assert "Read:     what was found to tell the versions apart, every 5s" in ran.stdout


async def test_a_weight_that_nothing_here_allowed_is_told_so(cluster: Cluster) -> None:
    live = Live(settings_from(BAD.rollout))
    live.look(Look(UnavailableError("timed out"), 0, 10))
    live.look(Look(block(arm(100), arm(900)), 1, 100))
    story = replace(BAD, record=a_record(Phase.ROLLING_BACK), journal=live.journal)
    put(cluster, story)

    ran = await cluster.run("explain", "echo/echo")

    assert ran.stdout.startswith("✖ Rolling back echo/echo v1 → v2 at")
    assert "100% from 14:02:02: by request or policy, while provider down" in ran.stdout
    assert "100 requests reached v2, none failed." in ran.stdout
    assert "without a history of stable" in ran.stdout


async def test_a_pass_of_other_checks_than_failures_is_told_as_one(cluster: Cluster) -> None:
    text = POLICY + "    analysis: {checks: [{name: limit, successRate: {atLeast: 90%}}]}\n"
    rollout = a_rollout(text)
    live = Live(settings_from(rollout))
    for number in range(6):
        live.look(Look(block(arm(400), arm(900)), number // 5, 10 + number // 5))
    put(cluster, replace(BAD, rollout=rollout, journal=live.journal))

    ran = await cluster.run("explain", "echo/echo")

    assert (
        "11% from 14:02:22: each check was shown to keep its limit, after 2,000 canary"
        in ran.stdout
    )


@pytest.mark.parametrize(
    ("band", "told_as"),
    [
        (Band(), "[not known yet]"),
        (Band(low=1.5), "[1.5x or more]"),
        (Band(high=3.0), "[up to 3x]"),
        (Band(1.5, 3.0), "[1.5x .. 3x]"),
    ],
)
def test_a_band_tells_the_ends_that_are_known(band: Band, told_as: str) -> None:
    assert band_in_words(band) == told_as


@pytest.mark.parametrize(
    ("band", "told_as"),
    [
        pytest.param(Band(low=0.02), "- (stable had none)", id="nothing can be said"),
        pytest.param(Band(low=30.0), "- [30x or more]", id="it is many times whatever it is"),
    ],
)
def test_a_multiple_of_nothing_is_told_as_that(band: Band, told_as: str) -> None:
    measure = Measure("latency", 0.25, Arms(6, 196, 0, 1820), 5.0, True, ratio=1.25, band=band)

    assert times(measure) == told_as


# ---------------------------------------------------------------- what is missing


async def test_an_edited_verdict_is_seen_as_different(cluster: Cluster) -> None:
    journal = BAD.evidence()["data"]["journal.json"].replace("Fail Worse", "Pass Safe", 1)
    put(cluster, BAD, **{"journal.json": journal})

    ran = await cluster.run("explain", "echo/echo")

    assert "DIFFERS from 2026-11-23 14:" in ran.stdout
    assert "stored Pass (Safe), now Fail (Worse)" in ran.stdout


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"journal.json": ""}, "nothing has been judged yet", id="no journal"),
        pytest.param({"journal.json": damaged(BAD)}, "is damaged", id="a damaged journal"),
        pytest.param({"policy.json": "{}"}, "the policy in ConfigMap", id="no policy"),
    ],
)
async def test_without_a_journal_the_record_is_told_and_what_is_missing(
    cluster: Cluster, changes: dict[str, str], why: str
) -> None:
    put(cluster, BAD, **changes)

    ran = await cluster.run("explain", "echo/echo")

    first, second = ran.stdout.splitlines()
    assert ran.code == 0
    assert first.startswith("echo/echo v1→v2: ✖ rolled back: canary failed ")
    assert second.startswith("  No evidence to explain it with: ")
    assert why in second


async def test_without_any_evidence_that_is_said(cluster: Cluster) -> None:
    put(cluster, BAD)
    cluster.api.faults.answer(403, times=None, resource="configmaps")

    ran = await cluster.run("explain", "echo/echo")

    assert ran.code == 0
    assert "its evidence ConfigMap is not there, may not be read" in ran.stdout


async def test_of_a_long_rollout_it_is_told_where_the_replay_begins(cluster: Cluster) -> None:
    gone = Sums(looks=40, seconds=200.0, canary=400, canary_failed=2, stable=3600, stable_failed=9)
    put(cluster, replace(BAD, journal=replace(BAD.journal, gone=gone)))

    ran = await cluster.run("explain", "echo/echo")

    assert (
        "40 earlier looks are kept as sums only: canary failed 2 of 400 requests (0.5 %), stable 9"
        " of 3,600 requests (0.25 %)" in ran.stdout
    )


async def test_a_journal_without_a_look_says_so(cluster: Cluster) -> None:
    empty = replace(BAD.journal, lines=(), size=0)
    put(cluster, replace(BAD, journal=empty))

    ran = await cluster.run("explain", "echo/echo")

    assert ran.stdout.endswith(
        "  No look has been taken yet.\n"
        "  Next:     crossfade retry echo/echo, once v2 is mended; nobody is on it\n"
    )


async def test_foreign_text_cannot_drive_the_terminal(cluster: Cluster) -> None:
    journal = replace(BAD.journal, canary="v2\x1b[31m")
    put(cluster, replace(BAD, journal=journal))

    ran = await cluster.run("explain", "echo/echo")

    assert "\x1b" not in ran.stdout


# ---------------------------------------------------------------- which target


async def test_the_only_rollout_of_a_namespace_needs_no_name(cluster: Cluster) -> None:
    put(cluster, BAD)

    ran = await cluster.run("explain", "-n", "echo")

    assert ran.stdout.startswith("✖ Rolled back echo/echo")


async def test_of_several_rollouts_one_has_to_be_named(cluster: Cluster) -> None:
    put(cluster, BAD)
    cluster.adopt(a_record(target="other"), key=TargetKey("echo", "other"))

    ran = await cluster.run("explain", "-n", "echo")

    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == "error: which one? there are echo/echo, echo/other\n"


async def test_a_namespace_without_rollouts_has_nothing_to_explain(cluster: Cluster) -> None:
    put(cluster, BAD)

    ran = await cluster.run("explain", "-n", "pay")

    assert ran.code == 1
    assert "no rollouts in namespace pay" in ran.stderr


# ---------------------------------------------------------------- JSON, files


async def test_json_has_everything_that_the_text_tells(cluster: Cluster) -> None:
    put(cluster, BAD)

    document = json.loads((await cluster.run("explain", "echo/echo", "-o", "json")).stdout)

    explanation = document["explanation"]
    assert (document["kind"], document["apiVersion"]) == ("RolloutExplanation", "crossfade.dev/v1")
    assert document["metadata"] == {"namespace": "echo", "name": "echo"}
    assert explanation["decisive"]["verdict"] == "Fail"
    assert explanation["missing"] is None
    assert explanation["record"]["rollout"] == explanation["rollout"]
    failures, *latency = explanation["measures"]
    assert failures["slowerThan"] is None
    assert failures["canary"]["bad"] > 0
    assert failures["band"]["low"] > 1
    assert failures["evidence"] > 100
    assert len(latency) > 1
    assert explanation["weights"][0]["allowedBy"] == "start"
    assert explanation["users"]["excess"] > 1
    assert explanation["replay"] == {"agrees": True, "differs": None}


async def test_json_says_what_is_missing(cluster: Cluster) -> None:
    put(cluster, BAD, **{"journal.json": ""})

    document = json.loads((await cluster.run("explain", "echo/echo", "-o", "json")).stdout)

    assert document["explanation"]["missing"] == "nothing has been judged yet"


async def test_json_tells_a_difference(cluster: Cluster) -> None:
    journal = BAD.evidence()["data"]["journal.json"].replace("Fail Worse", "Pass Safe", 1)
    put(cluster, BAD, **{"journal.json": journal})

    document = json.loads((await cluster.run("explain", "echo/echo", "-o", "json")).stdout)

    assert document["explanation"]["replay"]["differs"]["stored"] == ["Pass", "Safe"]


async def test_a_saved_case_can_be_replayed_without_a_cluster(
    cluster: Cluster, tmp_path: Path
) -> None:
    put(cluster, BAD)
    file = tmp_path / "case.json"

    saved = await cluster.run("explain", "echo/echo", "--save", str(file))

    assert saved.code == 0
    assert saved.stdout.endswith(
        f"looks of echo/echo v1 → v2, rollout {BAD.journal.rollout}; crossfade replay {file}\n"
    )
    assert json.loads(file.read_text())["kind"] == "RolloutJournal"


@pytest.mark.parametrize(
    ("changes", "file", "why"),
    [
        pytest.param({"journal.json": ""}, "case.json", "nothing has been judged", id="no journal"),
        pytest.param({}, "no/such/folder", "No such file or directory", id="no folder"),
    ],
)
async def test_what_cannot_be_saved_is_an_error(
    cluster: Cluster, tmp_path: Path, changes: dict[str, str], file: str, why: str
) -> None:
    put(cluster, BAD, **changes)

    ran = await cluster.run("explain", "echo/echo", "--save", str(tmp_path / file))

    assert (ran.code, ran.stdout) == (1, "")
    assert why in ran.stderr
    assert KEY.name in str(ran.stderr) or file in ran.stderr
