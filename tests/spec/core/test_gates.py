"""The gates: which rule wins, in which situation, and what follows from it."""

from dataclasses import replace

import pytest

from daemon.core.model import Confirmed, Fresh, Phase, Pinned, Unclear, Verify, Weighted, Writer
from daemon.core.reasons import Reason
from tests.spec.core.worlds import FAIL, NO_DATA, PASS, World, rollout, version

# ---------------------------------------------------------------- abort


@pytest.mark.parametrize("stretch", ["to_smoke", "to_shifting", "to_baking"])
def test_an_abort_pins_stable_from_any_phase(stretch: str) -> None:
    world = World()
    getattr(world, stretch)()
    world.request = "abort"

    decision = world.look()

    assert decision.reason is Reason.ABORTED
    assert world.owned == Pinned("v1")
    assert world.phase is Phase.ROLLING_BACK


def test_an_abort_rejects_the_revision() -> None:
    world = World()
    world.to_shifting()
    world.request = "abort"

    world.look()

    assert world.record.rejected == ("v2/hash-v2",)


def test_an_abort_wins_over_a_pass_at_the_same_instant() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.settle()
    world.pass_time(301)
    world.judge(PASS)
    world.request = "abort"

    decision = world.look()

    assert decision.reason is Reason.ABORTED


def test_an_abort_goes_in_the_takeover_patch_itself() -> None:
    world = World()
    world.to_shifting()
    world.writer = Writer("another")
    world.request = "abort"

    decision = world.look()

    assert decision.reason is Reason.ABORTED
    assert (world.record.writer, world.record.epoch) == ("another", 2)


def test_an_abort_that_stood_there_when_the_rollout_started_counts_as_handled() -> None:
    world = World()
    world.adopt()
    world.request = "abort"
    world.settle()
    world.deploy()

    world.settle()

    assert world.phase is Phase.SMOKE


def test_a_bare_abort_counts_again_once_the_annotation_held_another_value() -> None:
    world = World()
    world.adopt()
    world.request = "abort"
    world.settle()
    world.request = None
    world.deploy()
    world.settle()
    world.request = "abort"

    decision = world.look()

    assert decision.reason is Reason.ABORTED


def test_an_abort_that_names_another_rollout_is_not_obeyed() -> None:
    world = World()
    world.to_shifting()
    world.request = '{"id": "2026-11-24T12:00:00.000Z-0001", "verb": "abort", "rollout": "another"}'

    decision = world.look()

    assert decision.reason is Reason.REQUEST_IGNORED
    assert world.owned == Weighted("v1", "v2", 5)


def test_an_abort_is_refused_without_a_ready_pod_of_stable() -> None:
    world = World()
    world.to_shifting()
    world.versions = (replace(world.versions[0], ready=0, serving=0), world.versions[1])
    world.request = "abort"

    decision = world.look()

    assert decision.reason is Reason.NO_WAY_BACK
    assert world.owned == Weighted("v1", "v2", 5)
    assert decision.notices[0].reason is Reason.REQUEST_IGNORED


def test_an_abort_that_skips_readiness_is_obeyed_without_a_ready_pod_of_stable() -> None:
    world = World()
    world.to_shifting()
    world.versions = (replace(world.versions[0], ready=0, serving=0), world.versions[1])
    world.request = (
        '{"id": "2026-11-24T12:00:00.000Z-0001", "verb": "abort", "skip": ["readiness"]}'
    )

    world.look()

    assert world.owned == Pinned("v1")


def test_an_abort_goes_ahead_when_the_deployments_cannot_be_read() -> None:
    world = World()
    world.to_shifting()
    world.versions = (replace(world.versions[0], ready=0, serving=0), world.versions[1])
    world.request = "abort"
    world.extra = {"fresh": Fresh.UNREADABLE}

    world.look()

    assert world.owned == Pinned("v1")


def test_an_abort_pins_stable_over_an_edited_route() -> None:
    world = World()
    world.to_shifting()
    world.owned = Weighted("v1", "v2", 80)
    world.request = "abort"

    decision = world.look()

    assert world.owned == Pinned("v1")
    assert "v2 80 %" in decision.message


