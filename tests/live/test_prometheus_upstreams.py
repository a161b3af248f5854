"""Where each version has an Upstream of its own: a real Envoy, scraped by a real Prometheus."""

import json
import shutil
import socket
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
import pytest_asyncio

from analysis.errors import RefusedError
from analysis.providers.base import Scope
from analysis.providers.exposition import Families, counters_of
from analysis.providers.prometheus import PrometheusProvider
from analysis.samples import Counts, close_block
from config.schema import Metrics, PrometheusSource, Series
from daemon.clock import SystemClock
from daemon.errors import TransientError
from daemon.sandbox.world import World
from tests.cluster.processes import Child
from tests.live.harness import PATIENCE

pytestmark = [
    pytest.mark.live,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed"),
]
PATTERN = "echo-{{ version }}_gloo-system"
RETRIES = {"retries": {"retryOn": "5xx", "numRetries": 20}}
"""So many that no request of a test ever fails in the end."""
TIMES = 60
"""Requests of a block; half of the attempts on v2 fail."""


def upstream(version):
    selector = {"app": "echo", "version": version}
    kube = {"serviceName": "echo", "serviceNamespace": "echo", "servicePort": 80}
    return {
        "apiVersion": "gloo.solo.io/v1",
        "kind": "Upstream",
        "metadata": {"name": f"echo-{version}", "namespace": "gloo-system"},
        "spec": {"kube": kube | {"selector": selector}},
    }


def route(**weights):
    members = [
        {
            "destination": {"upstream": {"name": f"echo-{it}", "namespace": "gloo-system"}},
            "weight": weight,
        }
        for it, weight in weights.items()
    ]
    return {
        "matchers": [{"prefix": "/"}],
        "routeAction": {"multi": {"destinations": members}},
        "options": RETRIES,
    }


class Ground:
    """One world, one Prometheus that scrapes its proxy, and the provider that asks it."""

    def __init__(self, world, provider, url):
        self.world = world
        self.provider = provider
        self.url = url

    def scope(self, pattern=PATTERN, stable="v1"):
        source = PrometheusSource(url=self.url, scrape_interval=timedelta(seconds=1))
        metrics = Metrics(prometheus=source, series=Series(upstream=pattern))
        return Scope("echo", "echo", stable, "v2" if stable else None, {}, metrics)

    async def truth(self):
        """What the pods themselves have counted, by version."""
        found = {}
        families = Families("http_requests_total", "code", "http_request_duration_seconds")
        async with aiohttp.ClientSession() as session:
            for version in ("v1", "v2"):
                pages = []
                for pod in await self.world.pods(version):
                    address = f"http://{pod['status']['podIP']}:{self.world.pod_port}/metrics"
                    async with session.get(address) as answer:
                        pages.append(counters_of(await answer.read(), families))
                requests = int(sum(it.requests for it in pages))
                found[version] = Counts(requests, int(sum(it.failed for it in pages)))
        return found

    async def read(self):
        """Read once Prometheus has scraped all that the pods have counted."""
        wanted = await self.truth()
        found = []

        async def scraped():
            reading = await self.provider.read(self.scope())
            sums = {
                version: sum(it.requests for it in pods.values())
                for version, pods in reading.pods.items()
            }
            found[:] = [reading]
            return sums == {it: count.requests for it, count in wanted.items()}

        await self.world.until(scraped, f"Prometheus to know of {wanted}", PATIENCE)
        return found[0]

    async def block(self):
        """Let users come between two readings; return what was counted, and what is true."""
        before, known = await self.read(), await self.truth()
        statuses = {(await self.world.ask("/work")).status for _ in range(TIMES)}
        after, counted = await self.read(), await self.truth()
        true = {
            it: Counts(
                counted[it].requests - known[it].requests, counted[it].failed - known[it].failed
            )
            for it in counted
        }
        return close_block(before, after, stable="v1", canary="v2", weight=50), true, statuses


