"""The one JSON Patch of a decision: what it tests, what it writes, and what it leaves alone."""

import pytest

from daemon.core.model import Guide, GuideKind, Phase, Pinned, Split, Weighted
from daemon.core.record import format_record
from daemon.errors import PermanentError
from tests.spec.routers.patching import PatchRefusedError, apply_patch
from tests.spec.routers.routes import (
    KEY,
    RECORD,
    ROLLOUT,
    ROUTER,
    US,
    a_record,
    a_rollout,
    open_route,
    pinned,
    single,
    split,
    to,
    virtual_service,
)

HEADER = Guide(GuideKind.HEADER, "r7f3", 17)
PRIVATE = Guide(GuideKind.PRIVATE, "r7f3", 17)
WITNESS = Guide(GuideKind.WITNESS, "r7f3", 17)
POINTER = "/metadata/annotations/rollout.crossfade.dev~1echo.echo"


def plan(obj, the_split, text=RECORD, rollout=ROLLOUT):
    return ROUTER.plan(rollout, obj, the_split, text)


def after(obj, the_split, text=RECORD, rollout=ROLLOUT):
    return apply_patch(obj, plan(obj, the_split, text, rollout))


def routes_after(obj, the_split, **more):
    return after(obj, the_split, **more)["spec"]["virtualHost"]["routes"]


def smoke_stage(*routes, owned=None):
    """The object as our own Smoke patch leaves it."""
    obj = virtual_service(*(routes or [owned or pinned("v1")]), annotations={})
    return after(obj, Split(Pinned("v1"), HEADER))


# ---------------------------------------------------------------- the tests of the patch


def test_the_patch_tests_uid_record_and_owned_route_before_it_writes_the_record():
    obj = virtual_service(pinned("v1"), annotations={KEY: "old", "team": "a"})

    assert plan(obj, None, "new") == [
        {"op": "test", "path": "/metadata/uid", "value": "6f1c"},
        {"op": "test", "path": POINTER, "value": "old"},
        {"op": "test", "path": "/spec/virtualHost/routes/0", "value": pinned("v1")},
        {"op": "add", "path": POINTER, "value": "new"},
    ]


def test_an_absent_record_is_tested_as_null():
    obj = virtual_service(pinned("v1"), annotations={"team": "a"})

    patch = plan(obj, None, "new")

    assert {"op": "test", "path": POINTER, "value": None} in patch
    assert apply_patch(obj, patch)["metadata"]["annotations"] == {"team": "a", KEY: "new"}


def test_an_absent_annotation_map_is_tested_as_null_and_added():
    obj = virtual_service(pinned("v1"))

    patch = plan(obj, None, "new")

    assert patch[1] == {"op": "test", "path": "/metadata/annotations", "value": None}
    assert patch[-1] == {"op": "add", "path": "/metadata/annotations", "value": {KEY: "new"}}


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda obj: obj["metadata"].update(uid="other"), id="another object"),
        pytest.param(
            lambda obj: obj["metadata"]["annotations"].update({KEY: "x"}), id="another record"
        ),
        pytest.param(
            lambda obj: obj["spec"]["virtualHost"]["routes"][1].update(name="x"),
            id="an edited owned route",
        ),
        pytest.param(
            lambda obj: obj["spec"]["virtualHost"]["routes"][0].update(name="x"),
            id="an edited header route",
        ),
        pytest.param(
            lambda obj: obj["spec"]["virtualHost"]["routes"].insert(0, open_route()),
            id="a route inserted above",
        ),
    ],
)
@pytest.mark.parametrize(
    "the_split", [None, Split(Weighted("v1", "v2", 5), HEADER)], ids=["record", "split"]
)
def test_a_patch_does_not_apply_to_an_object_that_changed_meanwhile(edit, the_split):
    obj = smoke_stage()
    patch = plan(obj, the_split)

    edit(obj)

    with pytest.raises(PatchRefusedError):
        apply_patch(obj, patch)


# ---------------------------------------------------------------- the article's sequence


def header_route(decision="17", action=None, header=("stage", "canary")):
    values = {
        "x-crossfade-rollout": "r7f3",
        "x-crossfade-decision": decision,
        "x-crossfade-version": "%UPSTREAM_METADATA(envoy.lb:version)%",
    }
    added = [{"header": {"key": k, "value": v}, "append": False} for k, v in values.items()]
    return {
        "matchers": [{"prefix": "/", "headers": [{"name": header[0], "value": header[1]}]}],
        "options": {"headerManipulation": {"responseHeadersToAdd": added}},
        "routeAction": action or {"single": to("v2")},
    }


