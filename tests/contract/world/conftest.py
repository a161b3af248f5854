"""Worlds for the tests of this folder; one for each module, as a start takes a second or two."""

import pytest_asyncio

from daemon.sandbox.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world():
    async with World() as world:
        yield world
