"""The API server refuses, loses answers, hangs, goes away; watches break. Users notice nothing.

In every scene here a good release goes on by itself once the fault is over, and a failing one comes
back; the monitors see to it that no step comes earlier and no write is doubled.
"""

from urllib.parse import urlsplit

import pytest

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from tests.live.patience import PATIENT

AGENT = "crossfade/"
"""The daemon alone: the sandbox's controllers go on."""
ROUTE = {"verb": "patch", "resource": "virtualservices", "agent": AGENT}


async def promoted(scene):
    """Wait for the end of a good release of v2, retirement included."""
    await scene.reaches(Phase.IDLE, where=lambda it: it.stable == "v2")
    await scene.replicas("v1", 0)


def decisions(scene):
    """Return the decision numbers of all records written, in order, each once."""
    numbers = [it.record.decision for it in scene.writes if it.record]
    return list(dict.fromkeys(numbers))


def patches(scene):
    """Count the patches of the route that the daemon sent."""
    return scene.world.api.recorder.count(**ROUTE)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("code", "retry_after"),
    [
        pytest.param(409, None, id="409 conflict"),
        pytest.param(500, None, id="500 internal error"),
        pytest.param(503, None, id="503 unavailable"),
        pytest.param(429, 1, id="429 with Retry-After"),
    ],
)
async def test_a_storm_of_refusals_delays_a_release_and_breaks_nothing(begin, code, retry_after):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    storm = scene.world.api.faults.answer(code, times=4, retry_after=retry_after, agent=AGENT)

    await scene.deploy("v2")
    await scene.reaches(Phase.SMOKE)
    again = scene.world.api.faults.answer(code, times=2, retry_after=retry_after, **ROUTE)
    await scene.reaches(Phase.BAKING)

    assert (storm.hits, again.hits) == (4, 2)
    assert decisions(scene) == list(range(1, decisions(scene)[-1] + 1))
    assert scene.failed == 0


async def test_a_failing_version_comes_back_although_every_second_request_is_refused(begin):
    scene = await begin(policy=PATIENT, rps=100)
    await scene.adopted()
    await scene.deploy("v3", error_rate="1", error_paths="/work")
    await scene.reaches(Phase.SHIFTING)

    storm = scene.world.api.faults.answer(500, times=3, agent=AGENT)
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert storm.hits == 3
    assert back.reason is Reason.ANALYSIS_FAILED
    assert scene.shares == {"v1": 100}


async def test_a_way_back_needs_nothing_that_the_route_only_names(begin):
    scene = await begin(policy=PATIENT, rps=100)
    await scene.adopted()
    await scene.deploy("v3", error_rate="1", error_paths="/work")
    await scene.reaches(Phase.SHIFTING)

    scene.world.api.faults.answer(403, times=None, resource="upstreams", agent=AGENT)
    scene.world.api.faults.answer(403, times=None, resource="services", agent=AGENT)
    scene.world.api.faults.answer(403, times=None, resource="configmaps", agent=AGENT)
    scene.world.api.faults.answer(403, times=None, resource="events", agent=AGENT)
    await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert scene.shares == {"v1": 100}


