"""Traps of Gloo's status: Accepted that is not applied, Rejected that freezes, Warning that serves.

A status is a sentence to quote. What counts is the answer of every proxy.
"""

import pytest

from daemon.core.model import GuideKind, Pinned, Weighted
from daemon.kube.patch import encode, replace
from daemon.sandbox.kinds import VIRTUAL_SERVICES
from tests.live.traps.objects import (
    BAD_REGEX,
    NAMESPACE,
    NO_WEIGHTS,
    PINNED,
    V2,
    single,
    to,
)
from tests.live.traps.plot import one

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

TOTAL_WEIGHT = "Weighted Destinations require a total weight"


# ---------------------------------------------------------------- 3: Accepted is not applied


async def test_3_all_weights_zero_is_accepted_and_the_old_routes_stay(plot):
    await plot.serve(PINNED)

    await plot.serve(NO_WEIGHTS)

    status = await plot.status("Accepted")
    [below] = status["subresourceStatuses"].values()
    assert (below["state"], TOTAL_WEIGHT in below["reason"]) == ("Rejected", True)
    assert set(await plot.asks(10)) == {"v1"}


async def test_3_such_a_route_is_not_touched_and_the_sentence_says_why(plot):
    await plot.serve(NO_WEIGHTS)

    owned = (await plot.read()).owned

    assert (
        owned.why == "the route's weights sum to 0: the gateway refuses that and keeps old routes"
    )
    assert owned.identifiable, "an abort may pin over it"


async def test_3_the_daemon_writes_no_total_of_zero(plot):
    await plot.serve(PINNED)

    for weight in (0, 1, 100):
        obj = await plot.write(Weighted("v1", "v2", weight))
        members = obj["spec"]["virtualHost"]["routes"][1]["routeAction"]["multi"]["destinations"]
        assert sum(it["weight"] for it in members) == 100


async def test_3_another_teams_refused_route_freezes_our_accepted_one(plot):
    await plot.serve(PINNED)
    await plot.neighbour().serve(NO_WEIGHTS)

    await plot.serve(single(V2))

    await plot.status("Accepted")
    assert set(await plot.asks(10)) == {"v1"}


async def test_3_a_new_host_is_not_found_meanwhile(plot):
    await plot.neighbour().serve(NO_WEIGHTS)

    await plot.serve(PINNED)

    assert await plot.ask() == "404"


async def test_3_the_daemon_quotes_whose_route_froze_the_listener(plot):
    await plot.serve(PINNED)
    theirs = plot.neighbour()
    await theirs.serve(NO_WEIGHTS)
    await plot.serve(single(V2))
    await plot.status("Accepted")

    seen = await plot.read()

    assert seen.problems == ()
    said = one(seen.warnings, "is Rejected:", "this may be stale; the data plane decides")
    assert f"gloo-system_{theirs.name}-route-0" in said
    assert TOTAL_WEIGHT in seen.gateway_says


async def test_3_what_waited_goes_live_when_they_mend_theirs(plot):
    await plot.serve(PINNED)
    theirs = plot.neighbour()
    await theirs.serve(NO_WEIGHTS)
    await plot.serve(single(V2))

    await theirs.serve(PINNED)

    assert set(await plot.asks(10)) == {"v2"}


async def test_3_accepted_after_accepted_is_no_write(plot):
    await plot.serve(PINNED)
    await plot.status("Accepted")
    before = await generation(plot)

    await plot.serve(single(V2))
    later = plot.neighbour()
    await later.serve(PINNED)
    await later.status("Accepted")

    # Statuses are written in turn, so ours would have been by now, and each write counts.
    assert await generation(plot) == before + 1


async def generation(plot):
    return (await plot.world.get(VIRTUAL_SERVICES, plot.name, NAMESPACE))["metadata"]["generation"]


async def test_3_a_status_goes_stale_and_the_daemon_only_warns_of_it(plot):
    name = await plot.upstream(subsetSpec=None)
    plot.changes = {"route": {"gloo": {"upstream": f"gloo-system/{name}"}}}
    await plot.serve(single(to("v1", name)))
    await plot.upstream()
    await plot.answers("v1")
    status = await plot.status("Accepted")
    [below] = status["subresourceStatuses"].values()
    assert below["state"] == "Warning", "though every route serves"

    seen = await plot.read()

    assert seen.problems == ()
    one(seen.warnings, "is Warning:", "this may be stale; the data plane decides")


