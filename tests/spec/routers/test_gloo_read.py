"""What a Gloo route is understood as, and every reason for which it is refused."""

import pytest

from daemon.core.model import GuideKind, Open, Pinned, Unclear, Weighted
from daemon.core.record import format_record
from tests.spec.routers.routes import (
    RECORD,
    ROUTER,
    US,
    a_record,
    a_rollout,
    open_route,
    pinned,
    read,
    single,
    split,
    to,
    virtual_service,
)

OTHER = {"name": "other", "namespace": "gloo-system"}


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        pytest.param([pinned("v1")], Pinned("v1"), id="one subset is pinned"),
        pytest.param([open_route()], Open(), id="the Upstream without a subset is open"),
        pytest.param(
            [single({"upstream": US, "subset": {}})], Open(), id="an empty subset is none"
        ),
        pytest.param(
            [split(("v1", 75), ("v2", 25))],
            Weighted("v1", "v2", 25),
            id="two versions are weighted",
        ),
        pytest.param(
            [split(("v1", 100), ("v2", None))], Weighted("v1", "v2", 0), id="a missing weight is 0"
        ),
        pytest.param(
            [split(("v1", None), ("v2", 1))],
            Weighted("v1", "v2", 100),
            id="any sum counts as a whole",
        ),
        pytest.param(
            [split(("v1", 1), ("v2", 3))], Weighted("v1", "v2", 75), id="1 to 3 is 75 percent"
        ),
        pytest.param([split(("v1", 7))], Pinned("v1"), id="one weighted destination is pinned"),
        pytest.param(
            [single({"upstream": {"name": "echo"}, "subset": {"values": {"version": "v1"}}})],
            Pinned("v1"),
            id="the default namespace is the route's own",
        ),
        pytest.param(
            [single(to("x", OTHER)), pinned("v1")],
            Pinned("v1"),
            id="other Upstreams are others' affair",
        ),
    ],
)
def test_a_plain_route_is_understood(routes, expected):
    assert read(*routes).owned == expected


def action(**value):
    return {"matchers": [{"prefix": "/"}], "routeAction": value}


def stage(value="canary", path="/", **more):
    return {"prefix": path, "headers": [{"name": "Stage", "value": value} | more]}


REFUSED = [
    ([], "there are no routes"),
    ([split(("v1", 33), ("v2", 33), ("v3", 33))], "has 3 destinations"),
    ([split(("v1", 0), ("v2", None))], "sum to 0"),
    ([split(("v1", 1), ("v2", 2))], "weights 1 and 2 are no hundredths of a percent"),
    ([split(("v1", 50), ("v1", 50))], "both destinations of the route are version v1"),
    ([split(("v1", True), ("v2", 50))], "no whole number"),
    ([split(("v1", -1), ("v2", 50))], "no whole number"),
    ([split(("v1", 2**32), ("v2", 50))], "no whole number"),
    ([single({"upstream": US, "subset": {"values": {"release": "v1"}}})], "chosen by release"),
    (
        [single({"upstream": US, "subset": {"values": {"version": "v1", "az": "b"}}})],
        "chosen by az, version",
    ),
    ([single({"upstream": US, "subset": {"values": {"version": ""}}})], "versionLabel is version"),
    (
        [
            action(
                multi={
                    "destinations": [{"destination": to("v1")}, {"destination": {"upstream": US}}]
                }
            )
        ],
        "names no subset",
    ),
    (
        [
            action(
                multi={
                    "destinations": [
                        {"destination": to("v1"), "weight": 1},
                        {"destination": to("v1", OTHER), "weight": 1},
                    ]
                }
            )
        ],
        "one destination of the route goes to Upstream gloo-system/other",
    ),
    (
        [
            action(
                multi={
                    "destinations": [
                        {"destination": to("v1"), "weight": 1, "options": {"csrf": {}}},
                        {"destination": to("v2"), "weight": 0},
                    ]
                }
            )
        ],
        "options of its own",
    ),
    ([pinned("v1"), pinned("v1", name="b")], "route 0 and route 1 (b) all go to Upstream"),
    ([single(to("v1", OTHER))], "route 0 goes to Upstream gloo-system/other"),
    ([action(upstreamGroup={"name": "g"})], "route 0 goes to UpstreamGroup gloo-system/g"),
    ([action(single={"kube": {"ref": {"name": "echo"}}})], "goes straight to a Service"),
    ([action(clusterHeader="x-cluster")], "goes to no Upstream"),
    ([{"matchers": [], "redirectAction": {"pathRedirect": "/x"}}], "route 0 redirects"),
    ([{"directResponseAction": {"status": 200}}], "route 0 answers by itself"),
    (
        [{"delegateAction": {"ref": {"name": "a", "namespace": "b"}}}],
        "delegates to RouteTable b/a; name the RouteTable that holds the route",
    ),
    ([{"delegateAction": {"name": "a"}}], "delegates to RouteTable gloo-system/a"),
    ([{"delegateAction": {"selector": {"labels": {"x": "y"}}}}], "the RouteTables of a selector"),
    ([pinned("v1", matchers=[stage("beta")])], "route 0 itself looks at header stage"),
    ([pinned("v1", matchers=[stage(invertMatch=True)])], "itself looks at header stage"),
    ([pinned("v1", matchers=[stage("canary")])], "only requests with header stage: canary"),
    (
        [pinned("v1", matchers=[{"headers": [{"name": "crossfade-probe", "value": "x"}]}])],
        "itself looks at header crossfade-probe",
    ),
    (
        [pinned("v2", matchers=[stage()]), pinned("v1")],
        "route 0 already takes requests with header",
    ),
    ([single(to("x", OTHER), matchers=[stage()]), pinned("v1")], "route 0 already takes requests"),
    (
        [single(to("x", OTHER), matchers=[stage("")]), pinned("v1")],
        "route 0 already takes requests",
    ),
    (
        [single(to("x", OTHER), matchers=[stage(".*", regex=True)]), pinned("v1")],
        "route 0 already takes requests",
    ),
    (
        [single(to("x", OTHER), matchers=[stage(path="/api")]), pinned("v1")],
        "route 0 already takes requests",
    ),
]


