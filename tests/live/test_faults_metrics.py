"""The pods' metrics pages are gone, hang, are no numbers, start from zero: held, and nothing else.

Missing data is neither a pass nor a failure. A step waits with a reason, whatever the version is
worth, and the release goes on, or comes back, once there is data again.
"""

import pytest

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from tests.live.patience import PATIENT

HELD = (Reason.NO_DATA, Reason.PROVIDER_DOWN, Reason.TOO_FEW_REQUESTS)
DEMANDING = PATIENT | {
    "steps": [{"weight": 25, "hold": "2s"}, {"weight": 100}],
    "analysis": PATIENT["analysis"] | {"minRequests": 25},
}
"""A first step that needs more requests than come before the fault does."""


async def held(scene):
    """Wait until the daemon says that it holds the step for want of data."""
    await scene.line(
        lambda it: it.get("event") == "rollout.decided" and it.get("reason") in HELD,
        "a step that is held for want of data",
    )


async def without_pages(scene, version, fault):
    """Bring a version to its first step, and take all metrics pages away."""
    await scene.adopted()
    knobs = {} if version == "v2" else {"error_rate": "1", "error_paths": "/work"}
    await scene.deploy(version, start_delay="500ms", **knobs)
    await scene.reaches(Phase.SMOKE)
    await scene.world.turn(version, metrics=fault)
    await scene.world.turn("v1", metrics=fault)
    await scene.reaches(Phase.SHIFTING, weight=25)
    await held(scene)
    users = scene.answers.total()
    await scene.wait(lambda: scene.answers.total() > users + 130, "130 users' requests")


@pytest.mark.parametrize("fault", ["vanish", "garbage", "stale", "hang", "nan"])
async def test_a_good_version_waits_while_its_pages_say_nothing_and_goes_on_after(begin, fault):
    scene = await begin(policy=DEMANDING)
    await without_pages(scene, "v2", fault)
    during = scene.record

    await scene.world.turn("v1", metrics=None)
    await scene.world.turn("v2", metrics=None)
    await scene.reaches(Phase.BAKING)

    assert (during.phase, during.weight, during.paused) == (Phase.SHIFTING, 25, None)
    assert scene.failed == 0


@pytest.mark.parametrize("fault", ["vanish", "nan"])
async def test_a_failing_version_is_not_judged_blind_and_comes_back_after(begin, fault):
    scene = await begin(policy=DEMANDING)
    await without_pages(scene, "v3", fault)
    during = scene.record

    await scene.world.turn("v1", metrics=None)
    await scene.world.turn("v3", metrics=None)
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert (during.phase, during.weight) == (Phase.SHIFTING, 25)
    assert back.reason is Reason.ANALYSIS_FAILED


async def test_only_the_canarys_pages_gone_holds_it_just_the_same(begin):
    scene = await begin(policy=DEMANDING)
    await scene.adopted()
    await scene.deploy("v2", start_delay="500ms")
    await scene.reaches(Phase.SMOKE)
    await scene.world.turn("v2", metrics="vanish")

    await scene.reaches(Phase.SHIFTING, weight=25)
    await held(scene)
    during = scene.record
    await scene.world.turn("v2", metrics=None)
    await scene.reaches(Phase.BAKING)

    assert (during.phase, during.weight) == (Phase.SHIFTING, 25)


async def test_counters_that_start_from_zero_are_no_failure(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()

    await scene.deploy("v2")
    for phase in (Phase.SHIFTING, Phase.BAKING):
        await scene.reaches(phase)
        scene.world.reset_metrics("v2")
        scene.world.reset_metrics("v1")
    await scene.reaches(Phase.BAKING)

    assert scene.failed == 0


async def test_an_abort_needs_no_metrics(begin):
    scene = await begin(policy=DEMANDING)
    await without_pages(scene, "v2", "hang")

    await scene.request("abort")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.ABORTED
