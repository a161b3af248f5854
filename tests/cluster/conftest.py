"""The real cluster as fixtures: one control plane and one Prometheus for each worker.

Outside of the network namespace that `python -m tests.cluster` makes, nothing here is collected.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster import binaries, network
from tests.cluster.kubernetes import FIRST_PORT, PORTS_EACH, Kubernetes
from tests.cluster.metrics import Prometheus
from tests.cluster.node import DocumentationAddresses
from tests.cluster.scene import RPS, Scene

collect_ignore_glob = [] if network.is_inside() else ["test_*.py"]

Begin = Callable[..., Awaitable[Scene]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cluster: a real Kubernetes without containers")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that tests recorded."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that skipped something: here everything is there, so nothing may be left out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped") if reporter is not None else None
    if network.is_inside() and skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def worker_number() -> int:
    """Tell which of the parallel workers this is."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kubernetes]:
    """A running control plane."""
    found = binaries.find()
    assert found is not None, "run `python -m tests.cluster.setup` first"
    directory = tmp_path_factory.mktemp("kubernetes")
    async with Kubernetes(found, directory, worker_number()) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def prometheus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """A running Prometheus that scrapes echo's pods."""
    port = FIRST_PORT + PORTS_EACH * worker_number() + PORTS_EACH - 1
    running = Prometheus(tmp_path_factory.mktemp("prometheus") / "here", port)
    await running.start()
    yield running
    await running.kill()


@pytest.fixture(scope="session")
def addresses() -> DocumentationAddresses:
    """Addresses for pods, not given twice soon."""
    return DocumentationAddresses(worker_number())


@pytest_asyncio.fixture(loop_scope="session")
async def begin(
    kubernetes: Kubernetes,
    prometheus: Prometheus,
    addresses: DocumentationAddresses,
    tmp_path: Path,
) -> AsyncIterator[Begin]:
    """Begin scenes that end with the test."""
    scenes: list[Scene] = []

    async def start(*, rps: float = RPS, run: bool = True, **policy: Any) -> Scene:
        scene = Scene(kubernetes, prometheus, addresses, tmp_path / f"scene-{len(scenes)}")
        scenes.append(scene)
        await scene.begin(policy, rps=rps, start=run)
        return scene

    yield start
    for scene in scenes:
        await scene.end()


@pytest_asyncio.fixture(loop_scope="session")
async def bare(
    kubernetes: Kubernetes,
    prometheus: Prometheus,
    addresses: DocumentationAddresses,
    tmp_path: Path,
) -> AsyncIterator[Scene]:
    """A scene with node and gateway, and nothing on them."""
    scene = Scene(kubernetes, prometheus, addresses, tmp_path / "scene")
    try:
        await scene.open()
        yield scene
    finally:
        await scene.end()


@pytest_asyncio.fixture(loop_scope="session")
async def kinds_and_namespaces(bare: Scene) -> None:
    """Gloo's kinds and the namespaces are there."""
