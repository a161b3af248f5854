"""The evidence ConfigMap is deleted, cut short, or another rollout's: time is lost, never safety."""

import copy
import json

import pytest

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.kube.objects import CONFIGMAPS
from tests.live.patience import PATIENT

EVIDENCE = "crossfade.echo.echo"


async def read(scene):
    return await scene.people.get(CONFIGMAPS, "default", EVIDENCE)


async def put(scene, data):
    """Replace the data of the evidence."""
    found = await read(scene)
    await scene.people.replace(CONFIGMAPS, "default", EVIDENCE, found | {"data": data})


async def promoted(scene):
    await scene.reaches(Phase.IDLE, where=lambda it: it.stable == "v2")
    await scene.replicas("v1", 0)


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.SHIFTING, Phase.RETIRING])
async def test_evidence_deleted_under_a_running_release_is_written_again(begin, phase):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    await scene.deploy("v2", start_delay="500ms")
    await scene.reaches(phase)

    await scene.people.remove(CONFIGMAPS, "default", EVIDENCE)
    await promoted(scene)
    await scene.quiet()

    assert json.loads((await read(scene))["data"]["record.json"])["stable"] == "v2"
    assert scene.failed == 0


def cut(data):
    return {name: text[: len(text) // 2] for name, text in data.items()}


def garbage(data):
    return dict.fromkeys(data, "\x7f{]")


def wrong_types(data):
    return dict.fromkeys(data, "[1, 2, 3]")


def empty(_):
    return {}


@pytest.mark.parametrize("damage", [cut, garbage, wrong_types, empty])
async def test_damaged_evidence_is_lost_evidence(begin, damage):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.kill()

    await put(scene, damage((await read(scene))["data"]))
    await scene.start()
    await scene.reaches(Phase.BAKING)

    assert scene.failed == 0


async def test_evidence_goes_on_after_a_crash(begin):
    scene = await begin(policy=PATIENT, rps=100)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=60)
    await scene.kill()
    before = json.loads((await read(scene))["data"]["journal.json"])

    await scene.start()
    await scene.reaches(Phase.BAKING)
    after = json.loads((await read(scene))["data"]["journal.json"])

    assert (after["rollout"], after["again"]) == (before["rollout"], 0)
    assert after["looks"][: len(before["looks"])] == before["looks"]
    assert len(after["looks"]) > len(before["looks"])


async def test_evidence_of_another_rollout_proves_nothing_about_this_one(begin):
    scene = await begin(policy=PATIENT, rps=100)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.BAKING)
    good = copy.deepcopy((await read(scene))["data"])
    await promoted(scene)
    await scene.deploy("v3", error_rate="1", error_paths="/work")
    raised = await scene.reaches(Phase.SHIFTING)
    await scene.kill()

    await put(scene, (await read(scene))["data"] | {"counts.json": good["counts.json"]})
    await scene.start()
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    phases = {it.record.phase for it in scene.writes if it.record and it.record.canary == "v3"}
    assert (raised.weight, back.reason) == (25, Reason.ANALYSIS_FAILED)
    assert Phase.FINALISING not in phases


async def test_a_proof_from_the_evidence_is_not_believed_without_a_new_one(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    await scene.deploy("v2")
    before = await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.serves({"v1": 75, "v2": 25})
    await scene.kill()
    data = (await read(scene))["data"]
    counts = json.loads(data["counts.json"])
    counts |= {"id": before.id, "decision": before.decision + 1}
    counts |= {"confirmedAt": "2020-01-01T00:00:00.000Z"}
    await put(scene, data | {"counts.json": json.dumps(counts)})

    await scene.start()
    await scene.reaches(Phase.SHIFTING, weight=60)
    await scene.reaches(Phase.BAKING)

    assert scene.failed == 0  # S4 is watched by its monitor: the next step held its whole time
