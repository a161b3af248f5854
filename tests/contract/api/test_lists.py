"""Lists: selectors, pages that fit together, and resourceVersion rules."""

import pytest

from tests.contract.api.cluster import Cluster, config, pod

LABELLED = {
    "a": {"app": "echo", "v": "1"},
    "b": {"app": "echo", "v": "2"},
    "c": {"app": "web"},
    "d": {},
}
SELECTORS = [
    ("app=echo", "ab"),
    ("app==echo", "ab"),
    ("app!=echo", "cd"),
    ("app in (echo,web)", "abc"),
    ("app notin (echo)", "cd"),
    ("v", "ab"),
    ("!v", "cd"),
    ("app=echo,v=2", "b"),
    ("app in (echo),v!=2", "a"),
    ("", "abcd"),
    ("app=", ""),
]


@pytest.fixture
async def path(cluster: Cluster) -> str:
    for name, labels in LABELLED.items():
        await cluster.config(name, labels=labels)
    return cluster.at("configmaps")


def names(answer) -> str:
    """Names in the order of the list; a real cluster puts its own ConfigMap beside ours."""
    listed = [item["metadata"]["name"] for item in answer.ok().body["items"]]
    return "".join(name for name in listed if name in LABELLED)


@pytest.mark.parametrize(
    ("selector", "found"), SELECTORS, ids=[row[0] or "none" for row in SELECTORS]
)
async def test_a_label_selector(cluster: Cluster, path, selector, found):
    assert names(await cluster.get(path, labelSelector=selector)) == found


@pytest.mark.parametrize("selector", ["a b", "app in echo", "(", "=x"])
async def test_a_selector_that_cannot_be_read_is_a_bad_request(cluster: Cluster, path, selector):
    assert (await cluster.get(path, labelSelector=selector)).code == 400


async def test_a_field_selector_by_name(cluster: Cluster, path):
    assert names(await cluster.get(path, fieldSelector="metadata.name=b")) == "b"
    assert names(await cluster.get(path, fieldSelector="metadata.name!=b")) == "acd"


async def test_a_field_that_cannot_be_selected_is_a_bad_request(cluster: Cluster, path):
    assert (await cluster.get(path, fieldSelector="data.k=v")).code == 400


async def test_pods_are_selected_by_phase_and_node(cluster: Cluster):
    (await cluster.post(cluster.at("pods"), pod())).ok()
    pods = cluster.at("pods")
    found = [
        len((await cluster.get(pods, fieldSelector=selector)).body["items"])
        for selector in ("status.phase=Pending", "status.phase=Running", "spec.nodeName=")
    ]

    assert found == [1, 0, 1]


async def test_events_are_selected_by_what_they_are_about(cluster: Cluster):
    for name in ("echo", "web"):
        about = {"kind": "Deployment", "name": name, "namespace": cluster.namespace}
        body = {"metadata": {"name": f"e-{name}"}, "involvedObject": about, "reason": "R"}
        (await cluster.post(cluster.at("events"), body)).ok()
    selector = "involvedObject.name=echo,involvedObject.kind=Deployment"
    found = (await cluster.get(cluster.at("events"), fieldSelector=selector)).body["items"]

    assert [item["metadata"]["name"] for item in found] == ["e-echo"]


async def test_a_list_has_kind_and_version(cluster: Cluster, path):
    answer = (await cluster.get(path)).ok()

    assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMapList", "v1")
    assert int(answer.meta["resourceVersion"]) > 0


async def test_a_list_over_all_namespaces(cluster: Cluster, path):
    found = (await cluster.get("/api/v1/configmaps", labelSelector="app=echo")).ok().body["items"]
    homes = {item["metadata"]["namespace"] for item in found}

    assert cluster.namespace in homes


async def test_pages_cover_everything_once(cluster: Cluster, path):
    found, token = "", ""
    for _ in range(10):
        query = {"limit": "2", "labelSelector": "app", **({"continue": token} if token else {})}
        answer = await cluster.get(path, **query)
        found += names(answer)
        assert len(answer.body["items"]) <= 2
        token = answer.meta.get("continue", "")
        if not token:
            break

    assert found == "abc"


async def test_a_page_says_how_many_remain(cluster: Cluster, path):
    whole = len((await cluster.get(path)).body["items"])
    first = await cluster.get(path, limit="1")
    last = await cluster.get(path, limit="500")

    assert first.meta["remainingItemCount"] == whole - 1
    assert "remainingItemCount" not in last.meta


async def test_pages_show_one_moment(cluster: Cluster, path):
    first = (await cluster.get(path, limit="1", labelSelector="app")).ok()
    await cluster.config("bb", labels={"app": "late"})
    (await cluster.delete(f"{path}/c")).ok()
    token = {"continue": first.meta["continue"]}
    second = await cluster.get(path, limit="9", labelSelector="app", **token)

    assert names(first) + names(second) == "abc"
    assert second.meta["resourceVersion"] == first.meta["resourceVersion"]


async def test_a_token_that_is_none_is_a_bad_request(cluster: Cluster, path):
    assert (await cluster.get(path, limit="1", **{"continue": "nonsense"})).code == 400


async def test_a_version_from_the_future_is_a_timeout(cluster: Cluster, path):
    answer = await cluster.get(
        path, resourceVersion="999999999999", resourceVersionMatch="NotOlderThan"
    )

    assert answer.code == 504
    assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_an_exact_version_shows_that_moment(cluster: Cluster, path):
    before = (await cluster.get(path)).meta["resourceVersion"]
    (await cluster.delete(f"{path}/a")).ok()
    answer = await cluster.get(path, resourceVersion=before, resourceVersionMatch="Exact")

    assert names(answer) == "abcd"


async def test_a_page_of_a_forgotten_moment_is_gone(cluster: Cluster, server, path):
    token = (await cluster.get(path, limit="1")).meta["continue"]
    await cluster.config("e")
    server.store.storage.forget()
    answer = await cluster.get(path, limit="1", **{"continue": token})

    assert (answer.code, answer.body["reason"]) == (410, "Expired")


async def test_a_collection_is_deleted_by_selector(cluster: Cluster, path):
    (await cluster.delete(path, labelSelector="app=echo")).ok()

    assert names(await cluster.get(path)) == "cd"


async def test_a_thousand_objects_are_listed(cluster: Cluster, server):
    from daemon.ports import Resource

    resource = Resource("", "v1", "configmaps", "ConfigMap")
    for number in range(1_000):
        server.store.create(resource, cluster.namespace, config(f"n{number:04}"))
    items = (await cluster.get(cluster.at("configmaps"))).body["items"]

    assert [item["metadata"]["name"] for item in items] == [f"n{n:04}" for n in range(1_000)]
