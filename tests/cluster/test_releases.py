"""Whole releases on a real Kubernetes, judged by a real Prometheus."""

import pytest

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from tests.cluster.scene import PATIENT

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]


async def test_a_good_version_is_promoted_and_no_users_request_fails(begin):
    scene = await begin()
    await scene.adopted()

    await scene.deploy("v2")
    await scene.promoted()

    assert scene.failed == 0, scene.story()
    assert scene.of("v2") > 100


async def test_a_version_that_fails_for_users_is_taken_back_by_itself(begin, record_property):
    scene = await begin(steps=PATIENT)
    await scene.adopted()

    await scene.deploy("v3", error_rate="0.2", error_paths="/work")
    rolled_back = await scene.reaches(Phase.ROLLED_BACK)

    record_property("failed requests of users, 20 % errors on a step of 20 %", scene.failed)

    assert (rolled_back.stable, rolled_back.weight) == ("v1", 0)
    assert any(it.reason is Reason.ANALYSIS_FAILED for it in scene.writes), scene.story()


async def test_a_version_that_fails_its_smoke_test_meets_no_user(begin):
    scene = await begin()
    await scene.adopted()

    await scene.deploy("v4", error_rate="1")
    await scene.reaches(Phase.ROLLED_BACK)

    assert any(it.reason is Reason.SMOKE_FAILED for it in scene.writes), scene.story()
    assert scene.of("v4") == 0
    assert scene.failed == 0
