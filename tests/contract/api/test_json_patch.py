"""JSON Patch as the API server's Go library applies it; our own writes are made of these rules."""

import json

import pytest

from daemon.sandbox.api.gojson import encode, float_text
from tests.contract.api.cluster import GROUP, MERGE, Cluster, widget

API = f"{GROUP}/v1"
SPEC = {
    "text": "a<b>&c ü",
    "share": 1.5,
    "routes": [{"name": "one", "weight": 50, "tags": {}}, {"name": "two"}],
}
ROUTE = {"name": "one", "weight": 50, "tags": {}}

APPLIES = [
    ("test of a string in Go's spelling", r'[{"op":"test","path":"/spec/text","value":"a\u003cb\u003e\u0026c ü"}]'),
    ("test of a number", '[{"op":"test","path":"/spec/routes/0/weight","value":50}]'),
    ("test of a whole object, whatever the order", '[{"op":"test","path":"/spec/routes/0","value":{"weight":50,"tags":{},"name":"one"}}]'),
    ("test of a whole list", '[{"op":"test","path":"/spec/routes","value":[{"name":"one","weight":50,"tags":{}},{"name":"two"}]}]'),
    ("test null of a missing member", '[{"op":"test","path":"/spec/nothing","value":null}]'),
    ("test of an escaped annotation", '[{"op":"test","path":"/metadata/annotations/a.dev~1b","value":"c"}]'),
    ("test of a float", '[{"op":"test","path":"/spec/share","value":1.5}]'),
    ("add at the end by a dash", '[{"op":"add","path":"/spec/routes/-","value":{"name":"three"}}]'),
    ("add at the length", '[{"op":"add","path":"/spec/routes/2","value":{"name":"three"}}]'),
    ("a negative index counts from the end", '[{"op":"test","path":"/spec/routes/-1/name","value":"two"}]'),
    ("replace of a missing member", '[{"op":"replace","path":"/spec/nothing","value":"x"}]'),
    ("replace of a member", '[{"op":"replace","path":"/spec/routes/1/name","value":"x"}]'),
    ("remove of a member", '[{"op":"remove","path":"/spec/share"}]'),
    ("no operation at all", "[]"),
]  # fmt: skip

REFUSED = [
    ("test of a string with raw <>&", '[{"op":"test","path":"/spec/text","value":"a<b>&c ü"}]'),
    ("test of a string with escaped non-ASCII", r'[{"op":"test","path":"/spec/text","value":"a\u003cb\u003e\u0026c \u00fc"}]'),
    ("test of a string with upper-case escapes", r'[{"op":"test","path":"/spec/text","value":"a\u003Cb\u003E\u0026c ü"}]'),
    ("test of a number with a fraction of zero", '[{"op":"test","path":"/spec/routes/0/weight","value":50.0}]'),
    ("test of a number with an exponent", '[{"op":"test","path":"/spec/routes/0/weight","value":5e1}]'),
    ("test of a number as a string", '[{"op":"test","path":"/spec/routes/0/weight","value":"50"}]'),
    ("test of a float with more zeros", '[{"op":"test","path":"/spec/share","value":1.50}]'),
    ("test of an object with a member too many", '[{"op":"test","path":"/spec/routes/1","value":{"name":"two","weight":0}}]'),
    ("test of an object with a member too few", '[{"op":"test","path":"/spec/routes/0","value":{"name":"one"}}]'),
    ("test of null where there is a value", '[{"op":"test","path":"/spec/share","value":null}]'),
    ("test null below a missing parent", '[{"op":"test","path":"/spec/nothing/below","value":null}]'),
    ("test of a value where there is none", '[{"op":"test","path":"/spec/nothing","value":"x"}]'),
    ("add below a missing parent", '[{"op":"add","path":"/spec/nothing/below","value":"x"}]'),
    ("add behind the end", '[{"op":"add","path":"/spec/routes/9","value":{}}]'),
    ("remove of a missing member", '[{"op":"remove","path":"/spec/nothing"}]'),
    ("replace below a missing parent", '[{"op":"replace","path":"/spec/nothing/below","value":"x"}]'),
    ("replace of a missing item", '[{"op":"replace","path":"/spec/routes/7","value":{}}]'),
    ("remove of a missing item", '[{"op":"remove","path":"/spec/routes/7"}]'),
    ("an index that is no number", '[{"op":"remove","path":"/spec/routes/x"}]'),
    ("an unknown operation", '[{"op":"frobnicate","path":"/spec"}]'),
    ("an operation without a path", '[{"op":"add","value":1}]'),
    ("a good operation before a bad one", '[{"op":"add","path":"/spec/text","value":"x"},{"op":"test","path":"/spec/share","value":2}]'),
]  # fmt: skip