SEQUENCE = [
    ("adoption pins an open route", open_route(), Split(Pinned("v1"), None), [pinned("v1")]),
    (
        "smoke inserts the header route above",
        pinned("v1"),
        Split(Pinned("v1"), HEADER),
        [header_route(), pinned("v1")],
    ),
    (
        "the first weight makes a split",
        pinned("v1"),
        Split(Weighted("v1", "v2", 5), HEADER),
        [header_route(), split(("v1", 95), ("v2", 5))],
    ),
    (
        "the last weight sends all to the canary",
        split(("v1", 50), ("v2", 50)),
        Split(Weighted("v1", "v2", 100), HEADER),
        [header_route(), split(("v1", 0), ("v2", 100))],
    ),
    (
        "finalising leaves one destination and the witness",
        split(("v1", 0), ("v2", 100)),
        Split(Pinned("v2"), WITNESS),
        [
            header_route(action={"single": to("v2")}, header=("crossfade-probe", "r7f3")),
            pinned("v2"),
        ],
    ),
    (
        "a rollback pins stable with the witness",
        split(("v1", 75), ("v2", 25)),
        Split(Pinned("v1"), WITNESS),
        [
            header_route(action={"single": to("v1")}, header=("crossfade-probe", "r7f3")),
            pinned("v1"),
        ],
    ),
    (
        "without smoke the header is private",
        pinned("v1"),
        Split(Weighted("v1", "v2", 5), PRIVATE),
        [header_route(header=("crossfade-probe", "r7f3")), split(("v1", 95), ("v2", 5))],
    ),
    (
        "a witness of a split goes to the same split",
        split(("v1", 100), ("v2", 0)),
        Split(Weighted("v1", "v2", 25), WITNESS),
        [
            header_route(
                action=split(("v1", 75), ("v2", 25))["routeAction"],
                header=("crossfade-probe", "r7f3"),
            ),
            split(("v1", 75), ("v2", 25)),
        ],
    ),
]


@pytest.mark.parametrize(
    ("route", "the_split", "expected"),
    [row[1:] for row in SEQUENCE],
    ids=[row[0] for row in SEQUENCE],
)
def test_each_state_of_the_sequence_is_written(route, the_split, expected):
    assert routes_after(virtual_service(route), the_split) == expected


def test_what_was_written_is_read_back_as_the_split_and_sound():
    obj = smoke_stage()
    obj = after(obj, Split(Weighted("v1", "v2", 25), Guide(GuideKind.HEADER, "r7f3", 18)))

    seen = ROUTER.read(ROLLOUT, obj, None)

    assert seen.owned == Weighted("v1", "v2", 25)
    assert seen.guide == Guide(GuideKind.HEADER, "r7f3", 18)
    assert seen.guide_sound


# ---------------------------------------------------------------- the least change


def test_a_raise_changes_two_weights_and_the_numbers_of_the_header_route():
    obj = after(smoke_stage(), Split(Weighted("v1", "v2", 5), HEADER))

    patch = plan(obj, Split(Weighted("v1", "v2", 50), Guide(GuideKind.HEADER, "r7f3", 18)))

    base = "/spec/virtualHost/routes/1/routeAction/multi/destinations"
    assert [(op["op"], op["path"]) for op in patch[4:-1]] == [
        ("add", f"{base}/0/weight"),
        ("add", f"{base}/1/weight"),
        ("replace", "/spec/virtualHost/routes/0"),
    ]


def test_a_split_that_stands_already_writes_the_record_only():
    obj = smoke_stage()

    patch = plan(obj, Split(Pinned("v1"), HEADER))

    assert [op["op"] for op in patch] == ["test", "test", "test", "test", "add"]


def test_a_weight_that_is_right_already_is_not_written():
    obj = virtual_service(split(("v1", None), ("v2", 1)), annotations={})

    patch = plan(obj, Split(Weighted("v1", "v2", 100), None))

    assert [op["path"].rpartition("destinations/")[2] for op in patch[3:-1]] == ["1/weight"]


def test_a_list_that_was_turned_round_keeps_its_order():
    obj = virtual_service(split(("v2", 5), ("v1", 95)), annotations={KEY: RECORD})

    routes = routes_after(obj, Split(Weighted("v1", "v2", 25), None))

    assert routes == [split(("v2", 25), ("v1", 75))]


def test_destinations_keep_their_spelling_when_the_action_changes():
    own = {"upstream": {"name": "echo"}, "destinationSpec": {"rest": {}}}
    obj = virtual_service(single(own | {"subset": {"values": {"version": "v1"}}}))

    (route,) = routes_after(obj, Split(Weighted("v1", "v2", 5), None))

    destinations = [m["destination"] for m in route["routeAction"]["multi"]["destinations"]]
    assert destinations == [own | {"subset": {"values": {"version": v}}} for v in ("v1", "v2")]


# ---------------------------------------------------------------- our own route