def test_an_abort_leaves_a_route_alone_that_cannot_be_told() -> None:
    world = World()
    world.to_shifting()
    world.owned = Unclear("two routes match")
    world.request = "abort"

    decision = world.look()

    assert decision.reason is Reason.ROUTE_REFUSED
    assert decision.split is None


def test_an_abort_is_verified_on_everything_before_it_is_carried_out() -> None:
    world = World()
    world.to_shifting()
    world.request = "abort"

    assert world.look().verify is Verify.EVERYTHING


# ---------------------------------------------------------------- the writer


def test_a_new_process_takes_an_active_record_over_before_anything_else() -> None:
    world = World()
    world.to_shifting()
    split = world.owned, world.guide, world.record.decision
    world.writer = Writer("another")

    decision = world.look()

    assert decision.reason is Reason.TAKEOVER
    assert world.record.epoch == 2
    assert (world.owned, world.guide, world.record.decision) == split


def test_a_record_in_idle_is_not_taken_over() -> None:
    world = World()
    world.adopt()
    world.writer = Writer("another")

    assert world.look().record is None


def test_a_writer_with_our_epoch_or_a_later_one_stops_us() -> None:
    world = World()
    world.to_shifting()
    world.writer = Writer("me too", epoch=world.record.epoch)

    decision = world.look()

    assert decision.reason is Reason.LOST_LEADERSHIP
    assert decision.record is None
    assert decision.work is None


def test_an_abort_does_not_pass_a_lost_leadership() -> None:
    world = World()
    world.to_shifting()
    world.writer = Writer("me too", epoch=world.record.epoch)
    world.request = "abort"

    assert world.look().record is None


def test_a_lost_policy_pauses_the_rollout_once_it_is_taken_over() -> None:
    world = World()
    world.to_shifting()
    world.writer = Writer("another")
    world.extra = {"policy_lost": True}

    world.settle()

    assert world.record.paused is not None
    assert world.record.paused.reason == Reason.POLICY_LOST


# ---------------------------------------------------------------- record and route


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"v":2}', "not json", "x" * 9000])
def test_a_damaged_record_is_left_alone(text: str) -> None:
    world = World(record_text=text)

    decision = world.look()

    assert decision.reason is Reason.RECORD_DAMAGED
    assert decision.blocked
    assert world.record_text == text


def test_a_route_that_is_gone_blocks_and_is_told() -> None:
    world = World()
    world.to_shifting()
    world.extra = {"route": None, "record": None}

    decision = world.look()

    assert decision.reason is Reason.ROUTE_GONE
    assert decision.notices[0].warning


# ---------------------------------------------------------------- the canary


@pytest.mark.parametrize("stretch", ["to_shifting", "to_baking"])
def test_a_canary_without_ready_pods_loses_its_traffic_at_once(stretch: str) -> None:
    world = World()
    getattr(world, stretch)()
    world.versions = (world.versions[0], replace(world.versions[1], ready=0, serving=0))

    decision = world.look()

    assert decision.reason is Reason.CANARY_NOT_READY
    assert world.owned == Pinned("v1")
    assert world.record.rejected == ("v2/hash-v2",)


def test_a_deleted_canary_goes_back_and_is_not_rejected() -> None:
    world = World()
    world.to_shifting()
    world.versions = world.versions[:1]

    decision = world.look()

    assert decision.reason is Reason.CANARY_GONE
    assert world.owned == Pinned("v1")
    assert world.record.rejected == ()


def test_a_fail_goes_back_in_the_middle_of_the_hold() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.judge(FAIL)

    decision = world.look()

    assert decision.reason is Reason.ANALYSIS_FAILED
    assert "6 of 83" in decision.message
    assert world.owned == Pinned("v1")


def test_a_fail_of_an_earlier_decision_counts() -> None:
    world = World()
    world.to_shifting()
    world.judge(FAIL)
    judged = world.findings.judged
    world.findings = replace(world.findings, judged=replace(judged, decision=1))

    assert world.look().reason is Reason.ANALYSIS_FAILED


