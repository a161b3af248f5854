"""The Upstream's servicePort against the Service's port: how two generations of Gloo read it."""

from daemon.sandbox.gateway.clusters import Gloo
from daemon.sandbox.kinds import UPSTREAMS
from daemon.sandbox.manifests import text_of
from daemon.sandbox.world import World, WorldOptions

WRONG_PORT = text_of("echo.yaml").replace("servicePort: 80 ", "servicePort: 8080 ")


async def test_a_port_that_the_service_lacks_is_503_until_it_is_corrected():
    async with World(WorldOptions(start_with=())) as world:
        await world.apply(WRONG_PORT)
        await world.deploy("v1", replicas=1)
        await world.ready("v1", 1)
        await world.gateway.settled()

        assert {(await world.ask()).status for _ in range(20)} == {503}

        right = {"spec": {"kube": {"servicePort": 80}}}
        await world.client.merge_patch(UPSTREAMS, "gloo-system", "echo", right)
        await world.until(lambda: is_answered(world), "an answer through the right port")


async def test_gloo_1_3_takes_the_only_port_of_the_service():
    async with World(WorldOptions(start_with=(), gloo=Gloo.V1_3)) as world:
        await world.apply(WRONG_PORT)
        await world.deploy("v1", replicas=1)

        await world.until(lambda: is_answered(world), "an answer in spite of the wrong port")


async def is_answered(world):
    return (await world.ask()).status == 200
