"""What a policy means: defaults, short forms, layers."""

from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import PolicyError
from config.load import load_policy, read_policy
from config.schema import (
    After,
    Analysis,
    Check,
    Expect,
    Gateway,
    GlooRoute,
    Latency,
    Metrics,
    PodsSource,
    PrometheusSource,
    Rollout,
    Route,
    Smoke,
    SmokeRequest,
    Step,
    SuccessRate,
)
from tests.spec.config.policies import ECHO, GOOD, HEAD, POLICIES, echo, without_smoke

MINUTE = timedelta(minutes=1)


def good(name: str) -> dict[str, Rollout]:
    file = POLICIES / "good" / f"{name}.yaml"
    return load_policy(file.read_bytes(), filename=file.name).rollouts


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_good_policy_loads_without_warnings(file: Path):
    assert read_policy(file.read_bytes(), filename=file.name).warnings == ()


def test_the_short_policy_means_all_of_this():
    expected = Rollout(
        name="echo",
        namespace="echo",
        selector={"app": "echo"},
        version_label="version",
        canary_header=("stage", "canary"),
        stable=None,
        route=Route(
            gloo=GlooRoute(virtual_service="gloo-system/echo", upstream="gloo-system/echo")
        ),
        allow_open_routes=False,
        gateway=Gateway(),
        metrics=Metrics(prometheus=PrometheusSource(url="http://prometheus.monitoring:9090")),
        smoke=Smoke(
            requests=(
                SmokeRequest(
                    name="GET /",
                    method="GET",
                    path="/",
                    expect=Expect(status=200, within=timedelta(seconds=5)),
                ),
            ),
            retries=2,
        ),
        steps=(
            Step(weight=5, hold=5 * MINUTE),
            Step(weight=25, hold=5 * MINUTE),
            Step(weight=50, hold=5 * MINUTE),
            Step(weight=100, hold=10 * MINUTE),
        ),
        ramp="steps",
        bake=10 * MINUTE,
        analysis=Analysis(
            interval=timedelta(seconds=5),
            confidence=0.99,
            min_requests=30,
            window=MINUTE,
            on_undecided="advance",
            checks=(
                Check(name="success rate", success_rate=SuccessRate()),
                Check(name="latency", latency=Latency()),
            ),
        ),
        confirm_timeout=timedelta(seconds=30),
        on_unconfirmed="alarm",
        ready_deadline=None,
        capacity="require",
        on_new_version="restart",
        on_drift="pause",
        after=After(drain=timedelta(seconds=30), keep_old=timedelta(hours=1), then="scaleToZero"),
    )

    assert good("short") == {"echo": expected}


def test_without_data_a_rollout_waits_a_quarter_of_an_hour_and_pauses():
    no_data = echo().analysis.on_no_data

    assert (no_data.wait, no_data.then) == (15 * MINUTE, "pause")


@pytest.mark.parametrize(
    ("written", "compares", "limits"),
    [
        pytest.param("{}", True, False, id="nothing"),
        pytest.param("{atLeast: 99%}", False, True, id="a limit"),
        pytest.param("{maxDrop: 0.5pp}", True, False, id="a tolerance"),
        pytest.param("{atLeast: 99%, maxDrop: 0pp}", True, True, id="both"),
    ],
)
def test_of_a_success_rate_what_is_written_is_judged(written, compares, limits):
    (check,) = echo(f"analysis: {{checks: [{{name: a, successRate: {written}}}]}}").analysis.checks

    assert check.success_rate is not None
    assert (check.success_rate.compares, check.success_rate.limits) == (compares, limits)
    assert check.limit_name == ("a limit" if compares and limits else None)


