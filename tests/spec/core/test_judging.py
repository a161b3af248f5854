"""Where the policy names no source of metrics: no weight before one is proved, and then that one."""

from dataclasses import replace

import pytest

from config.schema import Metrics, Rollout
from daemon.core.model import Damaged, Decision, Phase, SourceFound
from daemon.core.reasons import Reason
from daemon.core.record import format_record, parse_record
from tests.spec.core.worlds import FAIL, World, rollout, told

ENVOY = "envoy, the gateway pods count each pod"
NOTHING = "no metrics tell v1 and v2 apart (..): switch on readConfig"


def auto(**changes: object) -> Rollout:
    return rollout(metrics=Metrics(), **changes)


def found(world: World, source: str = "envoy:8082", why: str = ENVOY) -> None:
    """Let the search of the rollout in force end so."""
    record = world.record
    assert record.revision is not None
    finding = SourceFound(record.id, record.revision, source, why)
    world.findings = replace(world.findings, source=finding)


def passed_smoke() -> World:
    world = World(policy=auto())
    world.to_smoke()
    world.prove()
    world.smoke()
    return world


# ---------------------------------------------------------------- before the first weight


def test_no_weight_is_given_before_a_source_was_looked_for() -> None:
    world = passed_smoke()

    decision = world.look()

    assert (decision.reason, decision.record) == (Reason.METRICS_UNPROVED, None)
    assert decision.message == "which metrics tell the versions apart is not known yet"
    assert decision.notices == ()


def test_no_weight_is_given_where_none_was_proved_and_people_are_told_at_once() -> None:
    world = passed_smoke()
    found(world, "", NOTHING)

    decision = world.look()

    assert decision.record is None
    assert told(decision) == [(Reason.METRICS_UNPROVED, NOTHING)]


def test_nobody_meets_the_canary_however_long_none_is_proved() -> None:
    world = passed_smoke()
    found(world, "", NOTHING)

    for _ in range(10):
        world.pass_time(3600)
        world.look()

    assert (world.phase, world.record.weight) == (Phase.SMOKE, 0)
    assert world.record.held is not None
    assert world.record.held.reason is Reason.METRICS_UNPROVED


def test_a_promote_does_not_skip_it() -> None:
    world = passed_smoke()
    found(world, "", NOTHING)
    world.request = "promote"

    world.settle()

    assert (world.phase, world.record.weight) == (Phase.SMOKE, 0)


def test_a_proved_source_lets_the_first_weight_and_stands_in_record_and_message() -> None:
    world = passed_smoke()
    found(world)

    decision = world.look()

    assert world.record.weight == 5
    assert world.record.source == "envoy:8082"
    assert decision.message.endswith(f"passed; metrics: {ENVOY}")


def test_a_finding_of_another_rollout_or_revision_is_none() -> None:
    for stranger in ({"rollout": "other"}, {"revision": "v3/other"}):
        world = passed_smoke()
        found(world)
        finding = world.findings.source
        assert finding is not None
        world.findings = replace(world.findings, source=replace(finding, **stranger))

        assert world.look().reason is Reason.METRICS_UNPROVED


def test_without_a_smoke_test_it_is_looked_for_before_the_first_weight() -> None:
    world = World(policy=auto(smoke=None))
    world.adopt()
    world.deploy()
    waiting = world.settle()

    found(world)
    world.look()

    assert waiting.reason is Reason.METRICS_UNPROVED
    assert choosing(waiting)
    assert (world.phase, world.record.source) == (Phase.SHIFTING, "envoy:8082")


# ---------------------------------------------------------------- while it runs


def test_the_choice_is_kept_whatever_is_found_later() -> None:
    world = passed_smoke()
    found(world)
    world.look()
    found(world, "pods:8080/metrics", "pods")

    world.next_step()

    assert (world.record.weight, world.record.source) == (25, "envoy:8082")
    assert "metrics:" not in world.record.message


def test_the_next_rollout_chooses_anew() -> None:
    world = passed_smoke()
    found(world)
    world.look()
    world.judge(FAIL)
    world.settle()
    world.prove()
    world.settle()

    world.deploy("v3")
    world.settle()

    assert (world.phase, world.record.source) == (Phase.SMOKE, None)


def test_a_named_source_is_never_looked_for() -> None:
    world = World()
    world.to_shifting()

    decision = world.look()

    assert (world.record.source, world.record.weight) == (None, 5)
    assert not choosing(decision)


# ---------------------------------------------------------------- the work beside


def choosing(decision: Decision) -> bool:
    return decision.work is not None and decision.work.choose


def test_it_is_looked_for_from_the_smoke_test_on() -> None:
    world = World(policy=auto())
    world.to_smoke()

    work = world.look().work

    assert work is not None
    assert (work.choose, work.canary, work.source) == (True, "v2", "")


def test_it_is_not_looked_for_before_there_are_pods() -> None:
    world = World(policy=auto())
    world.adopt()
    world.deploy(ready=0)

    assert world.settle().work is None


def test_what_was_found_is_what_is_read_by() -> None:
    world = passed_smoke()
    found(world)
    world.look()

    work = world.look().work

    assert work is not None
    assert (work.choose, work.read, work.source) == (False, True, "envoy:8082")


def test_a_rollout_whose_record_lost_its_source_looks_again_and_goes_on_reading() -> None:
    world = passed_smoke()
    found(world)
    world.look()
    world.record_text = format_record(replace(world.record, source=None))
    world.findings = replace(world.findings, source=None)

    work = world.look().work

    assert work is not None
    assert (work.choose, work.read, work.source) == (True, True, "")


# ---------------------------------------------------------------- the record


def test_a_record_without_a_source_is_what_it_always_was() -> None:
    world = World()
    world.adopt()

    assert "source" not in str(world.record_text)


@pytest.mark.parametrize("value", ["null", "7", f'"{"x" * 300}"'])
def test_a_source_that_is_no_name_makes_a_record_damaged(value: str) -> None:
    world = World()
    world.adopt()
    text = str(world.record_text)[:-1] + f',"source":{value}}}'

    assert isinstance(parse_record(text), Damaged)
