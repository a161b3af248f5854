"""Releases that must not reach everybody, and some that must not reach anybody."""

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.sandbox.kinds import UPSTREAMS
from tests.live.patience import TIME_TO_JUDGE


async def test_a_version_that_fails_a_fifth_of_its_requests_is_taken_back(begin):
    scene = await begin(rps=100, policy=TIME_TO_JUDGE)
    await scene.adopted()

    await scene.deploy("v3", error_rate="0.2", error_paths="/work")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.ANALYSIS_FAILED
    assert back.rejected == (back.revision,)
    assert scene.shares == {"v1": 100}


async def test_after_a_rollback_no_request_of_users_fails_any_more(begin):
    scene = await begin(rps=100, policy=TIME_TO_JUDGE)
    await scene.adopted()
    await scene.deploy("v3", error_rate="0.2", error_paths="/work")
    await scene.reaches(Phase.ROLLED_BACK)
    before, failed = scene.of("v1"), scene.failed

    await scene.wait(lambda: scene.of("v1") > before + 150, "150 requests after the rollback")

    assert scene.failed == failed


async def test_a_version_that_fails_every_request_is_taken_back_from_its_first_step(begin):
    scene = await begin(rps=100)
    await scene.adopted()

    await scene.deploy("v3", error_rate="1", error_paths="/work")
    back = await scene.reaches(Phase.ROLLING_BACK)
    raised = max(it.record.weight for it in scene.writes if it.record)
    await scene.reaches(Phase.ROLLED_BACK)

    assert (back.reason, raised) == (Reason.ANALYSIS_FAILED, 25)


async def test_a_version_beyond_a_limit_of_the_policy_is_taken_back(begin):
    checks = [{"name": "success rate", "successRate": {"atLeast": "99%"}}]
    scene = await begin(rps=100, policy={"analysis": {"checks": checks}})
    await scene.adopted()

    await scene.deploy("v3", error_rate="0.2", error_paths="/work")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.ANALYSIS_FAILED
    assert "limit 1 %" in back.message


async def test_a_version_that_is_slower_than_stable_is_taken_back(begin):
    scene = await begin(rps=100, policy=TIME_TO_JUDGE)
    await scene.adopted()

    await scene.deploy("v3", latency="300ms")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.ANALYSIS_FAILED
    assert "took longer than" in back.message
    assert scene.failed == 0


async def test_a_rejected_version_keeps_its_pods_and_is_not_tried_again(begin):
    scene = await begin(rps=100)
    await scene.adopted()
    await scene.deploy("v3", error_rate="1", error_paths="/work")
    await scene.reaches(Phase.ROLLED_BACK)

    await scene.quiet()

    assert scene.record.phase is Phase.ROLLED_BACK
    assert scene.deployment("v3")["spec"]["replicas"] == 2


async def test_a_version_that_fails_its_smoke_test_meets_no_user(begin):
    scene = await begin()
    await scene.adopted()

    await scene.deploy("v4", error_rate="1")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.SMOKE_FAILED
    assert "500" in back.message
    assert scene.of("v4") == 0
    assert scene.failed == 0


async def test_a_smoke_test_answered_by_the_old_version_fails_and_says_so(begin):
    # Ten requests, none repeated: if any pod may answer, some of them meet v1.
    requests = [f"GET /{number} -> 200" for number in range(10)]
    scene = await begin(policy={"smoke": {"requests": requests, "retries": 0}})
    await scene.adopted()
    # Somebody takes the subsets away while the smoke test begins: every pod answers for v2.
    subsets = {"spec": {"kube": {"subsetSpec": {"selectors": [{"keys": ["other"]}]}}}}

    await scene.deploy("v2", latency="100ms")
    await scene.reaches(Phase.SMOKE)
    await scene.people.merge_patch(UPSTREAMS, "gloo-system", "echo", subsets)
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.SMOKE_FAILED
    assert "v1" in back.message


async def test_without_a_ready_pod_the_smoke_test_waits_for_one(begin):
    scene = await begin(policy={"smoke": ["GET / -> 200", "GET /a -> 200", "GET /b -> 200"]})
    await scene.adopted()
    await scene.deploy("v2", latency="300ms")
    await scene.reaches(Phase.SMOKE)

    await scene.without_pods("v2")
    await scene.decides(Reason.WAITING_FOR_PODS, "v2 has no ready pod for the smoke test")

    assert scene.shares == {"v1": 100}


async def test_without_traffic_a_release_is_held_then_paused_and_neither_way_decided(begin):
    scene = await begin(rps=0, policy={"analysis": {"onNoData": {"wait": "1s"}}})
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING)

    held = await scene.reaches(where=lambda it: it.held is not None)
    paused = await scene.reaches(where=lambda it: it.paused is not None)

    assert held.held.reason in (Reason.NO_DATA, Reason.TOO_FEW_REQUESTS)
    assert (paused.phase, paused.weight) == (Phase.SHIFTING, 25)
    assert paused.paused.by == "crossfade"
    await scene.told(Reason.PAUSED)
