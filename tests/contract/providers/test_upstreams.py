"""The provider `prometheus` where each version is an Envoy cluster of its own."""

import time
from contextlib import asynccontextmanager

import pytest

from analysis.errors import RefusedError, StaleError
from analysis.providers.base import Scope
from analysis.providers.prometheus import PrometheusProvider
from analysis.providers.upstreams import (
    ATTEMPTS,
    DURATIONS,
    REQUESTS,
    RETRIED,
    any_cluster,
    cluster_of,
)
from analysis.samples import Counters, close_block
from config.schema import Metrics, PrometheusSource, Series
from tests.contract.providers.servers import Prometheus, serving

PATTERN = "echo-{{ version }}_gloo-system"
STABLE, CANARY = "echo-v1_gloo-system", "echo-v2_gloo-system"


def scope(*, stable: str = "v1", canary: str | None = "v2", pattern: str = PATTERN) -> Scope:
    source = PrometheusSource(url="http://127.0.0.1:9090")
    metrics = Metrics(prometheus=source, series=Series(upstream=pattern))
    return Scope("echo", "shop", stable, canary, {}, metrics)


@asynccontextmanager
async def asking(prometheus: Prometheus):
    async with serving(prometheus.handle) as port:
        source = PrometheusSource(url=f"http://127.0.0.1:{port}")
        provider = PrometheusProvider(source, time.monotonic, timeout=5.0, budget=10.0)
        try:
            yield provider
        finally:
            await provider.close()


def counted(
    prometheus: Prometheus,
    cluster: str,
    good: float,
    bad: float = 0,
    *,
    retried: float = 0,
    gateway: str = "g1",
    age: float = 1.0,
) -> None:
    """What one gateway pod's Envoy has counted of a cluster."""
    labels = {"envoy_cluster_name": cluster, "pod": gateway, "job": "g", "instance": f"{gateway}:1"}
    for metric, code, value in (
        (REQUESTS, "200", good),
        (REQUESTS, "503", bad),
        (RETRIED, "503", retried),
    ):
        prometheus.has(metric, value, age=age, envoy_response_code=code, **labels)
    prometheus.has(ATTEMPTS, good + bad + retried, age=age, **labels)
    for bound, value in (("500", good), ("+Inf", good + bad)):
        prometheus.has(DURATIONS, value, age=age, le=bound, **labels)


def echo(**canary: float) -> Prometheus:
    prometheus = Prometheus()
    counted(prometheus, STABLE, 900, 2)
    counted(prometheus, CANARY, canary.get("good", 77), canary.get("bad", 6))
    return prometheus


async def read(prometheus: Prometheus, **rest):
    async with asking(prometheus) as provider:
        return await provider.read(scope(**rest))


# ---------------------------------------------------------------- what is counted


async def test_each_gateway_pod_is_a_source_of_each_versions_cluster():
    prometheus = echo()
    counted(prometheus, CANARY, 10, 1, gateway="g2")

    reading = await read(prometheus)

    assert reading.pods == {
        "v1": {f"{STABLE}@g1": Counters(902, 2, {0.5: 900}, 902)},
        "v2": {
            f"{CANARY}@g1": Counters(83, 6, {0.5: 77}, 83),
            f"{CANARY}@g2": Counters(11, 1, {0.5: 10}, 11),
        },
    }
    assert reading.missing == {}


async def test_an_attempt_that_was_retried_is_an_attempt_and_a_failure():
    prometheus = Prometheus()
    counted(prometheus, STABLE, 900)
    counted(prometheus, CANARY, 37, retried=10)

    reading = await read(prometheus)

    [canary] = reading.pods["v2"].values()
    assert (canary.requests, canary.failed) == (47, 10)


async def test_a_retried_answer_that_is_no_servers_fault_is_an_attempt_alone():
    prometheus = echo()
    labels = {"envoy_cluster_name": CANARY, "pod": "g1", "job": "g", "instance": "g1:1"}
    prometheus.has(RETRIED, 5, envoy_response_code="409", **labels)

    reading = await read(prometheus)

    [canary] = reading.pods["v2"].values()
    assert (canary.requests, canary.failed) == (88, 6)


async def test_without_a_canary_only_stable_is_read():
    assert set((await read(echo(), canary=None)).pods) == {"v1"}


async def test_other_clusters_are_not_counted():
    prometheus = echo()
    for other in ("echo-v22_gloo-system", "xecho-v2_gloo-system", "echo-v2_gloo-systems"):
        counted(prometheus, other, 0, 1000)

    reading = await read(prometheus)

    assert reading.pods["v2"] == {f"{CANARY}@g1": Counters(83, 6, {0.5: 77}, 83)}


async def test_where_no_label_names_the_gateway_pod_its_instance_does():
    prometheus = echo()
    for sample in prometheus.samples:
        del sample.labels["pod"]

    assert set((await read(prometheus)).pods["v2"]) == {f"{CANARY}@g1:1"}


