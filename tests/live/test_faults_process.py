"""The daemon's process is killed or stopped in every phase; what a release comes to stays the same.

These tests run the shipped program as its own process. What every restart must keep (holds, proofs,
no weight without pods) is watched by the monitors; here stands what must be reached.
"""

from pathlib import Path

import pytest

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.sandbox.shipped import ShippedDaemon
from tests.live.patience import PATIENT

BYTECODE = Path(__file__).parents[2] / "build" / "bytecode"


@pytest.fixture(autouse=True)
def keep_bytecode(monkeypatch):
    """Let each start find the libraries compiled, as the image has them."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(BYTECODE))


def freeze_at(scene, phase):
    """Keep the gateway from serving what is written in this phase, so that it lasts."""
    wanted = f'\\"phase\\":\\"{phase}\\"'.encode()

    def act(plural, manager, body):
        if (plural, manager) != (scene.route[0].plural, "crossfade") or wanted not in body:
            return False
        scene.world.gateway.freeze()
        return True

    scene.scribe.before_patch(act)


def end_state(scene):
    """What a good release leaves behind, without names, numbers and times."""
    record = scene.record
    return {
        "phase": record.phase,
        "stable": record.stable,
        "canary": record.canary,
        "weight": record.weight,
        "shares": scene.shares,
        "routes": len(scene.object["spec"]["virtualHost"]["routes"]),
        "old": scene.deployment("v1")["spec"]["replicas"],
        "new": scene.deployment("v2")["spec"]["replicas"],
    }


UNDISTURBED = {
    "phase": Phase.IDLE,
    "stable": "v2",
    "canary": None,
    "weight": 0,
    "shares": {"v2": 100},
    "routes": 1,
    "old": 0,
    "new": 2,
}


@pytest.mark.parametrize(
    ("phase", "weight", "knobs"),
    [
        pytest.param(Phase.PREPARING, 0, {"start_delay": "1500ms"}, id="Preparing"),
        pytest.param(Phase.SMOKE, 0, {"latency": "300ms"}, id="Smoke"),
        pytest.param(Phase.SHIFTING, 25, {}, id="Shifting, first step"),
        pytest.param(Phase.SHIFTING, 60, {}, id="Shifting, second step"),
        pytest.param(Phase.BAKING, 100, {}, id="Baking"),
        pytest.param(Phase.FINALISING, 100, {}, id="Finalising"),
        pytest.param(Phase.RETIRING, 100, {}, id="Retiring"),
    ],
)
async def test_a_good_release_survives_a_kill_in_every_phase(begin, phase, weight, knobs):
    scene = await begin(policy=PATIENT, process=True)
    await scene.adopted()
    if phase is Phase.FINALISING:
        freeze_at(scene, phase)
    await scene.deploy("v2", **knobs)
    before = await scene.reaches(phase, weight=weight)

    await scene.kill()
    scene.world.gateway.thaw()
    await scene.start()
    taken = await scene.reaches(where=lambda it: it.writer != before.writer)
    await scene.reaches(Phase.IDLE)
    await scene.replicas("v1", 0)

    assert taken.epoch == before.epoch + 1
    assert (taken.phase, taken.weight) == (before.phase, before.weight)
    assert end_state(scene) == UNDISTURBED
    assert scene.failed == 0


async def test_a_rollback_survives_a_kill(begin):
    scene = await begin(policy=PATIENT, process=True, rps=100)
    await scene.adopted()
    freeze_at(scene, Phase.ROLLING_BACK)
    await scene.deploy("v3", error_rate="1", error_paths="/work")
    back = await scene.reaches(Phase.ROLLING_BACK)

    await scene.kill()
    scene.world.gateway.thaw()
    await scene.start()
    end = await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.ANALYSIS_FAILED
    assert (end.epoch, end.rejected) == (back.epoch + 1, (back.revision,))
    assert scene.shares == {"v1": 100}


async def test_a_kill_between_write_and_answer_is_found_written_at_the_next_start(begin):
    scene = await begin(policy=PATIENT, process=True)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SMOKE)
    lost = scene.world.api.faults.slow(
        5, times=1, verb="patch", resource="virtualservices", agent="crossfade/"
    )
    await scene.wait(lambda: lost.hits, "the daemon to send its next decision")

    await scene.kill()
    await scene.start()
    await scene.reaches(Phase.IDLE)
    await scene.replicas("v1", 0)

    assert end_state(scene) == UNDISTURBED
    assert scene.failed == 0


async def test_sigterm_in_mid_smoke_ends_it_with_zero_and_the_next_start_goes_on(begin):
    scene = await begin(policy=PATIENT, process=True)
    await scene.adopted()
    await scene.deploy("v2", latency="50ms")
    before = await scene.reaches(Phase.SMOKE)

    code = await scene.stop()
    await scene.start()
    taken = await scene.reaches(where=lambda it: it.writer != before.writer)
    await scene.reaches(Phase.IDLE)
    await scene.replicas("v1", 0)

    assert code == 0
    assert taken.epoch == before.epoch + 1
    assert end_state(scene) == UNDISTURBED
    assert scene.failed == 0


async def test_sigterm_ends_it_in_time_although_the_api_server_hangs(begin):
    scene = await begin(policy=PATIENT, process=True)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING)
    hang = scene.world.api.faults.stop_answering()

    code = await scene.stop()

    hang.lift()
    assert code == 0
    await scene.start()
    await scene.reaches(Phase.IDLE)
    assert scene.failed == 0


# ---------------------------------------------------------------- two at once


class Second:
    """Another daemon beside the scene's."""

    def __init__(self, scene):
        self.facts = []
        self._daemon = ShippedDaemon(scene.policy, scene.world.kubeconfig, told=self.facts.append)

    async def __aenter__(self):
        await self._daemon.start()
        return self

    async def __aexit__(self, *problem):
        await self._daemon.stop()


async def test_a_second_daemon_takes_over_and_the_first_one_stops(begin):
    scene = await begin(policy=PATIENT, process=True)
    await scene.adopted()
    await scene.deploy("v2")
    first = await scene.reaches(Phase.SHIFTING)

    async with Second(scene):
        taken = await scene.reaches(where=lambda it: it.writer != first.writer)
        lost = await scene.decides(Reason.LOST_LEADERSHIP)
        await scene.reaches(Phase.IDLE)
        await scene.replicas("v1", 0)

    writers = [it.record.writer for it in scene.writes if it.record]
    since = writers.index(taken.writer)
    assert taken.writer in lost
    assert set(writers[since:]) == {taken.writer}
    assert end_state(scene) == UNDISTURBED
    assert scene.failed == 0


async def test_two_daemons_from_the_start_release_once(begin):
    scene = await begin(policy=PATIENT, process=True)
    await scene.adopted()

    async with Second(scene) as second:
        await scene.wait(
            lambda: any(it.get("event") == "daemon.synced" for it in second.facts),
            "the second daemon",
        )
        await scene.deploy("v2")
        await scene.reaches(Phase.IDLE, where=lambda it: it.stable == "v2")
        await scene.replicas("v1", 0)

    records = [it.record for it in scene.writes if it.record]
    epochs = [it.epoch for it in records]
    scaled = scene.world.api.recorder.count(
        verb="patch", resource="deployments", subresource="scale", agent="crossfade/"
    )
    assert epochs == sorted(epochs)
    assert len({it.id for it in records if it.canary == "v2"}) == 1
    assert scaled == 1
    assert end_state(scene) == UNDISTURBED
    assert scene.failed == 0
