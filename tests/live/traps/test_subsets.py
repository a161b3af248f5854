"""Traps of subsets and Upstreams: who answers when a version has no pods, or cannot be told.

Each test shows the trap through Envoy and then what the daemon says or does about it.
"""

import pytest

from daemon.core.model import GuideKind, Open, Pinned, Unclear, Weighted
from tests.live.traps.objects import (
    NOBODY,
    OPEN,
    PINNED,
    V1,
    V2,
    share,
    single,
    to,
)
from tests.live.traps.plot import one, shown

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="session")]

CLOSED = {"selectors": [{"keys": ["version"]}], "fallbackPolicy": "NO_FALLBACK"}


# ---------------------------------------------------------------- 1: subset routing fails open


async def test_1_a_version_without_pods_is_answered_by_any_pod_with_200(plot):
    await plot.serve(single(NOBODY))

    answers = await plot.asks(30)

    assert set(answers) == {"v1", "v2"}
    assert (await plot.status("Accepted")).get("reason") is None


async def test_1_the_smoke_test_fails_though_every_answer_is_a_200(plot):
    await plot.serve(PINNED)
    await plot.write(Pinned("v1"), canary="v9")
    await plot.proof()

    # v1 and v2 take turns; either way it was not v9 that answered.
    result = await plot.smoke(canary="v9")

    assert not result.passed
    assert result.message in (
        "GET /: answered by the old version v1, not by v9",
        "GET /: answered by v2, not by v9",
    )


async def test_1_the_gateway_names_the_serving_pods_version_under_fallback_too(plot):
    await plot.serve(PINNED)
    await plot.write(Pinned("v1"), canary="v9")
    await plot.proof()

    answers = [await plot.get(stage="canary") for _ in range(20)]

    assert {shown(it)[1] for it in answers} == {"v1", "v2"}
    assert all(it.headers["x-echo-version"] == shown(it)[1] for it in answers)


async def test_1_a_dead_stables_share_goes_to_the_canary(plot):
    await plot.serve(share((NOBODY, 100), (V2, 0)))

    assert (await plot.asks(30))["v2"] > 0


async def test_1_the_default_fallback_is_a_warning(plot):
    await plot.serve(PINNED)

    seen = await plot.read()

    assert seen.problems == ()
    assert seen.fallback_to == "any"
    one(seen.warnings, "a version without ready pods is served by any pod, the other version's too")


async def test_1_a_policy_may_refuse_the_default_fallback(plot):
    plot.changes = {"route": {"gloo": {"requireNoFallback": True}}}
    await plot.serve(PINNED)

    one((await plot.read()).problems, "the policy demands fallbackPolicy: NO_FALLBACK")


async def test_1_without_fallback_it_is_503_and_nothing_is_to_be_said(plot):
    name = await plot.upstream(subsetSpec=CLOSED)
    plot.changes = {"route": {"gloo": {"upstream": f"gloo-system/{name}"}}}
    await plot.serve(single(to("v9", name)))
    await plot.answers("503")

    assert set(await plot.asks(10)) == {"503"}
    await plot.serve(single(to("v1", name)))
    seen = await plot.read()
    assert (seen.problems, seen.warnings, seen.fallback_to) == ((), (), "none")


async def test_1_without_fallback_the_smoke_test_says_that_no_pod_is_ready(plot):
    name = await plot.upstream(subsetSpec=CLOSED)
    plot.changes = {"route": {"gloo": {"upstream": f"gloo-system/{name}"}}}
    await plot.serve(single(to("v1", name)))
    await plot.answers("v1")
    await plot.write(Pinned("v1"), canary="v9")
    await plot.proof()

    result = await plot.smoke(canary="v9")

    assert not result.passed
    assert "GET /: the gateway itself answered 503: it has no ready pod of v9" in result.message
    number, version = shown(await plot.get(stage="canary"))
    assert (number, version in ("", "-")) == ("1", True), "it proves the split, and nobody served"


