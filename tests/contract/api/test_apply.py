"""Server-side apply: ownership, conflicts, and what happens to fields nobody states any more."""

import pytest

from tests.contract.api.cluster import APPLY, GROUP, MERGE, Cluster, deployment, gadget

API = f"{GROUP}/v1"


@pytest.fixture
def path(gadgets: Cluster) -> str:
    return gadgets.at("gadgets", "g", api=API)


def parts(answer):
    return {part["id"]: part for part in answer.ok().body["spec"].get("parts", [])}


async def test_an_apply_creates(gadgets: Cluster, path):
    answer = await gadgets.apply(path, gadget(size=3), "one")

    assert (answer.code, answer.body["spec"]) == (201, {"size": 3, "mode": "fast"})


async def test_an_apply_needs_a_manager(gadgets: Cluster, path):
    answer = await gadgets.patch(path, gadget(), APPLY)

    assert answer.code == 422
    assert "fieldManager" in answer.body["message"]


async def test_an_apply_owns_what_it_states_and_no_defaults(gadgets: Cluster, path):
    body = gadget(parts=[{"id": "a", "weight": 1}], tags=["x"], plain=["y"])
    (entry,) = (await gadgets.apply(path, body, "one")).ok().meta["managedFields"]

    assert (entry["manager"], entry["operation"]) == ("one", "Apply")
    assert entry["fieldsV1"] == {
        "f:spec": {
            "f:size": {},
            "f:parts": {'k:{"id":"a"}': {".": {}, "f:id": {}, "f:weight": {}}},
            "f:tags": {'v:"x"': {}},
            "f:plain": {},
        }
    }


async def test_applying_the_same_again_changes_nothing(gadgets: Cluster, path):
    first = (await gadgets.apply(path, gadget(size=3), "one")).ok()
    second = (await gadgets.apply(path, gadget(size=3), "one")).ok()

    assert second.meta["resourceVersion"] == first.meta["resourceVersion"]


async def test_a_field_of_another_manager_is_a_conflict_that_names_both(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(size=3), "one")).ok()
    answer = await gadgets.apply(path, gadget(size=4), "two")

    assert (answer.code, answer.body["reason"]) == (409, "Conflict")
    message = 'conflict with "one"'
    assert answer.body["message"] == f"Apply failed with 1 conflict: {message}: .spec.size"
    cause = {"reason": "FieldManagerConflict", "message": message, "field": ".spec.size"}
    assert answer.body["details"]["causes"] == [cause]


async def test_several_conflicts_are_listed(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(size=3, mode="slow"), "one")).ok()
    message = (await gadgets.apply(path, gadget(size=4, mode="fast"), "two")).body["message"]

    assert message.startswith("Apply failed with 2 conflicts: conflicts with")
    assert "\n- .spec.mode" in message
    assert "\n- .spec.size" in message


async def test_stating_the_same_value_shares_the_field(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(size=3), "one")).ok()
    answer = (await gadgets.apply(path, gadget(size=3), "two")).ok()

    owners = [
        e["manager"] for e in answer.meta["managedFields"] if "f:size" in e["fieldsV1"]["f:spec"]
    ]
    assert sorted(owners) == ["one", "two"]


async def test_force_takes_the_field_over(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(size=3, mode="slow"), "one")).ok()
    answer = (await gadgets.apply(path, gadget(size=4), "two", force="true")).ok()

    by = {e["manager"]: e["fieldsV1"]["f:spec"] for e in answer.meta["managedFields"]}
    assert answer.body["spec"]["size"] == 4
    assert by == {"one": {"f:mode": {}}, "two": {"f:size": {}}}


async def test_a_field_nobody_states_any_more_is_removed(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(size=3, label="abc"), "one")).ok()
    answer = await gadgets.apply(path, gadget(size=3), "one")

    assert "label" not in answer.ok().body["spec"]


async def test_a_field_that_another_still_states_stays(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(size=3, label="abc"), "one")).ok()
    (await gadgets.apply(path, gadget(size=3, label="abc"), "two")).ok()
    answer = await gadgets.apply(path, gadget(size=3), "one")

    assert answer.ok().body["spec"]["label"] == "abc"


async def test_items_of_a_keyed_list_have_owners_of_their_own(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(parts=[{"id": "a", "weight": 1}]), "one")).ok()
    both = await gadgets.apply(path, gadget(parts=[{"id": "b", "weight": 2}]), "two")
    left = await gadgets.apply(path, gadget(), "one")

    assert list(parts(both)) == ["a", "b"]
    assert list(parts(left)) == ["b"]


async def test_a_conflict_in_a_keyed_list_names_the_item(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(parts=[{"id": "a", "weight": 1}]), "one")).ok()
    answer = await gadgets.apply(path, gadget(parts=[{"id": "a", "weight": 2}]), "two")

    assert answer.code == 409
    assert '.spec.parts[id="a"].weight' in answer.body["message"]


