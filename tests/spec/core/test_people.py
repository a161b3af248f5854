"""What people ask for: which request counts, what is answered, and what is remembered of it."""

from dataclasses import replace

import pytest

from daemon.core.model import GuideKind, Phase, Pinned, Promote, Request, Verb
from daemon.core.reasons import Reason
from daemon.core.requests import parse_request
from tests.spec.core.worlds import FAIL, PASS, World, rollout, told, version


def request_at(minute: int, verb: str, **more: object) -> str:
    members = "".join(f', "{key}": "{value}"' for key, value in more.items())
    return f'{{"id": "2026-11-24T12:{minute:02d}:00.000Z-0001", "verb": "{verb}"{members}}}'


def asks(world: World, *texts: str) -> World:
    world.extra["requests"] = tuple(parse_request(it, world.now) for it in texts)
    return world


def shifting() -> World:
    world = World()
    world.to_shifting()
    world.pass_time(3600)
    world.prove()
    return world


def idle() -> World:
    world = World()
    world.adopt()
    return world


def rolled_back() -> World:
    world = World()
    world.to_shifting()
    world.judge(FAIL)
    world.look()
    world.prove()
    world.settle()
    return world


# ---------------------------------------------------------------- which one counts


def test_of_several_requests_the_newest_is_obeyed_and_the_others_are_told_so() -> None:
    world = asks(shifting(), request_at(1, "pause", reason="wait"), request_at(2, "promote"))

    decision = world.look()

    assert world.record.paused is None
    assert world.record.promote is not None
    assert (Reason.REQUEST_IGNORED, "pause ignored: a newer promote came") in told(decision)


def test_an_overtaken_request_is_not_obeyed_later() -> None:
    world = asks(shifting(), request_at(1, "pause"), request_at(2, "promote"))
    world.look()

    asks(world, request_at(1, "pause"))
    world.settle()

    assert world.record.paused is None


def test_a_request_that_names_another_rollout_is_ignored() -> None:
    world = asks(shifting(), request_at(1, "pause", rollout="another"))

    decision = world.look()

    assert "it names rollout another" in decision.message
    assert world.record.paused is None


def test_an_old_abort_that_still_stands_somewhere_is_never_forgotten_and_obeyed_again() -> None:
    world = asks(idle(), request_at(0, "abort"))
    world.settle()
    world.deploy()
    world.settle()

    for minute in range(1, 20):
        verb = "pause" if minute % 2 else "resume"
        asks(world, request_at(0, "abort"), request_at(minute, verb)).settle()
        world.pass_time(60)

    assert world.phase is Phase.SMOKE


def test_no_more_answered_requests_are_remembered_than_the_record_holds() -> None:
    world = shifting()

    for minute in range(1, 20):
        asks(world, request_at(minute, "pause" if minute % 2 else "resume")).look()

    assert len(world.record.handled) == 8


def test_a_bare_verb_that_was_taken_off_counts_again_when_it_is_put_back() -> None:
    world = shifting()
    world.request = "pause"
    world.settle()
    world.request = request_at(1, "resume")
    world.settle()
    world.request = None
    world.settle()
    world.request = "pause"

    world.settle()

    assert world.record.paused is not None


def test_a_bare_verb_that_stays_there_counts_once() -> None:
    world = shifting()
    asks(world, "pause").settle()
    asks(world, "pause", request_at(1, "resume")).settle()

    asks(world, "pause", request_at(1, "resume")).settle()

    assert world.record.paused is None


def test_an_unreadable_request_is_not_called_by_a_verb_that_nobody_used() -> None:
    world = asks(shifting(), "please stop")

    assert world.look().message.startswith("a request is ignored: 'please stop'")


# ---------------------------------------------------------------- what does not apply


