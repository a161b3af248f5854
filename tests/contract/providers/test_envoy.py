"""The provider `envoy` against gateway pods, on real sockets, that behave and misbehave."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from analysis.errors import RefusedError, UnavailableError
from analysis.providers.base import PodAddress, Scope
from analysis.providers.envoy import EnvoyProvider
from analysis.samples import Counters, close_block
from config.schema import EnvoySource, Metrics, PodsSource
from tests.contract.providers.servers import fetch, serving
from tests.spec.analysis.test_envoy_page import CLUSTER, endpoint, head, stats

STABLE = PodAddress("v1-a", "10.0.0.1")
CANARY = PodAddress("v2-a", "10.0.0.2")
SOUND = stats(1000, 1000).decode()


def page(stable: tuple[int, int], canary: tuple[int, int]) -> str:
    return head() + endpoint("10.0.0.1:8080", *stable) + endpoint("10.0.0.2:8080", *canary)


def scope(*canaries: PodAddress, canary: str | None = "v2") -> Scope:
    pods = {"v1": (STABLE,), "v2": canaries or (CANARY,)}
    return Scope("echo", "echo", "v1", canary, pods, Metrics(envoy=EnvoySource()))


class Pods:
    """Gateway pods by name: what each one's page says; an int is a status, "hang" no answer."""

    def __init__(self, **pages: str | int) -> None:
        self.pages = dict(pages)
        self.stats: dict[str, str | int] = {}
        self.asked: list[str] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        name, what = request.path.strip("/").split("/")
        self.asked.append(f"{name}/{what}")
        it = self.pages[name] if what == "clusters" else self.stats.get(name, SOUND)
        if it == "hang":
            await asyncio.Event().wait()
        return web.Response(status=it) if isinstance(it, int) else web.Response(text=it)

    async def listed(self) -> dict[str, str]:
        return {name: f"http://127.0.0.1:{self.port}/{name}" for name in self.pages}

    def provider(self, timeout: float = 2.0) -> EnvoyProvider:
        return EnvoyProvider(fetch, self.listed, time.monotonic, cluster=CLUSTER, timeout=timeout)


@asynccontextmanager
async def gateway(**pages: str | int):
    pods = Pods(**pages)
    async with serving(pods.answer) as pods.port:
        yield pods


def block_of(before, after):
    return close_block(before, after, stable="v1", canary="v2", weight=10)


async def test_each_endpoint_of_each_gateway_pod_is_a_source_of_its_own():
    async with gateway(a=page((90, 2), (9, 1)), b=page((80, 0), (8, 3))) as pods:
        reading = await pods.provider().read(scope())

    assert reading.pods == {
        "v1": {"v1-a@a": Counters(92, 2), "v1-a@b": Counters(80, 0)},
        "v2": {"v2-a@a": Counters(10, 1), "v2-a@b": Counters(11, 3)},
    }
    assert reading.missing == {}


async def test_without_a_canary_only_stable_is_read():
    async with gateway(a=page((90, 2), (9, 1))) as pods:
        reading = await pods.provider().read(scope(canary=None))

    assert reading.pods == {"v1": {"v1-a@a": Counters(92, 2)}}


async def test_only_the_clusters_lines_are_asked_for():
    queries = []

    async def noting(url: str, seconds: float) -> bytes:
        queries.append(url.partition("?")[2])
        return (page((1, 0), (1, 0)) if "/clusters" in url else SOUND).encode()

    async def one() -> dict[str, str]:
        return {"a": "http://10.9.9.9:8082"}

    await EnvoyProvider(noting, one, time.monotonic, cluster=CLUSTER, timeout=1).read(scope())

    assert queries[0] == "filter=%5Eecho_gloo%5C-system%24"


async def test_a_block_is_summed_over_gateway_pods():
    async with gateway(a=page((90, 2), (9, 1)), b=page((80, 0), (8, 3))) as pods:
        before = await pods.provider().read(scope())
        pods.pages |= {"a": page((190, 3), (19, 5)), "b": page((180, 1), (18, 4))}
        after = await pods.provider().read(scope())

    block = block_of(before, after)
    assert (block.stable.requests, block.stable.failed) == (100 + 1 + 100 + 1, 2)
    assert (block.canary.requests, block.canary.failed) == (10 + 4 + 10 + 1, 5)


