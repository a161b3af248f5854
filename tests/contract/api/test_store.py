"""The store without HTTP: what a simulation leans on."""

import itertools
import json

import pytest

from daemon.ports import Resource
from daemon.sandbox.api import Options, StatusError, Store
from daemon.sandbox.api.patches import JSON_PATCH, Patch
from tests.contract.api.cluster import GADGET, GROUP, config, deployment, gadget

CONFIGS = Resource("", "v1", "configmaps", "ConfigMap")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
GADGETS = Resource(GROUP, "v1", "gadgets", "Gadget")


@pytest.fixture
def store() -> Store:
    numbers = itertools.count(1)
    return Store(clock=lambda: 1_800_000_000.0, new_uid=lambda: f"uid-{next(numbers)}")


def test_times_and_uids_come_from_outside(store: Store):
    metadata = store.create(CONFIGS, "default", config()).entry.obj["metadata"]

    assert metadata["uid"] == "uid-5"
    assert metadata["creationTimestamp"] == "2027-01-15T08:00:00Z"


def test_two_stores_with_the_same_writes_are_the_same():
    def run() -> list[bytes]:
        numbers = itertools.count(1)
        store = Store(clock=lambda: 1_800_000_000.0, new_uid=lambda: f"uid-{next(numbers)}")
        store.create(CONFIGS, "default", {"metadata": {"generateName": "a-"}})
        store.create(DEPLOYMENTS, "default", deployment())
        return [
            entry.text for plural in ("configmaps",) for entry in store.storage.entries("", plural)
        ]

    assert run() == run()


def test_a_copy_that_is_handed_out_may_be_changed(store: Store):
    store.create(CONFIGS, "default", config())
    copy = store.get(CONFIGS, "default", "c")
    copy["data"]["k"] = "changed"

    assert store.get(CONFIGS, "default", "c")["data"] == {"k": "v"}


def test_an_old_version_stays_as_it_was(store: Store):
    old = store.create(CONFIGS, "default", config()).entry
    text = bytes(old.text)
    patch = Patch(JSON_PATCH, b'[{"op":"replace","path":"/data/k","value":"2"}]')
    store.patch(CONFIGS, "default", "c", patch)

    assert (old.text, json.loads(old.text)) == (text, old.obj)


def test_refusals_are_status_errors(store: Store):
    with pytest.raises(StatusError) as refused:
        store.get(CONFIGS, "default", "c")

    assert (refused.value.code, refused.value.reason) == (404, "NotFound")


def test_listeners_hear_causes_before_effects(store: Store):
    owner = store.create(CONFIGS, "default", config()).entry.obj["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": owner}
    store.create(CONFIGS, "default", config("child", ownerReferences=[reference]))
    heard = []
    first = store.storage.listen(lambda change: heard.append(("first", change.key.name)))
    store.storage.listen(lambda change: heard.append(("second", change.key.name)))
    store.delete(CONFIGS, "default", "c")
    first()
    store.create(CONFIGS, "default", config("late"))

    assert heard == [
        ("first", "c"), ("second", "c"), ("first", "child"), ("second", "child"), ("second", "late"),
    ]  # fmt: skip


def test_a_patch_names_its_manager(store: Store):
    store.create(DEPLOYMENTS, "default", deployment())
    patch = Patch(JSON_PATCH, b'[{"op":"replace","path":"/spec/replicas","value":3}]')
    entry = store.patch(DEPLOYMENTS, "default", "echo", patch, Options(manager="crossfade")).entry

    managers = [e["manager"] for e in entry.obj["metadata"]["managedFields"]]
    assert managers == ["unknown", "crossfade"]


def test_managers_are_bounded(store: Store):
    store.create(CONFIGS, "default", config())
    for number in range(15):
        patch = Patch(
            JSON_PATCH,
            json.dumps([{"op": "add", "path": f"/data/k{number}", "value": "x"}]).encode(),
        )
        store.patch(CONFIGS, "default", "c", patch, Options(manager=f"m{number}"))
    entries = store.get(CONFIGS, "default", "c")["metadata"]["managedFields"]

    assert len(entries) <= 11
    assert entries[0]["manager"] == "ancient-changes"


def test_a_crd_is_served_at_once_and_can_be_replaced(store: Store):
    store.add_crd(GADGET)
    store.add_crd(GADGET)
    store.create(GADGETS, "default", gadget())

    assert store.list_objects(GADGETS) == [store.get(GADGETS, "default", "g")]


def test_the_body_of_a_crd_is_not_taken_over(store: Store):
    before = json.dumps(GADGET)
    store.add_crd(GADGET)

    assert json.dumps(GADGET) == before


def test_a_watch_is_read_without_waiting(store: Store):
    store.create(CONFIGS, "default", config("a", labels={"x": "y"}))
    start = store.storage.version
    watch = store.watch(CONFIGS, "default", labels="x", version=start)
    store.create(CONFIGS, "default", config("b", labels={"x": "z"}))
    store.create(CONFIGS, "default", config("c"))
    store.delete(CONFIGS, "default", "a")
    told = [watch.take() for _ in range(3)]
    watch.close()
    store.create(CONFIGS, "default", config("d", labels={"x": "y"}))

    assert [(event.type, event.entry.key.name) for event in told[:2]] == [
        ("ADDED", "b"),
        ("DELETED", "a"),
    ]
    assert (told[2], watch.take()) == (None, None)


def test_a_list_is_selected_by_labels(store: Store):
    store.create(CONFIGS, "default", config("a", labels={"x": "y"}))
    store.create(CONFIGS, "default", config("b"))

    assert [o["metadata"]["name"] for o in store.list_objects(CONFIGS, labels="x=y")] == ["a"]


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_list_is_sorted_by_namespace_and_name(store: Store, size):
    for number in reversed(range(size)):
        store.create(CONFIGS, "default", config(f"c{number}"))
        store.create(CONFIGS, "kube-system", config(f"c{number}"))
    found = [
        (o["metadata"]["namespace"], o["metadata"]["name"]) for o in store.list_objects(CONFIGS)
    ]

    assert found == sorted(found)
    assert len(found) == 2 * size
