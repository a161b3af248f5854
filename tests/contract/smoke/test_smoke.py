"""The smoke test through a gateway on loopback: what passes, and what a failure says."""

import json

import pytest
from aiohttp import web

from config.schema import Smoke
from daemon.core.model import SmokeResult
from daemon.errors import TransientError
from daemon.gateway import GatewayAddress
from daemon.smoke import SmokeJob, run_smoke
from daemon.smoke.expectations import fill
from tests.contract.smoke.proxies import (
    START,
    Proxy,
    close_early,
    hang,
    huge_header,
    numbers,
    raw_server,
)


def a_request(method="GET", path="/", name=None, **more):
    return {"name": name or f"{method} {path}", "method": method, "path": path} | more


def a_job(url, *requests, retries=0, **more):
    smoke = Smoke.model_validate(
        {"requests": tuple(requests or [a_request()]), "retries": retries}, strict=False
    )
    values = {
        "rollout": "r7f3",
        "decision": 17,
        "revision": "v2/bbb",
        "namespace": "echo",
        "target": "echo",
        "stable": "v1",
        "canary": "v2",
        "smoke": smoke,
        "address": GatewayAddress(url, "echo.example.com", "/plain", {"x-tenant": "t"}),
        "canary_header": ("stage", "canary"),
    }
    return SmokeJob(**values | more)


def canary_answers(headers=None, **response):
    """A gateway whose header route answers so, and whose owned route is plain."""

    def answer(request):
        if "stage" not in request.headers:
            return web.Response(text="v1")
        return web.Response(headers=numbers() if headers is None else headers, **response)

    return answer


async def outcome(http, clock, answer, *requests, **more):
    async with Proxy(answer).running() as proxy:
        return await run_smoke(a_job(proxy.url, *requests, **more), http, clock, clock.now)


async def failure(http, clock, answer, *requests, **more):
    result = await outcome(http, clock, answer, *requests, **more)
    assert not result.passed
    return result.message


# ---------------------------------------------------------------- passing


async def test_a_canary_that_answers_every_request_passes(http, clock):
    result = await outcome(http, clock, canary_answers(), a_request(), a_request(path="/b"))

    assert result == SmokeResult(
        rollout="r7f3",
        decision=17,
        revision="v2/bbb",
        passed=True,
        message="2 requests passed, answered by v2, the slowest in 0 ms",
        at=START,
    )


async def test_each_request_goes_through_the_gateway_with_the_canary_header(http, clock):
    async with Proxy(canary_answers()).running() as proxy:
        job = a_job(
            proxy.url,
            a_request(
                "POST",
                "/orders/{{version}}",
                headers={"Stage": "none", "X-A": "{{target}}"},
                body='{"in": "{{ namespace }}", "keep": "{{ this }}"}',
            ),
        )
        result = await run_smoke(job, http, clock, clock.now)

    assert result.passed
    sent, plain = proxy.requests
    assert (sent.method, sent.path, sent.host) == ("POST", "/orders/v2", "echo.example.com")
    assert sent.headers.getall("stage") == ["canary"]
    assert (sent.headers["x-tenant"], sent.headers["x-a"]) == ("t", "echo")
    assert json.loads(await sent.read()) == {"in": "echo", "keep": "{{ this }}"}
    assert (plain.method, plain.path, "stage" in plain.headers) == ("GET", "/plain", False)


async def test_the_test_can_go_through_one_proxy(http, clock):
    async with Proxy(canary_answers()).running() as proxy:
        job = a_job("http://gateway-proxy.gloo-system", at=proxy.url)

        assert (await run_smoke(job, http, clock, clock.now)).passed


@pytest.mark.parametrize(
    ("expect", "response"),
    [
        pytest.param({"status": 201}, {"status": 201}, id="a status"),
        pytest.param({"status": 302}, {"status": 302}, id="a redirect as such"),
        pytest.param(
            {"bodyContains": "version:{{ version }}"},
            {"text": "a version:v2 b"},
            id="a part of the body",
        ),
        pytest.param({"bodyMatches": "^v[0-9]+$"}, {"text": "v2"}, id="a pattern"),
        pytest.param(
            {"json": {"$.a.b[1]": 1, "$.ok": True, "$.no": None, "$.v": "{{ version }}"}},
            {"text": '{"a":{"b":[0,1.0]},"ok":true,"no":null,"v":"v2"}'},
            id="JSON",
        ),
    ],
)
async def test_an_expectation_that_is_met_passes(http, clock, expect, response):
    result = await outcome(http, clock, canary_answers(**response), a_request(expect=expect))

    assert result.passed, result.message


# ---------------------------------------------------------------- expectations