@pytest.mark.parametrize(
    ("world", "request_text", "why"),
    [
        pytest.param(shifting, request_at(1, "retry"), "a rollout is in Shifting", id="retry"),
        pytest.param(idle, request_at(1, "retry"), "no version was rejected", id="nothing"),
        pytest.param(idle, request_at(1, "retry", version="v1"), "v1 is stable", id="stable"),
        pytest.param(idle, request_at(1, "retry", version="v9"), "no single running", id="v9"),
        pytest.param(idle, request_at(1, "promote"), "nothing to skip in Idle", id="promote"),
        pytest.param(
            rolled_back, request_at(1, "promote"), "v2 was rolled back: retry it first", id="back"
        ),
        pytest.param(idle, request_at(1, "abort"), "nothing to abort in Idle", id="abort"),
        pytest.param(idle, request_at(1, "resume"), "nothing is paused", id="resume"),
        pytest.param(rolled_back, request_at(1, "pause"), "already rolled back", id="pause"),
    ],
)
def test_what_does_not_apply_is_answered_with_why(
    world: object, request_text: str, why: str
) -> None:
    there = world()
    there.pass_time(3600)
    phase = there.phase

    decision = asks(there, request_text).look()

    assert decision.reason is Reason.REQUEST_IGNORED
    assert why in decision.message
    assert there.phase is phase


# ---------------------------------------------------------------- retry


def test_retry_starts_a_known_version_on_purpose() -> None:
    world = World(versions=(version("v0", age=99_999), version("v1", age=9000)), owned=Pinned("v1"))
    world.adopt()
    world.pass_time(3600)

    asks(world, request_at(1, "retry", version="v0")).settle()

    assert world.record.canary == "v0"
    assert "v0/hash-v0" not in world.record.known


def test_retry_waits_for_the_proof_of_the_adoption() -> None:
    world = World(versions=(version("v0", age=99_999), version("v1", age=9000)), owned=Pinned("v1"))
    world.look()
    world.pass_time(3600)
    asks(world, request_at(1, "retry", version="v0"))
    waiting = world.settle()
    guide = world.guide
    world.prove()

    world.settle()

    assert waiting.reason is Reason.CONFIRMING
    assert guide.kind is GuideKind.WITNESS
    assert world.record.canary == "v0"


def test_a_retry_that_preflight_refuses_stays_asked_for() -> None:
    world = rolled_back()
    world.pass_time(3600)
    world.route = {"problems": ("the Upstream lost its subsets",)}
    blocked = asks(world, request_at(1, "retry")).look()
    world.route = {}

    world.settle()

    assert blocked.reason is Reason.ROUTE_REFUSED
    assert world.phase is Phase.SMOKE


# ---------------------------------------------------------------- what is remembered


def test_a_promote_is_remembered_with_what_it_skips_until_it_is_done() -> None:
    world = shifting()
    asked = Request("2026-11-24T12:01:00.000Z-0001", Verb.PROMOTE, skip=("latency",))
    world.extra["requests"] = (asked,)

    world.look()

    assert world.record.promote == Promote(asked.id, ("latency",))


def test_a_request_changes_neither_phase_nor_what_the_last_step_was() -> None:
    world = shifting()
    before = world.record

    asks(world, request_at(1, "pause", by="ana", reason="a look first")).look()

    assert (world.record.reason, world.record.message) == (before.reason, before.message)
    assert world.record.decision == before.decision
    assert (world.record.paused.by, world.record.paused.reason) == ("ana", "a look first")


def test_a_request_is_told_with_who_and_why() -> None:
    world = shifting()

    decision = asks(world, request_at(1, "pause", by="ana", reason="a look first")).look()

    assert decision.message == 'pause requested by ana: "a look first"'
    assert world.look().message == "paused by ana: a look first"


def test_an_abort_that_is_refused_stands_in_the_record_for_who_asked() -> None:
    world = shifting()
    world.versions = (replace(world.versions[0], ready=0, serving=0), world.versions[1])

    asks(world, request_at(1, "abort")).look()

    assert world.record.reason is Reason.NO_WAY_BACK
    assert "scale it up" in world.record.message


# ---------------------------------------------------------------- a third version


def rejected(world: World) -> World:
    world.judge(FAIL)
    world.look()
    world.prove()
    world.settle()
    return world