def test_a_fail_of_another_revision_does_not_count() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.judge(FAIL)
    judged = world.findings.judged
    world.findings = replace(world.findings, judged=replace(judged, revision="v2/other"))

    assert world.look().reason is not Reason.ANALYSIS_FAILED


def test_a_fail_is_held_while_stable_has_no_ready_pod() -> None:
    world = World()
    world.to_shifting()
    world.versions = (replace(world.versions[0], ready=0, serving=0), world.versions[1])
    world.judge(FAIL)

    decision = world.look()

    assert decision.reason is Reason.NO_WAY_BACK
    assert world.owned == Weighted("v1", "v2", 5)


def test_a_fail_goes_back_when_neither_version_has_a_ready_pod() -> None:
    world = World()
    world.to_shifting()
    world.versions = tuple(replace(it, ready=0, serving=0) for it in world.versions)

    world.look()

    assert world.owned == Pinned("v1")


@pytest.mark.parametrize("stretch", ["to_smoke", "to_shifting", "to_baking"])
def test_a_changed_template_goes_back_to_nothing_and_is_proved_anew(stretch: str) -> None:
    world = World()
    getattr(world, stretch)()
    world.versions = (world.versions[0], replace(world.versions[1], revision="v2/hash-new"))

    decision = world.look()
    world.prove()
    world.settle()

    assert decision.reason is Reason.CANARY_CHANGED
    assert world.record.revision == "v2/hash-new"
    assert world.phase is Phase.SMOKE
    assert world.owned == Pinned("v1")


def test_a_third_version_restarts_a_rollout_below_100() -> None:
    world = World()
    world.to_shifting()
    world.deploy("v3")

    decision = world.look()
    world.prove()
    world.settle()

    assert decision.reason is Reason.SUPERSEDED
    assert world.record.canary == "v3"
    assert "v2/hash-v2" in world.record.known


def test_a_third_version_waits_while_the_second_bakes() -> None:
    world = World()
    world.to_baking()
    world.deploy("v3")

    world.settle()

    assert world.phase is Phase.BAKING


@pytest.mark.parametrize("rule", ["queue", "ignore"])
def test_a_third_version_changes_nothing_where_policy_says_so(rule: str) -> None:
    world = World(policy=rollout(on_new_version=rule))
    world.to_shifting()
    world.deploy("v3")

    world.settle()

    assert world.record.canary == "v2"


def test_a_changed_stable_is_noted_and_the_evidence_starts_anew() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.versions = (replace(world.versions[0], revision="v1/hash-new"), world.versions[1])

    decision = world.look()

    assert decision.reason is Reason.STABLE_CHANGED
    assert world.owned == Weighted("v1", "v2", 5)
    assert decision.work.stable_revision == "v1/hash-new"


# ---------------------------------------------------------------- unconfirmed


def test_a_raise_that_is_not_live_is_taken_back_once_and_paused() -> None:
    world = World()
    world.to_shifting()
    world.fail_to_prove()
    world.pass_time(31)

    decision = world.look()

    assert decision.reason is Reason.RAISE_UNCONFIRMED
    assert world.owned == Weighted("v1", "v2", 0)
    assert world.record.paused is not None


def test_a_take_back_that_is_not_live_either_is_held_without_another_write_of_the_route() -> None:
    world = World()
    world.to_shifting()
    world.fail_to_prove()
    world.pass_time(31)
    world.look()
    world.fail_to_prove()
    world.pass_time(31)

    decisions = [world.look() for _ in range(5)]

    assert {it.reason for it in decisions} == {Reason.RAISE_UNCONFIRMED}
    assert all(it.split is None for it in decisions)


def test_a_take_back_goes_to_the_last_proved_weight() -> None:
    world = World()
    world.to_shifting()
    world.next_step()
    world.fail_to_prove()
    world.pass_time(31)

    world.look()

    assert world.owned == Weighted("v1", "v2", 5)
    assert world.record.confirmed == Confirmed(world.record.decision - 2, 5)


def test_resume_after_a_take_back_raises_to_the_same_step_again() -> None:
    world = World()
    world.to_shifting()
    world.fail_to_prove()
    world.pass_time(31)
    world.look()
    world.prove()
    world.request = "resume"

    world.settle()

    assert world.owned == Weighted("v1", "v2", 5)


