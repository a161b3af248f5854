"""Deployments and the other built-in kinds: defaults, generations, subresources, what is kept."""

import pytest

from tests.contract.api.cluster import Cluster, deployment, pod


async def create(cluster: Cluster, body) -> str:
    path = cluster.at("deployments", api="apps/v1")
    (await cluster.post(path, body)).ok()
    return f"{path}/echo"


async def test_a_deployment_gets_its_defaults(cluster: Cluster):
    spec = (await cluster.get(await create(cluster, deployment()))).body["spec"]

    assert (spec["replicas"], spec["progressDeadlineSeconds"]) == (1, 600)
    assert spec["revisionHistoryLimit"] == 10
    rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30
    assert spec["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"


async def test_a_deployment_starts_at_generation_one(cluster: Cluster):
    assert (await cluster.get(await create(cluster, deployment()))).meta["generation"] == 1


GENERATIONS = [
    ("replicas", {"spec": {"replicas": 3}}, "", 2),
    ("image", {"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}}, "", 2),
    ("annotations", {"metadata": {"annotations": {"a": "b"}}}, "", 2),
    ("labels", {"metadata": {"labels": {"a": "b"}}}, "", 1),
    ("status", {"status": {"replicas": 1, "readyReplicas": 1}}, "status", 1),
    ("annotations through status", {"metadata": {"annotations": {"a": "b"}}}, "status", 1),
    ("spec sent to status", {"spec": {"replicas": 7}}, "status", 1),
    ("status sent to the object", {"status": {"readyReplicas": 1}}, "", 1),
    ("scale", {"spec": {"replicas": 5}}, "scale", 2),
]


@pytest.mark.parametrize(
    ("patch", "sub", "generation"), [r[1:] for r in GENERATIONS], ids=[r[0] for r in GENERATIONS]
)
async def test_spec_and_annotations_bump_a_deployments_generation(
    cluster: Cluster, patch, sub, generation
):
    path = await create(cluster, deployment())
    where = f"{path}/{sub}" if sub else path
    (await cluster.patch(where, patch, "application/merge-patch+json")).ok()

    assert (await cluster.get(path)).meta["generation"] == generation


async def test_status_is_written_through_its_subresource_only(cluster: Cluster):
    path = await create(cluster, deployment())
    merge = "application/merge-patch+json"
    (await cluster.patch(path, {"status": {"readyReplicas": 1}}, merge)).ok()
    before = (await cluster.get(path)).body["status"]
    (
        await cluster.patch(
            f"{path}/status", {"status": {"readyReplicas": 1, "replicas": 1}}, merge
        )
    ).ok()

    assert "readyReplicas" not in before
    assert (await cluster.get(path)).body["status"]["readyReplicas"] == 1


async def test_a_controller_annotates_a_deployment_through_its_status(cluster: Cluster):
    path = await create(cluster, deployment())
    note = {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}}}
    (await cluster.patch(f"{path}/status", note, "application/merge-patch+json")).ok()

    assert (await cluster.get(path)).meta["annotations"] == note["metadata"]["annotations"]


MALFORMED = [
    ("a spec that is text", "apps/v1:deployments", {"spec": "x"}),
    ("containers that are text", "apps/v1:deployments", {"spec": {"template": {"spec": {"containers": "x"}}}}),
    ("ports that are numbers", "services", {"spec": {"ports": [1]}}),
    ("labels that are a list", "configmaps", {"metadata": {"name": "x", "labels": ["a"]}}),
    ("metadata that is text", "configmaps", {"metadata": "x"}),
    ("a list", "configmaps", []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "body"), [r[1:] for r in MALFORMED], ids=[r[0] for r in MALFORMED]
)
async def test_an_object_of_wrong_types_is_a_bad_request(cluster: Cluster, where, body):
    api, _, plural = where.rpartition(":")
    if isinstance(body, dict):
        body.setdefault("metadata", {"name": "x"})
    answer = await cluster.post(cluster.at(plural, api=api or "v1"), body)

    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")


async def test_status_sent_on_creation_is_dropped(cluster: Cluster):
    path = await create(cluster, {**deployment(), "status": {"readyReplicas": 9}})

    assert "readyReplicas" not in (await cluster.get(path)).body.get("status", {})


async def test_a_selector_must_match_the_template(cluster: Cluster):
    body = deployment(selector={"matchLabels": {"other": "x"}})
    answer = await cluster.post(cluster.at("deployments", api="apps/v1"), body)

    assert answer.code == 422
    assert "spec.template.metadata.labels" in answer.body["message"]


async def test_a_selector_never_changes(cluster: Cluster):
    path = await create(cluster, deployment())
    template = {"metadata": {"labels": {"app": "echo", "x": "y"}}}
    patch = {"spec": {"selector": {"matchLabels": {"x": "y"}}, "template": template}}
    answer = await cluster.patch(path, patch, "application/merge-patch+json")

    assert answer.code == 422
    assert "field is immutable" in answer.body["message"]


async def test_scale_shows_and_sets_replicas(cluster: Cluster):
    path = f"{await create(cluster, deployment(replicas=2))}/scale"
    scale = (await cluster.get(path)).body
    scale["spec"]["replicas"] = 4
    written = (await cluster.put(path, scale)).ok().body

    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["status"]["selector"] == "app=echo"
    assert written["spec"]["replicas"] == 4


async def test_scale_with_a_stale_version_is_a_conflict(cluster: Cluster):
    path = await create(cluster, deployment())
    scale = (await cluster.get(f"{path}/scale")).body
    (await cluster.patch(path, {"spec": {"paused": True}}, "application/merge-patch+json")).ok()

    assert (await cluster.put(f"{path}/scale", scale)).code == 409


# ---------------------------------------------------------------- other built-in kinds


async def test_a_service_gets_an_address_that_stays(cluster: Cluster):
    body = {"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}
    spec = (await cluster.post(cluster.at("services"), body)).ok().body["spec"]
    again = (await cluster.put(cluster.at("services", "s"), body)).ok().body["spec"]

    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["type"], spec["clusterIPs"]) == ("ClusterIP", [spec["clusterIP"]])
    assert again["clusterIP"] == spec["clusterIP"]


async def test_a_pod_is_pending_until_somebody_says_otherwise(cluster: Cluster):
    (await cluster.post(cluster.at("pods"), pod())).ok()
    path = cluster.at("pods", "p", "status")
    patch = {"status": {"phase": "Running", "podIP": "192.0.2.7"}}
    before = (await cluster.get(cluster.at("pods", "p"))).body["status"]["phase"]
    (await cluster.patch(path, patch, "application/strategic-merge-patch+json")).ok()

    assert before == "Pending"
    assert (await cluster.get(cluster.at("pods", "p"))).body["status"]["podIP"] == "192.0.2.7"


async def test_a_binding_puts_a_pod_on_a_node_once(cluster: Cluster):
    (await cluster.post(cluster.at("pods"), pod())).ok()
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"},
               "target": {"kind": "Node", "name": "n1"}}  # fmt: skip
    first = await cluster.post(cluster.at("pods", "p", "binding"), binding)
    second = await cluster.post(cluster.at("pods", "p", "binding"), binding)
    body = (await cluster.get(cluster.at("pods", "p"))).body

    assert (first.code, second.code, body["spec"]["nodeName"]) == (201, 409, "n1")
    assert body["status"]["conditions"][0]["type"] == "PodScheduled"