@pytest.mark.parametrize(("routes", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_a_route_that_is_not_plain_is_refused_with_the_reason(routes, why):
    owned = read(*routes).owned

    assert isinstance(owned, Unclear)
    assert why in owned.why


@pytest.mark.parametrize(
    "above",
    [
        pytest.param(stage("beta"), id="another value"),
        pytest.param(stage(invertMatch=True), id="the value excluded"),
        pytest.param(stage(path="/other"), id="another path"),
        pytest.param({"exact": "/other", "headers": stage()["headers"]}, id="another exact path"),
    ],
)
def test_a_header_route_that_takes_none_of_our_requests_is_let_be(above):
    route = single(to("x", OTHER), matchers=[above])

    assert read(route, pinned("v1", matchers=[{"prefix": "/echo"}])).owned == Pinned("v1")


def test_the_name_in_the_policy_picks_among_several_routes():
    rollout = a_rollout(gloo={"routeName": "b"})

    seen = read(pinned("v1", name="a"), pinned("v2", name="b"), rollout=rollout)

    assert seen.owned == Pinned("v2")


@pytest.mark.parametrize(
    ("routes", "why", "identifiable"),
    [
        pytest.param([pinned("v1")], "no route is named b", False, id="no such name"),
        pytest.param(
            [pinned(name="b"), pinned(name="b")],
            "route 0 (b) and route 1 (b) have one name",
            False,
            id="twice",
        ),
        pytest.param(
            [single(to("x", OTHER), name="b")],
            "goes to Upstream gloo-system/other, not to",
            True,
            id="elsewhere",
        ),
        pytest.param(
            [pinned(name="b", matchers=[stage()])],
            "itself looks at header stage",
            True,
            id="own header",
        ),
    ],
)
def test_a_name_that_picks_no_plain_route_is_refused(routes, why, identifiable):
    owned = read(*routes, rollout=a_rollout(gloo={"routeName": "b"})).owned

    assert isinstance(owned, Unclear)
    assert why in owned.why
    assert owned.identifiable is identifiable


def test_the_record_says_which_version_is_the_canary_where_the_list_is_turned_round():
    seen = read(split(("v2", 25), ("v1", 75)), record=RECORD)

    assert seen.owned == Weighted("v1", "v2", 25)


def test_a_route_table_is_read_like_a_virtual_service():
    rollout = a_rollout(gloo={"virtualService": None, "routeTable": "team/echo"})
    table = {"metadata": {"uid": "1"}, "spec": {"routes": [pinned("v1")]}}

    assert ROUTER.read(rollout, table, None).owned == Pinned("v1")


# ---------------------------------------------------------------- our own route


def ours(kind_header=("stage", "canary"), to_version="v2", decision="17", rollout="r7f3", **more):
    name, value = kind_header
    return {
        "matchers": [{"prefix": "/", "headers": [{"name": name, "value": value}]}],
        "options": {
            "headerManipulation": {
                "responseHeadersToAdd": [
                    {"header": {"key": "x-crossfade-rollout", "value": rollout}, "append": False},
                    {"header": {"key": "x-crossfade-decision", "value": decision}, "append": False},
                    {
                        "header": {
                            "key": "x-crossfade-version",
                            "value": "%UPSTREAM_METADATA(envoy.lb:version)%",
                        },
                        "append": False,
                    },
                ]
            }
        },
        "routeAction": {"single": to(to_version)},
    } | more


PROBE = ("crossfade-probe", "r7f3")


@pytest.mark.parametrize(
    ("routes", "kind"),
    [
        pytest.param([ours(), pinned("v1")], GuideKind.HEADER, id="the policy's header"),
        pytest.param([ours(PROBE), pinned("v1")], GuideKind.PRIVATE, id="private, to the canary"),
        pytest.param([ours(PROBE, "v1"), pinned("v1")], GuideKind.WITNESS, id="private, as owned"),
    ],
)
def test_our_own_route_is_known_by_its_response_headers(routes, kind):
    seen = read(*routes, record=RECORD)

    assert (seen.guide.kind, seen.guide.rollout, seen.guide.decision) == (kind, "r7f3", 17)
    assert seen.guide_sound
    assert seen.owned == Pinned("v1")


EDITED = [
    ([ours(to_version="v3"), pinned("v1")], "leads to a version that is not the recorded canary"),
    ([ours(decision="x"), pinned("v1")], "number that is none"),
    ([pinned("v1"), ours()], "below the owned route"),
    ([ours(), single(to("x", OTHER)), pinned("v1")], "a foreign route in between"),
    ([ours(options={"timeout": "1s"} | ours()["options"]), pinned("v1")], "an option added"),
    ([ours(), pinned("v1", options={"timeout": "1s"})], "the owned route's options changed"),
    ([ours(("stage", "beta")), pinned("v1")], "its header changed"),
    ([ours(matchers=[stage(path="/a")]), pinned("v1")], "its path changed"),
    ([ours(name="mine"), pinned("v1")], "a name added"),
    ([ours(PROBE, "v3"), pinned("v1")], "a private route to a third version"),
]


@pytest.mark.parametrize("routes", [r for r, _ in EDITED], ids=[i for _, i in EDITED])
def test_our_own_route_is_not_sound_once_somebody_edited_it(routes):
    seen = read(*routes, record=RECORD)

    assert seen.guide is not None
    assert not seen.guide_sound


def test_two_routes_with_our_headers_are_refused():
    owned = read(ours(), ours(), pinned("v1"), record=RECORD).owned

    assert owned == Unclear(
        "route 0 and route 1 all carry our response headers: remove all but one", identifiable=True
    )


def test_without_a_record_our_own_route_is_still_recognised():
    seen = read(ours(), pinned("v1"))

    assert seen.guide.rollout == "r7f3"
    assert seen.guide_sound


def test_another_targets_guide_is_a_foreign_route():
    other = ours(rollout="other", routeAction={"single": to("v9", OTHER)})

    seen = read(other, single(to("v1", OTHER)), pinned("v1"), record=RECORD)

    assert seen.guide is None
    assert seen.owned == Pinned("v1")


def test_a_guide_that_was_led_elsewhere_is_known_by_the_rollout_id():
    seen = read(ours(routeAction={"single": to("v9", OTHER)}), pinned("v1"), record=RECORD)

    assert seen.guide is not None
    assert not seen.guide_sound


def test_a_weight_of_zero_that_gloo_dropped_leaves_the_witness_sound():
    action = split(("v1", 100), ("v2", None))["routeAction"]
    witness = ours(PROBE, routeAction=split(("v1", 100), ("v2", 0))["routeAction"])

    seen = read(witness, single({}, routeAction=action), record=RECORD)

    assert seen.guide.kind is GuideKind.WITNESS
    assert seen.guide_sound


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param({"redirectAction": {"hostRedirect": "x"}}, id="a redirect"),
        pytest.param(action(upstreamGroup={"name": "g"}), id="an UpstreamGroup"),
    ],
)
def test_the_route_below_our_own_stays_identifiable_whatever_became_of_it(edited):
    owned = read(ours(), edited, record=RECORD).owned

    assert isinstance(owned, Unclear)
    assert owned.identifiable
    assert owned.why.startswith("route 1 below our own")