@pytest.mark.parametrize(
    ("written", "compares", "limits"),
    [
        pytest.param("{}", True, False, id="nothing"),
        pytest.param("{maxRatio: 1.5x}", True, False, id="a ratio"),
        pytest.param("{slowerThan: 1s, maxRatio: 1.5x}", True, False, id="a ratio at one bound"),
        pytest.param("{slowerThan: 1s, atMost: 1%}", False, True, id="a limit"),
        pytest.param("{slowerThan: 1s, atMost: 1%, maxRatio: 1x}", True, True, id="both"),
    ],
)
def test_of_a_latency_what_is_written_is_judged(written, compares, limits):
    (check,) = echo(f"analysis: {{checks: [{{name: a, latency: {written}}}]}}").analysis.checks

    assert check.latency is not None
    assert (check.latency.compares, check.latency.limits) == (compares, limits)
    assert check.limit_name == ("a limit" if compares and limits else None)


def test_points_and_ratios_are_numbers():
    checks = "[{name: a, successRate: {maxDrop: 0.5pp}}, {name: b, latency: {maxRatio: 1.5x}}]"

    drop, ratio = echo(f"analysis: {{checks: {checks}}}").analysis.checks

    assert drop.success_rate == SuccessRate(max_drop=0.005)
    assert ratio.latency == Latency(max_ratio=1.5)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["metrics: {envoy: {}}"], id="no analysis"),
        pytest.param(["metrics: {envoy: {}}", "analysis: {minRequests: 9}"], id="no checks"),
    ],
)
def test_where_the_gateway_counts_the_default_compares_failures_alone(lines: list[str]):
    (check,) = echo(*lines).analysis.checks

    assert check == Check(name="success rate", success_rate=SuccessRate())


@pytest.mark.parametrize("name", ["metrics-left-out", "metrics-with-series-only"])
def test_a_policy_that_names_no_source_leaves_the_choice_and_judges_what_every_one_counts(name):
    policy = good(name)["echo"]

    assert policy.metrics.auto
    assert policy.analysis.checks == (Check(name="success rate", success_rate=SuccessRate()),)


def test_a_policy_that_names_no_source_may_judge_durations():
    head = HEAD.replace("metrics: {prometheus: http://prometheus.monitoring:9090}\n", "")

    (check,) = echo("analysis: {checks: [{name: a, latency: {}}]}", head=head).analysis.checks

    assert check.latency == Latency()


@pytest.mark.parametrize("source", ["envoy: {}", "pods: {port: 1}", "prometheus: http://p:9090"])
def test_a_named_source_is_no_choice(source):
    assert not echo(f"metrics: {{{source}}}").metrics.auto


def test_checks_of_a_policy_are_its_own_where_the_gateway_counts():
    checks = "[{name: a, successRate: {atLeast: 99%}}]"

    (check,) = echo("metrics: {envoy: {}}", f"analysis: {{checks: {checks}}}").analysis.checks

    assert check == Check(name="a", success_rate=SuccessRate(at_least=0.99))


@pytest.mark.parametrize(
    ("head", "lines"),
    [
        pytest.param(HEAD, ["ramp: budget"], id="of its own"),
        pytest.param(HEAD + "defaults: {ramp: budget}\n", [], id="of the defaults"),
        pytest.param(
            HEAD + "profiles: {fast: {ramp: budget}}\n", ["profile: fast"], id="of a profile"
        ),
    ],
)
def test_a_ramp_is_by_budget_where_some_layer_says_so(head: str, lines: list[str]):
    assert echo(*lines, head=head).ramp == "budget"


def test_a_ramp_by_budget_needs_no_minimum_in_a_steps_hold():
    text = HEAD + ECHO + "    ramp: budget\n    steps: [{weight: 1, hold: 1s}, 100]\n"

    assert read_policy(text, filename="policy.yaml").warnings == ()


def test_text_and_bytes_are_read_alike():
    text = (POLICIES / "good" / "full.yaml").read_text()

    assert load_policy(text, filename="a") == load_policy(text.encode(), filename="b")


