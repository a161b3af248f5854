"""A listing of a gateway's proxies is good enough to choose one by for two seconds."""

import pytest

from daemon.errors import TransientError
from daemon.gateway import LISTING_SECONDS, MAX_SERVICES, GatewayService, Proxies
from daemon.kube.objects import ENDPOINTSLICES
from tests.fakes.clock import VirtualClock
from tests.fakes.cluster import Cluster

SERVICE = GatewayService("gloo-system", "gateway-proxy", "http", 80)
ONE, TWO = "http://10.1.0.1:8080", "http://10.1.0.2:8080"


class Stage:
    def __init__(self) -> None:
        self.cluster = Cluster()
        self.clock = VirtualClock()
        self.proxies = Proxies(self.cluster, self.clock)
        self.ready("10.1.0.1")

    def ready(self, *addresses: str) -> None:
        self.cluster.put(
            ENDPOINTSLICES,
            {
                "metadata": {
                    "name": "gateway-proxy-1",
                    "namespace": SERVICE.namespace,
                    "labels": {"kubernetes.io/service-name": SERVICE.name},
                },
                "ports": [{"name": "http", "port": 8080}],
                "endpoints": [{"addresses": [it]} for it in addresses],
            },
        )

    async def asked(self, service: GatewayService = SERVICE) -> tuple[str, ...]:
        return (await self.proxies.known(service)).proxies

    @property
    def listings(self) -> int:
        return self.cluster.count("list", "endpointslices")


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_who_asks_within_two_seconds_is_told_by_one_listing(stage: Stage) -> None:
    await stage.asked()
    stage.clock.seconds += LISTING_SECONDS - 0.1

    assert await stage.asked() == (ONE,)
    assert stage.listings == 1


async def test_after_two_seconds_a_proxy_that_joined_is_seen(stage: Stage) -> None:
    await stage.asked()
    stage.ready("10.1.0.1", "10.1.0.2")
    stage.clock.seconds += LISTING_SECONDS

    assert await stage.asked() == (ONE, TWO)


async def test_who_lists_sees_a_proxy_that_joined_however_soon(stage: Stage) -> None:
    await stage.asked()
    stage.ready("10.1.0.1", "10.1.0.2")

    assert (await stage.proxies.listed(SERVICE)).proxies == (ONE, TWO)


async def test_a_listing_ages_from_when_it_was_asked_for(stage: Stage) -> None:
    def slow() -> None:
        stage.clock.seconds += 1.5

    began = stage.clock.monotonic()
    stage.cluster.fail("list", "endpointslices", meanwhile=slow)

    assert (await stage.proxies.listed(SERVICE)).good_until == began + LISTING_SECONDS


async def test_what_is_out_of_date_does_not_stand_in_for_a_listing_that_fails(stage: Stage) -> None:
    await stage.asked()
    stage.clock.seconds += LISTING_SECONDS
    stage.cluster.fail("list", "endpointslices", TransientError("away"))

    with pytest.raises(TransientError, match="away"):
        await stage.asked()


async def test_two_gateways_are_two_listings(stage: Stage) -> None:
    await stage.asked()

    assert await stage.asked(SERVICE._replace(name="other")) == ()
    assert stage.listings == 2


async def test_the_gateways_that_are_remembered_are_bounded(stage: Stage) -> None:
    for number in range(MAX_SERVICES + 1):
        await stage.asked(SERVICE._replace(name=f"gateway-{number}"))
    before = stage.listings

    await stage.asked(SERVICE._replace(name="gateway-1"))
    await stage.asked(SERVICE._replace(name="gateway-0"))

    assert stage.listings == before + 1
