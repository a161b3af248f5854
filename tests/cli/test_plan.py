"""`crossfade plan`: what a rollout can see, told before it, from given numbers or the evidence."""

import json
import re
from dataclasses import replace
from pathlib import Path

import click.testing
import pytest

from analysis.settings import settings_from
from daemon.cli.program import program
from daemon.core.model import TargetKey
from daemon.kube.objects import CONFIGMAPS
from tests.cli.conftest import Cluster, Ran
from tests.cli.records import a_record
from tests.cli.stories import POLICY, Story, bad, good, told
from tests.spec.analysis.journals import Live, Look
from tests.spec.analysis.readings import arm, block

GOOD = told(good)
GIVEN = ("--rps", "12", "--base", "0.1%")


def run(*arguments: str, stdin: str = "") -> Ran:
    runner = click.testing.CliRunner()
    result = runner.invoke(program(), arguments, input=stdin, prog_name="crossfade")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def planned(text: str = POLICY, *arguments: str) -> str:
    ran = run("plan", "-", *(arguments or GIVEN), stdin=text)
    assert ran.code == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster to ask."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def flawless() -> Story:
    """A rollout of a service that is never slow and fails nothing."""
    live = Live(settings_from(GOOD.rollout))
    for _ in range(10):
        live.look(Look(block(arm(50), arm(450))))
    return replace(GOOD, journal=live.journal)


# ---------------------------------------------------------------- with given numbers


def test_each_step_tells_its_requests_and_what_is_seen_by_its_end() -> None:
    told_as = planned()

    first, heads, *rows = told_as.splitlines()
    assert first == "echo/echo  12 requests/s, stable fails 0.1 % (as given)"
    assert heads.split() == [
        "STEP",
        "WEIGHT",
        "FOR",
        "CANARY",
        "REQUESTS",
        "SUCCESS",
        "RATE",
        "SEES",
    ]
    assert re.match(r"  1/4   5%      1m   36  +from \d+ % on \(x\d+\)", rows[0])
    assert re.match(r"  4/4   100%    10m  7,200  +-", rows[3])


def test_the_whole_rollout_tells_what_it_sees_and_what_nobody_could() -> None:
    assert re.search(
        r"  success rate: can see [\d.]+ % \(x[\d.]+\) in nine rollouts of ten; no test can see"
        r" less than [\d.]+ % \(x[\d.]+\)\.",
        planned(),
    )


def test_what_cannot_be_seen_tells_how_long_it_would_take() -> None:
    assert re.search(r"Cannot see x2 \(0\.2 %\): would need \d+h\d\dm at 50% on average", planned())


def test_what_may_be_seen_is_not_promised() -> None:
    text = planned(POLICY, "--rps", "45", "--base", "0.1%")

    assert re.search(r"Not sure to see x5 \(0\.5 %\): would need \d+m\d\ds at 50%", text)


def test_a_busy_service_sees_both_and_is_promoted_with_evidence() -> None:
    text = planned(POLICY, "--rps", "5000", "--base", "1%")

    assert re.search(r"Sees x2 \(2 %\): takes \d+s at 50% on average", text)
    assert "A canary as good as stable is promoted with evidence" in text
    assert text.startswith("echo/echo  5,000 requests/s")


@pytest.mark.parametrize(
    ("undecided", "then"),
    [
        ("advance", "promoted by timetable, undecided"),
        ("hold", "held, undecided"),
        ("rollback", "rolled back, undecided"),
    ],
)
def test_a_quiet_service_is_told_what_follows_without_a_proof(undecided: str, then: str) -> None:
    text = planned(f"{POLICY}    analysis: {{onUndecided: {undecided}}}\n")

    assert f"A canary as good as stable is {then}: proof takes 9,747 canary requests" in text


def test_a_service_with_hardly_any_requests_sees_nothing() -> None:
    text = planned(POLICY, "--rps", "0.0001", "--base", "0.1%")

    assert "nothing yet" in text
    assert "too few requests to see even a canary that fails everything, by any test" in text


def test_without_a_history_latency_is_not_looked_at() -> None:
    assert (
        "latency: not looked at: no history tells how many of stable's requests are slow"
        in planned()
    )