@pytest.mark.parametrize(
    ("line", "weights_and_holds", "bake"),
    [
        pytest.param("steps: [100]", [(100, 10)], 10, id="at once"),
        pytest.param("steps: [10, 100]", [(10, 5), (100, 10)], 10, id="weights only"),
        pytest.param("hold: 1m", [(5, 1), (25, 1), (50, 1), (100, 10)], 10, id="a hold for all"),
        pytest.param("bake: 1m", [(5, 5), (25, 5), (50, 5), (100, 1)], 1, id="a bake"),
        pytest.param(
            "steps: [{weight: 10, hold: 1m}, 20, {weight: 100, bake: 3m}]",
            [(10, 1), (20, 5), (100, 3)],
            3,
            id="each its own",
        ),
    ],
)
def test_steps_have_holds_and_the_last_one_is_the_bake(line, weights_and_holds, bake):
    rollout = echo(line)

    assert [(step.weight, step.hold / MINUTE) for step in rollout.steps] == weights_and_holds
    assert rollout.bake == bake * MINUTE


@pytest.mark.parametrize(
    ("request_form", "expected"),
    [
        pytest.param(
            "POST /a?b=1 -> 201",
            SmokeRequest(
                name="POST /a?b=1", method="POST", path="/a?b=1", expect=Expect(status=201)
            ),
            id="one line",
        ),
        pytest.param(
            "{get: /a}", SmokeRequest(name="GET /a", method="GET", path="/a"), id="only a method"
        ),
        pytest.param(
            "{name: x, put: /a, body: b}",
            SmokeRequest(name="x", method="PUT", path="/a", body="b"),
            id="a body",
        ),
        pytest.param(
            "{name: x, post: /a, json: {a: [1, null, true, 'ü']}}",
            SmokeRequest(
                name="x",
                method="POST",
                path="/a",
                headers={"Content-Type": "application/json"},
                body='{"a":[1,null,true,"ü"]}',
            ),
            id="JSON, which says so",
        ),
        pytest.param(
            "{name: x, post: /a, json: 1, headers: {content-type: text/x}}",
            SmokeRequest(
                name="x", method="POST", path="/a", headers={"content-type": "text/x"}, body="1"
            ),
            id="JSON under another type",
        ),
        pytest.param(
            "{head: /a, name: x, expect: {within: 1s}}",
            SmokeRequest(
                name="x", method="HEAD", path="/a", expect=Expect(within=timedelta(seconds=1))
            ),
            id="an expectation",
        ),
        pytest.param(
            "{get: '/{{version}}', name: x, headers: {a: '{{ target }}'},"
            " expect: {bodyMatches: 'v{{ version }}'}}",
            SmokeRequest(
                name="x",
                method="GET",
                path="/{{version}}",
                headers={"a": "{{ target }}"},
                expect=Expect(body_matches="v{{ version }}"),
            ),
            id="placeholders stay",
        ),
    ],
)
def test_a_smoke_request_has_these_forms(request_form: str, expected: SmokeRequest):
    smoke = echo(f"smoke: [{request_form}]", base=without_smoke()).smoke

    assert smoke is not None
    assert smoke.requests == (expected,)


def test_the_name_of_a_request_without_one_is_not_longer_than_a_name():
    smoke = echo(f"smoke: [{{get: /{'x' * 300}}}]", base=without_smoke()).smoke

    assert smoke is not None
    assert len(smoke.requests[0].name) == 80


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["smoke: {via: http://gw:80, requests: [GET / -> 200]}"], id="alone"),
        pytest.param(
            ["gateway: {host: a}", "smoke: {via: http://gw:80, requests: [GET / -> 200]}"],
            id="beside other keys of the gateway",
        ),
    ],
)
def test_via_is_the_gateway_for_probes_too(lines: list[str]):
    assert echo(*lines, base=without_smoke()).gateway.url == "http://gw:80"


def test_smoke_left_out_is_no_smoke_test():
    assert echo(base=without_smoke()).smoke is None


def test_the_canary_header_is_a_mapping_of_one():
    assert echo("canaryHeader: {x-stage: new}").canary_header == ("x-stage", "new")


