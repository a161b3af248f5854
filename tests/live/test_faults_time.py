"""The API server's clock is moved an hour: no step comes earlier, and none never.

Only the `Date` of its answers moves; the history keeps true time, so that the monitors measure what
holds really lasted.
"""

import pytest

from daemon.core.model import Phase
from daemon.sandbox.api.store import wall_clock
from tests.live.patience import PATIENT

HOUR = 3600.0
STEPS = {"steps": [{"weight": 25, "hold": "6s"}, {"weight": 100}]}
"""A hold that is still running once three answers, a second apart, agree on another time."""


def set_clock(scene, by):
    """Move the time that the API server tells."""
    scene.world.api._answers._clock = lambda: wall_clock() + by


async def believed(scene, by):
    """Wait until the daemon counts by the new time, which three answers have to tell it.

    A hold asks the API server for nothing, so its watches are broken to let it ask.
    """
    clock = scene.daemon.app._cluster.server_clock

    def moved():
        scene.world.api.faults.cut_watches(agent="crossfade/")
        return abs(clock.now().timestamp() - wall_clock() - by) < 60

    await scene.wait(moved, "the daemon to believe the clock")


async def test_a_clock_set_forward_ends_no_hold(begin):
    scene = await begin(policy=PATIENT | STEPS)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)

    set_clock(scene, HOUR)
    await believed(scene, HOUR)
    before = scene.record.weight
    await scene.reaches(Phase.BAKING)

    assert before == 25
    assert scene.failed == 0


async def test_a_clock_set_forward_takes_nothing_back_and_pauses_nothing(begin):
    scene = await begin(policy=PATIENT | STEPS)
    await scene.adopted()
    await scene.deploy("v2", start_delay="6s")
    await scene.reaches(Phase.PREPARING)

    set_clock(scene, HOUR)
    await believed(scene, HOUR)
    before = scene.record.phase
    await scene.reaches(Phase.SHIFTING)

    records = [it.record for it in scene.writes if it.record]
    assert before is Phase.PREPARING
    assert all(it.paused is None and not it.rejected for it in records)


@pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["forward", "back"])
async def test_a_clock_set_between_two_processes_ends_no_release(begin, by):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.kill()

    set_clock(scene, by)
    await scene.start()
    await scene.reaches(Phase.IDLE, where=lambda it: it.stable == "v2")
    await scene.replicas("v1", 0)

    assert scene.failed == 0


async def test_one_odd_date_moves_nothing(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)

    set_clock(scene, HOUR)
    await scene.people.get(*scene.route)
    set_clock(scene, 0)
    await scene.reaches(Phase.IDLE, where=lambda it: it.stable == "v2")

    assert scene.daemon.app._cluster.server_clock.jumps == 0
