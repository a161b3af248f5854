"""Where requests go: weights, subsets and what happens when they are empty, groups, Upstreams."""

import pytest

from daemon.sandbox.gateway.clusters import Gloo
from daemon.sandbox.gateway.objects import Ref
from daemon.sandbox.gateway.verdicts import State
from tests.contract.gateway.build import (
    BY_VERSION,
    CLOSED,
    ECHO,
    SERVING_VERSION,
    V1,
    V2,
    V9,
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
from tests.contract.gateway.judge import TIMES, assert_shares, only, versions
from tests.contract.gateway.world import Answer, World, meta

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOST = host_of("shop")
EMPTY = Answer(503, body="no healthy upstream")
UNKNOWN = Answer(503)
"""No such cluster: Envoy has nothing to say."""


async def ask(world: World, *routes, times: int = TIMES):
    await world.apply(virtual_service("shop", *routes))
    return await world.ask(HOST, times=times)


def state(world: World) -> State:
    return world.verdict("VirtualService", "shop").state


WEIGHTS = [
    ("a-hundred", [(V1, 75), (V2, 25)], {"v1": 0.75, "v2": 0.25}),
    ("any-sum", [(V1, 1), (V2, 3)], {"v1": 0.25, "v2": 0.75}),
    ("ten-thousand", [(V1, 9000), (V2, 1000)], {"v1": 0.9, "v2": 0.1}),
    ("a-missing-weight-is-zero", [(V1, 1), (V2, None)], {"v1": 1.0}),
    ("zero-gets-nothing", [(V1, 0), (V2, 100)], {"v2": 1.0}),
    ("three", [(V1, 1), (V2, 1), (at("other"), 2)], {"v1": 0.25, "v2": 0.25, "o1": 0.5}),
]


@pytest.mark.parametrize(
    ("weighted", "shares"), [w[1:] for w in WEIGHTS], ids=[w[0] for w in WEIGHTS]
)
async def test_weights_are_shares_of_their_sum(world: World, weighted, shares):
    other = upstream("other", selector={"app": "other"})
    other["spec"]["kube"]["serviceName"] = "other"
    await world.apply(ECHO, other)

    assert_shares(await ask(world, share(*weighted)), shares)


DEFAULT = upstream(
    "default",
    subsets={
        **BY_VERSION,
        "fallbackPolicy": "DEFAULT_SUBSET",
        "defaultSubset": {"values": {"version": "v1"}},
    },
)
PLAIN = upstream("plain")

FINE = ("Accepted", "Accepted")
BOTH = {"v1": 0.5, "v2": 0.5}
ON_PLAIN = "route has a subset config, but the upstream does not"

SUBSETS = [
    # id, destination, shares, states of the object and of the Proxy, phrase of the reason
    ("of-its-version", V2, {"v2": 1.0}, FINE, ""),
    ("empty-falls-open-by-default", V9, BOTH, FINE, ""),
    ("empty-and-closed", at("closed", version="v9"), {None: 1.0}, FINE, ""),
    ("empty-goes-to-the-default", at("default", version="v9"), {"v1": 1.0}, FINE, ""),
    ("on-a-plain-upstream", at("plain", version="v2"), BOTH, ("Warning", "Warning"), ON_PLAIN),
    ("of-a-key-nobody-selects", at(release="v2"), BOTH, ("Accepted", "Rejected"), ""),
    ("of-too-many-keys", at(version="v2", app="echo"), BOTH, ("Accepted", "Rejected"), ""),
    ("none", at(), BOTH, FINE, ""),
]


@pytest.mark.parametrize(
    ("destination", "shares", "states", "phrase"),
    [s[1:] for s in SUBSETS],
    ids=[s[0] for s in SUBSETS],
)
async def test_a_subset_is_served_by(world: World, destination, shares, states, phrase):
    await world.apply(ECHO, CLOSED, DEFAULT, PLAIN)

    answers = await ask(world, to(destination), times=20)

    assert_shares(answers, shares)
    verdict = world.verdict("VirtualService", "shop")
    assert (verdict.state, world.translation.proxy.verdict.state) == states
    assert phrase in verdict.reason


async def test_a_closed_subset_without_pods_fails_its_share_only(world: World):
    await world.apply(CLOSED)

    answers = await ask(
        world, share((at("closed", version="v1"), 50), (at("closed", version="v9"), 50))
    )

    assert_shares(answers, {"v1": 0.5, None: 0.5})
    assert EMPTY in answers


async def test_the_destinations_below_a_bad_subset_are_lost(world: World):
    await world.apply(ECHO)

    answers = await ask(world, share((at(release="v1"), 50), (V2, 50)), times=20)

    assert_shares(answers, {"v1": 0.5, "v2": 0.5})
    assert world.translation.proxy.verdict.state is State.REJECTED


async def test_subsets_given_to_an_upstream_later_take_effect(world: World):
    await world.apply(upstream("echo"))
    assert_shares(await ask(world, to(V2), times=20), {"v1": 0.5, "v2": 0.5})

    await world.apply(ECHO)

    assert versions(await world.ask(HOST, times=20)) == only("v2", 20)


async def test_one_upstream_per_version_over_one_service_fails_closed(world: World):
    await world.apply(
        upstream("echo-v1", selector={"app": "echo", "version": "v1"}),
        upstream("echo-v9", selector={"app": "echo", "version": "v9"}),
    )

    answers = await ask(world, share((at("echo-v1"), 50), (at("echo-v9"), 50)))

    assert_shares(answers, {"v1": 0.5, None: 0.5})


async def test_a_missing_upstream_is_a_warning_and_fails_that_route_alone(world: World):
    await world.apply(ECHO)

    answers = await ask(world, canary(at("nope")), to(V1), times=10)

    assert versions(answers) == only("v1", 10)
    assert set(await world.ask(HOST, headers={"stage": "canary"})) == {UNKNOWN}
    assert state(world) is State.WARNING
    assert "gloo-system.nope } not found" in world.verdict("VirtualService", "shop").reason


async def test_a_missing_upstream_in_a_weighted_list_fails_its_share(world: World):
    await world.apply(ECHO)

    assert_shares(await ask(world, share((V1, 50), (at("nope"), 50))), {"v1": 0.5, None: 0.5})
    assert state(world) is State.WARNING


async def test_an_upstream_that_is_deleted_fails_at_once(world: World):
    await world.apply(ECHO)
    await ask(world, to(V1), times=1)

    await world.remove(Ref("Upstream", "gloo-system", "echo"))

    assert set(await world.ask(HOST)) == {UNKNOWN}


PORTS = [
    ("the-right-port", Gloo.V1_12, 8080, {"v1": 1.0}),
    ("a-wrong-port-has-no-endpoints", Gloo.V1_12, 80, {None: 1.0}),
    ("once-the-only-port-was-enough", Gloo.V1_3, 80, {"v1": 1.0}),
]


@pytest.mark.parametrize(
    ("gloo", "port", "shares"), [p[1:] for p in PORTS], ids=[p[0] for p in PORTS]
)
async def test_the_port_rule(world: World, gloo, port, shares):
    world.gloo = gloo
    await world.apply(upstream("ported", subsets=BY_VERSION, port=port))

    assert_shares(await ask(world, to(at("ported", version="v1")), times=10), shares)
    assert world.verdict("Upstream", "ported").state is State.ACCEPTED


async def test_an_upstream_of_a_missing_service_is_rejected(world: World):
    lost = upstream("lost")
    lost["spec"]["kube"]["serviceName"] = "gone"

    await world.apply(lost)

    verdict = world.verdict("Upstream", "lost")
    assert verdict.state is State.REJECTED
    assert "does not exist" in verdict.reason


async def test_a_static_upstream_takes_fixed_addresses(world: World):
    hosts = [{"addr": "127.0.0.1", "port": world.pods[0].port}]
    static = {"kind": "Upstream", "metadata": meta("fixed"), "spec": {"static": {"hosts": hosts}}}
    await world.apply(static)

    assert versions(await ask(world, to(at("fixed")), times=1)) == only("v1", 1)


async def test_a_service_can_be_named_directly(world: World):
    kube = {"kube": {"ref": {"name": "echo", "namespace": "echo"}, "port": 8080}}

    assert_shares(await ask(world, to(kube), times=20), {"v1": 0.5, "v2": 0.5})
    assert state(world) is State.ACCEPTED


async def test_an_upstream_without_a_namespace_is_looked_for_beside_the_route(world: World):
    await world.apply(ECHO)
    nameless = {"upstream": {"name": "echo"}, "subset": {"values": {"version": "v2"}}}

    assert versions(await ask(world, to(nameless), times=5)) == only("v2", 5)


async def test_a_pod_that_is_not_ready_gets_nothing(world: World):
    await world.apply(ECHO)
    await ask(world, to(at()), times=1)
    for name in ("echo-v1-a", "echo-v1-b"):
        piece = world.objects[Ref("EndpointSlice", "echo", name)]
        endpoints = [{**piece["endpoints"][0], "conditions": {"ready": False}}]
        await world.apply({**piece, "endpoints": endpoints})

    assert versions(await world.ask(HOST, times=20)) == only("v2", 20)


class TestUpstreamGroup:
    async def test_its_weights_are_the_routes(self, world: World):
        pair = ({"destination": V1, "weight": 70}, {"destination": V2, "weight": 30})
        await world.apply(ECHO, group("both", *pair))
        route = {
            "matchers": [{"prefix": "/"}],
            "routeAction": {"upstreamGroup": {"name": "both", "namespace": "gloo-system"}},
        }

        assert_shares(await ask(world, route), {"v1": 0.7, "v2": 0.3})
        assert world.verdict("UpstreamGroup", "both").state is State.ACCEPTED

    async def test_all_its_routes_follow_one_write(self, world: World):
        route = {"routeAction": {"upstreamGroup": {"name": "both", "namespace": "gloo-system"}}}
        await world.apply(
            ECHO,
            group("both", {"destination": V1, "weight": 1}),
            virtual_service("shop", route),
            virtual_service("till", route),
        )

        await world.apply(group("both", {"destination": V2, "weight": 1}))

        for host in ("shop", "till"):
            assert versions(await world.ask(host_of(host), times=5)) == only("v2", 5)

    async def test_a_missing_one_is_a_warning_that_envoy_refuses(self, world: World):
        route = {"routeAction": {"upstreamGroup": {"name": "gone", "namespace": "gloo-system"}}}

        taken = await world.apply(virtual_service("shop", route))

        assert (taken, state(world)) == (False, State.WARNING)

    async def test_one_that_names_a_missing_upstream_is_rejected(self, world: World):
        await world.apply(group("both", {"destination": at("nope"), "weight": 1}))

        assert "upstream not found" in world.verdict("UpstreamGroup", "both").reason


class TestIdentity:
    async def test_each_destination_can_set_a_header_of_its_own(self, world: World):
        await world.apply(ECHO)
        route = share((V1, 50), (V2, 50))
        for weighted, name in zip(
            route["routeAction"]["multi"]["destinations"], ("one", "two"), strict=True
        ):
            weighted["options"] = answering(name)

        answers = await ask(world, route)

        assert {(a.version, a.served_by) for a in answers} == {("v1", "one"), ("v2", "two")}

    async def test_the_version_is_named_even_where_the_subset_fell_open(self, world: World):
        await world.apply(ECHO)

        answers = await ask(world, to(V9, options=answering(SERVING_VERSION)), times=10)

        assert {(a.version, a.served_by) for a in answers} == {("v1", "v1"), ("v2", "v2")}

    async def test_without_a_pod_there_is_no_version_to_name(self, world: World):
        await world.apply(CLOSED)
        closed = to(at("closed", version="v9"), options=answering(SERVING_VERSION))

        [answer] = await ask(world, closed, times=1)

        assert answer.status == 503
        assert not answer.served_by
