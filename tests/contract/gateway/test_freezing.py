"""Bad configuration: what is refused, by whom, what goes on being served, and how it heals."""

import asyncio

import pytest
import pytest_asyncio

from daemon.ports import Obj
from daemon.sandbox.gateway.objects import Ref
from daemon.sandbox.gateway.translator import NO_PROXY
from daemon.sandbox.gateway.verdicts import State
from tests.contract.gateway.build import (
    ECHO,
    V1,
    V2,
    answering,
    at,
    canary,
    group,
    host_of,
    share,
    to,
    upstream,
    virtual_service,
)
from tests.contract.gateway.judge import only, until, versions
from tests.contract.gateway.world import Answer, World, meta

pytestmark = pytest.mark.asyncio(loop_scope="session")

BAD_REGEX = to(V2, matchers=[{"regex": "/(["}])
NO_WEIGHT = share((V1, 0), (V2, 0))
NOT_FOUND = {Answer(404)}

BAD_HEADER_REGEX = {"prefix": "/", "headers": [{"name": "x", "value": "([", "regex": True}]}
REFUSED = [
    ("a-matcher-without-a-path", to(V1, matchers=[{"headers": [{"name": "x"}]}])),
    ("no-destination", share()),
    ("a-header-regex-that-does-not-compile", to(V1, matchers=[BAD_HEADER_REGEX])),
    ("a-formatter-that-does-not-exist", to(V1, options=answering("%NO_SUCH_THING%"))),
]
"""Routes that the control plane accepts and Envoy does not."""


async def version(world: World, name: str) -> str | int | None:
    [answer] = await world.ask(host_of(name))
    return answer.version or answer.status


def state(world: World, name: str) -> State:
    return world.verdict("VirtualService", name).state


class TestRejectedByTheControlPlane:
    async def test_the_old_routes_of_that_host_stay(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)))

        taken = await world.apply(virtual_service("shop", BAD_REGEX, to(V2)))

        assert (taken, state(world, "shop")) == (True, State.REJECTED)
        assert "invalid regex" in world.verdict("VirtualService", "shop").reason
        assert await version(world, "shop") == "v1"

    async def test_the_proxy_itself_is_fine(self, world: World):
        await world.apply(ECHO, virtual_service("shop", BAD_REGEX))

        assert world.translation.proxy.verdict.state is State.ACCEPTED

    async def test_a_new_host_is_not_there_at_all(self, world: World):
        await world.apply(ECHO, virtual_service("shop", BAD_REGEX, to(V2)))

        assert set(await world.ask(host_of("shop"))) == NOT_FOUND

    async def test_other_hosts_go_on_changing(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)), virtual_service("till", to(V1)))

        await world.apply(virtual_service("shop", BAD_REGEX), virtual_service("till", to(V2)))

        assert [await version(world, n) for n in ("shop", "till")] == ["v1", "v2"]

    async def test_the_next_good_write_heals_it(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)))
        await world.apply(virtual_service("shop", BAD_REGEX))

        await world.apply(virtual_service("shop", to(V2)))

        assert (await version(world, "shop"), state(world, "shop")) == ("v2", State.ACCEPTED)

    async def test_the_old_routes_live_in_memory_only(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)))
        await world.apply(virtual_service("shop", BAD_REGEX))

        world.memory = NO_PROXY
        await world.translate()

        assert set(await world.ask(host_of("shop"))) == NOT_FOUND

    async def test_the_old_routes_still_follow_the_group_they_name(self, world: World):
        route = {"routeAction": {"upstreamGroup": {"name": "g", "namespace": "gloo-system"}}}
        await world.apply(
            ECHO, group("g", {"destination": V1, "weight": 1}), virtual_service("shop", route)
        )
        await world.apply(virtual_service("shop", BAD_REGEX))

        await world.apply(group("g", {"destination": V2, "weight": 1}))

        assert await version(world, "shop") == "v2"

    async def test_a_rejected_host_that_is_deleted_is_gone(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)))
        await world.apply(virtual_service("shop", BAD_REGEX))

        await world.remove(Ref("VirtualService", "gloo-system", "shop"))

        assert set(await world.ask(host_of("shop"))) == NOT_FOUND


