"""What preflight refuses and what it warns of, each with cause and fix."""

import pytest

from daemon.kube.objects import ROUTETABLES, VIRTUALSERVICES
from daemon.routers.base import RouteObject
from tests.spec.routers.routes import (
    ROLLOUT,
    ROUTER,
    SERVICE_AT,
    UPSTREAM_AT,
    a_rollout,
    beside,
    open_route,
    pinned,
    read,
    service,
    single,
    to,
    upstream,
    virtual_service,
)


def test_the_articles_set_up_with_its_port_put_right_has_nothing_to_say():
    seen = read(pinned(), others=beside())

    assert (seen.problems, seen.warnings) == ((), ())


def test_without_being_asked_preflight_is_silent():
    assert read(pinned(), open_route(name="x"), others=None).problems == ()


def test_the_object_with_the_weights_is_the_policys():
    table = a_rollout(gloo={"virtualService": None, "routeTable": "team/echo"})

    assert ROUTER.address(ROLLOUT) == RouteObject(VIRTUALSERVICES, "gloo-system", "echo")
    assert ROUTER.address(table) == RouteObject(ROUTETABLES, "team", "echo")


def test_one_pod_for_a_whole_version_is_warned_of():
    subsets = {"selectors": [{"keys": ["version"], "singleHostPerSubset": True}]}

    seen = read(pinned(), others=beside(upstream(subsetSpec=subsets | {"fallbackPolicy": 2})))

    assert seen.warnings == (
        "Upstream gloo-system/echo has singleHostPerSubset: a version is served by one pod only",
    )


def test_the_service_is_asked_for_once_the_upstream_names_it():
    assert ROUTER.supporting(ROLLOUT) == (UPSTREAM_AT,)
    assert ROUTER.supporting(ROLLOUT, {UPSTREAM_AT: upstream()}) == (UPSTREAM_AT, SERVICE_AT)
    assert ROUTER.supporting(ROLLOUT, {UPSTREAM_AT: None}) == (UPSTREAM_AT,)


def test_the_articles_port_is_refused_with_cause_and_fix():
    seen = read(pinned(), others=beside(upstream(servicePort=8080)))

    (problem,) = seen.problems
    assert problem == (
        "Upstream gloo-system/echo says servicePort 8080, but Service echo/echo has port 80"
        " (targetPort 8080): Gloo 1.12 and later find no endpoints and answer 503;"
        " set servicePort: 80"
    )


BY_UPSTREAM = [
    ("no subset selector", {"subsetSpec": {"fallbackPolicy": "NO_FALLBACK"}}, "no subset selector"),
    (
        "a selector of another key",
        {"subsetSpec": {"fallbackPolicy": 2, "selectors": [{"keys": ["release"]}]}},
        "add spec.kube.subsetSpec.selectors: [{keys: [version]}]",
    ),
    (
        "a selector of two keys",
        {"subsetSpec": {"fallbackPolicy": 2, "selectors": [{"keys": ["version", "az"]}]}},
        "exactly the key version",
    ),
    ("a port the Service lacks", {"servicePort": 9}, "the ports of Service echo/echo are: 80;"),
    ("no port", {"servicePort": None}, "says no servicePort"),
    ("a selector of one version", {"selector": {"version": "v1"}}, "has version in its selector"),
    ("no Service", {"serviceName": None}, "names no Service"),
]


@pytest.mark.parametrize(
    ("kube", "problem"), [row[1:] for row in BY_UPSTREAM], ids=[row[0] for row in BY_UPSTREAM]
)
def test_an_upstream_is_refused_for(kube, problem):
    seen = read(pinned(), others=beside(upstream(**kube)))

    assert len(seen.problems) == 1
    assert problem in seen.problems[0]


def test_a_missing_upstream_is_refused():
    seen = read(pinned(), others={UPSTREAM_AT: None})

    assert seen.problems == (
        "Upstream gloo-system/echo does not exist: create it, or correct route.gloo.upstream",
    )


def test_a_static_upstream_is_refused():
    static = {"spec": {"static": {"hosts": []}}}

    (problem,) = read(pinned(), others={UPSTREAM_AT: static}).problems

    assert "is no kube Upstream" in problem


BY_SERVICE = [
    ("it selects one version", {"selector": {"app": "echo", "version": "v1"}}, "take version out"),
    ("it selects another application", {"selector": {"app": "other"}}, "they mean different pods"),
]


@pytest.mark.parametrize(
    ("changes", "problem"), [row[1:] for row in BY_SERVICE], ids=[row[0] for row in BY_SERVICE]
)
def test_a_service_is_refused_if(changes, problem):
    (found,) = read(pinned(), others=beside(the_service=service(**changes))).problems

    assert problem in found


def test_a_missing_service_is_refused():
    others = {UPSTREAM_AT: upstream(), SERVICE_AT: None}

    (problem,) = read(pinned(), others=others).problems

    assert problem == "Service echo/echo, which Upstream gloo-system/echo names, does not exist"


def test_a_service_that_was_not_read_is_a_warning():
    seen = read(pinned(), others={UPSTREAM_AT: upstream()})

    assert seen.problems == ()
    assert seen.warnings == (
        "Service echo/echo was not read, so the Upstream's port is not checked",
    )


FALLBACKS = [
    ("the default is any pod", {}, "any"),
    ("ANY_ENDPOINT", {"fallbackPolicy": "ANY_ENDPOINT"}, "any"),
    ("its number", {"fallbackPolicy": 0}, "any"),
    ("NO_FALLBACK", {"fallbackPolicy": "NO_FALLBACK"}, "none"),
    ("its number, too", {"fallbackPolicy": 2}, "none"),
    (
        "a default subset",
        {"fallbackPolicy": "DEFAULT_SUBSET", "defaultSubset": {"values": {"version": "v1"}}},
        "v1",
    ),
    ("a default subset without values", {"fallbackPolicy": "DEFAULT_SUBSET"}, "any"),
    ("a policy that is none", {"fallbackPolicy": ["x"]}, "any"),
]