def test_not_yet_probed_is_not_unconfirmed() -> None:
    world = World()
    world.to_shifting()
    world.pass_time(3600)

    assert world.look().reason is Reason.CONFIRMING


def test_an_unconfirmed_smoke_route_is_held_and_rejects_nothing() -> None:
    world = World()
    world.to_smoke()
    world.fail_to_prove("127.0.0.1: 404, server envoy")
    world.pass_time(31)

    decision = world.look()

    assert decision.reason is Reason.SMOKE_UNCONFIRMED
    assert "404, server envoy" in decision.message
    assert world.record.rejected == ()


def test_the_alarm_quotes_what_the_gateway_says() -> None:
    world = World(route={"gateway_says": "Weighted Destinations require a total weight"})
    world.to_smoke()
    world.fail_to_prove()
    world.pass_time(31)

    assert "require a total weight" in world.look().message


def test_a_fail_acts_while_a_raise_is_unconfirmed() -> None:
    world = World()
    world.to_shifting()
    world.fail_to_prove()
    world.pass_time(31)
    world.judge(FAIL)

    assert world.look().reason is Reason.ANALYSIS_FAILED


# ---------------------------------------------------------------- drift


def test_a_foreign_edit_stops_raises_and_is_not_overwritten() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.settle()
    world.owned = Weighted("v1", "v2", 40)
    world.pass_time(301)
    world.judge(PASS)

    decision = world.look()

    assert decision.reason is Reason.ROUTE_EDITED
    assert decision.notices[0].warning
    assert world.owned == Weighted("v1", "v2", 40)


def test_a_fail_goes_back_over_a_foreign_edit() -> None:
    world = World()
    world.to_shifting()
    world.owned = Weighted("v1", "v2", 40)
    world.judge(FAIL)

    world.look()

    assert world.owned == Pinned("v1")


def test_resume_after_drift_writes_the_recorded_split_as_a_new_decision() -> None:
    world = World()
    world.to_shifting()
    world.owned = Weighted("v1", "v2", 40)
    number = world.record.decision
    world.request = "resume"

    world.look()

    assert world.owned == Weighted("v1", "v2", 5)
    assert world.record.decision == number + 1


def test_a_rollout_goes_on_by_itself_when_somebody_puts_the_recorded_value_back() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.owned = Weighted("v1", "v2", 40)
    world.settle()
    world.owned = Weighted("v1", "v2", 5)
    world.pass_time(301)
    world.judge(PASS)

    world.settle()

    assert world.record.weight == 25


def test_restore_puts_the_split_back_at_most_three_times_an_hour_then_pauses() -> None:
    world = World(policy=rollout(on_drift="restore"))
    world.to_shifting()
    for _ in range(3):
        world.owned = Weighted("v1", "v2", 40)
        world.look()
        assert world.owned == Weighted("v1", "v2", 5)
    world.owned = Weighted("v1", "v2", 40)

    world.look()

    assert world.owned == Weighted("v1", "v2", 40)
    assert world.record.paused.reason == Reason.DRIFT_FIGHT


def test_weights_spelled_as_a_pin_of_the_same_meaning_are_no_drift() -> None:
    world = World()
    world.adopt()
    world.owned = Weighted("v1", "v2", 0)

    assert world.look().reason is Reason.WAITING_FOR_VERSION


def test_a_header_route_that_somebody_removed_is_drift() -> None:
    world = World()
    world.to_smoke()
    world.guide = None

    assert world.look().reason is Reason.ROUTE_EDITED


# ---------------------------------------------------------------- people


def test_pause_stops_the_next_step_and_resume_goes_on() -> None:
    world = World()
    world.to_shifting()
    world.request = "pause"
    world.prove()
    world.settle()
    world.pass_time(301)
    world.judge(PASS)
    world.settle()
    paused_at = world.record.weight
    world.request = "resume"

    world.settle()

    assert (paused_at, world.record.weight) == (5, 25)


