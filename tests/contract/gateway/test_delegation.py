"""VirtualServices that delegate to RouteTables: what is taken over, in what order, and what is not."""

import pytest

from daemon.sandbox.gateway.verdicts import State
from tests.contract.gateway.build import (
    ECHO,
    V1,
    V2,
    answering,
    canary,
    host_of,
    route_table,
    share,
    to,
    virtual_service,
)
from tests.contract.gateway.judge import TIMES, assert_shares, only, versions
from tests.contract.gateway.world import Answer, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOST = host_of("shop")
STAGE = {"stage": "canary"}


def delegate(name: str = "table", prefix: str = "/", **more):
    action = {"ref": {"name": name, "namespace": "echo"}}
    return {"matchers": [{"prefix": prefix}], "delegateAction": action, **more}


def select(prefix: str = "/", **selector):
    return {"matchers": [{"prefix": prefix}], "delegateAction": {"selector": selector}}


async def version_at(world: World, path: str, **more) -> str | int | None:
    [answer] = await world.ask(HOST, path, **more)
    return answer.version or answer.status


def reason(world: World) -> str:
    return world.verdict("VirtualService", "shop").reason


async def test_a_table_works_as_if_its_routes_stood_in_the_host(world: World):
    table = route_table("table", canary(), share((V1, 60), (V2, 40)))
    await world.apply(ECHO, table, virtual_service("shop", delegate()))

    assert_shares(await world.ask(HOST, times=TIMES), {"v1": 0.6, "v2": 0.4})
    assert versions(await world.ask(HOST, headers=STAGE, times=10)) == only("v2", 10)


async def test_tables_may_delegate_on(world: World):
    await world.apply(
        ECHO,
        virtual_service("shop", delegate("outer", "/a")),
        route_table("outer", delegate("inner", "/a/b")),
        route_table("inner", to(V2, matchers=[{"prefix": "/a/b/c"}])),
    )

    assert await version_at(world, "/a/b/c/d") == "v2"
    assert await version_at(world, "/a/b") == 404


async def test_a_missing_table_is_a_warning_and_the_route_is_left_out(world: World):
    await world.apply(ECHO, virtual_service("shop", delegate("nope", "/t"), to(V1)))

    assert await version_at(world, "/t") == "v1"
    assert "warning" in reason(world)
    assert "route table echo.nope missing" in reason(world)


async def test_the_deprecated_direct_name_goes_before_the_reference(world: World):
    action = {"name": "direct", "namespace": "echo", "ref": {"name": "ref", "namespace": "echo"}}
    await world.apply(
        ECHO,
        virtual_service("shop", {"delegateAction": action}),
        route_table("direct", to(V2)),
        route_table("ref", to(V1)),
    )

    assert await version_at(world, "/") == "v2"


SKIPPED = [
    # id, parent's matcher, child's matcher, phrase
    ("path-outside", {"prefix": "/in"}, {"prefix": "/out"}, "begin with the prefix"),
    ("no-matcher-outside", {"prefix": "/in"}, None, "begin with the prefix"),
    (
        "other-case-rule",
        {"prefix": "/in", "caseSensitive": False},
        {"prefix": "/in"},
        "same case sensitivity",
    ),
    (
        "header-missing",
        {"prefix": "/in", "headers": [{"name": "a", "value": "1"}]},
        {"prefix": "/in"},
        "have all headers",
    ),
    (
        "header-of-another-value",
        {"prefix": "/in", "headers": [{"name": "a", "value": "1"}]},
        {"prefix": "/in", "headers": [{"name": "a", "value": "2"}]},
        "have all headers",
    ),
    (
        "method-missing",
        {"prefix": "/in", "methods": ["GET"]},
        {"prefix": "/in", "methods": ["POST"]},
        "have all methods",
    ),
    (
        "query-missing",
        {"prefix": "/in", "queryParameters": [{"name": "q"}]},
        {"prefix": "/in"},
        "have all query params",
    ),
]


@pytest.mark.parametrize(
    ("parent", "child", "phrase"), [s[1:] for s in SKIPPED], ids=[s[0] for s in SKIPPED]
)
async def test_a_child_that_breaks_a_rule_is_left_out_with_a_warning_on_both(
    world: World, parent, child, phrase
):
    bad = to(V2, matchers=[child] if child else [])
    parent_route = {**delegate(), "matchers": [parent]}
    await world.apply(
        ECHO, virtual_service("shop", parent_route, to(V1)), route_table("table", bad)
    )

    assert await version_at(world, "/in?q=1", headers={"a": "1"}) == "v1"
    table = world.verdict("RouteTable", "table", "echo")
    assert (table.state, world.verdict("VirtualService", "shop").state) == ("Warning", "Warning")
    assert phrase in table.reason
    assert f"on sub route table echo.table: {table.reason.split('  ')[1]}" in reason(world)


async def test_a_child_may_demand_more_than_its_parent(world: World):
    parent = {"prefix": "/in", "headers": [{"name": "a", "value": "1"}], "methods": ["GET"]}
    child = {
        "prefix": "/in/x",
        "headers": [{"name": "b", "value": "2"}, {"name": "a", "value": "1"}],
        "methods": ["GET", "POST"],
    }
    await world.apply(
        ECHO,
        virtual_service("shop", {**delegate(), "matchers": [parent]}, to(V1)),
        route_table("table", to(V2, matchers=[child])),
    )

    assert await version_at(world, "/in/x", headers={"a": "1", "b": "2"}) == "v2"
    assert await version_at(world, "/in/x", headers={"a": "1"}) == "v1"


