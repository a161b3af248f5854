"""The suite that the embedded API server passes, unchanged, against the real one."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster import binaries
from tests.cluster.conftest import worker_number
from tests.cluster.kubernetes import ADMIN_TOKEN, Kubernetes
from tests.cluster.manifests import kubectl
from tests.cluster.network import MARK

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

SUITE = Path(__file__).parents[1] / "contract" / "api"
LEAST = 60
"""Checks that have to pass, so that a suite which skips everything is noticed."""


ONLY = ("garbage-collector-controller", "namespace-controller")
"""The suite plays the Deployment controller itself, so the real one must not be there."""
OTHER_PORTS = 10


@pytest_asyncio.fixture(loop_scope="session")
async def api(tmp_path: Path) -> AsyncIterator[Kubernetes]:
    """An API server that collects garbage, and does nothing else by itself."""
    found = binaries.find()
    assert found is not None
    async with Kubernetes(found, tmp_path / "api", OTHER_PORTS + worker_number(), ONLY) as running:
        yield running


def all_there_is(kubeconfig: Path) -> set[str]:
    kinds = "namespaces,customresourcedefinitions,configmaps,deployments,roles,rolebindings"
    said = kubectl("get", kinds, "--all-namespaces", "-o", "name", kubeconfig=kubeconfig)
    return set(said.splitlines())


async def test_on_somebodys_cluster_what_can_be_run_passes_and_nothing_stays(
    api: Kubernetes, tmp_path: Path
):
    kubeconfig = api.kubeconfig(tmp_path / "somebodys.kubeconfig")
    before = all_there_is(kubeconfig)
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), MARK: "0"}

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.cluster"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode(errors="replace")

    assert process.returncode == 0, said[-20_000:]
    assert "accepted deploy/base" in said
    assert "left out" in said
    assert "as absent: our copies of" in said
    assert all_there_is(kubeconfig) == before


async def test_the_real_api_server_passes_the_suite_of_the_embedded_one(
    api: Kubernetes, record_property: Callable[[str, object], None]
):
    environment = {name: text for name, text in os.environ.items() if "PYTEST" not in name}
    environment |= {
        "CROSSFADE_CONFORMANCE_URL": api.url,
        "CROSSFADE_CONFORMANCE_TOKEN": ADMIN_TOKEN,
        # kubectl believes these certificates beside the system's.
        "SSL_CERT_FILE": str(api.authority),
        MARK: "0",
    }
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "--tb=short",
        ),
        str(SUITE),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode(errors="replace")
    last = said.strip().splitlines()[-1]

    record_property("conformance", last)
    assert process.returncode == 0, said[-20_000:]
    assert int(last.split(" passed")[0].split()[-1]) >= LEAST
