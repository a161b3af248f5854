"""Creating, reading, replacing: versions, identity, generation, and how refusals are worded."""

import pytest

from tests.contract.api.cluster import GROUP, Cluster, config, pod, widget

REFUSALS = [
    ("a missing object", "GET", "configmaps/nope", None, 404, "NotFound", 'configmaps "nope" not found'),
    ("a missing object of a group", "GET", "apps/v1:deployments/nope", None, 404, "NotFound",
     'deployments.apps "nope" not found'),
    ("a name that is no name", "POST", "configmaps", config("Not_A_Name"), 422, "Invalid",
     'ConfigMap "Not_A_Name" is invalid: metadata.name: Invalid value'),
    ("an object without a name", "POST", "configmaps", {"metadata": {}}, 422, "Invalid",
     "name or generateName is required"),
    ("another kind than the path's", "POST", "configmaps", pod(), 400, "BadRequest",
     'Pod in version "v1" cannot be handled as a ConfigMap'),
    ("no JSON", "POST", "configmaps", b"{", 400, "BadRequest", ""),
    ("an unknown resource", "GET", "apps/v1:nothings", None, 404, "NotFound",
     "the server could not find the requested resource"),
    ("a label that is none", "POST", "configmaps", config(labels={"a": "-b-"}), 422, "Invalid",
     "metadata.labels: Invalid value"),
    ("a label that is a number", "POST", "configmaps", config(labels={"a": 1}), 400, "BadRequest",
     "cannot unmarshal number into Go struct field"),
    ("a name that differs from the URL's", "PUT", "configmaps/other", config("c"), 400, "BadRequest",
     "does not match the name on the URL"),
    ("an unknown fieldValidation", "POST", "configmaps?fieldValidation=Perhaps", config(), 422,
     "Invalid", "fieldValidation"),
    ("an unknown dryRun", "POST", "configmaps?dryRun=Some", config(), 422, "Invalid", "dryRun"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "where", "body", "code", "reason", "message"),
    [row[1:] for row in REFUSALS],
    ids=[row[0] for row in REFUSALS],
)
async def test_a_refusal_is_a_status_that_says_what_is_wrong(
    cluster: Cluster, *, method, where, body, code, reason, message
):
    api, _, path = where.rpartition(":")
    path, _, query = path.partition("?")
    options = dict([query.split("=")]) if query else {}
    answer = await cluster.send(method, cluster.at(path, api=api or "v1"), body, **options)

    assert (answer.code, answer.body["kind"], answer.body["status"]) == (code, "Status", "Failure")
    assert (answer.body["reason"], answer.body["code"]) == (reason, code)
    assert message in answer.body["message"]


async def test_details_of_a_404_name_the_object(cluster: Cluster):
    answer = await cluster.get(cluster.at("deployments", "nope", api="apps/v1"))

    assert answer.body["details"] == {"name": "nope", "group": "apps", "kind": "deployments"}


async def test_a_created_object_has_uid_time_and_version(cluster: Cluster):
    answer = await cluster.config()

    assert answer.code == 201
    assert len(answer.meta["uid"]) == 36
    assert answer.meta["creationTimestamp"].endswith("Z")
    assert int(answer.meta["resourceVersion"]) > 0


async def test_what_a_client_may_not_set_is_set_by_the_server(cluster: Cluster):
    sent = config(uid="mine", creationTimestamp="2001-01-01T00:00:00Z")
    answer = (await cluster.post(cluster.at("configmaps"), sent)).ok()

    assert answer.meta["uid"] != "mine"
    assert answer.meta["creationTimestamp"] > "2020"


async def test_a_second_object_of_one_name_is_refused(cluster: Cluster):
    await cluster.config()
    answer = await cluster.post(cluster.at("configmaps"), config())

    assert (answer.code, answer.body["reason"]) == (409, "AlreadyExists")
    assert answer.body["message"] == 'configmaps "c" already exists'


async def test_a_namespace_must_exist(cluster: Cluster):
    answer = await cluster.post("/api/v1/namespaces/nowhere/configmaps", config())

    assert (answer.code, answer.body["message"]) == (404, 'namespaces "nowhere" not found')


async def test_default_and_kube_system_are_there(cluster: Cluster):
    listed = (await cluster.get("/api/v1/namespaces")).body["items"]

    assert {"default", "kube-system"} <= {item["metadata"]["name"] for item in listed}


