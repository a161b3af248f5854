"""From a piece of work to who does it: where requests go is derived when they go."""

import asyncio
from typing import Any

import pytest

from analysis.errors import ProviderError
from analysis.providers.base import PodAddress, Scope
from analysis.providers.upstreams import ATTEMPTS
from config.schema import Metrics
from daemon.adapters import MAX_PAGE_BYTES, UNDERIVABLE_RETRY_SECONDS, Adapters
from daemon.core.model import (
    DECISION_HEADER,
    ROLLOUT_HEADER,
    VERSION_HEADER,
    Proof,
)
from daemon.errors import PermanentError, TransientError
from daemon.kube.objects import ENDPOINTSLICES, trim_pod
from daemon.ports import HttpAnswer, HttpRequest
from daemon.routers.gloo import GlooRouter
from tests.contract.providers.servers import Prometheus, serving
from tests.fakes.clock import VirtualClock, turns
from tests.fakes.http import Http, answer
from tests.fakes.shop import Shop, pod
from tests.spec.routers import routes
from tests.spec.shell.works import SMOKE

GATEWAY = {"url": "http://gateway-proxy.gloo-system:80"}
PAGE = 'http_requests_total{code="200"} 7\n'


def served(request: HttpRequest) -> HttpAnswer:
    """Answer as a gateway that serves our decision, and stable to everybody else."""
    if "stage" in request.headers:
        ours = {ROLLOUT_HEADER: "r1", DECISION_HEADER: "4", VERSION_HEADER: "v2"}
        return HttpAnswer(200, ours, b"", 0.01)
    return answer()


class Stage:
    def __init__(self, **policy: Any) -> None:
        self.shop = Shop()
        self.shop.set_route(routes.pinned())
        self.clock = VirtualClock()
        self.http = Http(served)
        self.rollout = routes.a_rollout(**({"gateway": GATEWAY} | policy))
        self.reports: list[Proof] = []
        self.adapters = Adapters(
            self.shop.cluster,
            self.http,
            self.clock,
            router=GlooRouter(),
            now=self.clock.now,
        )

    def proxies(self, *addresses: str) -> None:
        self.shop.cluster.put(
            ENDPOINTSLICES,
            {
                "metadata": {
                    "name": "gateway-proxy-1",
                    "namespace": "gloo-system",
                    "labels": {"kubernetes.io/service-name": "gateway-proxy"},
                },
                "ports": [{"name": "http", "port": 8080}],
                "endpoints": [{"addresses": [it]} for it in addresses],
            },
        )

    async def prove(self) -> Proof:
        return await self.adapters.prove(
            SMOKE, self.rollout, self.shop.route_object, self.reports.append
        )

    async def smoke(self) -> Any:
        return await self.adapters.smoke(SMOKE, self.rollout, self.shop.route_object)

    async def read(self) -> Any:
        pods = {"v1": (PodAddress("echo-v1-0", "10.0.0.1"),), "v2": ()}
        scope = Scope("echo", "echo", "v1", "v2", pods, self.rollout.metrics)
        return await self.adapters.provider(self.rollout).read(scope)


# ---------------------------------------------------------------- proofs


async def test_every_proxy_of_the_gateways_service_is_asked() -> None:
    stage = Stage()
    stage.proxies("10.1.0.1", "10.1.0.2")

    proving = asyncio.ensure_future(stage.prove())
    await stage.clock.pass_time(1)

    assert (await proving).confirmed_at is not None
    assert {it.url for it in stage.http.requests} == {
        "http://10.1.0.1:8080/",
        "http://10.1.0.2:8080/",
    }


async def test_a_gateway_that_cannot_be_derived_is_told_and_looked_for_again() -> None:
    stage = Stage(gateway={})
    stage.shop.route_object["spec"]["virtualHost"]["domains"] = ["a.example", "b.example"]
    proving = asyncio.ensure_future(stage.prove())
    await turns()
    told = stage.reports[-1]
    stage.proxies("10.1.0.1")
    stage.rollout.gateway.__dict__.update(url=GATEWAY["url"], host="echo.example.com")
    await stage.clock.pass_time(UNDERIVABLE_RETRY_SECONDS + 1)

    assert told.confirmed_at is None
    assert "set gateway.host" in told.detail
    assert (await proving).confirmed_at is not None


# ---------------------------------------------------------------- smoke


async def test_a_smoke_test_goes_through_a_proxy_with_the_canary_header() -> None:
    stage = Stage()
    stage.proxies("10.1.0.1")

    result = await stage.smoke()

    assert result.passed
    assert (result.rollout, result.decision, result.revision) == ("r1", 4, "v2/b")
    assert all(it.url.startswith("http://10.1.0.1:8080") for it in stage.http.requests)


async def test_proof_and_smoke_test_of_a_decision_ask_the_api_server_once() -> None:
    stage = Stage()
    stage.proxies("10.1.0.1")

    proving = asyncio.ensure_future(stage.prove())
    await stage.clock.pass_time(1)
    await proving
    await stage.smoke()

    assert stage.shop.cluster.count("list", "endpointslices") == 1


async def test_a_smoke_test_goes_to_the_gateways_own_address_where_no_proxy_can_be_listed() -> None:
    stage = Stage()
    stage.shop.cluster.fail("list", "endpointslices", TransientError("away"))

    assert (await stage.smoke()).passed
    assert stage.http.requests[0].url.startswith(GATEWAY["url"])


async def test_a_smoke_test_goes_to_an_address_that_is_no_service_as_it_is() -> None:
    stage = Stage(gateway={"url": "http://127.0.0.1:18080"})

    await stage.smoke()

    assert stage.http.requests[0].url.startswith("http://127.0.0.1:18080")


