"""How clients find out what there is: discovery, versions, OpenAPI, tables."""

import pytest

from tests.contract.api.cluster import GROUP, TABLE, Cluster, deployment, pod

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
KINDS = [
    ("v1", "namespaces", "Namespace", False), ("v1", "pods", "Pod", True),
    ("v1", "services", "Service", True), ("v1", "endpoints", "Endpoints", True),
    ("v1", "configmaps", "ConfigMap", True), ("v1", "secrets", "Secret", True),
    ("v1", "events", "Event", True), ("v1", "serviceaccounts", "ServiceAccount", True),
    ("v1", "nodes", "Node", False), ("apps/v1", "deployments", "Deployment", True),
    ("apps/v1", "replicasets", "ReplicaSet", True),
    ("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", True),
    ("coordination.k8s.io/v1", "leases", "Lease", True),
    ("events.k8s.io/v1", "events", "Event", True),
    ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True),
    ("rbac.authorization.k8s.io/v1", "roles", "Role", True),
    ("rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", False),
    ("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", True),
    ("rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding", False),
    ("authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
    ("authorization.k8s.io/v1", "subjectaccessreviews", "SubjectAccessReview", False),
    ("authentication.k8s.io/v1", "tokenreviews", "TokenReview", False),
    ("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("api", "plural", "kind", "namespaced"), KINDS, ids=[f"{r[0]}:{r[1]}" for r in KINDS]
)
async def test_a_built_in_kind_is_served(cluster: Cluster, api, plural, kind, namespaced):
    root = f"/apis/{api}" if "/" in api else f"/api/{api}"
    listed = (await cluster.get(root)).ok().body["resources"]
    found = next(item for item in listed if item["name"] == plural)

    assert (found["kind"], found["namespaced"]) == (kind, namespaced)
    assert "create" in found["verbs"]


async def test_the_version_can_be_parsed(cluster: Cluster):
    body = (await cluster.get("/version")).ok().body

    assert body["gitVersion"].startswith(f"v{body['major']}.{body['minor']}.")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_health_is_ok(cluster: Cluster, path):
    answer = await cluster.get(path)

    assert (answer.code, answer.text) == (200, "ok")


async def test_groups_are_listed_with_a_preferred_version(cluster: Cluster):
    groups = {g["name"]: g for g in (await cluster.get("/apis")).ok().body["groups"]}

    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert (await cluster.get("/apis/apps")).body["kind"] == "APIGroup"


async def test_subresources_are_listed(cluster: Cluster):
    listed = (await cluster.get("/apis/apps/v1")).ok().body["resources"]
    by_name = {item["name"]: item for item in listed}

    assert by_name["deployments/scale"]["kind"] == "Scale"
    assert by_name["deployments/status"]["verbs"] == ["get", "patch", "update"]


async def test_short_names_and_categories_are_listed(gadgets: Cluster):
    apps = (await gadgets.get("/apis/apps/v1")).ok().body["resources"]
    own = (await gadgets.get(f"/apis/{GROUP}/v1")).ok().body["resources"]

    deploy = next(item for item in apps if item["name"] == "deployments")
    assert (deploy["shortNames"], deploy["categories"]) == (["deploy"], ["all"])
    assert next(item for item in own if item["name"] == "gadgets")["shortNames"] == ["sgadget"]


async def test_aggregated_discovery_is_one_document(gadgets: Cluster):
    answer = await gadgets.send("GET", "/apis", accept=AGGREGATED)
    items = {item["metadata"]["name"]: item for item in answer.ok().body["items"]}
    gadget = next(r for r in items[GROUP]["versions"][0]["resources"] if r["resource"] == "gadgets")

    assert "as=APIGroupDiscoveryList" in answer.headers["Content-Type"]
    assert gadget["responseKind"]["kind"] == "Gadget"
    assert {below["subresource"] for below in gadget["subresources"]} == {"status", "scale"}


async def test_openapi_says_that_patch_validates_fields(cluster: Cluster):
    index = (await cluster.get("/openapi/v3")).ok().body["paths"]
    url, _, query = index["apis/apps/v1"]["serverRelativeURL"].partition("?")
    document = (await cluster.get(url, **dict([query.split("=", 1)]))).ok().body
    path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    patch = document["paths"][path]["patch"]

    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert patch["x-kubernetes-group-version-kind"] == kind
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]