async def test_inheritable_matchers_hand_headers_down(world: World):
    parent = {"prefix": "/", "headers": [{"name": "stage", "value": "canary"}]}
    route = {**delegate(), "matchers": [parent], "inheritableMatchers": True}
    await world.apply(ECHO, virtual_service("shop", route, to(V1)), route_table("table", to(V2)))

    assert await version_at(world, "/", headers=STAGE) == "v2"
    assert await version_at(world, "/") == "v1"


async def test_inheritable_path_matchers_hand_the_path_down(world: World):
    route = {**delegate(prefix="/in"), "inheritablePathMatchers": True}
    await world.apply(
        ECHO, virtual_service("shop", route, to(V1)), route_table("table", to(V2, matchers=[]))
    )

    assert await version_at(world, "/in/x") == "v2"
    assert await version_at(world, "/out") == "v1"


async def test_options_are_handed_down_unless_the_child_has_its_own(world: World):
    table = route_table(
        "table",
        to(V1, matchers=[{"prefix": "/own"}], options=answering("child")),
        to(V1, matchers=[{"prefix": "/"}]),
    )
    await world.apply(ECHO, table, virtual_service("shop", delegate(options=answering("parent"))))

    [own] = await world.ask(HOST, "/own")
    [handed] = await world.ask(HOST, "/x")
    assert (own.served_by, handed.served_by) == ("child", "parent")


class TestSelector:
    async def test_tables_go_by_ascending_weight(self, world: World):
        await world.apply(
            ECHO,
            virtual_service("shop", select(namespaces=["echo"], labels={"set": "w"})),
            route_table("a-main", to(V1), labels={"set": "w"}, weight=2),
            route_table("b-header", canary(), labels={"set": "w"}, weight=1),
        )

        assert await version_at(world, "/", headers=STAGE) == "v2"

    async def test_equal_tables_are_sorted_by_path_and_headers_do_not_count(self, world: World):
        await world.apply(
            ECHO,
            virtual_service("shop", select(namespaces=["echo"])),
            route_table("a-main", to(V1)),
            route_table("b-header", canary()),
            route_table("c-longer", to(V2, matchers=[{"prefix": "/long"}])),
        )

        assert await version_at(world, "/", headers=STAGE) == "v1"
        assert await version_at(world, "/long/x") == "v2"

    async def test_a_missing_weight_is_zero(self, world: World):
        await world.apply(
            ECHO,
            virtual_service("shop", select(namespaces=["*"])),
            route_table("a-late", to(V1), weight=1),
            route_table("b-early", to(V2)),
        )

        assert await version_at(world, "/") == "v2"

    async def test_without_namespaces_only_its_own_is_searched(self, world: World):
        await world.apply(ECHO, virtual_service("shop", select()), route_table("table", to(V2)))

        assert await version_at(world, "/") == 404
        assert "no route table matches the given selector" in reason(world)

    async def test_expressions_select_too(self, world: World):
        wanted = {"key": "team", "operator": "In", "values": ["a", "b"]}
        await world.apply(
            ECHO,
            virtual_service("shop", select(namespaces=["*"], expressions=[wanted])),
            route_table("ours", to(V2), labels={"team": "b"}),
            route_table("a-theirs", to(V1), labels={"team": "c"}),
        )

        assert await version_at(world, "/") == "v2"

    async def test_labels_and_expressions_together_are_a_warning(self, world: World):
        wanted = {"key": "team", "operator": "Exists"}
        both = select(namespaces=["*"], labels={"set": "w"}, expressions=[wanted])

        await world.apply(virtual_service("shop", both))

        assert "cannot use both labels and expressions" in reason(world)


ERRORS = [
    (
        "two-matchers",
        {**delegate(), "matchers": [{"prefix": "/a"}, {"prefix": "/b"}]},
        "omit or specify a single matcher",
    ),
    ("no-prefix", {**delegate(), "matchers": [{"exact": "/a"}]}, "must use a prefix matcher"),
    ("no-action", {"matchers": [{"prefix": "/"}]}, "must specify an action"),
]


@pytest.mark.parametrize(("route", "phrase"), [e[1:] for e in ERRORS], ids=[e[0] for e in ERRORS])
async def test_a_bad_route_of_the_host_itself_rejects_it(world: World, route, phrase):
    await world.apply(ECHO, route_table("table", to(V1)), virtual_service("shop", route))

    assert world.verdict("VirtualService", "shop").state is State.REJECTED
    assert phrase in reason(world)
    assert set(await world.ask(HOST)) == {Answer(404)}


async def test_a_cycle_rejects_the_table_it_returns_to_and_the_host(world: World):
    await world.apply(
        virtual_service("shop", delegate("a")),
        route_table("a", delegate("b")),
        route_table("b", delegate("a")),
    )

    assert "delegation cycle detected" in world.verdict("RouteTable", "a", "echo").reason
    assert "on sub route table echo.a: invalid route: delegation cycle" in reason(world)
    assert world.verdict("RouteTable", "b", "echo").state is State.ACCEPTED
