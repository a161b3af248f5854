"""One world for all plots of a test process, with two proxies and both versions running."""

import pytest_asyncio

from daemon.sandbox.kinds import VIRTUAL_SERVICES
from daemon.sandbox.world import World, WorldOptions
from tests.live.traps.listening import all_listen
from tests.live.traps.plot import the_ground


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground():
    async with World(WorldOptions(proxies=2)) as world:
        await world.deploy("v2")
        await world.ready("v2")
        # The host `*` would answer for every host that is lost.
        await world.delete(VIRTUAL_SERVICES, "echo", "gloo-system")
        async with the_ground(world) as ground:
            yield ground


@pytest_asyncio.fixture(loop_scope="session")
async def plot(ground):
    """A host of its own; afterwards its objects and the gateway's faults are gone."""
    made = ground.plot()
    yield made
    gateway = ground.world.gateway
    ground.world.api.faults.clear()
    gateway.apply_delay = 0.0
    gateway.reject_everything("")
    gateway.thaw()
    await all_listen(ground.world)
    await made.clear()
