"""A ramp by budget under random histories: what is never raised, what never falls, what is seen."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.verdict import Ground, Verdict
from daemon.core.model import Phase, Record, Weighted
from daemon.core.reasons import Reason
from daemon.core.situation import confirmed_at, drift, step_at
from daemon.core.weights import exact, share_of
from tests.property.test_core_histories import EVENTS, checked_look, happen
from tests.spec.core.worlds import World, judgement, rollout

MINUTE = 60
ALLOWED = st.one_of(
    st.sampled_from([0.0, 0.01, 0.35, 5.0, 50.0]), st.integers(1, 5000).map(lambda it: it / 100)
)
GROUNDS = st.sampled_from(
    [Ground.UNDECIDED, Ground.UNDECIDED, Ground.TOO_FEW_REQUESTS, Ground.DOUBTFUL]
)
JUDGED = st.tuples(GROUNDS, ALLOWED)
HAPPENING = st.one_of(EVENTS, JUDGED, st.sampled_from(["a minute", "prove", "look"]))


def take_place(world: World, event: object) -> None:
    record = world.record if world.record_text else None
    if event == "a minute":
        world.pass_time(MINUTE)
    elif isinstance(event, tuple):
        if record is not None and record.revision:
            ground, allowed = event
            world.judge(judgement(Verdict.INCONCLUSIVE, ground, allowed=allowed, excess=0.02))
    else:
        happen(world, str(event))


def by_budget() -> World:
    world = World(policy=rollout(ramp="budget"))
    world.adopt()
    world.deploy()
    world.settle()
    return world


def play(events: list[object], check: object) -> None:
    """Play a history; `check` sees the record before and after each look."""
    world = by_budget()
    for event in events:
        take_place(world, event)
        before = world.record
        checked_look(world)
        check(world, before, world.record)  # type: ignore[operator]


long = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
histories = given(st.lists(HAPPENING, max_size=50))


@long
@histories
def test_the_weight_falls_to_nothing_or_to_what_was_proved_and_to_nothing_else(
    events: list[object],
) -> None:
    def check(_: World, before: Record, after: Record) -> None:
        if after.id != before.id or after.weight >= before.weight or after.weight == 0:
            return
        proved = before.confirmed.weight if before.confirmed else 0
        assert (after.reason, after.weight) == (Reason.RAISE_UNCONFIRMED, proved)

    play(events, check)


@long
@histories
def test_no_weight_is_given_that_there_are_no_pods_for(events: list[object]) -> None:
    def check(world: World, before: Record, after: Record) -> None:
        if after.id != before.id or after.weight <= before.weight:
            return
        ready = [it.ready for it in world.versions if it.version == after.canary and it.replicas]
        stable = sum(it.serving for it in world.versions if it.version == after.stable)
        assert ready[0] >= max(1, share_of(max(after.base, stable), after.weight))

    play(events, check)


@long
@histories
def test_a_raise_is_worth_its_write_and_has_hundredths_and_its_step(events: list[object]) -> None:
    def check(world: World, before: Record, after: Record) -> None:
        if after.id != before.id or after.weight <= before.weight:
            return
        assert exact(after.weight) == after.weight
        assert after.step == max(step_at(world.policy, after.weight), 0)
        if after.reason is Reason.RAISED_BY_BUDGET:
            assert after.weight >= 1.2 * before.weight
            assert after.weight <= 50

    play(events, check)


@long
@given(st.lists(HAPPENING, max_size=30), st.integers(0, 10_000))
def test_an_edit_of_a_hundredth_is_seen_and_stops_every_raise(
    events: list[object], parts: int
) -> None:
    world = by_budget()
    for event in events:
        take_place(world, event)
        world.look()
    edited = exact(parts / 100)
    if world.phase is not Phase.SHIFTING or edited == world.record.weight:
        return
    world.owned = Weighted(world.record.stable, str(world.record.canary), edited)
    world.request, before = None, world.record

    world.prove()
    world.judge(judgement(Verdict.INCONCLUSIVE, Ground.UNDECIDED, allowed=50.0, excess=0.01))
    world.look()

    assert world.record.weight <= before.weight
    if world.record.decision == before.decision:
        assert drift(world.policy, world.observe()) is not None


def prove(world: World) -> None:
    """Let a split that is not proved be proved now."""
    if confirmed_at(world.observe()) is None:
        world.prove()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(ALLOWED, GROUNDS), max_size=10))
def test_an_undisturbed_ramp_ends_by_its_timetable(looks: list[tuple[float, Ground]]) -> None:
    world = by_budget()
    world.prove()
    world.smoke()
    world.settle()
    for allowed, ground in looks:
        prove(world)
        world.judge(judgement(Verdict.INCONCLUSIVE, ground, allowed=allowed))
        world.look()
        world.pass_time(10)

    for _ in range(5):
        prove(world)
        world.pass_time(20 * MINUTE)
        world.judge(judgement(Verdict.INCONCLUSIVE, Ground.UNDECIDED))
        world.look()

    assert world.record.weight == 100
