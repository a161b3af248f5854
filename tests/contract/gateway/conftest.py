"""One Envoy for all tests of a worker; every test begins with an empty configuration."""

from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.contract.gateway.world import World, open_world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_world(tmp_path_factory: pytest.TempPathFactory):
    async with AsyncExitStack() as stack:
        yield await open_world(stack, tmp_path_factory.mktemp("gateway"))


@pytest_asyncio.fixture(loop_scope="session")
async def world(running_world: World) -> World:
    await running_world.reset()
    return running_world
