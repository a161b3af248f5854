"""A whole release in values: what the record and the route are in each phase."""

from daemon.core.model import GuideKind, Phase, Pinned, Weighted
from daemon.core.reasons import Reason
from tests.spec.core.worlds import PASS, World


def test_an_open_route_is_pinned_to_the_single_ready_version_with_a_witness() -> None:
    world = World()

    world.look()

    assert world.owned == Pinned("v1")
    assert world.record.phase is Phase.IDLE
    assert world.guide.kind is GuideKind.WITNESS


def test_the_witness_goes_once_the_pin_is_proved() -> None:
    world = World()

    world.adopt()

    assert world.guide is None
    assert world.record.reason is Reason.ADOPTION_CONFIRMED


def test_a_good_release_goes_through_all_phases_in_order_with_steps_plus_five_route_writes() -> (
    None
):
    world = World()
    world.adopt()
    before = len([it for it in world.decisions if it.record])
    world.deploy()
    world.settle()
    phases = [world.phase]
    world.prove()
    world.smoke()
    world.settle()
    weights = [world.record.weight]
    while world.phase is Phase.SHIFTING:
        world.next_step()
        weights.append(world.record.weight)
    phases.append(world.phase)
    world.prove()
    world.pass_time(601)
    world.judge(PASS)
    world.settle()
    phases.append(world.phase)
    world.prove()
    world.look()
    phases.append(world.phase)
    world.pass_time(3631)
    world.settle()
    phases.append(world.phase)

    assert phases == ["Smoke", "Baking", "Finalising", "Retiring", "Idle"]
    assert weights == [5, 25, 50, 100]
    assert world.owned == Pinned("v2")
    assert world.guide is None
    assert world.record.stable == "v2"
    assert [it.replicas for it in world.versions] == [0, 4]
    assert len([it for it in world.decisions if it.record]) - before == 4 + 5


def test_users_stay_on_stable_alone_while_the_smoke_test_runs() -> None:
    world = World()

    world.to_smoke()

    assert world.owned == Pinned("v1")
    assert world.guide.kind is GuideKind.HEADER


def test_the_first_step_splits_the_owned_route_and_keeps_the_header_route() -> None:
    world = World()

    world.to_shifting()

    assert world.owned == Weighted("v1", "v2", 5)
    assert world.guide.kind is GuideKind.HEADER