async def test_an_endpoint_that_came_back_costs_only_its_own_source():
    async with gateway(a=page((90, 2), (9, 1)), b=page((80, 0), (8, 3))) as pods:
        before = await pods.provider().read(scope())
        pods.pages |= {"a": page((190, 3), (2, 0)), "b": page((180, 1), (18, 4))}
        after = await pods.provider().read(scope())

    block = block_of(before, after)
    assert block.restarted == ("v2-a@a",)
    assert (block.canary.requests, block.canary.failed) == (11, 1)
    assert block.stable.requests == 202


async def test_a_gateway_pod_that_joined_is_counted_from_then_on():
    async with gateway(a=page((90, 0), (9, 0))) as pods:
        before = await pods.provider().read(scope())
        pods.pages |= {"a": page((91, 0), (10, 0)), "b": page((5000, 50), (500, 50))}
        after = await pods.provider().read(scope())

    block = block_of(before, after)
    assert (block.stable.requests, block.canary.requests) == (1, 1)
    assert block.missing["v2-a@b"] == "first reading, counted from now on"


async def test_a_gateway_pod_that_left_has_nothing_to_be_counted():
    async with gateway(a=page((90, 0), (9, 0)), b=page((5, 0), (5, 0))) as pods:
        before = await pods.provider().read(scope())
        del pods.pages["b"]
        pods.pages["a"] = page((91, 0), (10, 0))
        after = await pods.provider().read(scope())

    block = block_of(before, after)
    assert (block.stable.requests, block.canary.requests) == (1, 1)
    assert (block.restarted, block.missing) == ((), {})


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (404, "its page /clusters: answered 404"),
        ("hang", "its page /clusters did not answer within 0.4 s"),
        ("<html>ok</html>", f"its page /clusters names no cluster {CLUSTER}"),
    ],
)
async def test_a_gateway_pod_that_fails_is_named_and_spoils_no_other(fault, reason):
    async with gateway(a=fault, b=page((80, 0), (8, 3))) as pods:
        reading = await pods.provider(timeout=0.4).read(scope())

    assert reading.pods["v2"] == {"v2-a@b": Counters(11, 3)}
    assert reading.missing == {"gateway pod a": reason}


async def test_a_pod_that_no_gateway_pod_knows_is_named():
    late = PodAddress("v2-b", "10.0.0.3")
    async with gateway(a=page((1, 0), (1, 0))) as pods:
        reading = await pods.provider().read(scope(CANARY, late))

    assert set(reading.pods["v2"]) == {"v2-a@a"}
    assert reading.missing == {"v2-b": "no gateway pod has its address 10.0.0.3 yet"}


async def test_pods_that_share_an_address_are_not_guessed_at():
    beside = PodAddress("v2-b", STABLE.ip)
    async with gateway(a=page((1, 0), (1, 0))) as pods:
        reading = await pods.provider().read(scope(CANARY, beside))

    assert reading.pods == {"v1": {}, "v2": {"v2-a@a": Counters(1, 0)}}
    assert reading.missing == {
        "v1-a": "shares its address 10.0.0.1 with another pod",
        "v2-b": "shares its address 10.0.0.1 with another pod",
    }


async def test_two_spellings_of_an_address_are_one():
    async with gateway(a=head() + endpoint("[fd00::7]:8080", 4)) as pods:
        reading = await pods.provider().read(scope(PodAddress("v2-a", "fd00:0:0::7")))

    assert reading.pods["v2"] == {"v2-a@a": Counters(4, 0)}


async def test_where_no_page_answers_the_sentence_says_what_to_switch_on():
    async with gateway(a=404, b=404, c=404) as pods:
        with pytest.raises(UnavailableError) as told:
            await pods.provider().read(scope())

    assert str(told.value) == (
        "no gateway pod can be read (a: its page /clusters: answered 404; b: its page /clusters:"
        " answered 404; and 1 more): does port 8082 of the gateway pods serve Envoy's page"
        " /clusters? Gloo does so on 8082 with gatewayProxies.<name>.readConfig: true in its Helm"
        " values"
    )