async def test_3_a_stale_warning_does_not_keep_a_split_from_being_proved(plot):
    name = await plot.upstream(subsetSpec=None)
    plot.changes = {"route": {"gloo": {"upstream": f"gloo-system/{name}"}}}
    await plot.serve(single(to("v1", name)))
    await plot.upstream()
    await plot.answers("v1")

    await plot.write(Pinned("v1"))

    assert (await plot.proof()).confirmed_at is not None


async def test_3_a_stale_accepted_does_not_prove_one(plot):
    await plot.serve(PINNED)
    await plot.status("Accepted")
    plot.world.gateway.freeze()

    await plot.write(Pinned("v1"))
    async with plot.proving() as proving:
        said = await proving.told("without our headers")

    assert said.startswith("0 of 2 proxies shown to serve decision 1")
    await plot.status("Accepted")


# ---------------------------------------------------------------- 4: Rejected freezes the host, then loses it


async def test_4_a_rejected_route_freezes_its_host_against_every_later_change(plot):
    await plot.serve(PINNED)

    await plot.serve(single(V2), BAD_REGEX)

    assert "invalid regex" in (await plot.status("Rejected"))["reason"]
    assert set(await plot.asks(10)) == {"v1"}


async def test_4_the_daemon_starts_nothing_on_a_rejected_host(plot):
    await plot.serve(PINNED)
    await plot.serve(PINNED, BAD_REGEX)
    await plot.status("Rejected")

    one((await plot.read()).problems, "Gloo says Rejected: 1 error occurred:", "invalid regex")


async def test_4_not_even_a_rollback_takes_effect_and_the_prover_says_so(plot):
    await plot.serve(single(V2))
    await plot.serve(single(V2), BAD_REGEX)

    await plot.write(Pinned("v1"), GuideKind.WITNESS)
    async with plot.proving(GuideKind.WITNESS) as proving:
        said = await proving.told("answered 200 without our headers")

    assert said.startswith("0 of 2 proxies shown to serve decision 1")
    assert "invalid regex" in (await plot.read()).gateway_says


async def test_4_a_restart_of_the_control_plane_loses_the_host(plot):
    await plot.serve(PINNED)
    await plot.serve(PINNED, BAD_REGEX)

    plot.world.gateway.restart()
    await plot.world.gateway.settled()

    assert await plot.ask() == "404"


async def test_4_the_prover_quotes_the_404_of_a_lost_host(plot):
    await plot.serve(PINNED)
    await plot.serve(PINNED, BAD_REGEX)
    plot.world.gateway.restart()

    await plot.write(Pinned("v1"), GuideKind.WITNESS)
    async with plot.proving(GuideKind.WITNESS) as proving:
        said = await proving.told("answered 404 without our headers (server: envoy)")

    assert said.startswith("0 of 2 proxies")


async def test_4_other_hosts_go_on(plot):
    await plot.serve(PINNED, BAD_REGEX)
    other = plot.neighbour()
    await other.serve(PINNED)

    await other.write(Pinned("v1"))

    assert (await other.proof()).confirmed_at is not None


async def test_4_the_next_good_write_is_accepted_and_live(plot):
    await plot.serve(PINNED)
    await plot.serve(PINNED, BAD_REGEX)
    await plot.status("Rejected")

    await plot.serve(single(V2))

    await plot.status("Accepted")
    assert set(await plot.asks(10)) == {"v2"}


# ---------------------------------------------------------------- 9: one domain twice


async def test_9_one_domain_in_two_virtual_services_rejects_both_and_keeps_the_old_routes(plot):
    await plot.serve(PINNED)
    twin = plot.neighbour()

    await twin.serve(single(V2), domains=[plot.host])

    for it in (plot, twin):
        assert "domain conflict" in (await it.status("Rejected"))["reason"]
    assert set(await plot.asks(10)) == {"v1"}


async def test_9_the_daemon_starts_nothing_while_its_domain_is_there_twice(plot):
    await plot.serve(PINNED)
    twin = plot.neighbour()
    await twin.serve(PINNED, domains=[plot.host])
    await plot.status("Rejected")

    said = one((await plot.read()).problems, "Gloo says Rejected:", "domain conflict")

    assert f"gloo-system.{twin.name}" in said


