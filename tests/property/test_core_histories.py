"""Random histories of a target: whatever happens, the invariants of the route hold.

Each history is a list of events (versions come, change and go, pods die, people ask and edit, time
passes, findings arrive, the daemon restarts). After every look the monitors check what was written.
"""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.core.decide import decide
from daemon.core.model import Decision, Phase, Pinned, Record, Weighted, Writer
from daemon.core.record import format_record, parse_record
from daemon.core.situation import shares, split_by
from tests.spec.core.worlds import FAIL, NO_DATA, PASS, UNDECIDED, World, version

EVENTS = st.sampled_from(
    [
        "look",
        "look twice",
        "a second",
        "a step",
        "an hour",
        "prove",
        "not proved",
        "smoke passed",
        "smoke failed",
        "pass",
        "fail",
        "undecided",
        "no data",
        "deploy v2",
        "deploy v3",
        "delete canary",
        "canary pods die",
        "canary pods live",
        "stable pods die",
        "stable pods live",
        "template changes",
        "edit weights",
        "edit back",
        "abort",
        "pause",
        "resume",
        "promote",
        "retry",
        "no request",
        "restart",
    ]
)


def happen(world: World, event: str) -> None:
    """Let one event happen, as far as it can."""
    record = world.record if world.record_text else None
    match event:
        case "look":
            checked_look(world)
        case "look twice":
            checked_look(world)
            checked_look(world)
        case "a second":
            world.pass_time(1)
        case "a step":
            world.pass_time(301)
        case "an hour":
            world.pass_time(3700)
        case "prove" if record:
            world.prove()
        case "not proved" if record:
            world.fail_to_prove()
        case "smoke passed" | "smoke failed" if record and record.revision:
            world.smoke(passed=event == "smoke passed")
        case "pass" | "fail" | "undecided" | "no data" if record and record.revision:
            world.judge(
                {"pass": PASS, "fail": FAIL, "undecided": UNDECIDED, "no data": NO_DATA}[event]
            )
        case "deploy v2" | "deploy v3":
            deploy(world, event[-2:])
        case "delete canary" if record:
            world.versions = tuple(it for it in world.versions if it.version != record.canary)
        case "canary pods die" | "canary pods live" if record:
            pods(world, record.canary, ready=0 if event.endswith("die") else 4)
        case "stable pods die" | "stable pods live" if record:
            pods(world, record.stable, ready=0 if event.endswith("die") else 4)
        case "template changes" if record and record.canary:
            world.versions = tuple(
                replace(it, revision=it.revision + "x") if it.version == record.canary else it
                for it in world.versions
            )
        case "edit weights" if isinstance(world.owned, Weighted):
            world.owned = replace(world.owned, weight=37)
        case "edit back" if record:
            world.owned = split_by(world.policy, record).owned
        case "abort" | "pause" | "resume" | "promote" | "retry":
            world.request = event
        case "no request":
            world.request = None
        case "restart":
            world.writer, world.holding, world.done = (
                Writer(world.writer.id + "'"),
                None,
                frozenset(),
            )


def deploy(world: World, name: str) -> None:
    if all(it.version != name for it in world.versions):
        world.versions = (*world.versions, version(name, age=-len(world.decisions)))


def pods(world: World, name: str | None, *, ready: int) -> None:
    world.versions = tuple(
        replace(it, ready=min(ready, it.replicas), serving=min(ready, it.replicas))
        if it.version == name
        else it
        for it in world.versions
    )


def checked_look(world: World) -> None:
    """Look once; check everything that a look may never do."""
    seen = world.observe()
    before = seen.record if isinstance(seen.record, Record) else None
    decision = world.look()
    assert decide(world.policy, seen) == decision, "equal observations, equal decisions"
    if decision.record is None:
        assert decision.split is None
        return
    assert parse_record(format_record(decision.record)) == decision.record, "the record survives"
    check_write(world, before, decision)


def check_write(world: World, before: Record | None, decision: Decision) -> None:
    record = decision.record
    assert record is not None
    if decision.split is not None:
        assert shares(decision.split.owned) == shares(split_by(world.policy, record).owned), "S7"
        assert decision.split == split_by(world.policy, record), "S7: route and record are one"
    if before is None:
        return
    assert record.epoch >= before.epoch, "the fence never goes back"
    assert (record.decision > before.decision) == (decision.split is not None), (
        "the number's meaning"
    )
    if record.id == before.id and record.weight > before.weight:
        check_raise(world, before, record)
    if record.phase is Phase.ROLLING_BACK:
        assert decision.split is not None or before.phase is Phase.ROLLING_BACK
        assert isinstance(split_by(world.policy, record).owned, Pinned), "S6"
    revision_in_traffic = record.revision if record.weight else None
    assert revision_in_traffic not in record.rejected or revision_in_traffic is None, "S9"


def check_raise(world: World, before: Record, record: Record) -> None:
    """Check a raise, by steps or by budget."""
    canary = [it for it in world.versions if it.version == record.canary]
    assert len(canary) == 1, "S2: one Deployment"
    assert canary[0].settled, "S2: observed at its generation"
    assert canary[0].ready >= 1, "S2: pods"
    assert canary[0].revision == record.revision, "S8: the revision that was judged"
    assert before.paused is None, "S15: nothing rises while paused"
    proof = world.findings.proof
    if before.phase is Phase.PREPARING:
        assert world.policy.smoke is None, "smoke comes first"
        return
    assert proof is not None, "S3: proved"
    assert (proof.rollout, proof.decision) == (before.id, before.decision), "S3: this very split"
    assert proof.confirmed_at is not None, "S3: seen to be live"
    if (
        before.promote is None
        and world.policy.ramp == "steps"
        and before.phase is Phase.SHIFTING
        and before.weight == world.policy.steps[before.step].weight
    ):
        hold = world.policy.steps[before.step].hold
        assert world.now - proof.confirmed_at >= hold, "S4: never earlier than the hold"
        judged = world.findings.judged
        assert judged is not None, "S3: judged"
        assert judged.judgement in (PASS, UNDECIDED), "S14: no data never leads on"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, max_size=60))
def test_whatever_happens_the_invariants_of_the_route_hold(events: list[str]) -> None:
    world = World()
    world.adopt()
    for event in events:
        happen(world, event)
        checked_look(world)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, max_size=40))
def test_an_undisturbed_target_comes_to_rest(events: list[str]) -> None:
    world = World()
    world.adopt()
    for event in events:
        happen(world, event)
    world.request = None

    for _ in range(60):
        world.prove()
        world.smoke() if world.record.revision else None
        world.judge(PASS) if world.record.revision else None
        world.pass_time(3700)
        world.look()

    quiet = [world.look() for _ in range(3)]
    assert all(it.record is None for it in quiet)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, max_size=40))
def test_a_history_with_a_pass_mixed_in_and_an_abort_ends_at_stable(events: list[str]) -> None:
    world = World()
    world.to_shifting()
    for event in events:
        if event not in (
            "resume",
            "no request",
            "promote",
            "retry",
            "stable pods die",
            "pause",
            "abort",
        ):
            happen(world, event)
    if world.phase not in (Phase.SMOKE, Phase.SHIFTING, Phase.BAKING):
        return
    stable = world.record.stable
    pods(world, stable, ready=4)
    world.request = '{"id": "2026-11-24T12:00:00.000Z-00ff", "verb": "abort"}'

    world.look()

    assert shares(world.owned) == {stable: 100}
