"""The route states of a rollout, R0 to R6, and what each must look like through the gateway."""

import pytest

from daemon.sandbox.gateway.verdicts import State
from tests.contract.gateway.build import (
    ECHO,
    SERVING_VERSION,
    V1,
    V2,
    answering,
    at,
    canary,
    host_of,
    share,
    to,
    virtual_service,
)
from tests.contract.gateway.judge import TIMES, assert_shares, only, versions
from tests.contract.gateway.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOST = host_of("shop")
STAGE = {"stage": "canary"}
H = canary(options=answering(SERVING_VERSION))

STATES = [
    # id, routes, shares without the header, version with the header
    ("R0-open", [to(at())], {"v1": 0.5, "v2": 0.5}, None),
    ("R1-pinned", [to(V1)], {"v1": 1.0}, "v1"),
    ("R2-header", [H, to(V1)], {"v1": 1.0}, "v2"),
    ("R3-100-0", [H, share((V1, 100), (V2, 0))], {"v1": 1.0}, "v2"),
    ("R4-50-50", [H, share((V1, 50), (V2, 50))], {"v1": 0.5, "v2": 0.5}, "v2"),
    ("R4-90-10", [H, share((V1, 90), (V2, 10))], {"v1": 0.9, "v2": 0.1}, "v2"),
    ("R5-0-100", [H, share((V1, 0), (V2, 100))], {"v2": 1.0}, "v2"),
    ("R6-cleaned", [to(V2)], {"v2": 1.0}, "v2"),
]


@pytest.mark.parametrize(
    ("routes", "shares", "with_header"), [s[1:] for s in STATES], ids=[s[0] for s in STATES]
)
async def test_each_state_of_a_rollout_sends_everybody_where_it_says(
    world: World, routes, shares, with_header
):
    await world.apply(ECHO, virtual_service("shop", *routes))

    assert world.verdict("VirtualService", "shop").state is State.ACCEPTED
    assert_shares(await world.ask(HOST, times=TIMES), shares)
    if with_header:
        assert versions(await world.ask(HOST, times=10, headers=STAGE)) == only(with_header, 10)


async def test_a_pinned_route_does_not_change_when_the_new_version_arrives(world: World):
    newer = [r for r in world.objects if r.name.startswith("echo-v2")]
    kept = [world.objects[r] for r in newer]
    await world.remove(*newer)
    await world.apply(ECHO, virtual_service("shop", to(V1)))
    before = versions(await world.ask(HOST, times=10))

    await world.apply(*kept)

    assert before == versions(await world.ask(HOST, times=10)) == only("v1", 10)


async def test_the_header_route_names_the_version_that_answered(world: World):
    await world.apply(ECHO, virtual_service("shop", H, to(V1)))

    marked = await world.ask(HOST, headers=STAGE)
    plain = await world.ask(HOST)

    assert [a.served_by for a in marked] == ["v2"]
    assert [a.served_by for a in plain] == [None]


async def test_a_new_decision_number_on_the_header_route_proves_the_new_weights(world: World):
    for number, weight in enumerate((0, 100, 0, 100)):
        header = canary(options=answering(f"r1/{number}"))
        main = share((V1, 100 - weight), (V2, weight))
        await world.apply(ECHO, virtual_service("shop", header, main))

        assert [a.served_by for a in await world.ask(HOST, headers=STAGE)] == [f"r1/{number}"]
        assert versions(await world.ask(HOST, times=20)) == only("v2" if weight else "v1", 20)


async def test_the_whole_way_and_back_fails_no_request(world: World):
    steps = [s[1] for s in STATES] + [s[1] for s in reversed(STATES)]
    for routes in steps:
        await world.apply(ECHO, virtual_service("shop", *routes))

        assert {a.status for a in await world.ask(HOST, times=10)} == {200}
