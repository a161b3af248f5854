"""The control plane at work: from an object in the cluster to requests and statuses, and its faults."""

import asyncio
import os
import random
from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio

from daemon.clock import SystemClock
from daemon.sandbox.gateway import GatewayController, GatewayOptions
from tests.contract.gateway.build import ECHO, V1, V2, host_of, share, to, virtual_service
from tests.contract.gateway.fake_cluster import FakeCluster
from tests.contract.gateway.judge import until
from tests.contract.gateway.world import Pod, service

HOST = host_of("shop")
BAD = to(V2, matchers=[{"regex": "/(["}])
PROXY = "*v1.Proxy.gateway-proxy_gloo-system"


@pytest_asyncio.fixture
async def cluster():
    """A Service `echo` with one pod of each version."""
    pods = [Pod("echo-v1", "echo", "v1"), Pod("echo-v2", "echo", "v2")]
    for pod in pods:
        await pod.start()
    made = FakeCluster()
    await made.apply(service("echo"), ECHO, *(o for pod in pods for o in pod.objects()))
    yield made
    for pod in pods:
        await pod.stop()


@asynccontextmanager
async def control_plane(cluster, directory, **options):
    controller = GatewayController(
        cluster,
        directory,
        clock=SystemClock(),
        rng=random.Random(1),
        options=GatewayOptions(**options),
    )
    running = asyncio.create_task(controller.run())
    try:
        async with asyncio.timeout(20):
            started = asyncio.create_task(controller.started.wait())
            await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await running
            await started
        yield controller
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest_asyncio.fixture
async def gateway(cluster, tmp_path):
    async with control_plane(cluster, tmp_path) as controller:
        yield controller


async def ask(address, host=HOST):
    """Version, or status where no pod answered."""
    url = "http://{}:{}/".format(*address)
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers={"Host": host}) as answer,
    ):
        return (await answer.json())["version"] if answer.status == 200 else answer.status


async def until_answer(address, wanted, host=HOST):
    """Ask until that is the answer; a proxy that is not there yet is asked again."""

    async def answers():
        try:
            return await ask(address, host) == wanted
        except aiohttp.ClientConnectionError:
            return False

    await until(answers)


def state(cluster, kind="VirtualService", name="shop"):
    return (cluster.status(kind, name) or {}).get("state")