async def test_a_generated_name_begins_with_the_prefix(cluster: Cluster):
    body = {"metadata": {"generateName": "run-"}}
    names = [(await cluster.post(cluster.at("configmaps"), body)).meta["name"] for _ in range(3)]

    assert len(set(names)) == 3
    assert all(name.startswith("run-") and len(name) == 9 for name in names)


async def test_resource_versions_grow_over_all_kinds(cluster: Cluster):
    first = await cluster.config("a")
    second = (await cluster.post(cluster.at("pods"), pod())).ok()
    third = await cluster.config("b")

    versions = [int(answer.meta["resourceVersion"]) for answer in (first, second, third)]
    assert versions == sorted(set(versions))


async def test_a_deleted_and_created_object_has_another_uid(cluster: Cluster):
    first = await cluster.config()
    await cluster.delete(cluster.at("configmaps", "c"))
    second = await cluster.config()

    assert first.meta["uid"] != second.meta["uid"]


async def test_put_with_a_stale_version_is_a_conflict(cluster: Cluster):
    old = (await cluster.config()).body
    path = cluster.at("configmaps", "c")
    (await cluster.put(path, {**old, "data": {"k": "2"}})).ok()

    answer = await cluster.put(path, {**old, "data": {"k": "3"}})

    assert (answer.code, answer.body["reason"]) == (409, "Conflict")
    assert answer.body["message"] == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_put_with_another_uid_is_a_conflict(cluster: Cluster):
    old = (await cluster.config()).body
    old["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    answer = await cluster.put(cluster.at("configmaps", "c"), old)

    assert answer.code == 409
    assert "Precondition failed: UID in precondition" in answer.body["message"]


async def test_put_without_a_version_overwrites_a_built_in_kind(cluster: Cluster):
    await cluster.config()
    answer = await cluster.put(cluster.at("configmaps", "c"), config(data={"k": "2"}))

    assert (answer.code, answer.body["data"]) == (200, {"k": "2"})


async def test_put_without_a_version_is_refused_for_a_custom_kind(widgets: Cluster):
    path = widgets.at("widgets", api=f"{GROUP}/v1")
    (await widgets.post(path, widget())).ok()
    answer = await widgets.put(f"{path}/w", widget())

    assert answer.code == 422
    assert "metadata.resourceVersion" in answer.body["message"]


async def test_a_lease_is_not_replaced_without_a_version(cluster: Cluster):
    path = cluster.at("leases", api="coordination.k8s.io/v1")
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}
    (await cluster.post(path, lease)).ok()

    assert (await cluster.put(f"{path}/l", lease)).code == 422


async def test_put_of_nothing_is_not_found(cluster: Cluster):
    assert (await cluster.put(cluster.at("configmaps", "c"), config())).code == 404


async def test_a_write_that_changes_nothing_leaves_the_version(cluster: Cluster):
    old = (await cluster.config()).body
    answer = await cluster.put(cluster.at("configmaps", "c"), old)

    assert answer.meta["resourceVersion"] == old["metadata"]["resourceVersion"]


async def test_dry_run_creates_nothing(cluster: Cluster):
    answer = await cluster.post(cluster.at("configmaps"), config(), dryRun="All")

    assert (answer.code, answer.meta["name"]) == (201, "c")
    assert "resourceVersion" not in answer.meta
    assert (await cluster.get(cluster.at("configmaps", "c"))).code == 404


async def test_dry_run_replaces_and_deletes_nothing(cluster: Cluster):
    old = (await cluster.config()).body
    path = cluster.at("configmaps", "c")
    changed = (await cluster.put(path, {**old, "data": {"k": "2"}}, dryRun="All")).ok()
    (await cluster.delete(path, dryRun="All")).ok()

    assert changed.body["data"] == {"k": "2"}
    assert (await cluster.get(path)).body == old


async def test_a_dry_run_still_refuses(cluster: Cluster):
    await cluster.config()

    assert (await cluster.post(cluster.at("configmaps"), config(), dryRun="All")).code == 409


async def test_secrets_take_plain_text(cluster: Cluster):
    body = {"metadata": {"name": "s"}, "stringData": {"a": "b"}}
    answer = (await cluster.post(cluster.at("secrets"), body)).ok()

    assert (answer.body["data"], answer.body["type"]) == ({"a": "Yg=="}, "Opaque")
    assert "stringData" not in answer.body


async def test_every_answer_has_a_date(cluster: Cluster):
    ok, missing = await cluster.get("/version"), await cluster.get(cluster.at("pods", "nope"))

    assert ok.headers["Date"].endswith("GMT")
    assert missing.headers["Date"].endswith("GMT")
