"""Where a request must go to meet the owned route, derived or asked for."""

import pytest

from daemon.core.model import Guide, GuideKind, Pinned, Split
from daemon.gateway import GatewayAddress
from tests.spec.routers.patching import apply_patch
from tests.spec.routers.routes import (
    RECORD,
    ROLLOUT,
    ROUTER,
    a_rollout,
    pinned,
    virtual_service,
)


def derived(*matchers, rollout=ROLLOUT, **more):
    return ROUTER.gateway(rollout, virtual_service(pinned(matchers=list(matchers)), **more))


def test_the_articles_route_needs_nothing_from_the_policy():
    assert derived({"prefix": "/"}) == GatewayAddress(
        "http://gateway-proxy.gloo-system", "echo.example.com", "/", {}
    )


def test_what_the_policy_says_wins():
    gateway = {
        "url": "https://gw.example.com:8443",
        "host": "h.example.com",
        "path": "/ping",
        "headers": {"X-Tenant": "t"},
    }

    assert derived({"prefix": "/"}, rollout=a_rollout(gateway=gateway)) == GatewayAddress(
        "https://gw.example.com:8443", "h.example.com", "/ping", {"x-tenant": "t"}
    )


@pytest.mark.parametrize(
    ("matcher", "path", "headers"),
    [
        pytest.param({"exact": "/a"}, "/a", {}, id="an exact path"),
        pytest.param(
            {"prefix": "/a", "methods": ["POST", "GET"]}, "/a", {}, id="GET among the methods"
        ),
        pytest.param(
            {"headers": [{"name": "X-T", "value": "t"}]}, "/", {"x-t": "t"}, id="an exact header"
        ),
        pytest.param(
            {"headers": [{"name": "x-t"}]}, "/", {"x-t": "crossfade"}, id="a header that is there"
        ),
        pytest.param(
            {"headers": [{"name": "x-t", "invertMatch": True}]}, "/", {}, id="a header that is not"
        ),
        pytest.param(
            {"prefix": "/a", "queryParameters": [{"name": "q", "value": "a b"}, {"name": "r"}]},
            "/a?q=a%20b&r=crossfade",
            {},
            id="parameters",
        ),
    ],
)
def test_a_request_is_made_of_the_matcher(matcher, path, headers):
    address = derived(matcher)

    assert (address.path, address.headers) == (path, headers)


UNUSABLE = [
    {"regex": "/a.*"},
    {"prefix": "/", "methods": ["POST"]},
    {"connectMatcher": {}},
    {"prefix": "/", "headers": [{"name": "x", "value": ".*", "regex": True}]},
    {"prefix": "/", "headers": [{"name": "x", "value": "a", "invertMatch": True}]},
    {"prefix": "/", "queryParameters": [{"name": "q", "value": ".*", "regex": True}]},
]


@pytest.mark.parametrize("matcher", UNUSABLE, ids=str)
def test_a_matcher_that_yields_no_request_is_asked_for(matcher):
    assert derived(matcher) == (
        "route 0 takes no GET that can be derived (a pattern, other methods, or a header pattern):"
        " set gateway.path and gateway.headers"
    )


@pytest.mark.parametrize("matcher", UNUSABLE, ids=str)
def test_the_first_usable_of_several_matchers_is_taken(matcher):
    assert derived(matcher, {"exact": "/b"}).path == "/b"


def test_a_pattern_is_met_by_what_the_policy_gives():
    rollout = a_rollout(gateway={"path": "/a1", "headers": {"x": "abc"}})
    matcher = {"regex": "/a.*", "headers": [{"name": "x", "value": "a.*", "regex": True}]}

    address = derived(matcher, rollout=rollout)

    assert (address.path, address.headers) == ("/a1", {"x": "abc"})


@pytest.mark.parametrize(
    "matcher",
    [
        pytest.param({"prefix": "/b"}, id="another prefix"),
        pytest.param({"exact": "/"}, id="another exact path"),
        pytest.param({"prefix": "/", "methods": ["POST"]}, id="another method"),
    ],
)
def test_a_path_of_the_policy_that_the_route_does_not_take_is_told(matcher):
    told = derived(matcher, rollout=a_rollout(gateway={"path": "/a"}))

    assert told.startswith("route 0 does not take GET /a with the headers of gateway.headers")


def test_a_path_is_compared_without_case_where_the_matcher_says_so():
    rollout = a_rollout(gateway={"path": "/ABC"})

    assert derived({"prefix": "/abc", "caseSensitive": False}, rollout=rollout).path == "/ABC"


@pytest.mark.parametrize(
    ("domains", "told"),
    [
        pytest.param(["a.com", "b.com"], "the VirtualService has 2 domains", id="several"),
        pytest.param(
            ["*.a.com"], "the VirtualService has a pattern for its domain", id="a pattern"
        ),
    ],
)
def test_a_domain_that_is_not_one_name_is_asked_for(domains, told):
    assert derived({"prefix": "/"}, domains=domains).startswith(told)


@pytest.mark.parametrize("domains", [["*"], []], ids=["star", "none"])
def test_a_host_of_all_domains_is_met_by_a_name_that_nobody_can_claim(domains):
    assert derived({"prefix": "/"}, domains=domains).host == "echo.invalid"


def test_a_route_table_needs_the_host_from_the_policy():
    gloo = {"virtualService": None, "routeTable": "team/echo"}
    table = {"metadata": {}, "spec": {"routes": [pinned()]}}

    asked = ROUTER.gateway(a_rollout(gloo=gloo), table)
    given = ROUTER.gateway(a_rollout(gloo=gloo, gateway={"host": "a.com"}), table)

    assert asked == "a RouteTable does not say its domain: set gateway.host"
    assert (given.url, given.host) == ("http://gateway-proxy.team", "a.com")


def test_a_route_that_cannot_be_told_has_no_address():
    told = ROUTER.gateway(ROLLOUT, virtual_service())

    assert told == "no route goes to Upstream gloo-system/echo: there are no routes"


def test_the_address_holds_while_the_route_is_drifted():
    obj = virtual_service(pinned())
    split = Split(Pinned("v1"), Guide(GuideKind.HEADER, "r7f3", 17))
    obj = apply_patch(obj, ROUTER.plan(ROLLOUT, obj, split, RECORD))
    obj["spec"]["virtualHost"]["routes"][1]["routeAction"] = {"upstreamGroup": {"name": "g"}}

    assert ROUTER.gateway(ROLLOUT, obj).path == "/"


def test_no_header_of_anybody_replaces_the_host_and_none_is_sent_twice():
    address = GatewayAddress("http://g", "a.com", "/", {"X-A": "1"})

    headers = address.headers_with({"HOST": "evil", "x-a": "2"}, {"stage": "canary"})

    assert headers == {"host": "a.com", "x-a": "2", "stage": "canary"}
