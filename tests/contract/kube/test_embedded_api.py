"""KubeApi and ListWatch against the embedded API server, with its faults."""

import asyncio
import random
from contextlib import asynccontextmanager, suppress

import pytest

from daemon.clock import SystemClock
from daemon.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, TransientError
from daemon.kube import patch
from daemon.kube.api import KubeApi
from daemon.kube.events import Events, Regarding
from daemon.kube.listwatch import ListWatch, WatchTimings
from daemon.kube.objects import CONFIGMAPS, DEPLOYMENTS, EVENTS
from daemon.ports import Resource
from daemon.sandbox.api import ApiServer
from tests.contract.kube.scripted import DEADLINE

QUICK = WatchTimings(first_pause=0.001, longest_pause=0.01)
KEY = "crossfade.dev/it"


@pytest.fixture
async def server(tmp_path):
    server = ApiServer()
    await server.start()
    server.write_kubeconfig(tmp_path / "kubeconfig")
    yield server
    await server.stop()


@pytest.fixture
async def api(server, tmp_path):
    api = await KubeApi.from_kubeconfig(SystemClock(), str(tmp_path / "kubeconfig"))
    yield api
    await api.close()


def config(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def create(api, name="it", **data):
    return await api.create(CONFIGMAPS, "default", config(name, **data))


class Mirror:
    """A ListWatch of ConfigMaps, and waiting for what it shows."""

    def __init__(self, api):
        self.changed = asyncio.Event()
        self.listwatch = ListWatch(
            api,
            CONFIGMAPS,
            "default",
            trim=lambda obj: obj.get("data", {}).get("a", ""),
            changed=lambda _: self.changed.set(),
            clock=SystemClock(),
            rng=random.Random(1),
            timings=QUICK,
        )

    async def shows(self, **wanted):
        async with asyncio.timeout(DEADLINE):
            while {name: a for (_, name), a in self.listwatch.cache.items()} != wanted:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def mirrored(api):
    mirror = Mirror(api)
    task = asyncio.create_task(mirror.listwatch.run())
    try:
        async with asyncio.timeout(DEADLINE):
            await mirror.listwatch.synced.wait()
        yield mirror
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_an_object_is_created_read_replaced_and_deleted(api):
    created = await create(api, a="1")

    await api.replace(CONFIGMAPS, "default", "it", {**created, "data": {"a": "2"}})
    read = await api.get(CONFIGMAPS, "default", "it")
    metadata = read["metadata"]
    await api.delete(
        CONFIGMAPS,
        "default",
        "it",
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
    )

    assert read["data"] == {"a": "2"}
    with pytest.raises(NotFoundError):
        await api.get(CONFIGMAPS, "default", "it")


async def test_a_patch_that_tests_what_was_read_is_applied_once(api):
    obj = await create(api, a="<&>\N{LINE SEPARATOR}é")
    ops = [
        patch.test("/data/a", obj["data"]["a"]),
        patch.expect_annotation(obj, KEY),
        patch.set_annotation(obj, KEY, "<new>"),
    ]

    written = await api.json_patch(CONFIGMAPS, "default", "it", patch.encode(ops))

    assert written["metadata"]["annotations"] == {KEY: "<new>"}
    with pytest.raises(InvalidError):
        await api.json_patch(CONFIGMAPS, "default", "it", patch.encode(ops))


async def test_a_dry_run_changes_nothing(api):
    obj = await create(api)
    ops = [patch.set_annotation(obj, KEY, "x")]

    await api.json_patch(CONFIGMAPS, "default", "it", patch.encode(ops), dry_run=True)

    assert "annotations" not in (await api.get(CONFIGMAPS, "default", "it"))["metadata"]


async def test_we_are_the_field_manager_of_what_we_write(api):
    created = await create(api)

    assert {entry["manager"] for entry in created["metadata"]["managedFields"]} == {"crossfade"}


WIDGETS = Resource("example.com", "v1", "widgets", "Widget")
WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "it"}}
WIDGET_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}
                        },
                    }
                },
            }
        ],
    },
}