@pytest.fixture
async def path(widgets: Cluster) -> str:
    body = widget(spec=SPEC, annotations={"a.dev/b": "c"})
    (await widgets.post(widgets.at("widgets", api=API), body)).ok()
    return widgets.at("widgets", "w", api=API)


@pytest.mark.parametrize("patch", [row[1] for row in APPLIES], ids=[row[0] for row in APPLIES])
async def test_it_applies(widgets: Cluster, path, patch):
    assert (await widgets.patch(path, patch.encode())).code == 200


@pytest.mark.parametrize("patch", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_it_is_refused_as_a_whole_and_nobody_says_why(widgets: Cluster, path, patch):
    before = (await widgets.get(path)).text
    answer = await widgets.patch(path, patch.encode())

    message = "the server rejected our request due to an error in our request"
    assert (answer.code, answer.body["reason"], answer.body["message"]) == (422, "Invalid", message)
    assert answer.body["details"] == {}
    assert (await widgets.get(path)).text == before


@pytest.mark.parametrize("body", [b'{"op":"test"}', b"nonsense", b'["x"]'])
async def test_a_body_that_is_no_list_of_operations_is_a_bad_request(widgets: Cluster, path, body):
    assert (await widgets.patch(path, body)).code == 400


async def test_a_list_sent_as_a_merge_patch_is_refused(widgets: Cluster, path):
    # 422 where fieldValidation is unknown, 400 where the server decodes strictly first.
    assert (await widgets.patch(path, [], MERGE)).code in {400, 422}


async def test_add_of_a_list_item_inserts(widgets: Cluster, path):
    patch = [{"op": "add", "path": "/spec/routes/0", "value": {"name": "zero"}}]
    routes = (await widgets.patch(path, patch)).ok().body["spec"]["routes"]

    assert [route["name"] for route in routes] == ["zero", "one", "two"]


async def test_add_of_a_member_sets_it_whether_it_was_there_or_not(widgets: Cluster, path):
    patch = [
        {"op": "add", "path": "/spec/routes/0/weight", "value": 75},
        {"op": "add", "path": "/spec/routes/1/weight", "value": 25},
    ]
    routes = (await widgets.patch(path, patch)).ok().body["spec"]["routes"]

    assert [route["weight"] for route in routes] == [75, 25]


async def test_move_and_copy(widgets: Cluster, path):
    patch = [
        {"op": "copy", "from": "/spec/routes/0", "path": "/spec/routes/-"},
        {"op": "move", "from": "/spec/routes/1", "path": "/spec/routes/0"},
    ]
    routes = (await widgets.patch(path, patch)).ok().body["spec"]["routes"]

    assert [route["name"] for route in routes] == ["two", "one", "one"]


async def test_the_uid_can_be_tested_and_not_changed(widgets: Cluster, path):
    uid = (await widgets.get(path)).meta["uid"]
    tested = await widgets.patch(path, [{"op": "test", "path": "/metadata/uid", "value": uid}])
    wrong = await widgets.patch(path, [{"op": "test", "path": "/metadata/uid", "value": "x"}])
    changed = await widgets.patch(path, [{"op": "replace", "path": "/metadata/uid", "value": "x"}])

    assert [tested.code, wrong.code, changed.code] == [200, 422, 422]


async def test_a_stale_version_in_a_patch_is_a_conflict(widgets: Cluster, path):
    patch = [{"op": "add", "path": "/metadata/resourceVersion", "value": "1"}]

    assert (await widgets.patch(path, patch)).code == 409


async def test_a_missing_annotations_map_is_tested_as_null_and_then_added(widgets: Cluster):
    (await widgets.post(widgets.at("widgets", api=API), widget("bare"))).ok()
    bare = widgets.at("widgets", "bare", api=API)
    below = [{"op": "add", "path": "/metadata/annotations/a", "value": "b"}]
    whole = [
        {"op": "test", "path": "/metadata/annotations", "value": None},
        {"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}},
    ]

    assert (await widgets.patch(bare, below)).code == 422
    assert (await widgets.patch(bare, whole)).meta["annotations"] == {"a": "b"}
    assert (await widgets.patch(bare, whole)).code == 422


async def test_an_annotation_that_is_no_string_is_named(widgets: Cluster, path):
    patch = [{"op": "add", "path": "/metadata/annotations/a", "value": 1}]
    answer = await widgets.patch(path, patch)

    assert answer.code == 422
    assert answer.body["details"]["causes"][0]["field"] == "patch"


async def test_one_of_equal_patches_wins(widgets: Cluster, path):
    patches = [
        [
            {"op": "test", "path": "/metadata/annotations/a.dev~1b", "value": "c"},
            {"op": "add", "path": "/metadata/annotations/a.dev~1b", "value": f"d{number}"},
        ]
        for number in range(4)
    ]
    codes = [(await widgets.patch(path, patch)).code for patch in patches]

    assert sorted(codes) == [200, 422, 422, 422]


STRICTNESS = [
    ("Strict", 422, False, 'strict decoding error: unknown field "spec.routes[0].wieght"'),
    ("Warn", 200, True, ""),
    ("Ignore", 200, False, ""),
]


@pytest.mark.parametrize(
    ("mode", "code", "warned", "cause"), STRICTNESS, ids=[row[0] for row in STRICTNESS]
)
async def test_an_unknown_field_in_a_patch(widgets: Cluster, path, *, mode, code, warned, cause):
    patch = [{"op": "add", "path": "/spec/routes/0/wieght", "value": 1}]
    answer = await widgets.patch(path, patch, fieldValidation=mode)

    assert answer.code == code
    assert ("Warning" in answer.headers) == warned
    if cause:
        assert answer.body["details"]["causes"][0]["message"].endswith(cause)
    assert "wieght" not in (await widgets.get(path)).body["spec"]["routes"][0]


async def test_a_dry_run_answers_as_if_and_changes_nothing(widgets: Cluster, path):
    patch = [{"op": "replace", "path": "/spec/text", "value": "x"}]
    answer = (await widgets.patch(path, patch, dryRun="All")).ok()

    assert answer.body["spec"]["text"] == "x"
    assert (await widgets.get(path)).body["spec"]["text"] == SPEC["text"]


async def test_a_metadata_patch_leaves_the_generation_and_a_spec_patch_bumps_it(
    widgets: Cluster, path
):
    note = [{"op": "add", "path": "/metadata/annotations/a", "value": "b"}]
    text = [{"op": "replace", "path": "/spec/text", "value": "x"}]
    first = (await widgets.patch(path, note)).ok().meta["generation"]
    second = (await widgets.patch(path, text)).ok().meta["generation"]

    assert (first, second) == (1, 2)


async def test_a_status_write_bumps_the_generation_where_there_is_no_status_subresource(
    widgets: Cluster, path
):
    answer = (await widgets.patch(path, {"status": {"state": "Accepted"}}, MERGE)).ok()

    assert answer.meta["generation"] == 2
    assert answer.body["status"] == {"state": "Accepted"}
    assert (await widgets.patch(f"{path}/status", {}, MERGE)).code == 404


async def test_the_manager_of_a_patch_stands_in_managed_fields(widgets: Cluster, path):
    patch = [{"op": "add", "path": "/spec/routes/0/weight", "value": 75}]
    answer = (await widgets.patch(path, patch, fieldManager="crossfade")).ok()
    entry = next(e for e in answer.meta["managedFields"] if e["manager"] == "crossfade")

    assert (entry["operation"], entry["apiVersion"]) == ("Update", API)
    assert entry["fieldsV1"] == {"f:spec": {"f:routes": {}}}
    assert entry["time"].endswith("Z")


FLOATS = [
    (1.5, "1.5"), (50.0, "50"), (1e-7, "1e-7"), (1e-6, "0.000001"), (1e20, "100000000000000000000"),
    (1e21, "1e+21"), (1.25e-8, "1.25e-8"), (0.0, "0"), (-2.5, "-2.5"), (1e16, "10000000000000000"),
    (123456789.125, "123456789.125"), (1.5e300, "1.5e+300"), (0.00001234, "0.00001234"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), FLOATS, ids=[text for _, text in FLOATS])
def test_a_float_is_spelt_as_go_does(value, text):
    assert float_text(value) == text
    assert encode({"a": [value]}) == f'{{"a":[{text}]}}'.encode()


def test_text_is_spelt_as_go_does():
    assert encode({"a": 'x<y>&z ü "q" \\ \n\t\x01\u2028\u2029'}) == (
        rb'{"a":"x\u003cy\u003e\u0026z ' + "ü".encode() + rb' \"q\" \\ \n\t\u0001\u2028\u2029"}'
    )


async def test_the_server_spells_a_stored_object_as_go_does(widgets: Cluster, path):
    text = (await widgets.get(path)).text

    assert r'"a\u003cb\u003e\u0026c ü"' in text


async def test_a_value_is_stored_by_meaning_and_not_by_spelling(widgets: Cluster, path):
    patch = b'[{"op":"replace","path":"/spec/text","value":"\\u00fc<"},{"op":"add","path":"/spec/share","value":2.0}]'
    spec = (await widgets.patch(path, patch)).ok().body["spec"]

    assert (spec["text"], json.dumps(spec["share"])) == ("ü<", "2")
