"""A ramp by budget: which weight follows a look, what stops it, and what a restart leaves of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from analysis.verdict import Ground, Judgement, Verdict
from config.schema import OnNoData, Step
from daemon.core.model import Confirmed, Fresh, Pause, Phase, Pinned, Weighted, Writer
from daemon.core.reasons import Reason
from tests.spec.core.worlds import (
    FAIL,
    NO_DATA,
    PASS,
    START,
    World,
    judgement,
    rollout,
    told,
    version,
)

STEPS = (
    Step(weight=5, hold=timedelta(minutes=5)),
    Step(weight=25, hold=timedelta(minutes=5)),
    Step(weight=100, hold=timedelta(minutes=5)),
)
"""As a timetable: 5 % after 2 minutes, 25 % after 7, the end after 12."""
DOUBTED = judgement(Verdict.INCONCLUSIVE, Ground.DOUBTFUL, "leaning", allowed=50.0, excess=0.02)


def allows(weight: float, excess: float = 0.02, **more: object) -> Judgement:
    """Return an undecided judgement whose evidence allows a weight."""
    values = {"allowed": weight, "excess": excess} | more
    return judgement(Verdict.INCONCLUSIVE, Ground.UNDECIDED, **values)  # type: ignore[arg-type]


def few(weight: float) -> Judgement:
    return replace(allows(weight), ground=Ground.TOO_FEW_REQUESTS, message="3 requests, needs 30")


def by_budget(**policy: object) -> World:
    return World(policy=rollout(**({"ramp": "budget", "steps": STEPS} | policy)))


def smoked(world: World, result: Judgement | None = None) -> World:
    """Bring a release past its smoke test; metrics were judged meanwhile, if so."""
    world.to_smoke()
    world.prove()
    if result is not None:
        world.judge(result)
    world.smoke()
    world.settle()
    return world


def ramping(weight: float = 0.35, **policy: object) -> World:
    """A release whose first weight is proved."""
    world = smoked(by_budget(**policy), allows(weight, excess=1.0))
    world.prove()
    world.settle()
    return world


def judged(world: World, result: Judgement, after: float = 5.0) -> World:
    """Let a fresh judgement come, and what follows from it."""
    world.pass_time(after)
    world.judge(result)
    world.settle()
    return world


# ---------------------------------------------------------------- the first weight


@pytest.mark.parametrize(
    ("result", "weight"),
    [
        pytest.param(allows(0.35, excess=1.0), 0.35, id="what few requests at stake allow"),
        pytest.param(few(0.35), 0.35, id="before the canary had any"),
        pytest.param(allows(5.0, excess=1.0), 5, id="a whole number"),
        pytest.param(None, 0.01, id="nothing was judged"),
        pytest.param(allows(0.0), 0.01, id="nothing compares"),
        pytest.param(NO_DATA, 0.01, id="no data"),
    ],
)
def test_after_the_smoke_test_comes_what_the_evidence_allows(
    result: Judgement | None, weight: float
) -> None:
    world = smoked(by_budget(), result)

    assert world.owned == Weighted("v1", "v2", weight)
    assert str(world.record.weight) == str(weight)


def test_a_judgement_of_long_ago_gives_the_least_weight() -> None:
    world = by_budget()
    world.to_smoke()
    world.prove()
    world.judge(allows(5.0))
    world.pass_time(60)
    world.smoke()
    world.settle()

    assert world.record.weight == 0.01


def test_in_smoke_the_metrics_are_read_already_to_know_how_many_requests_there_are() -> None:
    world, steps = by_budget(), World()
    world.to_smoke()
    steps.to_smoke()

    assert world.decisions[-1].work.read
    assert not steps.decisions[-1].work.read


def test_without_a_smoke_test_it_begins_with_the_least_weight_and_the_pods_for_it() -> None:
    world = by_budget(smoke=None)
    world.adopt()
    world.deploy(ready=1)
    world.settle()

    assert world.record.weight == 0.01


def test_the_first_weight_and_its_reason_are_told() -> None:
    world = smoked(by_budget(), allows(0.35))

    assert world.record.message == "raised to 0.35 %: 1 of 1 requests passed"


# ---------------------------------------------------------------- what a look leads to


@pytest.mark.parametrize(
    ("result", "weight"),
    [
        pytest.param(allows(1.25), 1.25, id="more is allowed"),
        pytest.param(allows(0.41), 0.35, id="less than 1.2 times as much"),
        pytest.param(allows(0.42), 0.42, id="1.2 times as much"),
        pytest.param(allows(0.1), 0.35, id="less is allowed: it never falls"),
        pytest.param(few(1.25), 1.25, id="few requests"),
        pytest.param(DOUBTED, 0.35, id="in doubt"),
        pytest.param(replace(allows(50.0), ground=Ground.SHARED_INCIDENT), 0.35, id="an incident"),
        pytest.param(replace(allows(50.0), ground=Ground.TRAFFIC_SHARE_OFF), 0.35, id="off"),
        pytest.param(NO_DATA, 0.35, id="no data"),
        pytest.param(PASS, 100, id="shown to be as good"),
    ],
)
def test_a_fresh_judgement_decides_the_next_weight(result: Judgement, weight: float) -> None:
    world = judged(ramping(), result)

    assert world.record.weight == weight


def test_a_failure_goes_back_at_once() -> None:
    world = judged(ramping(), FAIL)

    assert world.owned == Pinned("v1")


@pytest.mark.parametrize(
    ("result", "reason", "message"),
    [
        pytest.param(
            allows(1.25, excess=0.02),
            Reason.RAISED_BY_BUDGET,
            "raised to 1.25 %: an excess above 2 % is excluded",
            id="by what is excluded",
        ),
        pytest.param(
            allows(1.25, excess=1.0),
            Reason.RAISED_BY_BUDGET,
            "raised to 1.25 %: so few requests are at stake that nothing has to be excluded before",
            id="by what is at stake",
        ),
        pytest.param(PASS, Reason.ANALYSIS_PASSED, "raised to 100 %: as judged", id="by a verdict"),
    ],
)
def test_a_raise_says_what_allowed_it(result: Judgement, reason: Reason, message: str) -> None:
    world = judged(ramping(), result)

    assert (world.record.reason, world.record.message) == (reason, message)


def test_a_raise_waits_for_a_judgement_made_after_its_proof() -> None:
    world = smoked(by_budget(), allows(0.35))
    world.pass_time(2)
    world.judge(allows(5.0))
    world.pass_time(2)
    world.prove()

    decision = world.settle()

    assert decision.reason is Reason.HOLDING
    assert world.record.weight == 0.35


def test_one_judgement_raises_once() -> None:
    world = judged(ramping(), allows(1.25))
    world.prove()
    world.findings = replace(
        world.findings, judged=replace(world.findings.judged, judgement=allows(5.0))
    )

    world.settle()

    assert world.record.weight == 1.25


def test_what_is_waited_for_is_told_with_the_last_judgement() -> None:
    world = judged(ramping(), allows(0.36))

    decision = world.settle()

    assert decision.message == "0.35 % until more is allowed; as judged"


# ---------------------------------------------------------------- the timetable


@pytest.mark.parametrize(
    ("minutes", "result", "weight"),
    [
        pytest.param(1.9, allows(0.0), 0.35, id="before it begins"),
        pytest.param(2.1, allows(0.0), 5, id="its first weight"),
        pytest.param(7.1, allows(0.0), 25, id="its second weight"),
        pytest.param(7.1, allows(40.0), 40, id="the evidence is ahead of it"),
        pytest.param(7.1, few(0.0), 20, id="so few requests that it stops there"),
        pytest.param(7.1, DOUBTED, 0.35, id="nobody in doubt goes by the timetable"),
        pytest.param(12.1, allows(0.0), 100, id="its end"),
    ],
)
def test_time_alone_gives_the_least_weight(
    minutes: float, result: Judgement, weight: float
) -> None:
    world = judged(ramping(), result, after=60 * minutes)

    assert world.record.weight == weight


def test_a_raise_by_the_timetable_says_so_whatever_it_is_ahead_of() -> None:
    world = judged(ramping(4.9), allows(0.0), after=130)

    assert world.record.reason is Reason.UNDECIDED_BY_TIMETABLE
    assert world.record.message == "raised to 5 %: by timetable, undecided: as judged"


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        pytest.param(few(0.0), Reason.TOO_FEW_REQUESTS, id="too few requests"),
        pytest.param(DOUBTED, Reason.UNDECIDED, id="in doubt"),
    ],
)
def test_what_keeps_it_back_at_the_end_is_held_and_then_asks_a_person(
    result: Judgement, reason: Reason
) -> None:
    wait = OnNoData(wait=timedelta(minutes=1))
    world = ramping(20.0, analysis=rollout().analysis.model_copy(update={"on_no_data": wait}))
    judged(world, result, after=60 * 13)
    held = judged(world, result, after=11).record.held
    judged(world, result, after=61)

    assert held.reason is reason
    assert isinstance(world.record.paused, Pause)


@pytest.mark.parametrize(
    ("rule", "phase"), [("hold", Phase.SHIFTING), ("rollback", Phase.ROLLING_BACK)]
)
def test_a_policy_that_lets_nobody_undecided_go_on_has_no_timetable_but_an_end(
    rule: str, phase: Phase
) -> None:
    undecided = rollout().analysis.model_copy(update={"on_undecided": rule})
    world = judged(ramping(analysis=undecided), allows(0.0), after=60 * 8)
    before = world.record.weight

    judged(world, allows(0.0), after=60 * 5)

    assert before == 0.35
    assert world.phase is phase


def test_by_evidence_it_goes_on_under_such_a_policy_too() -> None:
    undecided = rollout().analysis.model_copy(update={"on_undecided": "hold"})
    world = judged(ramping(analysis=undecided), allows(5.0))

    judged_again = judged(proved(world), PASS)

    assert judged_again.phase is Phase.BAKING


def proved(world: World) -> World:
    world.pass_time(1)
    world.prove()
    world.settle()
    return world


def test_time_runs_from_the_proof_of_the_first_weight_over_later_raises_and_a_restart() -> None:
    world = ramping()
    proved(judged(world, allows(1.25), after=60))
    world.writer, world.holding = Writer("another"), None
    world.findings = replace(world.findings, proof=None)
    world.settle()
    proved(world)

    judged(world, allows(0.0), after=70)

    assert world.record.ramp_since == START
    assert world.record.weight == 5


def test_time_begins_with_a_proof_and_not_with_a_write() -> None:
    world = smoked(by_budget(), allows(0.35))
    world.pass_time(25)
    world.prove()
    world.settle()

    judged(world, allows(0.0), after=110)

    assert world.record.weight == 0.35


def test_a_silent_reader_is_noticed_long_before_the_timetable_ends() -> None:
    world = ramping()
    world.pass_time(30)

    decision = world.look()

    assert decision.reason is Reason.NO_DATA


# ---------------------------------------------------------------- what stops it as it stops steps


def test_no_more_pods_than_there_are_get_traffic() -> None:
    world = ramping()
    world.versions = (world.versions[0], version("v2", ready=1, age=-1))

    judged(world, allows(40.0))
    held = world.look()

    assert held.reason is Reason.WAITING_FOR_PODS
    assert held.message == "40 % needs 2 ready pods of v2, there are 1"
    assert world.record.weight == 0.35


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda it: setattr(it, "request", "pause"), Reason.PAUSED, id="paused"),
        pytest.param(
            lambda it: setattr(it, "owned", Weighted("v1", "v2", 0.36)),
            Reason.ROUTE_EDITED,
            id="a hundredth was edited",
        ),
        pytest.param(
            lambda it: it.extra.update(fresh=Fresh.UNREADABLE),
            Reason.DEPLOYMENTS_UNREADABLE,
            id="unreadable",
        ),
    ],
)
def test_whatever_stops_a_step_stops_it(change: object, reason: Reason) -> None:
    world = ramping()
    change(world)  # type: ignore[operator]
    world.settle()

    judged(world, allows(5.0))

    assert world.look().reason is reason
    assert world.record.weight == 0.35


def test_a_raise_that_is_not_live_is_taken_back_to_the_hundredth() -> None:
    world = judged(ramping(), allows(1.25))
    world.fail_to_prove()
    world.pass_time(31)

    world.look()

    assert world.owned == Weighted("v1", "v2", 0.35)
    assert world.record.confirmed == Confirmed(4, 0.35)


def test_a_first_weight_that_was_taken_back_begins_anew_when_resumed() -> None:
    world = smoked(by_budget(), allows(0.35))
    world.fail_to_prove()
    world.pass_time(31)
    world.look()
    world.prove()
    world.judge(allows(0.25))
    world.request = "resume"

    world.settle()

    assert world.record.weight == 0.25
    assert world.record.ramp_since is None


def test_a_promote_skips_the_ramp() -> None:
    world = ramping()
    world.request = "promote"

    world.settle()

    assert (world.phase, world.record.weight) == (Phase.BAKING, 100)


def test_an_abort_says_how_far_it_had_come() -> None:
    world = ramping()
    world.request = "abort"

    decision = world.look()

    assert "aborted at 0.35 %; before: v1 99.65 %, v2 0.35 %" in decision.message


# ---------------------------------------------------------------- what stands in the record


@pytest.mark.parametrize(
    ("weight", "step"), [(0.35, 0), (4.99, 0), (5.0, 0), (12.5, 0), (25.0, 1), (50.0, 1)]
)
def test_the_step_is_the_last_whose_weight_is_reached(weight: float, step: int) -> None:
    world = judged(ramping(0.2), allows(weight))

    assert world.record.step == step


def test_requests_are_counted_from_the_beginning_whatever_the_step() -> None:
    world = judged(ramping(), allows(50.0))
    on_the_way = world.decisions[-1].work.step
    proved(world)
    judged(world, PASS)

    assert world.record.step == 2
    assert (on_the_way, world.decisions[-1].work.step) == (0, 2)


def test_at_the_end_nothing_of_the_ramp_is_left_in_the_record() -> None:
    world = proved(judged(ramping(), allows(5.0)))
    during = world.record.ramp_since
    judged(world, PASS)

    assert during == START
    assert world.record.ramp_since is None


def test_a_rollout_that_goes_on_under_a_policy_of_steps_takes_the_next_one() -> None:
    world = ramping()
    world.policy = rollout(steps=STEPS)
    world.pass_time(301)
    world.judge(PASS)

    world.settle()

    assert world.record.weight == 5


def test_a_rollout_of_steps_that_goes_on_by_budget_begins_its_timetable_then() -> None:
    world = World(policy=rollout(steps=STEPS))
    world.to_shifting()
    world.pass_time(3000)
    world.prove()
    world.policy = rollout(steps=STEPS, ramp="budget")

    judged(world, allows(10.0))

    assert world.record.weight == 10
    assert world.record.message.startswith("raised to 10 %: an excess above 2 %")


def test_a_raise_is_told_as_news() -> None:
    world = ramping()
    world.judge(allows(1.25))

    decision = world.look()

    expected = (Reason.RAISED_BY_BUDGET, "raised to 1.25 %: an excess above 2 % is excluded")
    assert expected in told(decision)