def test_a_second_route_to_the_upstream_leaves_the_one_below_our_own_identifiable():
    owned = read(ours(), pinned("v1"), open_route(), record=RECORD).owned

    assert isinstance(owned, Unclear)
    assert owned.identifiable


# ---------------------------------------------------------------- the record and the object's own words


def test_the_records_text_is_passed_on_untouched():
    assert read(pinned(), record='{"v": 99 }').record_text == '{"v": 99 }'
    assert read(pinned()).record_text is None


def test_uid_and_resource_version_are_the_objects():
    seen = read(pinned())

    assert (seen.uid, seen.resource_version) == ("6f1c", "42")


SUB = "*v1.Proxy.gateway-proxy_gloo-system"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(None, "", id="no status yet"),
        pytest.param({"statuses": {}}, "", id="an empty map"),
        pytest.param({"state": 1}, "", id="accepted as a number"),
        pytest.param({"statuses": {"gloo-system": {"state": "Accepted"}}}, "", id="accepted"),
        pytest.param({"state": 0}, "", id="pending"),
        pytest.param({"state": 7}, "", id="a number that means nothing"),
        pytest.param(
            {"state": 2, "reason": "bad\n\tregex"},
            "Gloo says Rejected: bad regex",
            id="flat, number",
        ),
        pytest.param({"state": "3"}, "Gloo says Warning: no reason given", id="a number as text"),
        pytest.param(
            {"statuses": {"a": {"state": "Accepted"}, "b": {"state": "Warning", "reason": "x"}}},
            "Gloo says Warning: x",
            id="one of several controllers",
        ),
        pytest.param(
            {
                "statuses": {
                    "gloo-system": {
                        "state": "Accepted",
                        "subresourceStatuses": {SUB: {"state": "Rejected", "reason": "freeze-b"}},
                    }
                }
            },
            f"the gateway's {SUB} is Rejected: freeze-b",
            id="accepted, but the listener is frozen by another route",
        ),
    ],
)
def test_a_status_is_quoted_in_all_its_forms(status, expected):
    more = {} if status is None else {"status": status}

    assert read(pinned(), **more).gateway_says == expected


