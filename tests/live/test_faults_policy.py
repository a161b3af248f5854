"""The policy file changes under a running release, turns bad, or loses the target.

A release ends under the policy it began with, over restarts too; the file is followed from rest on.
"""

import pytest

from daemon.clock import SystemClock
from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.http import AiohttpHttp
from daemon.kube.objects import CONFIGMAPS
from daemon.ports import HttpRequest
from tests.live.harness import policy_text
from tests.live.history import record_of
from tests.live.patience import PATIENT

LONG_FIRST = {
    "steps": [
        {"weight": 25, "hold": "3s"},
        {"weight": 60, "hold": "1s"},
        {"weight": 100},
    ]
}
OTHER_STEPS = PATIENT | {"steps": [{"weight": 10, "hold": "3s"}, {"weight": 100}]}
OPEN_ROUTE = {
    "matchers": [{"prefix": "/"}],
    "routeAction": {"single": {"upstream": {"name": "echo", "namespace": "gloo-system"}}},
}
EVIDENCE = "crossfade.echo.echo"


async def reload_successful(scene):
    """Read what the daemon's metrics say about the last reading of the file."""
    async with AiohttpHttp(SystemClock()) as http:
        url = f"http://127.0.0.1:{scene.daemon.app.port}/metrics"
        page = (await http.send(HttpRequest(url=url))).body.decode()
    lines = [it for it in page.splitlines() if not it.startswith("#")]
    [line] = [it for it in lines if it.startswith("crossfade_config_last_reload_successful")]
    return float(line.split()[1])


def weights(scene, rollout):
    """Return the weights that a rollout went through."""
    records = [it.record for it in scene.writes if it.record and it.record.id == rollout]
    return list(dict.fromkeys(it.weight for it in records if it.phase is not Phase.IDLE))


async def loaded(scene):
    """Wait until the daemon has read the file again."""
    await scene.line(lambda it: it.get("event") == "policy.loaded", "the file to be read again")


async def first_step(begin, **setting):
    """Bring v2 to its first step, long enough for a file to be read."""
    scene = await begin(policy=PATIENT | LONG_FIRST, **setting)
    await scene.adopted()
    await scene.deploy("v2")
    return scene, await scene.reaches(Phase.SHIFTING, weight=25)


async def promoted(scene):
    return await scene.reaches(Phase.IDLE, where=lambda it: it.stable == "v2")


# ---------------------------------------------------------------- a bad file


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(
            "apiVersion: crossfade.dev/v1\nkind: Policy\nrollouts: {echo: {}}\n", id="bad"
        ),
    ],
)
async def test_a_bad_file_keeps_the_old_policy_and_says_so(begin, text):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    scene.policy.write_text(text, encoding="utf-8")

    rejected = await scene.line(
        lambda it: it.get("event") == "policy.rejected", "a word about the file"
    )
    told = await reload_successful(scene)
    await scene.deploy("v2")
    first = await scene.reaches(Phase.SHIFTING)

    assert "policy.yaml" in rejected["error"]
    assert told == 0
    assert first.weight == 25


