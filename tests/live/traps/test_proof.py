"""Written is not live: what a proof is, what it is not, and what it must not be confused by."""

from contextlib import asynccontextmanager

import pytest

from daemon.core.model import PROBE_HEADER, GuideKind, Pinned, Weighted
from daemon.errors import TransientError
from daemon.ports import Resource
from tests.live.traps.listening import none_listen
from tests.live.traps.objects import (
    NAMESPACE,
    NO_WEIGHTS,
    OPEN,
    PINNED,
    V1,
    V2,
    single,
)
from tests.live.traps.plot import ROLLOUT, shown

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
PROBE = {PROBE_HEADER: ROLLOUT}


# ---------------------------------------------------------------- 9: the witness


async def test_9_once_a_decision_is_proved_every_ordinary_request_goes_where_it_says(plot):
    await plot.serve(PINNED)

    for number in range(1, 7):
        await plot.write(Weighted("v1", "v2", 100 * (number % 2)))
        await plot.proof()

        for proxy in (0, 1):
            assert set(await plot.asks(10, proxy=proxy)) == {"v2" if number % 2 else "v1"}


async def test_9_the_number_and_the_serving_version_come_back_on_every_answer_of_the_header_route(
    plot,
):
    await plot.serve(PINNED)
    await plot.write(Pinned("v1"))
    await plot.proof()

    assert {shown(await plot.get(stage="canary")) for _ in range(10)} == {("1", "v2")}


async def test_9_users_meet_none_of_our_headers(plot):
    await plot.serve(PINNED)
    await plot.write(Weighted("v1", "v2", 50))
    await plot.proof()

    assert {shown(await plot.get()) for _ in range(10)} == {("", "")}


async def test_9_the_witness_shows_the_number_where_no_header_route_belongs(plot):
    await plot.serve(OPEN)
    await plot.write(Pinned("v1"), GuideKind.WITNESS)
    await plot.proof(GuideKind.WITNESS)

    assert shown(await plot.get(**PROBE)) == ("1", "v1")
    assert await plot.ask(stage="canary") == "v1"


async def test_9_when_the_header_route_is_removed_the_same_probe_shows_it(plot):
    await plot.serve(PINNED)
    await plot.write(Pinned("v1"))
    await plot.proof()

    await plot.write(Pinned("v1"), None)
    await plot.taken_by_all()

    assert shown(await plot.get(stage="canary")) == ("", "")


async def test_9_an_answer_without_the_number_proves_nothing_whatever_it_is(plot):
    # No route of ours stands anywhere: neither an old split nor a 404 carries a number.
    await plot.serve(single(V1, matchers=[{"prefix": "/shop"}]))
    plot.decision = 1

    async with plot.proving() as proving:
        said = await proving.told("without our headers")

    assert "answered 200 without our headers (server: envoy)" in said


# ---------------------------------------------------------------- each proxy


async def test_one_frozen_proxy_of_two_keeps_a_decision_unconfirmed(plot):
    await plot.serve(PINNED)
    plot.world.gateway.freeze(1)

    await plot.write(Pinned("v1"))
    async with plot.proving() as proving:
        said = await proving.told("1 of 2 proxies shown to serve decision 1")
        assert not proving.task.done()
        plot.world.gateway.thaw()
        proof = await proving.ended()

    assert plot.world.urls[1].removeprefix("http://") in said
    assert proof.detail == "2 of 2 proxies shown to serve decision 1"


async def test_users_of_the_frozen_proxy_meet_the_old_split_meanwhile(plot):
    await plot.serve(PINNED)
    plot.world.gateway.freeze(1)

    await plot.write(Weighted("v1", "v2", 100))
    await plot.taken_by_all()

    assert [set(await plot.asks(5, proxy=it)) for it in (0, 1)] == [{"v2"}, {"v1"}]


async def test_a_proxy_that_restarts_meanwhile_is_asked_until_it_shows_the_number(plot):
    await plot.serve(PINNED)
    plot.world.gateway.freeze(1)
    await plot.write(Pinned("v1"))

    async with plot.proving() as proving:
        await proving.told("1 of 2 proxies")
        await plot.world.gateway.restart_proxy(1)
        plot.world.gateway.thaw()
        proof = await proving.ended()

    assert proof.detail == "2 of 2 proxies shown to serve decision 1"


async def test_a_proxy_that_left_is_not_waited_for(plot):
    await plot.serve(PINNED)
    plot.world.gateway.freeze(1)
    await plot.write(Pinned("v1"))

    async with plot.proving() as proving:
        await proving.told("1 of 2 proxies")
        async with without_proxy(plot, 1):
            proof = await proving.ended()

    assert proof.detail == "1 of 1 proxy shown to serve decision 1"