def test_a_huge_reason_is_cut_to_1024_bytes():
    said = read(pinned(), status={"state": 2, "reason": "ä" * 5000}).gateway_says

    assert len(said.encode()) <= 1024
    assert said.endswith("...")


def managed(manager, time, **fields):
    return {"manager": manager, "time": time, "fieldsV1": fields}


def test_the_last_foreign_editor_of_the_spec_is_named():
    obj = virtual_service(pinned())
    obj["metadata"]["managedFields"] = [
        managed("crossfade", "2026-03-01T00:00:00Z", **{"f:spec": {}}),
        managed("gloo", "2026-02-03T00:00:00Z", **{"f:status": {}}),
        managed("kubectl-edit", "2026-02-02T00:00:00Z", **{"f:spec": {}}),
        managed("helm", "2026-02-01T00:00:00Z", **{"f:spec": {}}),
    ]

    assert ROUTER.read(a_rollout(), obj, None).editor == "kubectl-edit at 2026-02-02T00:00:00Z"


def test_without_foreign_editors_nobody_is_named():
    assert read(pinned()).editor == ""


def test_a_damaged_record_does_not_keep_the_route_from_being_read():
    assert read(pinned(), record="{").owned == Pinned("v1")


def test_a_record_of_another_canary_makes_the_header_route_unsound():
    record = format_record(a_record(canary="v3"))

    assert not read(ours(), pinned("v1"), record=record).guide_sound
