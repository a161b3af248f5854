"""From a piece of work to who does it: where requests go is derived when they go."""

import asyncio
from typing import Any

import pytest

from analysis.errors import ProviderError
from analysis.providers.base import PodAddress, Scope
from daemon.adapters import MAX_PAGE_BYTES, UNDERIVABLE_RETRY_SECONDS, Adapters
from daemon.core.model import (
    DECISION_HEADER,
    ROLLOUT_HEADER,
    VERSION_HEADER,
    GuideKind,
    Phase,
    Proof,
    Work,
)
from daemon.errors import PermanentError, TransientError
from daemon.kube.objects import ENDPOINTSLICES
from daemon.ports import HttpAnswer, HttpRequest
from daemon.routers.gloo import GlooRouter
from tests.fakes.clock import VirtualClock, turns
from tests.fakes.http import Http, answer
from tests.fakes.shop import Shop
from tests.spec.routers import routes

WORK = Work(
    rollout="r1",
    decision=4,
    revision="v2/b",
    weight=0,
    stable="v1",
    stable_revision="v1/a",
    canary="v2",
    step=0,
    phase=Phase.SMOKE,
    guide=GuideKind.HEADER,
    prove=True,
    smoke=True,
)
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
            WORK, self.rollout, self.shop.route_object, self.reports.append
        )

    async def smoke(self) -> Any:
        return await self.adapters.smoke(WORK, self.rollout, self.shop.route_object)

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
