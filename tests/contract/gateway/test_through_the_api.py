"""The gateway behind the embedded API server, with Gloo's kinds as it serves them."""

import asyncio
import json
import random

import aiohttp
import pytest
import pytest_asyncio

from daemon.errors import CrossfadeError
from daemon.ports import Resource
from daemon.sandbox.api.server import ApiServer
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.clock import SandboxClock
from daemon.sandbox.crds import gloo_crds
from daemon.sandbox.gateway import GatewayController
from tests.contract.gateway.build import ECHO, V1, V2, canary, host_of, share, to, virtual_service
from tests.contract.gateway.judge import until
from tests.contract.gateway.world import Pod, service

VIRTUAL_SERVICES = Resource("gateway.solo.io", "v1", "virtualservices", "VirtualService")
VERSIONS = {"EndpointSlice": "discovery.k8s.io/v1"}


@pytest_asyncio.fixture
async def client():
    server = ApiServer()
    await server.start()
    for crd in gloo_crds():
        server.add_crd(crd)
    async with SandboxClient(server.url) as made:
        for name in ("echo", "gloo-system"):
            await apply(made, {"kind": "Namespace", "metadata": {"name": name}})
        yield made
    await server.stop()


@pytest_asyncio.fixture
async def gateway(client, tmp_path):
    """Pods of two versions behind a gateway."""
    pods = [Pod("echo-v1", "echo", "v1"), Pod("echo-v2", "echo", "v2")]
    for pod in pods:
        await pod.start()
        for item in pod.objects():
            await apply(client, item)
    await apply(client, service("echo"))
    await apply(client, ECHO)
    controller = GatewayController(client, tmp_path, clock=SandboxClock(), rng=random.Random(1))
    running = asyncio.create_task(controller.run())
    await controller.started.wait()
    yield controller
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    for pod in pods:
        await pod.stop()


async def apply(client, item):
    """Apply as kubectl does, unknown fields refused; what the kind demands beyond is filled in."""
    more = {"apiVersion": VERSIONS.get(item["kind"], "v1")}
    if item["kind"] == "Pod":
        more["spec"] = {"containers": [{"name": "echo", "image": "echo"}]}
    if item["kind"] == "EndpointSlice":
        more["addressType"] = "IPv4"
    return await client.apply({**more, **item})


async def read(client, name="shop"):
    return await client.get(VIRTUAL_SERVICES, "gloo-system", name)


async def until_state(client, wanted):
    async def holds():
        status = (await read(client)).get("status", {})
        return status.get("statuses", {}).get("gloo-system", {}).get("state") == wanted

    await until(holds)


async def until_version(gateway, wanted, **headers):
    url = "http://{}:{}/".format(*gateway.addresses[0])

    async def holds():
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers={"Host": host_of("shop"), **headers}) as answer,
        ):
            return answer.status == 200 and (await answer.json())["version"] == wanted

    await until(holds)


async def test_one_json_patch_moves_the_weights(client, gateway):
    await client.apply(virtual_service("shop", canary(), share((V1, 100), (V2, 0))))
    await until_version(gateway, "v1")
    weights = "/spec/virtualHost/routes/1/routeAction/multi/destinations/{}/weight"
    patch = [
        {"op": "test", "path": weights.format(0), "value": 100},
        {"op": "add", "path": weights.format(0), "value": 0},
        {"op": "add", "path": weights.format(1), "value": 100},
    ]

    await client.json_patch(VIRTUAL_SERVICES, "gloo-system", "shop", json.dumps(patch).encode())

    await until_version(gateway, "v2")
    await until_version(gateway, "v2", stage="canary")


async def test_a_status_write_raises_the_generation(client, gateway):
    made = await client.apply(virtual_service("shop", to(V1)))

    await until_state(client, "Accepted")

    assert (await read(client))["metadata"]["generation"] == made["metadata"]["generation"] + 1


async def test_verdicts_change_with_the_routes(client, gateway):
    for routes, state in (
        ([to(V1)], "Accepted"),
        ([to(V1, matchers=[{"regex": "/(["}])], "Rejected"),
        ([to({"upstream": {"name": "nope", "namespace": "gloo-system"}})], "Warning"),
        ([to(V2)], "Accepted"),
    ):
        await client.apply(virtual_service("shop", *routes))

        await until_state(client, state)


async def test_a_misspelt_field_is_refused(client):
    misspelt = virtual_service("shop", to(V1, options={"retries": {"retry_on": "5xx"}}))

    with pytest.raises(CrossfadeError, match="retry_on"):
        await client.apply(misspelt)


async def test_a_misspelt_field_is_pruned_where_nobody_asks(client):
    misspelt = virtual_service("shop", to(V1, options={"retries": {"retry_on": "5xx"}}))

    made = await client.create(VIRTUAL_SERVICES, "gloo-system", misspelt)

    assert made["spec"]["virtualHost"]["routes"][0]["options"]["retries"] == {}


async def test_options_that_mean_nothing_here_are_kept(client):
    options = {"extauth": {"disable": True}, "envoyMetadata": {"any": {"deep": [1]}}}

    made = await client.apply(virtual_service("shop", to(V1, options=options)))

    assert made["spec"]["virtualHost"]["routes"][0]["options"] == options