UNMET = [
    ({}, {"status": 500}, "expected status 200, got 500"),
    (
        {"bodyContains": "version:{{ version }}"},
        {"text": "secret"},
        "expected a body that contains 'version:v2', got 6 bytes without it",
    ),
    (
        {"bodyMatches": "^v[0-9]$"},
        {"text": "secret"},
        "expected a body that matches '^v[0-9]$', got 6 bytes without it",
    ),
    ({"json": {"$.a": 1}}, {"text": "secret"}, "expected JSON, got 6 characters that are none"),
    (
        {"json": {"$.a": 1}},
        {"text": "[" * 60_000},
        "expected JSON, got 60000 characters that are none",
    ),
    ({"json": {"$.a": 1}}, {"text": '{"a":"secret"}'}, "expected 1 at $.a, got a string"),
    ({"json": {"$.a": 1}}, {"text": '{"a":true}'}, "expected 1 at $.a, got another boolean"),
    ({"json": {"$.a": True}}, {"text": '{"a":1}'}, "expected true at $.a, got a number"),
    ({"json": {"$.a": None}}, {"text": "{}"}, "expected null at $.a, got nothing there"),
    ({"json": {"$.a": 1}}, {"text": '{"a":null}'}, "expected 1 at $.a, got null"),
    ({"json": {"$.a": 1}}, {"text": '{"a":[]}'}, "expected 1 at $.a, got a list"),
    ({"json": {"$.a": 1}}, {"text": '{"a":{}}'}, "expected 1 at $.a, got an object"),
    ({"json": {"$.a[2]": 1}}, {"text": '{"a":[1,2]}'}, "expected 1 at $.a[2], got nothing there"),
    ({"json": {"$.a": "x"}}, {"text": '{"a":"secret"}'}, 'expected "x" at $.a, got a string'),
]


@pytest.mark.parametrize(("expect", "response", "told"), UNMET, ids=[row[2] for row in UNMET])
async def test_an_unmet_expectation_is_told_without_the_body(http, clock, expect, response, told):
    message = await failure(http, clock, canary_answers(**response), a_request(expect=expect))

    assert message == f"GET /: {told}"
    assert "secret" not in message


async def test_an_answer_that_takes_too_long_is_told_with_both_times(http, clock):
    def slow(request):
        clock.seconds += 0.8
        return canary_answers()(request)

    message = await failure(http, clock, slow, a_request(expect={"within": "500ms"}))

    assert message == "GET /: expected an answer within 500 ms, it took 800 ms"


async def test_a_named_request_is_told_by_name_and_path(http, clock):
    message = await failure(http, clock, canary_answers(status=404), a_request(name="says v2"))

    assert message == "says v2 (GET /): expected status 200, got 404"


async def test_the_first_failure_ends_the_test(http, clock):
    def answer(request):
        return canary_answers(status=404 if request.path == "/a" else 200)(request)

    async with Proxy(answer).running() as proxy:
        job = a_job(proxy.url, a_request(path="/a"), a_request(path="/b"))
        result = await run_smoke(job, http, clock, clock.now)

    assert not result.passed
    assert [request.path for request in proxy.requests] == ["/a"]


# ---------------------------------------------------------------- who answered


IDENTITY = [
    (numbers(version="v1"), 200, "answered by the old version v1, not by v2"),
    (numbers(version="v3"), 200, "answered by v3, not by v2"),
    (
        {},
        404,
        (
            "the gateway did not say which version answered: the header route was not met"
            " (status 404, server: envoy)"
        ),
    ),
    (
        numbers(version=""),
        200,
        (
            "the gateway did not say which version answered"
            " (status 200, server: envoy; does the pod carry the version label?)"
        ),
    ),
    (
        numbers(version=""),
        503,
        (
            "the gateway itself answered 503: it has no ready pod of v2"
            " (are its pods ready, and is the Upstream's servicePort a port of the Service?)"
        ),
    ),
    (
        numbers(decision=16),
        200,
        "answered under decision 16 of rollout r7f3, not 17 of r7f3: the route has changed",
    ),
    (
        numbers(rollout="other"),
        200,
        "answered under decision 17 of rollout other, not 17 of r7f3: the route has changed",
    ),
    (
        {"x-crossfade-version": "v2"},
        200,
        "answered under decision unknown of rollout unknown, not 17 of r7f3: the route has changed",
    ),
]


@pytest.mark.parametrize(
    ("headers", "status", "told"), IDENTITY, ids=[f"{row[1]} {row[2][:40]}" for row in IDENTITY]
)
async def test_a_good_answer_proves_nothing_unless_the_canary_gave_it(
    http, clock, headers, status, told
):
    message = await failure(http, clock, canary_answers(headers, status=status))

    assert message == f"GET /: {told}"


