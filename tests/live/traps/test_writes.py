"""Traps of writing: fields that vanish, generations that mean nothing, and two kinds of 422."""

import pytest

from daemon.core.model import Pinned, Unclear, Weighted
from daemon.errors import InvalidError
from daemon.kube.patch import add, encode
from daemon.kube.patch import test as expect
from daemon.sandbox.kinds import VIRTUAL_SERVICES
from tests.live.traps.objects import (
    NAMESPACE,
    PINNED,
    V1,
    V2,
    share,
    single,
)

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

ROUTE = "/spec/virtualHost/routes/0"
SNAKE_CASE = add(f"{ROUTE}/options", {"prefix_rewrite": "/"})


async def patch(plot, *operations, dry_run=False):
    return await plot.cluster.json_patch(
        VIRTUAL_SERVICES, NAMESPACE, plot.name, encode(list(operations)), dry_run=dry_run
    )


# ---------------------------------------------------------------- 10: unknown fields vanish


async def test_10_a_lenient_write_loses_a_field_without_a_word(plot):
    await plot.serve(PINNED)
    lenient = plot.world.client

    answer = await lenient.json_patch(VIRTUAL_SERVICES, NAMESPACE, plot.name, encode([SNAKE_CASE]))

    assert answer["spec"]["virtualHost"]["routes"][0]["options"] == {}


async def test_10_the_daemons_writes_are_strict_and_name_the_field(plot):
    await plot.serve(PINNED)

    with pytest.raises(InvalidError) as refused:
        await patch(plot, SNAKE_CASE)

    assert 'unknown field "spec.virtualHost.routes[0].options.prefix_rewrite"' in str(refused.value)


async def test_10_the_refused_object_is_not_in_the_sentence(plot):
    await plot.serve(single(V1, name="secret-of-the-route"))

    with pytest.raises(InvalidError) as refused:
        await patch(plot, SNAKE_CASE)

    assert "secret-of-the-route" not in str(refused.value)


async def test_10_nothing_of_a_refused_patch_is_written(plot):
    await plot.serve(PINNED)

    with pytest.raises(InvalidError):
        await patch(plot, add("/metadata/annotations", {"x": "y"}), SNAKE_CASE)

    obj = await plot.world.get(VIRTUAL_SERVICES, plot.name, NAMESPACE)
    assert "annotations" not in obj["metadata"]


async def test_10_a_dry_run_of_the_daemons_client_tells_it_before(plot):
    await plot.serve(PINNED)

    with pytest.raises(InvalidError, match="unknown field"):
        await patch(plot, SNAKE_CASE, dry_run=True)


# ---------------------------------------------------------------- 422s told apart


async def test_a_failed_test_is_a_422_without_a_cause(plot):
    await plot.serve(PINNED)

    with pytest.raises(InvalidError) as refused:
        await patch(plot, expect("/metadata/uid", "another"))

    assert refused.value.causes == ()


async def test_a_refused_field_is_a_422_with_one(plot):
    await plot.serve(PINNED)

    with pytest.raises(InvalidError) as refused:
        await patch(plot, SNAKE_CASE)

    assert len(refused.value.causes) == 1


# ---------------------------------------------------------------- 11: generation is no spec counter


async def test_11_a_status_write_raises_the_generation(plot):
    await plot.serve(PINNED)
    await plot.status("Accepted")
    before = await generation(plot)

    change = {"status": {"statuses": {"elsewhere": {"state": "Accepted"}}}}
    await plot.world.client.merge_patch(VIRTUAL_SERVICES, NAMESPACE, plot.name, change)

    assert await generation(plot) == before + 1


async def test_11_a_patch_of_the_metadata_alone_does_not(plot):
    await plot.serve(PINNED)
    await plot.status("Accepted")
    before = await generation(plot)

    change = {"metadata": {"annotations": {"a": "b"}}}
    await plot.world.client.merge_patch(VIRTUAL_SERVICES, NAMESPACE, plot.name, change)

    assert await generation(plot) == before


async def test_11_a_decision_survives_status_writes_between_its_reading_and_its_writing(plot):
    await plot.serve(PINNED)
    await plot.status("Accepted")
    read = await plot.world.get(VIRTUAL_SERVICES, plot.name, NAMESPACE)
    change = {"status": {"statuses": {"elsewhere": {"state": "Accepted"}}}}
    await plot.world.client.merge_patch(VIRTUAL_SERVICES, NAMESPACE, plot.name, change)

    written = await plot.write(Pinned("v1"), base=read)

    assert written["metadata"]["generation"] > read["metadata"]["generation"] + 1
    assert written["status"]["statuses"]["elsewhere"] == {"state": "Accepted"}


async def test_11_a_foreign_edit_of_the_owned_route_in_between_does_refuse_it(plot):
    await plot.serve(PINNED)
    read = await plot.world.get(VIRTUAL_SERVICES, plot.name, NAMESPACE)
    await plot.serve(single(V2))

    with pytest.raises(InvalidError):
        await plot.write(Pinned("v1"), base=read)


async def test_11_an_edit_of_another_route_in_between_does_not(plot):
    other = single(V2, matchers=[{"exact": "/other"}])
    plot.changes = {"route": {"gloo": {"routeName": "main"}}}
    main = single(V1, name="main")
    await plot.serve(main, other)
    read = await plot.world.get(VIRTUAL_SERVICES, plot.name, NAMESPACE)
    edited = single(V1, matchers=[{"exact": "/other"}])
    await plot.serve(main, edited)

    written = await plot.write(Pinned("v1"), base=read)

    assert written["spec"]["virtualHost"]["routes"][2] == edited


async def generation(plot):
    return (await plot.world.get(VIRTUAL_SERVICES, plot.name, NAMESPACE))["metadata"]["generation"]


# ---------------------------------------------------------------- weights and their spellings


async def test_a_missing_weight_is_zero_for_the_gateway_and_for_the_daemon(plot):
    both = share((V1, 100), (V2, 0))
    del both["routeAction"]["multi"]["destinations"][1]["weight"]
    await plot.serve(both)

    assert set(await plot.asks(20)) == {"v1"}
    assert (await plot.read()).owned == Weighted("v1", "v2", 0)


async def test_any_sum_of_weights_is_a_hundred_percent_for_both(plot):
    await plot.serve(share((V1, 3), (V2, 1)))

    assert set(await plot.asks(60)) == {"v1", "v2"}
    assert (await plot.read()).owned == Weighted("v1", "v2", 25)


async def test_a_share_that_is_no_whole_percent_is_not_adopted(plot):
    await plot.serve(share((V1, 2), (V2, 1)))

    owned = (await plot.read()).owned

    assert isinstance(owned, Unclear)
    assert owned.why == "weights 2 and 1 are no hundredths of a percent"
