"""Traps of matchers: whom a header route takes, whom it must not take, and when it is dead."""

import pytest

from daemon.core.model import GuideKind, Pinned, Unclear
from tests.live.traps.objects import (
    CANARY,
    PINNED,
    V1,
    V2,
    header,
    share,
    single,
    to,
)
from tests.live.traps.plot import one, shown

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

STAGE = header("stage", "canary")
HEADER_ROUTE = single(V2, matchers=[{"prefix": "/", "headers": [STAGE]}])
"""What a person writes first: everything with the header."""


# ---------------------------------------------------------------- 9: the header route copies every matcher


async def test_9_a_header_route_of_everything_steals_other_paths_from_canary_users(plot):
    static = single(V1, matchers=[{"prefix": "/static"}])

    await plot.serve(HEADER_ROUTE, static, single(V1, matchers=[{"prefix": "/shop"}]))

    assert await plot.ask("/static/logo", stage="canary") == "v2"


NARROW = {
    "a method": ({"prefix": "/", "methods": ["GET"]}, ("GET", "/x", {}), ("POST", "/x", {})),
    "an exact path": ({"exact": "/shop"}, ("GET", "/shop", {}), ("GET", "/shop/cart", {})),
    "a prefix": ({"prefix": "/shop"}, ("GET", "/shop/cart", {}), ("GET", "/", {})),
    "a pattern": ({"regex": "/shop/[0-9]+"}, ("GET", "/shop/7", {}), ("GET", "/shop/x", {})),
    "a header": (
        {"prefix": "/", "headers": [header("x-team", "red")]},
        ("GET", "/", {"x_team": "red"}),
        ("GET", "/", {"x_team": "blue"}),
    ),
    "the absence of a header": (
        {"prefix": "/", "headers": [header("x-team", invertMatch=True)]},
        ("GET", "/", {}),
        ("GET", "/", {"x_team": "blue"}),
    ),
    "a query parameter": (
        {"prefix": "/", "queryParameters": [{"name": "beta", "value": "1"}]},
        ("GET", "/?beta=1", {}),
        ("GET", "/?beta=2", {}),
    ),
}


@pytest.mark.parametrize("matcher", NARROW)
async def test_9_the_daemons_header_route_takes_only_what_the_owned_route_takes(plot, matcher):
    own, (method, inside, more), (other, outside, less) = NARROW[matcher]
    rest = single(V1, options=answering("the rest"))
    plot.changes = {"route": {"gloo": {"routeName": "main"}}}
    await plot.serve(single(V1, name="main", matchers=[own]), rest)

    await plot.write(Pinned("v1"))
    await plot.taken_by_all()

    assert await plot.ask(inside, method=method, **CANARY, **more) == "v2"
    answer = await plot.get(outside, method=other, **CANARY, **less)
    assert (answer.headers["x-echo-version"], answer.headers["x-answered-by"]) == ("v1", "the rest")


async def test_9_every_alternative_of_the_owned_route_gets_the_header(plot):
    await plot.serve(single(V1, matchers=[{"exact": "/a"}, {"prefix": "/b", "methods": ["POST"]}]))

    await plot.write(Pinned("v1"))
    await plot.taken_by_all()

    assert await plot.ask("/a", **CANARY) == "v2"
    assert await plot.ask("/b/c", method="POST", **CANARY) == "v2"
    assert await plot.ask("/a") == "v1"
    assert await plot.ask("/b/c", **CANARY) == "404"


async def test_9_the_header_route_runs_through_the_owned_routes_options(plot):
    await plot.serve(single(V1, matchers=[{"prefix": "/shop"}], options={"prefixRewrite": "/work"}))

    await plot.write(Pinned("v1"))
    await plot.proof()
    answer = await plot.get("/shop", accept="application/json", **CANARY)

    assert b'"path": "/work"' in answer.body
    assert shown(answer) == ("1", "v2")


async def test_a_header_route_below_the_catch_all_is_dead(plot):
    await plot.serve(PINNED, HEADER_ROUTE)

    assert await plot.ask(**CANARY) == "v1"


async def test_the_daemons_header_route_stands_directly_above_the_owned_one(plot):
    special = single(V1, matchers=[{"prefix": "/special"}], name="special")
    await plot.serve(special, PINNED | {"name": "main"})
    plot.changes = {"route": {"gloo": {"routeName": "main"}}}

    obj = await plot.write(Pinned("v1"))
    await plot.proof()

    names = [it["name"] for it in obj["spec"]["virtualHost"]["routes"]]
    assert names == ["special", "main-crossfade", "main"]
    assert await plot.ask(**CANARY) == "v2"


async def test_a_route_above_that_takes_the_header_already_is_refused(plot):
    await plot.serve(HEADER_ROUTE, PINNED)

    owned = (await plot.read()).owned

    assert isinstance(owned, Unclear)
    assert "route 0 already takes requests with header stage: canary: remove it" in owned.why


async def test_an_owned_route_that_looks_at_the_header_itself_is_refused(plot):
    matcher = {"prefix": "/", "headers": [header("stage", invertMatch=True)]}
    await plot.serve(single(V1, matchers=[matcher]))

    owned = (await plot.read()).owned

    assert isinstance(owned, Unclear)
    assert "itself looks at header stage: choose another canaryHeader" in owned.why


