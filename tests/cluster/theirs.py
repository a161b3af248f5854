"""What can be run on somebody's cluster, named by KUBECONFIG: its API server, and `deploy/` on it.

Everything happens in one namespace that this run makes and removes. A quota lets no pod start
there, so that no image is pulled and no node is used. Beside it only CustomResourceDefinitions are
touched: those of the conformance suite, and Gloo's where they are absent; both go at the end. What
is left out is said, never skipped in silence. Requests go through `kubectl proxy`, so that whatever
lets the person in, lets the suite in.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from daemon.sandbox.crds import gloo_crds
from tests.cluster.manifests import DEPLOY, EXAMPLE, KUBECTL, ROOT, dumped, kubectl, rendered
from tests.contract.api.cluster import GROUP

SUITE = Path(__file__).parents[1] / "contract" / "api"
FILES = (
    "test_json_patch.py",
    "test_patches.py",
    "test_apply.py",
    "test_objects.py",
    "test_lists.py",
    "test_watch.py",
    "test_deletion.py",
    "test_custom_kinds.py",
)
"""What the daemon rests on."""
ELSEWHERE = "it reads or writes in namespaces that are not ours"
OURS_GOES = "it deletes its namespace, and there is only one"
STARTS_PODS = "it needs pods"
LEFT_OUT = {
    "test_watch.py::test_a_watch_of_a_namespace_tells_nothing_of_others": ELSEWHERE,
    "test_watch.py::test_a_deleted_namespace_is_told_object_by_object": OURS_GOES,
    "test_lists.py::test_a_list_over_all_namespaces": ELSEWHERE,
    "test_lists.py::test_pods_are_selected_by_phase_and_node": STARTS_PODS,
    "test_objects.py::test_default_and_kube_system_are_there": ELSEWHERE,
    "test_objects.py::test_resource_versions_grow_over_all_kinds": STARTS_PODS,
    "test_deletion.py::test_an_unscheduled_pod_goes_at_once": STARTS_PODS,
    "test_deletion.py::test_a_pod_on_a_node_waits_for_the_node": STARTS_PODS,
    "test_deletion.py::test_a_namespace_takes_its_contents_along": OURS_GOES,
    "test_deletion.py::test_nothing_is_created_in_a_namespace_that_goes": OURS_GOES,
}
"""Tests of these files that somebody's cluster is spared, with why."""
NOT_HERE = """\
left out, as it needs a control plane, a node and a gateway of our own (unset KUBECONFIG for it):
  releases, restarts and outages with real Envoys and a real Prometheus
  requests and rights by the audit log
  kubectl's words, discovery, RBAC, and what is played with pods and namespaces: files and tests of
  tests/contract/api that read or write outside of one namespace"""
REMOVAL_SECONDS = 120
"""For a namespace to be gone; its controller waits five seconds by itself."""
PROXY_LINE = re.compile(r"127\.0\.0\.1:(\d+)")


def main() -> int:
    """Run it; exit code 0 if all that was run passed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and clean up
    try:
        server = kubectl(
            "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"
        )
        version = json.loads(kubectl("get", "--raw", "/version"))["gitVersion"]
    except (AssertionError, subprocess.TimeoutExpired, ValueError) as problem:
        click.echo(f"the cluster that KUBECONFIG names cannot be asked: {problem}", err=True)
        return 1
    namespace = f"crossfade-test-{secrets.token_hex(4)}"
    click.echo(f"KUBECONFIG is set: {server}, Kubernetes {version}; in namespace {namespace} only")
    try:
        with ExitStack() as stack:
            stack.enter_context(gloo_kinds(namespace))
            stack.callback(remove_suites_kinds)
            # Last, so that it goes first: a namespace waits for kinds that vanish meanwhile.
            stack.enter_context(own_namespace(namespace))
            passed = [conforms(namespace), accepts_deploy(namespace)]
    except (AssertionError, subprocess.TimeoutExpired) as problem:
        click.echo(f"{problem}", err=True)
        passed = [False]
    click.echo(NOT_HERE)
    return 0 if all(passed) else 1


# ---------------------------------------------------------------- what is run


def conforms(namespace: str) -> bool:
    """Run the conformance suite against this API server."""
    suite = str(SUITE.relative_to(ROOT))
    spared = [f"--deselect={suite}/{name}" for name in LEFT_OUT]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["-rfE", "--tb=short", *spared, *(f"{suite}/{name}" for name in FILES)]
    with proxy() as url:
        environment = {name: text for name, text in os.environ.items() if "PYTEST" not in name}
        environment |= {
            "CROSSFADE_CONFORMANCE_URL": url,
            "CROSSFADE_CONFORMANCE_NAMESPACE": namespace,
        }
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    for name, why in LEFT_OUT.items():
        click.echo(f"left out: {name}: {why}")
    return done.returncode == 0


def accepts_deploy(namespace: str) -> bool:
    """Let the API server say of every manifest of `deploy/` whether it would take it."""
    folders = sorted(path.parent for path in DEPLOY.rglob("kustomization.yaml"))
    parts = {str(it.relative_to(DEPLOY.parent)): rendered(it) for it in folders}
    for file in sorted((EXAMPLE / "releases").iterdir()):
        text = kubectl("create", "--dry-run=client", "-o", "json", "-f", str(file))
        parts[str(file.relative_to(DEPLOY.parent))] = [json.loads(text)]
    accepted = [_accepts(name, it, namespace) for name, it in parts.items()]
    return all(accepted)


def _accepts(name: str, objects: list[dict[str, Any]], namespace: str) -> bool:
    ours = [moved(it, namespace) for it in objects if it["kind"] != "Namespace"]
    dry = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    try:
        said = kubectl(*dry, text=dumped(ours))
    except AssertionError as problem:
        click.echo(f"REFUSED {name}: {problem}", err=True)
        return False
    click.echo(f"accepted {name}: {len(said.splitlines())} objects, server-side dry run")
    return True


def moved(obj: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Return the same object in our namespace."""
    return obj | {"metadata": obj["metadata"] | {"namespace": namespace}}


