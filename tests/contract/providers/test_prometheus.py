"""The provider `prometheus` against a real HTTP server: what it asks, and what it believes."""

import asyncio
import gzip
import json
import os
import time
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from analysis.errors import ProviderError, RefusedError, StaleError, UnavailableError
from analysis.providers.base import PodAddress, Scope
from analysis.providers.prometheus import PrometheusProvider
from analysis.providers.session import LARGEST_BODY, TokenFile
from analysis.samples import Counters, Number, NumberKind
from config.schema import Metrics, PrometheusSource
from tests.contract.providers.servers import Prometheus, answering, serving, success

REQUESTS = "http_requests_total"
BUCKET = "http_request_duration_seconds_bucket"


async def no_sleep(_: float) -> None:
    """Attempts follow at once."""


def provider_at(port: int, **rest) -> PrometheusProvider:
    source = PrometheusSource(url=f"http://127.0.0.1:{port}/")
    options = {"timeout": 5.0, "budget": 10.0, "sleep": no_sleep} | rest
    return PrometheusProvider(source, time.monotonic, **options)


def scope(port: int = 9090, *, canary: str | None = "v2", pods: dict | None = None) -> Scope:
    names = {"v1": ("a",), "v2": ("b",)} if pods is None else pods
    return Scope(
        namespace="echo",
        target="echo",
        stable="v1",
        canary=canary,
        pods={v: tuple(PodAddress(n, "127.0.0.1") for n in ns) for v, ns in names.items()},
        metrics=Metrics(prometheus=PrometheusSource(url=f"http://127.0.0.1:{port}")),
    )


@asynccontextmanager
async def asking(prometheus: Prometheus, **rest):
    async with serving(prometheus.handle) as port:
        provider = provider_at(port, **rest)
        try:
            yield provider
        finally:
            await provider.close()


@asynccontextmanager
async def answered_by(respond, **rest):
    """A provider whose every question `respond(request)` answers."""
    async with serving(respond) as port:
        provider = provider_at(port, **rest)
        try:
            yield provider
        finally:
            await provider.close()


def echo() -> Prometheus:
    """Two versions, a pod each, as a scrape a second ago left them."""
    prometheus = Prometheus()
    for pod, version, good, bad in (("a", "v1", 900, 2), ("b", "v2", 77, 6)):
        labels = {"pod": pod, "version": version, "job": "echo", "instance": f"{pod}:80"}
        prometheus.has(REQUESTS, good, code="200", path="/", **labels)
        prometheus.has(REQUESTS, bad, code="500", path="/", **labels)
        prometheus.has(BUCKET, good, le="0.5", **labels)
        prometheus.has(BUCKET, good + bad, le="+Inf", **labels)
    return prometheus


# ---------------------------------------------------------------- reading counters


async def test_counters_of_both_versions_are_read_per_pod():
    async with asking(echo()) as provider:
        reading = await provider.read(scope())

    assert reading.pods == {
        "v1": {"a": Counters(902, 2, {0.5: 900}, 902)},
        "v2": {"b": Counters(83, 6, {0.5: 77}, 83)},
    }
    assert (reading.at, reading.missing) == (1_700_000_000.0, {})


async def test_all_queries_of_a_look_are_pinned_to_prometheus_own_time():
    prometheus = echo()
    async with asking(prometheus) as provider:
        await provider.read(scope())

    clock, *queries = prometheus.asked
    assert clock == {"query": "time()", "timeout": "5000ms"}
    assert [query["time"] for query in queries] == ["1700000000.000"] * 3
    assert {query["timeout"] for query in queries} == {"5000ms"}


async def test_paths_and_methods_are_summed_by_prometheus():
    prometheus = echo()
    prometheus.has(
        REQUESTS, 10, code="503", path="/b", pod="b", version="v2", job="echo", instance="b:80"
    )
    async with asking(prometheus) as provider:
        reading = await provider.read(scope())

    assert reading.pods["v2"]["b"].requests == 93
    assert reading.pods["v2"]["b"].failed == 16


async def test_a_pod_belongs_to_the_version_that_kubernetes_says():
    prometheus = Prometheus()
    prometheus.has(REQUESTS, 5, code="200", pod="b")
    async with asking(prometheus) as provider:
        reading = await provider.read(scope())

    assert reading.pods["v2"] == {"b": Counters(5, 0)}


async def test_another_namespaces_pods_are_never_read():
    prometheus = echo()
    prometheus.has(REQUESTS, 10_000, code="500", pod="b2", version="v2")
    prometheus.has(REQUESTS, 10_000, code="500", pod="xb", version="v2")
    async with asking(prometheus) as provider:
        reading = await provider.read(scope())

    assert reading.pods["v2"]["b"].requests == 83


