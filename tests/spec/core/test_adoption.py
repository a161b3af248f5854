"""Adoption: what is pinned, what is refused with which sentence, and what a lost record leads to."""

from dataclasses import replace

import pytest

from daemon.core.model import (
    Fresh,
    Guide,
    GuideKind,
    Open,
    Owned,
    Phase,
    Pinned,
    Unclear,
    Weighted,
)
from daemon.core.reasons import Reason
from tests.spec.core.worlds import PASS, World, rollout, told, version

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


def test_until_a_label_that_changed_in_place_is_ready_nothing_is_started() -> None:
    world = World()
    world.adopt()
    changed = replace(OLD, version="v2", revision="v2/hash-v2", settled=False, ready=0, serving=0)
    world.versions = (changed,)

    decision = world.look()

    assert decision.reason is Reason.WAITING_FOR_PODS
    assert world.phase is Phase.IDLE
    assert world.owned == Pinned("v1")


# ---------------------------------------------------------------- what adoption needs


def test_nothing_is_adopted_on_deployments_that_could_not_be_read() -> None:
    world = World(extra={"fresh": Fresh.UNREADABLE})

    decision = world.look()

    assert "cannot be read" in decision.message
    assert world.record_text is None


def test_nothing_is_adopted_before_every_running_deployment_has_a_revision() -> None:
    world = World(versions=(version("v0", age=99_999, revision=""), OLD), owned=Pinned("v1"))

    decision = world.look()

    assert "revision of echo-v0 is not known yet" in decision.message
    assert world.record_text is None


def test_what_preflight_warns_of_is_told_with_the_adoption() -> None:
    world = World(route={"warnings": ("managed by Argo CD",)})

    decision = world.look()

    assert (Reason.ROUTE_WARNING, "managed by Argo CD") in told(decision)
    assert world.record_text is not None


def test_scaling_the_canary_away_is_refused_where_an_empty_subset_leads_nowhere() -> None:
    policy = rollout(on_unconfirmed="scaleCanary")
    world = World(policy=policy, route={"fallback_to": "none"})

    decision = world.look()

    assert decision.reason is Reason.ROUTE_REFUSED
    assert "an empty subset leads nowhere" in decision.message


@pytest.mark.parametrize("fallback", ["any", "v1"])
def test_scaling_the_canary_away_is_allowed_where_an_empty_subset_leads_to_stable(
    fallback: str,
) -> None:
    policy = rollout(on_unconfirmed="scaleCanary")
    world = World(policy=policy, route={"fallback_to": fallback})

    assert world.look().reason is Reason.ADOPTED


def test_scaling_the_canary_away_is_refused_where_an_empty_subset_leads_elsewhere() -> None:
    world = World(policy=rollout(on_unconfirmed="scaleCanary"), route={"fallback_to": "v7"})

    assert "leads to v7" in world.look().message


def test_a_version_that_no_running_deployment_has_is_not_adopted() -> None:
    world = World(owned=Pinned("v7"))

    decision = world.look()

    assert decision.reason is Reason.STABLE_UNKNOWN
    assert "no running Deployment has version v7" in decision.message


# ---------------------------------------------------------------- a record lost at rest


def test_on_an_open_route_the_copy_of_a_record_at_rest_names_stable() -> None:
    world = World()
    world.adopt()
    world.extra = {"saved": world.record}
    world.record_text, world.owned = None, Open()
    world.deploy()

    world.look()

    assert world.owned == Pinned("v1")


def test_on_an_open_route_the_copy_of_a_running_record_names_nothing() -> None:
    world = World()
    world.to_smoke()
    world.extra = {"saved": world.record}
    world.record_text, world.owned = None, Open()

    assert world.look().reason is Reason.STABLE_UNKNOWN


# ---------------------------------------------------------------- a record lost in mid-rollout


def test_an_abort_of_a_lost_record_needs_no_canary() -> None:
    world = lost_at_25()
    world.versions = world.versions[:1]
    world.request = "abort"

    world.look()

    assert world.owned == Pinned("v1")


def test_an_abort_that_is_refused_leaves_no_record_behind() -> None:
    world = lost_at_25()
    world.versions = (replace(world.versions[0], ready=0, serving=0), world.versions[1])
    world.request = "abort"

    decision = world.look()

    assert decision.reason is Reason.NO_WAY_BACK
    assert decision.blocked
    assert world.record_text is None


