"""`kill -9` at any moment: the record on the route is all that the next process needs."""

from itertools import pairwise

import pytest

from daemon.core.model import Phase, Record
from daemon.core.reasons import Reason
from tests.cluster.scene import PATIENT

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

FORWARD = (
    Phase.PREPARING,
    Phase.SMOKE,
    Phase.SHIFTING,
    Phase.BAKING,
    Phase.FINALISING,
    Phase.RETIRING,
)
ORDER = (*FORWARD, Phase.IDLE)


def place(record: Record) -> tuple[int, int]:
    """Say how far a release is."""
    return ORDER.index(record.phase), record.step


async def test_a_daemon_killed_in_every_phase_still_promotes_and_repeats_no_step(begin):
    scene = await begin()
    await scene.adopted()
    released = len(scene.writes)

    await scene.deploy("v2", start_delay="2s")
    for phase in FORWARD:
        await scene.reaches(phase)
        await scene.kill()
        await scene.start()
    await scene.promoted()

    places = [place(it) for it in scene.writes[released:] if it.canary or it.phase is Phase.IDLE]
    assert all(before <= after for before, after in pairwise(places)), scene.story()
    assert scene.failed == 0, scene.story()


async def test_a_daemon_killed_while_it_takes_a_version_back_takes_it_back(begin):
    scene = await begin(steps=PATIENT)
    await scene.adopted()

    await scene.deploy("v3", error_rate="0.5", error_paths="/work")
    await scene.reaches(Phase.ROLLING_BACK)
    await scene.kill()
    await scene.start()
    await scene.reaches(Phase.ROLLED_BACK)

    assert {it.weight for it in scene.writes if it.phase is Phase.ROLLED_BACK} == {0}
    assert Reason.ANALYSIS_FAILED in {it.reason for it in scene.writes}, scene.story()