# ---------------------------------------------------------------- what is made and removed


@contextmanager
def own_namespace(name: str) -> Iterator[None]:
    """Make the namespace, in which no pod may start; remove it at the end."""
    metadata = {"name": name, "labels": {"crossfade.dev/test": name}}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-pods", "namespace": name},
        "spec": {"hard": {"pods": "0"}},
    }
    kubectl("create", "-f", "-", text=dumped([_object("v1", "Namespace", metadata)]))
    try:
        kubectl("create", "-f", "-", text=dumped([quota]))
        yield
    finally:
        _let_go(name)
        kubectl("delete", "namespace", name, "--wait=false")
        gone = ("wait", f"namespace/{name}", "--for=delete", f"--timeout={REMOVAL_SECONDS}s")
        kubectl(*gone, seconds=REMOVAL_SECONDS + 10.0)
        click.echo(f"removed: namespace {name}")


def _let_go(namespace: str) -> None:
    """Take off the finalizers that tests put on, or the namespace would wait for them for ever."""
    for kind in ("configmaps", "deployments"):
        for it in kubectl("get", kind, "-n", namespace, "-o", "name").split():
            none = '{"metadata": {"finalizers": null}}'
            kubectl("patch", it, "-n", namespace, "--type=merge", "-p", none)


@contextmanager
def gloo_kinds(label: str) -> Iterator[None]:
    """Install our copies of Gloo's kinds where they are absent; remove those and no others."""
    there = _kinds()
    absent = [it for it in gloo_crds() if it["metadata"]["name"] not in there]
    names = [it["metadata"]["name"] for it in absent]
    for it in absent:
        it["metadata"]["labels"] = {"crossfade.dev/test": label}
    if absent:
        click.echo(f"installed until the end, as absent: our copies of {', '.join(names)}")
        kubectl("create", "-f", "-", text=dumped(absent))
    else:
        click.echo("Gloo's kinds are there and are used as they are")
    try:
        if absent:
            crds = [f"crd/{name}" for name in names]
            kubectl("wait", "--for=condition=Established", *crds, "--timeout=30s")
        yield
    finally:
        for name in names:
            _remove_kind(name)


def _remove_kind(name: str) -> None:
    """Remove a kind that we installed, unless somebody has begun to use it."""
    used = kubectl("get", name, "--all-namespaces", "-o", "name", "--ignore-not-found")
    if used.strip():
        click.echo(f"NOT removed: {name}; somebody has made objects of it meanwhile", err=True)
    else:
        kubectl("delete", "crd", name)


def remove_suites_kinds() -> None:
    """Remove the kinds of the conformance suite: their group is nobody else's."""
    ours = sorted(name for name in _kinds() if name.endswith(f".{GROUP}"))
    if ours:
        kubectl("delete", "crd", "--ignore-not-found", *ours)
        click.echo(f"removed: {', '.join(ours)}")


def _kinds() -> set[str]:
    found = kubectl("get", "crd", "-o", "name").splitlines()
    return {name.partition("/")[2] for name in found}


@contextmanager
def proxy() -> Iterator[str]:
    """Serve the API server on a free port of loopback, with the person's own rights, for a while."""
    with subprocess.Popen(
        [str(KUBECTL), "proxy", "--port=0"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = PROXY_LINE.search(process.stdout.readline())
            assert found, "kubectl proxy did not start"
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.terminate()


def _object(version: str, kind: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
