"""Subset routing fails open, so the daemon never sends anybody to a version without ready pods."""

from daemon.core.model import Phase
from daemon.core.reasons import Reason

HOLDING = {"steps": [{"weight": 25, "hold": "10m"}, {"weight": 100}]}


async def test_1_there_is_no_header_route_before_the_canary_has_ready_pods(begin):
    scene = await begin(policy=HOLDING)
    await scene.adopted()

    await scene.deploy("v2", never_ready="true")
    said = await scene.decides(Reason.WAITING_FOR_PODS)
    assert said == "0 of 1 needed pods of v2 are ready"
    assert await scene.ask(header=True) == "v1"
    assert [it["name"] for it in scene.object["spec"]["virtualHost"]["routes"]] == ["echo"]

    await scene.world.turn("v2", never_ready=None)
    await scene.reaches(Phase.SMOKE)
    await scene.reaches(Phase.SHIFTING, weight=25)
    assert await scene.ask(header=True) == "v2"


async def test_1_no_smoke_test_runs_while_the_canary_has_no_ready_pod(begin):
    scene = await begin(policy=HOLDING)
    await scene.adopted()
    scene.world.gateway.freeze()  # keeps the smoke test from beginning
    await scene.deploy("v2")
    await scene.reaches(Phase.SMOKE)

    await scene.without_pods("v2")
    await scene.decides(Reason.WAITING_FOR_PODS)
    scene.world.gateway.thaw()
    await scene.world.turn("v2", never_ready=None)
    await scene.reaches(Phase.SHIFTING, reason=Reason.SMOKE_PASSED)

    assert not scene.events(Reason.SMOKE_FAILED)


async def test_1_a_canary_that_loses_its_pods_goes_back_though_users_get_200_from_stable(begin):
    scene = await begin(policy=HOLDING)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)

    await scene.without_pods("v2")
    record = await scene.reaches(Phase.ROLLING_BACK, reason=Reason.CANARY_NOT_READY)
    await scene.reaches(Phase.ROLLED_BACK)

    assert record.message.startswith("v2 has no ready pod at 25 %")
    assert scene.failed == 0, "the default fallback served the canary's share from stable"


async def test_9_a_deployment_deleted_and_created_again_is_the_same_revision(begin):
    scene = await begin(policy=HOLDING)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.request("abort")
    rejected = (await scene.reaches(Phase.ROLLED_BACK)).revision

    await scene.delete("v2")
    await scene.world.ready("v2", 0)
    await scene.deploy("v2")
    await scene.world.ready("v2")
    await scene.deploy("v3")
    third = await scene.reaches(Phase.PREPARING)

    assert third.canary == "v3", "what was rejected is not tried again because it was applied again"
    assert rejected in third.rejected


async def test_1_a_stable_without_pods_is_no_way_back(begin):
    scene = await begin(policy=HOLDING)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)

    await scene.without_pods("v1")
    await scene.request("abort")
    await scene.told(Reason.NO_WAY_BACK, "v1")
    assert scene.shares == {"v1": 75, "v2": 25}, "v1's subset would be served by v2"

    await scene.world.turn("v1", never_ready=None)
    await scene.wait(lambda: ready_replicas(scene, "v1") == 2, "v1 to be counted as ready")
    await scene.request("abort")
    await scene.reaches(Phase.ROLLED_BACK)
    assert scene.shares == {"v1": 100}


def ready_replicas(scene, version):
    """What the Deployment's status says, which the daemon asks before any way back."""
    return scene.deployment(version)["status"].get("readyReplicas", 0)