class TestRoutes:
    async def test_a_route_that_is_applied_goes_live(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", to(V1)))

        await until_answer(gateway.addresses[0], "v1")

    async def test_a_route_that_is_deleted_goes(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", to(V1)))
        await until_answer(gateway.addresses[0], "v1")

        await cluster.remove("VirtualService", "gloo-system", "shop")

        await until_answer(gateway.addresses[0], 404)

    async def test_a_pod_that_goes_leaves_the_gateway(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", to(V1)))
        await until_answer(gateway.addresses[0], "v1")

        await cluster.remove("EndpointSlice", "echo", "echo-v1")

        await until_answer(gateway.addresses[0], "v2")  # the subset is empty now, and falls open

    async def test_settled_waits_for_the_new_routes(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", to(V1)))
        await cluster.until(lambda: state(cluster) == "Accepted")

        await gateway.settled()

        assert await ask(gateway.addresses[0]) == "v1"

    async def test_settled_returns_when_envoy_refuses(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", share((V1, 0))))
        await cluster.until(lambda: state(cluster) == "Accepted")

        async with asyncio.timeout(5):
            await gateway.settled()

        assert await gateway.envoys[0].admin.routes_rejected() > 0

    async def test_every_proxy_runs_the_same_routes(self, cluster, tmp_path):
        async with control_plane(cluster, tmp_path, proxies=2) as two:
            await cluster.apply(virtual_service("shop", to(V2)))

            for address in two.addresses:
                await until_answer(address, "v2")
            assert len(set(two.addresses)) == 2

    async def test_with_a_tick_a_change_waits_for_the_next_one(self, cluster, tmp_path):
        async with control_plane(cluster, tmp_path, apply_delay=0.3) as ticking:
            before = SystemClock().monotonic()
            await cluster.apply(virtual_service("shop", to(V1)))
            await cluster.until(lambda: state(cluster) == "Accepted")

            assert int(before / 0.3) < int(SystemClock().monotonic() / 0.3)
            await until_answer(ticking.addresses[0], "v1")


class TestStatus:
    async def test_every_object_gets_its_verdict_as_gloo_writes_it(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", to(V1)))
        await cluster.until(lambda: state(cluster) and state(cluster, "Upstream", "echo"))

        accepted = {"state": "Accepted", "reportedBy": "gloo"}
        assert cluster.status("VirtualService", "shop") == {
            **accepted,
            "subresourceStatuses": {PROXY: accepted},
        }
        assert cluster.status("Upstream", "echo") == accepted

    async def test_accepted_after_accepted_is_no_write(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", to(V1)))
        await cluster.until(lambda: state(cluster) == "Accepted")
        written = len(cluster.patches)

        await cluster.apply(virtual_service("shop", to(V2)))

        await until_answer(gateway.addresses[0], "v2")
        await gateway.settled()
        assert len(cluster.patches) == written

    async def test_a_status_write_raises_the_generation(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", to(V1)))

        await cluster.until(lambda: state(cluster) == "Accepted")

        assert cluster.generation("VirtualService", "shop") == 2

    async def test_a_rejection_is_written_with_its_reason(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", to(V1)))
        await cluster.until(lambda: state(cluster) == "Accepted")

        await cluster.apply(virtual_service("shop", BAD))

        await cluster.until(lambda: state(cluster) == "Rejected")
        assert "invalid regex" in cluster.status("VirtualService", "shop")["reason"]
        assert await ask(gateway.addresses[0]) == "v1"

    async def test_a_frozen_listener_shows_below_everybodys_status(self, cluster, gateway):
        await cluster.apply(
            virtual_service("shop", to(V1)), virtual_service("till", share((V1, 0)))
        )

        def below():
            own = cluster.status("VirtualService", "shop") or {}
            return own.get("subresourceStatuses", {}).get(PROXY, {})

        await cluster.until(lambda: below().get("state") == "Rejected")
        assert "gloo-system_till-route-0" in below()["reason"]
        assert state(cluster) == "Accepted"

    async def test_a_status_that_could_not_be_written_is_written_with_the_next_change(
        self, cluster, gateway
    ):
        cluster.refusing = True
        await cluster.apply(virtual_service("shop", to(V1)))
        await until_answer(gateway.addresses[0], "v1")

        cluster.refusing = False
        await cluster.apply(virtual_service("till", to(V1)))

        await cluster.until(lambda: state(cluster) == "Accepted")

    async def test_a_status_that_somebody_strips_is_written_again(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", to(V1)))
        await cluster.until(lambda: state(cluster) == "Accepted")

        await cluster.strip_status("VirtualService", "gloo-system", "shop")

        await cluster.until(lambda: state(cluster) == "Accepted")

    async def test_statuses_may_come_later_than_the_routes(self, cluster, tmp_path):
        async with control_plane(cluster, tmp_path, status_delay=0.5) as late:
            await cluster.apply(virtual_service("shop", to(V1)))
            await until_answer(late.addresses[0], "v1")

            assert state(cluster) is None
            await cluster.until(lambda: state(cluster) == "Accepted")


class TestFaults:
    async def test_a_frozen_gateway_accepts_and_changes_nothing(self, cluster, gateway):
        gateway.freeze()

        await cluster.apply(virtual_service("shop", to(V1)))

        await cluster.until(lambda: state(cluster) == "Accepted")
        assert await ask(gateway.addresses[0]) == 404
        gateway.thaw()
        await until_answer(gateway.addresses[0], "v1")

    async def test_one_proxy_can_be_frozen_alone(self, cluster, tmp_path):
        async with control_plane(cluster, tmp_path, proxies=2) as two:
            two.freeze(1)

            await cluster.apply(virtual_service("shop", to(V1)))

            await until_answer(two.addresses[0], "v1")
            assert await ask(two.addresses[1]) == 404

    async def test_everything_can_be_rejected(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", to(V1)))
        await until_answer(gateway.addresses[0], "v1")
        gateway.reject_everything("not today")

        await cluster.apply(virtual_service("shop", to(V2)))

        await cluster.until(lambda: state(cluster) == "Rejected")
        assert "not today" in cluster.status("VirtualService", "shop")["reason"]
        assert await ask(gateway.addresses[0]) == "v1"
        gateway.reject_everything("")
        await until_answer(gateway.addresses[0], "v2")

    async def test_a_restart_loses_the_routes_of_a_rejected_host(self, cluster, gateway):
        await cluster.apply(virtual_service("shop", to(V1)))
        await until_answer(gateway.addresses[0], "v1")
        await cluster.apply(virtual_service("shop", BAD))
        await cluster.until(lambda: state(cluster) == "Rejected")

        gateway.restart()

        await until_answer(gateway.addresses[0], 404)

    async def test_a_proxy_that_dies_comes_back_on_its_port_with_the_newest_routes(
        self, cluster, gateway
    ):
        await cluster.apply(virtual_service("shop", to(V1)))
        address = gateway.addresses[0]
        await until_answer(address, "v1")
        await gateway.restart_proxy(0)

        await cluster.apply(virtual_service("shop", to(V2)))

        await until_answer(address, "v2")
        assert gateway.addresses == [address]


class TestAddresses:
    async def test_each_proxy_is_a_ready_endpoint_of_the_gateways_service(self, cluster, tmp_path):
        async with control_plane(cluster, tmp_path, proxies=2) as two:
            made, *slices = two.proxy_objects()

            assert (made["kind"], made["metadata"]["name"]) == ("Service", "gateway-proxy")
            found = [
                (address, piece["ports"][0]["port"])
                for piece in slices
                for endpoint in piece["endpoints"]
                if endpoint["conditions"]["ready"]
                for address in endpoint["addresses"]
            ]
            assert found == two.addresses

    async def test_a_given_port_is_used(self, cluster, tmp_path, unused_tcp_port):
        async with control_plane(cluster, tmp_path, port=unused_tcp_port) as given:
            assert given.addresses == [("127.0.0.1", unused_tcp_port)]


async def test_no_envoy_is_left_when_the_gateway_is_cancelled(cluster, tmp_path):
    async with control_plane(cluster, tmp_path) as controller:
        [pid] = [envoy.pid for envoy in controller.envoys]
        assert pid is not None

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
