"""Versions that come, change and go in the middle of a release."""

import copy

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.sandbox.kinds import DEPLOYMENTS
from daemon.sandbox.manifests import text_of


async def shifting(begin, **setting):
    """A scene with v2 on its first step."""
    scene = await begin(**setting)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING)
    await scene.serves({"v1": 75, "v2": 25})
    return scene


LONG = {"steps": [{"weight": 25, "hold": "30s"}, {"weight": 100}]}
"""A first step that lasts for a whole test."""


# ---------------------------------------------------------------- a third version


async def test_a_third_version_takes_the_place_of_the_second(begin):
    steps = [{"weight": 25, "hold": "3s"}, {"weight": 100}]
    scene = await shifting(begin, policy={"steps": steps})
    await scene.next_second()

    await scene.deploy("v3")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)
    await scene.reaches(Phase.PREPARING)
    end = await scene.reaches(Phase.RETIRING)

    assert (back.reason, back.canary) == (Reason.SUPERSEDED, "v2")
    assert back.revision in back.known
    assert back.rejected == ()
    assert end.canary == "v3"
    assert scene.failed == 0


async def test_a_third_version_waits_where_policy_queues_it(begin):
    scene = await shifting(begin, policy={"onNewVersion": "queue"})

    await scene.deploy("v3")
    first = await scene.reaches(Phase.RETIRING)
    await scene.reaches(Phase.IDLE)
    second = await scene.reaches(Phase.PREPARING)

    assert (first.canary, second.canary, second.stable) == ("v2", "v3", "v2")
    assert Phase.ROLLING_BACK not in {it.record.phase for it in scene.writes if it.record}


# ---------------------------------------------------------------- the canary changes or goes


async def test_a_changed_template_goes_back_to_nothing_and_is_proved_anew(begin):
    scene = await shifting(begin, policy=LONG)

    await scene.deploy("v2", latency="1ms")
    back = await scene.reaches(Phase.ROLLING_BACK)
    again = await scene.reaches(Phase.PREPARING)
    smoke = await scene.reaches(Phase.SMOKE)

    assert back.reason is Reason.CANARY_CHANGED
    assert back.weight == 0
    assert again.revision != back.revision
    assert smoke.revision == again.revision
    assert again.id != back.id


async def test_a_deleted_canary_is_taken_off_the_route_and_not_rejected(begin):
    scene = await shifting(begin, policy=LONG)

    await scene.delete("v2")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.CANARY_GONE
    assert back.rejected == ()


async def test_a_canary_that_loses_all_its_pods_is_taken_back_and_rejected(begin):
    scene = await shifting(begin, policy=LONG)

    await scene.without_pods("v2")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.CANARY_NOT_READY
    assert back.rejected == (back.revision,)


async def test_a_canary_that_is_never_ready_is_rejected_at_its_deadline(begin):
    scene = await begin(policy={"readyDeadline": "1s"})
    await scene.adopted()

    await scene.deploy("v2", never_ready="true")
    end = await scene.reaches(Phase.ROLLED_BACK)

    assert end.reason is Reason.CANARY_NOT_READY
    assert scene.shares == {"v1": 100}
    assert scene.of("v2") == 0


# ---------------------------------------------------------------- stable loses its pods


async def test_without_a_way_back_a_failing_canary_is_held_and_alarmed(begin):
    scene = await shifting(begin, policy=LONG, rps=100)
    await scene.without_pods("v1")

    await scene.world.turn("v2", error_rate="1", error_paths="/work")
    said = await scene.decides(Reason.NO_WAY_BACK, "canary failed")
    await scene.told(Reason.NO_WAY_BACK)

    assert "v1 has no ready pod to go back to" in said
    assert scene.record.phase is Phase.SHIFTING


async def test_without_a_way_back_no_release_goes_on(begin):
    scene = await shifting(begin)
    await scene.without_pods("v1")

    note = await scene.told(Reason.NO_WAY_BACK)
    await scene.quiet()

    assert "v1 has no ready pod, so there is no way back" in note
    assert scene.record.phase is Phase.SHIFTING
    await scene.world.turn("v1", never_ready="false")
    await scene.reaches(Phase.BAKING)


async def test_without_a_way_back_an_abort_is_refused_with_the_reason(begin):
    scene = await shifting(begin, policy=LONG)
    await scene.without_pods("v1")

    await scene.request("abort", on="v2")
    note = await scene.told(Reason.REQUEST_IGNORED, "abort refused")

    assert "v1 has no ready pod to go back to" in note
    assert scene.shares == {"v1": 75, "v2": 25}


async def test_an_abort_that_skips_readiness_goes_back_all_the_same(begin):
    scene = await shifting(begin, policy=LONG)
    await scene.without_pods("v1")

    await scene.request("abort", on="v2", skip=["readiness"])
    back = await scene.reaches(Phase.ROLLING_BACK)

    assert back.reason is Reason.ABORTED
    assert scene.shares == {"v1": 100}


# ---------------------------------------------------------------- old versions come back


async def promoted(begin):
    """A scene in which v2 took over from v1, which is scaled to zero."""
    scene = await begin(policy={"steps": [100], "after": {"keepOld": "0s"}})
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.RETIRING)
    await scene.reaches(Phase.IDLE)
    await scene.replicas("v1", 0)
    return scene