class TestOneDomainTwice:
    async def test_both_are_rejected_and_the_old_routes_stay(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)))

        taken = await world.apply(virtual_service("twin", to(V2), domains=[host_of("shop")]))

        assert taken, "it is the control plane that keeps them, not Envoy that refuses"
        assert (state(world, "shop"), state(world, "twin")) == ("Rejected", "Rejected")
        assert "domain conflict" in world.verdict("VirtualService", "twin").reason
        assert await version(world, "shop") == "v1"

    async def test_no_other_host_of_the_gateway_changes_meanwhile(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)), virtual_service("till", to(V1)))
        await world.apply(virtual_service("twin", to(V2), domains=[host_of("shop")]))

        await world.apply(virtual_service("till", to(V2)))

        assert (await version(world, "till"), state(world, "till")) == ("v1", State.ACCEPTED)

    async def test_it_heals_when_one_of_them_goes(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)), virtual_service("till", to(V1)))
        await world.apply(virtual_service("twin", to(V2), domains=[host_of("shop")]))

        await world.apply(virtual_service("till", to(V2)))
        await world.remove(Ref("VirtualService", "gloo-system", "shop"))

        assert [await version(world, n) for n in ("shop", "till")] == ["v2", "v2"]

    async def test_a_star_and_no_domain_at_all_freeze_only_each_other(self, world: World):
        await world.apply(ECHO, virtual_service("till", to(V1)))
        star, none = (virtual_service(n, to(V1), domains=d) for n, d in (("a", ["*"]), ("b", [])))
        await world.apply(star, none)

        await world.apply(virtual_service("till", to(V2)))

        assert (state(world, "a"), state(world, "b")) == ("Rejected", "Rejected")
        assert await version(world, "till") == "v2"

    async def test_the_gateway_object_is_rejected_too(self, world: World):
        gateway = {
            "kind": "Gateway",
            "metadata": meta("gateway-proxy"),
            "spec": {"bindPort": 8080, "httpGateway": {}},
        }
        twins = [virtual_service(n, to(V1), domains=["one.example.com"]) for n in ("a", "b")]

        await world.apply(ECHO, gateway, *twins)

        assert "domain conflict" in world.verdict("Gateway", "gateway-proxy").reason


class TestListenerThatCannotBind:
    """The Gateway asks for an address that no proxy has."""

    @pytest_asyncio.fixture(autouse=True, loop_scope="session")
    async def bound_afterwards(self, world: World):
        yield
        await world.reset()
        await until(lambda: served(world))

    async def test_it_is_accepted_and_the_listener_that_was_there_is_closed(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)))

        await world.apply(listening_on("192.0.2.1"))

        await until(lambda: refused(world))
        assert world.verdict("Gateway", "gateway-proxy").state is State.ACCEPTED
        assert (state(world, "shop"), world.memory.verdict.state) == ("Accepted", "Accepted")

    async def test_envoy_refuses_it_and_says_so_in_its_counters_alone(self, world: World):
        before = await lds_refusals(world)

        await world.apply(ECHO, listening_on("192.0.2.1"))

        async def rejected() -> bool:
            return await lds_refusals(world) > before

        await until(rejected)

    async def test_routes_that_change_meanwhile_are_live_once_it_can_bind(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)), listening_on("192.0.2.1"))
        await until(lambda: refused(world))
        await world.apply(virtual_service("shop", to(V2)))

        await world.apply(listening_on("::"))

        await until(lambda: served(world))
        assert await version(world, "shop") == "v2"

    async def test_an_address_that_it_has_is_taken(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)))

        await world.apply(listening_on("127.0.0.1"))

        await until(lambda: served(world))
        assert await version(world, "shop") == "v1"


def listening_on(address: str) -> Obj:
    return {
        "kind": "Gateway",
        "metadata": meta("gateway-proxy"),
        "spec": {"bindAddress": address, "bindPort": 8080, "httpGateway": {}},
    }


async def lds_refusals(world: World) -> int:
    found = await world.envoy.admin.stats("listener_manager.lds.update_rejected$")
    return int(found["listener_manager.lds.update_rejected"])


async def refused(world: World) -> bool:
    return not await served(world)