def test_a_tolerated_drop_is_within_the_limit() -> None:
    text = planned(
        f"{POLICY}    analysis: {{checks: [{{name: ok, successRate: {{maxDrop: 5pp}}}}]}}\n"
    )

    assert "Cannot see x2 (0.2 %): it is within the limit, or nothing is compared." in text


def test_a_query_counts_no_requests() -> None:
    prometheus = POLICY.replace(
        "metrics: {pods: {port: 8080}}", "metrics: {prometheus: http://prometheus:9090}"
    )
    query = "{name: queue, query: queue_length, atMost: 10}"
    text = planned(f"{prometheus}    analysis: {{checks: [{query}]}}\n")

    assert "queue: judged by a query's number; it counts no requests" in text


def test_a_ramp_by_budget_is_planned_by_its_timetable() -> None:
    text = planned(f"{POLICY}    ramp: budget\n")

    assert re.search(r"1/4 +5% +1m", text)
    assert re.search(r"3/4 +50% +1m", text)


def test_every_rollout_of_a_file_is_planned(tmp_path: Path) -> None:
    two = POLICY + POLICY.split("rollouts:\n")[1].replace("  echo:\n", "  api:\n").replace(
        "gloo-system/echo", "gloo-system/api"
    ).replace("app: echo", "app: api")
    file = tmp_path / "policy.yaml"
    file.write_text(two)

    ran = run("plan", str(file), *GIVEN)

    heads = [line.split("  ")[0] for line in ran.stdout.splitlines() if line.startswith("echo/")]
    assert heads == ["echo/echo", "echo/api"]


def test_json_has_the_numbers() -> None:
    document = json.loads(planned(POLICY, *GIVEN, "-o", "json"))

    (item,) = document["items"]
    failures, latency = item["plan"]["checks"]
    assert (document["kind"], item["metadata"]["name"]) == ("RolloutPlanList", "echo")
    assert item["plan"]["requestsPerSecond"] == 12
    assert [it["weight"] for it in item["plan"]["steps"]] == [5, 20, 50, 100]
    assert failures["asked"][0]["times"] == 2
    assert failures["steps"][-1]["mostly"] > failures["steps"][-1]["atBest"] > 0.001
    assert latency["steps"] == []


# ---------------------------------------------------------------- from the evidence


async def test_a_target_is_planned_from_its_last_rollout(cluster: Cluster) -> None:
    cluster.adopt(GOOD.record)
    cluster.put(CONFIGMAPS, GOOD.evidence())

    ran = await cluster.run("plan", "echo/echo")

    first, heads, *_ = ran.stdout.splitlines()
    assert ran.code == 0
    assert re.fullmatch(
        r"echo/echo  [34]\d(\.\d)? requests/s, stable fails 0\.5\d? %"
        r" \(seen in rollout 20261123-140152-3f2a, 4m ago\)",
        first,
    )
    assert heads.endswith("LATENCY SEES")
    assert re.search(r"latency, slower than \d+ ms: can see ", ran.stdout)


async def test_what_is_given_goes_before_what_was_seen(cluster: Cluster) -> None:
    cluster.adopt(GOOD.record)
    cluster.put(CONFIGMAPS, GOOD.evidence())

    ran = await cluster.run("plan", "echo/echo", "--rps", "3")

    assert "3 requests/s, stable fails 0.5" in ran.stdout
    assert "(the rest seen in rollout" in ran.stdout


async def test_a_policy_file_is_planned_from_the_evidence_of_its_targets(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.adopt(GOOD.record)
    cluster.put(CONFIGMAPS, GOOD.evidence())
    cluster.adopt(a_record(target="api"), key=TargetKey("pay", "api"))
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)

    ran = await cluster.run("plan", str(file))

    assert "seen in rollout 20261123-140152-3f2a" in ran.stdout


async def test_a_target_without_a_journal_was_not_looked_at(cluster: Cluster) -> None:
    cluster.adopt(GOOD.record)
    cluster.put(CONFIGMAPS, GOOD.evidence(**{"journal.json": ""}))

    ran = await cluster.run("plan", "echo/echo")

    assert ran.code == 0
    assert (
        "echo/echo  not looked at: no evidence of its traffic; give --rps and --base" in ran.stdout
    )
    assert "success rate: not looked at: nobody knows how many requests come (--rps)" in ran.stdout


