"""A gateway that accepts everything and does nothing: the whole daemon on a frozen listener or host.

Decisions that raise are taken back and wait for a person; the way back is written, told as not
live, and finished the moment the gateway follows again.
"""

from contextlib import asynccontextmanager

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from tests.live.traps.objects import (
    NO_WEIGHTS,
    PINNED,
)

DAEMON = "crossfade/"
"""How the User-Agent of the daemon's requests begins."""
QUICK = {
    "confirmTimeout": "1s",
    "steps": [{"weight": 25, "hold": "10m"}, {"weight": 60, "hold": "10m"}, {"weight": 100}],
}
"""Holds without end: only people and the gateway move these scenes."""


async def at_a_quarter(begin, **policy):
    scene = await begin(policy=QUICK | policy)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.decides(Reason.HOLDING)
    return scene


async def another_team(scene, *routes):
    """Write another team's VirtualService behind the same gateway."""
    host = {"domains": ["theirs.example"], "routes": list(routes)}
    metadata = {"name": "theirs", "namespace": "gloo-system"}
    await scene.people.apply(
        {
            "apiVersion": "gateway.solo.io/v1",
            "kind": "VirtualService",
            "metadata": metadata,
            "spec": {"virtualHost": host},
        }
    )
    state = "Rejected" if routes == (NO_WEIGHTS,) else "Accepted"
    await scene.world.until(lambda: below(scene) == state, f"the Proxy to be {state}")


def below(scene):
    """The Proxy's verdict, as our own VirtualService shows it."""
    statuses = (scene.object.get("status") or {}).get("statuses") or {}
    [found] = statuses["gloo-system"]["subresourceStatuses"].values()
    return found["state"]


async def test_3_another_teams_zero_weights_stop_a_raise_and_a_rollback_until_they_are_mended(
    begin,
):
    scene = await at_a_quarter(begin)
    await another_team(scene, NO_WEIGHTS)

    await scene.request("promote")
    taken_back = await scene.reaches(Phase.SHIFTING, reason=Reason.RAISE_UNCONFIRMED)

    assert (taken_back.weight, taken_back.paused.reason) == (25, Reason.RAISE_UNCONFIRMED)
    await scene.told(Reason.RAISE_UNCONFIRMED, "taken back to 25 % and paused")
    assert "theirs" in await scene.decides(Reason.RAISE_UNCONFIRMED)

    await scene.request("abort")
    await scene.reaches(Phase.ROLLING_BACK)
    said = await scene.told(Reason.ROLLBACK_UNCONFIRMED, "the rollback is written and not live")

    assert "0 of 1 proxy shown to serve decision" in said
    assert "Rejected" in said
    assert scene.shares == {"v1": 100}, "the route names stable alone"
    assert live(scene) == {"v1": 75, "v2": 25}, "the gateway serves the old split"

    async with seen_before_written(scene, {"v1": 100}):
        await another_team(scene, PINNED)
    await scene.reaches(Phase.ROLLED_BACK)

    assert scene.failed == 0


async def test_3_a_rollback_that_is_not_live_takes_the_canarys_pods_away_where_policy_says_so(
    begin,
):
    scene = await at_a_quarter(begin, onUnconfirmed="scaleCanary")
    await another_team(scene, NO_WEIGHTS)

    await scene.request("abort")
    await scene.told(Reason.ROLLBACK_UNCONFIRMED)
    await scene.replicas("v2", 0)

    # The routes are frozen, endpoints are not: the fallback leads to stable's pods.
    await scene.world.ready("v2", 0)
    await scene.world.until(lambda: everybody_on(scene, "v1"), "v1 alone to answer")
    assert live(scene) == {"v1": 75, "v2": 25}
    assert scene.record.phase is Phase.ROLLING_BACK


async def everybody_on(scene, version):
    return {await scene.ask() for _ in range(10)} == {version}


async def test_4_a_rejected_host_stops_a_rollback_and_a_restart_of_the_control_plane_loses_it(
    begin,
):
    scene = await at_a_quarter(begin)
    gateway = scene.world.gateway
    gateway.reject_everything("the webhook let this pass")
    await scene.world.until(lambda: own_state(scene) == "Rejected", "our host to be rejected")

    await scene.request("abort")
    said = await scene.told(Reason.ROLLBACK_UNCONFIRMED, "Gloo says Rejected: ")
    assert "the webhook let this pass" in said
    assert live(scene) == {"v1": 75, "v2": 25}

    await scene.world.stop_users()  # from now on requests fail, and not for the daemon's doing
    gateway.restart()
    await scene.line(
        lambda it: "answered 404 without our headers (server: envoy)" in str(it.get("message")),
        "the daemon to see that the host is lost",
    )
    assert await scene.ask() == "404"

    async with seen_before_written(scene, {"v1": 100}):
        gateway.reject_everything("")
    await scene.reaches(Phase.ROLLED_BACK)


async def test_4_an_adoption_on_a_frozen_gateway_is_alarmed_and_no_version_is_taken_up(begin):
    scene = await begin(policy=QUICK, start=False)
    scene.world.gateway.freeze()
    await scene.start()

    await scene.told(Reason.ADOPTION_UNCONFIRMED, "is not live: 0 of 1 proxy")
    await scene.deploy("v2")
    await scene.world.ready("v2")
    await scene.decides(Reason.ADOPTION_UNCONFIRMED)
    assert scene.record.phase is Phase.IDLE
    scene.world.gateway.thaw()
    await scene.reaches(Phase.PREPARING)

    [first, *_] = [it for it in scene.writes if it.record and it.record.phase is Phase.PREPARING]
    assert first.record.canary == "v2"


async def test_9_with_gloos_tick_of_a_second_a_release_goes_through_and_no_smoke_test_fails(begin):
    scene = await begin(world={"apply_delay": 1.0})
    await scene.adopted()

    await scene.deploy("v2")
    smoke = await scene.reaches(Phase.SHIFTING, reason=Reason.SMOKE_PASSED)
    await scene.reaches(Phase.RETIRING)

    assert smoke.weight == 25
    assert not scene.events(Reason.SMOKE_FAILED)
    assert scene.failed == 0


@asynccontextmanager
async def seen_before_written(scene, shares):
    """Let the proxies come to serve this, and the monitors see it, before the daemon writes again.

    It is quicker than the monitors, who ask the proxies by turns.
    """
    unwritable = scene.world.api.faults.answer(503, times=None, verb="patch", agent=DAEMON)
    yield
    await scene.serves(shares)
    unwritable.lift()


def own_state(scene):
    return scene.object["status"]["statuses"]["gloo-system"]["state"]


def live(scene):
    """What the proxy does with ordinary requests, as last looked at."""
    return scene.scribe.live.get(0)