async def test_9_a_conflict_of_two_other_teams_freezes_us_without_a_word_and_is_not_proved(plot):
    await plot.serve(PINNED)
    await plot.write(Pinned("v1"))
    await plot.proof()
    one_team, other_team = plot.neighbour(), plot.neighbour()
    await one_team.serve(PINNED)
    await other_team.serve(PINNED, domains=[one_team.host])

    await plot.write(Weighted("v1", "v2", 50))
    async with plot.proving() as proving:
        said = await proving.told("with decision 1")

    assert said.startswith("0 of 2 proxies shown to serve decision 2")
    await plot.status("Accepted")


# ---------------------------------------------------------------- 9: delegates that are not there


async def test_9_a_delegate_to_a_missing_table_is_a_warning_and_the_route_is_skipped(plot):
    ref = {"name": "nope", "namespace": NAMESPACE}
    lost = {"matchers": [{"prefix": "/lost"}], "delegateAction": {"ref": ref}}
    await plot.serve(lost, PINNED)

    assert "nope" in (await plot.status("Warning"))["reason"]
    assert (await plot.ask("/lost"), await plot.ask("/")) == ("v1", "v1")


async def test_5_a_warning_is_a_refusal_for_the_daemon(plot):
    ref = {"name": "nope", "namespace": NAMESPACE}
    lost = {"matchers": [{"prefix": "/lost"}], "delegateAction": {"ref": ref}}
    await plot.serve(lost, PINNED)
    await plot.status("Warning")

    one((await plot.read()).problems, "Gloo says Warning:", "nope")


async def test_5_a_subset_on_an_upstream_without_subsets_is_a_refusal_though_accepted(plot):
    name = await plot.upstream(subsetSpec=None)
    plot.changes = {"route": {"gloo": {"upstream": f"gloo-system/{name}"}}}
    await plot.serve(single(to("v1", name)))

    seen = await plot.read()

    assert any("no subset selector" in it for it in seen.problems)


# ---------------------------------------------------------------- 6: no webhook protects


async def test_6_the_api_server_takes_what_the_gateway_then_rejects(plot):
    await plot.serve(PINNED)

    taken = await plot.serve(BAD_REGEX)

    assert taken["spec"]["virtualHost"]["routes"] == [BAD_REGEX]
    await plot.status("Rejected")


async def test_6_a_dry_run_does_not_tell_it_either(plot):
    await plot.serve(PINNED)
    patch = encode([replace("/spec/virtualHost/routes/0", BAD_REGEX)])

    answer = await plot.cluster.json_patch(
        VIRTUAL_SERVICES, NAMESPACE, plot.name, patch, dry_run=True
    )

    assert answer["spec"]["virtualHost"]["routes"] == [BAD_REGEX]


# ---------------------------------------------------------------- spellings of a status


SPELLINGS = {
    "a word in a map, as today": {"statuses": {NAMESPACE: {"state": "Rejected", "reason": "why"}}},
    "a number in a map, as 1.9 to 1.12": {"statuses": {NAMESPACE: {"state": 2, "reason": "why"}}},
    "a flat number, as before": {"state": 2, "reason": "why"},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_every_spelling_of_rejected_is_understood(plot, spelling):
    await plot.serve(PINNED)
    await plot.status("Accepted")
    plot.world.api.faults.answer(
        503, times=None, verb="patch", name=plot.name, agent=plot.world.client.manager
    )  # the control plane of today's spelling must not mend it

    change = {"status": {"statuses": None, **SPELLINGS[spelling]}}
    await plot.people.merge_patch(VIRTUAL_SERVICES, NAMESPACE, plot.name, change)

    one((await plot.read()).problems, "Gloo says Rejected: why")


async def test_no_status_at_all_is_no_refusal_and_no_proof(plot):
    plot.world.gateway.freeze()
    await plot.serve(PINNED)
    await plot.write(Pinned("v1"))

    async with plot.proving() as proving:
        await proving.told("answered 404 without our headers")

    assert not [it for it in (await plot.read()).problems if "Gloo says" in it]
