"""Somebody else, or the gateway, does something to the route in the middle of a release."""

import pytest

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.sandbox.kinds import VIRTUAL_SERVICES
from tests.live.harness import ANNOTATION, PATIENCE, UPSTREAM
from tests.live.history import destinations, owned_route, routes_of

LONG = {"steps": [{"weight": 25, "hold": "30s"}, {"weight": 100}]}
"""A first step that lasts for a whole test."""


async def shifting(begin, **setting):
    """A scene with v2 on its first step, live."""
    scene = await begin(**setting)
    await scene.adopted()
    await scene.deploy("v2")
    await scene.reaches(Phase.SHIFTING)
    await scene.serves({"v1": 75, "v2": 25})
    return scene


def weigh(stable, canary):
    """An edit: other weights in the owned route."""

    def change(obj):
        members = owned_route(obj, UPSTREAM)["routeAction"]["multi"]["destinations"]
        members[0]["weight"], members[1]["weight"] = stable, canary

    return change


def strip(obj):
    """An edit: the record is gone."""
    del obj["metadata"]["annotations"][ANNOTATION]


# ---------------------------------------------------------------- an edit by hand


async def test_an_edited_route_is_told_and_left_alone(begin):
    scene = await shifting(begin)

    await scene.edit(weigh(40, 60))
    note = await scene.told(Reason.ROUTE_EDITED)
    await scene.quiet()

    assert "v1 40 %, v2 60 %" in note
    assert "kubectl-edit" in note
    assert scene.shares == {"v1": 40, "v2": 60}
    assert scene.record.weight == 25


async def test_resume_writes_our_split_again_and_goes_on(begin):
    scene = await shifting(begin)
    await scene.edit(weigh(40, 60))
    await scene.told(Reason.ROUTE_EDITED)

    asked = await scene.request("resume", on="v2")
    resumed = await scene.write(
        lambda it: it.record and asked in it.record.handled, "the resumed split"
    )
    await scene.reaches(Phase.RETIRING)

    assert resumed.shares == {"v1": 75, "v2": 25}
    assert scene.failed == 0


async def test_an_edit_that_is_taken_back_ends_the_hold_by_itself(begin):
    scene = await shifting(begin)
    await scene.edit(weigh(40, 60))
    await scene.told(Reason.ROUTE_EDITED)

    await scene.edit(weigh(75, 25))
    end = await scene.reaches(Phase.BAKING)

    assert end.canary == "v2"


async def test_a_removed_header_route_stops_the_release_as_an_edit(begin):
    scene = await shifting(begin)

    await scene.edit(lambda obj: routes_of(obj).pop(0))
    note = await scene.told(Reason.ROUTE_EDITED)

    assert "our header or witness route was removed" in note


async def test_a_failing_canary_goes_back_over_an_edit_and_says_what_was_there(begin):
    scene = await shifting(begin, rps=100)
    await scene.edit(weigh(40, 60))
    await scene.told(Reason.ROUTE_EDITED)

    await scene.world.turn("v2", error_rate="1", error_paths="/work")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.ANALYSIS_FAILED
    assert "before: v1 40 %, v2 60 %" in back.message
    assert scene.shares == {"v1": 100}


async def test_an_edit_at_the_instant_of_an_abort_does_not_stop_the_abort(begin):
    scene = await shifting(begin, policy=LONG)
    scene.edit_before_write(weigh(10, 90), Phase.ROLLING_BACK)

    await scene.request("abort", on="v2")
    edited = await scene.write(lambda it: it.commit.actor == "kubectl-edit", "the edit")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.serves({"v1": 100})

    assert edited.shares == {"v1": 10, "v2": 90}
    assert "before: v1 10 %, v2 90 %" in back.message


async def test_on_drift_restore_writes_ours_again(begin):
    scene = await shifting(begin, policy=LONG | {"onDrift": "restore"})

    await scene.edit(weigh(40, 60))
    restored = await scene.write(
        lambda it: it.record and len(it.record.restored) == 1, "the restored split"
    )

    assert restored.shares == {"v1": 75, "v2": 25}
    assert "v1 40 %, v2 60 %" in await scene.told(Reason.ROUTE_EDITED)