async def test_a_set_keeps_what_others_added(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(tags=["x"]), "one")).ok()
    (await gadgets.apply(path, gadget(tags=["y"]), "two")).ok()
    answer = await gadgets.apply(path, gadget(), "one")

    assert answer.ok().body["spec"]["tags"] == ["y"]


async def test_an_atomic_list_is_owned_as_a_whole(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(plain=["x"]), "one")).ok()
    answer = await gadgets.apply(path, gadget(plain=["x", "y"]), "two")

    assert answer.code == 409
    assert ".spec.plain" in answer.body["message"]


async def test_an_update_takes_fields_from_an_applier(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(size=3), "one")).ok()
    (await gadgets.patch(path, {"spec": {"size": 5}}, MERGE, fieldManager="edit")).ok()
    answer = await gadgets.apply(path, gadget(size=3), "one")

    assert answer.code == 409
    assert 'conflict with "edit"' in answer.body["message"]


async def test_status_is_owned_apart(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(), "one")).ok()
    body = {"status": {"phase": "Ready"}}
    answer = (await gadgets.patch(f"{path}/status", body, MERGE, fieldManager="ctl")).ok()
    entry = next(e for e in answer.meta["managedFields"] if e["manager"] == "ctl")

    assert entry["subresource"] == "status"
    assert "f:phase" in entry["fieldsV1"]["f:status"]


async def test_an_apply_to_status_states_status_alone(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(size=1), "one")).ok()
    body = {**gadget(size=9), "status": {"phase": "Ready"}}
    answer = (await gadgets.apply(f"{path}/status", body, "ctl")).ok()
    entry = next(e for e in answer.meta["managedFields"] if e["manager"] == "ctl")

    assert (answer.body["spec"]["size"], answer.body["status"]) == (1, {"phase": "Ready"})
    assert entry["fieldsV1"] == {"f:status": {"f:phase": {}}}


async def test_an_unknown_field_is_never_applied(gadgets: Cluster, path):
    assert (await gadgets.apply(path, gadget(sise=3), "one")).code >= 400


async def test_a_stale_version_in_an_apply_is_a_conflict(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(), "one")).ok()
    body = gadget(size=2)
    body["metadata"]["resourceVersion"] = "1"

    assert (await gadgets.apply(path, body, "one")).code == 409


async def test_an_apply_may_be_a_dry_run(gadgets: Cluster, path):
    answer = await gadgets.apply(path, gadget(), "one", dryRun="All")

    assert answer.code == 201
    assert (await gadgets.get(path)).code == 404


async def test_a_time_in_yaml_is_text(cluster: Cluster):
    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: t}\ndata:\n  at: 2026-01-02T03:04:05Z\n"
    )
    answer = await cluster.apply(cluster.at("configmaps", "t"), text.encode(), "one")

    assert answer.ok().body["data"] == {"at": "2026-01-02T03:04:05Z"}


async def test_yaml_is_what_an_apply_sends(gadgets: Cluster, path):
    text = f"apiVersion: {API}\nkind: Gadget\nmetadata: {{name: g}}\nspec:\n  size: 2\n"
    answer = await gadgets.apply(path, text.encode(), "one")

    assert answer.ok().body["spec"]["size"] == 2


async def test_containers_of_a_built_in_kind_merge_by_name(cluster: Cluster):
    path = cluster.at("deployments", "echo", api="apps/v1")
    (await cluster.apply(path, deployment(), "one")).ok()
    pods = {"containers": [{"name": "side", "image": "side:1"}]}
    body = {**deployment(), "spec": {"template": {"spec": pods}}}
    found = (await cluster.apply(path, body, "two")).ok().body["spec"]["template"]["spec"]

    assert [c["name"] for c in found["containers"]] == ["echo", "side"]


async def test_the_last_editor_of_a_field_can_be_told(gadgets: Cluster, path):
    (await gadgets.apply(path, gadget(size=1), "argocd")).ok()
    (await gadgets.patch(path, {"spec": {"size": 2}}, MERGE, fieldManager="kubectl-edit")).ok()
    entries = (await gadgets.get(path)).meta["managedFields"]

    owner = [e["manager"] for e in entries if "f:size" in e["fieldsV1"].get("f:spec", {})]
    assert owner == ["kubectl-edit"]


async def test_a_manager_is_taken_from_the_user_agent(cluster: Cluster):
    await cluster.config()
    path = cluster.at("configmaps", "c")
    agent = {"User-Agent": "robot/1.2 (linux)"}
    body = {"data": {"k": "2"}}
    answer = await cluster.send("PATCH", path, body, kind=MERGE, headers=agent)

    assert answer.meta["managedFields"][-1]["manager"] == "robot"


async def test_managed_fields_can_be_forgotten_on_purpose(cluster: Cluster):
    old = (await cluster.config()).body
    old["metadata"]["managedFields"] = [{}]
    answer = (await cluster.put(cluster.at("configmaps", "c"), old)).ok()

    assert "managedFields" not in answer.meta
