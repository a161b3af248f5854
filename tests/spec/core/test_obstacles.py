"""What stops a raise: unproved splits, edits, lost policies, doubled or unreadable Deployments."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from analysis.verdict import Ground
from daemon.core.model import (
    Confirmed,
    Fresh,
    Guide,
    GuideKind,
    Held,
    Outage,
    Phase,
    Pinned,
    Unclear,
    Verify,
    Weighted,
    Writer,
)
from daemon.core.reasons import Reason
from tests.spec.core.worlds import FAIL, NO_DATA, PASS, World, rollout, told, version


def shifting(**policy: object) -> World:
    world = World(policy=rollout(**policy))
    world.to_shifting()
    return world


def due(world: World) -> World:
    """Let everything be there for the next raise."""
    world.prove()
    world.settle()
    world.pass_time(301)
    world.judge(PASS)
    return world


def without_pods_of_stable(world: World) -> World:
    world.versions = (replace(world.versions[0], ready=0, serving=0), *world.versions[1:])
    return world


def unproved(world: World) -> World:
    world.fail_to_prove()
    world.pass_time(31)
    return world


# ---------------------------------------------------------------- unconfirmed


def test_a_raise_is_not_taken_back_to_a_stable_without_pods() -> None:
    world = without_pods_of_stable(unproved(shifting()))

    decision = world.look()

    assert decision.reason is Reason.RAISE_UNCONFIRMED
    assert world.owned == Weighted("v1", "v2", 5)


def test_a_raise_is_not_taken_back_over_a_foreign_edit() -> None:
    world = unproved(shifting())
    world.owned = Weighted("v1", "v2", 40)

    decision = world.look()

    assert decision.reason is Reason.ROUTE_EDITED
    assert "is not live" in decision.message
    assert world.owned == Weighted("v1", "v2", 40)


def test_a_rewritten_split_that_is_not_live_is_told_and_not_taken_back_to_itself() -> None:
    world = shifting()
    world.prove()
    world.settle()
    world.owned = Weighted("v1", "v2", 40)
    world.request = "resume"
    world.look()
    unproved(world)

    decision = world.look()

    assert decision.reason is Reason.RAISE_UNCONFIRMED
    assert decision.split is None
    assert world.record.paused is None


def test_a_jump_to_100_that_is_not_live_is_taken_back_to_the_last_proved_weight() -> None:
    world = shifting()
    while world.phase is Phase.SHIFTING:
        world.next_step()
    unproved(world)

    world.look()

    assert world.owned == Weighted("v1", "v2", 50)
    assert world.phase is Phase.SHIFTING


def test_a_resumed_take_back_holds_its_weight_before_it_is_raised_again() -> None:
    world = shifting()
    world.next_step()
    unproved(world)
    world.look()
    world.prove()
    world.settle()
    world.request = "resume"
    world.judge(PASS)
    early = world.settle()
    world.pass_time(301)
    world.judge(PASS)

    world.settle()

    assert early.reason is Reason.HOLDING
    assert world.owned == Weighted("v1", "v2", 25)


def test_a_promote_does_not_end_the_pause_of_an_unconfirmed_raise_and_says_so() -> None:
    world = unproved(shifting())
    world.look()
    world.prove()
    world.request = "promote"

    decision = world.look()
    world.settle()

    assert "still paused, resume ends that" in decision.message
    assert world.owned == Weighted("v1", "v2", 0)


# ---------------------------------------------------------------- without the API server


def without_the_server(world: World, *spans: tuple[float, float]) -> World:
    """Let the API server have been out of reach, in seconds before now."""
    ago = [(timedelta(seconds=since), timedelta(seconds=until)) for since, until in spans]
    outages = tuple(Outage(world.now - since, world.now - until) for since, until in ago)
    world.extra["outages"] = outages
    return world


@pytest.mark.parametrize(
    ("spans", "taken_back"),
    [
        pytest.param([], True, id="it was there all the time"),
        pytest.param([(60, 0)], False, id="it went before the raise and is not back"),
        pytest.param([(35, 1)], False, id="it went right after the raise and is back"),
        pytest.param([(35, 20), (10, 0)], False, id="twice, together for too long"),
        pytest.param([(8, 2)], True, id="for less than there was time beside"),
        pytest.param([(3600, 50)], True, id="before the raise"),
        pytest.param([(3600, 50), (9, 0)], False, id="before, and then again"),
        pytest.param([(0, -60)], True, id="ahead of the time of the look"),
    ],
)
def test_time_without_the_api_server_does_not_count_against_a_raise(
    spans: list[tuple[float, float]], taken_back: bool
) -> None:
    world = shifting()
    world.fail_to_prove()
    world.pass_time(38)

    decision = without_the_server(world, *spans).look()

    assert (decision.reason is Reason.RAISE_UNCONFIRMED) is taken_back
    assert (world.owned == Weighted("v1", "v2", 0)) is taken_back


def test_after_an_outage_a_raise_that_is_shown_goes_on_by_itself() -> None:
    world = shifting()
    world.fail_to_prove()
    world.pass_time(600)
    waiting = without_the_server(world, (599, 0)).look()
    world.prove()
    world.settle()
    world.pass_time(301)
    world.judge(PASS)

    world.settle()

    assert waiting.reason is Reason.CONFIRMING
    assert world.owned == Weighted("v1", "v2", 25)


def test_time_without_the_api_server_counts_for_the_alarm_of_a_rollback() -> None:
    world = shifting()
    world.judge(FAIL)
    world.look()
    unproved(world)

    decision = without_the_server(world, (30, 0)).look()

    assert decision.reason is Reason.ROLLBACK_UNCONFIRMED


def test_an_adoption_that_is_not_live_is_alarmed_and_stays_as_it_is() -> None:
    world = World()
    world.look()
    world.fail_to_prove()
    world.pass_time(31)

    decision = world.look()

    assert decision.reason is Reason.ADOPTION_UNCONFIRMED
    assert decision.split is None


def test_after_a_restart_an_unproved_adoption_that_was_held_keeps_its_witness() -> None:
    world = World()
    world.look()
    for _ in range(2):
        world.fail_to_prove()
        world.pass_time(31)
        world.look()
        world.pass_time(11)
        world.look()
    world.findings = replace(world.findings, proof=None)

    decision = world.settle()

    assert decision.reason is Reason.CONFIRMING
    assert world.guide == Guide(GuideKind.WITNESS, world.record.id, world.record.decision)


def test_a_pause_right_after_the_adoption_is_no_edit_of_the_witness() -> None:
    world = World()
    world.look()
    world.request = "pause"

    decision = world.settle()

    assert decision.reason is Reason.PAUSED
    assert world.record.reason is Reason.ADOPTED


# ---------------------------------------------------------------- drift


def test_an_edit_while_rolling_back_is_told_and_left_until_somebody_says() -> None:
    world = shifting()
    world.judge(FAIL)
    world.look()
    world.owned = Weighted("v1", "v2", 40)

    decision = world.look()

    assert decision.reason is Reason.ROUTE_EDITED
    assert world.owned == Weighted("v1", "v2", 40)


def test_an_abort_while_rolling_back_pins_stable_over_an_edit() -> None:
    world = shifting()
    world.judge(FAIL)
    world.look()
    world.owned = Weighted("v1", "v2", 40)
    world.request = "abort"

    decision = world.look()

    assert world.owned == Pinned("v1")
    assert "v2 40 %" in decision.message


def test_an_abort_of_a_rollback_on_its_way_writes_no_second_one() -> None:
    world = shifting()
    world.judge(FAIL)
    world.look()
    world.request = "abort"

    assert world.look().record is None


def test_a_resume_after_an_edit_of_a_rollback_keeps_its_cause() -> None:
    world = shifting()
    world.judge(FAIL)
    world.look()
    world.owned = Weighted("v1", "v2", 40)
    world.request = "resume"

    world.look()

    assert world.owned == Pinned("v1")
    assert world.record.reason is Reason.ANALYSIS_FAILED


def test_a_pause_for_a_fight_over_the_route_ends_when_somebody_puts_ours_back() -> None:
    world = shifting(on_drift="restore")
    for _ in range(4):
        world.owned = Weighted("v1", "v2", 40)
        world.look()
    fought = world.look()
    world.owned = Weighted("v1", "v2", 5)

    world.settle()

    assert fought.reason is Reason.DRIFT_FIGHT
    assert world.record.paused is None


def test_a_route_that_cannot_be_told_is_never_restored() -> None:
    world = shifting(on_drift="restore")
    world.owned = Unclear("two routes match")

    decision = world.look()

    assert decision.reason is Reason.ROUTE_EDITED
    assert decision.split is None


@pytest.mark.parametrize("answer", ["restore", "resume"])
def test_a_weight_is_put_back_only_if_the_canary_has_the_pods_for_it(answer: str) -> None:
    world = shifting(on_drift="restore" if answer == "restore" else "pause")
    world.next_step()
    world.next_step()
    world.versions = (world.versions[0], replace(world.versions[1], ready=1, serving=1))
    world.owned = Weighted("v1", "v2", 0)
    world.request = None if answer == "restore" else "resume"

    decision = world.look()

    assert "needs 2 ready pods" in decision.message
    assert world.owned == Weighted("v1", "v2", 0)


def test_a_header_route_that_somebody_edited_is_drift() -> None:
    world = World()
    world.to_smoke()
    world.route = {"guide_sound": False}

    assert "was edited" in world.look().message


def test_the_last_editor_is_named() -> None:
    world = shifting()
    world.owned = Unclear("three destinations", identifiable=True)
    world.route = {"editor": "kubectl-edit at 12:00"}

    message = world.look().message

    assert "kubectl-edit at 12:00" in message
    assert "three destinations" in message


def test_an_edit_to_no_subset_at_all_is_told_in_words() -> None:
    world = shifting()
    world.owned = World().owned

    assert "all pods of the Upstream" in world.look().message


# ---------------------------------------------------------------- the policy


def lost(world: World, new_hash: str = "new") -> World:
    world.writer = Writer("another")
    world.extra = {"policy_lost": True, "policy_hash": new_hash}
    return world


def test_a_lost_policy_is_asked_about_again_after_a_persons_pause_has_ended() -> None:
    world = shifting()
    world.request = "pause"
    world.settle()
    lost(world)
    world.settle()
    world.request = "resume"

    world.settle()

    assert world.record.paused.reason == Reason.POLICY_LOST


def test_a_resumed_rollout_is_recorded_under_the_policy_that_there_is() -> None:
    world = lost(shifting())
    world.settle()
    world.request = "resume"

    world.look()

    assert world.record.policy == "new"
    assert world.record.paused is None


def test_a_resume_that_answers_an_edit_takes_the_new_policy_too() -> None:
    world = lost(shifting())
    world.settle()
    world.owned = Weighted("v1", "v2", 40)
    world.request = "resume"

    world.look()

    assert (world.owned, world.record.policy) == (Weighted("v1", "v2", 5), "new")


@pytest.mark.parametrize(
    ("steps", "following"),
    [((100,), 100), ((10, 100), 100), ((30, 60, 100), 30), ((1, 2, 3, 4, 25, 50, 100), 50)],
)
def test_under_a_policy_with_other_steps_the_next_weight_is_the_one_above(
    steps: tuple[int, ...], following: int
) -> None:
    world = shifting()
    world.next_step()
    step = world.policy.steps[0]
    world.policy = rollout(steps=tuple(step.model_copy(update={"weight": it}) for it in steps))

    due(world)
    world.look()

    assert world.record.weight == following


def test_a_smoke_phase_under_a_policy_without_a_smoke_test_goes_on_once_it_is_proved() -> None:
    world = World()
    world.to_smoke()
    world.policy = rollout(smoke=None)
    world.guide = replace(world.guide, kind=GuideKind.PRIVATE)
    waiting = world.look()
    world.prove()

    world.settle()

    assert waiting.work.smoke is False
    assert world.record.reason is Reason.SMOKE_SKIPPED
    assert world.owned == Weighted("v1", "v2", 5)


# ---------------------------------------------------------------- Deployments


def test_nothing_is_raised_on_deployments_that_could_not_be_read() -> None:
    world = due(shifting())
    world.extra = {"fresh": Fresh.UNREADABLE}

    decision = world.look()

    assert decision.reason is Reason.DEPLOYMENTS_UNREADABLE
    assert world.record.weight == 5


def test_a_fail_goes_back_on_deployments_that_could_not_be_read() -> None:
    world = shifting()
    world.judge(FAIL)
    world.extra = {"fresh": Fresh.UNREADABLE}

    world.look()

    assert world.owned == Pinned("v1")


def test_only_an_abort_goes_back_to_a_stable_that_cannot_be_read_and_was_last_seen_without_pods() -> (
    None
):
    world = without_pods_of_stable(shifting())
    world.judge(FAIL)
    world.extra = {"fresh": Fresh.UNREADABLE}

    decision = world.look()

    assert decision.reason is Reason.NO_WAY_BACK
    assert world.owned == Weighted("v1", "v2", 5)


@pytest.mark.parametrize("twin", ["v1", "v2"])
def test_two_deployments_of_a_version_hold_the_rollout_and_are_named(twin: str) -> None:
    world = due(shifting())
    world.versions = (*world.versions, version(twin, deployment="twin", uid="twin"))

    decision = world.look()

    assert decision.reason is Reason.TWO_DEPLOYMENTS
    assert "twin" in decision.message
    assert world.record.weight == 5


def test_two_deployments_of_a_version_are_told_at_rest_too() -> None:
    world = World()
    world.adopt()
    world.versions = (*world.versions, version("v1", deployment="twin", uid="twin"))

    assert world.look().reason is Reason.TWO_DEPLOYMENTS


def test_without_a_ready_pod_of_stable_nothing_is_prepared_further() -> None:
    world = World()
    world.adopt()
    world.deploy(ready=0)
    world.settle()
    without_pods_of_stable(world)
    world.versions = (world.versions[0], replace(world.versions[1], ready=4, serving=4))

    decision = world.look()

    assert decision.reason is Reason.NO_WAY_BACK
    assert world.phase is Phase.PREPARING


# ---------------------------------------------------------------- told with any decision


def test_a_stable_that_shrank_below_its_share_is_told() -> None:
    world = shifting()
    world.versions = (replace(world.versions[0], ready=2, serving=2), world.versions[1])

    decision = world.look()

    assert (
        Reason.STABLE_SHRUNK,
        "v1 has 2 ready pods for 95 % of the traffic; at the start it had 4, its share is 4",
    ) in told(decision)


def test_a_stable_with_its_share_of_pods_is_no_news() -> None:
    world = shifting()
    for _ in range(2):
        world.next_step()
    world.versions = (replace(world.versions[0], ready=2, serving=2), world.versions[1])

    assert Reason.STABLE_SHRUNK not in [reason for reason, _ in told(world.look())]


def test_at_the_end_a_way_back_that_is_gone_is_told_and_stops_nothing() -> None:
    world = World()
    world.to_baking()
    due(world)
    world.pass_time(601)
    world.judge(PASS)
    world.look()
    world.prove()
    without_pods_of_stable(world)

    decision = world.look()

    assert world.phase is Phase.RETIRING
    assert Reason.NO_WAY_BACK in [reason for reason, _ in told(decision)]


# ---------------------------------------------------------------- held


def test_one_outage_has_one_patience_whatever_it_is_called() -> None:
    world = shifting()
    world.prove()
    hold_for(world, Ground.NO_DATA, seconds=11)
    begun = world.record.held.since

    hold_for(world, Ground.PROVIDER_DOWN, seconds=11)

    assert world.record.held == Held(Reason.PROVIDER_DOWN, begun)


def test_patience_for_data_does_not_begin_with_another_hold() -> None:
    world = shifting()
    world.versions = (world.versions[0], replace(world.versions[1], ready=0))
    due(world)
    world.settle()
    world.pass_time(11)
    world.settle()
    held_before = world.record.held
    world.pass_time(3600)
    world.judge(NO_DATA)

    world.look()

    assert held_before.reason is Reason.WAITING_FOR_PODS
    assert world.record.paused is None


def hold_for(world: World, ground: Ground, seconds: int) -> None:
    world.judge(replace(NO_DATA, ground=ground))
    world.look()
    world.pass_time(seconds)
    world.look()


STRETCHES: dict[str, Callable[[World], None]] = {
    "a step": World.to_shifting,
    "the bake": World.to_baking,
}


@pytest.mark.parametrize("stretch", STRETCHES)
def test_a_jump_of_the_clock_ends_no_hold(stretch: str) -> None:
    world = World()
    STRETCHES[stretch](world)
    world.prove()
    world.settle()
    world.pass_time(3600)
    world.judge(PASS)
    world.extra = {"jumped_at": world.now}
    phase, weight = world.phase, world.record.weight

    decision = world.look()

    assert decision.reason in (Reason.HOLDING, Reason.BAKING)
    assert (world.phase, world.record.weight) == (phase, weight)


def test_a_judgement_that_nobody_renews_does_not_end_a_hold() -> None:
    world = due(shifting())
    world.pass_time(60)

    decision = world.look()

    assert decision.reason is Reason.NO_DATA
    assert world.record.weight == 5


def test_an_old_record_put_back_is_taken_over_with_no_lower_epoch_than_we_had() -> None:
    world = shifting()
    world.writer = Writer("another", epoch=9)

    world.look()

    assert world.record.epoch == 9


def test_a_rollback_is_verified_on_everything_and_a_raise_on_the_deployments() -> None:
    failing = shifting()
    failing.judge(FAIL)

    assert failing.look().verify is Verify.EVERYTHING
    assert due(shifting()).look().verify is Verify.DEPLOYMENTS


def test_the_last_proof_goes_with_the_next_write() -> None:
    world = due(shifting())

    world.look()

    assert world.record.confirmed == Confirmed(world.record.decision - 1, 5)
