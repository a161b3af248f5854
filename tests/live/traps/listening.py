"""Whether proxies take connections at all."""

import asyncio
from urllib.parse import urlsplit

from daemon.sandbox.world import World
from tests.live.traps.proving import PATIENCE


async def listens(url: str) -> bool:
    """Open a connection and close it."""
    address = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(address.hostname, address.port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


async def all_listen(world: World) -> None:
    """Wait until every proxy takes connections."""

    async def do() -> bool:
        return all([await listens(url) for url in world.urls])

    await world.until(do, "the proxies to listen", PATIENCE)


async def none_listen(world: World, *proxies: int) -> None:
    """Wait until these proxies (none named: all) refuse connections."""

    async def do() -> bool:
        refusing = proxies or range(len(world.urls))
        return not any([await listens(world.urls[it]) for it in refusing])

    await world.until(do, "connections to be refused", PATIENCE)
