"""Deleting: preconditions, finalizers, owners and dependents, namespaces, pods with grace."""

import pytest

from tests.contract.api.cluster import MERGE, Cluster, config, deployment, pod


async def test_a_delete_answers_success_with_the_uid(cluster: Cluster):
    created = await cluster.config()
    answer = await cluster.delete(cluster.at("configmaps", "c"))

    assert (answer.code, answer.body["kind"], answer.body["status"]) == (200, "Status", "Success")
    details = {"name": "c", "kind": "configmaps", "uid": created.meta["uid"]}
    assert answer.body["details"] == details


async def test_a_delete_of_nothing_is_not_found(cluster: Cluster):
    assert (await cluster.delete(cluster.at("configmaps", "c"))).code == 404


@pytest.mark.parametrize("name", ["uid", "resourceVersion"])
async def test_a_precondition_that_does_not_hold_is_a_conflict(cluster: Cluster, name):
    created = await cluster.config()
    path = cluster.at("configmaps", "c")
    wrong = await cluster.delete(path, {"preconditions": {name: "1"}})
    right = await cluster.delete(path, {"preconditions": {name: created.meta[name]}})

    assert (wrong.code, wrong.body["reason"], right.code) == (409, "Conflict", 200)
    assert "in the precondition (1) does not match" in wrong.body["message"]


async def test_a_finalizer_keeps_an_object_until_it_is_taken_off(cluster: Cluster):
    created = await cluster.config(finalizers=["example.com/wait"])
    path = cluster.at("configmaps", "c")
    (await cluster.delete(path)).ok()
    waiting = await cluster.get(path)
    (await cluster.patch(path, {"metadata": {"finalizers": None}}, MERGE)).ok()

    assert waiting.meta["deletionTimestamp"]
    assert waiting.meta["uid"] == created.meta["uid"]
    assert (await cluster.get(path)).code == 404


async def test_a_second_delete_of_a_waiting_object_changes_nothing(cluster: Cluster):
    await cluster.config(finalizers=["example.com/wait"])
    path = cluster.at("configmaps", "c")
    (await cluster.delete(path)).ok()
    first = (await cluster.get(path)).meta
    (await cluster.delete(path)).ok()

    assert (await cluster.get(path)).meta == first
    (await cluster.patch(path, {"metadata": {"finalizers": None}}, MERGE)).ok()


async def owned(cluster: Cluster, uid: str, name: str = "owned", **more) -> str:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": uid, **more}
    await cluster.config(name, ownerReferences=[owner])
    return cluster.at("configmaps", name)


async def test_dependents_go_after_their_owner(cluster: Cluster):
    child = await owned(cluster, (await cluster.config()).meta["uid"])
    (await cluster.delete(cluster.at("configmaps", "c"))).ok()

    await cluster.gone(child)


async def test_dependents_of_dependents_go_too(cluster: Cluster):
    child = await owned(cluster, (await cluster.config()).meta["uid"])
    grandchild = await owned(cluster, (await cluster.get(child)).meta["uid"], "grandchild")
    (await cluster.delete(cluster.at("configmaps", "c"))).ok()

    await cluster.gone(grandchild)


async def test_a_dependent_with_another_owner_stays(cluster: Cluster):
    first = await cluster.config()
    other = await cluster.config("other")
    owners = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": answer.meta["uid"]}
        for name, answer in (("c", first), ("other", other))
    ]
    await cluster.config("owned", ownerReferences=owners)
    (await cluster.delete(cluster.at("configmaps", "c"))).ok()
    path = cluster.at("configmaps", "owned")
    left = await cluster.until(path, lambda a: len(a.meta["ownerReferences"]) == 1)

    assert left.meta["ownerReferences"][0]["name"] == "other"


async def test_orphans_stay_and_lose_their_owner(cluster: Cluster):
    child = await owned(cluster, (await cluster.config()).meta["uid"])
    path = cluster.at("configmaps", "c")
    (await cluster.delete(path, {"propagationPolicy": "Orphan"})).ok()
    await cluster.gone(path)

    assert "ownerReferences" not in (await cluster.get(child)).meta


