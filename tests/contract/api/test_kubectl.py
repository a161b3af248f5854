"""The real kubectl against the API: what people and scripts type, word for word."""

import asyncio
import itertools
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.sandbox.api import ApiServer
from tests.contract.api.cluster import GADGET, GROUP, config, deployment, gadget
from tests.contract.api.kubectl import BINARY, Kubectl

URL = os.environ.get("CROSSFADE_CONFORMANCE_URL", "")
NUMBERS = itertools.count(1)

pytestmark = pytest.mark.skipif(not BINARY.exists(), reason="kubectl is not installed")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server in a thread of its own: kubectl is a process that we wait for."""
    if URL:
        yield URL
        return
    started, found = threading.Event(), []

    async def serve() -> None:
        server = ApiServer()
        await server.start()
        stop = asyncio.Event()
        found.extend([server.url, asyncio.get_running_loop(), stop])
        started.set()
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(10)
    yield found[0]
    found[1].call_soon_threadsafe(found[2].set)
    thread.join(10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kubectl")


@pytest.fixture
def kubectl(url: str, folder: Path) -> Kubectl:
    """In an empty namespace."""
    namespace = f"kubectl-{os.getpid()}-{next(NUMBERS)}"
    made = Kubectl(folder, namespace, url)
    made(
        "apply -f -",
        stdin={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
    )
    return made


@pytest.fixture
def echo(kubectl: Kubectl) -> Kubectl:
    """With a Deployment that was applied."""
    kubectl("apply -f -", stdin=deployment(replicas=2))
    return kubectl


@pytest.fixture
def gadgets(kubectl: Kubectl) -> Kubectl:
    """With a custom kind."""
    kubectl("apply -f -", stdin=GADGET)
    kubectl(f"wait --for=condition=Established crd/gadgets.{GROUP} --timeout=10s")
    return kubectl


def test_apply_creates_then_leaves_then_configures(kubectl: Kubectl):
    first = kubectl("apply -f -", stdin=deployment())
    second = kubectl("apply -f -", stdin=deployment())
    third = kubectl("apply -f -", stdin=deployment(image="echo:2"))

    words = [f"deployment.apps/echo {word}" for word in ("created", "unchanged", "configured")]
    assert [first, second, third] == words


def test_apply_removes_what_is_stated_no_more(kubectl: Kubectl):
    kubectl("apply -f -", stdin=config(data={"a": "1", "b": "2"}))
    kubectl("apply -f -", stdin=config(data={"a": "1"}))

    assert json.loads(kubectl("get cm c -o", "jsonpath={.data}")) == {"a": "1"}


def test_create_refuses_what_exists(kubectl: Kubectl):
    kubectl("create -f -", stdin=config())

    assert 'configmaps "c" already exists' in kubectl.refused("create -f -", stdin=config())


def test_an_unknown_field_is_refused_by_the_server(gadgets: Kubectl):
    said = gadgets.refused("apply -f -", stdin=gadget(sise=1))

    assert 'unknown field "spec.sise"' in said


def test_get_prints_a_table(echo: Kubectl):
    header, row = echo("get deploy").splitlines()

    assert header.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:4] == ["echo", "0/2", "0", "0"]


def test_get_wide_shows_images_and_selector(echo: Kubectl):
    row = echo("get deploy -o wide").splitlines()[1]

    assert "echo:1" in row
    assert "app=echo" in row


def test_get_over_all_namespaces_names_them(echo: Kubectl):
    lines = echo("get deploy -A").splitlines()

    assert lines[0].split()[0] == "NAMESPACE"
    assert [echo.namespace, "echo"] in [line.split()[:2] for line in lines]


def test_get_by_label(kubectl: Kubectl):
    kubectl("apply -f -", stdin=config("a", labels={"app": "x"}))
    kubectl("apply -f -", stdin=config("b", labels={"app": "y"}))

    assert kubectl("get cm -l app=x -o name") == "configmap/a"


def test_get_by_jsonpath(echo: Kubectl):
    assert echo("get deploy echo -o", "jsonpath={.spec.replicas}") == "2"


def test_get_of_nothing(kubectl: Kubectl):
    said = kubectl.refused("get deploy echo")

    assert said == 'Error from server (NotFound): deployments.apps "echo" not found'


def test_get_of_several_kinds(echo: Kubectl):
    assert "deployment.apps/echo" in echo("get deploy,cm -o name").splitlines()


def test_get_all_covers_the_category(echo: Kubectl):
    assert "deployment.apps/echo" in echo("get all -o name").splitlines()


def test_get_in_chunks(kubectl: Kubectl):
    for name in ("a", "b", "c"):
        kubectl("create -f -", stdin=config(name, labels={"chunk": "y"}))

    listed = kubectl("get cm -l chunk=y -o name --chunk-size=2").splitlines()
    assert listed == ["configmap/a", "configmap/b", "configmap/c"]


def test_get_watches(kubectl: Kubectl):
    command = [*kubectl.command, "get", "cm", "-w", "-l", "w=y", "-o", "name"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        kubectl("create -f -", stdin=config("a", labels={"w": "y"}))
        assert watching.stdout is not None
        first = watching.stdout.readline()
        kubectl("create -f -", stdin=config("b", labels={"w": "y"}))
        second = watching.stdout.readline()
        watching.terminate()

    assert [first, second] == ["configmap/a\n", "configmap/b\n"]


def test_describe_shows_the_events_about_an_object(echo: Kubectl):
    about = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "echo", "namespace": echo.namespace,
             "uid": echo("get deploy echo -o", "jsonpath={.metadata.uid}")}  # fmt: skip
    event = {
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
        "eventTime": "2026-01-02T03:04:05.000000Z", "reportingController": "crossfade",
        "reportingInstance": "crossfade-1", "action": "Raise", "reason": "AnalysisPassed",
        "type": "Normal", "note": "25 % of requests go to v2", "regarding": about,
    }  # fmt: skip
    echo("create -f -", stdin=event)
    said = echo("describe deploy echo")

    assert "Replicas:" in said
    assert "AnalysisPassed" in said
    assert "25 % of requests go to v2" in said


def test_events_are_printed(echo: Kubectl):
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "reason": "Odd", "type": "Warning",
             "message": "look", "involvedObject": {"kind": "Deployment", "name": "echo", "namespace": echo.namespace}}  # fmt: skip
    echo("create -f -", stdin=event)
    row = echo("get events").splitlines()[1]

    assert row.split()[1:] == ["Warning", "Odd", "deployment/echo", "look"]


PATCHES = [
    ("json", '[{"op":"replace","path":"/spec/replicas","value":5}]'),
    ("merge", '{"spec":{"replicas":5}}'),
    ("strategic", '{"spec":{"replicas":5}}'),
]


@pytest.mark.parametrize(("kind", "patch"), PATCHES, ids=[row[0] for row in PATCHES])
def test_patch(echo: Kubectl, kind, patch):
    assert echo(f"patch deploy echo --type {kind} -p", patch) == "deployment.apps/echo patched"
    assert echo("get deploy echo -o", "jsonpath={.spec.replicas}") == "5"


def test_a_failed_test_is_told_as_the_real_one_tells_it(echo: Kubectl):
    patch = '[{"op":"test","path":"/spec/replicas","value":9}]'
    said = echo.refused("patch deploy echo --type json -p", patch)

    assert "the server rejected our request due to an error in our request" in said


def test_set_image(echo: Kubectl):
    echo("set image deploy/echo echo=echo:7")

    path = "jsonpath={.spec.template.spec.containers[0].image}"
    assert echo("get deploy echo -o", path) == "echo:7"


def test_scale(echo: Kubectl):
    assert echo("scale deploy echo --replicas=3") == "deployment.apps/echo scaled"
    assert echo("get deploy echo -o", "jsonpath={.spec.replicas}") == "3"


def test_scale_with_a_wrong_precondition(echo: Kubectl):
    said = echo.refused("scale deploy echo --current-replicas=9 --replicas=3")

    assert "9" in said


def test_annotate_and_label(echo: Kubectl):
    assert "annotated" in echo("annotate deploy echo crossfade.dev/request=abort")
    assert "labeled" in echo("label deploy echo team=blue")
    assert "unlabeled" in echo("label deploy echo team-")

    path = "jsonpath={.metadata.annotations.crossfade\\.dev/request}"
    assert echo("get deploy echo -o", path) == "abort"


def test_delete_waits_until_it_is_gone(echo: Kubectl):
    assert (
        echo("delete deploy echo")
        == f'deployment.apps "echo" deleted from {echo.namespace} namespace'
    )
    assert "not found" in echo.refused("get deploy echo")


def test_delete_by_label(kubectl: Kubectl):
    kubectl("create -f -", stdin=config("a", labels={"d": "y"}))
    kubectl("delete cm -l d=y")

    assert kubectl("get cm -l d=y -o name") == ""


def test_delete_of_nothing_can_be_ignored(kubectl: Kubectl):
    assert kubectl("delete cm c --ignore-not-found") == ""


def test_replace(kubectl: Kubectl):
    kubectl("create -f -", stdin=config())
    said = kubectl("replace -f -", stdin=config(data={"k": "2"}))

    assert said == "configmap/c replaced"
    assert kubectl("get cm c -o", "jsonpath={.data.k}") == "2"


def test_server_side_apply_meets_a_conflict_and_can_force(kubectl: Kubectl):
    kubectl("apply --server-side --field-manager=one -f -", stdin=config(data={"k": "1"}))
    changed = config(data={"k": "2"})
    said = kubectl.refused("apply --server-side --field-manager=two -f -", stdin=changed)
    forced = kubectl(
        "apply --server-side --field-manager=two --force-conflicts -f -", stdin=changed
    )

    assert 'conflict with "one": .data.k' in said.replace(" using v1", "")
    assert forced == "configmap/c serverside-applied"


def test_a_client_side_apply_can_become_a_server_side_one(kubectl: Kubectl):
    kubectl("apply -f -", stdin=config())
    said = kubectl("apply --server-side -f -", stdin=config(data={"k": "2"}))

    assert said == "configmap/c serverside-applied"


def test_diff_tells_by_its_exit_code(echo: Kubectl):
    same = echo.run("diff -f -", stdin=deployment(replicas=2))
    other = echo.run("diff -f -", stdin=deployment(replicas=2, image="echo:2"))

    assert (same.returncode, same.stdout) == (0, "")
    assert other.returncode == 1
    assert "+      - image: echo:2" in other.stdout.replace("  +", "+")


def test_rollout_status_waits_for_the_status(echo: Kubectl):
    waiting = echo.refused("rollout status deploy/echo --timeout=1s")
    status = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
              "availableReplicas": 2}  # fmt: skip
    echo("patch deploy echo --subresource=status --type=merge -p", json.dumps({"status": status}))

    assert "timed out" in waiting
    assert 'deployment "echo" successfully rolled out' in echo(
        "rollout status deploy/echo --timeout=5s"
    )


def test_rollout_history_reads_the_replicasets(echo: Kubectl):
    uid = echo("get deploy echo -o", "jsonpath={.metadata.uid}")
    template = deployment()["spec"]["template"]
    metadata = {
        "name": "echo-1", "labels": {"app": "echo"},
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "echo", "uid": uid,
                             "controller": True}],
    }  # fmt: skip
    replicas = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata,
                "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "echo"}}, "template": template}}  # fmt: skip
    echo("create -f -", stdin=replicas)

    assert echo("rollout history deploy/echo").splitlines()[-1].split() == ["1", "<none>"]


def test_rollout_restart_and_pause(echo: Kubectl):
    assert echo("rollout restart deploy/echo") == "deployment.apps/echo restarted"
    assert echo("rollout pause deploy/echo") == "deployment.apps/echo paused"
    assert echo("get deploy echo -o", "jsonpath={.spec.paused} {.metadata.generation}") == "true 3"


def test_a_custom_kind_has_its_columns_and_short_name(gadgets: Kubectl):
    gadgets("apply -f -", stdin=gadget(parts=[{"id": "a"}, {"id": "b", "note": "two"}]))
    header, row = gadgets("get sgadget").splitlines()

    assert header.split() == ["NAME", "SIZE", "FIRST", "NOTE", "AGE"]
    assert row.split()[:4] == ["g", "1", "a", "two"]


def test_a_custom_kind_is_applied_and_scaled(gadgets: Kubectl):
    gadgets("apply -f -", stdin=gadget(size=2))
    words = gadgets("apply -f -", stdin=gadget(size=3))
    gadgets("scale gadget g --replicas=4")

    assert words == f"gadget.{GROUP}/g configured"
    assert gadgets("get gadget g -o", "jsonpath={.spec.size}") == "4"


def test_a_custom_kind_has_no_strategic_patch(gadgets: Kubectl):
    gadgets("apply -f -", stdin=gadget())
    said = gadgets.refused("patch gadget g --type strategic -p", "{}")

    assert (
        "application/strategic-merge-patch+json is not supported" in said
        or "unknown format" in said
    )


def test_dry_run_of_the_server(kubectl: Kubectl):
    assert (
        kubectl("apply --dry-run=server -f -", stdin=config())
        == "configmap/c created (server dry run)"
    )
    assert "not found" in kubectl.refused("get cm c")


def test_wait_for_a_condition(echo: Kubectl):
    condition = {"type": "Available", "status": "True"}
    patch = json.dumps({"status": {"conditions": [condition]}})
    echo("patch deploy echo --subresource=status --type=merge -p", patch)

    assert "condition met" in echo("wait deploy/echo --for=condition=Available --timeout=5s")


COMMANDS: list[tuple[str, Callable[[str], bool]]] = [
    ("api-resources", lambda said: "virtualservices" not in said and "deployments" in said),
    ("api-versions", lambda said: "apps/v1" in said.splitlines()),
    ("version", lambda said: "Server Version: v1." in said),
    ("get ns default -o name", lambda said: said == "namespace/default"),
    ("get --raw /healthz", lambda said: said == "ok"),
    ("get events", lambda said: said == ""),
]


@pytest.mark.parametrize(("line", "fits"), COMMANDS, ids=[row[0] for row in COMMANDS])
def test_a_command_works(kubectl: Kubectl, line, fits):
    assert fits(kubectl(line))


@pytest.mark.skipif(bool(URL), reason="only the sandbox reads no protobuf")
def test_a_command_that_speaks_protobuf_is_told_what_to_do(kubectl: Kubectl):
    assert "kubectl apply -f" in kubectl.refused("create configmap x --from-literal=a=b")