async def test_somebody_who_edits_again_and_again_is_met_with_a_pause_not_a_fight(begin):
    scene = await shifting(begin, policy=LONG | {"onDrift": "restore"})

    for number in range(1, 4):
        await scene.edit(weigh(40, 60))
        await scene.reaches(where=lambda it, number=number: len(it.restored) == number)
    await scene.edit(weigh(40, 60))
    paused = await scene.reaches(where=lambda it: it.paused is not None)

    assert paused.paused.reason == Reason.DRIFT_FIGHT
    assert scene.shares == {"v1": 40, "v2": 60}


# ---------------------------------------------------------------- the record


async def test_without_its_record_a_split_is_left_alone_and_told(begin):
    scene = await shifting(begin, policy=LONG)

    await scene.edit(strip)
    note = await scene.told(Reason.RECORD_LOST)
    await scene.quiet()

    assert "weights are left alone: abort, or resume to go on from here" in note
    assert scene.record_text is None
    assert scene.shares == {"v1": 75, "v2": 25}


async def test_resume_goes_on_with_a_new_record_where_it_was_lost(begin):
    scene = await shifting(begin)
    await scene.edit(strip)
    await scene.told(Reason.RECORD_LOST)

    await scene.request("resume", on="v2")
    again = await scene.reaches(Phase.SHIFTING, reason=Reason.RESUMED)
    await scene.reaches(Phase.RETIRING)

    assert (again.weight, again.canary, again.stable) == (25, "v2", "v1")
    assert scene.failed == 0


async def test_abort_goes_back_to_stable_where_the_record_was_lost(begin):
    scene = await shifting(begin, policy=LONG)
    await scene.edit(strip)
    await scene.told(Reason.RECORD_LOST)

    await scene.request("abort", on="v2")
    back = await scene.reaches(Phase.ROLLING_BACK)
    await scene.reaches(Phase.ROLLED_BACK)

    assert back.reason is Reason.ABORTED
    assert scene.shares == {"v1": 100}


async def test_an_idle_route_that_lost_its_record_is_adopted_with_what_was_known(begin):
    scene = await begin()
    await scene.adopted()
    await scene.deploy("v4", error_rate="1")
    rejected = (await scene.reaches(Phase.ROLLED_BACK)).rejected

    await scene.edit(strip)
    adopted = await scene.reaches(Phase.IDLE, reason=Reason.ADOPTED)
    await scene.adopted()
    await scene.quiet()

    assert adopted.rejected == rejected
    assert scene.record.phase is Phase.IDLE


@pytest.mark.parametrize("text", ['{"v":2,"id":"later"}', "not a record"])
async def test_a_record_that_cannot_be_read_is_left_alone(begin, text):
    scene = await shifting(begin, policy=LONG)
    route = routes_of(scene.object)

    await scene.edit(lambda obj: obj["metadata"]["annotations"].update({ANNOTATION: text}))
    note = await scene.told(Reason.RECORD_DAMAGED)
    await scene.quiet()

    assert "mend or remove the annotation" in note
    assert scene.record_text == text
    assert routes_of(scene.object) == route


# ---------------------------------------------------------------- routes that cannot be told


async def test_two_routes_to_the_upstream_are_refused_by_name(begin):
    scene = await begin(start=False)

    def add_another(obj):
        routes = routes_of(obj)
        other = {"name": "api", "matchers": [{"prefix": "/api"}]}
        routes.insert(0, other | {"routeAction": routes[0]["routeAction"]})

    await scene.edit(add_another)
    await scene.start()
    note = await scene.told(Reason.ROUTE_REFUSED)
    await scene.quiet()

    assert "api" in note
    assert "name one in route.gloo.routeName" in note
    assert scene.record_text is None
    assert all(
        version == "*" for it in routes_of(scene.object) for _, version, _ in destinations(it)
    )


# ---------------------------------------------------------------- written is not live


async def test_a_raise_that_the_gateway_rejects_is_taken_back_and_quotes_it(begin):
    scene = await shifting(begin, policy={"confirmTimeout": "3s"})

    scene.world.gateway.reject_everything("domain conflict: two hosts want *")
    back = await scene.reaches(reason=Reason.RAISE_UNCONFIRMED)
    note = await scene.told(Reason.RAISE_UNCONFIRMED, "domain conflict")

    assert back.paused is not None
    assert back.weight == 25
    assert "is not live" in note


