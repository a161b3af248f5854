"""The real kubectl against a world: what a person does by hand works as in a cluster."""

import asyncio
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

KUBECTL = Path(sys.executable).parent / "kubectl"
DEADLINE = 20.0


@pytest.fixture(scope="module")
def kubectl(world):
    """Run kubectl; returns what it printed, fails where it fails."""
    if not KUBECTL.exists():
        pytest.skip("kubectl is not installed here")

    async def run(*arguments):
        process = await asyncio.create_subprocess_exec(
            str(KUBECTL),
            *arguments,
            env={"KUBECONFIG": str(world.kubeconfig), "HOME": str(world.directory)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(DEADLINE):
            printed, _ = await process.communicate()
        text = printed.decode()
        assert process.returncode == 0, f"kubectl {' '.join(arguments)}: {text}"
        return text

    return run


async def test_a_version_lives_and_dies_by_kubectl(world, kubectl):
    manifest = str(world.directory / "echo-v2.yaml")

    assert "echo-v2 created" in await kubectl("apply", "-f", manifest)
    done = await kubectl("rollout", "status", "deployment/echo-v2", "--timeout=15s")
    assert "successfully rolled out" in done
    assert "unchanged" in await kubectl("apply", "-f", manifest)
    await kubectl("scale", "deployment/echo-v2", "--replicas=3")
    await kubectl("rollout", "status", "deployment/echo-v2", "--timeout=15s")
    assert len(await world.pods("v2")) == 3
    assert "deleted" in await kubectl("delete", "deployment", "echo-v2", "--timeout=15s")
    await world.ready("v2", 0)


async def test_get_shows_what_people_look_for(kubectl):
    deployments = (await kubectl("get", "deployments")).splitlines()
    pods = (await kubectl("get", "pods", "-l", "version=v1", "-o", "wide")).splitlines()

    assert deployments[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert [line.split()[1:4] for line in deployments[1:] if "echo-v1" in line] == [
        ["2/2", "2", "2"]
    ]
    assert pods[0].split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert {tuple(line.split()[1:4]) for line in pods[1:]} == {("1/1", "Running", "0")}
    assert {line.split()[6] for line in pods[1:]} == {"sandbox"}
    assert "sandbox" in await kubectl("get", "nodes")
    assert "NAME" in await kubectl("get", "virtualservices,upstreams", "-n", "gloo-system")


async def test_history_and_undo_know_the_revisions(world, kubectl):
    await world.deploy("v7", replicas=1)
    await kubectl("rollout", "status", "deployment/echo-v7", "--timeout=15s")
    await kubectl("set", "image", "deployment/echo-v7", "echo=sandbox/echo:second")
    await kubectl("rollout", "status", "deployment/echo-v7", "--timeout=15s")

    history = (await kubectl("rollout", "history", "deployment/echo-v7")).split()
    assert [word for word in history if word.isdecimal()] == ["1", "2"]

    await kubectl("rollout", "undo", "deployment/echo-v7")
    await kubectl("rollout", "status", "deployment/echo-v7", "--timeout=15s")
    history = (await kubectl("rollout", "history", "deployment/echo-v7")).split()
    assert [word for word in history if word.isdecimal()] == ["2", "3"]
    await kubectl("delete", "deployment", "echo-v7")
