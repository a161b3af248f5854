"""Which policy is in force: the file's at rest, the one a rollout began with while it runs."""

from typing import Any

import pytest

from config.schema import Policy, Rollout
from config.stored import policy_hash
from daemon.core.model import Phase, Record, Retire, TargetKey
from daemon.evidence import Stored
from daemon.targets import Targets
from tests.spec.routers import routes

KEY = TargetKey("echo", "echo")
OLD = routes.a_rollout(bake="5m")
NEW = routes.a_rollout(bake="10m")


def targets(*, file: Rollout | None = None, stored: Stored | None = None) -> Targets:
    made = Targets()
    made.from_file(Policy(rollouts={} if file is None else {"echo": file}))
    if stored is not None:
        made.from_evidence({KEY: stored})
    return made


def record(phase: Phase, policy: Rollout = OLD, **more: Any) -> Record:
    return routes.a_record(phase=phase, policy=policy_hash(policy), **more)


def test_at_rest_the_file_is_in_force() -> None:
    subject = targets(file=NEW).subject(KEY, record(Phase.IDLE))

    assert (subject.rollout, subject.policy_lost) == (NEW, False)
    assert subject.policy_hash == policy_hash(NEW)


def test_a_running_rollout_keeps_the_policy_it_began_with() -> None:
    made = targets(file=OLD)
    made.store(KEY, OLD)
    made.from_file(Policy(rollouts={"echo": NEW}))

    subject = made.subject(KEY, record(Phase.SHIFTING))

    assert (subject.rollout, subject.policy_lost) == (OLD, False)


def test_a_running_rollout_keeps_its_policy_over_a_restart() -> None:
    stored = Stored(rollout=OLD, record=record(Phase.SHIFTING))

    subject = targets(file=NEW, stored=stored).subject(KEY, record(Phase.SHIFTING))

    assert (subject.rollout, subject.policy_lost) == (OLD, False)


def test_a_running_rollout_that_the_file_names_no_longer_is_finished_under_its_policy() -> None:
    made = targets(stored=Stored(rollout=OLD, record=record(Phase.SHIFTING)))

    assert made.followed() == {KEY: OLD}
    assert made.subject(KEY, record(Phase.SHIFTING)).rollout == OLD


def test_a_retirement_that_is_left_to_do_keeps_its_policy_over_a_restart() -> None:
    resting = record(Phase.IDLE, canary=None, revision=None, retire=Retire("echo-v1", "u"))

    assert targets(stored=Stored(rollout=OLD, record=resting)).followed() == {KEY: OLD}


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.ROLLED_BACK])
def test_a_rollout_that_is_over_keeps_nothing_over_a_restart(phase: Phase) -> None:
    assert targets(stored=Stored(rollout=OLD, record=record(phase))).followed() == {}


def test_a_lost_policy_that_the_file_still_says_is_not_lost() -> None:
    subject = targets(file=OLD).subject(KEY, record(Phase.SHIFTING))

    assert (subject.rollout, subject.policy_lost) == (OLD, False)


def test_a_lost_policy_is_told_where_the_file_says_another() -> None:
    subject = targets(file=NEW).subject(KEY, record(Phase.SHIFTING))

    assert (subject.rollout, subject.policy_lost) == (NEW, True)
    assert subject.policy_hash == policy_hash(NEW)


def test_a_stored_policy_that_somebody_edited_is_lost() -> None:
    edited = Stored(rollout=NEW, record=record(Phase.SHIFTING, policy=OLD))

    assert targets(file=OLD, stored=edited).subject(KEY, record(Phase.SHIFTING)).rollout == OLD


def test_a_copy_that_cannot_be_read_may_be_of_a_running_rollout() -> None:
    made = targets(file=NEW, stored=Stored(rollout=OLD))

    assert made.subject(KEY, record(Phase.SHIFTING)).rollout == OLD


def test_a_policy_that_cannot_be_read_is_not_stored() -> None:
    assert targets(stored=Stored(record=record(Phase.SHIFTING))).followed() == {}


def test_a_target_that_nobody_names_has_no_policy() -> None:
    assert targets().subject(KEY, None) is None
    assert targets().subject(KEY, record(Phase.SHIFTING)) is None


def test_once_nothing_is_left_to_do_the_file_is_in_force() -> None:
    made = targets(file=NEW)
    made.store(KEY, OLD)

    assert made.finished(KEY) is True
    assert made.finished(KEY) is False
    assert made.subject(KEY, record(Phase.IDLE)).rollout == NEW


def test_watched_is_what_the_running_rollout_says_even_where_the_file_says_another_route() -> None:
    made = targets(file=routes.a_rollout(gloo={"virtualService": "gloo-system/new"}))
    made.store(KEY, OLD)

    assert made.followed()[KEY].route.gloo.virtual_service == "gloo-system/echo"
