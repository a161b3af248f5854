"""The API server is gone for a minute in the middle of a release: users never notice."""

import asyncio
import os

import pytest

from daemon.core.model import Phase
from tests.cluster.scene import LONG_STEP

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

SECONDS = float(os.environ.get("CROSSFADE_API_OUTAGE", "60"))


async def test_without_the_api_server_traffic_flows_and_the_release_goes_on_afterwards(begin):
    scene = await begin(steps=LONG_STEP)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING)
    await scene.until(lambda: scene.of("v2") > 30, "the step to be live", 30)

    await scene.kubernetes.stop_api()
    try:
        before = scene.load.total.sent, scene.of("v2")
        await asyncio.sleep(SECONDS)  # the outage's length is what is tested
        sent, on_v2 = scene.load.total.sent - before[0], scene.of("v2") - before[1]
    finally:
        await scene.kubernetes.start_api()
    await scene.promoted()

    assert scene.failed == 0, scene.story()
    assert 0.1 < on_v2 / sent < 0.3, "the split stays what it was"
    assert scene.daemon.ended is None
