"""What people ask for while a release runs."""

import json

import pytest

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.core.requests import REQUEST_ANNOTATION
from daemon.sandbox.api.patches import MERGE_PATCH, Patch
from daemon.sandbox.api.writing import Options
from daemon.sandbox.kinds import DEPLOYMENTS

LONG = {"steps": [{"weight": 25, "hold": "30s"}, {"weight": 60, "hold": "1s"}, {"weight": 100}]}
"""A first step that lasts for a whole test."""


async def shifting(begin, **setting):
    """A scene with v2 on its first step, live."""
    scene = await begin(**setting)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING)
    await scene.serves({"v1": 75, "v2": 25})
    return scene


@pytest.mark.parametrize("on", ["v1", "v2"])
async def test_an_abort_on_either_deployment_goes_back_to_stable(begin, on):
    scene = await shifting(begin, policy=LONG)

    asked = await scene.request("abort", on=on, by="ada", reason="too slow")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.ABORTED
    assert asked in back.handled
    assert 'aborted by ada: "too slow" at 25 %' in back.message
    assert scene.shares == {"v1": 100}
    assert scene.failed == 0


async def test_a_bare_verb_by_kubectl_annotate_is_obeyed(begin):
    scene = await shifting(begin, policy=LONG)

    await scene.annotate("abort", on="v2")
    back = await scene.reaches(Phase.ROLLING_BACK)

    assert back.reason is Reason.ABORTED


async def test_an_abort_at_the_instant_of_a_raise_is_the_next_thing_that_happens(begin):
    scene = await shifting(begin)
    grounds = (b"AnalysisPassed", b"UndecidedByTimetable")

    def ask(plural, manager, body):
        """Ask right before the daemon's raise is written, after it read the Deployments."""
        if (plural, manager) != ("virtualservices", "crossfade"):
            return False
        if not any(it in body for it in grounds):
            return False
        asked = {"id": "2026-01-01T00:00:00.000Z-00ff", "verb": "abort"}
        change = {"metadata": {"annotations": {REQUEST_ANNOTATION: json.dumps(asked)}}}
        patch = Patch(MERGE_PATCH, json.dumps(change).encode())
        options = Options(manager="kubectl-edit")
        scene.world.api.store.patch(DEPLOYMENTS, "echo", "echo-v2", patch, options)
        return True

    scene.scribe.before_patch(ask)
    raised = await scene.write(lambda it: it.record and it.record.weight == 60, "the raise")
    number = scene.writes.index(raised)
    await scene.reaches(Phase.ROLLED_BACK)

    after = scene.writes[number + 1].record
    assert (after.phase, after.reason) == (Phase.ROLLING_BACK, Reason.ABORTED)


async def test_a_pause_stops_raises_until_resume(begin):
    scene = await shifting(begin)

    await scene.request("pause", on="v2", by="ada")
    paused = await scene.reaches(where=lambda it: it.paused is not None)
    writes, users = len(scene.writes), scene.answers.total()
    await scene.wait(lambda: scene.answers.total() > users + 150, "more users than a hold has")
    unmoved = len(scene.writes) == writes
    await scene.request("resume", on="v2")
    await scene.reaches(Phase.BAKING)

    assert unmoved
    assert paused.paused.by == "ada"


async def test_a_paused_release_still_goes_back_when_its_canary_fails(begin):
    scene = await shifting(begin, policy=LONG, rps=100)
    await scene.request("pause", on="v2")
    await scene.reaches(where=lambda it: it.paused is not None)

    await scene.world.turn("v2", error_rate="1", error_paths="/work")
    back = await scene.reaches(Phase.ROLLING_BACK)

    assert back.reason is Reason.ANALYSIS_FAILED


async def test_a_promote_skips_the_holds_and_bakes(begin):
    scene = await shifting(begin, policy=LONG)

    await scene.request("promote", on="v2")
    full = await scene.reaches(Phase.BAKING)
    end = await scene.reaches(Phase.RETIRING)

    assert full.reason is Reason.PROMOTED_BY_REQUEST
    assert end.canary == "v2"
    assert scene.failed == 0


async def test_a_promote_that_skips_the_failing_check_goes_to_the_end_and_says_whose_word_it_is(
    begin,
):
    scene = await begin(policy=LONG | {"bake": "3s"})
    await scene.adopted()
    await scene.deploy("v3", error_rate="0.5", error_paths="/work")
    await scene.reaches(Phase.PREPARING)

    skip = {"skip": ["success rate"], "by": "ada", "reason": "users want it"}
    await scene.request("promote", on="v3", **skip)
    told = await scene.told(Reason.CHECK_OVERRIDDEN)
    end = await scene.reaches(Phase.FINALISING)

    assert 'not counted: success rate skipped by ada: "users want it"' in told
    assert 'success rate skipped by ada: "users want it"' in end.message


async def test_a_request_that_names_another_rollout_is_ignored_with_the_reason(begin):
    scene = await shifting(begin, policy=LONG)

    await scene.request("pause", on="v2", rollout="20260101-000000-0000")
    note = await scene.told(Reason.REQUEST_IGNORED)

    assert "it names rollout 20260101-000000-0000" in note
    assert scene.record.paused is None


async def test_a_request_that_was_there_before_the_rollout_is_not_obeyed(begin):
    scene = await begin(policy=LONG)
    await scene.adopted()
    await scene.annotate("abort", on="v1")
    await scene.told(Reason.REQUEST_IGNORED)

    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING)
    await scene.quiet()

    assert scene.record.phase is Phase.SHIFTING


async def test_retry_gives_a_rejected_version_another_chance(begin):
    scene = await begin()
    await scene.adopted()
    await scene.deploy("v4", error_rate="1")
    await scene.reaches(Phase.ROLLED_BACK)
    await scene.world.turn("v4", error_rate="0")

    await scene.request("retry", on="v4")
    again = await scene.reaches(Phase.PREPARING)
    end = await scene.reaches(Phase.RETIRING)

    assert again.reason is Reason.RETRIED
    assert again.rejected == ()
    assert end.canary == "v4"
