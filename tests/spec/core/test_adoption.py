"""Adoption: what is pinned, what is refused with which sentence, and what a lost record leads to."""

from dataclasses import replace

import pytest

from daemon.core.model import Guide, GuideKind, Open, Phase, Pinned, Unclear, Weighted
from daemon.core.reasons import Reason
from tests.spec.core.worlds import World, rollout, version

OLD, NEW = version("v1", age=9000), version("v2", age=10)


def test_a_pinned_route_is_adopted_with_its_version_as_stable() -> None:
    world = World(owned=Pinned("v1"), versions=(OLD, NEW))

    world.look()

    assert world.record.stable == "v1"


@pytest.mark.parametrize(("weight", "stable"), [(0, "v1"), (100, "v2")])
def test_weights_made_by_hand_are_adopted_at_the_ends(weight: int, stable: str) -> None:
    world = World(owned=Weighted("v1", "v2", weight), versions=(OLD, NEW))

    world.look()

    assert world.record.stable == stable
    assert world.owned == Pinned(stable)


def test_weights_made_by_hand_in_between_are_left_alone() -> None:
    world = World(owned=Weighted("v1", "v2", 30), versions=(OLD, NEW))

    decision = world.look()

    assert decision.reason is Reason.RECORD_LOST
    assert decision.blocked
    assert world.owned == Weighted("v1", "v2", 30)


def test_an_open_route_with_two_ready_versions_is_refused() -> None:
    world = World(owned=Open(), versions=(OLD, NEW))

    decision = world.look()

    assert decision.reason is Reason.STABLE_UNKNOWN
    assert "v1 and v2" in decision.message
    assert world.record_text is None


def test_the_policy_names_stable_where_it_cannot_be_told() -> None:
    world = World(owned=Open(), versions=(OLD, NEW), policy=rollout(stable="v1"))

    world.look()

    assert world.owned == Pinned("v1")


def test_a_route_that_cannot_be_told_is_refused_with_its_sentence() -> None:
    world = World(owned=Unclear("three destinations"))

    decision = world.look()

    assert (decision.reason, decision.message) == (Reason.ROUTE_REFUSED, "three destinations")


def test_every_problem_of_preflight_is_told_at_once() -> None:
    world = World(route={"problems": ("no such Upstream", "wrong port")})

    assert world.look().message == "no such Upstream; wrong port"


def test_two_deployments_of_one_version_are_refused() -> None:
    twin = replace(OLD, deployment="echo-v1-too", uid="twin")
    world = World(versions=(OLD, twin))

    assert world.look().reason is Reason.TWO_DEPLOYMENTS


def test_a_stable_without_ready_pods_is_not_pinned() -> None:
    world = World(owned=Pinned("v1"), versions=(replace(OLD, ready=0, serving=0),))

    decision = world.look()

    assert decision.reason is Reason.STABLE_UNKNOWN
    assert world.record_text is None


def test_older_versions_are_known_at_the_first_adoption_and_newer_ones_are_released() -> None:
    older = version("v0", age=99_999, ready=0)
    world = World(owned=Pinned("v1"), versions=(older, OLD, NEW))
    world.adopt()

    world.settle()

    assert "v0/hash-v0" in world.record.known
    assert world.record.canary == "v2"


def test_without_a_copy_every_revision_is_known_when_our_own_route_shows_a_lost_record() -> None:
    ours = Guide(GuideKind.HEADER, "earlier", 3)
    world = World(owned=Pinned("v1"), versions=(OLD, NEW), guide=ours)

    world.adopt()
    world.settle()

    assert world.phase is Phase.IDLE
    assert set(world.record.known) == {"v1/hash-v1", "v2/hash-v2"}


def lost_at_25() -> World:
    world = World()
    world.to_shifting()
    world.next_step()
    world.extra = {"saved": world.record}
    world.record_text = None
    return world


def test_a_record_stripped_in_mid_rollout_leaves_the_weights_until_a_person_says() -> None:
    world = lost_at_25()

    decision = world.look()

    assert decision.reason is Reason.RECORD_LOST
    assert world.owned == Weighted("v1", "v2", 25)


def test_resume_goes_on_from_a_lost_record_with_a_new_id_at_this_weight() -> None:
    world = lost_at_25()
    lost_id = world.extra["saved"].id
    world.request = "resume"
    world.rollouts += 1

    world.look()

    assert world.phase is Phase.SHIFTING
    assert world.record.id != lost_id
    assert world.owned == Weighted("v1", "v2", 25)


def test_abort_goes_back_from_a_lost_record_to_the_copys_stable() -> None:
    world = lost_at_25()
    world.request = "abort"

    world.look()

    assert world.owned == Pinned("v1")
    assert world.phase is Phase.ROLLING_BACK


def test_a_record_stripped_in_idle_is_adopted_anew_with_what_was_known() -> None:
    world = World()
    world.to_smoke()
    world.prove()
    world.smoke(passed=False)
    world.settle()
    world.prove()
    world.settle()
    world.extra = {"saved": world.record}
    world.record_text = None

    world.adopt()
    world.settle()

    assert world.record.rejected == ("v2/hash-v2",)
    assert world.phase is Phase.IDLE


def test_stable_whose_version_label_changes_in_place_is_followed_once_ready() -> None:
    world = World()
    world.adopt()
    world.versions = (replace(OLD, version="v2", revision="v2/hash-v2"),)

    decision = world.look()

    assert decision.reason is Reason.STABLE_REPLACED
    assert world.owned == Pinned("v2")
    assert world.guide.kind is GuideKind.WITNESS