async def test_a_target_without_a_policy_needs_a_file(cluster: Cluster) -> None:
    cluster.adopt(a_record())

    ran = await cluster.run("plan", "echo/echo")

    assert (ran.code, ran.stdout) == (1, "")
    assert "no policy of it is kept; name a file: crossfade plan FILE" in ran.stderr


async def test_a_bad_rollouts_evidence_tells_what_stable_does(cluster: Cluster) -> None:
    story = told(bad)
    cluster.adopt(story.record)
    cluster.put(CONFIGMAPS, story.evidence())

    ran = await cluster.run("plan", "echo/echo")

    assert "stable fails 0.5" in ran.stdout


async def test_a_stable_that_never_failed_is_told_as_that_and_multiplied_by_nothing(
    cluster: Cluster,
) -> None:
    story = flawless()
    cluster.adopt(story.record)
    cluster.put(CONFIGMAPS, story.evidence())

    ran = await cluster.run("plan", "echo/echo")

    assert "100 requests/s, stable failed none of 4,500 (seen in rollout" in ran.stdout
    assert re.search(r"success rate: can see [\d.]+ % in nine rollouts of ten", ran.stdout)
    assert "(x" not in ran.stdout
    assert "Cannot see" not in ran.stdout


async def test_given_a_rate_a_stable_that_never_failed_is_planned_with_that(
    cluster: Cluster,
) -> None:
    story = flawless()
    cluster.adopt(story.record)
    cluster.put(CONFIGMAPS, story.evidence())

    ran = await cluster.run("plan", "echo/echo", "--base", "0.1%")

    assert "stable fails 0.1 %" in ran.stdout
    assert "Cannot see x2 (0.2 %)" in ran.stdout


async def test_a_histogram_whose_bounds_nothing_passes_is_told_as_that(cluster: Cluster) -> None:
    story = flawless()
    cluster.adopt(story.record)
    cluster.put(CONFIGMAPS, story.evidence())

    ran = await cluster.run("plan", "echo/echo")

    assert (
        "latency: not looked at: no bound of the histogram is one that 0.05 % to 30 % of stable's"
        " requests pass." in ran.stdout
    )


async def test_a_journal_without_looks_has_its_history(cluster: Cluster) -> None:
    story = replace(GOOD, journal=replace(GOOD.journal, lines=(), size=0))
    cluster.adopt(story.record)
    cluster.put(CONFIGMAPS, story.evidence())

    ran = await cluster.run("plan", "echo/echo")

    assert "40 requests/s, stable fails 0.5" in ran.stdout


# ---------------------------------------------------------------- what is missing


@pytest.mark.usefixtures("nowhere")
def test_without_a_cluster_a_file_is_planned_with_what_is_given() -> None:
    ran = run("plan", "-", "--rps", "12", stdin=POLICY)

    assert ran.code == 0
    assert "12 requests/s, failures unknown (--base) (as given)" in ran.stdout
    assert "no history tells how many of stable's requests fail (--base)" in ran.stdout
    assert ran.stderr.startswith("no evidence was looked at: no kubeconfig: ")


@pytest.mark.usefixtures("nowhere")
def test_the_rate_of_failures_alone_plans_nothing() -> None:
    ran = run("plan", "-", "--base", "1%", stdin=POLICY)

    assert "requests/s unknown (--rps), stable fails 1 % (as given)" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(["-", "--base", "7"], "%", id="a share without its unit"),
        pytest.param(["-", "--base", "100%"], "no share of failed requests", id="all fail"),
        pytest.param(["-", "--rps", "0"], "not in the range", id="no requests"),
        pytest.param(["no-such-file.yaml"], "No such file", id="no file"),
    ],
)
def test_bad_usage_is_exit_2(arguments: list[str], why: str) -> None:
    ran = run("plan", *arguments, *GIVEN[: 0 if len(arguments) > 1 else 4], stdin=POLICY)

    assert (ran.code, ran.stdout) == (2, "")
    assert why in ran.stderr


def test_an_invalid_policy_is_exit_2_with_its_problems() -> None:
    ran = run("plan", "-", *GIVEN, stdin=POLICY.replace("hold: 1m", "hold: 1"))

    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: invalid policy\nstdin:12:11: ")
