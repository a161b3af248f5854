"""The little of Envoy's admin interface that the sandbox and its tests ask for.

Must not be put here: anything the product itself needs; real gateways mostly hide this interface.
"""

import json
from typing import Any, Final

import aiohttp

from daemon.errors import TransientError
from daemon.sandbox.gateway.translator import ROUTES_NAME
from daemon.sandbox.gateway.xds import STAT_PREFIX

TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)
"""Loopback: an answer takes milliseconds, and one that takes seconds will not come."""
MAX_BODY: Final = 16 * 1024 * 1024
"""A config dump of thousands of routes is a few MiB."""
ROUTES_STATS: Final = f"http.{STAT_PREFIX}.rds.{ROUTES_NAME.replace(':', '_')}"


class AdminClient:
    """Reads from one Envoy's admin address; without an answer every call raises TransientError."""

    def __init__(self, session: aiohttp.ClientSession, host: str, port: int) -> None:
        self._session = session
        self.url = f"http://{host}:{port}"

    async def get(self, path: str) -> str:
        """Body of a page that answered 200."""
        try:
            async with self._session.get(f"{self.url}{path}", timeout=TIMEOUT) as answer:
                body = await answer.content.read(MAX_BODY)
                if answer.status != 200:
                    text = f"Envoy's admin page {path} answered {answer.status}"
                    raise TransientError(text, sent=False)
                return body.decode()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise TransientError(f"Envoy's admin page {path}: {error!r}", sent=False) from error

    async def ready(self) -> bool:
        """Whether the first configuration has been taken."""
        try:
            return (await self.get("/ready")).strip() == "LIVE"
        except TransientError:
            return False

    async def stats(self, pattern: str) -> dict[str, Any]:
        """Counters, gauges and texts whose names match the regular expression."""
        lines = (await self.get(f"/stats?filter={pattern}")).splitlines()
        found: dict[str, Any] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            found[name] = int(value) if value.isdigit() else value.strip('"')
        return found

    async def routes_version(self) -> str:
        """The `version_info` of the routes this Envoy runs; empty before the first."""
        name = f"{ROUTES_STATS}.version_text"
        return str((await self.stats(f"{name}$")).get(name, ""))

    async def routes_rejected(self) -> int:
        """How often this Envoy refused a route configuration."""
        name = f"{ROUTES_STATS}.update_rejected"
        return int((await self.stats(f"{name}$")).get(name, 0))

    async def listener_refused(self) -> bool:
        """Whether this Envoy could not take its listener, say because the port is in use."""
        found = await self.stats(
            r"listener_manager\.(lds\.update_rejected|listener_create_failure)$"
        )
        return any(found.values())

    async def listens(self) -> bool:
        """Whether this Envoy has a listener at all."""
        name = "listener_manager.total_listeners_active"
        return bool((await self.stats(f"{name}$")).get(name, 0))

    async def routes(self) -> list[Any]:
        """The virtual hosts this Envoy runs."""
        page = await self.get("/config_dump?resource=dynamic_route_configs")
        configs = json.loads(page).get("configs") or []
        return [h for c in configs for h in c["route_config"].get("virtual_hosts") or ()]

    async def port(self) -> int:
        """The port the listener is bound to; 0 while it is not."""
        page = json.loads(await self.get("/listeners?format=json"))
        for listener in page.get("listener_statuses") or ():
            return int(listener["local_address"]["socket_address"]["port_value"])
        return 0