async def test_a_raise_that_was_taken_back_goes_on_once_it_is_live_and_resumed(begin):
    scene = await shifting(begin, policy={"confirmTimeout": "3s"})
    scene.world.gateway.reject_everything("domain conflict: two hosts want *")
    await scene.reaches(reason=Reason.RAISE_UNCONFIRMED)

    scene.world.gateway.reject_everything("")
    await scene.serves({"v1": 75, "v2": 25})
    await scene.request("resume", on="v2")
    await scene.reaches(Phase.BAKING)
    await scene.reaches(Phase.RETIRING)

    assert scene.failed == 0


ZERO = {
    "apiVersion": "gateway.solo.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "other", "namespace": "gloo-system"},
    "spec": {
        "virtualHost": {
            "domains": ["other.example"],
            "routes": [
                {
                    "matchers": [{"prefix": "/"}],
                    "routeAction": {
                        "multi": {
                            "destinations": [
                                {
                                    "destination": {
                                        "upstream": {"name": "echo", "namespace": "gloo-system"}
                                    },
                                    "weight": 0,
                                }
                            ]
                        }
                    },
                }
            ],
        }
    },
}
"""Another team's route whose weights sum to 0: Envoy refuses the whole listener's routes."""


async def test_a_rollback_behind_a_frozen_listener_is_reported_and_healed_by_its_mending(begin):
    scene = await shifting(begin, policy=LONG | {"confirmTimeout": "3s"})
    await scene.people.apply(ZERO)

    await scene.request("abort", on="v2")
    back = await scene.reaches(Phase.ROLLING_BACK)
    note = await scene.told(Reason.ROLLBACK_UNCONFIRMED)
    frozen = dict(scene.scribe.live[0])
    await scene.people.remove(VIRTUAL_SERVICES, "gloo-system", "other")
    end = await scene.reaches(Phase.ROLLED_BACK)

    assert frozen == {"v1": 75, "v2": 25}
    assert "the rollback is written and not live" in note
    assert back.id == end.id
    await scene.serves({"v1": 100})


async def test_a_raise_behind_a_frozen_listener_is_not_built_upon(begin):
    scene = await shifting(begin, policy={"confirmTimeout": "3s"})

    await scene.people.apply(ZERO)
    await scene.reaches(Phase.SHIFTING, weight=60)
    back = await scene.reaches(reason=Reason.RAISE_UNCONFIRMED)

    assert (back.weight, back.phase) == (25, Phase.SHIFTING)
    assert scene.scribe.live[0] == {"v1": 75, "v2": 25}


async def test_scale_canary_takes_the_pods_away_where_a_rollback_is_not_live(begin):
    policy = LONG | {"confirmTimeout": "3s", "onUnconfirmed": "scaleCanary"}
    scene = await shifting(begin, policy=policy)
    await scene.people.apply(ZERO)

    await scene.request("abort", on="v2")
    await scene.reaches(Phase.ROLLING_BACK)
    await scene.replicas("v2", 0)
    await scene.gone("v2")

    async def only_v1():
        return {await scene.ask() for _ in range(10)} == {"v1"}

    # The frozen proxies still name v2, and every pod that is left is v1's.
    await scene.world.until(only_v1, "v1 to answer everybody", PATIENCE)
    assert scene.scribe.live[0] == {"v1": 75, "v2": 25}


async def test_a_route_that_is_deleted_is_told_and_adopted_when_it_returns(begin):
    scene = await shifting(begin, policy=LONG)
    kind, namespace, name = scene.route
    original = scene.object

    await scene.people.remove(kind, namespace, name)
    await scene.line(lambda it: it.get("reason") == "RouteGone", "the daemon to miss the route")
    spec = {"virtualHost": {"domains": ["*"], "routes": [routes_of(original)[1]]}}
    owned = spec["virtualHost"]["routes"][0]
    owned["routeAction"] = {
        "single": owned["routeAction"]["multi"]["destinations"][0]["destination"]
    }
    await scene.people.apply(
        {
            "apiVersion": "gateway.solo.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
    )
    adopted = await scene.reaches(Phase.IDLE, reason=Reason.ADOPTED, where=lambda it: it.known)

    assert adopted.stable == "v1"
    assert scene.shares == {"v1": 100}