@pytest.mark.parametrize(("rule", "canary"), [("queue", "v3"), ("ignore", "v2")])
def test_a_third_version_that_came_meanwhile_starts_afterwards_unless_it_was_to_be_ignored(
    rule: str, canary: str
) -> None:
    world = World(policy=rollout(on_new_version=rule))
    world.to_shifting()
    world.deploy("v3")

    rejected(world)

    assert world.record.canary == canary


def test_a_third_version_restarts_a_rollout_that_is_still_being_prepared() -> None:
    world = idle()
    world.deploy(ready=0)
    world.settle()
    first = world.record.id
    world.deploy("v3", ready=0)

    world.settle()

    assert (world.record.canary, world.phase) == ("v3", Phase.PREPARING)
    assert world.record.id != first
    assert "v2/hash-v2" in world.record.known


def test_an_older_version_does_not_restart_a_rollout() -> None:
    world = World()
    world.adopt()
    world.versions = (*world.versions, version("v2", age=20), version("v3", age=10))
    world.settle()
    world.prove()

    world.settle()

    assert world.record.canary == "v3"


# ---------------------------------------------------------------- a changed template


def test_a_template_that_changes_while_it_is_prepared_starts_again_as_another_rollout() -> None:
    world = idle()
    world.deploy(ready=0)
    world.settle()
    first = world.record.id
    world.versions = (world.versions[0], replace(world.versions[1], revision="v2/new"))

    world.settle()

    assert (world.record.revision, world.phase) == ("v2/new", Phase.PREPARING)
    assert world.record.id != first


def test_a_template_changed_back_to_a_rejected_one_is_not_let_in_by_the_back_door() -> None:
    world = rolled_back()
    world.versions = (world.versions[0], replace(world.versions[1], revision="v2/new", ready=0))
    world.settle()
    world.versions = (world.versions[0], version("v2"))

    world.settle()

    assert world.phase is Phase.IDLE
    assert world.owned == Pinned("v1")


def test_a_canary_that_changes_after_its_promotion_is_promoted_as_it_is() -> None:
    world = World()
    world.to_baking()
    world.prove()
    world.settle()
    world.pass_time(601)
    world.judge(PASS)
    world.look()
    world.versions = (world.versions[0], replace(world.versions[1], revision="v2/new"))

    decision = world.look()

    assert decision.reason is Reason.STABLE_CHANGED
    assert world.record.revision == "v2/new"
    assert world.phase is Phase.FINALISING


# ---------------------------------------------------------------- room in the record


def many(count: int) -> tuple[object, ...]:
    return tuple(version(f"old-{i}", age=90_000 + i, replicas=0, ready=0) for i in range(count))


def test_a_rollout_begins_only_if_every_revision_that_is_there_can_be_remembered() -> None:
    world = World(versions=(version("v1", age=9000), *many(30)), owned=Pinned("v1"))
    world.adopt()
    world.deploy()

    decision = world.look()

    assert decision.reason is Reason.BLOCKED
    assert "delete old ones" in decision.message
    assert world.phase is Phase.IDLE


def test_a_release_never_forgets_a_revision_that_is_still_there() -> None:
    world = World(versions=(version("v1", age=9000), *many(29)), owned=Pinned("v1"))
    world.adopt()
    world.deploy()
    world.settle()
    world.deploy("v3")

    world.settle()

    there = {it.revision for it in world.versions if it.version != "v3"}
    assert there <= {*world.record.known, world.record.stable_revision}


def test_past_the_bound_the_oldest_revision_that_is_gone_is_forgotten() -> None:
    world = World(versions=(version("v1", age=9000), *many(29)), owned=Pinned("v1"))
    world.adopt()
    gone = [it.revision for it in world.versions[5:9]]
    world.versions = (*world.versions[:5], *world.versions[9:])

    for name in ("a", "b", "c", "d"):
        world.deploy(name, ready=0)
        world.settle()

    assert [it in world.record.known for it in gone] == [False, True, True, True]
    assert "old-0/hash-old-0" in world.record.known