@asynccontextmanager
async def without_proxy(plot, number):
    """Let one proxy be no endpoint of the gateway's Service."""
    name = f"gateway-proxy-{number}"
    found = await plot.world.get(SLICES, name, NAMESPACE)
    gone = [it | {"conditions": {"ready": False}} for it in found["endpoints"]]
    await plot.people.merge_patch(SLICES, NAMESPACE, name, {"endpoints": gone})
    try:
        yield
    finally:
        await plot.people.merge_patch(SLICES, NAMESPACE, name, {"endpoints": found["endpoints"]})


# ---------------------------------------------------------------- a frozen listener


async def test_3_a_decision_on_a_frozen_listener_is_unconfirmed_and_proved_when_it_heals(plot):
    await plot.serve(PINNED)
    await plot.write(Pinned("v1"))
    await plot.proof()
    theirs = plot.neighbour()
    await theirs.serve(NO_WEIGHTS)

    await plot.write(Weighted("v1", "v2", 100))
    async with plot.proving() as proving:
        said = await proving.told("with decision 1")
        assert set(await plot.asks(5)) == {"v1"}
        await theirs.serve(PINNED)
        proof = await proving.ended()

    assert said.startswith("0 of 2 proxies shown to serve decision 2")
    assert proof.confirmed_at is not None
    assert set(await plot.asks(5)) == {"v2"}


# ---------------------------------------------------------------- 9: a listener that cannot bind


async def test_9_a_listener_that_cannot_bind_is_accepted_and_refuses_every_connection(plot):
    await plot.serve(PINNED)
    await unbound(plot)

    await plot.serve(single(V2))

    status = await plot.status("Accepted")
    [below] = status["subresourceStatuses"].values()
    assert below["state"] == "Accepted", "no status of anything speaks of it"


async def test_9_a_decision_behind_such_a_listener_is_not_proved_until_it_listens_again(plot):
    await plot.serve(PINNED)
    await unbound(plot)

    await plot.write(Pinned("v1"))
    async with plot.proving() as proving:
        said = await proving.told("connection refused by")
        plot.world.gateway.thaw()
        proof = await proving.ended()

    assert said.startswith("0 of 2 proxies shown to serve decision 1")
    assert proof.detail == "2 of 2 proxies shown to serve decision 1"


async def test_9_one_proxy_of_two_that_cannot_bind_keeps_a_decision_unconfirmed(plot):
    await plot.serve(PINNED)
    await unbound(plot, 1)

    await plot.write(Pinned("v1"))
    async with plot.proving() as proving:
        said = await proving.told("1 of 2 proxies shown to serve decision 1")

    where = plot.world.urls[1].removeprefix("http://")
    assert f"connection refused by {where}" in said


async def test_9_a_smoke_test_that_meets_such_a_listener_gives_no_verdict(plot):
    await plot.serve(PINNED)
    await plot.write(Pinned("v1"))
    await plot.proof()
    await unbound(plot)

    with pytest.raises(TransientError, match="connection refused by"):
        await plot.smoke()


async def unbound(plot, *proxies):
    """Give proxies (none named: both) a listener they cannot bind; wait until they refuse."""
    plot.world.gateway.unbind(*proxies)
    await none_listen(plot.world, *proxies)


# ---------------------------------------------------------------- 9: a write is live after up to a second


async def test_9_the_other_versions_answer_before_the_tick_is_no_failed_smoke_test(plot):
    await plot.serve(PINNED)
    plot.world.gateway.freeze()  # stands for the tick: as long as the test wants it to be
    await plot.write(Pinned("v1"))

    async with plot.proving() as proving:
        await proving.told("answered 200 without our headers")
        assert await plot.ask(stage="canary") == "v1", "the header route is not live yet"
        plot.world.gateway.thaw()
        await proving.ended()

    result = await plot.smoke()
    assert (result.passed, result.decision) == (True, 1)


async def test_9_a_smoke_test_that_did_not_wait_would_say_that_the_route_was_not_met(plot):
    await plot.serve(PINNED)
    plot.world.gateway.freeze()
    await plot.write(Pinned("v1"))

    result = await plot.smoke()

    assert not result.passed
    assert (
        "the gateway did not say which version answered: the header route was not met"
        in result.message
    )


async def test_9_with_gloos_tick_of_a_second_every_decision_is_proved_all_the_same(plot):
    await plot.serve(PINNED)
    plot.world.gateway.apply_delay = 1.0

    await plot.write(Pinned("v1"))
    await plot.proof()
    await plot.write(Weighted("v1", "v2", 100))
    await plot.proof()

    assert set(await plot.asks(5)) == {"v2"}


# ---------------------------------------------------------------- both forms of the formatter


FORMS = ("%UPSTREAM_METADATA(envoy.lb:version)%", '%UPSTREAM_METADATA(["envoy.lb","version"])%')


@pytest.mark.parametrize("form", FORMS)
async def test_9_both_forms_of_the_formatter_name_the_serving_pods_version(plot, form):
    entry = {"header": {"key": "x-served-by", "value": form}, "append": False}
    options = {"headerManipulation": {"responseHeadersToAdd": [entry]}}
    await plot.serve(single(V1, options=options))

    assert (await plot.get()).headers["x-served-by"] == "v1"
