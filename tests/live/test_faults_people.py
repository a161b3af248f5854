"""An abort by plain kubectl is obeyed: nothing of ours has to be installed, nor to be running."""

import asyncio
import sys
from pathlib import Path

import pytest

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from tests.live.patience import PATIENT

KUBECTL = Path(sys.executable).with_name("kubectl")
LONG = {"steps": [{"weight": 25, "hold": "30s"}, {"weight": 100}]}

pytestmark = pytest.mark.skipif(not KUBECTL.exists(), reason="kubectl is not installed")


async def annotate(scene, name, text):
    """Run `kubectl annotate deployment NAME crossfade.dev/request=TEXT`."""
    process = await asyncio.create_subprocess_exec(
        str(KUBECTL),
        f"--kubeconfig={scene.world.kubeconfig}",
        "--namespace=echo",
        "annotate",
        "--overwrite",
        f"deployment/{name}",
        f"crossfade.dev/request={text}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def first_step(begin):
    scene = await begin(policy=PATIENT | LONG)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    return scene


@pytest.mark.parametrize("name", ["echo-v1", "echo-v2"])
async def test_an_abort_by_kubectl_brings_everybody_back(begin, name):
    scene = await first_step(begin)

    await annotate(scene, name, "abort")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.ABORTED
    assert scene.shares == {"v1": 100}
    assert scene.failed == 0


async def test_an_abort_while_the_daemon_is_down_is_obeyed_at_its_start(begin):
    scene = await first_step(begin)
    before = scene.record
    await scene.kill()
    await annotate(scene, "echo-v2", "abort")

    await scene.start()
    first = await scene.reaches(where=lambda it: it.writer != before.writer)
    await scene.reaches(Phase.ROLLED_BACK)

    assert (first.phase, first.reason) == (Phase.ROLLING_BACK, Reason.ABORTED)
    assert first.epoch == before.epoch + 1
    assert scene.shares == {"v1": 100}
    assert scene.failed == 0


async def test_an_abort_while_the_api_server_is_silent_to_us_is_obeyed_after(begin):
    scene = await first_step(begin)
    hang = scene.world.api.faults.hang(agent="crossfade/")
    silence = scene.world.api.faults.silence(agent="crossfade/")

    await annotate(scene, "echo-v1", "abort")
    silence.lift()
    hang.lift()
    back = await scene.reaches(Phase.ROLLING_BACK)

    assert back.reason is Reason.ABORTED


async def test_a_pause_by_kubectl_keeps_the_weight_until_a_resume(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)

    await annotate(scene, "echo-v1", "pause")
    paused = await scene.reaches(where=lambda it: it.paused is not None)
    users = scene.answers.total()
    await scene.wait(lambda: scene.answers.total() > users + 120, "120 users' requests")
    during = scene.record
    await annotate(scene, "echo-v1", "resume")
    await scene.reaches(Phase.IDLE, where=lambda it: it.stable == "v2")

    assert during.weight == paused.weight
    assert scene.failed == 0