async def test_foreground_deletion_waits_for_dependents(cluster: Cluster):
    uid = (await cluster.config()).meta["uid"]
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "c",
        "uid": uid,
        "blockOwnerDeletion": True,
    }
    await cluster.config("owned", ownerReferences=[owner], finalizers=["example.com/wait"])
    path, child = cluster.at("configmaps", "c"), cluster.at("configmaps", "owned")
    answer = await cluster.delete(path, {"propagationPolicy": "Foreground"})
    waiting = await cluster.get(path)
    await cluster.until(child, lambda a: "deletionTimestamp" in a.meta)
    (await cluster.patch(child, {"metadata": {"finalizers": None}}, MERGE)).ok()

    assert answer.code in {200, 202}
    assert waiting.meta["finalizers"] == ["foregroundDeletion"]
    await cluster.gone(path)


async def test_an_unknown_propagation_is_refused(cluster: Cluster):
    await cluster.config()
    answer = await cluster.delete(cluster.at("configmaps", "c"), {"propagationPolicy": "Sideways"})

    assert answer.code == 422


async def test_deleting_bumps_the_generation_of_a_waiting_object(cluster: Cluster):
    body = deployment()
    body["metadata"]["finalizers"] = ["example.com/wait"]
    path = cluster.at("deployments", "echo", api="apps/v1")
    (await cluster.post(cluster.at("deployments", api="apps/v1"), body)).ok()
    (await cluster.delete(path)).ok()

    assert (await cluster.get(path)).meta["generation"] == 2
    (await cluster.patch(path, {"metadata": {"finalizers": None}}, MERGE)).ok()


async def test_an_unscheduled_pod_goes_at_once(cluster: Cluster):
    (await cluster.post(cluster.at("pods"), pod())).ok()
    answer = (await cluster.delete(cluster.at("pods", "p"))).ok()

    assert answer.body["kind"] == "Pod"
    assert (await cluster.get(cluster.at("pods", "p"))).code == 404


async def test_a_pod_on_a_node_waits_for_the_node(cluster: Cluster):
    body = pod()
    body["spec"]["nodeName"] = "n1"
    (await cluster.post(cluster.at("pods"), body)).ok()
    path = cluster.at("pods", "p")
    (await cluster.delete(path)).ok()
    waiting = await cluster.get(path)
    (await cluster.delete(path, {"gracePeriodSeconds": 0})).ok()

    assert waiting.meta["deletionGracePeriodSeconds"] == 30
    assert waiting.meta["deletionTimestamp"] > waiting.meta["creationTimestamp"]
    assert (await cluster.get(path)).code == 404


async def test_a_namespace_takes_its_contents_along(cluster: Cluster):
    await cluster.config()
    (await cluster.post(cluster.at("deployments", api="apps/v1"), deployment())).ok()
    path = f"/api/v1/namespaces/{cluster.namespace}"
    (await cluster.delete(path)).ok()
    await cluster.gone(path)

    assert (await cluster.get(cluster.at("configmaps", "c"))).code == 404
    assert (await cluster.get(cluster.at("deployments", "echo", api="apps/v1"))).code == 404


async def test_nothing_is_created_in_a_namespace_that_goes(cluster: Cluster):
    await cluster.config(finalizers=["example.com/wait"])
    path = f"/api/v1/namespaces/{cluster.namespace}"
    (await cluster.delete(path)).ok()
    answer = await cluster.post(cluster.at("configmaps"), config("late"))
    phase = (await cluster.get(path)).body["status"]["phase"]
    (
        await cluster.patch(
            cluster.at("configmaps", "c"), {"metadata": {"finalizers": None}}, MERGE
        )
    ).ok()

    assert (answer.code, answer.body["reason"], phase) == (403, "Forbidden", "Terminating")
    assert "because it is being terminated" in answer.body["message"]
    await cluster.gone(path)
