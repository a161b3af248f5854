"""Options of routes and hosts, seen from outside."""

import pytest

from daemon.sandbox.gateway.verdicts import State
from tests.contract.gateway.build import (
    ECHO,
    SERVING_VERSION_JSON,
    V1,
    V2,
    answering,
    at,
    host_of,
    to,
    upstream,
    virtual_service,
)
from tests.contract.gateway.world import Answer, World, meta

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOST = host_of("shop")


async def ask(world: World, *routes, path: str = "/", headers=None, **host_options):
    more = {"options": host_options} if host_options else {}
    await world.apply(ECHO, virtual_service("shop", *routes, **more))
    [answer] = await world.ask(HOST, path, headers=headers)
    return answer


def last_seen(world: World):
    return next(pod.seen[-1] for pod in world.pods if pod.seen)


async def test_the_json_form_of_the_identity_formatter_works_too(world: World):
    value = f"{SERVING_VERSION_JSON} %UPSTREAM_CLUSTER%"

    answer = await ask(world, to(V2, options=answering(value)))

    assert answer.served_by == "v2 echo_gloo-system"


async def test_header_manipulation_of_a_host_reaches_every_route(world: World):
    answer = await ask(world, to(V1), **answering("the host"))

    assert answer.served_by == "the host"


async def test_request_headers_are_added_and_removed(world: World):
    manipulation = {
        "requestHeadersToAdd": [{"header": {"key": "x-new", "value": "1"}}],
        "requestHeadersToRemove": ["x-old"],
    }

    await ask(world, to(V1, options={"headerManipulation": manipulation}), headers={"x-old": "1"})

    _, _, headers = last_seen(world)
    assert headers.get("x-new") == "1"
    assert "x-old" not in headers


async def test_prefix_rewrite_replaces_the_matched_prefix(world: World):
    route = to(V1, matchers=[{"prefix": "/old"}], options={"prefixRewrite": "/new"})

    await ask(world, route, path="/old/x?y=1")

    assert last_seen(world)[1] == "/new/x?y=1"


async def test_regex_rewrite_substitutes(world: World):
    rewrite = {"pattern": {"regex": "^/a/(.*)$"}, "substitution": "/b/\\1"}

    await ask(world, to(V1, options={"regexRewrite": rewrite}), path="/a/x")

    assert last_seen(world)[1] == "/b/x"


async def test_host_rewrite_changes_what_the_pod_sees(world: World):
    await ask(world, to(V1, options={"hostRewrite": "inside.example.com"}))

    assert last_seen(world)[2]["Host"] == "inside.example.com"


async def test_retries_hide_a_failure(world: World):
    for pod in world.pods:
        pod.failures = 1

    answer = await ask(world, to(V1, options={"retries": {"retryOn": "5xx", "numRetries": 2}}))

    assert answer.status == 200


async def test_without_retries_the_failure_is_seen(world: World):
    for pod in world.pods:
        pod.failures = 1

    assert (await ask(world, to(V1))).status == 503


async def test_a_fault_can_be_injected(world: World):
    faults = {"abort": {"percentage": 100, "httpStatus": 418}}

    assert (await ask(world, to(V1, options={"faults": faults}))).status == 418


async def test_shadowing_sends_a_copy_to_another_upstream(world: World):
    await world.apply(upstream("dark", selector={"app": "echo", "version": "v2"}))
    shadow = {"upstream": {"name": "dark", "namespace": "gloo-system"}, "percentage": 100}

    answer = await ask(world, to(V1, options={"shadowing": shadow}), path="/copied")

    assert answer.version == "v1"
    copies = [pod for pod in world.pods if pod.labels["version"] == "v2"]
    deadline = 200
    while not any(pod.seen for pod in copies) and deadline:
        await world.session.get(f"{world.envoy.admin.url}/ready")
        deadline -= 1
    assert [path for pod in copies for _, path, _ in pod.seen] == ["/copied"]


async def test_lb_hash_keeps_one_user_on_one_pod(world: World):
    hashed = upstream("hashed")
    hashed["spec"]["loadBalancerConfig"] = {"ringHash": {}}
    options = {"lbHash": {"hashPolicies": [{"header": "x-user"}]}}
    await world.apply(hashed, virtual_service("shop", to(at("hashed"), options=options)))

    await world.ask(HOST, headers={"x-user": "ada"}, times=20)

    assert sorted(len(pod.seen) for pod in world.pods) == [0, 0, 0, 0, 20]


async def test_a_redirect_names_the_other_place(world: World):
    redirect = {"hostRedirect": "else.example.com", "responseCode": "FOUND"}
    route = {"matchers": [{"prefix": "/go"}], "redirectAction": redirect}

    answer = await ask(world, route, path="/go")

    assert answer == Answer(302, location="http://else.example.com/go")


async def test_a_direct_response_needs_no_upstream(world: World):
    action = {"status": 418, "body": "teapot"}

    answer = await ask(world, {"directResponseAction": action})

    assert answer == Answer(418, body="teapot")


async def test_options_kept_apart_complete_those_of_the_route(world: World):
    apart = {
        "kind": "RouteOption",
        "metadata": meta("apart"),
        "spec": {"options": {"prefixRewrite": "/other", **answering("apart")}},
    }
    await world.apply(apart)
    refs = {"delegateOptions": [{"name": "apart", "namespace": "gloo-system"}]}
    route = to(V1, options={"prefixRewrite": "/own"}, optionsConfigRefs=refs)

    answer = await ask(world, route)

    assert (answer.served_by, last_seen(world)[1]) == ("apart", "/own")


async def test_host_options_kept_apart_are_used(world: World):
    apart = {
        "kind": "VirtualHostOption",
        "metadata": meta("apart"),
        "spec": {"options": answering("apart")},
    }
    refs = {"delegateOptions": [{"name": "apart", "namespace": "gloo-system"}]}
    await world.apply(apart, ECHO, virtual_service("shop", to(V1), optionsConfigRefs=refs))

    [answer] = await world.ask(HOST)

    assert answer.served_by == "apart"


async def test_missing_options_are_a_warning_and_the_route_is_served(world: World):
    refs = {"delegateOptions": [{"name": "gone", "namespace": "gloo-system"}]}

    answer = await ask(world, to(V1, optionsConfigRefs=refs))

    assert answer.version == "v1"
    assert world.verdict("VirtualService", "shop").state is State.WARNING


async def test_an_option_for_forwarding_does_nothing_on_a_redirect(world: World):
    route = {"redirectAction": {"hostRedirect": "else.example.com"}, "options": {"timeout": "1s"}}

    answer = await ask(world, route)

    assert answer.status == 301
    assert "only available for Route Actions" in world.translation.proxy.verdict.reason
