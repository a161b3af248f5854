"""Each phase: what it waits for, for how long at most, and what ends it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from analysis.verdict import Ground, Verdict
from config.schema import After, Analysis, OnNoData, Step
from daemon.core.model import (
    Delete,
    GuideKind,
    Phase,
    Pinned,
    ScaleToZero,
    SmokeFault,
    Weighted,
    Writer,
)
from daemon.core.reasons import Reason
from tests.spec.core.worlds import (
    FAIL,
    NO_DATA,
    PASS,
    UNDECIDED,
    World,
    judgement,
    rollout,
    version,
)

# ---------------------------------------------------------------- Preparing


def test_nothing_changes_for_users_while_the_canary_becomes_ready() -> None:
    world = World()
    world.adopt()
    world.deploy(ready=0)

    decision = world.settle()

    assert world.phase is Phase.PREPARING
    assert world.owned == Pinned("v1")
    assert decision.reason is Reason.WAITING_FOR_PODS


@pytest.mark.parametrize(
    ("first", "ready", "phase"),
    [(5, 0, "Preparing"), (5, 1, "Smoke"), (50, 1, "Preparing"), (50, 2, "Smoke")],
)
def test_the_canary_needs_the_pods_of_its_first_weight(first: int, ready: int, phase: str) -> None:
    steps = (Step(weight=first, hold=timedelta(minutes=5)), Step(weight=100, hold=timedelta(0)))
    world = World(policy=rollout(steps=steps))
    world.adopt()
    world.deploy(ready=ready)

    world.settle()

    assert world.phase == phase


def test_a_canary_that_is_not_ready_by_the_deadline_is_rejected() -> None:
    world = World()
    world.adopt()
    world.deploy(ready=0)
    world.settle()
    world.pass_time(601)

    decision = world.look()

    assert decision.reason is Reason.CANARY_NOT_READY
    assert world.phase is Phase.ROLLED_BACK
    assert world.record.rejected == ("v2/hash-v2",)


def test_the_policys_ready_deadline_replaces_the_deployments() -> None:
    world = World(policy=rollout(ready_deadline=timedelta(seconds=30)))
    world.adopt()
    world.deploy(ready=0)
    world.settle()
    world.pass_time(31)

    world.look()

    assert world.phase is Phase.ROLLED_BACK


def test_a_canary_deleted_before_it_had_traffic_leads_back_to_idle_and_rejects_nothing() -> None:
    world = World()
    world.adopt()
    world.deploy(ready=0)
    world.settle()
    world.versions = world.versions[:1]

    world.look()

    assert world.phase is Phase.IDLE
    assert world.record.rejected == ()


def test_the_canary_must_be_observed_at_its_present_generation() -> None:
    world = World()
    world.adopt()
    world.deploy(settled=False)

    world.settle()

    assert world.phase is Phase.PREPARING


def test_of_several_new_versions_the_newest_is_released() -> None:
    world = World()
    world.adopt()
    world.versions = (*world.versions, version("v2", age=20), version("v3", age=10))

    world.settle()

    assert world.record.canary == "v3"


def test_a_deployment_scaled_to_zero_is_no_candidate() -> None:
    world = World()
    world.adopt()
    world.deploy(replicas=0, ready=0, serving=0)

    world.settle()

    assert world.phase is Phase.IDLE


def test_a_new_revision_of_stables_own_label_is_no_candidate() -> None:
    world = World()
    world.adopt()
    world.versions = (replace(world.versions[0], revision="v1/hash-new"),)

    world.settle()

    assert world.phase is Phase.IDLE


def test_the_policy_is_stored_before_a_rollout_begins() -> None:
    world = World()
    world.adopt()
    world.deploy()

    assert world.look().save_policy_first


def test_a_problem_of_preflight_stops_a_rollout_before_it_begins() -> None:
    world = World()
    world.adopt()
    world.deploy()
    world.route = {"problems": ("the Upstream lost its subsets",)}

    decision = world.look()

    assert decision.blocked
    assert world.phase is Phase.IDLE


# ---------------------------------------------------------------- without one of the two phases


def test_without_smoke_the_first_weight_follows_readiness_under_a_private_route() -> None:
    world = World(policy=rollout(smoke=None))
    world.adopt()
    world.deploy()

    world.settle()

    assert world.owned == Weighted("v1", "v2", 5)
    assert world.guide.kind is GuideKind.PRIVATE


def test_without_shifting_everybody_moves_at_once_after_the_smoke_test() -> None:
    steps = (Step(weight=100, hold=timedelta(0)),)
    world = World(policy=rollout(steps=steps))
    world.to_smoke()
    world.prove()
    world.smoke()

    world.settle()

    assert world.owned == Weighted("v1", "v2", 100)
    assert world.phase is Phase.BAKING


# ---------------------------------------------------------------- Smoke


def test_a_failed_smoke_test_goes_back_and_no_user_was_moved() -> None:
    world = World()
    world.to_smoke()
    world.prove()
    world.smoke(passed=False, message="GET /: answered by the old version v1, not by v2")

    decision = world.look()

    assert decision.reason is Reason.SMOKE_FAILED
    assert "answered by the old version" in decision.message
    assert world.owned == Pinned("v1")


def test_a_smoke_result_of_an_earlier_decision_does_not_lead_on() -> None:
    world = World()
    world.to_smoke()
    world.prove()
    world.smoke()
    world.findings = replace(world.findings, smoke=replace(world.findings.smoke, decision=1))

    assert world.look().reason is Reason.SMOKE_RUNNING


def test_a_smoke_test_that_cannot_run_is_held_and_told_and_fails_nobody() -> None:
    world = World()
    world.to_smoke()
    world.prove()
    fault = SmokeFault(world.record.id, world.record.decision, "${secret:a/b} cannot be read")
    world.findings = replace(world.findings, smoke_fault=fault)
    world.look()
    world.pass_time(11)

    decision = world.look()

    assert decision.reason is Reason.SMOKE_NOT_RUN
    assert "${secret:a/b} cannot be read" in decision.message
    assert world.phase is Phase.SMOKE


def test_a_smoke_test_that_could_not_run_before_is_forgotten_with_its_decision() -> None:
    world = World()
    world.to_smoke()
    world.prove()
    world.findings = replace(world.findings, smoke_fault=SmokeFault(world.record.id, 1, "why"))

    assert world.look().reason is Reason.SMOKE_RUNNING


def test_the_smoke_test_does_not_begin_before_the_header_route_is_proved() -> None:
    world = World()
    world.to_smoke()

    decision = world.look()

    assert (decision.work.prove, decision.work.smoke) == (True, True)
    assert decision.reason is Reason.CONFIRMING


# ---------------------------------------------------------------- Shifting


def test_a_step_is_held_from_its_proof_not_from_its_writing() -> None:
    world = World()
    world.to_shifting()
    world.pass_time(200)
    world.prove()
    world.settle()
    world.pass_time(200)
    world.judge(PASS)

    assert world.look().reason is Reason.HOLDING


def test_a_pass_does_not_shorten_the_hold() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.judge(PASS)
    world.pass_time(299)

    world.settle()

    assert world.record.weight == 5


def test_a_pass_of_an_earlier_decision_does_not_lead_on() -> None:
    world = World()
    world.to_shifting()
    world.next_step()
    earlier = world.findings.judged
    world.prove()
    world.pass_time(301)
    world.findings = replace(world.findings, judged=earlier)

    world.settle()

    assert world.record.weight == 25


def test_undecided_with_enough_requests_goes_on_by_the_timetable_and_says_so() -> None:
    world = World()
    world.to_shifting()

    world.next_step(UNDECIDED)

    assert world.record.weight == 25
    assert world.record.reason is Reason.UNDECIDED_BY_TIMETABLE


@pytest.mark.parametrize(
    ("rule", "reason"),
    [("hold", Reason.UNDECIDED), ("rollback", Reason.UNDECIDED_ROLLED_BACK)],
)
def test_undecided_is_answered_by_policy(rule: str, reason: Reason) -> None:
    world = World(policy=rollout(analysis=Analysis(on_undecided=rule)))
    world.to_shifting()
    world.prove()
    world.pass_time(301)
    world.judge(UNDECIDED)

    assert world.look().reason is reason


@pytest.mark.parametrize(
    "ground", [it for it in Ground if it not in (Ground.SAFE, Ground.OVER_LIMIT, Ground.WORSE)]
)
def test_every_inconclusive_ground_but_undecided_holds(ground: Ground) -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.pass_time(301)
    world.judge(judgement(Verdict.INCONCLUSIVE, ground))

    world.settle()

    assert world.record.weight == (25 if ground is Ground.UNDECIDED else 5)


def test_no_data_goes_back_where_policy_says_so() -> None:
    analysis = Analysis(on_no_data=OnNoData(wait=timedelta(minutes=1), then="rollback"))
    world = World(policy=rollout(analysis=analysis))
    world.to_shifting()
    world.prove()
    world.judge(NO_DATA)
    world.look()
    world.pass_time(11)
    world.look()
    world.pass_time(61)
    world.judge(NO_DATA)

    decision = world.look()

    assert decision.reason is Reason.NO_DATA_ROLLED_BACK


def test_a_raise_waits_for_the_pods_it_needs() -> None:
    world = World()
    world.to_shifting()
    world.versions = (world.versions[0], replace(world.versions[1], ready=1, serving=1))
    world.next_step()
    world.next_step()

    assert world.record.weight == 25
    assert world.decisions[-1].reason is Reason.WAITING_FOR_PODS


def test_a_restart_does_not_shorten_a_hold() -> None:
    world = World()
    world.to_shifting()
    world.prove()
    world.settle()
    world.pass_time(299)
    world.writer = Writer("another")
    world.judge(PASS)

    world.settle()

    assert world.record.weight == 5


# ---------------------------------------------------------------- Baking and the end


def test_a_fail_while_baking_is_one_write_back() -> None:
    world = World()
    world.to_baking()
    world.prove()
    world.judge(FAIL)

    world.look()

    assert world.owned == Pinned("v1")


def to_retiring(world: World) -> None:
    world.to_baking()
    world.prove()
    world.settle()
    world.pass_time(601)
    world.judge(PASS)
    world.look()
    world.prove()
    world.look()


def test_finalising_waits_for_the_proof_of_the_single_destination() -> None:
    world = World()
    world.to_baking()
    world.prove()
    world.pass_time(601)
    world.judge(PASS)
    world.settle()

    assert world.phase is Phase.FINALISING
    assert world.owned == Pinned("v2")
    assert world.guide.kind is GuideKind.WITNESS


def test_the_old_version_is_kept_for_the_time_that_policy_says() -> None:
    world = World()
    to_retiring(world)
    world.pass_time(3600)

    decision = world.settle()

    assert world.phase is Phase.RETIRING
    assert decision.reason is Reason.KEEPING_OLD


def test_abort_goes_back_while_the_old_version_is_kept() -> None:
    world = World()
    to_retiring(world)
    world.request = "abort"

    world.look()

    assert world.owned == Pinned("v1")


@pytest.mark.parametrize(
    ("then", "effect"), [("scaleToZero", ScaleToZero), ("delete", Delete), ("keep", None)]
)
def test_the_old_deployment_ends_as_policy_says_and_only_after_idle_is_written(
    then: str, effect: type | None
) -> None:
    world = World(policy=rollout(after=After(then=then)))
    to_retiring(world)
    world.pass_time(3700)
    promoted = world.look()
    after = world.look()

    assert promoted.effects == ()
    assert promoted.record.phase is Phase.IDLE
    assert [type(it) for it in after.effects] == ([] if effect is None else [effect])


def test_a_retired_deployment_that_somebody_starts_again_is_let_be() -> None:
    world = World()
    to_retiring(world)
    world.pass_time(3700)
    world.settle()
    world.versions = (replace(world.versions[0], replicas=2), world.versions[1])

    assert world.settle().effects == ()


def test_an_old_deployment_that_is_down_already_is_not_scaled_again() -> None:
    world = World()
    to_retiring(world)
    world.pass_time(3700)
    world.look()
    world.versions = (replace(world.versions[0], replicas=0), world.versions[1])

    assert world.look().reason is Reason.WAITING_FOR_VERSION


def test_a_recreated_old_deployment_is_not_retired_by_an_older_order() -> None:
    world = World()
    to_retiring(world)
    world.pass_time(3700)
    world.look()
    world.versions = (replace(world.versions[0], uid="another"), world.versions[1])

    assert world.look().effects == ()


def test_the_retired_revision_is_known_and_starts_nothing_when_applied_again() -> None:
    world = World()
    to_retiring(world)
    world.pass_time(3700)
    world.settle()
    world.versions = (version("v1", age=-5, uid="again"), world.versions[1])

    world.settle()

    assert world.phase is Phase.IDLE
    assert world.record.stable == "v2"


# ---------------------------------------------------------------- RollingBack


def rolled_back_unproved(**policy: object) -> World:
    world = World(policy=rollout(**policy))
    world.to_shifting()
    world.judge(FAIL)
    world.look()
    world.fail_to_prove("1 of 1 proxies still answers decision 3")
    world.pass_time(31)
    return world


def test_a_rollback_that_is_not_live_is_told_at_once_and_stays_rolling_back() -> None:
    world = rolled_back_unproved()

    decision = world.look()

    assert decision.reason is Reason.ROLLBACK_UNCONFIRMED
    assert decision.notices[0].warning
    assert world.phase is Phase.ROLLING_BACK


def test_the_canarys_pods_are_taken_away_where_policy_says_so_and_fallback_leads_to_stable() -> (
    None
):
    world = rolled_back_unproved(on_unconfirmed="scaleCanary")

    decision = world.look()

    assert [it.deployment for it in decision.effects] == ["echo-v2"]


def test_the_canarys_pods_stay_where_an_empty_subset_fails() -> None:
    world = rolled_back_unproved(on_unconfirmed="scaleCanary")
    world.route = {"fallback_to": "none"}

    assert world.look().effects == ()


def test_a_canary_whose_pods_are_gone_already_is_not_scaled_again() -> None:
    world = rolled_back_unproved(on_unconfirmed="scaleCanary")
    world.look()

    assert world.look().effects == ()


def test_a_new_version_waits_until_a_rollback_is_proved() -> None:
    world = rolled_back_unproved()
    world.deploy("v3")

    world.look()

    assert world.phase is Phase.ROLLING_BACK


def test_a_proved_rollback_is_terminal_until_a_new_revision_appears() -> None:
    world = rolled_back_unproved()
    world.prove()
    world.settle()
    phase = world.phase
    world.deploy("v3")

    world.settle()

    assert phase is Phase.ROLLED_BACK
    assert world.record.canary == "v3"
    assert world.phase is Phase.SMOKE


def test_pods_of_an_older_template_keep_the_canary_from_its_first_request() -> None:
    world = World()
    world.adopt()
    world.deploy("v2", ready=2, serving=3)

    decision = world.settle()

    assert world.phase is Phase.PREPARING
    assert decision.reason is Reason.WAITING_FOR_PODS
    assert decision.message == "1 pod of an older template of v2 still serves"