def test_a_fail_goes_back_while_paused() -> None:
    world = World()
    world.to_shifting()
    world.request = "pause"
    world.settle()
    world.judge(FAIL)

    world.look()

    assert world.owned == Pinned("v1")


def test_promote_goes_straight_to_100_and_bakes() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.request = "promote"

    world.settle()

    assert world.owned == Weighted("v1", "v2", 100)
    assert world.phase is Phase.BAKING


def test_promote_never_skips_the_smoke_test() -> None:
    world = World()
    world.to_smoke()
    world.request = "promote"

    world.settle()

    assert world.phase is Phase.SMOKE


def test_promote_never_skips_readiness() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.versions = (world.versions[0], replace(world.versions[1], ready=1, serving=1))
    world.request = "promote"

    decision = world.settle()

    assert decision.reason is Reason.WAITING_FOR_PODS
    assert world.record.weight == 5


def test_retry_tries_a_rejected_revision_again() -> None:
    world = World()
    world.to_smoke()
    world.prove()
    world.smoke(passed=False)
    world.settle()
    world.prove()
    world.settle()
    assert world.phase is Phase.ROLLED_BACK
    world.request = "retry"

    world.settle()

    assert world.phase is Phase.SMOKE
    assert world.record.rejected == ()


def test_a_rejected_revision_is_not_tried_again_by_itself() -> None:
    world = World()
    world.to_smoke()
    world.prove()
    world.smoke(passed=False)
    world.settle()
    world.prove()

    world.settle()

    assert world.phase is Phase.ROLLED_BACK


def test_a_recreated_deployment_of_a_rejected_revision_stays_rejected() -> None:
    world = World()
    world.to_smoke()
    world.prove()
    world.smoke(passed=False)
    world.settle()
    world.prove()
    world.settle()
    world.versions = (world.versions[0], version("v2", age=-60, uid="another"))

    world.settle()

    assert world.phase is Phase.ROLLED_BACK


def test_a_request_that_does_not_apply_is_answered_once_with_why() -> None:
    world = World()
    world.adopt()
    world.request = "resume"

    decisions = [world.look() for _ in range(3)]

    assert decisions[0].reason is Reason.REQUEST_IGNORED
    assert [it.record is None for it in decisions] == [False, True, True]


def test_an_unreadable_request_is_answered_once_with_why() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.request = "please stop"

    decisions = [world.look() for _ in range(2)]

    assert "neither a verb nor JSON" in decisions[0].message
    assert decisions[1].reason is not Reason.REQUEST_IGNORED


# ---------------------------------------------------------------- no data


def test_no_data_holds_and_then_pauses_and_never_rolls_back() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.judge(NO_DATA)
    world.look()
    world.pass_time(11)
    held = world.look()
    world.pass_time(15 * 60)

    world.look()

    assert held.record.held.reason is Reason.NO_DATA
    assert world.record.paused is not None
    assert world.owned == Weighted("v1", "v2", 5)


def test_a_hold_that_is_over_is_taken_off_the_record() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.judge(NO_DATA)
    world.look()
    world.pass_time(11)
    world.look()
    world.judge(PASS)

    world.look()

    assert world.record.held is None


# ---------------------------------------------------------------- stable without pods


@pytest.mark.parametrize("reach", ["to_smoke", "to_shifting", "to_baking"])
def test_without_a_ready_pod_of_stable_a_release_is_held_and_alarmed(reach: str) -> None:
    world = World()
    getattr(world, reach)()
    world.prove()
    world.settle()
    world.smoke()
    world.judge(PASS)
    world.pass_time(1000)
    world.versions = (replace(world.versions[0], ready=0, serving=0), world.versions[1])
    split = world.owned

    decision = world.look()

    assert decision.reason is Reason.NO_WAY_BACK
    assert "v1 has no ready pod" in decision.message
    assert any(it.warning for it in decision.notices)
    assert world.owned == split


def test_a_promote_on_request_goes_on_without_a_ready_pod_of_stable() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.settle()
    world.versions = (replace(world.versions[0], ready=0, serving=0), world.versions[1])
    world.request = "promote"

    world.settle()

    assert world.phase is Phase.BAKING
    assert world.owned == Weighted("v1", "v2", 100)
