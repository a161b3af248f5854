"""abort, promote, pause, resume, retry against an API server: what is written, and what is told."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.model import Pause, Phase, Promote, Record, Verb
from daemon.core.reasons import Reason
from daemon.core.requests import REQUEST_ANNOTATION
from daemon.kube.objects import CONFIGMAPS, DEPLOYMENTS
from tests.cli.conftest import Cluster
from tests.cli.records import NOW, a_record, an_evidence

NO_WAIT = "--no-wait"


def annotate(cluster: Cluster, text: str, deployment: str = "echo-v2") -> None:
    obj = cluster.api.store.get(DEPLOYMENTS, "echo", deployment)
    obj["metadata"].setdefault("annotations", {})[REQUEST_ANNOTATION] = text
    cluster.api.store.replace(DEPLOYMENTS, "echo", deployment, obj)


# ---------------------------------------------------------------- what is written


async def test_a_request_says_who_wants_what_of_which_rollout_and_why(cluster: Cluster) -> None:
    cluster.adopt(a_record())

    ran = await cluster.run("abort", "echo/echo", "--reason", "wrong flag", NO_WAIT)

    written = json.loads(cluster.request() or "")
    assert ran.code == 0
    assert re.fullmatch(r"2026-11-23T14:10:0\d\.\d{3}Z-[0-9a-f]{4}", written.pop("id"))
    assert written == {
        "verb": "abort",
        "rollout": "20261123-140152-3f2a",
        "by": "sandbox",
        "reason": "wrong flag",
    }


@pytest.mark.parametrize(
    ("arguments", "members"),
    [
        pytest.param(["abort", "--skip", "readiness"], {"skip": ["readiness"]}, id="abort"),
        pytest.param(
            ["promote", "--skip-check", "latency", "--reason", "known"],
            {"skip": ["latency"], "reason": "known"},
            id="promote",
        ),
        pytest.param(["pause"], {}, id="pause"),
        pytest.param(["resume"], {}, id="resume"),
        pytest.param(["retry", "--version", "v2"], {"version": "v2"}, id="retry"),
    ],
)
async def test_each_verb_is_written_with_its_options(
    cluster: Cluster, arguments: list[str], members: dict[str, Any]
) -> None:
    cluster.adopt(a_record())

    await cluster.run(arguments[0], "echo/echo", *arguments[1:], NO_WAIT)

    written = json.loads(cluster.request() or "")
    assert written["verb"] == arguments[0]
    assert {key: written[key] for key in written.keys() - {"id", "verb", "rollout", "by"}} == (
        members
    )


async def test_the_daemon_reads_what_the_command_writes(cluster: Cluster) -> None:
    cluster.adopt(a_record())

    await cluster.run("pause", "echo/echo", "--reason", 'say "hi" & <b>', NO_WAIT)

    request = await cluster.asked()
    assert (request.verb, request.reason) == (Verb.PAUSE, 'say "hi" & <b>')


async def test_where_there_is_no_canary_stables_deployment_gets_the_request(
    cluster: Cluster,
) -> None:
    cluster.adopt(a_record(Phase.IDLE, canary=None, revision=None))

    await cluster.run("pause", "echo/echo", NO_WAIT)

    assert cluster.request("echo-v1") is not None
    assert cluster.request("echo-v2") is None


async def test_only_deployments_that_the_record_names_are_written_to(cluster: Cluster) -> None:
    cluster.adopt(a_record(deployments=("gone",)))

    ran = await cluster.run("abort", "echo/echo", NO_WAIT)

    assert ran.code == 1
    assert "kubectl annotate -n echo deployment NAME crossfade.dev/request=VERB" in ran.stderr
    assert (cluster.request("echo-v1"), cluster.request("echo-v2")) == (None, None)


async def test_an_older_request_of_another_kind_is_replaced(cluster: Cluster) -> None:
    cluster.adopt(a_record())
    annotate(cluster, "resume")

    await cluster.run("pause", "echo/echo", NO_WAIT)

    assert json.loads(cluster.request() or "")["verb"] == "pause"


ABORT = {"id": "2026-11-23T14:09:59.000Z-00aa", "verb": "abort", "by": "ben"}


@pytest.mark.parametrize(
    "standing",
    [
        pytest.param(json.dumps(ABORT), id="one of the command line"),
        pytest.param("abort", id="a bare verb"),
        pytest.param(json.dumps(ABORT | {"rollout": a_record().id}), id="one for this rollout"),
    ],
)
async def test_an_abort_that_was_not_handled_is_never_overwritten(
    cluster: Cluster, standing: str
) -> None:
    cluster.adopt(a_record())
    annotate(cluster, standing)

    ran = await cluster.run("resume", "echo/echo", NO_WAIT)

    assert ran.code == 1
    assert "waits to be obeyed" in ran.stderr
    assert cluster.request() == standing


@pytest.mark.parametrize(
    ("record", "standing"),
    [
        pytest.param(a_record(handled=(ABORT["id"],)), ABORT, id="it was handled"),
        pytest.param(a_record(), ABORT | {"rollout": "another"}, id="it names another rollout"),
    ],
)
async def test_an_abort_of_the_past_is_overwritten(
    cluster: Cluster, record: Record, standing: dict[str, str]
) -> None:
    cluster.adopt(record)
    annotate(cluster, json.dumps(standing))

    ran = await cluster.run("pause", "echo/echo", NO_WAIT)

    assert ran.code == 0
    assert json.loads(cluster.request() or "")["verb"] == "pause"


async def test_an_abort_is_overwritten_by_an_abort(cluster: Cluster) -> None:
    cluster.adopt(a_record())
    annotate(cluster, json.dumps(ABORT))

    ran = await cluster.run("abort", "echo/echo", NO_WAIT)

    assert ran.code == 0
    assert json.loads(cluster.request() or "")["id"] > ABORT["id"]


async def test_a_request_is_newer_than_the_one_it_replaces(cluster: Cluster) -> None:
    cluster.adopt(a_record())
    ahead = "2026-11-23T14:10:04.500Z-ffff"
    annotate(cluster, json.dumps({"id": ahead, "verb": "pause"}))

    await cluster.run("resume", "echo/echo", NO_WAIT)

    assert json.loads(cluster.request() or "")["id"].startswith("2026-11-23T14:10:04.501Z-")


async def test_a_race_with_another_writer_is_tried_again(cluster: Cluster) -> None:
    cluster.adopt(a_record())
    lost = cluster.api.faults.answer(422, times=2, verb="patch", resource="deployments")

    ran = await cluster.run("pause", "echo/echo", NO_WAIT)

    assert (ran.code, lost.hits) == (0, 2)
    assert cluster.request() is not None


async def test_an_abort_that_comes_between_our_look_and_our_patch_is_not_overwritten(
    cluster: Cluster,
) -> None:
    cluster.adopt(a_record())
    patch = cluster.api.faults.slow(0.3, times=1, verb="patch", resource="deployments")

    async def abort() -> None:
        await cluster.wait_for(lambda: patch.hits)
        annotate(cluster, "abort")

    ran = await cluster.run_beside(abort(), "resume", "echo/echo", NO_WAIT)

    assert ran.code == 1
    assert cluster.request() == "abort"


async def test_a_dry_run_asks_the_server_and_changes_nothing(cluster: Cluster) -> None:
    cluster.adopt(a_record())

    ran = await cluster.run("abort", "echo/echo", "--dry-run")

    assert ran.code == 0
    assert "nothing was changed" in ran.stdout
    assert cluster.request() is None


async def test_a_dry_run_finds_a_missing_right(cluster: Cluster) -> None:
    cluster.adopt(a_record())
    cluster.api.faults.answer(403, times=None, verb="patch", resource="deployments")

    ran = await cluster.run("abort", "echo/echo", "--dry-run")

    assert ran.code == 6
    assert "patch deployments.apps 'echo-v2' in namespace echo" in ran.stderr


@pytest.mark.parametrize("verb", list(Verb))
async def test_nothing_can_be_asked_of_a_target_that_is_not_adopted(
    cluster: Cluster, verb: Verb
) -> None:
    ran = await cluster.run(verb, "echo/echo", NO_WAIT)

    assert (ran.code, ran.stdout) == (1, "")
    assert "echo/echo is not adopted" in ran.stderr


async def test_a_lost_record_can_be_aborted_by_what_the_evidence_names(cluster: Cluster) -> None:
    cluster.adopt(None)
    cluster.put(CONFIGMAPS, an_evidence(a_record()))

    ran = await cluster.run("abort", "echo/echo", NO_WAIT)

    assert ran.code == 0
    assert "rollout" not in json.loads(cluster.request() or "")


@pytest.mark.parametrize(
    ("verb", "record", "said"),
    [
        pytest.param(
            "abort",
            a_record(Phase.ROLLED_BACK),
            "already rolled back: v1 serves everybody",
            id="abort of a rollout that is back",
        ),
        pytest.param(
            "promote",
            a_record(Phase.BAKING, weight=100),
            "v2 is at 100% already (baking)",
            id="promote at 100 percent",
        ),
        pytest.param(
            "pause",
            a_record(paused=Pause("lunch", "ana", NOW)),
            "already paused by ana: lunch",
            id="pause of a paused one",
        ),
    ],
)
async def test_what_is_so_already_is_not_asked_for_again(
    cluster: Cluster, verb: str, record: Record, said: str
) -> None:
    cluster.adopt(record)

    ran = await cluster.run(verb, "echo/echo")

    assert (ran.code, ran.stdout) == (0, f"echo/echo: {said}\n")
    assert cluster.request() is None


async def test_at_100_percent_a_check_can_still_be_skipped(cluster: Cluster) -> None:
    cluster.adopt(a_record(Phase.BAKING, weight=100))
    skip = ["--skip-check", "success rate", "--reason", "known"]

    await cluster.run("promote", "echo/echo", *skip, NO_WAIT)

    assert json.loads(cluster.request() or "")["skip"] == ["success rate"]


async def test_an_abort_after_the_end_names_the_way_back(cluster: Cluster) -> None:
    cluster.adopt(a_record(Phase.IDLE))

    ran = await cluster.run("abort", "echo/echo")

    assert ran.code == 1
    assert "crossfade retry echo/echo --version VERSION" in ran.stderr


# ---------------------------------------------------------------- what is told


async def test_an_abort_ends_when_traffic_was_seen_on_stable_alone(cluster: Cluster) -> None:
    cluster.adopt(a_record())

    async def roll_back() -> None:
        await cluster.obey(
            phase=Phase.ROLLING_BACK, weight=0, step=0, decision=18, reason=Reason.ABORTED
        )
        cluster.change(replace(cluster.record(), phase=Phase.ROLLED_BACK))

    ran = await cluster.run_beside(roll_back(), "abort", "echo/echo")

    assert ran.code == 0
    assert re.fullmatch(
        r"echo/echo: v2 25% → 0%, v1 75% → 100%\. ✔ traffic seen on v1 only \(\d+\.\d s\)\n",
        ran.stdout,
    )
    assert "waiting for the daemon" in ran.stderr


async def test_an_abort_that_is_not_seen_live_in_time_is_exit_4_and_says_so(
    cluster: Cluster,
) -> None:
    cluster.adopt(a_record())
    back = {"phase": Phase.ROLLING_BACK, "weight": 0, "step": 0, "reason": Reason.ABORTED}

    ran = await cluster.run_beside(cluster.obey(**back), "abort", "echo/echo", "--timeout", "900ms")

    assert ran.code == 4
    assert ran.stdout == "echo/echo: v2 25% → 0%, v1 75% → 100%.\n"
    assert "not every proxy was seen to serve v1 alone" in ran.stderr


async def test_an_abort_that_was_refused_is_exit_1_with_why(cluster: Cluster) -> None:
    cluster.adopt(a_record())

    async def refuse() -> None:
        await cluster.obey(reason=Reason.NO_WAY_BACK)
        cluster.tell_event("echo/echo: abort refused: v1 has no ready pod to go back to")

    ran = await cluster.run_beside(refuse(), "abort", "echo/echo")

    assert (ran.code, ran.stdout) == (1, "")
    assert "echo/echo: abort refused: v1 has no ready pod to go back to" in ran.stderr


OBEYED = {
    "pause": (
        a_record(),
        {"paused": Pause("asked for", "ana", NOW)},
        "paused at 25% (shifting); rollback stays armed.",
    ),
    "pause of an idle target": (
        a_record(Phase.IDLE),
        {"paused": Pause("asked for", "ana", NOW)},
        "paused; v1 serves everybody.",
    ),
    "resume": (
        a_record(paused=Pause("lunch", "ana", NOW)),
        {"paused": None},
        "resumed (shifting, 25%).",
    ),
    "resume after an edit of the route": (
        a_record(),
        {"decision": 18},
        "resumed (shifting, 25%).",
    ),
    "retry": (
        a_record(Phase.ROLLED_BACK),
        {"id": "20261123-141000-0001", "phase": Phase.PREPARING},
        "v2 is tried again (preparing).",
    ),
    "promote before the proof": (
        a_record(),
        {"promote": "id"},
        "v2 goes from 25% straight to 100%.",
    ),
    "promote before smoke": (
        a_record(Phase.SMOKE),
        {"promote": "id"},
        "v2 goes straight to 100% once its pods are ready and smoke passes.",
    ),
    "promote done": (
        a_record(),
        {"phase": Phase.BAKING, "weight": 100},
        "v2 25% → 100% (baking).",
    ),
}


@pytest.mark.parametrize(
    ("verb", "record", "changes", "said"),
    [(name.split()[0], *row) for name, row in OBEYED.items()],
    ids=OBEYED.keys(),
)
async def test_what_the_daemon_did_is_told_in_a_sentence(
    cluster: Cluster, verb: str, record: Record, changes: dict[str, Any], said: str
) -> None:
    cluster.adopt(record)

    async def obey() -> None:
        if "promote" in changes:
            changes["promote"] = Promote((await cluster.asked()).id)
        await cluster.obey(**changes)

    ran = await cluster.run_beside(obey(), verb, "echo/echo")

    assert (ran.code, ran.stdout) == (0, f"echo/echo: {said}\n")


async def test_a_request_that_was_ignored_is_exit_1_with_the_events_words(
    cluster: Cluster,
) -> None:
    cluster.adopt(a_record())
    cluster.tell_event("echo/echo: retry ignored: a rollout is in Shifting")

    async def ignore() -> None:
        cluster.tell_event("echo/echo: resume ignored: nothing is paused")
        await cluster.obey()

    ran = await cluster.run_beside(ignore(), "resume", "echo/echo")

    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.endswith("error: echo/echo: resume ignored: nothing is paused\n")


async def test_a_request_without_effect_and_without_an_event_shows_how_things_stand(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.answers.POLL_SECONDS", 0.01)
    cluster.adopt(a_record())

    ran = await cluster.run_beside(cluster.obey(), "resume", "echo/echo")

    assert ran.code == 1
    assert "resume had no effect; shifting at 25%: both checks pass" in ran.stderr


async def test_an_event_about_an_earlier_request_explains_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.answers.POLL_SECONDS", 0.01)
    cluster.adopt(a_record())
    cluster.time = NOW - timedelta(minutes=5)
    cluster.tell_event("echo/echo: resume ignored: it names another rollout")
    cluster.time = NOW

    ran = await cluster.run_beside(cluster.obey(), "resume", "echo/echo")

    assert ran.code == 1
    assert "another rollout" not in ran.stderr


async def test_a_daemon_that_does_not_answer_is_exit_4_and_the_request_stays(
    cluster: Cluster,
) -> None:
    cluster.adopt(a_record())

    ran = await cluster.run("abort", "echo/echo", "--timeout", "100ms")

    assert (ran.code, ran.stdout) == (4, "")
    assert "is obeyed as soon as the daemon sees it; does it run?" in ran.stderr
    assert cluster.request() is not None


async def test_an_api_server_away_for_a_moment_does_not_end_the_wait(cluster: Cluster) -> None:
    cluster.adopt(a_record())

    async def pause() -> None:
        await cluster.asked()
        cluster.api.faults.answer(503, times=2, verb="get", resource="virtualservices")
        await cluster.obey(paused=Pause("asked for", "ana", NOW))

    ran = await cluster.run_beside(pause(), "pause", "echo/echo")

    assert ran.code == 0
