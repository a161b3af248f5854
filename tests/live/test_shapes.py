"""Every shape of a rollout: either phase alone, a delegated route, several proxies."""

from daemon.core.model import Phase
from tests.live.history import guide_of


def matchers(scene):
    """Headers that our own route looks at."""
    guide = guide_of(scene.object)
    return [header["name"] for it in guide["matchers"] for header in it["headers"]]


async def test_with_smoke_alone_everybody_moves_in_one_step(begin):
    scene = await begin(policy={"steps": [100]})
    await scene.adopted()

    await scene.deploy("v2")
    await scene.reaches(Phase.SMOKE)
    await scene.reaches(Phase.BAKING)
    await scene.reaches(Phase.IDLE)

    phases = {it.record.phase for it in scene.writes if it.record}
    assert Phase.SHIFTING not in phases
    assert scene.failed == 0


async def test_with_shifting_alone_our_route_answers_to_the_private_header_only(begin):
    scene = await begin(policy={"smoke": None})
    await scene.adopted()

    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING)
    headers = matchers(scene)
    await scene.reaches(Phase.IDLE)

    assert headers == ["crossfade-probe"]
    assert Phase.SMOKE not in {it.record.phase for it in scene.writes if it.record}
    assert scene.failed == 0


async def test_a_route_table_carries_the_rollout_as_a_virtual_service_does(begin):
    scene = await begin(table="echo-routes")
    await scene.adopted()

    await scene.deploy("v2")
    await scene.reaches(Phase.SMOKE)
    await scene.reaches(Phase.RETIRING)
    await scene.reaches(Phase.IDLE)

    assert scene.object["kind"] == "RouteTable"
    assert scene.failed == 0
    assert scene.record.stable == "v2"


async def test_a_raise_waits_for_the_slowest_of_two_proxies(begin):
    scene = await begin(world={"proxies": 2})
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SMOKE)
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.serves({"v1": 75, "v2": 25})
    scene.world.gateway.freeze(1)
    raised = await scene.reaches(Phase.SHIFTING, weight=60)
    before, users = len(scene.writes), scene.answers.total()

    # The hold of a second is over long before so many users have come.
    await scene.wait(lambda: scene.answers.total() > users + 120, "two seconds of users")
    unmoved = len(scene.writes) == before
    scene.world.gateway.thaw()
    await scene.reaches(Phase.BAKING)

    assert unmoved
    assert raised.confirmed.decision == raised.decision - 1