async def test_another_spelling_of_the_headers_value_is_another_value(plot):
    await plot.serve(PINNED)
    await plot.write(Pinned("v1"))
    await plot.proof()

    assert (await plot.ask(stage="canary"), await plot.ask(stage="Canary")) == ("v2", "v1")


# ---------------------------------------------------------------- 9: what else a matcher means


async def test_9_an_inverted_match_with_a_value_does_not_take_requests_without_the_header(plot):
    matcher = {"prefix": "/", "headers": [header("x-team", "red", invertMatch=True)]}
    await plot.serve(single(V1, matchers=[matcher]))

    asked = [await plot.ask(), await plot.ask(x_team="red"), await plot.ask(x_team="blue")]

    assert asked == ["404", "404", "v1"]


async def test_9_so_no_request_is_derived_for_it_and_the_policy_is_asked(plot):
    matcher = {"prefix": "/", "headers": [header("x-team", "red", invertMatch=True)]}
    await plot.serve(single(V1, matchers=[matcher]))

    await plot.write(Pinned("v1"))
    async with plot.proving() as proving:
        said = await proving.told("set gateway.path and gateway.headers")

    assert said.startswith("route 1 takes no GET that can be derived")


async def test_9_with_the_header_given_in_the_policy_it_is_proved(plot):
    matcher = {"prefix": "/", "headers": [header("x-team", "red", invertMatch=True)]}
    await plot.serve(single(V1, matchers=[matcher]))
    plot.changes = {"gateway": {"headers": {"x-team": "blue"}}}

    await plot.write(Pinned("v1"))

    assert (await plot.proof()).confirmed_at is not None


async def test_a_prefix_is_a_prefix_of_the_string(plot):
    await plot.serve(single(V1, matchers=[{"prefix": "/abc"}]))

    assert (await plot.ask("/abcd"), await plot.ask("/ab")) == ("v1", "404")


# ---------------------------------------------------------------- 9: tables of equal weight are sorted anew


async def test_9_tables_of_equal_weight_are_sorted_anew_with_headers_ignored(plot):
    labels = {"team": plot.name}
    await plot.table("a", HEADER_ROUTE, labels=labels)
    await plot.table("b", single(V1, matchers=[{"prefix": "/", "methods": ["GET"]}]), labels=labels)

    await plot.serve(delegating(labels))

    assert await plot.ask(**CANARY) == "v1", "without the methods the header route is dead"


async def test_9_the_daemons_header_route_lives_in_such_a_table(plot):
    labels = {"team": plot.name}
    await plot.table("a", single(V1, matchers=[{"prefix": "/other"}]), labels=labels)
    await plot.table("b", single(V1, matchers=[{"prefix": "/", "methods": ["GET"]}]), labels=labels)
    await plot.serve(delegating(labels))
    plot.changes = {"route": {"gloo": {"routeTable": f"gloo-system/{plot.name}-b"}}}

    await plot.write(Pinned("v1"))
    await plot.proof()

    assert (await plot.ask(**CANARY), await plot.ask()) == ("v2", "v1")


async def test_a_route_that_delegates_names_the_key_to_set(plot):
    await plot.table("a", PINNED)
    ref = {"name": f"{plot.name}-a", "namespace": "gloo-system"}
    await plot.serve({"matchers": [{"prefix": "/"}], "delegateAction": {"ref": ref}})

    owned = (await plot.read()).owned

    assert isinstance(owned, Unclear)
    assert f"route 0 delegates to RouteTable gloo-system/{plot.name}-a" in owned.why
    assert "name the RouteTable that holds the route in route.gloo.routeTable" in owned.why


async def test_a_table_that_nobody_delegates_to_is_never_proved(plot):
    await plot.table("a", PINNED)
    plot.changes = {"route": {"gloo": {"routeTable": f"gloo-system/{plot.name}-a"}}}

    await plot.write(Pinned("v1"), GuideKind.WITNESS)
    async with plot.proving(GuideKind.WITNESS) as proving:
        said = await proving.told("without our headers")

    assert said.startswith("0 of 2 proxies shown to serve decision 1; 127.0.0.1:")


# ---------------------------------------------------------------- 12: weights are drawn per request


LB_HASH = {"lbHash": {"hashPolicies": [{"header": "x-user"}]}}


async def test_12_one_user_meets_both_versions_whatever_the_hash_policy(plot):
    await plot.serve(share((V1, 50), (V2, 50), options=LB_HASH))

    assert set(await plot.asks(40, x_user="ada")) == {"v1", "v2"}


async def test_12_the_hash_policy_picks_the_pod_inside_the_version(plot):
    name = await plot.upstream(more={"loadBalancerConfig": {"ringHash": {}}})
    await plot.serve(single(to("v1", name), options=LB_HASH))
    await plot.answers("v1")

    pods = {(await plot.get(x_user="ada")).headers["x-echo-pod"] for _ in range(20)}

    assert len(pods) == 1


async def test_12_a_hash_policy_on_the_owned_route_is_a_warning(plot):
    await plot.serve(single(V1, options=LB_HASH))

    one((await plot.read()).warnings, "lbHash", "one user meets both versions")


def delegating(labels):
    selector = {"namespaces": ["gloo-system"], "labels": labels}
    return {"matchers": [{"prefix": "/"}], "delegateAction": {"selector": selector}}


def answering(text):
    entry = {"header": {"key": "x-answered-by", "value": text}, "append": False}
    return {"headerManipulation": {"responseHeadersToAdd": [entry]}}
