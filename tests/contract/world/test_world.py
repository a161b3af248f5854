"""A world as a whole: what is there, who finds the gateway, and what can be broken."""

import pytest

from daemon.errors import ForbiddenError
from daemon.gateway import list_proxies, service_of
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.kinds import ENDPOINT_SLICES, PODS
from daemon.sandbox.manifests import FILES
from daemon.sandbox.world import World, WorldOptions

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def page(world, version):
    """The metrics pages of a version's pods, read at the pods themselves."""
    pages = []
    for pod in await world.pods(version):
        answer = await world.ask("/metrics", url=f"http://{pod['status']['podIP']}:8080")
        pages.append((answer.status, answer.body))
    return pages


async def test_it_starts_with_the_first_version_behind_the_gateway(world):
    answer = await world.ask("/work")

    assert (answer.status, answer.version, answer.body) == (200, "v1", "version:v1\n")


async def test_the_directory_holds_kubeconfig_and_manifests(world):
    assert {file.name for file in world.directory.iterdir()} >= {*FILES, "kubeconfig"}


async def test_the_daemon_finds_each_proxy_by_the_gateways_service():
    async with World(WorldOptions(proxies=2)) as world:
        service = service_of("http://gateway-proxy.gloo-system:80")

        found = await list_proxies(world.client, service)

        assert sorted(found) == sorted(world.urls)
        for url in found:
            assert (await world.ask(url=url)).version == "v1"


async def test_users_come_in_through_every_proxy():
    async with World(WorldOptions(proxies=2)) as world:
        load = await world.users(100)
        await world.until(lambda: load.total.sent >= 20, "twenty requests")
        await world.stop_users()

        for envoy in world.gateway.envoys:
            stats = await envoy.admin.stats("http.http.downstream_rq_2xx$")
            assert next(iter(stats.values())) >= 5


async def test_with_tokens_everybody_but_the_admin_needs_rights():
    tokens = {"secret-1": "admin", "secret-2": "system:serviceaccount:crossfade:crossfade"}
    async with World(WorldOptions(tokens=tokens)) as world:
        assert "secret-1" in world.kubeconfig.read_text()

        async with SandboxClient(world.api.url, token="secret-2") as daemon:
            with pytest.raises(ForbiddenError):
                await daemon.list_page(PODS, "echo")


async def test_users_are_counted_by_the_version_that_answered(world):
    load = await world.users(100)
    await world.until(lambda: load.total.of("v1") >= 20, "twenty answers of v1")
    await world.turn("v1", error_rate="1", error_paths="/work")
    await world.until(lambda: load.total.failed_of("v1") >= 5, "five failures of v1")

    await world.stop_users()

    assert set(load.total.answers) == {("v1", 200), ("v1", 500)}
    await world.turn("v1", error_rate=None, error_paths=None)


async def test_controllers_go_on_after_the_api_server_refused_them(world):
    fault = world.api.faults.answer(503, times=3, verb="create", resource="pods")

    await world.scale("v1", 3)
    await world.ready("v1", 3)

    assert fault.hits == 3
    await world.scale("v1", 2)
    await world.ready("v1", 2)


async def test_metrics_may_vanish_while_the_application_serves(world):
    await world.turn("v1", metrics="vanish")

    assert {status for status, _ in await page(world, "v1")} == {404}
    assert (await world.ask()).status == 200
    await world.turn("v1", metrics=None)


async def test_metrics_may_be_reset(world):
    await world.ask()
    world.reset_metrics("v1")

    assert all('code="200"' not in text for _, text in await page(world, "v1"))


async def test_pods_that_share_an_address_answer_on_ports_of_their_own():
    async with World(WorldOptions(own_addresses=False)) as world:
        slices = await world.client.list_all(ENDPOINT_SLICES, "echo")

        [first, second] = sorted(one["ports"][0]["port"] for one in slices if one["endpoints"])
        assert first != second
        pods = await world.client.list_all(PODS, "echo")
        assert {pod["status"]["podIP"] for pod in pods} == {"127.0.0.1"}
        answers = [await world.ask() for _ in range(20)]
        assert len({answer.headers["x-echo-pod"] for answer in answers}) == 2
