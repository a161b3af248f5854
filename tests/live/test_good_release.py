"""A good release, from adoption to retirement, as its users and its neighbours see it."""

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from tests.live.history import guide_of


async def retired(scene):
    """A whole release of v2: returns when the old version is scaled to zero."""
    await scene.deploy("v2")
    await scene.reaches(Phase.RETIRING)
    await scene.reaches(Phase.IDLE)
    await scene.replicas("v1", 0)


async def test_no_users_request_fails_from_adoption_to_retirement(begin):
    scene = await begin()
    await scene.adopted()

    await retired(scene)

    assert scene.failed == 0
    assert scene.of("v2") > 30
    assert scene.record.stable == "v2"


async def test_a_release_writes_the_route_no_more_than_its_steps_and_five_times(begin):
    scene = await begin()
    await scene.adopted()
    before = len(scene.route_writes())

    await retired(scene)

    assert len(scene.route_writes()) - before <= 3 + 5


async def test_a_release_costs_at_most_sixty_requests_to_the_api(begin):
    scene = await begin()
    await scene.adopted()
    await scene.quiet()
    before = scene.api_requests()

    await retired(scene)

    # Each of the six proofs lists the proxies once, and again every two seconds it takes.
    again = scene.world.api.recorder.count(agent="crossfade/", resource="endpointslices") - 7
    assert scene.api_requests() - before - max(again, 0) <= 60


async def test_an_idle_target_costs_no_request_beside_its_watches(begin):
    scene = await begin(rps=100)
    await scene.adopted()
    await scene.told(Reason.ADOPTION_CONFIRMED)
    await scene.quiet()
    before, users = scene.api_requests(), scene.of("v1")

    await scene.wait(lambda: scene.of("v1") > users + 200, "200 requests of users")

    assert scene.api_requests() == before


LASTING = {"smoke": [f"GET /{number} -> 200" for number in range(6)]}
"""With slow answers this makes a smoke test that lasts long enough to be looked at."""


async def test_the_header_leads_to_the_new_version_from_the_smoke_test_to_the_bake(begin):
    scene = await begin(policy=LASTING)
    await scene.adopted()
    await scene.deploy("v2", latency="250ms")

    seen = {}
    for phase in (Phase.SMOKE, Phase.SHIFTING, Phase.BAKING):
        await scene.reaches(phase)
        seen[phase] = await scene.guided()
        assert scene.record.phase is phase, "the phase was over before it was looked at"

    assert seen == dict.fromkeys((Phase.SMOKE, Phase.SHIFTING, Phase.BAKING), "v2")


async def test_during_the_smoke_test_ordinary_requests_stay_on_the_old_version(begin):
    scene = await begin(policy=LASTING)
    await scene.adopted()
    await scene.deploy("v2", latency="250ms")
    await scene.reaches(Phase.SMOKE)
    await scene.guided()

    answers = {await scene.ask() for _ in range(5)}

    assert scene.record.phase is Phase.SMOKE
    assert answers == {"v1"}
    assert scene.of("v2") == 0


async def test_the_header_route_is_gone_after_the_bake(begin):
    scene = await begin()
    await scene.adopted()

    await scene.deploy("v2")
    await scene.reaches(Phase.RETIRING)

    async def is_gone():
        answer = await scene.world.ask("/", {"stage": "canary"})
        return "x-crossfade-decision" not in answer.headers

    assert guide_of(scene.object) is None
    await scene.world.until(is_gone, "the header to mean nothing")


async def test_adoption_under_load_fails_no_request(begin):
    scene = await begin(rps=300)

    await scene.adopted()
    adopted = scene.of("v1")
    await scene.wait(lambda: scene.of("v1") > adopted + 100, "100 requests after the adoption")

    assert scene.failed == 0
    assert scene.shares == {"v1": 100}


async def test_holds_last_as_long_as_the_policy_says(begin):
    steps = [{"weight": 50, "hold": "3s"}, {"weight": 100}]
    scene = await begin(policy={"steps": steps, "bake": "3s"})
    await scene.adopted()
    await scene.deploy("v2")

    raised = await scene.write(lambda it: it.shares == {"v1": 50, "v2": 50}, "50 %")
    full = await scene.write(lambda it: it.shares == {"v2": 100}, "100 %")
    final = await scene.write(
        lambda it: it.record and it.record.phase is Phase.FINALISING, "the end of the bake"
    )

    # A hold is exact to one second of the API server's clock.
    assert full.commit.at - raised.commit.at >= 2.0
    assert final.commit.at - full.commit.at >= 2.0