async def test_an_old_version_that_is_started_again_starts_no_release(begin):
    scene = await promoted(begin)
    writes = len(scene.writes)

    await scene.world.scale("v1", 2)
    await scene.wait(lambda: scene.ready("v1") == 2, "v1 to run again")
    await scene.quiet()

    assert len(scene.writes) == writes
    assert scene.shares == {"v2": 100}


async def test_retry_with_its_name_releases_an_old_version_on_purpose(begin):
    scene = await promoted(begin)
    await scene.world.scale("v1", 2)
    await scene.wait(lambda: scene.ready("v1") == 2, "v1 to run again")

    await scene.request("retry", on="v2", version="v1")
    start = await scene.reaches(Phase.PREPARING)
    end = await scene.reaches(Phase.RETIRING)

    assert (start.reason, start.canary) == (Reason.RETRIED, "v1")
    assert end.canary == "v1"
    assert scene.failed == 0


async def test_a_rejected_version_stays_rejected_when_its_deployment_is_made_anew(begin):
    scene = await begin()
    await scene.adopted()
    await scene.deploy("v4", error_rate="1")
    end = await scene.reaches(Phase.ROLLED_BACK)
    writes = len(scene.writes)

    await scene.delete("v4")
    await scene.gone("v4")
    await scene.deploy("v4", error_rate="1")
    await scene.wait(lambda: scene.ready("v4") == 2, "v4 to run again")
    await scene.quiet()

    assert end.rejected == (scene.app("v4").revision,)
    assert len(scene.writes) == writes


async def test_a_rejected_version_that_was_mended_is_tried(begin):
    scene = await begin()
    await scene.adopted()
    await scene.deploy("v4", error_rate="1")
    await scene.reaches(Phase.ROLLED_BACK)

    await scene.deploy("v4")
    await scene.reaches(Phase.PREPARING)
    end = await scene.reaches(Phase.RETIRING)

    # That no pod of the bad template served as v4 any more is watched by S8.
    assert end.canary == "v4"


# ---------------------------------------------------------------- stable in place


def in_place(world, version):
    """The Deployment `echo` of a team that replaces its version in place."""
    one = copy.deepcopy(next(iter(_deployments(world))))
    one["metadata"] = {"name": "echo", "namespace": "echo", "labels": {"app": "echo"}}
    one["spec"]["selector"] = {"matchLabels": {"app": "echo"}}
    template = one["spec"]["template"]
    template["metadata"]["labels"]["version"] = version
    template["spec"]["containers"][0]["image"] = f"sandbox/echo:{version}"
    return one


def _deployments(world):
    import yaml

    return yaml.safe_load_all(text_of("echo-v1.yaml", pod_port=world.pod_port))


async def test_a_version_label_that_changes_in_place_is_followed_by_the_route(begin):
    scene = await begin(start=False, rps=0)
    await scene.world.delete(DEPLOYMENTS, "echo-v1")
    await scene.world.apply(in_place(scene.world, "v1"))
    await scene.wait(lambda: scene.ready("v1") == 2, "v1 to run")
    await scene.start()
    await scene.adopted()

    await scene.world.apply(in_place(scene.world, "v2"))
    replaced = await scene.reaches(Phase.IDLE, reason=Reason.STABLE_REPLACED)
    await scene.adopted("v2")

    assert replaced.stable == "v2"
    assert scene.shares == {"v2": 100}
    assert await scene.ask() == "v2"


# ---------------------------------------------------------------- at 100 %


async def baking(begin, **policy):
    """A scene with v2 at 100 %, its bake begun."""
    scene = await begin(policy={"steps": [100]} | policy)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.BAKING)
    await scene.serves({"v2": 100})
    return scene


async def test_a_third_version_waits_for_the_end_of_a_bake(begin):
    scene = await baking(begin)

    await scene.deploy("v3")
    first = await scene.reaches(Phase.RETIRING)
    second = await scene.reaches(Phase.PREPARING)

    assert (first.canary, second.canary, second.stable) == ("v2", "v3", "v2")


async def test_a_template_that_changes_in_the_bake_goes_back_to_stable_first(begin):
    scene = await baking(begin, bake="30s")

    await scene.deploy("v2", latency="1ms")
    back = await scene.reaches(Phase.ROLLING_BACK)
    again = await scene.reaches(Phase.PREPARING)

    assert back.reason is Reason.CANARY_CHANGED
    assert again.revision == scene.app("v2").revision


async def test_the_old_version_is_deleted_where_policy_says_so(begin):
    scene = await baking(begin, after={"keepOld": "0s", "then": "delete"})

    await scene.reaches(Phase.IDLE)
    await scene.wait(lambda: scene.app("v1") is None, "the Deployment of v1 to be deleted")
    await scene.quiet()

    assert scene.record.stable == "v2"
    assert scene.failed == 0


async def test_the_old_version_is_kept_where_policy_says_so(begin):
    scene = await baking(begin, after={"then": "keep"})

    await scene.reaches(Phase.IDLE)
    await scene.quiet()

    assert scene.record.phase is Phase.IDLE
    assert scene.deployment("v1")["spec"]["replicas"] == 2
