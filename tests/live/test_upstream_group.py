"""Routes to an UpstreamGroup: the gateway splits by it, and the daemon says that it does not.

A group's weights are not a route's, so a route that names one is refused by name and left alone,
whatever its shares are; in the middle of a release it is an edit by hand, and an abort ends it.
"""

from collections import Counter

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.ports import Resource
from tests.live.history import owned_route

GROUPS = Resource("gloo.solo.io", "v1", "upstreamgroups", "UpstreamGroup")
TO_GROUP = {"upstreamGroup": {"name": "both", "namespace": "gloo-system"}}
LONG = {"steps": [{"weight": 25, "hold": "10m"}, {"weight": 100}]}
SIGMAS = 4.9
"""One false alarm in a million tests."""


def destination(version=None):
    upstream = {"upstream": {"name": "echo", "namespace": "gloo-system"}}
    return upstream | ({"subset": {"values": {"version": version}}} if version else {})


async def write_group(scene, **weights):
    """Write the group as people do; wait until the gateway has it."""
    members = [{"destination": destination(it), "weight": w} for it, w in weights.items()]
    body = {
        "apiVersion": "gloo.solo.io/v1",
        "kind": "UpstreamGroup",
        "metadata": {"name": "both", "namespace": "gloo-system"},
        "spec": {"destinations": members},
    }
    await scene.people.apply(body)
    await scene.wait(lambda: group_state(scene) == "Accepted", "the group to be accepted")
    await scene.world.gateway.settled()


def group_state(scene):
    obj = scene.world.api.store.find(GROUPS, "gloo-system", "both").obj
    return ((obj.get("status") or {}).get("statuses") or {}).get("gloo-system", {}).get("state")


def to_the_group(obj):
    """An edit: the owned route names the group."""
    owned_route(obj, "echo")["routeAction"] = TO_GROUP


async def grouped(begin):
    """A scene whose route leads to a group over v1 and v2 before the daemon comes."""
    scene = await begin(policy=LONG, start=False)
    await scene.deploy("v2")
    await scene.world.ready("v2")
    await write_group(scene, v1=70, v2=30)
    await scene.edit(to_the_group)
    await scene.world.until(lambda: both_answer(scene), "the group's shares to be served")
    return scene


async def both_answer(scene):
    return {await scene.ask() for _ in range(20)} == {"v1", "v2"}


async def assert_share(scene, share, times=200):
    """The share of v2 in what users get, within its binomial bound."""
    found = Counter([await scene.ask() for _ in range(times)])
    assert set(found) == {"v1", "v2"}
    assert abs(found["v2"] - times * share) <= SIGMAS * (times * share * (1 - share)) ** 0.5, found


async def test_9_a_groups_shares_are_served_and_the_route_is_refused_by_the_groups_name(begin):
    scene = await grouped(begin)
    await assert_share(scene, 0.3)

    await scene.start()
    said = await scene.told(Reason.ROUTE_REFUSED)

    assert "no route goes to Upstream gloo-system/echo" in said
    assert "route 0 (echo) goes to UpstreamGroup gloo-system/both" in said


async def test_9_a_new_version_behind_a_group_is_not_taken_up_and_its_shares_stay(begin):
    scene = await grouped(begin)
    await scene.start()
    await scene.told(Reason.ROUTE_REFUSED)

    await scene.deploy("v3")
    await scene.world.ready("v3")
    await scene.decides(Reason.ROUTE_REFUSED)
    await scene.quiet()

    assert not scene.route_writes()
    assert scene.record is None
    await assert_share(scene, 0.3)


async def test_9_a_group_whose_weights_move_is_nobodys_rollout(begin):
    scene = await grouped(begin)
    await scene.start()
    await scene.told(Reason.ROUTE_REFUSED)

    await write_group(scene, v1=0, v2=100)
    await scene.world.until(lambda: everybody_on(scene, "v2"), "v2 alone to answer")
    await scene.quiet()

    assert scene.record is None
    assert scene.events(Reason.ADOPTED) == []


async def everybody_on(scene, version):
    return {await scene.ask() for _ in range(10)} == {version}


async def test_9_a_route_that_leaves_its_group_is_adopted(begin):
    scene = await grouped(begin)
    await scene.start()
    await scene.told(Reason.ROUTE_REFUSED)

    def pin(obj):
        [route] = obj["spec"]["virtualHost"]["routes"]
        route["routeAction"] = {"single": destination("v1")}

    await scene.edit(pin)

    await scene.adopted()


async def test_9_a_group_put_into_a_release_is_an_edit_and_an_abort_ends_it(begin):
    scene = await begin(policy=LONG)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.decides(Reason.HOLDING)
    await write_group(scene, v1=20, v2=80)

    await scene.edit(to_the_group)
    said = await scene.told(Reason.ROUTE_EDITED)
    await scene.world.until(lambda: both_answer(scene), "the group's shares to be served")
    await scene.request("abort")
    await scene.reaches(Phase.ROLLED_BACK)

    assert "goes to UpstreamGroup gloo-system/both" in said
    assert scene.shares == {"v1": 100}
    assert await everybody_on(scene, "v1")


async def test_9_another_route_to_a_group_is_warned_of_as_the_daemon_does_not_look_into_it(begin):
    scene = await begin(policy=LONG, start=False)
    await write_group(scene, **{"": 100})

    def beside(obj):
        debug = {"name": "debug", "matchers": [{"prefix": "/debug"}], "routeAction": TO_GROUP}
        obj["spec"]["virtualHost"]["routes"].insert(0, debug)

    await scene.edit(beside)
    await scene.start()
    await scene.adopted()
    said = await scene.told(Reason.ROUTE_WARNING, "UpstreamGroup")
    await scene.deploy("v2")
    await scene.reaches(Phase.SMOKE)

    assert (
        "route 0 (debug) goes to UpstreamGroup gloo-system/both, which is not looked into" in said
    )
    await scene.world.until(lambda: debug_meets(scene, "v2"), "the group to lead to v2, too")
    assert await everybody_on(scene, "v1")


async def debug_meets(scene, version):
    return version in {await scene.ask(path="/debug") for _ in range(10)}
