"""Where the gateway pods are found whose pages are read."""

from typing import Any

import pytest

from analysis.errors import RefusedError, UnavailableError
from config.schema import EnvoySource
from daemon.envoy import (
    AT_REST_LIST_SECONDS,
    LIST_SECONDS,
    MAX_GATEWAYS,
    GatewayPods,
    GatewaysAtRest,
    envoy_provider,
)
from daemon.errors import CrossfadeError, ForbiddenError, PermanentError, TransientError
from daemon.gateway import GatewayCluster, GatewayService, list_pages
from daemon.routers.gloo import GlooRouter
from tests.spec.config.policies import echo

GATEWAY = GatewayService("gloo-system", "gateway-proxy", "http", 80)


class Slices:
    """A cluster that has these EndpointSlices, or answers with this error."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items = items
        self.error: CrossfadeError | None = None
        self.asked = 0

    async def list_page(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return {"items": list(self.items)}


class Hands:
    """A clock that people move."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


def proxy(address: str, name: str = "", **conditions: bool) -> dict[str, Any]:
    target = {"targetRef": {"kind": "Pod", "name": name}} if name else {}
    return {"addresses": [address], "conditions": conditions, **target}


def piece(*proxies: dict[str, Any], **ports: int) -> dict[str, Any]:
    named = [{"name": name, "port": port} for name, port in ports.items()]
    return {"endpoints": list(proxies), "ports": named}


A, B = proxy("10.0.0.5", "gw-a"), proxy("10.0.0.6", "gw-b")


@pytest.mark.parametrize(
    ("items", "port", "expected"),
    [
        pytest.param(
            [piece(A, B, http=8080)],
            8082,
            {"gw-a": "http://10.0.0.5:8082", "gw-b": "http://10.0.0.6:8082"},
            id="a number is the same on each of them",
        ),
        pytest.param(
            [piece(A, http=8080, admin=9001), piece(B, http=8080, admin=9002)],
            "admin",
            {"gw-a": "http://10.0.0.5:9001", "gw-b": "http://10.0.0.6:9002"},
            id="a name may be another number on each",
        ),
        pytest.param(
            [piece(A, http=8080), piece(B, admin=9002)],
            "admin",
            {"gw-b": "http://10.0.0.6:9002"},
            id="a slice without that name is passed over",
        ),
        pytest.param(
            [piece(proxy("fd00::5", "gw-a"), http=8080)],
            8082,
            {"gw-a": "http://[fd00::5]:8082"},
            id="an IPv6 address stands in brackets",
        ),
        pytest.param(
            [piece(proxy("127.0.0.1"), a=1), piece(proxy("127.0.0.1"), a=2)],
            "a",
            {"127.0.0.1:1": "http://127.0.0.1:1", "127.0.0.1:2": "http://127.0.0.1:2"},
            id="what has no name is called by its address and port",
        ),
        pytest.param(
            [
                piece(
                    A, proxy("10.0.0.6", "b", ready=False), proxy("10.0.0.7", "c", terminating=True)
                )
            ],
            8082,
            {"gw-a": "http://10.0.0.5:8082"},
            id="only ready ones that stay",
        ),
        pytest.param([], 8082, {}, id="no slice"),
        pytest.param([piece(http=8080)], "admin", {}, id="no proxy"),
    ],
)
async def test_the_pages_of_a_gateway_are_found_by_its_slices(items, port, expected):
    assert await list_pages(Slices(*items), GATEWAY, port) == expected


async def test_a_port_that_no_slice_names_is_told():
    with pytest.raises(PermanentError, match=r"gloo-system/gateway-proxy have no port named admin"):
        await list_pages(Slices(piece(A, http=8080)), GATEWAY, "admin")


async def test_gateway_pods_are_listed_every_few_seconds_and_not_at_each_look():
    cluster, clock = Slices(piece(A, http=8080)), Hands()
    pods = GatewayPods(cluster, clock, GATEWAY, 8082)
    await pods()
    cluster.items = (piece(A, B, http=8080),)

    early = await pods()
    clock.now += LIST_SECONDS
    late = await pods()

    assert (set(early), set(late), cluster.asked) == ({"gw-a"}, {"gw-a", "gw-b"}, 2)


async def test_without_a_gateway_pod_that_is_told_and_they_are_listed_at_each_look():
    cluster = Slices()
    pods = GatewayPods(cluster, Hands(), GATEWAY, 8082)
    with pytest.raises(UnavailableError, match="Service gloo-system/gateway-proxy has no ready"):
        await pods()
    cluster.items = (piece(A, http=8080),)

    assert set(await pods()) == {"gw-a"}


async def test_a_listing_that_fails_for_a_moment_leaves_the_last_one_in_use():
    cluster, clock = Slices(piece(A, http=8080)), Hands()
    pods = GatewayPods(cluster, clock, GATEWAY, 8082)
    await pods()
    cluster.error = TransientError("no answer within 5 s", sent=True)
    clock.now += LIST_SECONDS

    assert set(await pods()) == {"gw-a"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TransientError("no answer within 5 s", sent=True), UnavailableError),
        (ForbiddenError("list endpointslices is forbidden"), RefusedError),
    ],
)
async def test_gateway_pods_that_cannot_be_listed_are_told(error, kind):
    cluster = Slices()
    cluster.error = error

    with pytest.raises(kind, match=f"gateway-proxy are not known: {error}"):
        await GatewayPods(cluster, Hands(), GATEWAY, 8082)()


async def test_for_all_who_read_at_rest_a_gateway_is_listed_once_in_five_minutes():
    cluster, clock = Slices(piece(A, http=8080)), Hands()
    gateways = GatewaysAtRest(cluster, clock)

    for _ in range(int(AT_REST_LIST_SECONDS / 15)):
        await gateways.of(GATEWAY, 8082)()
        await gateways.of(GATEWAY, 8082)()
        clock.now += 15
    asked = cluster.asked
    await gateways.of(GATEWAY, 8082)()

    assert (asked, cluster.asked) == (1, 2)


async def test_of_very_many_gateways_the_oldest_listings_go():
    gateways = GatewaysAtRest(Slices(piece(A, http=8080)), Hands())
    first, second = gateways.of(GATEWAY, 1), gateways.of(GATEWAY, 2)

    for port in range(3, MAX_GATEWAYS + 2):
        gateways.of(GATEWAY, port)

    assert gateways.of(GATEWAY, 2) is second
    assert gateways.of(GATEWAY, 1) is not first


def test_a_gateway_whose_url_names_no_service_is_refused():
    upstream = GatewayCluster("https://shop.example.com", "echo_gloo-system")

    with pytest.raises(RefusedError, match=r"gateway\.url \(https://shop\.example\.com\) names"):
        envoy_provider(EnvoySource(), upstream, Slices(), Hands(), fetch=None, timeout=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "url"),
    [
        pytest.param("bake: 1m", "http://gateway-proxy.gloo-system", id="Gloo's own"),
        pytest.param("gateway: {url: http://gw.edge:80/}", "http://gw.edge:80", id="the policy's"),
    ],
)
def test_the_cluster_is_called_after_the_upstream_and_stands_at_the_gateway(line, url):
    assert GlooRouter().cluster(echo(line)) == GatewayCluster(url, "echo_gloo-system")