async def test_a_smoke_test_without_an_address_is_a_fault_and_no_verdict_on_the_canary() -> None:
    stage = Stage(gateway={})
    stage.shop.route_object["spec"]["virtualHost"]["domains"] = ["a.example", "b.example"]

    with pytest.raises(PermanentError, match=r"set gateway\.host"):
        await stage.smoke()


async def test_a_smoke_test_whose_secret_is_missing_is_a_fault_and_no_verdict_on_the_canary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    stage = Stage(gateway=GATEWAY | {"headers": {"authorization": "${env:TOKEN}"}})

    with pytest.raises(PermanentError, match=r"\$\{env:TOKEN\}"):
        await stage.smoke()


# ---------------------------------------------------------------- metrics


async def test_the_pods_own_pages_are_read() -> None:
    stage = Stage()
    stage.http.answer = lambda _: answer(body=PAGE)

    reading = await stage.read()

    assert reading.pods["v1"]["echo-v1-0"].requests == 7
    request = stage.http.requests[0]
    assert (request.url, request.max_body) == ("http://10.0.0.1:8080/metrics", MAX_PAGE_BYTES)


@pytest.mark.parametrize(
    ("came", "why"),
    [(answer(503), "answered 503"), (TransientError("connection refused"), "connection refused")],
)
async def test_a_page_that_does_not_come_is_a_missing_pod_with_why(came: Any, why: str) -> None:
    stage = Stage()
    stage.http.answer = lambda _: came

    reading = await stage.read()

    assert why in reading.missing["echo-v1-0"]


async def test_at_rest_the_pods_own_pages_are_read_without_the_api_server() -> None:
    stage = Stage()
    stage.http.answer = lambda _: answer(body=PAGE)
    provider = stage.adapters.provider_at_rest(stage.rollout)
    assert provider is not None

    pods = {"v1": (PodAddress("echo-v1-0", "10.0.0.1"),)}
    reading = await provider.read(Scope("echo", "echo", "v1", None, pods, stage.rollout.metrics))

    assert reading.pods["v1"]["echo-v1-0"].requests == 7
    assert stage.shop.cluster.calls == []


async def test_at_rest_two_targets_behind_one_gateway_list_its_pods_once() -> None:
    stage = Stage(metrics={"envoy": {}})
    stage.proxies("10.1.0.1")
    scope = Scope("echo", "echo", "v1", None, {"v1": ()}, stage.rollout.metrics)
    for _ in range(2):
        provider = stage.adapters.provider_at_rest(stage.rollout)
        assert provider is not None
        with pytest.raises(ProviderError):
            await provider.read(scope)

    assert stage.shop.cluster.count("list", "endpointslices") == 1


async def test_at_rest_a_prometheus_is_not_asked() -> None:
    stage = Stage(metrics={"prometheus": {"url": "http://127.0.0.1:9"}})

    assert stage.adapters.provider_at_rest(stage.rollout) is None


async def test_a_prometheus_whose_address_cannot_be_looked_up_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PROM", raising=False)
    stage = Stage(metrics={"prometheus": {"url": "${env:PROM}"}})

    with pytest.raises(ProviderError, match=r"\$\{env:PROM\}"):
        stage.adapters.provider(stage.rollout)


async def test_a_prometheus_is_asked_where_its_address_leads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROM", "http://127.0.0.1:9090")
    stage = Stage(metrics={"prometheus": {"url": "${env:PROM}"}})

    await stage.adapters.provider(stage.rollout).close()


async def test_where_the_policy_names_no_source_nothing_is_read_before_one_is_chosen() -> None:
    stage = Stage()
    rollout = stage.rollout.model_copy(update={"metrics": Metrics()})

    with pytest.raises(ProviderError, match="not known yet"):
        stage.adapters.provider(rollout)
    assert stage.adapters.provider_at_rest(rollout) is None
    assert await stage.adapters.metrics_fault(rollout) == ""


async def test_a_source_is_chosen_by_what_its_pages_say() -> None:
    stage = Stage()
    histogram = 'http_request_duration_seconds_bucket{le="+Inf"} 7\n'
    stage.http.answer = lambda _: answer(body=PAGE + histogram)
    rollout = stage.rollout.model_copy(update={"metrics": Metrics()})
    notes = {"annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}}
    records = []
    for version in ("v1", "v2"):
        obj = pod(version, 1)
        records.append(trim_pod(obj | {"metadata": obj["metadata"] | notes}))
    pods = {version: (PodAddress(f"echo-{version}-1", "10.0.0.1"),) for version in ("v1", "v2")}
    scope = Scope("echo", "echo", "v1", "v2", pods, rollout.metrics)

    chosen = await stage.adapters.choose(rollout, scope, records)

    assert chosen.source == "pods:8080/metrics", chosen.why


CLUSTERS = {"upstream": "echo-{{ version }}_gloo-system"}


async def test_preflight_says_where_no_version_has_a_cluster_of_its_own() -> None:
    prometheus = Prometheus()
    async with serving(prometheus.handle) as port:
        url = f"http://127.0.0.1:{port}"
        stage = Stage(metrics={"prometheus": {"url": url}, "series": CLUSTERS})
        without = await stage.adapters.metrics_fault(stage.rollout)
        prometheus.has(ATTEMPTS, 1, envoy_cluster_name="echo-v1_gloo-system")
        with_one = await stage.adapters.metrics_fault(stage.rollout)

    assert "each version needs an Upstream of its own" in without
    assert with_one == ""