@pytest.mark.parametrize(
    ("spec", "expected"), [row[1:] for row in FALLBACKS], ids=[row[0] for row in FALLBACKS]
)
def test_an_empty_subset_leads_to(spec, expected):
    subsets = {"selectors": [{"keys": ["version"]}]} | spec

    seen = read(pinned(), others=beside(upstream(subsetSpec=subsets)))

    assert seen.fallback_to == expected
    assert len(seen.warnings) == (expected != "none")


def test_a_fallback_is_refused_where_the_policy_says_so():
    rollout = a_rollout(gloo={"requireNoFallback": True})
    subsets = {"selectors": [{"keys": ["version"]}]}

    seen = read(pinned(), rollout=rollout, others=beside(upstream(subsetSpec=subsets)))

    (problem,) = seen.problems
    assert problem.endswith("the policy demands fallbackPolicy: NO_FALLBACK")


def test_another_open_route_to_the_upstream_is_refused_unless_allowed():
    gloo = {"routeName": "main"}
    routes = [pinned(name="main"), open_route(name="debug")]

    refused = read(*routes, rollout=a_rollout(gloo=gloo), others=beside())
    allowed = read(*routes, rollout=a_rollout(gloo=gloo, allowOpenRoutes=True), others=beside())

    assert "route 1 (debug) also goes to Upstream gloo-system/echo" in refused.problems[0]
    assert allowed.problems == ()
    assert "route 1 (debug) also goes to" in allowed.warnings[0]


def test_another_pinned_route_to_the_upstream_is_a_warning():
    rollout = a_rollout(gloo={"routeName": "main"})

    seen = read(pinned(name="main"), pinned(name="b"), rollout=rollout, others=beside())

    assert seen.problems == ()
    assert "is not moved" in seen.warnings[0]


def test_another_route_to_a_group_is_a_warning_as_nobody_looks_into_groups():
    group = {"upstreamGroup": {"name": "both"}}

    seen = read(
        pinned(),
        {"name": "b", "matchers": [{"prefix": "/b"}], "routeAction": group},
        others=beside(),
    )

    assert seen.problems == ()
    assert seen.warnings[0].startswith("route 1 (b) goes to UpstreamGroup gloo-system/both, which")


def shadowing(name):
    return {"shadowing": {"upstream": {"name": name, "namespace": "gloo-system"}}}


def test_a_shadow_in_the_canarys_own_cluster_is_refused():
    seen = read(pinned(options=shadowing("echo")), others=beside())

    assert "shadow to an Upstream of its own" in seen.problems[0]


def test_a_shadow_elsewhere_is_fine():
    assert read(pinned(options=shadowing("shadow")), others=beside()).problems == ()


WARNED = [
    ("retries of the route", {"options": {"retries": {"numRetries": 3}}}, "retries"),
    (
        "a hash policy",
        {"options": {"lbHash": {"hashPolicies": []}}},
        "one user meets both versions",
    ),
    ("options from elsewhere", {"optionsConfigRefs": {"delegateOptions": []}}, "RouteOptions"),
]


@pytest.mark.parametrize(
    ("more", "warning"), [row[1:] for row in WARNED], ids=[row[0] for row in WARNED]
)
def test_an_owned_route_is_warned_of_for(more, warning):
    seen = read(pinned(**more), others=beside())

    assert seen.problems == ()
    assert len(seen.warnings) == 1
    assert warning in seen.warnings[0]


def test_retries_of_the_whole_host_are_warned_of():
    obj = virtual_service(pinned())
    obj["spec"]["virtualHost"]["options"] = {"retries": {}}

    assert "retries" in ROUTER.read(ROLLOUT, obj, beside()).warnings[0]


def test_istios_certificates_are_a_hint_that_versions_cannot_be_told_apart():
    the_upstream = upstream()
    the_upstream["spec"]["sslConfig"] = {"sds": {}}

    (warning,) = read(pinned(), others=beside(the_upstream)).warnings

    assert "ENABLE_ISTIO_SIDECAR_ON_GATEWAY" in warning


@pytest.mark.parametrize(
    ("place", "mark", "owner"),
    [
        ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD"),
        ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux"),
        ("annotations", "meta.helm.sh/release-name", "Helm"),
    ],
)
def test_an_object_that_git_owns_is_a_warning(place, mark, owner):
    obj = virtual_service(pinned())
    obj["metadata"][place] = {mark: "x"}

    (warning,) = ROUTER.read(ROLLOUT, obj, beside()).warnings

    assert warning.startswith(f"the route object is managed by {owner} ({mark})")


def test_a_rejected_route_is_refused():
    seen = read(pinned(), others=beside(), status={"state": "Rejected", "reason": "why"})

    assert seen.problems == ("Gloo says Rejected: why",)


def test_a_frozen_listener_is_a_warning():
    status = {"state": 1, "subresourceStatuses": {"proxy": {"state": 2, "reason": "why"}}}

    seen = read(pinned(), others=beside(), status=status)

    assert seen.problems == ()
    assert "the gateway's proxy is Rejected: why" in seen.warnings[0]


def test_a_route_that_cannot_be_told_still_has_its_upstream_checked():
    seen = read(single(to("x", {"name": "y"})), others={UPSTREAM_AT: None})

    assert len(seen.problems) == 1
