"""Judged by what the gateway counts: no Prometheus, and no metric of the application."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import asynccontextmanager

import pytest
import yaml

from analysis.providers.base import PodAddress, Scope
from analysis.samples import close_block
from config.load import load_policy
from config.stored import policy_hash
from daemon.adapters import Adapters
from daemon.clock import SystemClock
from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.http import AiohttpHttp
from daemon.kube.api import KubeApi
from daemon.routers.gloo import GlooRouter
from daemon.sandbox.kinds import VIRTUAL_SERVICES
from daemon.sandbox.world import World, WorldOptions
from tests.live.harness import PATIENCE, policy_text
from tests.live.patience import TIME_TO_JUDGE

ADMIN = {"port": "admin"}
"""The port of the sandbox's proxies with Envoy's own pages."""
PATIENT = {"interval": "5s"}
"""A page has four seconds then; the short policy's fifth of one is for a machine that is idle."""


def judged_by_the_gateway(pod_port: int = 1, envoy: object = ADMIN, **changes: object) -> str:
    """Write the short policy with the gateway as its only source of numbers."""
    policy = yaml.safe_load(policy_text(changes, pod_port=pod_port))
    policy["rollouts"]["echo"]["metrics"] = {"envoy": envoy}
    return yaml.safe_dump(policy)


@asynccontextmanager
async def provider_in(world: World, text: str):
    """The provider that the daemon would build from this policy."""
    clock = SystemClock()
    cluster = await KubeApi.from_kubeconfig(clock, str(world.kubeconfig))
    rollout = load_policy(text, filename="policy.yaml").rollouts["echo"]
    try:
        async with AiohttpHttp(clock) as http:
            now = cluster.server_clock.now
            adapters = Adapters(cluster, http, clock, router=GlooRouter(), now=now)
            yield adapters.provider(rollout), rollout
    finally:
        await cluster.close()


async def scope_of(world: World, rollout: object) -> Scope:
    pods = {
        version: tuple(
            PodAddress(it["metadata"]["name"], it["status"]["podIP"])
            for it in await world.pods(version)
        )
        for version in ("v1", "v2")
    }
    return Scope("echo", "echo", "v1", "v2", pods, rollout.metrics)


async def split(world: World, weight: int) -> None:
    """Give v2 this percentage, as a person would, and wait until every proxy has it."""
    upstream = {"name": "echo", "namespace": "gloo-system"}
    destinations = [
        {
            "destination": {"upstream": upstream, "subset": {"values": {"version": version}}},
            "weight": share,
        }
        for version, share in (("v1", 100 - weight), ("v2", weight))
    ]
    action = {"multi": {"destinations": destinations}}
    routes = [{"matchers": [{"prefix": "/"}], "routeAction": action}]
    change = {"spec": {"virtualHost": {"routes": routes}}}
    await world.client.merge_patch(VIRTUAL_SERVICES, "gloo-system", "echo", change)
    async with asyncio.timeout(PATIENCE):
        await world.gateway.settled()


async def users_ask(world: World, number: int) -> Counter:
    """Let users ask, and stop them; nothing is in flight any more when this returns."""
    load = await world.users(300)
    await world.until(lambda: load.total.sent >= number, f"{number} requests", PATIENCE)
    await world.stop_users()
    return Counter(load.total.answers)


@pytest.mark.live
async def test_what_it_counts_at_two_gateway_pods_is_what_users_saw():
    async with World(WorldOptions(proxies=2, seed=7)) as world:
        await world.deploy("v2", error_rate="0.2", metrics="vanish")
        await world.ready("v2")
        await split(world, 40)
        async with provider_in(world, judged_by_the_gateway(analysis=PATIENT)) as (
            provider,
            rollout,
        ):
            scope = await scope_of(world, rollout)
            before = await provider.read(scope)
            saw = await users_ask(world, 300)
            after = await provider.read(scope)

    block = close_block(before, after, stable="v1", canary="v2", weight=40)
    assert (block.stable.requests, block.stable.failed) == (saw["v1", 200], 0)
    assert block.canary.requests == saw["v2", 200] + saw["v2", 500]
    assert block.canary.failed == saw["v2", 500] > 0
    assert sum(saw.values()) == block.stable.requests + block.canary.requests
    assert (block.canary.pods, block.restarted, block.missing) == (2 * 2, (), {})


@pytest.mark.live
async def test_a_gateway_pod_that_restarts_costs_only_its_own_counts():
    async with World(WorldOptions(proxies=2, seed=7)) as world:
        await world.deploy("v2")
        await world.ready("v2")
        await split(world, 40)
        async with provider_in(world, judged_by_the_gateway(analysis=PATIENT)) as (
            provider,
            rollout,
        ):
            scope = await scope_of(world, rollout)
            await users_ask(world, 300)
            before = await provider.read(scope)
            await world.gateway.restart_proxy(1)
            await world.until(lambda: _runs(world, 1), "the proxy to be back", PATIENCE)
            saw = await users_ask(world, 100)
            after = await provider.read(scope)

    block = close_block(before, after, stable="v1", canary="v2", weight=40)
    counted = block.stable.requests + block.canary.requests
    assert 0 < counted < sum(saw.values())
    assert len(block.restarted) == 4
    assert len({it.partition("@")[2] for it in block.restarted}) == 1


async def _runs(world: World, number: int) -> bool:
    envoy = world.gateway.envoys[number]
    return envoy.running and envoy._admin is not None and await envoy.admin.routes_version() != ""


async def begun(begin, policy: Mapping[str, object] | None = None, **envoy: object):
    """A scene in which the gateway is the only source of numbers."""
    scene = await begin(start=False, rps=100)
    text = judged_by_the_gateway(scene.world.pod_port, envoy or ADMIN, **(policy or {}))
    for rollout in load_policy(text, filename="policy.yaml").rollouts.values():
        scene.policies[policy_hash(rollout)] = rollout
    scene.policy.write_text(text, encoding="utf-8")
    await scene.start()
    await scene.adopted()
    return scene


async def test_a_bad_version_without_metrics_of_its_own_is_taken_back(begin):
    scene = await begun(begin, TIME_TO_JUDGE)

    await scene.deploy("v3", error_rate="0.2", error_paths="/work", metrics="vanish")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.ANALYSIS_FAILED
    assert "canary failed" in back.message
    assert scene.shares == {"v1": 100}


async def test_a_good_version_without_metrics_of_its_own_is_promoted(begin):
    scene = await begun(begin)

    await scene.deploy("v2", metrics="vanish")
    await scene.reaches(Phase.BAKING)
    end = await scene.reaches(Phase.IDLE)

    assert end.stable == "v2"


async def test_without_the_gateways_pages_no_release_begins_and_the_sentence_says_what_to_do(
    begin, unused_tcp_port
):
    scene = await begun(begin, port=unused_tcp_port)
    await scene.told(Reason.ROUTE_WARNING, "readConfig: true")

    await scene.deploy("v2", metrics="vanish")
    said = await scene.decides(Reason.ROUTE_REFUSED)

    assert "gatewayProxies.<name>.readConfig: true" in said
    assert scene.of("v2") == 0