async def test_1_the_fallback_counter_counts_open_routes_too_so_it_proves_nothing(plot):
    name = await plot.upstream()

    await plot.serve(single(to("v1", name)))
    await plot.answers("v1")
    before = await fallbacks(plot, name)
    await plot.asks(20)
    pinned = await fallbacks(plot, name) - before
    await plot.serve(single(to(None, name)))
    before = await fallbacks(plot, name)
    await plot.asks(20)
    opened = await fallbacks(plot, name) - before

    assert (pinned, opened) == (0, 20)


async def test_1_the_proof_does_not_look_at_the_fallback_counter(plot):
    await plot.serve(PINNED)
    other = plot.neighbour()
    await other.serve(OPEN)
    await plot.write(Pinned("v1"))
    await other.asks(5)

    assert (await plot.proof()).confirmed_at is not None


async def fallbacks(plot, upstream):
    counter = f"cluster.{upstream}_gloo-system.lb_subsets_fallback"
    found = await plot.world.gateway.envoys[0].admin.stats(f"{counter}$")
    return found.get(counter, 0)


# ---------------------------------------------------------------- 2: the port rule


async def test_2_the_articles_port_gives_503_though_the_upstream_is_accepted(plot):
    name = await plot.upstream(servicePort=8080)
    await plot.serve(single(to("v1", name)))

    assert set(await plot.asks(10)) == {"503"}
    await plot.status("Accepted")


async def test_2_the_articles_port_is_one_sentence_of_preflight(plot):
    # The pods' port is the article's 8080 in the Service of the manifests; here it may be another.
    name = await plot.upstream(servicePort=plot.world.pod_port)
    plot.changes = {"route": {"gloo": {"upstream": f"gloo-system/{name}"}}}
    await plot.serve(single(to("v1", name)))

    port = plot.world.pod_port
    [problem] = (await plot.read()).problems
    assert problem == (
        f"Upstream gloo-system/{name} says servicePort {port}, but Service echo/echo has port 80"
        f" (targetPort {port}): Gloo 1.12 and later find no endpoints and answer 503;"
        " set servicePort: 80"
    )


# ---------------------------------------------------------------- 5 and 9: subsets that mean nothing


async def test_5_a_subset_of_an_upstream_without_subsets_is_served_by_every_pod(plot):
    name = await plot.upstream(subsetSpec=None)
    plot.changes = {"route": {"gloo": {"upstream": f"gloo-system/{name}"}}}
    await plot.serve(single(to("v1", name)))
    await plot.world.until(lambda: answered(plot, "v2"), "v2 to answer for v1")

    one((await plot.read()).problems, "no subset selector with exactly the key version", "any pod")


async def test_9_a_wrong_subset_key_is_accepted_and_served_by_both_versions(plot):
    await plot.serve(single(to(release="v2")))

    assert set(await plot.asks(30)) == {"v1", "v2"}
    status = await plot.status("Accepted")
    [below] = status["subresourceStatuses"].values()
    assert below["state"] == "Rejected"
    assert "none of the subsets in the upstream match it" in below["reason"]


async def test_9_a_route_with_a_wrong_subset_key_is_not_adopted(plot):
    await plot.serve(single(to(release="v2")))

    owned = (await plot.read()).owned

    assert isinstance(owned, Unclear)
    assert (
        owned.why
        == "a subset of the route is chosen by release; the policy's versionLabel is version"
    )


async def test_9_an_upstream_whose_selectors_lack_the_key_is_refused(plot):
    name = await plot.upstream(subsetSpec={"selectors": [{"keys": ["version", "release"]}]})
    plot.changes = {"route": {"gloo": {"upstream": f"gloo-system/{name}"}}}
    await plot.serve(single(to("v1", name)))
    await plot.world.until(lambda: answered(plot, "v2"), "v2 to answer for v1")

    one((await plot.read()).problems, "add spec.kube.subsetSpec.selectors: [{keys: [version]}]")


async def test_9_an_upstream_that_gets_its_subsets_later_is_followed_without_a_route_change(plot):
    name = await plot.upstream(subsetSpec=None)
    plot.changes = {"route": {"gloo": {"upstream": f"gloo-system/{name}"}}}
    await plot.serve(single(to("v1", name)))
    await plot.world.until(lambda: answered(plot, "v2"), "v2 to answer for v1")

    await plot.upstream()
    await plot.world.until(lambda: only(plot, "v1"), "v1 alone to answer")

    assert (await plot.read()).problems == ()


