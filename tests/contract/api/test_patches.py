"""Merge and strategic merge patches, and content types."""

import io
import json

import pytest

from tests.contract.api.cluster import (
    GROUP,
    MERGE,
    STRATEGIC,
    Cluster,
    config,
    deployment,
    gadget,
    widget,
)


@pytest.fixture
async def path(cluster: Cluster) -> str:
    body = deployment()
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    body["metadata"]["finalizers"] = ["example.com/one"]
    (await cluster.post(cluster.at("deployments", api="apps/v1"), body)).ok()
    return cluster.at("deployments", "echo", api="apps/v1")


def containers(answer):
    return answer.ok().body["spec"]["template"]["spec"]["containers"]


def template(*found, **more):
    return {"spec": {"template": {"spec": {"containers": list(found), **more}}}}


async def test_a_merge_patch_replaces_a_list(cluster: Cluster, path):
    answer = await cluster.patch(path, template({"name": "new", "image": "new:1"}), MERGE)

    assert [container["name"] for container in containers(answer)] == ["new"]


async def test_null_in_a_merge_patch_removes(cluster: Cluster):
    await cluster.config(data={"a": "1", "b": "2"})
    answer = await cluster.patch(cluster.at("configmaps", "c"), {"data": {"a": None}}, MERGE)

    assert answer.body["data"] == {"b": "2"}


async def test_a_merge_patch_with_a_stale_version_is_a_conflict(cluster: Cluster):
    await cluster.config()
    body = {"metadata": {"resourceVersion": "1"}, "data": {"a": "2"}}

    assert (await cluster.patch(cluster.at("configmaps", "c"), body, MERGE)).code == 409


async def test_a_strategic_patch_merges_containers_by_name(cluster: Cluster, path):
    patch = template({"name": "echo", "image": "echo:2"}, {"name": "side", "image": "side:1"})
    found = containers(await cluster.patch(path, patch, STRATEGIC))

    assert {c["name"]: c["image"] for c in found} == {"echo": "echo:2", "side": "side:1"}
    assert found[0]["name"] == "echo" or found[1]["name"] == "echo"


async def test_a_strategic_patch_merges_env_by_name(cluster: Cluster, path):
    patch = template({"name": "echo", "env": [{"name": "B", "value": "3"}]})
    env = containers(await cluster.patch(path, patch, STRATEGIC))[0]["env"]

    assert env == [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}]


async def test_a_strategic_patch_deletes_an_item_by_directive(cluster: Cluster, path):
    patch = template({"name": "echo", "env": [{"name": "A", "$patch": "delete"}]})
    env = containers(await cluster.patch(path, patch, STRATEGIC))[0]["env"]

    assert env == [{"name": "B", "value": "2"}]


async def test_a_strategic_patch_replaces_a_list_by_directive(cluster: Cluster, path):
    patch = template({"name": "other", "image": "other:1"}, {"$patch": "replace"})

    assert [c["name"] for c in containers(await cluster.patch(path, patch, STRATEGIC))] == ["other"]


async def test_a_strategic_patch_orders_a_list(cluster: Cluster, path):
    patch = template({
        "name": "echo",
        "env": [{"name": "C", "value": "3"}],
        "$setElementOrder/env": [{"name": "C"}, {"name": "B"}, {"name": "A"}],
    })  # fmt: skip
    env = containers(await cluster.patch(path, patch, STRATEGIC))[0]["env"]

    assert [item["name"] for item in env] == ["C", "B", "A"]


async def test_a_strategic_patch_replaces_a_map_by_directive(cluster: Cluster, path):
    strategy = {"$patch": "replace", "type": "Recreate"}
    answer = await cluster.patch(path, {"spec": {"strategy": strategy}}, STRATEGIC)

    assert answer.ok().body["spec"]["strategy"] == {"type": "Recreate"}


async def test_a_strategic_patch_retains_keys(cluster: Cluster, path):
    strategy = {"$retainKeys": ["type"], "type": "Recreate"}
    answer = await cluster.patch(path, {"spec": {"strategy": strategy}}, STRATEGIC)

    assert answer.ok().body["spec"]["strategy"] == {"type": "Recreate"}


async def test_a_strategic_patch_edits_a_set_of_finalizers(cluster: Cluster, path):
    added = {"metadata": {"finalizers": ["example.com/two"]}}
    removed = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/one"]}}
    first = (await cluster.patch(path, added, STRATEGIC)).ok().meta["finalizers"]
    second = (await cluster.patch(path, removed, STRATEGIC)).ok().meta["finalizers"]

    assert (sorted(first), second) == (["example.com/one", "example.com/two"], ["example.com/two"])


async def test_a_strategic_patch_merges_conditions_by_type(cluster: Cluster, path):
    def conditions(*found):
        return {"status": {"conditions": [{"type": t, "status": s} for t, s in found]}}

    status = f"{path}/status"
    (await cluster.patch(status, conditions(("Available", "False")), STRATEGIC)).ok()
    patch = conditions(("Available", "True"), ("Progressing", "True"))
    found = (await cluster.patch(status, patch, STRATEGIC)).ok().body["status"]["conditions"]

    assert {c["type"]: c["status"] for c in found} == {"Available": "True", "Progressing": "True"}


async def test_a_custom_kind_has_no_strategic_merge(widgets: Cluster):
    api = f"{GROUP}/v1"
    (await widgets.post(widgets.at("widgets", api=api), widget())).ok()
    answer = await widgets.patch(widgets.at("widgets", "w", api=api), {}, STRATEGIC)

    assert (answer.code, answer.body["reason"]) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize("kind", ["text/csv", "application/json"])
async def test_a_patch_of_an_unknown_type_is_refused(cluster: Cluster, kind):
    await cluster.config()

    assert (await cluster.patch(cluster.at("configmaps", "c"), {}, kind)).code == 415


async def test_yaml_is_read(cluster: Cluster):
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: written\ndata: {a: b}\n"
    answer = await cluster.send("POST", cluster.at("configmaps"), body, kind="application/yaml")

    assert (answer.code, answer.body["data"]) == (201, {"a": "b"})


async def test_a_body_over_three_megabytes_is_refused(cluster: Cluster):
    body = io.BytesIO(json.dumps(config(data={"a": "x" * 3_200_000})).encode())
    url = cluster.base + cluster.at("configmaps")
    headers = {"Content-Type": "application/json", **cluster.headers}
    async with cluster.session.post(url, data=body, headers=headers) as answer:
        assert answer.status == 413


async def test_a_patch_of_nothing_is_not_found(gadgets: Cluster):
    path = gadgets.at("gadgets", "nope", api=f"{GROUP}/v1")

    assert (await gadgets.patch(path, gadget(), MERGE)).code == 404