async def test_a_good_file_after_a_bad_one_is_followed(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    scene.policy.write_text("rollouts: [", encoding="utf-8")
    await scene.line(lambda it: it.get("event") == "policy.rejected", "a word about the file")

    scene.write_policy(OTHER_STEPS)
    await loaded(scene)
    told = await reload_successful(scene)
    await scene.deploy("v2")
    first = await scene.reaches(Phase.SHIFTING)

    assert told == 1
    assert first.weight == 10


async def test_a_file_that_is_gone_keeps_the_old_policy(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    scene.policy.unlink()

    await scene.line(lambda it: it.get("event") == "policy.rejected", "a word about the file")
    await scene.deploy("v2")
    first = await scene.reaches(Phase.SHIFTING)

    assert first.weight == 25


# ---------------------------------------------------------------- a file that changed


async def test_a_running_release_keeps_the_policy_it_began_with_over_a_restart(begin):
    scene, _ = await first_step(begin)

    await scene.kill()
    scene.write_policy(OTHER_STEPS)
    await scene.start()
    end = await scene.reaches(Phase.BAKING)

    assert weights(scene, end.id) == [0, 25, 60, 100]


@pytest.mark.parametrize("restart", [False, True], ids=["running", "over a restart"])
async def test_a_release_ends_although_the_file_names_its_target_no_more(begin, restart):
    scene, _ = await first_step(begin)
    gloo = {"virtualService": "gloo-system/other", "upstream": "gloo-system/echo"}
    other = {"route": {"gloo": gloo}, "selector": {"app": "other"}}
    text = policy_text(other, pod_port=scene.world.pod_port, name="other")

    if restart:
        await scene.kill()
    scene.policy.write_text(text, encoding="utf-8")
    if restart:
        await scene.start()
    end = await promoted(scene)

    assert weights(scene, end.id) == [0, 25, 60, 100]
    assert scene.failed == 0


async def test_after_its_last_release_a_target_that_the_file_dropped_is_let_be(begin):
    scene, _ = await first_step(begin)
    gloo = {"virtualService": "gloo-system/other", "upstream": "gloo-system/echo"}
    other = {"route": {"gloo": gloo}, "selector": {"app": "other"}}
    text = policy_text(other, pod_port=scene.world.pod_port, name="other")
    scene.policy.write_text(text, encoding="utf-8")
    await promoted(scene)
    await scene.replicas("v1", 0)
    writes = len(scene.writes)

    await scene.deploy("v3")
    await scene.world.ready("v3")
    users = scene.answers.total()
    await scene.wait(lambda: scene.answers.total() > users + 60, "60 users' requests")

    assert len(scene.writes) == writes


async def test_a_changed_route_is_taken_once_the_running_release_is_over(begin):
    scene, _ = await first_step(begin)
    kind, namespace, name = scene.route
    route = await scene.people.get(kind, namespace, name)
    host = {"domains": ["next.example"], "routes": [OPEN_ROUTE]}
    metadata = {"name": "next", "namespace": namespace}
    body = {"apiVersion": route["apiVersion"], "kind": route["kind"], "metadata": metadata}
    await scene.people.apply(body | {"spec": {"virtualHost": host}})
    gloo = {"virtualService": f"{namespace}/next", "upstream": "gloo-system/echo"}

    scene.write_policy(PATIENT | {"route": {"gloo": gloo}, "gateway": {"host": "next.example"}})
    await loaded(scene)
    await promoted(scene)
    await scene.replicas("v1", 0)

    def adopted():
        found = record_of(scene.world.api.store.find(kind, namespace, "next").obj)
        return found is not None and (found.stable, found.reason) == ("v2", "AdoptionConfirmed")

    await scene.wait(adopted, "the adoption of the other route")
    assert scene.failed == 0


# ---------------------------------------------------------------- a policy that is lost


async def test_a_policy_that_is_lost_and_changed_pauses_until_a_person_resumes(begin):
    scene, _ = await first_step(begin)
    await scene.kill()
    await scene.people.remove(CONFIGMAPS, "default", EVIDENCE)
    scene.write_policy(OTHER_STEPS)

    await scene.start()
    paused = await scene.reaches(where=lambda it: it.paused is not None)
    users = scene.answers.total()
    await scene.wait(lambda: scene.answers.total() > users + 90, "90 users' requests")
    during = scene.record
    await scene.request("resume")
    await promoted(scene)

    assert paused.paused.reason == Reason.POLICY_LOST
    assert (during.phase, during.weight) == (Phase.SHIFTING, 25)
    assert scene.failed == 0


async def test_a_lost_policy_that_the_file_still_has_is_no_reason_to_stop(begin):
    scene, _ = await first_step(begin)
    await scene.kill()
    await scene.people.remove(CONFIGMAPS, "default", EVIDENCE)

    await scene.start()
    await promoted(scene)

    assert all(it.record.paused is None for it in scene.writes if it.record)