async def test_both_event_apis_show_one_event(cluster: Cluster):
    event = {
        "metadata": {"name": "e"},
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "reportingController": "crossfade",
        "reportingInstance": "crossfade-1",
        "action": "Raise",
        "reason": "AnalysisPassed",
        "type": "Normal",
        "note": "to 25 %",
        "regarding": {"kind": "Deployment", "namespace": cluster.namespace, "name": "echo"},
    }
    (await cluster.post(cluster.at("events", api="events.k8s.io/v1"), event)).ok()
    old = (await cluster.get(cluster.at("events", "e"))).body
    new = (await cluster.get(cluster.at("events", "e", api="events.k8s.io/v1"))).body

    assert (old["message"], old["involvedObject"]["name"]) == ("to 25 %", "echo")
    assert (new["note"], new["regarding"]["name"]) == ("to 25 %", "echo")
    assert old["metadata"]["uid"] == new["metadata"]["uid"]


async def test_a_review_answers_whether_one_may(cluster: Cluster):
    asked = {"verb": "get", "resource": "pods", "namespace": cluster.namespace}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = await cluster.post(path, {"spec": {"resourceAttributes": asked}})

    assert (answer.code, answer.body["status"]["allowed"]) == (201, True)


@pytest.mark.parametrize("plural", ["configmaps", "pods", "services", "secrets", "endpoints"])
async def test_what_a_client_sent_is_not_lost(cluster: Cluster, plural):
    body = {**pod("x"), "kind": {"configmaps": "ConfigMap", "pods": "Pod", "services": "Service",
                                 "secrets": "Secret", "endpoints": "Endpoints"}[plural]}  # fmt: skip
    if plural == "services":
        body["spec"] = {"ports": [{"port": 80, "name": "http", "targetPort": "web"}]}
    elif plural != "pods":
        del body["spec"]
    body["metadata"]["annotations"] = {"note": "ü <&> \u2028", "empty": ""}
    (await cluster.post(cluster.at(plural), body)).ok()
    read = (await cluster.get(cluster.at(plural, "x"))).body

    assert read["metadata"]["annotations"] == body["metadata"]["annotations"]
    if plural == "services":
        port = {"port": 80, "name": "http", "targetPort": "web", "protocol": "TCP"}
        assert read["spec"]["ports"] == [port]
