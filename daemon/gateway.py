"""Where the gateway is: the address of a request that meets the owned route, and the proxies.

Shared by routers (which derive the address), probe and smoke (which go there). Nothing here sends a
request to the gateway or judges an answer. A listing of proxies is used for two seconds and never
longer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from daemon.errors import PermanentError
from daemon.kube.objects import ENDPOINTSLICES
from daemon.ports import Clock, Cluster, Obj

SERVICE_LABEL = "kubernetes.io/service-name"
LISTING_SECONDS = 2.0
"""How long a listing is good: one proxy that left must not be waited for longer."""
MAX_SERVICES = 64
"""Gateways whose last listing is kept; a daemon has one or a few, the oldest go."""
MAX_PAGES = 20
"""Pages of 500 slices of one Service: no cluster has more; a server that loops is left here."""


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """Where a request must go to meet the owned route.

    Attributes:
        url: scheme, host and port of the gateway, e.g. http://gateway-proxy.gloo-system:80.
        host: value for the Host header (the route's domain).
        path: a path that the owned route matches.
        headers: headers the owned route demands besides.
    """

    url: str
    host: str
    path: str
    headers: Mapping[str, str]

    def headers_with(self, *more: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of one request; a later mapping wins, and nothing replaces the host.

        Names are lower case, so that no spelling sends a header twice.
        """
        merged: dict[str, str] = {}
        for headers in (self.headers, *more, {"host": self.host}):
            merged |= {name.lower(): value for name, value in headers.items()}
        return merged


class GatewayService(NamedTuple):
    """The Kubernetes Service that a gateway's URL names. `port` is None where the URL has none."""

    namespace: str
    name: str
    scheme: str
    port: int | None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def service_of(url: str) -> GatewayService | None:
    """Read `http(s)://service.namespace[.svc[.cluster.local]][:port]`; None if it is no such name.

    A host with a final dot is an absolute DNS name and never a Service.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    labels = (parts.hostname or "").split(".")
    if len(labels) < 2 or not all(labels) or (len(labels) > 2 and labels[2] != "svc"):
        return None
    return GatewayService(labels[1], labels[0], parts.scheme, port)


class GatewayCluster(NamedTuple):
    """What the gateway's Envoys call the target: the cluster's name; `url` is the gateway's."""

    url: str
    name: str


class Listing(NamedTuple):
    """The proxies of a gateway, and until when (monotonic seconds) that may be believed."""

    proxies: tuple[str, ...]
    good_until: float


class Proxies:
    """The proxies of gateways, and each one's last listing while that is good."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._last: dict[GatewayService, Listing] = {}

    async def known(self, service: GatewayService) -> Listing:
        """Return the last listing while it is good, else a new one: enough to choose a proxy by.

        Raises:
            CrossfadeError: there is no good listing, and the EndpointSlices cannot be read.
        """
        last = self._last.get(service)
        if last is not None and self._clock.monotonic() < last.good_until:
            return last
        return await self.listed(service)

    async def listed(self, service: GatewayService) -> Listing:
        """List the proxies now: what is to be proved everywhere must not miss who has just joined.

        Raises:
            CrossfadeError: the EndpointSlices cannot be read.
        """
        asked = self._clock.monotonic()
        proxies = await list_proxies(self._cluster, service)
        # Good from when it was asked for: what came late is old when it comes.
        listing = Listing(proxies, asked + LISTING_SECONDS)
        self._last.pop(service, None)
        self._last[service] = listing
        while len(self._last) > MAX_SERVICES:
            del self._last[next(iter(self._last))]
        return listing


async def list_proxies(cluster: Cluster, service: GatewayService) -> tuple[str, ...]:
    """Return the URL of each proxy behind the Service that is ready and not terminating, sorted.

    Raises:
        CrossfadeError: the EndpointSlices cannot be read.
    """
    found: set[str] = set()
    for item in await _slices(cluster, service):
        port = _port_of(item.get("ports") or [], service)
        if port is not None:
            found.update(f"{service.scheme}://{host}:{port}" for _, host in _ready(item))
    return tuple(sorted(found))


async def list_pages(cluster: Cluster, service: GatewayService, port: int | str) -> dict[str, str]:
    """Return, by proxy, where each one that is ready serves another port: `http://host:port`.

    Args:
        cluster: to read the EndpointSlices from.
        service: the gateway's.
        port: a number, the same on each proxy, or the name of a port in the EndpointSlices.

    Raises:
        CrossfadeError: the EndpointSlices cannot be read, or have no port of that name.
    """
    found: dict[str, str] = {}
    unnamed = False
    for item in await _slices(cluster, service):
        numbers = [it["port"] for it in item.get("ports") or [] if it.get("name") == port]
        number = port if isinstance(port, int) else next(iter(numbers), None)
        for name, host in _ready(item):
            if number is None:
                unnamed = True
            else:
                found[name or f"{host}:{number}"] = f"http://{host}:{number}"
    if unnamed and not found:
        raise PermanentError(f"the EndpointSlices of Service {service} have no port named {port}")
    return dict(sorted(found.items()))


async def _slices(cluster: Cluster, service: GatewayService) -> list[Obj]:
    items: list[Obj] = []
    token = ""
    for _ in range(MAX_PAGES):
        page = await cluster.list_page(
            ENDPOINTSLICES,
            service.namespace,
            label_selector=f"{SERVICE_LABEL}={service.name}",
            token=token,
        )
        items += page.get("items") or []
        token = (page.get("metadata") or {}).get("continue") or ""
        if not token:
            break
    return items


def _ready(item: Obj) -> Iterator[tuple[str, str]]:
    """Yield name, empty where the slice has none, and host of each proxy that is to be asked."""
    for endpoint in item.get("endpoints") or []:
        conditions = endpoint.get("conditions") or {}
        # The API's own rule: an unknown readiness counts as ready, an unknown termination as none.
        if conditions.get("ready") is False or conditions.get("terminating") is True:
            continue
        for address in (endpoint.get("addresses") or [])[:1]:
            name = (endpoint.get("targetRef") or {}).get("name") or ""
            yield name, f"[{address}]" if ":" in address else address


def _port_of(ports: list[dict[str, Any]], service: GatewayService) -> int | None:
    """Map the URL's port to the pods': the same number, else the port named after the scheme."""
    numbers = [port["port"] for port in ports if port.get("port")]
    if service.port in numbers:
        return service.port
    named = sorted((port.get("name") or "", port["port"]) for port in ports if port.get("port"))
    families = (service.scheme, f"{service.scheme}2")
    by_scheme = [number for name, number in named if name.split("-")[0] in families]
    return next(iter(by_scheme + numbers), None)
