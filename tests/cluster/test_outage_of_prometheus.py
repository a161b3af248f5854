"""Prometheus is gone for two minutes in the middle of a release: nobody can tell, so nothing moves."""

import asyncio
import os

import pytest

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from tests.cluster.scene import LONG_STEP

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

SECONDS = float(os.environ.get("CROSSFADE_PROMETHEUS_OUTAGE", "120"))


async def test_without_prometheus_a_release_is_held_and_afterwards_promoted(begin):
    scene = await begin(steps=LONG_STEP)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING)

    await scene.prometheus.kill()
    try:
        await scene.reaches(
            where=lambda it: it.held is not None and it.held.reason is Reason.PROVIDER_DOWN
        )
        await asyncio.sleep(SECONDS)  # the outage's length is what is tested
        during = scene.record
    finally:
        await scene.prometheus.start()
    await scene.promoted()

    assert (during.phase, during.weight) == (Phase.SHIFTING, 20)
    assert not any(it.phase is Phase.ROLLING_BACK for it in scene.writes)
    assert scene.failed == 0, scene.story()