@pytest.mark.parametrize("path", ["/nowhere", "/apis/no.such.group", "/apis/apps/v9", "/api/v2"])
async def test_an_unknown_path_is_not_found(cluster: Cluster, path):
    assert (await cluster.get(path)).code == 404


@pytest.mark.parametrize(
    ("path", "method"),
    [("/api/v1/pods", "POST"), ("/api/v1/namespaces", "DELETE")],
    ids=["create without a namespace", "delete all namespaces"],
)
async def test_a_method_that_a_path_lacks_is_refused(cluster: Cluster, path, method):
    assert (await cluster.send(method, path, pod())).code in {404, 405}


async def test_protobuf_is_refused_with_a_hint(cluster: Cluster, server):
    kind = "application/vnd.kubernetes.protobuf"
    answer = await cluster.send("POST", cluster.at("configmaps"), b"k8s\x00", kind=kind)

    assert (answer.code, answer.body["reason"]) == (415, "UnsupportedMediaType")
    assert "kubectl apply -f" in answer.body["message"]


async def test_a_client_that_prefers_protobuf_gets_json(cluster: Cluster):
    accept = "application/vnd.kubernetes.protobuf,application/json"
    answer = await cluster.send("GET", cluster.at("configmaps"), accept=accept)

    assert answer.code == 200


async def test_a_table_of_deployments(cluster: Cluster, server):
    path = cluster.at("deployments", api="apps/v1")
    (await cluster.post(path, deployment(replicas=3))).ok()
    table = (await cluster.send("GET", path, accept=TABLE)).ok().body

    names = [c["name"] for c in table["columnDefinitions"] if not c["priority"]]
    assert names == ["Name", "Ready", "Up-to-date", "Available", "Age"]
    assert table["rows"][0]["cells"][:4] == ["echo", "0/3", 0, 0]


async def test_a_table_may_carry_whole_objects(cluster: Cluster):
    await cluster.config()
    path = cluster.at("configmaps", "c")
    table = (await cluster.send("GET", path, accept=TABLE, includeObject="Object")).ok().body

    assert table["rows"][0]["object"]["data"] == {"k": "v"}


async def test_metadata_alone_can_be_listed(cluster: Cluster):
    await cluster.config()
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    answer = await cluster.send("GET", cluster.at("configmaps"), accept=accept)
    found = next(i for i in answer.ok().body["items"] if i["metadata"]["name"] == "c")

    assert answer.body["kind"] == "PartialObjectMetadataList"
    assert (found["kind"], "data" in found) == ("PartialObjectMetadata", False)


AGES = [
    (0, "0s"), (119, "119s"), (120, "2m"), (185, "3m5s"), (600, "10m"), (10_799, "179m"),
    (10_800, "3h"), (12_000, "3h20m"), (86_400, "24h"), (172_800, "2d"), (187_200, "2d4h"),
    (800_000, "9d"), (-5, "0s"),
]  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), AGES, ids=[text for _, text in AGES])
def test_an_age_reads_as_kubectl_writes_it(seconds, text):
    from daemon.sandbox.api.columns import age_text

    assert age_text(seconds) == text


VERSIONS = ["v2", "v1", "v1beta2", "v1beta1", "v1alpha3", "v1alpha1"]


def test_versions_are_preferred_as_kubernetes_prefers_them():
    from daemon.sandbox.api.resources import version_rank

    assert sorted(sorted(VERSIONS), key=version_rank) == VERSIONS
