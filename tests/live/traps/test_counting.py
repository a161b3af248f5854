"""Traps of counting: what a user saw, what Envoy counted, and what the pods counted themselves."""

from contextlib import asynccontextmanager

import pytest

from daemon.core.model import Pinned
from tests.live.traps.objects import (
    PINNED,
    V1,
    single,
    to,
)
from tests.live.traps.plot import one

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

RETRIES = {"retries": {"retryOn": "5xx", "numRetries": 8}}
"""Enough that no user sees a failure of a pod that fails every other time."""


@asynccontextmanager
async def failing(plot, version, share):
    await plot.world.turn(version, error_rate=share)
    try:
        yield
    finally:
        await plot.world.turn(version, error_rate=None)


async def difference(plot, version, deed):
    before = await plot.counted(version)
    await deed
    after = await plot.counted(version)
    return after.requests - before.requests, after.failed - before.failed


# ---------------------------------------------------------------- 7: retries hide failures


async def test_7_with_retries_no_user_sees_a_failure_of_a_version_that_fails(plot):
    await plot.serve(single(V1, options=RETRIES))

    async with failing(plot, "v1", "0.3"):
        statuses = {(await plot.get()).status for _ in range(40)}

    assert statuses == {200}


async def test_7_the_pods_own_counters_hold_every_failed_try(plot):
    await plot.serve(single(V1, options=RETRIES))

    async with failing(plot, "v1", "0.3"):
        requests, failed = await difference(plot, "v1", plot.asks(40))

    assert failed > 0
    assert requests == 40 + failed


async def test_7_retries_of_the_owned_route_are_a_warning(plot):
    await plot.serve(single(V1, options=RETRIES))

    one((await plot.read()).warnings, "route 0 retries: pods count every failed try")


async def test_7_retries_of_the_whole_host_are_a_warning_too(plot):
    await plot.serve(PINNED, options=RETRIES)

    one((await plot.read()).warnings, "route 0 retries")


async def test_7_the_smoke_test_runs_through_the_same_retries(plot):
    # A copy of the owned route's options: users of the header would be retried, too.
    await plot.serve(single(V1, options=RETRIES))

    obj = await plot.write(Pinned("v1"))

    guide, owned = obj["spec"]["virtualHost"]["routes"]
    assert guide["options"]["retries"] == owned["options"]["retries"] == RETRIES["retries"]


# ---------------------------------------------------------------- 8: mirrored requests count as traffic


def shadowing(upstream):
    return {
        "shadowing": {"upstream": {"name": upstream, "namespace": "gloo-system"}, "percentage": 100}
    }


async def test_8_a_mirror_to_the_same_upstream_is_counted_by_the_versions_themselves(plot):
    await plot.serve(single(V1, options=shadowing("echo")))
    before = [await plot.counted(it) for it in ("v1", "v2")]

    await plot.asks(20)

    async def all_came():
        after = [await plot.counted(it) for it in ("v1", "v2")]
        return sum(it.requests for it in after) - sum(it.requests for it in before) == 40

    await plot.world.until(all_came, "20 requests and 20 copies to be counted")


async def test_8_a_mirror_to_the_targets_own_upstream_is_refused(plot):
    await plot.serve(single(V1, options=shadowing("echo")))

    one((await plot.read()).problems, "shadows to Upstream gloo-system/echo itself")


async def test_8_a_mirror_to_an_upstream_of_its_own_is_fine(plot):
    name = await plot.upstream(selector={"app": "echo", "version": "v2"}, subsetSpec=None)
    await plot.serve(single(V1, options=shadowing(name)))

    assert (await plot.read()).problems == ()


async def test_8_a_copy_never_answers_a_user(plot):
    name = await plot.upstream(selector={"app": "echo", "version": "v2"}, subsetSpec=None)
    await plot.serve(single(V1, options=shadowing(name)))

    assert set(await plot.asks(20)) == {"v1"}


# ---------------------------------------------------------------- an empty cluster is in no pod's counters


async def test_a_503_of_the_gateway_itself_is_in_no_pods_counters(plot):
    name = await plot.upstream(selector={"app": "nobody"})
    await plot.serve(single(to("v1", name)))
    await plot.answers("503")

    requests, failed = await difference(plot, "v1", plot.asks(10))

    assert (requests, failed) == (0, 0)


async def test_so_the_smoke_test_looks_for_such_answers_through_the_gateway(plot):
    name = await plot.upstream(selector={"app": "nobody"})
    plot.changes = {"route": {"gloo": {"upstream": f"gloo-system/{name}"}}}
    await plot.serve(single(to("v1", name)))
    await plot.answers("503")
    await plot.write(Pinned("v1"))
    await plot.proof()

    result = await plot.smoke()

    assert not result.passed
    assert "the gateway itself answered 503" in result.message