async def test_a_dot_in_a_pods_name_matches_only_a_dot():
    prometheus = Prometheus()
    prometheus.has(REQUESTS, 1, code="200", pod="b.1")
    prometheus.has(REQUESTS, 100, code="500", pod="bx1")
    async with asking(prometheus) as provider:
        reading = await provider.read(scope(pods={"v2": ("b.1",)}))

    assert reading.pods["v2"] == {"b.1": Counters(1, 0)}


async def test_without_pods_there_is_nothing_to_ask_for():
    prometheus = echo()
    async with asking(prometheus) as provider:
        reading = await provider.read(scope(pods={}))

    assert reading.pods == {"v1": {}, "v2": {}}
    assert [query["query"] for query in prometheus.asked] == ["time()"]


async def test_without_a_canary_only_stable_is_read():
    async with asking(echo()) as provider:
        reading = await provider.read(scope(canary=None))

    assert set(reading.pods) == {"v1"}


def without(prometheus: Prometheus, **labels: str) -> None:
    prometheus.samples = [
        sample for sample in prometheus.samples if not labels.items() <= sample.labels.items()
    ]


def unlabelled(prometheus: Prometheus) -> None:
    prometheus.has(REQUESTS, 3, pod="b", version="v2", job="echo", instance="b:80")


def scraped_twice(prometheus: Prometheus) -> None:
    prometheus.has(REQUESTS, 3, code="200", pod="b", version="v2", job="other", instance="b:80")


def mislabelled(prometheus: Prometheus) -> None:
    prometheus.has(REQUESTS, 3, code="200", pod="b", version="v1", job="echo", instance="b:80")


def value(number: str, metric: str = REQUESTS, **labels: str):
    def put(prometheus: Prometheus) -> None:
        named = {"pod": "b", "version": "v2", "job": "echo", "instance": "b:80"}
        prometheus.has(metric, number, code="201", **named, **labels)

    return put


