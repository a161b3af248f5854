"""Watches: order, resuming, selectors, bookmarks, and how they end."""

import asyncio

import pytest

from tests.contract.api.cluster import MERGE, Cluster, config


@pytest.fixture
def path(cluster: Cluster) -> str:
    return cluster.at("configmaps")


async def version(cluster: Cluster, path: str) -> str:
    return (await cluster.get(path)).meta["resourceVersion"]


async def change(cluster: Cluster, path: str, name: str, **labels: str | None) -> str:
    patch = {"metadata": {"labels": labels}}
    answer = (await cluster.patch(f"{path}/{name}", patch, MERGE)).ok()
    return answer.meta["resourceVersion"]


async def test_a_watch_tells_what_happens_in_order(cluster: Cluster, path):
    async with cluster.watch(path, resourceVersion=await version(cluster, path)) as events:
        await cluster.config()
        await change(cluster, path, "c", a="b")
        await cluster.delete(f"{path}/c")

        assert [await events.told() for _ in range(3)] == ["ADDED c", "MODIFIED c", "DELETED c"]


async def test_versions_of_events_grow_and_a_deletion_has_its_own(cluster: Cluster, path):
    async with cluster.watch(path, resourceVersion=await version(cluster, path)) as events:
        await cluster.config()
        await change(cluster, path, "c", a="b")
        await cluster.delete(f"{path}/c")
        found = [
            int((await events.next())["object"]["metadata"]["resourceVersion"]) for _ in range(3)
        ]

    assert found == sorted(set(found))


async def test_a_watch_resumes_after_a_version_without_gap_or_repeat(cluster: Cluster, path):
    first = await cluster.config("a")
    await cluster.config("b")
    await change(cluster, path, "a", x="y")
    async with cluster.watch(path, resourceVersion=first.meta["resourceVersion"]) as events:
        assert [await events.told() for _ in range(2)] == ["ADDED b", "MODIFIED a"]


async def test_a_watch_without_a_version_begins_with_what_is_there(cluster: Cluster, path):
    await cluster.config("a")
    async with cluster.watch(path, labelSelector="!x") as events:
        seen = {await events.told()}
        while "ADDED a" not in seen:
            seen.add(await events.told())
        await cluster.config("b")

        assert await events.told() == "ADDED b"


async def test_entering_and_leaving_a_selection_is_added_and_deleted(cluster: Cluster, path):
    start = await version(cluster, path)
    async with cluster.watch(path, resourceVersion=start, labelSelector="stage=canary") as events:
        await cluster.config("c", labels={"stage": "stable"})
        await change(cluster, path, "c", stage="canary")
        await change(cluster, path, "c", other="x")
        left = await change(cluster, path, "c", stage="stable")
        await cluster.config("last", labels={"stage": "canary"})

        assert await events.told() == "ADDED c"
        assert await events.told() == "MODIFIED c"
        event = await events.next()
        assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", "c")
        assert event["object"]["metadata"]["resourceVersion"] == left
        assert event["object"]["metadata"]["labels"]["stage"] == "canary"
        assert await events.told() == "ADDED last"


async def test_a_watch_of_one_name_tells_of_that_one(cluster: Cluster, path):
    start = await version(cluster, path)
    async with cluster.watch(
        path, resourceVersion=start, fieldSelector="metadata.name=b"
    ) as events:
        await cluster.config("a")
        await cluster.config("b")

        assert await events.told() == "ADDED b"


async def test_a_watch_of_a_namespace_tells_nothing_of_others(cluster: Cluster, path):
    start = await version(cluster, path)
    async with cluster.watch(path, resourceVersion=start) as events:
        other = "/api/v1/namespaces/default/configmaps"
        name = f"elsewhere-{cluster.namespace}"
        (await cluster.post(other, config(name))).ok()
        (await cluster.delete(f"{other}/{name}")).ok()
        await cluster.config("here")

        assert await events.told() == "ADDED here"


async def test_a_watch_ends_after_its_time(cluster: Cluster, path):
    start = await version(cluster, path)
    async with cluster.watch(path, resourceVersion=start, timeoutSeconds="1") as events:
        assert await events.any() is None