def test_the_header_route_copies_all_that_decides_how_a_request_is_treated():
    owned = pinned(
        "v1",
        name="main",
        matchers=[
            {"exact": "/a", "methods": ["GET"], "caseSensitive": False},
            {
                "regex": "/b.*",
                "headers": [{"name": "x-tenant", "value": "t"}],
                "queryParameters": [{"name": "q"}],
            },
        ],
        options={
            "timeout": "3s",
            "prefixRewrite": "/z",
            "headerManipulation": {
                "requestHeadersToRemove": ["x"],
                "responseHeadersToAdd": [{"header": {"key": "x-team", "value": "a"}}],
            },
        },
        optionsConfigRefs={"delegateOptions": [{"name": "o", "namespace": "n"}]},
    )

    guide, unchanged = routes_after(virtual_service(owned), Split(Pinned("v1"), HEADER))

    stage = {"name": "stage", "value": "canary"}
    assert unchanged == owned
    assert guide["name"] == "main-crossfade"
    assert guide["matchers"] == [
        owned["matchers"][0] | {"headers": [stage]},
        owned["matchers"][1] | {"headers": [{"name": "x-tenant", "value": "t"}, stage]},
    ]
    assert guide["optionsConfigRefs"] == owned["optionsConfigRefs"]
    assert guide["options"]["timeout"] == "3s"
    manipulation = guide["options"]["headerManipulation"]
    assert manipulation["requestHeadersToRemove"] == ["x"]
    assert [it["header"]["key"] for it in manipulation["responseHeadersToAdd"]] == [
        "x-team",
        "x-crossfade-rollout",
        "x-crossfade-decision",
        "x-crossfade-version",
    ]


def test_a_route_without_matchers_gets_a_header_route_for_every_path():
    owned = {"routeAction": {"single": to("v1")}}

    guide, _ = routes_after(virtual_service(owned), Split(Pinned("v1"), HEADER))

    assert guide["matchers"] == [{"prefix": "/", "headers": [{"name": "stage", "value": "canary"}]}]


def test_the_version_header_names_the_policys_label():
    rollout = a_rollout(versionLabel="app.kubernetes.io/version")
    owned = single({"upstream": US, "subset": {"values": {"app.kubernetes.io/version": "v1"}}})

    guide, _ = routes_after(virtual_service(owned), Split(Pinned("v1"), HEADER), rollout=rollout)

    added = guide["options"]["headerManipulation"]["responseHeadersToAdd"]
    assert added[2]["header"]["value"] == "%UPSTREAM_METADATA(envoy.lb:app.kubernetes.io/version)%"


@pytest.mark.parametrize(
    "place",
    [
        pytest.param([1, 0, 2], id="below the owned route"),
        pytest.param([0, 2, 1], id="away from the owned route"),
        pytest.param([0, 0, 1, 2], id="twice"),
    ],
)
def test_a_header_route_that_was_moved_comes_back_directly_above(place):
    other = single(to("x", {"name": "other", "namespace": "gloo-system"}), name="other")
    guide, owned = smoke_stage()["spec"]["virtualHost"]["routes"]
    routes = [[guide, owned, other][i] for i in place]
    obj = virtual_service(*routes, annotations={KEY: RECORD})

    left = routes_after(obj, Split(Pinned("v1"), Guide(GuideKind.WITNESS, "r7f3", 18)))

    assert [ROUTER.read(ROLLOUT, virtual_service(*left), None).guide_sound, len(left)] == [True, 3]
    assert other in left


def test_the_header_route_is_removed_wherever_it_stands():
    guide, _ = smoke_stage()["spec"]["virtualHost"]["routes"]
    obj = virtual_service(guide, open_route(name="x"), annotations={})
    rollout = a_rollout(gloo={"routeName": "x"})

    assert routes_after(obj, Split(Pinned("v1"), None), rollout=rollout) == [pinned("v1", name="x")]


# ---------------------------------------------------------------- abort over anything identifiable


def test_an_abort_pins_stable_over_another_kind_of_action():
    obj = smoke_stage()
    owned = obj["spec"]["virtualHost"]["routes"][1]
    del owned["routeAction"]
    owned["redirectAction"] = {"hostRedirect": "elsewhere"}

    routes = routes_after(obj, Split(Pinned("v1"), None))

    assert routes == [pinned("v1")]


def test_an_abort_pins_stable_over_three_destinations():
    obj = virtual_service(split(("v1", 33), ("v2", 33), ("v3", 33)), annotations={})

    assert routes_after(obj, Split(Pinned("v1"), None)) == [pinned("v1")]


def test_a_route_that_cannot_be_told_is_never_written():
    obj = virtual_service(pinned("v1"), pinned("v2"), annotations={})

    with pytest.raises(PermanentError, match="left alone: route 0 and route 1 all go to"):
        plan(obj, Split(Pinned("v1"), None))


def test_the_record_can_be_written_even_where_the_route_cannot_be_told():
    obj = virtual_service(pinned("v1"), pinned("v2"), annotations={})

    assert after(obj, None, "new")["metadata"]["annotations"] == {KEY: "new"}


def test_a_header_route_without_a_canary_in_the_record_is_refused():
    record = format_record(a_record(canary=None, revision=None, phase=Phase.IDLE))

    with pytest.raises(PermanentError, match="no canary"):
        plan(virtual_service(pinned("v1")), Split(Pinned("v1"), HEADER), record)


def test_a_route_table_is_patched_at_its_own_path():
    rollout = a_rollout(gloo={"virtualService": None, "routeTable": "team/echo"})
    table = {"metadata": {"uid": "1"}, "spec": {"weight": 3, "routes": [pinned("v1")]}}

    patched = after(table, Split(Weighted("v1", "v2", 5), HEADER), rollout=rollout)

    assert patched["spec"]["weight"] == 3
    assert patched["spec"]["routes"] == [header_route(), split(("v1", 95), ("v2", 5))]