async def served(world: World) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", world.envoy.port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


class TestRefusedByEnvoy:
    async def test_a_total_weight_of_zero_is_accepted_and_the_old_routes_stay(self, world: World):
        await world.apply(ECHO, virtual_service("shop", share((V1, 100), (V2, 0))))

        taken = await world.apply(virtual_service("shop", NO_WEIGHT))

        assert (taken, state(world, "shop")) == (False, State.ACCEPTED)
        assert await version(world, "shop") == "v1"

    async def test_only_the_sub_status_tells_and_names_the_route(self, world: World):
        await world.apply(ECHO, virtual_service("shop", NO_WEIGHT))

        verdict = world.translation.proxy.verdict
        assert verdict.state is State.REJECTED
        assert "require a total weight that is greater than or equal to 1" in verdict.reason
        assert "Route Name: gloo-system_shop-route-0-matcher-0" in verdict.reason

    async def test_nobody_elses_change_takes_effect(self, world: World):
        await world.apply(ECHO, virtual_service("ours", to(V1)), virtual_service("theirs", to(V1)))
        await world.apply(virtual_service("theirs", NO_WEIGHT))

        taken = await world.apply(virtual_service("ours", to(V2)))

        assert (taken, state(world, "ours")) == (False, State.ACCEPTED)
        assert await version(world, "ours") == "v1"

    async def test_a_new_host_is_not_found_meanwhile(self, world: World):
        await world.apply(ECHO, virtual_service("theirs", NO_WEIGHT))

        await world.apply(virtual_service("ours", to(V2)))

        assert set(await world.ask(host_of("ours"))) == NOT_FOUND

    async def test_all_waiting_changes_go_live_when_it_is_mended(self, world: World):
        await world.apply(ECHO, virtual_service("ours", to(V1)), virtual_service("theirs", to(V1)))
        await world.apply(virtual_service("theirs", NO_WEIGHT))
        await world.apply(virtual_service("ours", to(V2)))

        taken = await world.apply(virtual_service("theirs", to(V2)))

        assert taken
        assert [await version(world, n) for n in ("ours", "theirs")] == ["v2", "v2"]

    async def test_endpoints_still_move_while_routes_are_frozen(self, world: World):
        await world.apply(ECHO, virtual_service("ours", to(V2)), virtual_service("theirs", to(V1)))
        await world.apply(virtual_service("theirs", NO_WEIGHT))

        await world.remove(
            Ref("EndpointSlice", "echo", "echo-v2-a"), Ref("EndpointSlice", "echo", "echo-v2-b")
        )

        assert versions(await world.ask(host_of("ours"), times=5)) == only("v1", 5)

    async def test_each_refusal_is_counted(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(V1)))
        before = await world.envoy.admin.routes_rejected()

        await world.apply(virtual_service("shop", NO_WEIGHT))

        assert await world.envoy.admin.routes_rejected() > before

    @pytest.mark.parametrize("route", [r[1] for r in REFUSED], ids=[r[0] for r in REFUSED])
    async def test_other_routes_that_envoy_does_not_take(self, world: World, route):
        taken = await world.apply(ECHO, virtual_service("shop", route))

        assert (taken, state(world, "shop")) == (False, State.ACCEPTED)


class TestSubStatusGoesStale:
    async def test_a_warning_outlives_a_cause_that_an_upstream_has_mended(self, world: World):
        await world.apply(upstream("echo"), virtual_service("shop", to(V2)))

        await world.apply(ECHO)

        assert state(world, "shop") is State.ACCEPTED
        assert world.translation.proxy.verdict.state is State.WARNING

    async def test_the_next_route_change_clears_it(self, world: World):
        await world.apply(upstream("echo"), virtual_service("shop", to(V2)))
        await world.apply(ECHO)

        await world.apply(virtual_service("shop", canary(), to(V2)))

        assert world.translation.proxy.verdict.state is State.ACCEPTED

    async def test_a_new_warning_shows_at_once(self, world: World):
        await world.apply(ECHO, virtual_service("shop", to(at())))

        await world.remove(Ref("Upstream", "gloo-system", "echo"))

        assert world.translation.proxy.verdict.state is State.WARNING
