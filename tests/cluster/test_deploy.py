"""`deploy/` on the real API server: every manifest is accepted, and the example does what it says."""

import re
from pathlib import Path

import pytest
import yaml

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from tests.cluster.manifests import DEPLOY, EXAMPLE, dumped, kubectl, of_kind, rendered
from tests.cluster.scene import Scene

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

FOLDERS = sorted(path.parent for path in DEPLOY.rglob("kustomization.yaml"))
RELEASES = sorted((EXAMPLE / "releases").iterdir())
SHORTER = {"1m": "4s", "2m": "4s", "5m": "2s", "10s": "1s"}
"""The example's times, for people who wait less than its readers."""
UNCHANGED = {text: text for text in SHORTER}
"""For a bad version, which has to be stopped long before a step is over."""


@pytest.fixture
def kubeconfig(kubernetes, tmp_path: Path) -> Path:
    return kubernetes.kubeconfig(tmp_path / "admin.kubeconfig")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda it: str(it.relative_to(DEPLOY)))
async def test_the_api_server_accepts_every_manifest(kubeconfig, kinds_and_namespaces, folder):
    namespaced = [
        it | {"metadata": {"namespace": "echo"} | it["metadata"]}
        if it["kind"] != "Namespace"
        else it
        for it in rendered(folder)
    ]

    said = kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
        kubeconfig=kubeconfig,
        text=dumped(namespaced),
    )

    assert len(said.splitlines()) == len(namespaced)


@pytest.mark.parametrize("file", RELEASES, ids=lambda it: it.stem)
async def test_the_api_server_accepts_every_release(kubeconfig, kinds_and_namespaces, file):
    said = kubectl("apply", "--dry-run=server", "-f", str(file), kubeconfig=kubeconfig)

    assert "created" in said


@pytest.fixture
def example(bare) -> Scene:
    """The example as its README installs it; our pods are echo, whose label is `code`."""
    return bare


async def installed(scene: Scene, kubeconfig: Path, times: dict[str, str]) -> None:
    kubectl("apply", "--server-side", "-k", str(EXAMPLE), kubeconfig=kubeconfig)
    await scene.ready("v1")
    [policy] = of_kind(rendered(EXAMPLE), "ConfigMap")
    scene.policy.write_text(adapted(policy["data"]["policy.yaml"], times), encoding="utf-8")
    await scene.users(100, host="echo.example")
    await scene.start()
    await scene.adopted()


def adapted(policy: str, times: dict[str, str]) -> str:
    """Change the times, and name the status as echo does."""
    text = re.sub(r"\b(1m|2m|5m|10s)\b", lambda it: times[it[0]], policy)
    text = text.replace("series: {code: status}", "series: {code: code}")
    assert yaml.safe_load(text)
    return text.replace("interval: 5s", "interval: 1s")


async def test_the_example_promotes_its_good_version(example, kubeconfig):
    await installed(example, kubeconfig, SHORTER)

    kubectl("apply", "-f", str(EXAMPLE / "releases/echo-v2.yaml"), kubeconfig=kubeconfig)
    await example.promoted()

    assert example.failed == 0, example.story()


async def test_the_example_takes_its_bad_version_back(example, kubeconfig):
    await installed(example, kubeconfig, UNCHANGED)
    bad = yaml.safe_load((EXAMPLE / "releases/echo-v3.yaml").read_text(encoding="utf-8"))
    # What `--random-error` is to the image of the example.
    bad["spec"]["template"]["metadata"]["annotations"] = {
        "sandbox.crossfade.dev/error-rate": "0.33"
    }

    kubectl("apply", "-f", "-", kubeconfig=kubeconfig, text=yaml.safe_dump(bad))
    await example.reaches(Phase.ROLLED_BACK)

    reasons = {it.reason for it in example.writes}
    assert reasons & {Reason.SMOKE_FAILED, Reason.ANALYSIS_FAILED}, example.story()
