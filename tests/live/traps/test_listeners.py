"""A listener that cannot bind: everything is Accepted, and nobody is answered.

Gloo names a listener after its address, so one that is moved is a new one: Envoy closes the old,
refuses the new, and says so in its own counters alone. Whatever the daemon is doing then is neither
proved nor failed; nothing is judged by an outage of the gateway.
"""

from contextlib import asynccontextmanager

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.ports import Resource
from tests.live.traps.listening import none_listen

GATEWAYS = Resource("gateway.solo.io", "v1", "gateways", "Gateway")
NOWHERE = "192.0.2.1"
"""Reserved for documentation: nothing can bind to it."""
LONG = {"steps": [{"weight": 25, "hold": "10m"}, {"weight": 60, "hold": "10m"}, {"weight": 100}]}


async def move_listener(scene, address):
    """Write the Gateway as another team would."""
    await scene.people.apply(
        {
            "apiVersion": "gateway.solo.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "gateway-proxy", "namespace": "gloo-system"},
            "spec": {"bindAddress": address, "bindPort": 8080, "httpGateway": {}},
        }
    )


@asynccontextmanager
async def closed(scene):
    """No connection is taken meanwhile."""
    await scene.world.stop_users()  # their requests fail, and not for the daemon's doing
    await move_listener(scene, NOWHERE)
    await none_listen(scene.world)
    yield
    await move_listener(scene, "::")


async def test_9_a_listener_that_cannot_bind_is_accepted_all_the_same(begin):
    scene = await begin()
    await scene.adopted()

    async with closed(scene):
        gateway = await scene.world.get(GATEWAYS, "gateway-proxy", "gloo-system")
        assert gateway["status"]["statuses"]["gloo-system"]["state"] == "Accepted"
        ours = scene.object["status"]["statuses"]["gloo-system"]
        [below] = ours["subresourceStatuses"].values()
        assert (ours["state"], below["state"]) == ("Accepted", "Accepted")


async def test_9_an_adoption_behind_it_is_held_and_no_version_is_taken_up(begin):
    scene = await begin(policy={"confirmTimeout": "2s"}, start=False)

    async with closed(scene):
        await scene.start()
        said = await scene.told(Reason.ADOPTION_UNCONFIRMED, "is not live: 0 of 1 proxy")
        await scene.deploy("v2")
        await scene.world.ready("v2")
        await scene.decides(Reason.ADOPTION_UNCONFIRMED)
        assert scene.record.phase is Phase.IDLE

    assert "connection refused by" in said
    await scene.reaches(Phase.PREPARING)


async def test_9_a_header_route_behind_it_is_held_and_the_canary_is_not_rejected(begin):
    scene = await begin(policy=LONG | {"confirmTimeout": "2s"})
    await scene.adopted()

    async with closed(scene):
        await scene.deploy("v2")
        await scene.reaches(Phase.SMOKE)
        said = await scene.told(Reason.SMOKE_UNCONFIRMED)

    assert "connection refused by" in said
    await scene.reaches(Phase.SHIFTING, reason=Reason.SMOKE_PASSED)
    assert not scene.events(Reason.SMOKE_FAILED)


async def test_9_a_smoke_test_that_meets_it_is_held_and_run_again(begin):
    slow = {"requests": [{"get": "/", "expect": {"within": "20s"}}], "retries": 0}
    scene = await begin(policy=LONG | {"smoke": slow})
    await scene.adopted()
    await scene.deploy("v2", latency="2s")
    smoke = await scene.reaches(Phase.SMOKE)
    await scene.line(lambda it: "SmokeRunning" in str(it.get("reason")), "the smoke test to run")

    async with closed(scene):
        said = await scene.decides(Reason.SMOKE_NOT_RUN)
        await scene.world.turn("v2", latency=None)

    assert "connection refused by" in said
    passed = await scene.reaches(Phase.SHIFTING, reason=Reason.SMOKE_PASSED)
    assert passed.id == smoke.id
    assert not scene.events(Reason.SMOKE_FAILED)


async def at_its_first_step(begin):
    """Begin, and wait until the canary is held at 25 %."""
    scene = await begin(policy=LONG | {"confirmTimeout": "2s"})
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.decides(Reason.HOLDING)
    return scene


async def test_9_a_raise_behind_it_is_taken_back_and_paused_and_no_version_is_blamed(begin):
    scene = await at_its_first_step(begin)

    async with closed(scene):
        await scene.request("promote")
        taken_back = await scene.reaches(Phase.SHIFTING, reason=Reason.RAISE_UNCONFIRMED)
        said = await scene.decides(Reason.RAISE_UNCONFIRMED)
        assert (taken_back.weight, taken_back.paused.reason) == (25, Reason.RAISE_UNCONFIRMED)

    assert "connection refused by" in said
    await scene.serves({"v1": 75, "v2": 25})
    assert scene.record.phase is Phase.SHIFTING
    assert scene.record.rejected == ()


async def test_9_a_step_behind_it_brings_no_verdict_and_is_held(begin):
    quick = {"steps": [{"weight": 25, "hold": "1s"}, {"weight": 100}]}
    scene = await begin(policy=quick | {"analysis": {"minRequests": 100_000}})
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.decides(Reason.TOO_FEW_REQUESTS)

    async with closed(scene):
        await scene.next_second()
        await scene.decides(Reason.TOO_FEW_REQUESTS)
        assert (scene.record.phase, scene.record.weight) == (Phase.SHIFTING, 25)


async def test_9_a_rollback_behind_it_is_written_and_told_as_not_live(begin):
    scene = await at_its_first_step(begin)

    async with closed(scene):
        await scene.request("abort")
        await scene.reaches(Phase.ROLLING_BACK)
        said = await scene.told(Reason.ROLLBACK_UNCONFIRMED, "the rollback is written and not live")
        assert scene.shares == {"v1": 100}
        assert scene.record.phase is Phase.ROLLING_BACK

    assert "connection refused by" in said
    await scene.reaches(Phase.ROLLED_BACK)
