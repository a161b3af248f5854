"""`ramp: budget` on a real Envoy: as much traffic as the evidence allows, in hundredths of a percent."""

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.sandbox.load import is_failure

BUDGET = {
    "ramp": "budget",
    "steps": [{"weight": 5, "hold": "5m"}, {"weight": 100}],
    "analysis": {
        "interval": "400ms",
        "checks": [{"name": "success rate", "successRate": {"maxDrop": "5pp"}}],
    },
    "confirmTimeout": "30s",
}
"""A drop that a few hundred requests exclude, and a timetable that begins after the test's end."""
LONG = 120.0
"""Seconds: before an excess of one half is excluded the canary gets one request a second."""


def raises(scene, version):
    """Return the weights that a version was given, in their order."""
    weights = [it.record.weight for it in scene.writes if it.record and it.record.canary == version]
    return [weight for weight, _ in _runs(weights) if weight]


def _runs(weights):
    return [(it, n) for n, it in enumerate(weights) if n == 0 or weights[n - 1] != it]


async def test_a_good_version_gets_everybody_as_fast_as_its_requests_allow(begin):
    scene = await begin(policy=BUDGET, rps=200)
    await scene.adopted()

    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING)
    first = scene.record.weight
    raised = await scene.reaches(where=lambda it: it.reason is Reason.RAISED_BY_BUDGET)
    full = await scene.reaches(Phase.BAKING, seconds=LONG)
    await scene.reaches(Phase.RETIRING)

    weights = raises(scene, "v2")
    assert first < 5
    assert raised.message.startswith(f"raised to {raised.weight} %: ")
    assert full.reason is Reason.ANALYSIS_PASSED
    assert weights == sorted(weights)
    assert weights[-1] == 100
    assert scene.failed == 0


async def test_a_version_that_fails_everything_is_taken_back_from_a_part_of_a_percent(begin):
    scene = await begin(policy=BUDGET, rps=200)
    await scene.adopted()

    await scene.deploy("v3", error_rate="1", error_paths="/work")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    failed = sum(n for (version, code), n in scene.answers.items() if is_failure(code))
    assert back.reason is Reason.ANALYSIS_FAILED
    assert max(raises(scene, "v3")) <= 5
    assert failed <= 30
    assert scene.shares == {"v1": 100}