async def test_where_no_page_has_the_cluster_no_port_is_blamed():
    async with gateway(a=head("other")) as pods:
        with pytest.raises(RefusedError) as told:
            await pods.provider().read(scope())

    assert str(told.value) == (
        f"no gateway pod can be read (a: its page /clusters names no cluster {CLUSTER})"
    )


async def test_without_a_gateway_pod_there_is_nothing_to_read():
    async with gateway() as pods:
        with pytest.raises(UnavailableError, match="the gateway has no ready pod"):
            await pods.provider().read(scope())


async def test_a_gateway_that_counts_no_failures_is_not_believed():
    async with gateway(a=page((900, 0), (80, 0))) as pods:
        pods.stats["a"] = stats(1000, 0).decode()
        with pytest.raises(RefusedError, match="dynamicStats is false"):
            await pods.provider().read(scope())


async def test_whether_failures_are_counted_is_asked_until_it_is_known():
    async with gateway(a=page((5, 0), (1, 0))) as pods:
        provider = pods.provider()
        pods.stats["a"] = stats(3, 0).decode()
        await provider.read(scope())
        pods.stats["a"] = SOUND
        await provider.read(scope())
        await provider.read(scope())

    assert pods.asked.count("a/clusters") == 3
    assert pods.asked.count("a/stats") == 2


async def test_a_gateway_without_statistics_is_read_all_the_same():
    async with gateway(a=page((5, 0), (1, 0))) as pods:
        pods.stats["a"] = 404
        reading = await pods.provider().read(scope())

    assert reading.pods["v2"] == {"v2-a@a": Counters(1, 0)}


async def test_cancelling_a_look_cancels_its_fetches():
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hanging(url: str, seconds: float) -> bytes:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return b""

    async def one() -> dict[str, str]:
        return {"a": "http://10.9.9.9:8082"}

    provider = EnvoyProvider(hanging, one, time.monotonic, cluster=CLUSTER, timeout=60)
    look = asyncio.ensure_future(provider.read(scope()))
    await asyncio.wait_for(started.wait(), 5)
    look.cancel()

    with pytest.raises(asyncio.CancelledError):
        await look
    assert cancelled.is_set()


# ---------------------------------------------------------------- telling versions apart


async def test_endpoints_of_each_pod_of_both_versions_tell_them_apart():
    async with gateway(a=page((90, 2), (0, 0)), b=page((80, 0), (0, 0))) as pods:
        assert await pods.provider().doubt(scope(), durations=False) == ""


async def test_a_pod_that_no_gateway_pod_knows_yet_is_named():
    async with gateway(a=page((1, 0), (1, 0))) as pods:
        late = scope(CANARY, PodAddress("v2-b", "10.0.0.3"))

        assert await pods.provider().doubt(late, durations=False) == (
            "v2-b: no gateway pod has its address 10.0.0.3 yet"
        )


async def test_a_gateway_pod_that_cannot_be_read_leaves_a_doubt():
    async with gateway(a=page((1, 0), (1, 0)), b=404) as pods:
        said = await pods.provider().doubt(scope(), durations=False)

    assert said == "gateway pod b: its page /clusters: answered 404"


async def test_where_durations_are_needed_the_gateway_is_not_read():
    async with gateway(a=page((1, 0), (1, 0))) as pods:
        said = await pods.provider().doubt(scope(), durations=True)

    assert (said, pods.asked) == ("they keep no durations", [])


async def test_where_no_version_has_a_ready_pod_nothing_is_told_apart():
    async with gateway(a=page((1, 0), (1, 0))) as pods:
        nobody = Scope("echo", "echo", "v1", "v2", {}, Metrics(envoy=EnvoySource()))

        assert await pods.provider().doubt(nobody, durations=False) == "v1 has no ready pod"


async def test_a_query_cannot_be_asked():
    with pytest.raises(RefusedError, match=r"need metrics\.prometheus"):
        await Pods().provider().number(scope(), "up", 60)


async def test_without_the_key_in_the_policy_nothing_is_read():
    without = Scope("echo", "echo", "v1", "v2", {}, Metrics(pods=PodsSource(port=1)))

    with pytest.raises(RefusedError, match=r"metrics\.envoy is not in the policy"):
        await Pods().provider().read(without)
