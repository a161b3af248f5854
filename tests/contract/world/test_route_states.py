"""The states of a route from pinning to clean-up, applied by hand: who answers whom.

Each state marks its answers with its name, so a test asks only when the state is live.
"""

from collections import Counter
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from daemon.sandbox.kinds import DEPLOYMENTS, UPSTREAMS

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARY = {"stage": "canary"}
UPSTREAM = {"name": "echo", "namespace": "gloo-system"}
ASKED = 30
IN_A_ROW = 10
"""Answers of the new state, after which all of a proxy's threads have it."""


def to(version):
    return {"upstream": UPSTREAM, "subset": {"values": {"version": version}}}


def pinned(version):
    return {"matchers": [{"prefix": "/"}], "routeAction": {"single": to(version)}}


def split(v1, v2):
    weighted = [{"destination": to("v1"), "weight": v1}, {"destination": to("v2"), "weight": v2}]
    return {"matchers": [{"prefix": "/"}], "routeAction": {"multi": {"destinations": weighted}}}


OPEN = {"matchers": [{"prefix": "/"}], "routeAction": {"single": {"upstream": UPSTREAM}}}
HEADER = {
    "matchers": [{"prefix": "/", "headers": [{"name": "stage", "value": "canary"}]}],
    "routeAction": {"single": to("v2")},
}

STATES = {
    "R0-open": [OPEN],
    "R1-pinned": [pinned("v1")],
    "R2-header": [HEADER, pinned("v1")],
    "R3-100-0": [HEADER, split(100, 0)],
    "R4-50-50": [HEADER, split(50, 50)],
    "R5-0-100": [HEADER, split(0, 100)],
    "R6-cleaned": [pinned("v2")],
    "R2-header-to-v9": [{**HEADER, "routeAction": {"single": to("v9")}}, pinned("v1")],
}


def virtual_service(state, routes):
    mark = {"responseHeadersToAdd": [{"header": {"key": "x-state", "value": state}}]}
    return {
        "apiVersion": "gateway.solo.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "echo", "namespace": "gloo-system"},
        "spec": {
            "virtualHost": {
                "domains": ["*"],
                "routes": [{**route, "options": {"headerManipulation": mark}} for route in routes],
            }
        },
    }


async def put(world, state):
    await world.apply(virtual_service(state, STATES[state]))

    async def is_live():
        """A proxy's threads take a change over one after the other."""
        answers = [await world.ask() for _ in range(IN_A_ROW)]
        return all(answer.headers.get("x-state") == state for answer in answers)

    await world.until(is_live, f"the route to be {state}")


async def answering(world, headers=None, asked=ASKED):
    """Count who answers."""
    answers = [await world.ask(headers=headers) for _ in range(asked)]
    return Counter(answer.version or str(answer.status) for answer in answers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(world):
    await world.deploy("v2")
    await world.ready("v2")
    return world


@pytest.mark.parametrize(
    ("state", "everybody", "canary"),
    [
        pytest.param("R0-open", {"v1", "v2"}, {"v1", "v2"}, id="R0: every ready pod"),
        pytest.param("R1-pinned", {"v1"}, {"v1"}, id="R1: only v1, although v2 runs"),
        pytest.param("R2-header", {"v1"}, {"v2"}, id="R2: v1, and v2 for the header"),
        pytest.param("R3-100-0", {"v1"}, {"v2"}, id="R3: still v1, and v2 for the header"),
        pytest.param("R4-50-50", {"v1", "v2"}, {"v2"}, id="R4: both, and v2 for the header"),
        pytest.param("R5-0-100", {"v2"}, {"v2"}, id="R5: only v2"),
        pytest.param("R6-cleaned", {"v2"}, {"v2"}, id="R6: only v2, the header means nothing"),
    ],
)
async def test_a_state_decides_who_answers(both, state, everybody, canary):
    await put(both, state)

    assert set(await answering(both)) == everybody
    assert set(await answering(both, CANARY)) == canary


async def test_shares_follow_the_weights(both):
    await put(both, "R4-50-50")

    counts = await answering(both, asked=200)

    assert 60 <= counts["v2"] <= 140  # 5.6 standard deviations


async def test_another_spelling_of_the_header_is_another_header(both):
    await put(both, "R2-header")

    assert set(await answering(both, {"stage": "Canary"})) == {"v1"}


async def test_an_open_route_gives_a_new_version_traffic_the_moment_it_is_ready(both):
    await put(both, "R0-open")

    await both.deploy("v5", replicas=1)
    await both.ready("v5", 1)

    async def answers():
        return (await both.ask()).version == "v5"

    await both.until(answers, "v5 to answer")
    await both.delete(DEPLOYMENTS, "echo-v5")
    await both.ready("v5", 0)


async def test_a_pinned_route_gives_a_new_version_nothing(both):
    await put(both, "R1-pinned")

    await both.deploy("v6", replicas=1)
    await both.ready("v6", 1)

    assert set(await answering(both)) == {"v1"}
    await both.delete(DEPLOYMENTS, "echo-v6")


async def test_after_clean_up_the_old_version_may_go(both):
    await put(both, "R6-cleaned")

    await both.scale("v1", 0)
    await both.ready("v1", 0)

    assert set(await answering(both)) == {"v2"}
    await both.scale("v1", 2)
    await both.ready("v1", 2)


async def test_a_subset_without_pods_is_served_by_anybody(both):
    await put(both, "R2-header-to-v9")

    assert set(await answering(both, CANARY)) == {"v1", "v2"}


async def test_a_subset_without_pods_is_503_where_the_upstream_falls_back_to_nobody(both):
    await put(both, "R2-header-to-v9")
    async with fallback(both, "NO_FALLBACK"):
        await both.until(lambda: is_answered(both, 503, CANARY), "nobody to answer for v9")

        assert set(await answering(both, CANARY)) == {"503"}
        assert set(await answering(both)) == {"v1"}


async def test_an_open_route_is_503_where_the_upstream_falls_back_to_nobody(both):
    await put(both, "R0-open")
    async with fallback(both, "NO_FALLBACK"):
        await both.until(lambda: is_answered(both, 503), "nobody to answer on the open route")

        assert set(await answering(both)) == {"503"}


async def is_answered(world, status, headers=None):
    return (await world.ask(headers=headers)).status == status


@asynccontextmanager
async def fallback(world, policy):
    change = {"spec": {"kube": {"subsetSpec": {"fallbackPolicy": policy}}}}
    await world.client.merge_patch(UPSTREAMS, "gloo-system", "echo", change)
    yield
    change["spec"]["kube"]["subsetSpec"]["fallbackPolicy"] = None
    await world.client.merge_patch(UPSTREAMS, "gloo-system", "echo", change)
    await put(world, "R0-open")
    await world.until(lambda: is_answered(world, 200), "the open route to be served again")
