"""Kinds that come from CRDs: schemas, subresources, columns, versions."""

import pytest

from tests.contract.api.cluster import (
    GROUP,
    MERGE,
    OPEN,
    TABLE,
    Cluster,
    crd,
    deployment,
    gadget,
    widget,
)

API = f"{GROUP}/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

REFUSED = [
    ("a wrong type", {"size": "big"}, "spec.size", "must be of type integer"),
    ("a missing field", {"size": None}, "spec.size", ""),
    ("above the maximum", {"size": 11}, "spec.size", "should be less than or equal to 10"),
    ("below the minimum", {"size": -1}, "spec.size", "should be greater than or equal to 0"),
    ("not in the enum", {"mode": "odd"}, "spec.mode", 'Unsupported value: "odd": supported values: "fast", "slow"'),
    ("against the pattern", {"label": "ABC"}, "spec.label", "should match '^[a-z]+$'"),
    ("too long", {"label": "abcdefg"}, "spec.label", "Too long"),
    ("neither number nor string", {"port": [1]}, "spec.port", ""),
    ("an item without its key", {"parts": [{"weight": 1}]}, "spec.parts[0].id", "Required value"),
    ("two items with one key", {"parts": [{"id": "a"}, {"id": "a"}]}, "spec.parts[1]", "Duplicate value"),
    ("a set with one value twice", {"tags": ["a", "a"]}, "spec.tags[1]", "Duplicate value"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "field", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_a_schema_refuses_and_names_the_field(gadgets: Cluster, spec, field, message):
    answer = await gadgets.post(gadgets.at("gadgets", api=API), gadget(**spec))

    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert field in [cause["field"] for cause in answer.body["details"]["causes"]]
    assert message in answer.body["message"]
    assert answer.body["message"].startswith(f'Gadget.{GROUP} "g" is invalid: ')


@pytest.mark.parametrize("port", [80, "http"])
async def test_an_int_or_string_takes_both(gadgets: Cluster, port):
    answer = await gadgets.post(gadgets.at("gadgets", api=API), gadget(port=port))

    assert answer.ok().body["spec"]["port"] == port


async def test_an_update_is_checked_as_well(gadgets: Cluster):
    path = gadgets.at("gadgets", "g", api=API)
    (await gadgets.post(gadgets.at("gadgets", api=API), gadget())).ok()

    assert (await gadgets.patch(path, {"spec": {"size": 11}}, MERGE)).code == 422
    assert (await gadgets.patch(path, {"spec": {"parts": [{"weight": 1}]}}, MERGE)).code == 422


async def test_defaults_are_filled_in(gadgets: Cluster):
    answer = (await gadgets.post(gadgets.at("gadgets", api=API), gadget())).ok()

    assert answer.body["spec"]["mode"] == "fast"


async def test_unknown_fields_are_pruned_with_a_warning(gadgets: Cluster):
    answer = (await gadgets.post(gadgets.at("gadgets", api=API), gadget(sise=1))).ok()

    assert "sise" not in answer.body["spec"]
    assert "spec.sise" in answer.headers["Warning"]


async def test_unknown_fields_are_refused_where_asked(gadgets: Cluster):
    path = gadgets.at("gadgets", api=API)
    answer = await gadgets.post(
        path, gadget(sise=1, parts=[{"id": "a", "x": 1}]), fieldValidation="Strict"
    )

    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")
    assert 'unknown field "spec.sise"' in answer.body["message"]
    assert 'unknown field "spec.parts[0].x"' in answer.body["message"]


async def test_an_open_field_keeps_everything(gadgets: Cluster):
    free = {"any": [1, {"thing": None}], "x": "y"}
    answer = (await gadgets.post(gadgets.at("gadgets", api=API), gadget(free=free))).ok()

    assert answer.body["spec"]["free"] == free


async def test_status_has_its_own_door(gadgets: Cluster):
    (
        await gadgets.post(gadgets.at("gadgets", api=API), {**gadget(), "status": {"phase": "x"}})
    ).ok()
    path = gadgets.at("gadgets", "g", api=API)
    both = {"spec": {"size": 5}, "status": {"phase": "Ready"}}
    by_status = (await gadgets.patch(f"{path}/status", both, MERGE)).ok()
    by_spec = (await gadgets.patch(path, {**both, "status": {"phase": "Odd"}}, MERGE)).ok()

    assert (by_status.body["spec"]["size"], by_status.body["status"]) == (1, {"phase": "Ready"})
    assert by_status.meta["generation"] == 1
    assert (by_spec.body["spec"]["size"], by_spec.body["status"]) == (5, {"phase": "Ready"})
    assert by_spec.meta["generation"] == 2


async def test_a_custom_kind_is_scaled(gadgets: Cluster):
    (await gadgets.post(gadgets.at("gadgets", api=API), gadget(size=2))).ok()
    path = gadgets.at("gadgets", "g", "scale", api=API)
    before = (await gadgets.get(path)).body["spec"]["replicas"]
    (await gadgets.patch(path, {"spec": {"replicas": 4}}, MERGE)).ok()

    assert before == 2
    assert (await gadgets.get(gadgets.at("gadgets", "g", api=API))).body["spec"]["size"] == 4


async def test_printer_columns_are_cells_of_the_table(gadgets: Cluster):
    parts = [{"id": "a"}, {"id": "b", "note": "second"}]
    (await gadgets.post(gadgets.at("gadgets", api=API), gadget(parts=parts))).ok()
    table = (await gadgets.send("GET", gadgets.at("gadgets", api=API), accept=TABLE)).body

    assert table["kind"] == "Table"
    names = [column["name"] for column in table["columnDefinitions"]]
    assert names == ["Name", "Size", "First", "Note", "Age"]
    assert table["rows"][0]["cells"][:4] == ["g", 1, "a", "second"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_a_crd_is_established(gadgets: Cluster):
    status = (await gadgets.get(f"{CRDS}/gadgets.{GROUP}")).ok().body["status"]
    conditions = {c["type"]: c["status"] for c in status["conditions"]}

    assert (conditions["Established"], conditions["NamesAccepted"]) == ("True", "True")
    assert status["storedVersions"] == ["v1"]


BAD_CRDS = [
    ("a name that is not plural and group", {"metadata": {"name": "other.example.com"}}),
    ("no version", {"spec": {"versions": []}}),
]


@pytest.mark.parametrize("change", [row[1] for row in BAD_CRDS], ids=[row[0] for row in BAD_CRDS])
async def test_a_crd_that_cannot_work_is_refused(cluster: Cluster, change):
    body = crd("Broken", {"spec": OPEN})
    merged = {**body, **change}
    if "spec" in change:
        merged["spec"] = body["spec"] | change["spec"]

    assert (await cluster.post(CRDS, merged)).code == 422


async def test_several_versions_show_one_object(cluster: Cluster, server):
    body = crd("Thing", {"spec": OPEN})
    beta = {**body["spec"]["versions"][0], "name": "v1beta1", "storage": False}
    body["spec"]["versions"].append(beta)
    await cluster.add_crd(body)
    thing = {
        "apiVersion": f"{GROUP}/v1beta1",
        "kind": "Thing",
        "metadata": {"name": "t"},
        "spec": {"a": 1},
    }
    (await cluster.post(cluster.at("things", api=f"{GROUP}/v1beta1"), thing)).ok()
    old = (await cluster.get(cluster.at("things", "t", api=f"{GROUP}/v1beta1"))).body
    new = (await cluster.get(cluster.at("things", "t", api=API))).body

    assert (old["apiVersion"], new["apiVersion"]) == (f"{GROUP}/v1beta1", API)
    assert old["metadata"] == new["metadata"]
    assert old["spec"] == new["spec"]


async def test_deleting_a_crd_deletes_its_objects_and_its_paths(cluster: Cluster):
    await cluster.add_crd(crd("Passing", {"spec": OPEN}))
    path = cluster.at("passings", api=API)
    body = {"apiVersion": API, "kind": "Passing", "metadata": {"name": "p"}, "spec": {}}
    (await cluster.post(path, body)).ok()
    (await cluster.delete(f"{CRDS}/passings.{GROUP}")).ok()
    await cluster.gone(path)

    assert (await cluster.get(f"{CRDS}/passings.{GROUP}")).code == 404


async def test_a_changed_crd_counts_at_once(cluster: Cluster, server):
    body = crd("Growing", {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}})
    await cluster.add_crd(body)
    path = cluster.at("growings", api=API)
    thing = {
        "apiVersion": API,
        "kind": "Growing",
        "metadata": {"name": "t"},
        "spec": {"a": "x", "b": "y"},
    }
    first = (await cluster.post(path, thing)).ok().body["spec"]
    schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["b"] = {"type": "string"}
    server.add_crd(body)
    second = (await cluster.patch(f"{path}/t", {"spec": {"b": "y"}}, MERGE)).ok().body["spec"]

    assert (first, second) == ({"a": "x"}, {"a": "x", "b": "y"})


SCHEMAS = [
    ("oneOf, one", {"a": 1}, {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, True),
    ("oneOf, both", {"a": 1, "b": 1}, {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, False),
    ("anyOf, none", {"c": 1}, {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, False),
    ("allOf, one missing", {"a": 1}, {"allOf": [{"required": ["a"]}, {"required": ["b"]}]}, False),
    ("not, but it is", {"a": 1}, {"not": {"required": ["a"]}}, False),
    ("not, and it is not", {"b": 1}, {"not": {"required": ["a"]}}, True),
    ("too many properties", {"a": 1, "b": 1}, {"maxProperties": 1}, False),
    ("too few properties", {}, {"minProperties": 1}, False),
]


@pytest.mark.parametrize(
    ("value", "rule", "fits"), [row[1:] for row in SCHEMAS], ids=[row[0] for row in SCHEMAS]
)
def test_a_schema_rule(value, rule, fits):
    from daemon.sandbox.api.schema import Schema, check

    number = {"type": "integer"}
    schema = {"type": "object", "properties": {"a": number, "b": number, "c": number}, **rule}
    causes = []
    check(value, Schema(schema), "spec", causes)

    assert (causes == []) == fits


async def test_widgets_and_built_in_kinds_live_side_by_side(widgets: Cluster):
    (await widgets.post(widgets.at("widgets", api=API), widget())).ok()
    (await widgets.post(widgets.at("deployments", api="apps/v1"), deployment("w"))).ok()

    assert (await widgets.get(widgets.at("widgets", "w", api=API))).body["kind"] == "Widget"
    assert (await widgets.get(widgets.at("deployments", "w", api="apps/v1"))).body[
        "kind"
    ] == "Deployment"