def test_a_lost_record_is_not_resumed_without_its_canary() -> None:
    world = lost_at_25()
    world.versions = world.versions[:1]
    world.request = "resume"

    decision = world.look()

    assert "not there to be resumed" in decision.message
    assert world.record_text is None


def test_an_abort_that_the_lost_record_had_handled_is_not_obeyed_again() -> None:
    world = lost_at_25()
    request = '{"id": "2026-11-24T12:00:00.000Z-0001", "verb": "abort"}'
    handled = ("2026-11-24T12:00:00.000Z-0001",)
    world.extra = {"saved": replace(world.extra["saved"], handled=handled)}
    world.request = request

    decision = world.look()

    assert decision.reason is Reason.RECORD_LOST
    assert world.owned == Weighted("v1", "v2", 25)


def test_a_resumed_lost_record_holds_its_weight_afresh_before_it_goes_on() -> None:
    world = lost_at_25()
    world.request = "resume"
    world.rollouts += 1
    world.settle()
    world.prove()
    world.settle()
    world.pass_time(299)
    world.judge(PASS)
    held = world.look()
    world.pass_time(2)
    world.judge(PASS)

    world.look()

    assert held.reason is Reason.HOLDING
    assert world.owned == Weighted("v1", "v2", 50)


@pytest.mark.parametrize(
    ("saved", "stable", "versions", "why"),
    [
        pytest.param(False, None, ("v1", "v2"), "name stable in the policy", id="no name"),
        pytest.param(False, "v7", ("v1", "v2"), "stable is v7", id="another name"),
        pytest.param(True, None, ("v2",), "no running Deployment has version v1", id="no stable"),
        pytest.param(True, None, ("v1", "v1", "v2"), "both have version v1", id="doubled"),
    ],
)
def test_a_lost_record_that_cannot_be_rebuilt_says_what_is_missing(
    saved: bool, stable: str | None, versions: tuple[str, ...], why: str
) -> None:
    world = lost_at_25()
    world.extra = world.extra if saved else {}
    world.policy = rollout(stable=stable)
    world.versions = tuple(version(name, deployment=f"echo-{i}") for i, name in enumerate(versions))
    world.request = "resume"

    decision = world.look()

    assert decision.reason is Reason.RECORD_LOST
    assert why in decision.message


def test_without_a_copy_every_version_but_the_resumed_one_is_known() -> None:
    world = lost_at_25()
    world.extra = {}
    world.policy = rollout(stable="v1")
    world.deploy("v3")
    world.request = "resume"

    world.look()

    assert set(world.record.known) == {"v1/hash-v1", "v3/hash-v3"}


# ---------------------------------------------------------------- resume after an edit at rest


def edited_at_rest(owned: Owned) -> World:
    world = World(versions=(version("v0", age=99_999), OLD), owned=Pinned("v1"))
    world.adopt()
    world.owned = owned
    world.settle()
    world.request = "resume"
    return world


def test_resume_at_rest_adopts_what_somebody_made_the_route_pin() -> None:
    world = edited_at_rest(Pinned("v0"))
    number = world.record.decision

    world.look()

    assert world.record.stable == "v0"
    assert world.record.decision == number + 1
    assert world.guide == Guide(GuideKind.WITNESS, world.record.id, number + 1)
    assert "v1/hash-v1" in world.record.known


def test_resume_at_rest_refuses_a_split_by_hand_and_says_so() -> None:
    world = edited_at_rest(Weighted("v0", "v1", 50))

    decision = world.look()

    assert decision.reason is Reason.REQUEST_IGNORED
    assert "split by hand" in decision.message
    assert world.record.stable == "v1"


# ---------------------------------------------------------------- stable replaced in place


def test_a_rejected_version_that_is_left_alone_is_not_followed() -> None:
    world = World()
    world.to_smoke()
    world.prove()
    world.smoke(passed=False)
    world.settle()
    world.prove()
    world.settle()
    world.versions = world.versions[1:]

    decision = world.look()

    assert decision.reason is Reason.NO_WAY_BACK
    assert world.owned == Pinned("v1")


def test_a_label_that_changed_in_place_is_not_followed_while_deployments_cannot_be_read() -> None:
    world = World()
    world.adopt()
    world.versions = (replace(OLD, version="v2", revision="v2/hash-v2"),)
    world.extra = {"fresh": Fresh.UNREADABLE}

    world.look()

    assert world.owned == Pinned("v1")