def test_a_null_can_be_expected_and_stays_apart_from_absent():
    smoke = echo(
        "smoke: [{get: /, expect: {json: {$.a: null, '$.b[0].c': true}}}]", base=without_smoke()
    ).smoke

    assert smoke is not None
    assert smoke.requests[0].expect.json_path == {"$.a": None, "$.b[0].c": True}


def test_defaults_profile_and_rollout_are_merged_key_by_key_the_nearer_wins():
    one, two = good("layers").values()

    assert one.route.gloo.virtual_service == "gloo-system/all"
    assert (one.smoke.retries, one.bake) == (4, 60 * MINUTE)  # type: ignore[union-attr]
    assert [(step.weight, step.hold / MINUTE) for step in one.steps] == [(10, 2), (100, 60)]
    assert (one.metrics.series.code, two.metrics.series.code) == ("status", "status")
    assert [(step.weight, step.hold / MINUTE) for step in two.steps] == [(50, 1), (100, 5)]
    assert two.canary_header == ("x-new", "yes")


def test_choosing_another_kind_of_object_or_source_takes_the_lower_choice_away():
    two = good("layers")["two"]

    assert two.route.gloo == GlooRoute(route_table="gloo-system/two", upstream="gloo-system/two")
    assert (two.metrics.prometheus, two.metrics.pods) == (None, PodsSource(port=9102))


def test_the_selector_is_taken_whole():
    rollout = echo(head=HEAD + "defaults: {selector: {tier: web}}\n")

    assert rollout.selector == {"app": "echo"}


def test_retries_in_the_defaults_make_no_smoke_test():
    assert echo(base=without_smoke(), head=HEAD + "defaults: {smoke: {retries: 4}}\n").smoke is None


def test_a_smoke_test_in_the_defaults_is_everybodys():
    head = HEAD + "defaults: {smoke: [GET /x -> 204]}\n"

    assert echo(base=without_smoke(), head=head).smoke is not None


def test_a_smoke_test_of_a_rollout_must_name_requests():
    with pytest.raises(PolicyError, match=r"rollouts\.echo\.smoke: 'requests' is missing"):
        echo("smoke: {retries: 4}", base=without_smoke())


def test_a_wrong_value_in_the_defaults_is_told_even_where_every_rollout_overrides_it():
    with pytest.raises(PolicyError, match=r"defaults\.bake: 'x' is not a duration"):
        echo("bake: 5m", head=HEAD + "defaults: {bake: x}\n")


def test_a_layer_that_is_not_complete_is_no_problem():
    head = HEAD + "defaults: {route: {gloo: {upstream: g/e}}, metrics: {series: {code: s}}}\n"

    assert echo(head=head).metrics.series.code == "s"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["canaryHeader: []"], id="header"),
        pytest.param(["smoke: {requests: x}"], id="requests"),
        pytest.param(["smoke: {requests: [{get: [x]}]}"], id="path"),
        pytest.param(["smoke: {via: http://a, requests: [GET / -> 200]}", "gateway: x"], id="via"),
        pytest.param(["smoke: [{post: /, json: 1, headers: x}]"], id="headers"),
        pytest.param(["smoke: 5"], id="smoke"),
        pytest.param(["steps: 5"], id="steps"),
        pytest.param(["steps: [[5], 100]"], id="step"),
        pytest.param(["steps: [{hold: 5m}, 100]"], id="step without weight"),
        pytest.param(["metrics: {prometheus: [x]}"], id="prometheus"),
        pytest.param(["metrics: {prometheus: }"], id="empty prometheus"),
        pytest.param(["metrics: x"], id="metrics"),
        pytest.param(["hold: [5m]"], id="hold"),
    ],
)
def test_a_wrong_kind_of_value_is_a_problem_at_its_line(lines: list[str]):
    with pytest.raises(PolicyError) as refused:
        echo(*lines, base=without_smoke())

    assert {problem.line for problem in refused.value.problems} <= {9, 10}


def test_code_may_give_times_and_shares_as_values():
    step = Step(weight=5, hold=timedelta(0))

    assert (step.hold, SuccessRate(at_least=0.5).at_least) == (timedelta(0), 0.5)