# ---------------------------------------------------------------- 5 and 9: Upstreams


async def test_5_a_missing_upstream_is_a_warning_of_gloo_and_503(plot):
    plot.changes = {"route": {"gloo": {"upstream": "gloo-system/nope"}}}
    await plot.serve(single(to("v1", "nope")))

    assert await plot.ask() == "503"
    await plot.status("Warning")
    problems = (await plot.read()).problems
    one(problems, "Gloo says Warning:")
    one(problems, "Upstream gloo-system/nope does not exist")


async def test_9_a_missing_upstream_hurts_its_own_route_alone(plot):
    await plot.serve(single(to("v1", "nope"), matchers=[{"prefix": "/nope"}]), PINNED)

    assert (await plot.ask("/nope"), await plot.ask("/")) == ("503", "v1")


async def test_9_a_new_upstream_answers_503_until_its_endpoints_come(plot):
    name = await plot.upstream(selector={"app": "later"})
    plot.changes = {
        "route": {"gloo": {"upstream": f"gloo-system/{name}"}},
        "smoke": ["GET / -> 200"],
    }
    await plot.serve(single(to("v1", name)))
    await plot.answers("503")
    await plot.write(Pinned("v1"))
    # The proof is of the split alone: a 503 that carries our number runs our routes.
    assert (await plot.proof()).confirmed_at is not None

    early = await plot.smoke()
    await plot.upstream()
    await plot.answers("v2", stage="canary")
    late = await plot.smoke()

    assert not early.passed
    assert "the gateway itself answered 503: it has no ready pod of v2" in early.message
    assert late.passed


async def test_9_an_upstream_per_version_fails_closed_and_is_no_subset_mode(plot):
    name = await plot.upstream(selector={"app": "echo", "version": "v9"}, subsetSpec=None)
    plot.changes = {"route": {"gloo": {"upstream": f"gloo-system/{name}"}}}
    await plot.serve(single(to(None, name)))

    assert set(await plot.asks(10)) == {"503"}
    one((await plot.read()).problems, "has version in its selector, so it never holds the other")


async def test_9_an_upstream_group_is_refused_by_name(plot):
    ref = {"upstreamGroup": {"name": "both", "namespace": "gloo-system"}}
    await plot.serve({"matchers": [{"prefix": "/"}], "routeAction": ref})

    owned = (await plot.read()).owned

    assert isinstance(owned, Unclear)
    assert "goes to UpstreamGroup gloo-system/both" in owned.why


# ---------------------------------------------------------------- open routes


async def test_an_open_route_gives_traffic_to_whatever_is_ready(plot):
    await plot.serve(OPEN)

    assert set(await plot.asks(30)) == {"v1", "v2"}
    assert (await plot.read()).owned == Open()


async def test_the_pin_of_adoption_ends_that(plot):
    await plot.serve(OPEN)

    await plot.write(Pinned("v1"), GuideKind.WITNESS)
    await plot.proof(GuideKind.WITNESS)

    assert set(await plot.asks(20)) == {"v1"}


async def test_another_open_route_to_the_upstream_is_refused(plot):
    await plot.serve(
        single(V1, name="main"),
        single(to(), name="debug", matchers=[{"prefix": "/debug"}]),
    )
    plot.changes = {"route": {"gloo": {"routeName": "main"}}}

    one((await plot.read()).problems, "route 1 (debug) also goes to", "the canary's too")


async def test_one_destination_without_a_subset_is_not_adopted(plot):
    await plot.serve(share((V1, 50), (to(), 50)))

    assert set(await plot.asks(40)) == {"v1", "v2"}
    owned = (await plot.read()).owned
    assert isinstance(owned, Unclear)
    assert "names no subset, so every ready pod takes its share" in owned.why


async def test_a_weighted_split_by_hand_is_told_as_it_is(plot):
    await plot.serve(share((V1, 75), (V2, 25)))

    assert (await plot.read()).owned == Weighted("v1", "v2", 25)


async def answered(plot, version):
    return await plot.ask() == version


async def only(plot, version):
    return set(await plot.asks(10)) == {version}
