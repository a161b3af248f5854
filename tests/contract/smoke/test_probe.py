"""Confirmation by the data plane: real proxies on loopback, of which some are old, gone or broken."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from daemon.core.model import GuideKind
from daemon.errors import ForbiddenError, NotFoundError, TransientError
from daemon.gateway import GatewayAddress, GatewayService, Proxies, list_proxies, service_of
from daemon.probe import SAMPLES, ProofJob, Prover
from tests.contract.smoke.proxies import (
    DEADLINE,
    START,
    Proxy,
    SliceCluster,
    close_early,
    hang,
    huge_header,
    numbers,
    raw_server,
    slice_of,
)

SERVICE_URL = "http://gateway-proxy.gloo-system"


def a_job(url=SERVICE_URL, kind=GuideKind.HEADER, **more):
    address = GatewayAddress(url, "echo.example.com", "/ping", {"x-tenant": "t"})
    return ProofJob("r7f3", 17, kind, address, ("stage", "canary"), **more)


def old(request):
    return web.Response(
        text="secret", headers=numbers(decision=16) | {"server": "envoy", "location": "/login"}
    )


def fresh(request):
    return web.Response(headers=numbers())


class Watched:
    """One running proof: its reports so far, and a way to wait for one."""

    def __init__(self, task, reports, news):
        self.task = task
        self.reports = reports
        self._news = news

    async def until(self, part):
        """Return the first report whose detail has that part."""
        async with asyncio.timeout(DEADLINE):
            while True:
                for proof in self.reports:
                    if part in proof.detail and proof.confirmed_at is None:
                        return proof
                await self._news.wait()
                self._news.clear()

    async def proof(self):
        async with asyncio.timeout(DEADLINE):
            return await self.task


@asynccontextmanager
async def proving(clock, http, cluster, job=None):
    reports, news = [], asyncio.Event()

    def report(proof):
        reports.append(proof)
        news.set()

    prover = Prover(clock, http, Proxies(cluster, clock), clock.now)
    task = asyncio.ensure_future(prover.prove(job or a_job(), report))
    try:
        yield Watched(task, reports, news)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def two_proxies(first=fresh, second=fresh):
    async with Proxy(first).running() as one, Proxy(second).running() as two:
        yield one, two


# ---------------------------------------------------------------- every proxy


async def test_a_decision_is_confirmed_once_every_proxy_shows_its_number(clock, http):
    async with two_proxies() as (one, two):
        cluster = SliceCluster(*slice_of(one.url, two.url))
        async with proving(clock, http, cluster) as watched:
            proof = await watched.proof()

    assert (proof.rollout, proof.decision, proof.sampled) == ("r7f3", 17, False)
    assert proof.confirmed_at >= proof.first_probe_at == START
    assert proof.detail == "2 of 2 proxies shown to serve decision 17"
    assert watched.reports[-1] == proof
    assert one.requests
    assert two.requests


async def test_a_probe_is_a_request_that_the_header_route_takes(clock, http):
    async with (
        Proxy().running() as proxy,
        proving(clock, http, SliceCluster(*slice_of(proxy.url))) as watched,
    ):
        await watched.proof()

    request = proxy.requests[0]
    assert (request.method, request.path, request.host) == ("GET", "/ping", "echo.example.com")
    assert (request.headers["stage"], request.headers["x-tenant"]) == ("canary", "t")
    assert "crossfade-probe" not in request.headers


@pytest.mark.parametrize("kind", [GuideKind.PRIVATE, GuideKind.WITNESS])
async def test_a_private_route_is_asked_with_the_rollouts_id(clock, http, kind):
    async with Proxy().running() as proxy:
        cluster = SliceCluster(*slice_of(proxy.url))
        async with proving(clock, http, cluster, a_job(kind=kind)) as watched:
            await watched.proof()

    assert proxy.requests[0].headers["crossfade-probe"] == "r7f3"
    assert "stage" not in proxy.requests[0].headers


async def test_one_proxy_that_stays_old_is_named_until_it_follows(clock, http):
    async with two_proxies(second=old) as (one, two):
        cluster = SliceCluster(*slice_of(one.url, two.url))
        async with proving(clock, http, cluster) as watched:
            seen = await watched.until("1 of 2 proxies")
            two.answer = fresh
            proof = await watched.proof()

    assert seen.first_probe_at == START
    assert f"127.0.0.1:{two.port} answered 200 with decision 16" in seen.detail
    assert "(server: envoy, location: /login)" in seen.detail
    assert "secret" not in seen.detail
    assert proof.confirmed_at is not None


async def test_of_many_old_proxies_a_few_are_quoted_and_the_rest_is_counted(clock, http):
    async with two_proxies(old, old) as (a, b), two_proxies(old, old) as (c, d):
        cluster = SliceCluster(*slice_of(a.url, b.url, c.url, d.url))
        async with proving(clock, http, cluster) as watched:
            proof = await watched.until("; 1 more likewise")

    assert proof.detail.count("answered 200 with decision 16") == 3


async def test_the_first_report_comes_before_any_answer(clock, http):
    async with (
        raw_server(hang) as url,
        proving(clock, http, SliceCluster(*slice_of(url))) as watched,
    ):
        first = await watched.until("0 of 1 proxy shown to serve decision 17")

    assert first is watched.reports[0]


async def test_a_detail_that_did_not_change_is_not_reported_again(clock, http):
    async with (
        Proxy(old).running() as proxy,
        proving(clock, http, SliceCluster(*slice_of(proxy.url))) as watched,
    ):
        await watched.until("decision 16")
        await clock.pass_by(10)

    assert len(watched.reports) == 2


async def test_changing_details_are_reported_once_a_second_at_most(clock, http):
    count = 0

    def changing(request):
        nonlocal count
        count += 1
        return web.Response(headers=numbers(decision=count + 100))

    async with (
        Proxy(changing).running() as proxy,
        proving(clock, http, SliceCluster(*slice_of(proxy.url))) as watched,
    ):
        await clock.pass_by(10)

    assert 5 <= len(watched.reports) <= 11


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        pytest.param({}, "answered 404 without our headers", id="no number at all"),
        pytest.param(numbers(rollout="other"), "answered 404 for another rollout", id="another id"),
        pytest.param({"x-crossfade-rollout": "r7f3"}, "with decision none", id="half a number"),
        pytest.param(numbers(decision="017"), "with decision 017", id="another spelling"),
    ],
)
async def test_an_answer_that_does_not_carry_the_number_proves_nothing(clock, http, headers, told):
    async with (
        Proxy(lambda r: web.Response(status=404, headers=headers)).running() as proxy,
        proving(clock, http, SliceCluster(*slice_of(proxy.url))) as watched,
    ):
        await watched.until(told)

        assert not watched.task.done()


async def test_the_status_of_a_proving_answer_does_not_matter(clock, http):
    async with (
        Proxy(lambda r: web.Response(status=503, headers=numbers())).running() as proxy,
        proving(clock, http, SliceCluster(*slice_of(proxy.url))) as watched,
    ):
        assert (await watched.proof()).confirmed_at is not None


async def test_a_body_of_any_size_does_not_keep_an_answer_from_proving(clock, http):
    def large(request):
        return web.Response(body=b"x" * 10_000_000, headers=numbers())

    async with (
        Proxy(large).running() as proxy,
        proving(clock, http, SliceCluster(*slice_of(proxy.url))) as watched,
    ):
        assert (await watched.proof()).confirmed_at is not None


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (huge_header, "is no HTTP, or its headers are too long"),
        (close_early, "without our headers"),
    ],
    ids=["a 10 MB header", "an early close"],
)
async def test_a_broken_proxy_is_told_and_the_proof_waits(clock, http, reply, told):
    async with (
        raw_server(reply) as url,
        proving(clock, http, SliceCluster(*slice_of(url))) as watched,
    ):
        proof = await watched.until(told)

        assert not watched.task.done()

    assert "secret" not in proof.detail


async def test_a_redirecting_proxy_is_quoted_and_not_followed(clock, http):
    def redirect(request):
        return web.Response(
            status=301, headers={"location": "https://login.example.com/" + "x" * 999}
        )

    async with (
        Proxy(redirect).running() as proxy,
        proving(clock, http, SliceCluster(*slice_of(proxy.url))) as watched,
    ):
        proof = await watched.until("location: https://login.example.com/xxx")

    assert len(proof.detail) < 500
    assert {request.path for request in proxy.requests} == {"/ping"}


# ---------------------------------------------------------------- proxies come and go


async def test_a_hanging_proxy_that_leaves_no_longer_counts(clock, http):
    async with raw_server(hang) as hanging, Proxy().running() as proxy:
        cluster = SliceCluster(*slice_of(hanging, proxy.url))
        async with proving(clock, http, cluster) as watched:
            await watched.until("1 of 2 proxies")
            cluster.items = slice_of(proxy.url)
            proof = await watched.proof()

    assert proof.detail == "1 of 1 proxy shown to serve decision 17"


async def test_a_proxy_that_joins_counts(clock, http):
    async with two_proxies(old, old) as (one, two):
        cluster = SliceCluster(*slice_of(one.url))
        async with proving(clock, http, cluster) as watched:
            await watched.until("0 of 1 proxy")
            cluster.items = slice_of(one.url, two.url)
            await watched.until("0 of 2 proxies")
            one.answer = fresh
            await watched.until("1 of 2 proxies")
            two.answer = fresh

            assert (await watched.proof()).detail.startswith("2 of 2")


@pytest.mark.parametrize(
    "conditions", [{"ready": False}, {"terminating": True}], ids=["unready", "terminating"]
)
async def test_a_proxy_that_takes_no_traffic_is_not_asked(clock, http, conditions):
    async with two_proxies(second=old) as (one, two):
        cluster = SliceCluster(*slice_of(one.url), *slice_of(two.url, **conditions))
        async with proving(clock, http, cluster) as watched:
            await watched.proof()

    assert two.requests == []


async def test_without_proxies_nothing_is_confirmed_until_there_is_one(clock, http):
    cluster = SliceCluster()
    async with Proxy().running() as proxy, proving(clock, http, cluster) as watched:
        told = await watched.until("no proxy that is ready")
        cluster.items = slice_of(proxy.url)
        proof = await watched.proof()

    assert told.detail == (
        "Service gloo-system/gateway-proxy has no proxy that is ready (no EndpointSlice names one)"
    )
    assert proof.confirmed_at is not None
    assert cluster.asked[0] == (
        "endpointslices",
        "gloo-system",
        "kubernetes.io/service-name=gateway-proxy",
    )


async def test_while_the_proxies_cannot_be_listed_nothing_is_confirmed(clock, http):
    async with Proxy().running() as proxy:
        cluster = SliceCluster(*slice_of(proxy.url))
        cluster.fault = TransientError("no answer within 5 s")
        async with proving(clock, http, cluster) as watched:
            told = await watched.until("cannot be listed now: no answer within 5 s")
            cluster.fault = None

            assert (await watched.proof()).confirmed_at is not None
            assert told.confirmed_at is None


async def test_proxies_on_further_pages_count(clock, http):
    async with two_proxies(second=old) as (one, two):
        cluster = SliceCluster(*slice_of(one.url, two.url), pages=2)
        async with proving(clock, http, cluster) as watched:
            await watched.until("1 of 2 proxies")


async def test_cancelling_leaves_nothing_running(clock, http):
    before = asyncio.all_tasks()
    async with raw_server(hang) as url:
        async with proving(clock, http, SliceCluster(*slice_of(url))) as watched:
            await watched.until("0 of 1")

        assert watched.task.cancelled()
        servers = {task for task in asyncio.all_tasks() - before if "serve" in repr(task)}
        assert asyncio.all_tasks() - before - servers == set()


# ---------------------------------------------------------------- proxies that cannot be listed


async def test_a_url_that_is_no_service_is_sampled(clock, http):
    async with (
        Proxy().running() as proxy,
        proving(clock, http, SliceCluster(), a_job(proxy.url)) as watched,
    ):
        proof = await watched.proof()

    assert proof.sampled
    assert proof.confirmed_at is not None
    assert len(proxy.requests) == SAMPLES


async def test_one_old_answer_starts_the_samples_anew(clock, http):
    def mostly_fresh(request):
        return old(request) if len(proxy.requests) == SAMPLES else fresh(request)

    async with (
        Proxy(mostly_fresh).running() as proxy,
        proving(clock, http, SliceCluster(), a_job(proxy.url)) as watched,
    ):
        await watched.proof()

    assert len(proxy.requests) == 2 * SAMPLES


@pytest.mark.parametrize("fault", [ForbiddenError, NotFoundError])
async def test_a_service_whose_proxies_may_not_be_listed_is_sampled(clock, http, nameless, fault):
    cluster = SliceCluster()
    cluster.fault = fault("may not list endpointslices in gloo-system")
    async with proving(clock, http, cluster) as watched:
        told = await watched.until(
            "its proxies cannot be listed: may not list endpointslices in gloo-system): no address"
        )

    assert told.confirmed_at is None


# ---------------------------------------------------------------- which Service, which port


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://gw.ns", GatewayService("ns", "gw", "http", None)),
        ("https://gw.ns.svc:8443", GatewayService("ns", "gw", "https", 8443)),
        ("http://gw.ns.svc.cluster.local", GatewayService("ns", "gw", "http", None)),
        ("http://gateway.example.com", None),
        ("http://example.com.", None),
        ("http://localhost:8080", None),
        ("http://127.0.0.1:8080", None),
        ("http://[::1]:8080", None),
        ("http://gw.ns:port", None),
        ("", None),
    ],
)
def test_a_service_is_told_by_its_name(url, expected):
    assert service_of(url) == expected


PORTS = [{"name": "https", "port": 8443}, {"name": "http-a", "port": 8080}, {"port": 9000}]


@pytest.mark.parametrize(
    ("scheme", "port", "ports", "expected"),
    [
        pytest.param("http", None, PORTS, 8080, id="the port named after the scheme"),
        pytest.param("https", None, PORTS, 8443, id="https as well"),
        pytest.param("http", 9000, PORTS, 9000, id="a number that the pods have"),
        pytest.param("http", 80, PORTS, 8080, id="a number that only the Service has"),
        pytest.param("http", None, PORTS[2:], 9000, id="the only one"),
    ],
)
async def test_the_urls_port_is_mapped_to_the_pods(scheme, port, ports, expected):
    item = {"ports": ports, "endpoints": [{"addresses": ["10.0.0.1", "10.0.0.2"]}]}

    found = await list_proxies(SliceCluster(item), GatewayService("ns", "gw", scheme, port))

    assert found == (f"{scheme}://10.0.0.1:{expected}",)


async def test_an_ipv6_proxy_is_bracketed_and_a_slice_without_ports_is_empty():
    items = [
        {"ports": [{"port": 80}], "endpoints": [{"addresses": ["fd00::1"]}]},
        {"ports": None, "endpoints": [{"addresses": ["fd00::2"]}]},
        {"ports": [{"port": 80}], "endpoints": None},
    ]

    found = await list_proxies(SliceCluster(*items), GatewayService("ns", "gw", "http", None))

    assert found == ("http://[fd00::1]:80",)
