"""`crossfade status` against an API server: what is found, shown, and how the command ends."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from config.stored import dump_rollout
from daemon.core.model import Pause, Phase, Promote, Record, TargetKey
from daemon.core.record import record_annotation
from daemon.kube.objects import CONFIGMAPS, DEPLOYMENTS, REPLICASETS, VIRTUALSERVICES
from tests.cli.conftest import Cluster
from tests.cli.records import KEY, NOW, a_policy, a_record, an_evidence
from tests.cli.stories import a_rollout

PAY = TargetKey("pay", "api")


async def test_a_rollout_is_shown_with_step_and_next_from_the_evidence(cluster: Cluster) -> None:
    record = a_record()
    cluster.adopt(record)
    confirmed_at = NOW - timedelta(minutes=1, seconds=48)
    cluster.put(CONFIGMAPS, an_evidence(record, confirmed_at=confirmed_at))

    ran = await cluster.run("status", "-n", "echo")

    row = ran.stdout.splitlines()[1].split("  ")
    assert [cell.strip() for cell in row if cell.strip()] == [
        "echo",
        "echo",
        "● shifting",
        "v1→v2",
        "[##........] 25% of v2",
        "3/5",
        "50% in 3m12s",
        "both checks pass (4812 requests)",
    ]
    assert (ran.code, ran.stderr) == (0, "")


async def test_without_readable_evidence_the_record_is_shown_all_the_same(
    cluster: Cluster,
) -> None:
    record = a_record()
    cluster.adopt(record)
    cluster.put(CONFIGMAPS, an_evidence(record))
    cluster.api.faults.answer(403, times=None, resource="configmaps")

    ran = await cluster.run("status", "echo/echo")

    assert ran.code == 0
    assert "25% of v2  3     -     both checks pass" in ran.stdout


async def test_evidence_of_another_rollout_is_not_believed(cluster: Cluster) -> None:
    cluster.adopt(a_record())
    cluster.put(CONFIGMAPS, an_evidence(a_record(id="20251101-000000-0000")))

    ran = await cluster.run("status", "echo/echo")

    assert "25% of v2  3     -  " in ran.stdout


async def test_two_config_maps_that_claim_a_rollout_are_believed_neither(cluster: Cluster) -> None:
    record = a_record()
    cluster.adopt(record)
    for namespace in ("crossfade", "pay"):
        cluster.put(CONFIGMAPS, an_evidence(record, namespace=namespace))

    ran = await cluster.run("status", "echo/echo")

    assert "25% of v2  3     -  " in ran.stdout


async def test_only_the_contexts_namespace_is_shown_unless_all_are_asked_for(
    cluster: Cluster,
) -> None:
    cluster.adopt(a_record())
    cluster.adopt(a_record(target="api"), key=PAY)

    here = await cluster.run("status", "-n", "pay", "-o", "name")
    everywhere = await cluster.run("status", "-A", "-o", "name")

    assert here.stdout == "pay/api\n"
    assert everywhere.stdout == "echo/echo\npay/api\n"


async def test_a_namespace_without_rollouts_says_where_there_are_some(cluster: Cluster) -> None:
    cluster.adopt(a_record())

    ran = await cluster.run("status", "-n", "pay")

    assert (ran.code, ran.stdout) == (0, "")
    assert ran.stderr == "no rollouts in namespace pay; 1 elsewhere: crossfade status -A\n"


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        pytest.param("default/echo", "did you mean echo/echo?", id="the other namespace"),
        pytest.param("echo/ecko", "did you mean echo/echo?", id="a typing error"),
        pytest.param("shop/cart", "there are echo/echo", id="something else altogether"),
    ],
)
async def test_a_target_without_a_record_is_not_adopted(
    cluster: Cluster, target: str, hint: str
) -> None:
    cluster.adopt(a_record())

    ran = await cluster.run("status", target)

    assert (ran.code, ran.stdout) == (1, "")
    assert f"{target} is not adopted" in ran.stderr
    assert hint in ran.stderr


async def test_a_damaged_record_is_shown_as_blocked(cluster: Cluster) -> None:
    cluster.adopt('{"v":9}')

    ran = await cluster.run("status", "echo/echo")

    assert ran.code == 0
    assert "! blocked" in ran.stdout
    assert "has format 9" in ran.stdout


async def test_a_record_lost_in_mid_rollout_is_still_found_by_its_evidence(
    cluster: Cluster,
) -> None:
    cluster.adopt(None)
    cluster.put(CONFIGMAPS, an_evidence(a_record()))

    ran = await cluster.run("status", "echo/echo")

    assert ran.code == 0
    assert "the record on the route is lost" in ran.stdout


async def test_evidence_that_outlived_its_rollout_is_no_rollout(cluster: Cluster) -> None:
    cluster.adopt(None)
    cluster.put(CONFIGMAPS, an_evidence(a_record(Phase.IDLE)))

    ran = await cluster.run("status", "-A", "-o", "name")

    assert ran.stdout == ""


async def test_a_name_too_long_for_an_annotation_is_completed_from_the_record(
    cluster: Cluster,
) -> None:
    key = TargetKey("echo", "e" * 60)
    assert key.name not in record_annotation(key)
    cluster.adopt(a_record(target=key.name), key=key)

    ran = await cluster.run("status", "-A", "-o", "name")

    assert ran.stdout == f"{key}\n"


# ---------------------------------------------------------------- a route that was edited


@pytest.mark.parametrize(
    ("weights", "traffic"),
    [
        pytest.param({"v1": 75, "v2": 25}, "[##........] 25% of v2", id="as it is recorded"),
        pytest.param(
            {"v1": 90, "v2": 10},
            "[#.........] 25% recorded, route says 10%",
            id="other weights",
        ),
        pytest.param(
            {"v1": 90, "v0": 10},
            "v1 75 %, v2 25 % recorded, route says v1 90 %, v0 10 %",
            id="another version",
        ),
    ],
)
async def test_the_row_says_what_the_route_says_where_the_record_says_else(
    cluster: Cluster, weights: dict[str, float], traffic: str
) -> None:
    record = a_record()
    cluster.adopt(record, weights=weights)
    cluster.put(CONFIGMAPS, an_evidence(record, policy=dump_rollout(a_rollout())))

    ran = await cluster.run("status", "echo/echo")

    assert f"  {traffic}  " in ran.stdout.splitlines()[1]


async def test_an_idle_target_whose_route_was_split_by_hand_is_told_so(cluster: Cluster) -> None:
    record = a_record(Phase.IDLE)
    cluster.adopt(record, weights={"v1": 90, "v2": 10})
    cluster.put(CONFIGMAPS, an_evidence(record, policy=dump_rollout(a_rollout())))

    ran = await cluster.run("status", "echo/echo")

    assert "  v1 alone recorded, route says v1 90 %, v2 10 %  " in ran.stdout


async def test_json_tells_the_edit_in_a_sentence(cluster: Cluster) -> None:
    record = a_record()
    cluster.adopt(record, weights={"v1": 90, "v2": 10})
    cluster.put(CONFIGMAPS, an_evidence(record, policy=dump_rollout(a_rollout())))

    ran = await cluster.run("status", "echo/echo", "-o", "json")

    (item,) = json.loads(ran.stdout)["items"]
    assert item["status"]["drift"] == "the route says v1 90 %, v2 10 %, not v1 75 %, v2 25 %"


# ---------------------------------------------------------------- machines


async def test_json_is_an_api(cluster: Cluster) -> None:
    record = a_record(
        paused=Pause("lunch", "ana", NOW - timedelta(minutes=5)),
        promote=Promote("an-id", ("latency",), "ana", "known"),
        rejected=("v0/1a2b",),
    )
    cluster.adopt(record)
    cluster.put(CONFIGMAPS, an_evidence(record))

    ran = await cluster.run("status", "echo/echo", "-o", "json")

    assert json.loads(ran.stdout) == {
        "apiVersion": "crossfade.dev/v1",
        "kind": "RolloutStatusList",
        "items": [
            {
                "metadata": {"namespace": "echo", "name": "echo"},
                "status": {
                    "state": "Paused",
                    "ended": True,
                    "why": "paused by ana 5m ago: lunch",
                    "judgement": None,
                    "drift": None,
                    "step": 3,
                    "steps": 5,
                    "next": {"what": "waits for: resume", "weight": None, "at": None},
                    "route": {
                        "kind": "VirtualService",
                        "namespace": "gloo-system",
                        "name": "echo",
                    },
                    "phase": "Shifting",
                    "id": "20261123-140152-3f2a",
                    "stable": "v1",
                    "canary": "v2",
                    "revision": "v2/77c4",
                    "weight": 25,
                    "since": "2026-11-23T14:08:00.000Z",
                    "reason": "AnalysisPassed",
                    "message": "both checks pass (4812 requests)",
                    "decision": 17,
                    "lastConfirmed": None,
                    "paused": {
                        "reason": "lunch",
                        "by": "ana",
                        "at": "2026-11-23T14:05:00.000Z",
                    },
                    "held": None,
                    "promote": {"skip": ["latency"], "by": "ana", "reason": "known"},
                    "rejected": ["v0/1a2b"],
                    "deployments": ["echo-v1", "echo-v2"],
                },
            }
        ],
    }


async def test_json_of_nothing_is_an_empty_list(cluster: Cluster) -> None:
    ran = await cluster.run("status", "-A", "-o", "json")

    assert json.loads(ran.stdout)["items"] == []


async def test_yaml_is_the_same_document(cluster: Cluster) -> None:
    cluster.adopt(a_record())

    as_json = await cluster.run("status", "-A", "-o", "json")
    as_yaml = await cluster.run("status", "-A", "-o", "yaml")

    assert yaml.safe_load(as_yaml.stdout) == json.loads(as_json.stdout)


# ---------------------------------------------------------------- rights and reach


async def test_a_missing_right_is_named_and_exit_6(cluster: Cluster) -> None:
    cluster.api.faults.answer(403, times=None, verb="list")

    ran = await cluster.run("status", "-A")

    assert (ran.code, ran.stdout) == (6, "")
    assert "list virtualservices.gateway.solo.io" in ran.stderr


async def test_rights_in_the_routes_namespace_alone_are_enough(cluster: Cluster) -> None:
    cluster.adopt(a_record())
    cluster.api.faults.answer(403, times=None, verb="list", namespace="")

    ran = await cluster.run("status", "echo/echo", "-o", "name")

    assert (ran.code, ran.stdout) == (0, "echo/echo\n")


async def test_one_kind_of_route_that_may_not_be_listed_is_no_obstacle(cluster: Cluster) -> None:
    cluster.adopt(a_record())
    cluster.api.faults.answer(403, times=None, resource="routetables")

    ran = await cluster.run("status", "echo/echo", "-o", "name")

    assert (ran.code, ran.stdout) == (0, "echo/echo\n")


async def test_a_cluster_without_gloo_is_told_so(cluster: Cluster) -> None:
    cluster.api.faults.answer(404, times=None, resource="virtualservices")
    cluster.api.faults.answer(404, times=None, resource="routetables")

    ran = await cluster.run("status", "-A")

    assert ran.code == 1
    assert "neither VirtualService nor RouteTable" in ran.stderr


async def test_a_cluster_out_of_reach_is_exit_6(cluster: Cluster) -> None:
    await cluster.api.stop()

    ran = await cluster.run("status", "-A")

    assert (ran.code, ran.stdout) == (6, "")
    assert "No connection to the API server" in ran.stderr


async def test_a_kubeconfig_that_is_none_is_told(cluster: Cluster) -> None:
    cluster.kubeconfig.write_text("{}")

    ran = await cluster.run("status", "-A")

    assert ran.code == 1
    assert str(cluster.kubeconfig) in ran.stderr


# ---------------------------------------------------------------- watching


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"phase": Phase.IDLE, "weight": 0}, 0, id="promoted"),
        pytest.param({"phase": Phase.ROLLED_BACK, "weight": 0}, 3, id="rolled back"),
        pytest.param({"paused": Pause("lunch", "ana", NOW)}, 5, id="waiting for a person"),
    ],
)
async def test_a_watch_ends_with_the_rollout_and_its_exit_code_says_how(
    cluster: Cluster, changes: dict, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.watch.LOOK_SECONDS", 0.02)
    cluster.adopt(a_record())

    async def end_it() -> None:
        await asyncio.sleep(0)
        cluster.change(replace(a_record(), **changes))

    ran = await cluster.run_beside(end_it(), "status", "echo/echo", "--watch")

    assert ran.code == code


async def test_a_watch_without_a_terminal_prints_one_line_per_change(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.watch.LOOK_SECONDS", 0.02)
    cluster.adopt(a_record())
    looks = cluster.api.faults.slow(0, verb="get", resource="virtualservices")

    async def go_on() -> None:
        for record in (a_record(weight=50, decision=18), a_record(Phase.IDLE, decision=20)):
            hits = looks.hits
            await cluster.wait_for(lambda hits=hits: looks.hits > hits + 2)
            cluster.change(record)

    ran = await cluster.run_beside(go_on(), "status", "echo/echo", "--watch")

    lines = ran.stdout.splitlines()
    assert len(lines) == 3
    assert [line.split("  ")[1:3] for line in lines] == [
        ["echo/echo", "● shifting"],
        ["echo/echo", "● shifting"],
        ["echo/echo", "✔ idle"],
    ]


async def test_a_watch_as_json_prints_one_document_per_change(cluster: Cluster) -> None:
    cluster.adopt(a_record(Phase.ROLLED_BACK))

    ran = await cluster.run("status", "echo/echo", "--watch", "-o", "json")

    assert ran.code == 3
    assert json.loads(ran.stdout)["kind"] == "RolloutStatus"


async def test_a_watch_that_takes_too_long_is_exit_4(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.watch.LOOK_SECONDS", 0.02)
    cluster.adopt(a_record())

    ran = await cluster.run("status", "echo/echo", "--watch", "--timeout", "50ms")

    assert ran.code == 4
    assert "timed out" in ran.stderr


async def test_a_watch_survives_an_api_server_that_is_away_for_a_moment(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.watch.LOOK_SECONDS", 0.02)
    cluster.adopt(a_record())
    away = cluster.api.faults.answer(503, times=3, verb="get", resource="virtualservices")

    async def come_back() -> None:
        await cluster.wait_for(lambda: away.hits == 3)
        cluster.change(a_record(Phase.IDLE))

    ran = await cluster.run_beside(come_back(), "status", "echo/echo", "--watch")

    assert ran.code == 0
    assert "still trying" in ran.stderr


# ---------------------------------------------------------------- right after apply


AT_REST = a_record(Phase.IDLE, canary=None, revision=None)
TWO_SECONDS = ("status", "echo/echo", "--watch", "--timeout", "2s")


def rest(cluster: Cluster, record: Record, app: str = "echo") -> None:
    """A target at rest with its evidence; `app` is whose Deployments its policy means."""
    cluster.adopt(record)
    cluster.put(CONFIGMAPS, an_evidence(record, policy=a_policy(selector={"app": app})))


def settle(cluster: Cluster, template_hash: str) -> None:
    """Be the controller of echo-v2: give it its ReplicaSet."""
    store, name = cluster.api.store, "echo-v2"
    deployment = store.get(DEPLOYMENTS, "echo", name)
    metadata, template = deployment["metadata"], deployment["spec"]["template"]
    metadata["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    store.replace(DEPLOYMENTS, "echo", name, deployment)
    deployment = store.get(DEPLOYMENTS, "echo", name)
    deployment["status"] = {"observedGeneration": deployment["metadata"]["generation"]}
    store.replace(DEPLOYMENTS, "echo", name, deployment, subresource="status")
    labels = template["metadata"]["labels"] | {"pod-template-hash": template_hash}
    template = {**template, "metadata": {"labels": labels}}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "controller": True}
    own = {
        "name": f"{name}-{template_hash}",
        "namespace": "echo",
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "labels": labels,
        "ownerReferences": [owner | {"uid": metadata["uid"]}],
    }
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    body = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": own, "spec": spec}
    cluster.put(REPLICASETS, body)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(AT_REST, id="idle"),
        pytest.param(
            a_record(Phase.ROLLED_BACK, canary="v3", revision="v3/1a", rejected=("v3/1a",)),
            id="the last one was rolled back",
        ),
    ],
)
async def test_a_watch_right_after_apply_waits_until_the_daemon_has_begun(
    cluster: Cluster, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.watch.LOOK_SECONDS", 0.02)
    rest(cluster, record)
    settle(cluster, "77c4")
    looks = cluster.api.faults.slow(0, verb="list", resource="deployments")

    async def roll_back() -> None:
        await cluster.wait_for(lambda: looks.hits > 2)
        cluster.change(a_record(Phase.ROLLED_BACK, rejected=("v2/77c4",)))

    ran = await cluster.run_beside(roll_back(), *TWO_SECONDS)

    assert ran.code == 3
    assert ran.stderr == "v2 (echo-v2): new; waiting for the daemon to begin\n"


@pytest.mark.parametrize(
    ("known", "code"),
    [
        pytest.param({"rejected": ("v2/77c4",)}, 3, id="the rejected revision: it has ended"),
        pytest.param({"known": ("v2/77c4",)}, 3, id="one that is known"),
        pytest.param({"rejected": ("v2/old",)}, 4, id="another template under its label: it waits"),
    ],
)
async def test_what_is_new_is_told_by_its_template(
    cluster: Cluster, known: dict[str, Any], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.watch.LOOK_SECONDS", 0.02)
    rest(cluster, a_record(Phase.ROLLED_BACK, **known))
    settle(cluster, "77c4")

    ran = await cluster.run("status", "echo/echo", "--watch", "--timeout", "200ms")

    assert ran.code == code


async def test_a_watch_says_so_when_nobody_begins(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.watch.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("daemon.cli.watch.UNSEEN_SECONDS", 0.1)
    rest(cluster, AT_REST)

    ran = await cluster.run(*TWO_SECONDS)

    assert ran.code == 5
    assert "v2 (echo-v2): no rollout has begun" in ran.stderr
    assert "does the daemon run?" in ran.stderr


async def test_another_applications_version_keeps_no_watch_waiting(cluster: Cluster) -> None:
    rest(cluster, AT_REST, app="shop")

    ran = await cluster.run(*TWO_SECONDS)

    assert ran.code == 0


async def test_a_version_without_replicas_keeps_no_watch_waiting(cluster: Cluster) -> None:
    rest(cluster, AT_REST)
    deployment = cluster.api.store.get(DEPLOYMENTS, "echo", "echo-v2")
    deployment["spec"]["replicas"] = 0
    cluster.api.store.replace(DEPLOYMENTS, "echo", "echo-v2", deployment)

    ran = await cluster.run(*TWO_SECONDS)

    assert ran.code == 0


async def test_without_the_right_to_list_deployments_a_watch_ends_by_the_record(
    cluster: Cluster,
) -> None:
    rest(cluster, AT_REST)
    cluster.api.faults.answer(403, times=None, resource="deployments")

    ran = await cluster.run(*TWO_SECONDS)

    assert ran.code == 0


# ---------------------------------------------------------------- terminals


def _on_a_terminal(command: list[str], **env: str) -> bytes:
    """Run a command with a terminal as its stdout; return all that it wrote there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, **env}
    ) as process:
        os.close(theirs)
        written = b""
        while chunk := _read(ours):
            written += chunk
        process.wait(timeout=30)
    os.close(ours)
    return written


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the other side is closed
        return b""