async def test_a_bookmark_carries_only_a_version(cluster: Cluster, server, path):
    query = {"resourceVersion": await version(cluster, path), "allowWatchBookmarks": "true"}
    async with cluster.watch(path, **query) as events:
        event = await events.any()

    assert (event["type"], event["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
    assert int(event["object"]["metadata"]["resourceVersion"]) > 0


async def test_a_bookmark_moves_on_with_changes_of_other_kinds(cluster: Cluster, server, path):
    start = await version(cluster, path)
    async with cluster.watch(path, resourceVersion=start, allowWatchBookmarks="true") as events:
        secret = {"metadata": {"name": "s"}}
        other = (await cluster.post(cluster.at("secrets"), secret)).meta["resourceVersion"]
        marks = [(await events.any())["object"]["metadata"]["resourceVersion"] for _ in range(2)]

    assert marks[-1] == other


async def test_no_bookmarks_where_none_were_asked_for(cluster: Cluster, server, path):
    start = await version(cluster, path)
    async with cluster.watch(path, resourceVersion=start, timeoutSeconds="1") as events:
        await cluster.config()

        assert (await events.any())["type"] == "ADDED"
        assert await events.any() is None


async def test_initial_events_end_with_a_marked_bookmark(cluster: Cluster, path):
    await cluster.config("a")
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan",
             "allowWatchBookmarks": "true", "labelSelector": "!x"}  # fmt: skip
    async with cluster.watch(path, **query) as events:
        seen = []
        while (event := await events.any())["type"] == "ADDED":
            seen.append(event["object"]["metadata"]["name"])
    if "RequestWatchProgress" in event["object"].get("message", ""):
        pytest.skip("this API server's etcd is older than 3.4.25: it has no such watches")

    assert "a" in seen
    assert event["type"] == "BOOKMARK"
    assert event["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_initial_events_need_their_match_rule(cluster: Cluster, path):
    answer = await cluster.get(path, watch="true", sendInitialEvents="true")

    assert answer.code == 422


async def test_a_forgotten_version_is_told_as_an_error_event(cluster: Cluster, server, path):
    start = await version(cluster, path)
    await cluster.config()
    server.store.storage.forget()
    async with cluster.watch(path, resourceVersion=start) as events:
        event = await events.any()

        assert events.answer.status == 200
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        assert event["object"]["reason"] == "Expired"
        assert await events.any() is None


def test_history_is_bounded():
    from daemon.sandbox.api.store import Store

    store = Store(history=10)
    before = store.storage.version
    for number in range(11):
        store.storage.put(
            store.storage.entries("", "namespaces")[0].key, {"metadata": {"n": number}}
        )

    assert store.storage.since(before) is None
    assert len(list(store.storage.since(before + 1))) == 10


async def test_a_watch_from_the_future_is_refused(cluster: Cluster, server, path):
    # A real server waits for that version, for as long as the client does.
    answer = await cluster.get(path, watch="true", resourceVersion="999999999999")

    assert answer.code == 504 or '"code":504' in answer.text


async def test_a_deleted_namespace_is_told_object_by_object(cluster: Cluster, path):
    await cluster.config("a")
    start = await version(cluster, path)
    async with cluster.watch(path, resourceVersion=start) as events:
        (await cluster.delete(f"/api/v1/namespaces/{cluster.namespace}")).ok()
        told = await events.told()
        while told != "DELETED a":
            told = await events.told()

    await cluster.gone(f"/api/v1/namespaces/{cluster.namespace}")


async def test_many_watchers_are_told_the_same(cluster: Cluster, path):
    start = await version(cluster, path)
    ready = asyncio.Barrier(11)

    async def look() -> list[str]:
        async with cluster.watch(path, resourceVersion=start) as events:
            await ready.wait()
            return [await events.told() for _ in range(3)]

    async with asyncio.TaskGroup() as tasks:
        looks = [tasks.create_task(look()) for _ in range(10)]
        await ready.wait()
        for name in ("a", "b", "c"):
            await cluster.config(name)

    assert {tuple(task.result()) for task in looks} == {("ADDED a", "ADDED b", "ADDED c")}


async def test_a_table_watch_names_its_columns_once(cluster: Cluster, path):
    from tests.contract.api.cluster import TABLE

    start = await version(cluster, path)
    async with cluster.watch(path, accept=TABLE, resourceVersion=start) as events:
        await cluster.config("a")
        await cluster.config("b")
        first, second = [(await events.any())["object"] for _ in range(2)]

    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert not second["columnDefinitions"]
    assert second["rows"][0]["cells"][:2] == ["b", 1]