async def test_a_misspelt_field_is_refused_by_name_in_a_create_and_in_a_patch(server, api):
    server.add_crd(WIDGET_CRD)
    await api.create(WIDGETS, "default", {**WIDGET, "spec": {"size": 1}})
    misspelt = patch.encode([patch.add("/spec/sizes", 2)])

    with pytest.raises(InvalidError) as created:
        await api.create(WIDGETS, "default", {**WIDGET, "spec": {"sizes": 1}})
    with pytest.raises(InvalidError) as patched:
        await api.json_patch(WIDGETS, "default", "it", misspelt)

    assert 'unknown field "spec.sizes"' in created.value.causes[0]
    assert 'unknown field "spec.sizes"' in patched.value.causes[0]


async def test_preconditions_hold_against_a_newer_object(api):
    old = await create(api)
    await api.json_patch(
        CONFIGMAPS, "default", "it", patch.encode([patch.set_annotation(old, KEY, "x")])
    )

    with pytest.raises(ConflictError):
        await api.replace(CONFIGMAPS, "default", "it", old)
    with pytest.raises(ConflictError):
        await api.delete(
            CONFIGMAPS, "default", "it", uid=old["metadata"]["uid"],
            resource_version=old["metadata"]["resourceVersion"],
        )  # fmt: skip


async def test_a_write_whose_answer_is_lost_has_happened_once(server, api):
    await create(api)
    server.faults.lose_answer(verb="patch")
    ops = [patch.add("/metadata/annotations", {KEY: "x"})]

    with pytest.raises(TransientError) as caught:
        await api.json_patch(CONFIGMAPS, "default", "it", patch.encode(ops))

    assert caught.value.sent
    assert server.recorder.count(verb="patch") == 1
    assert (await api.get(CONFIGMAPS, "default", "it"))["metadata"]["annotations"] == {KEY: "x"}


async def test_a_missing_right_is_named(server, api):
    server.faults.answer(403, verb="get")

    with pytest.raises(ForbiddenError, match=r"get deployments\.apps 'echo' in namespace default"):
        await api.get(DEPLOYMENTS, "default", "echo")


async def test_the_servers_time_is_known_after_an_answer(api):
    await create(api)

    assert api.server_clock.known


async def test_a_mirror_follows_creation_change_and_deletion(api):
    async with mirrored(api) as mirror:
        obj = await create(api, a="1")
        await mirror.shows(it="1")

        await api.replace(CONFIGMAPS, "default", "it", {**obj, "data": {"a": "2"}})
        await mirror.shows(it="2")

        read = (await api.get(CONFIGMAPS, "default", "it"))["metadata"]
        await api.delete(
            CONFIGMAPS, "default", "it", uid=read["uid"], resource_version=read["resourceVersion"]
        )
        await mirror.shows()


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda faults: faults.half_line(), id="half a line"),
        pytest.param(lambda faults: faults.watch_error(410), id="a 410 in the stream"),
        pytest.param(lambda faults: faults.watch_error(500), id="a 500 in the stream"),
        pytest.param(lambda faults: faults.cut_watches(), id="all watches closed"),
    ],
)
async def test_a_mirror_comes_back_after(server, api, break_it):
    async with mirrored(api) as mirror:
        await create(api, "first", a="1")
        await mirror.shows(first="1")

        break_it(server.faults)
        await create(api, "second", a="2")

        await mirror.shows(first="1", second="2")


async def test_a_mirror_survives_refusals_before_its_first_list(server, api):
    await create(api, a="1")
    for code in (403, 429, 500, 503):
        server.faults.answer(code, verb="list")

    async with mirrored(api) as mirror:
        await mirror.shows(it="1")


async def test_an_event_is_accepted_by_the_api(api):
    obj = await create(api)
    events = Events(api, api.server_clock, SystemClock(), random.Random(1), instance="it")
    task = asyncio.create_task(events.run())
    about = Regarding(CONFIGMAPS, "default", "it", obj["metadata"]["uid"])

    events.tell(about, "NewVersion", "a new one", action="Prepare")
    await events.flush(DEADLINE)

    task.cancel()
    listed = await api.list_page(EVENTS, "default")
    assert [(e["reason"], e["note"]) for e in listed["items"]] == [("NewVersion", "a new one")]