@pytest.mark.parametrize(
    ("case", "change", "reason"),
    [
        ("absent", lambda it: without(it, pod="b"), "Prometheus has no series http_requests_total"),
        ("unlabelled", unlabelled, 'has no status code in its label "code"'),
        ("scraped twice", scraped_twice, "it is scraped 2 times over"),
        ("of another version", mislabelled, "it is of v2, but its series say v1, v2"),
        ("NaN", value("NaN"), "is no count"),
        ("infinite", value("+Inf"), "is no count"),
        ("negative", value("-1"), "is no count"),
        ("bound that is none", value("1", BUCKET, le="many"), 'no number in its label "le"'),
        ("falling buckets", value("999", BUCKET, le="0.1"), "not cumulative"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_pod_that_cannot_be_believed_is_missing_with_a_reason(case, change, reason):
    prometheus = echo()
    change(prometheus)
    async with asking(prometheus) as provider:
        reading = await provider.read(scope())

    assert set(reading.pods["v1"]) == {"a"}, case
    assert reading.pods["v2"] == {}
    assert reason in reading.missing["b"]


async def test_the_same_series_twice_in_one_answer_is_refused():
    row = {"metric": {"pod": "b", "code": "200"}, "value": [1.7e9, "5"]}
    prometheus = echo()
    async with asking(prometheus) as provider:
        await provider.read(scope())
        requests = next(it["query"] for it in prometheus.asked if "code" in it["query"])
        prometheus.scripted[requests] = success([row, row])
        reading = await provider.read(scope())

    assert "there twice" in reading.missing["b"]


# ---------------------------------------------------------------- staleness


def aged(age: float, pod: str = "b") -> Prometheus:
    prometheus = echo()
    for sample in prometheus.samples:
        if sample.labels["pod"] == pod:
            sample.at = prometheus.now - age
    return prometheus


async def test_three_scrape_intervals_may_pass():
    async with asking(aged(45)) as provider:
        assert "b" in (await provider.read(scope())).pods["v2"]


async def test_a_version_without_younger_samples_is_stale():
    async with asking(aged(46)) as provider:
        with pytest.raises(StaleError, match="no sample of v2 younger than 45 s"):
            await provider.read(scope())


async def test_a_stable_version_without_young_samples_does_not_hide_the_canary():
    async with asking(aged(600, pod="a")) as provider:
        reading = await provider.read(scope())

    assert (set(reading.pods["v2"]), set(reading.missing)) == ({"b"}, {"a"})


async def test_without_a_canary_it_is_stable_that_must_be_fresh():
    async with asking(aged(600, pod="a")) as provider:
        with pytest.raises(StaleError, match="no sample of v1"):
            await provider.read(scope(canary=None))


async def test_one_stale_pod_among_others_is_missing():
    prometheus = aged(600)
    prometheus.has(REQUESTS, 8, code="200", pod="c", version="v2")
    async with asking(prometheus) as provider:
        reading = await provider.read(scope(pods={"v1": ("a",), "v2": ("b", "c")}))

    assert set(reading.pods["v2"]) == {"c"}
    assert reading.missing == {"b": "its newest sample is 555 s too old"}


# ---------------------------------------------------------------- single numbers

NOW = 1_700_000_000.0
VALUE = {"metric": {}, "value": [NOW, "42.5"]}


@pytest.mark.parametrize(
    ("case", "body", "number"),
    [
        ("one element", success([VALUE]), Number(NumberKind.VALUE, 42.5, NOW)),
        ("a scalar", success([NOW, "42"], "scalar"), Number(NumberKind.VALUE, 42, NOW)),
        ("with infos", success([VALUE], infos=["a hint"]), Number(NumberKind.VALUE, 42.5, NOW)),
        ("nothing", success([]), Number(NumberKind.NO_DATA)),
        ("two series", success([VALUE, VALUE]), Number(NumberKind.MANY_SERIES)),
        ("NaN", success([{"metric": {}, "value": [NOW, "NaN"]}]), Number(NumberKind.NAN)),
        ("+Inf", success([{"metric": {}, "value": [NOW, "+Inf"]}]), Number(NumberKind.INFINITE)),
        ("-Inf", success([NOW, "-Inf"], "scalar"), Number(NumberKind.INFINITE)),
        ("1e999", success([NOW, "1e999"], "scalar"), Number(NumberKind.INFINITE)),
        ("a string", success([NOW, "abc"], "string"), Number(NumberKind.WRONG_TYPE)),
        ("a word", success([NOW, "abc"], "scalar"), Number(NumberKind.WRONG_TYPE)),
        (
            "a matrix",
            success([{"metric": {}, "values": []}], "matrix"),
            Number(NumberKind.WRONG_TYPE),
        ),
        (
            "a native histogram",
            success([{"metric": {}, "histogram": [NOW, {}]}]),
            Number(NumberKind.WRONG_TYPE),
        ),
        ("a number unquoted", success([NOW, 42], "scalar"), Number(NumberKind.WRONG_TYPE)),
        ("a list of three", success([NOW, "1", "2"], "scalar"), Number(NumberKind.WRONG_TYPE)),
        ("time in words", success(["now", "1"], "scalar"), Number(NumberKind.WRONG_TYPE)),
        ("time as true", success([True, "1"], "scalar"), Number(NumberKind.WRONG_TYPE)),
        ("time too large", success([10**400, "1"], "scalar"), Number(NumberKind.WRONG_TYPE)),
        ("no list", success({"a": 1}), Number(NumberKind.WRONG_TYPE)),
        ("a row that is none", success([3]), Number(NumberKind.WRONG_TYPE)),
        ("no type", success([VALUE], None), Number(NumberKind.WRONG_TYPE)),
        ("stale by ten minutes", success([NOW - 600, "1"], "scalar"), Number(NumberKind.STALE)),
        ("with warnings", success([VALUE], warnings=["partial"]), Number(NumberKind.WARNINGS)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_every_shape_of_an_answer_is_one_kind_of_number(case, body, number):
    prometheus = Prometheus(scripted={"q": body})
    async with asking(prometheus) as provider:
        assert await provider.number(scope(), "q", 60) == number, case


async def test_placeholders_are_filled_for_the_canary():
    query = 'rate(x{n="{{ namespace }}",v="{{ version }}"}[{{ window }}])'
    filled = 'rate(x{n="echo",v="v2"}[60s])'
    prometheus = Prometheus(scripted={filled: success([VALUE])})
    async with asking(prometheus) as provider:
        await provider.number(scope(), query, 60)

    assert prometheus.asked[-1] == {"query": filled, "timeout": "5000ms", "time": "1700000000.000"}


async def test_without_a_canary_a_query_has_no_data():
    async with asking(Prometheus()) as provider:
        assert await provider.number(scope(canary=None), "q", 60) == Number(NumberKind.NO_DATA)


async def test_a_query_with_an_unknown_placeholder_is_not_asked():
    prometheus = Prometheus()
    async with asking(prometheus) as provider:
        with pytest.raises(RefusedError, match="unknown placeholder"):
            await provider.number(scope(), 'x{v="{{ pod }}"}', 60)

    assert prometheus.asked == []


# ---------------------------------------------------------------- a Prometheus that misbehaves


def saying(body: bytes | str = b"", status: int = 200, **headers: str):
    async def respond(request: web.Request) -> web.Response:
        raw = body.encode() if isinstance(body, str) else body
        return web.Response(body=raw, status=status, headers=headers)

    return respond


BAD_QUERY = json.dumps({"status": "error", "errorType": "bad_data", "error": "parse\nerror at 1:5"})


@pytest.mark.parametrize(
    ("case", "respond", "kind", "reason"),
    [
        ("HTML with 200", saying("<html>sign in</html>"), RefusedError, "does not answer as"),
        ("empty", saying(), RefusedError, "does not answer as Prometheus"),
        ("a JSON string", saying('""'), RefusedError, "does not answer as Prometheus"),
        ("a JSON list", saying("[]"), RefusedError, "does not answer as Prometheus"),
        ("deep JSON", saying("[" * 200_000), RefusedError, "does not answer as Prometheus"),
        ("no data", saying('{"status":"success"}'), RefusedError, "no data"),
        ("data of a list", saying('{"status":"success","data":[]}'), RefusedError, "no data"),
        ("error with 200", saying(BAD_QUERY), RefusedError, r": parse error at 1:5"),
        ("400", saying(BAD_QUERY, 400), RefusedError, "status 400: parse error at 1:5"),
        ("422", saying("{}", 422), RefusedError, "status 422"),
        ("401", saying("token=secret", 401), RefusedError, r"status 401: it wants \(other\)"),
        ("404", saying("secret", 404), RefusedError, "status 404$"),
        ("redirect", saying(status=302, Location="http://127.0.0.1:1/"), RefusedError, "redirects"),
        ("503", saying("secret", 503), UnavailableError, "status 503$"),
        ("429", saying(status=429), UnavailableError, "status 429"),
        ("time in words", saying(success([NOW, "x"], "scalar")), RefusedError, "tell the time"),
        ("time as NaN", saying(success([NOW, "NaN"], "scalar")), RefusedError, "tell the time"),
        ("time as a vector", saying(success([])), RefusedError, "tell the time"),
        ("1 GB of spaces", saying(b" " * (LARGEST_BODY + 1)), RefusedError, "larger than 4 MiB"),
        (
            "gzip bomb",
            saying(gzip.compress(b" " * (64 * LARGEST_BODY), 1), **{"Content-Encoding": "gzip"}),
            RefusedError,
            "larger than 4 MiB",
        ),
        (
            "broken gzip",
            saying(b"no gzip", **{"Content-Encoding": "gzip"}),
            UnavailableError,
            r"the exchange failed \(",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_answer_that_is_none_is_an_error_with_a_sentence(case, respond, kind, reason):
    async with answered_by(respond) as provider:
        with pytest.raises(kind, match=reason) as raised:
            await provider.read(scope())

    text = str(raised.value)
    assert text.startswith("Prometheus at http://127.0.0.1:"), case
    assert "secret" not in text
    assert len(text) < 400


@pytest.mark.parametrize(
    ("case", "table"),
    [
        ("warnings", success([], warnings=["partial response"])),
        ("a scalar", success([NOW, "1"], "scalar")),
        ("a row without labels", success([{"value": [NOW, "1"]}])),
        ("labels that are no text", success([{"metric": {"pod": 1}, "value": [NOW, "1"]}])),
        ("a native histogram", success([{"metric": {}, "histogram": [NOW, {}]}])),
    ],
)
async def test_a_table_of_another_shape_is_no_reading(case, table):
    async def respond(request: web.Request) -> web.Response:
        is_clock = request.query["query"] == "time()"
        return web.Response(body=success([NOW, f"{NOW}"], "scalar") if is_clock else table)

    async with answered_by(respond) as provider:
        with pytest.raises(ProviderError, match="answers with"):
            await provider.read(scope())


async def test_a_dead_port_is_told_with_the_systems_words():
    async with serving(saying()) as port:
        pass
    provider = provider_at(port)

    with pytest.raises(UnavailableError, match=r"no connection \(Connection refused\)"):
        await provider.read(scope())
    await provider.close()


async def test_a_server_that_hangs_is_given_up_by_the_time_out():
    async with answering(b"") as port:
        provider = provider_at(port, timeout=0.2, budget=0)
        with pytest.raises(UnavailableError, match=r"no answer within 0\.2 s"):
            await provider.read(scope())
        await provider.close()


async def test_a_body_that_stalls_is_given_up_by_the_time_out():
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{") as port:
        provider = provider_at(port, timeout=0.2, budget=0)
        with pytest.raises(UnavailableError, match=r"no answer within 0\.2 s"):
            await provider.read(scope())
        await provider.close()


async def test_a_chunk_that_never_ends_is_given_up_by_the_deadline():
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.02)
        except ConnectionError:
            return response

    async with answered_by(trickle, timeout=0.2, budget=0) as provider:
        with pytest.raises(UnavailableError, match=r"no whole answer within 0\.2 s"):
            await provider.read(scope())


async def test_a_fault_that_passes_is_tried_again_within_the_look():
    prometheus, failures = echo(), [503, 502]

    async def respond(request: web.Request) -> web.StreamResponse:
        return web.Response(status=failures.pop()) if failures else await prometheus.handle(request)

    async with answered_by(respond) as provider:
        reading = await provider.read(scope())

    assert reading.pods["v2"]["b"].requests == 83


@pytest.mark.parametrize(("status", "times"), [(503, 3), (400, 1), (422, 1), (403, 1)])
async def test_only_faults_that_may_pass_are_tried_again_and_not_for_ever(status, times):
    asked = []

    async def respond(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status)

    async with answered_by(respond) as provider:
        with pytest.raises(ProviderError):
            await provider.read(scope())

    assert len(asked) == times


async def test_with_its_budget_spent_a_query_is_not_tried_again():
    asked = []

    async def respond(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=503)

    async with answered_by(respond, budget=0) as provider:
        with pytest.raises(UnavailableError):
            await provider.read(scope())

    assert len(asked) == 1


async def test_proxies_of_the_environment_are_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    async with asking(echo()) as provider:
        assert (await provider.read(scope())).missing == {}


async def test_a_ca_file_that_is_none_is_told():
    source = PrometheusSource(url="https://127.0.0.1:1", ca_file="/nonexistent/ca.pem")
    provider = PrometheusProvider(source, time.monotonic, timeout=2, budget=0, sleep=no_sleep)

    with pytest.raises(RefusedError, match="is caFile a PEM file"):
        await provider.read(scope())
    await provider.close()


async def test_a_server_that_speaks_no_tls_fails_verification():
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        source = PrometheusSource(url=f"https://127.0.0.1:{port}")
        provider = PrometheusProvider(source, time.monotonic, timeout=0.2, budget=0, sleep=no_sleep)
        with pytest.raises(UnavailableError):
            await provider.read(scope())
        await provider.close()


# ---------------------------------------------------------------- credentials


async def test_a_token_is_sent_and_read_again_when_its_file_changes(tmp_path):
    file = tmp_path / "token"
    file.write_text("first\n")
    prometheus = echo()
    async with asking(prometheus, token=TokenFile(str(file))) as provider:
        await provider.read(scope())
        file.write_text("second")
        os.utime(file, ns=(1, 1))
        await provider.read(scope())

    assert set(prometheus.authorizations[:4]) == {"Bearer first"}
    assert set(prometheus.authorizations[4:]) == {"Bearer second"}


@pytest.mark.parametrize("content", [None, "tökén"], ids=["missing", "not ASCII"])
async def test_a_token_that_cannot_be_read_is_told_without_it(tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    async with asking(echo(), token=TokenFile(str(file))) as provider:
        with pytest.raises(RefusedError, match=r"token file .* cannot be read") as raised:
            await provider.read(scope())

    assert "tök" not in str(raised.value)


async def test_a_token_that_no_header_can_hold_is_refused():
    async with asking(echo(), token=lambda: "a\nb") as provider:
        with pytest.raises(RefusedError, match="cannot be asked") as raised:
            await provider.read(scope())

    assert "a\nb" not in str(raised.value)


async def test_credentials_in_the_url_are_in_no_message():
    source = PrometheusSource.model_construct(
        url="http://user:hunter2@127.0.0.1:1", ca_file=None, scrape_interval=scrape()
    )
    provider = PrometheusProvider(source, time.monotonic, timeout=2, budget=0, sleep=no_sleep)

    with pytest.raises(UnavailableError) as raised:
        await provider.read(scope())
    await provider.close()

    assert "hunter2" not in str(raised.value)


def scrape():
    return PrometheusSource(url="http://127.0.0.1:9090").scrape_interval


async def test_after_closing_no_query_is_asked():
    prometheus = echo()
    async with asking(prometheus) as provider:
        await provider.close()
        with pytest.raises(RuntimeError):
            await provider.read(scope())

    assert prometheus.asked == []