async def test_a_gateway_pod_that_began_anew_costs_its_own_block_only():
    first, second = echo(), Prometheus()
    counted(first, CANARY, 50, gateway="g2")
    counted(second, STABLE, 1000, 2)
    counted(second, CANARY, 5)
    counted(second, CANARY, 60, 1, gateway="g2")

    block = close_block(await read(first), await read(second), stable="v1", canary="v2", weight=10)

    assert block.restarted == (f"{CANARY}@g1",)
    assert (block.canary.requests, block.canary.failed, block.stable.requests) == (11, 1, 100)
    assert block.canary.restarts == 0, "no pod of the canary restarted"


async def test_a_cluster_that_nobody_asked_yet_counts_zero():
    prometheus = Prometheus()
    counted(prometheus, STABLE, 900)
    prometheus.has(ATTEMPTS, 0, envoy_cluster_name=CANARY, pod="g1", job="g", instance="g1:1")

    assert (await read(prometheus)).pods["v2"] == {f"{CANARY}@g1": Counters(0, 0)}


# ---------------------------------------------------------------- what is not believed


async def test_a_cluster_without_series_is_missing():
    prometheus = Prometheus()
    counted(prometheus, STABLE, 900)

    reading = await read(prometheus)

    assert reading.pods["v2"] == {}
    assert reading.missing == {
        CANARY: f'Prometheus has no series {ATTEMPTS}{{envoy_cluster_name="{CANARY}"}}'
    }


async def test_a_gateway_that_counts_attempts_and_no_codes_is_not_believed():
    prometheus = Prometheus()
    counted(prometheus, STABLE, 900)
    prometheus.has(ATTEMPTS, 500, envoy_cluster_name=CANARY, pod="g1", job="g", instance="g1:1")

    reading = await read(prometheus)

    assert reading.pods["v2"] == {}
    assert (
        "it counts 500 attempts and no envoy_cluster_upstream_rq by code"
        in reading.missing["gateway pod g1"]
    )


async def test_a_gateway_pod_that_two_jobs_scrape_is_not_counted_twice():
    prometheus = echo()
    labels = {"envoy_cluster_name": CANARY, "pod": "g1", "job": "again", "instance": "g1:1"}
    prometheus.has(REQUESTS, 83, envoy_response_code="200", **labels)

    reading = await read(prometheus)

    assert reading.missing == {
        "gateway pod g1": "it is scraped 2 times over, so its requests would be, too"
    }


async def test_old_samples_of_every_gateway_pod_are_stale():
    prometheus = Prometheus()
    counted(prometheus, STABLE, 900)
    counted(prometheus, CANARY, 77, age=46)

    with pytest.raises(StaleError, match=f"no sample of {CANARY} younger than 45 s"):
        await read(prometheus)


async def test_old_samples_of_one_gateway_pod_leave_the_others():
    prometheus = echo()
    counted(prometheus, CANARY, 5, gateway="g2", age=600)

    reading = await read(prometheus)

    assert set(reading.pods["v2"]) == {f"{CANARY}@g1"}
    assert reading.missing == {"gateway pod g2": "its newest sample is 555 s too old"}


# ---------------------------------------------------------------- preflight, and doubts


async def test_preflight_finds_the_cluster_of_any_version():
    async with asking(echo()) as provider:
        await provider.read(scope(stable="", canary=None))


async def test_preflight_says_where_no_version_has_a_cluster():
    prometheus = Prometheus()
    counted(prometheus, "echo_gloo-system", 900)

    async with asking(prometheus) as provider:
        with pytest.raises(RefusedError) as told:
            await provider.read(scope(stable="", canary=None))

    assert str(told.value).endswith(
        f"has no series {ATTEMPTS} of a cluster {PATTERN}, as metrics.series.upstream says: each"
        " version needs an Upstream of its own (in subset mode all share one), and the gateway pods"
        " must be scraped"
    )


async def test_two_clusters_with_series_tell_the_versions_apart():
    async with asking(echo()) as provider:
        assert await provider.doubt(scope(), durations=True) == ""


async def test_a_cluster_without_series_leaves_a_doubt():
    prometheus = Prometheus()
    counted(prometheus, STABLE, 900)

    async with asking(prometheus) as provider:
        assert CANARY in await provider.doubt(scope(), durations=False)


# ---------------------------------------------------------------- names


def test_placeholders_become_the_clusters_name():
    values = {"namespace": "n", "target": "t", "version": "1.10"}

    assert cluster_of("{{target}}-{{ version }}_{{ namespace }}", values) == "t-1.10_n"


def test_a_placeholder_that_is_not_filled_in_is_refused():
    with pytest.raises(RefusedError, match="unknown placeholder window"):
        cluster_of("{{ window }}", {"version": "v1"})


def test_a_version_of_any_spelling_can_only_be_itself():
    query = any_cluster("a.b-{{ version }}-{{ target }}", {"target": "x.y"})

    assert query == (
        f'sum by (envoy_cluster_name) ({ATTEMPTS}{{envoy_cluster_name=~"a\\\\.b-.+-x\\\\.y"}})'
    )