async def test_nothing_begins_without_its_policy_stored(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    forbidden = scene.world.api.faults.answer(403, times=None, resource="configmaps", agent=AGENT)

    await scene.deploy("v2")
    await scene.line(
        lambda it: it.get("reason") == Reason.EVIDENCE_UNWRITABLE, "EvidenceUnwritable"
    )
    before = scene.record.phase
    forbidden.lift()
    await scene.annotate(None, on="v2")
    await scene.people.merge_patch(
        scene.route[0], "gloo-system", "echo", {"metadata": {"labels": {"touched": "yes"}}}
    )
    await promoted(scene)

    assert before is Phase.IDLE
    assert scene.failed == 0


# ---------------------------------------------------------------- lost answers


async def test_a_decision_whose_answer_is_lost_is_found_written_and_never_sent_again(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    before, sent = len(scene.writes), patches(scene)
    lost = scene.world.api.faults.lose_answer(times=None, **ROUTE)

    await scene.deploy("v2")
    await promoted(scene)

    commits = [it for it in scene.writes[before:] if it.commit.by_daemon]
    assert lost.hits == patches(scene) - sent == len(commits)
    assert decisions(scene) == list(range(1, decisions(scene)[-1] + 1))
    assert scene.failed == 0


async def test_a_rollback_whose_answer_is_lost_counts(begin):
    scene = await begin(policy=PATIENT, rps=100)
    await scene.adopted()
    await scene.deploy("v3", error_rate="1", error_paths="/work")
    await scene.reaches(Phase.SHIFTING)
    scene.world.api.faults.lose_answer(times=None, **ROUTE)

    await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    back = [it for it in scene.writes if it.record and it.record.phase is Phase.ROLLING_BACK]
    assert len(back) == 1
    assert scene.shares == {"v1": 100}


async def test_an_old_version_is_scaled_down_once_although_the_answer_is_lost(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    lost = scene.world.api.faults.lose_answer(
        times=1, verb="patch", resource="deployments", subresource="scale", agent=AGENT
    )

    await scene.deploy("v2")
    await promoted(scene)
    await scene.quiet()

    scaled = scene.world.api.recorder.count(
        verb="patch", resource="deployments", subresource="scale", agent=AGENT
    )
    assert (lost.hits, scaled) == (1, 1)
    assert scene.deployment("v2")["spec"]["replicas"] == 2


async def test_evidence_whose_answer_is_lost_holds_nothing_up(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    lost = scene.world.api.faults.lose_answer(times=4, resource="configmaps", agent=AGENT)

    await scene.deploy("v2")
    await promoted(scene)

    assert lost.hits == 4
    assert scene.failed == 0


# ---------------------------------------------------------------- silence and absence


async def test_a_decision_that_hangs_is_read_back_once_its_connection_breaks(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SMOKE)
    hang = scene.world.api.faults.hang(times=1, **ROUTE)

    await scene.wait(lambda: hang.hits, "a decision that hangs")
    hang.lift()
    await promoted(scene)

    assert decisions(scene) == list(range(1, decisions(scene)[-1] + 1))
    assert scene.failed == 0


async def test_while_the_api_server_hangs_traffic_stays_and_the_release_goes_on_after(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.serves({"v1": 75, "v2": 25})
    hang = scene.world.api.faults.stop_answering()
    users = scene.answers.total()

    await scene.wait(lambda: scene.answers.total() > users + 90, "90 users' requests")
    during = scene.shares
    hang.lift()
    await promoted(scene)

    assert during == {"v1": 75, "v2": 25}
    assert scene.failed == 0


async def test_while_the_api_server_is_gone_traffic_stays_and_the_release_goes_on_after(begin):
    scene = await begin(policy=PATIENT)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.serves({"v1": 75, "v2": 25})
    port = urlsplit(scene.world.api.url).port
    await scene.world.api.stop()
    users = scene.answers.total()

    await scene.wait(lambda: scene.answers.total() > users + 90, "90 users' requests")
    during, ended = scene.shares, scene.daemon.ended
    await scene.world.api.start(port=port)
    await promoted(scene)

    assert during == {"v1": 75, "v2": 25}
    assert ended is None
    assert scene.failed == 0


async def test_a_raise_that_no_proxy_shows_while_the_api_server_is_gone_is_not_taken_back(begin):
    scene = await begin(policy=PATIENT | {"confirmTimeout": "5s"})
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.serves({"v1": 75, "v2": 25})
    scene.world.gateway.freeze()
    await scene.write(lambda it: it.record and it.record.weight == 60, "the raise to 60 %")
    port = urlsplit(scene.world.api.url).port
    await scene.world.api.stop()
    gone = scene.scribe.now

    await scene.wait(lambda: scene.scribe.now > gone + 7, "longer than confirmTimeout")
    await scene.world.api.start(port=port)
    scene.world.gateway.thaw()
    await promoted(scene)

    assert all(it.record.paused is None for it in scene.writes if it.record)
    assert scene.failed == 0


async def test_a_failing_version_that_nobody_could_take_back_is_taken_back_at_the_return(begin):
    scene = await begin(policy=PATIENT, rps=100)
    await scene.adopted()
    await scene.deploy("v3")
    await scene.reaches(Phase.SHIFTING, weight=25)
    await scene.serves({"v1": 75, "v3": 25})
    await scene.world.turn("v3", error_rate="1", error_paths="/work")
    port = urlsplit(scene.world.api.url).port
    await scene.world.api.stop()

    await scene.wait(lambda: scene.failed > 20, "20 failed requests")
    await scene.world.api.start(port=port)
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.ANALYSIS_FAILED


async def test_a_daemon_that_starts_before_the_api_server_waits_for_it(begin):
    scene = await begin(policy=PATIENT, start=False)
    gone = scene.world.api.faults.answer(503, times=None, agent=AGENT)

    await scene.start()
    await scene.line(lambda it: it.get("event") == "api.not_reached", "a word about it")
    gone.lift()

    await scene.adopted()


# ---------------------------------------------------------------- watches


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda faults: faults.cut_watches(agent=AGENT), id="cut"),
        pytest.param(lambda faults: faults.watch_error(410, times=3, agent=AGENT), id="410 event"),
        pytest.param(lambda faults: faults.watch_error(500, times=3, agent=AGENT), id="500 event"),
        pytest.param(lambda faults: faults.half_line(times=3, agent=AGENT), id="half a line"),
        pytest.param(
            lambda faults: (
                faults.answer(410, times=3, verb="watch", agent=AGENT),
                faults.cut_watches(agent=AGENT),
            ),
            id="410 as the answer",
        ),
    ],
)
async def test_broken_watches_are_begun_again_in_every_phase(begin, fault):
    scene = await begin(policy=PATIENT)
    await scene.adopted()

    await scene.deploy("v2")
    for phase in (Phase.PREPARING, Phase.SMOKE, Phase.SHIFTING):
        await scene.reaches(phase)
        fault(scene.world.api.faults)
    await scene.reaches(Phase.BAKING)

    assert scene.failed == 0


async def test_a_failing_version_comes_back_while_all_watches_are_silent(begin):
    scene = await begin(policy=PATIENT, rps=100)
    await scene.adopted()
    await scene.deploy("v3", error_rate="1", error_paths="/work")
    await scene.reaches(Phase.SMOKE)

    scene.world.api.faults.silence(agent=AGENT)
    await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert scene.shares == {"v1": 100}


async def test_pods_that_went_behind_silent_watches_get_no_raise(begin):
    scene = await begin(policy=PATIENT | {"steps": [{"weight": 25, "hold": "2s"}, {"weight": 100}]})
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING, weight=25)
    silence = scene.world.api.faults.silence(agent=AGENT)

    await scene.world.scale("v2", 1)
    await scene.world.ready("v2", 1)
    await scene.line(
        lambda it: "100 % needs 2 ready pods of v2, there are 1" in it.get("message", ""),
        "a raise that waits for pods",
    )
    silence.lift()

    assert scene.shares == {"v1": 75, "v2": 25}