@asynccontextmanager
async def a_prometheus(directory, target):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    labels = {"pod": "gateway-proxy-0"}
    job = {
        "job_name": "gateway",
        "metrics_path": "/stats/prometheus",
        "static_configs": [{"targets": [target], "labels": labels}],
    }
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}
    (directory / "prometheus.json").write_text(json.dumps(config), encoding="utf-8")
    child = Child(
        "prometheus",
        [
            "prometheus",
            f"--config.file={directory / 'prometheus.json'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ],
        directory / "prometheus.log",
    )
    url = f"http://127.0.0.1:{port}"

    async def ready():
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    await child.start(ready)
    try:
        yield url
    finally:
        await child.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground(tmp_path_factory):
    async with World() as world:
        await world.deploy("v2", error_rate="0.5", error_paths="/work")
        await world.ready("v2")
        await world.apply([upstream("v1"), upstream("v2")])
        host = {"domains": ["*"], "routes": [route(v1=50, v2=50)]}
        await world.apply(
            {
                "apiVersion": "gateway.solo.io/v1",
                "kind": "VirtualService",
                "metadata": {"name": "echo", "namespace": "gloo-system"},
                "spec": {"virtualHost": host},
            }
        )
        await world.until(lambda: split(world), "the routes to be live", PATIENCE)
        world.reset_metrics("v1")  # what came before went through another cluster
        world.reset_metrics("v2")
        await world.until(lambda: both_answer(world), "both versions to answer", PATIENCE)
        target = world.admin_urls[0].removeprefix("http://")
        async with a_prometheus(tmp_path_factory.mktemp("prometheus"), target) as url:
            source = PrometheusSource(url=url, scrape_interval=timedelta(seconds=1))
            clock = SystemClock().monotonic
            provider = PrometheusProvider(source, clock, timeout=5.0, budget=10.0)
            ground = Ground(world, provider, url)
            for _ in range(TIMES):  # each test finds series, whichever runs first
                await world.ask("/work")
            await ground.read()
            yield ground
            await provider.close()


async def split(world):
    return "echo-v2_gloo-system" in json.dumps(await world.gateway.envoys[0].admin.routes())


async def both_answer(world):
    try:
        return {(await world.ask()).version for _ in range(10)} == {"v1", "v2"}
    except TransientError:
        return False


async def test_every_attempt_is_counted_though_users_see_no_failure(ground):
    block, true, statuses = await ground.block()

    assert statuses == {200}, "retries hide them from users"
    assert true["v2"].failed > 0
    assert (block.canary.requests, block.canary.failed) == (true["v2"].requests, true["v2"].failed)
    assert (block.stable.requests, block.stable.failed) == (true["v1"].requests, 0)


async def test_durations_come_in_seconds_and_are_those_of_requests_with_their_retries(ground):
    known = await ground.read()

    async def merged():
        """Envoy merges its histograms a moment after it has counted."""
        reading = await ground.provider.read(ground.scope())
        [source] = reading.pods["v1"].values()
        return source.timed == sum(it.requests for it in known.pods["v1"].values())

    await ground.world.until(merged, "the histogram to have all of stable's requests", PATIENCE)
    reading = await ground.read()
    [stable], [canary] = (pods.values() for pods in reading.pods.values())
    assert {0.005, 0.5, 1.0, 10.0} <= stable.within.keys()
    assert stable.within[10.0] == stable.timed == stable.requests
    assert canary.timed < canary.requests, "a request that is retried waits once"


async def test_each_gateway_pod_is_a_source(ground):
    reading = await ground.provider.read(ground.scope())

    assert [list(pods) for pods in reading.pods.values()] == [
        ["echo-v1_gloo-system@gateway-proxy-0"],
        ["echo-v2_gloo-system@gateway-proxy-0"],
    ]


async def test_a_proxy_that_begins_anew_costs_its_block_and_no_more(ground):
    before = await ground.read()
    await ground.world.gateway.restart_proxy(0)
    await ground.world.until(lambda: both_answer(ground.world), "the proxy to be back", PATIENCE)

    async def seen():
        reading = await ground.provider.read(ground.scope())
        block = close_block(before, reading, stable="v1", canary="v2", weight=50)
        return block.restarted and not (block.canary.requests or block.stable.requests)

    await ground.world.until(seen, "the counters to have fallen", PATIENCE)


async def test_a_cluster_that_is_not_there_is_missing_and_no_zero(ground):
    reading = await ground.provider.read(ground.scope("other-{{ version }}_gloo-system"))

    assert reading.pods == {"v1": {}, "v2": {}}
    assert (
        "has no series envoy_cluster_upstream_rq_total" in reading.missing["other-v2_gloo-system"]
    )


async def test_preflight_finds_the_clusters_and_says_where_there_are_none(ground):
    await ground.provider.read(ground.scope(stable=""))

    with pytest.raises(RefusedError, match="each version needs an Upstream of its own"):
        await ground.provider.read(ground.scope("other-{{ version }}_gloo-system", stable=""))