@pytest.mark.parametrize(
    ("env", "options", "colored"),
    [
        pytest.param({"NO_COLOR": ""}, [], True, id="a terminal has colour"),
        pytest.param({"NO_COLOR": "1"}, [], False, id="unless NO_COLOR is set"),
        pytest.param({"NO_COLOR": ""}, ["--no-color"], False, id="or --no-color is given"),
    ],
)
async def test_colour_is_for_terminals_whose_owner_wants_it(
    cluster: Cluster, env: dict[str, str], options: list[str], colored: bool
) -> None:
    cluster.adopt(a_record())
    command = [sys.executable, "-m", "daemon", "status", "-A", *options]

    written = await asyncio.to_thread(
        _on_a_terminal, [*command, "--kubeconfig", str(cluster.kubeconfig)], **env
    )

    assert "● shifting".encode() in written
    assert (b"\x1b[36m" in written) is colored


async def test_a_watch_on_a_terminal_redraws_in_place(cluster: Cluster) -> None:
    cluster.adopt(a_record(Phase.IDLE))
    command = [sys.executable, "-m", "daemon", "status", "echo/echo", "--watch"]

    written = await asyncio.to_thread(
        _on_a_terminal, [*command, "--kubeconfig", str(cluster.kubeconfig)], TERM="xterm"
    )

    assert b"\x1b[?25l" in written  # the cursor is hidden while the screen is ours
    assert b"\x1b[?25h" in written  # and given back


async def test_an_output_that_has_no_symbols_gets_the_words(cluster: Cluster) -> None:
    cluster.adopt(a_record())

    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "daemon", "status", "-A", "--kubeconfig", str(cluster.kubeconfig)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        timeout=30,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"? shifting  v1?v2" in ran.stdout


__all__ = ["KEY", "VIRTUALSERVICES"]
