"""The sandbox's client: what it sends arrives, and every refusal is an error of daemon.errors."""

import json

import pytest

from daemon.errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    TransientError,
)
from daemon.ports import Resource
from daemon.sandbox.api import ApiServer
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.crds import gloo_crds
from daemon.sandbox.kinds import DEPLOYMENTS, PODS

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")


@pytest.fixture
async def api():
    api = ApiServer()
    await api.start()
    yield api
    await api.stop()


@pytest.fixture
async def client(api):
    async with SandboxClient(api.url) as client:
        yield client


def config_map(name="one", **data):
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (401, ForbiddenError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (410, GoneError),
        (422, InvalidError),
        (429, TransientError),
        (500, TransientError),
        (503, TransientError),
    ],
)
async def test_a_refusal_is_an_error_that_says_what_to_do(api, client, code, error):
    api.faults.raw(code, b"{}", times=1)

    with pytest.raises(error, match=f"GET .*configmaps/one: {code}"):
        await client.get(CONFIG_MAPS, "default", "one")


async def test_the_time_to_wait_is_handed_on(api, client):
    api.faults.answer(429, times=1, retry_after=7)

    with pytest.raises(TransientError) as caught:
        await client.get(CONFIG_MAPS, "default", "one")

    assert caught.value.retry_after == 7


async def test_a_lost_answer_is_transient_although_it_took_effect(api, client):
    api.faults.lose_answer(times=1, verb="create")

    with pytest.raises(TransientError) as caught:
        await client.create(CONFIG_MAPS, "default", config_map(a="b"))

    assert caught.value.sent
    assert (await client.get(CONFIG_MAPS, "default", "one"))["data"] == {"a": "b"}


async def test_a_misspelt_field_is_refused_by_name(api, client):
    for crd in gloo_crds():
        api.add_crd(crd)
    body = {
        "apiVersion": "gateway.solo.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "echo", "namespace": "default"},
        "spec": {"virtualHost": {"rotues": []}},
    }

    with pytest.raises(InvalidError, match=r"unknown field .*rotues"):
        await client.apply(body)


async def test_a_failed_test_of_a_json_patch_is_invalid(client):
    await client.create(CONFIG_MAPS, "default", config_map(a="b"))
    patch = json.dumps([{"op": "test", "path": "/data/a", "value": "c"}]).encode()

    with pytest.raises(InvalidError):
        await client.json_patch(CONFIG_MAPS, "default", "one", patch)


async def test_a_deletion_with_an_old_version_is_a_conflict(client):
    made = await client.create(CONFIG_MAPS, "default", config_map(a="b"))
    await client.merge_patch(CONFIG_MAPS, "default", "one", {"data": {"a": "c"}})
    metadata = made["metadata"]

    with pytest.raises(ConflictError):
        await client.delete(
            CONFIG_MAPS,
            "default",
            "one",
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
        )


async def test_a_list_is_read_over_all_its_pages(client, monkeypatch):
    for number in range(5):
        await client.create(CONFIG_MAPS, "default", config_map(f"m{number}"))
    whole = client.list_page

    async def small_pages(*arguments, **options):
        return await whole(*arguments, **options, limit=2)

    monkeypatch.setattr(client, "list_page", small_pages)

    names = [one["metadata"]["name"] for one in await client.list_all(CONFIG_MAPS, "default")]

    assert [name for name in names if name.startswith("m")] == ["m0", "m1", "m2", "m3", "m4"]


async def test_a_watch_yields_whole_lines(client):
    page = await client.list_page(CONFIG_MAPS, "default")
    version = page["metadata"]["resourceVersion"]
    large = config_map("large", text="x" * 300_000)

    async with client.watch(
        CONFIG_MAPS, "default", resource_version=version, timeout_seconds=10
    ) as lines:
        await client.create(CONFIG_MAPS, "default", large)
        event = json.loads(await anext(lines))

    assert event["type"] == "ADDED"
    assert event["object"]["data"] == large["data"]


async def test_a_watch_that_is_too_old_is_gone(api, client):
    api.faults.answer(410, times=1, verb="watch")

    with pytest.raises(GoneError):
        async with client.watch(PODS, None, resource_version="1", timeout_seconds=10):
            pass


async def test_a_kind_is_found_by_asking_the_server(client):
    assert await client.resource_of("apps/v1", "Deployment") == (DEPLOYMENTS, True)


async def test_an_unknown_kind_is_not_found(client):
    with pytest.raises(NotFoundError, match="no kind Nothing in apps/v1"):
        await client.resource_of("apps/v1", "Nothing")


async def test_nobody_there_is_transient():
    async with SandboxClient("http://127.0.0.1:1") as client:
        with pytest.raises(TransientError, match="GET /api/v1/pods"):
            await client.list_page(PODS, None)