async def test_a_pod_that_takes_no_connection_is_told(http, clock):
    answer = canary_answers(status=503, text="upstream connect error or disconnect/reset")

    message = await failure(http, clock, answer)

    assert message == (
        "GET /: expected status 200, got 503: the gateway could not reach the pod of v2"
    )


async def test_a_version_from_outside_is_cut_and_printable(http, clock):
    message = await failure(http, clock, canary_answers(numbers(version="v\t" + "9" * 5000)))

    assert len(message) < 200
    assert message.isprintable()


# ---------------------------------------------------------------- users do not meet our route


async def test_a_request_without_the_header_that_meets_our_route_fails_the_test(http, clock):
    message = await failure(http, clock, lambda request: web.Response(headers=numbers()))

    assert message == (
        "GET /plain without stage: canary: the answer carries x-crossfade-rollout:"
        " ordinary requests meet the header route (status 200, server: envoy)"
    )


async def test_the_status_of_the_request_without_the_header_does_not_matter(http, clock):
    def answer(request):
        if "stage" in request.headers:
            return web.Response(headers=numbers())
        return web.Response(status=404, body=b"x" * 1_000_000)

    assert (await outcome(http, clock, answer)).passed


# ---------------------------------------------------------------- retries and faults


async def test_a_request_is_tried_again_with_growing_pauses(http, clock):
    count = 0

    def third_time(request):
        nonlocal count
        count += 1
        return canary_answers(status=200 if count > 3 else 503)(request)

    result = await outcome(http, clock, third_time, retries=3)

    assert result.passed
    assert clock.pauses == [0.5, 1.0, 2.0]


async def test_retries_are_bounded_and_the_last_fault_is_told(http, clock):
    async with Proxy(canary_answers(status=500)).running() as proxy:
        result = await run_smoke(a_job(proxy.url, retries=2), http, clock, clock.now)

    assert (result.passed, len(proxy.requests)) == (False, 3)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (hang, "GET /: no answer within 1.1 s"),
        (huge_header, "is no HTTP, or its headers are too long"),
        (close_early, "closed the connection before the answer was complete"),
    ],
    ids=["hanging", "a 10 MB header", "an early close"],
)
async def test_a_gateway_that_misbehaves_fails_the_test(http, clock, reply, told):
    async with raw_server(reply) as url:
        job = a_job(url, a_request(expect={"within": "100ms"}))
        result = await run_smoke(job, http, clock, clock.now)

    assert not result.passed
    assert told in result.message


async def test_a_gateway_that_takes_no_connection_says_nothing_about_the_canary(http, clock):
    async with raw_server(hang) as url:
        pass

    with pytest.raises(TransientError, match="connection refused by"):
        await run_smoke(a_job(url, retries=2), http, clock, clock.now)

    assert clock.pauses == [0.5, 1.0]


async def test_a_gateway_that_takes_connections_again_is_tested_through(http, clock):
    async with Proxy(canary_answers()).running() as proxy:
        sent = http.send
        refused = iter([True])

        async def send(request):
            if next(refused, False):
                raise TransientError("connection refused", sent=False)
            return await sent(request)

        http.send = send
        result = await run_smoke(a_job(proxy.url, retries=1), http, clock, clock.now)

    assert result.passed


@pytest.mark.parametrize(
    ("size", "expect", "limit"),
    [(65_537, {"bodyContains": "x"}, 65_536), (1_048_577, {}, 1_048_576)],
    ids=["looked into", "not looked into"],
)
async def test_a_body_over_the_limit_fails_the_test(http, clock, size, expect, limit):
    answer = canary_answers(body=b"x" * size)

    message = await failure(http, clock, answer, a_request(expect=expect))

    assert message == f"GET /: the body is longer than {limit} bytes"


async def test_a_large_page_that_nobody_looks_into_passes(http, clock):
    assert (await outcome(http, clock, canary_answers(body=b"x" * 1_048_576))).passed


async def test_a_redirect_is_not_followed(http, clock):
    answer = canary_answers(numbers() | {"location": "/elsewhere"}, status=302)

    async with Proxy(answer).running() as proxy:
        result = await run_smoke(a_job(proxy.url), http, clock, clock.now)

    assert result.message == "GET /: expected status 200, got 302"
    assert [request.path for request in proxy.requests] == ["/"]


def test_only_known_placeholders_are_filled():
    assert fill("{{version}} {{ x }} {{ version }} {version}", {"version": "v2"}) == (
        "v2 {{ x }} v2 {version}"
    )
