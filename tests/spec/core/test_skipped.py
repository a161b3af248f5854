"""Checks that a promote skips: what they find does not count any more, and whose word that is."""

from dataclasses import replace
from typing import Any

import pytest

from analysis.verdict import Finding, Ground, Judgement, Verdict
from daemon.core.model import Phase, Pinned, Promote, Weighted
from daemon.core.reasons import Reason
from daemon.core.record import format_record, parse_record
from tests.spec.core.worlds import World, rollout, told

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
SUCCESS = Finding("success rate", PASS, Ground.SAFE, "0 of 900 failed")
SLOW = Finding("latency", FAIL, Ground.WORSE, "90 of 900 are slow")
DOUBTED = Finding("latency", OPEN, Ground.DOUBTFUL, "60 of 900 are slow")
ASKED: dict[str, Any] = {"by": "ana", "reason": "the disk is slow", "skip": ["latency"]}


def judged(*findings: Finding, requests: int = 900, message: str = "") -> Judgement:
    """Conclude as the judge does: the first failure, the first doubt, else what is open."""
    order = (lambda it: it.verdict is FAIL, lambda it: it.verdict is OPEN, lambda _: True)
    last = next(it for holds in order for it in findings if it.decides and holds(it))
    return Judgement(last.verdict, last.ground, message or last.message, requests, findings)


def request(minute: int = 1, verb: str = "promote", **members: Any) -> str:
    said = {"id": f"2026-11-24T12:{minute:02d}:00.000Z-0001", "verb": verb} | members
    return str(said).replace("'", '"')


def shifting(**policy: object) -> World:
    """A release on its first step, proved."""
    world = World(policy=rollout(**policy))
    world.to_shifting()
    world.prove()
    world.settle()
    return world


def promoted(**members: object) -> World:
    """A release at 100 %, proved, whose promote skips the latency."""
    world = shifting()
    world.request = request(**(ASKED | members))
    world.settle()
    world.prove()
    world.settle()
    assert world.phase is Phase.BAKING
    return world


# ---------------------------------------------------------------- what does not count any more


def test_a_skipped_check_that_fails_takes_nobody_back() -> None:
    world = promoted()

    world.judge(judged(SUCCESS, SLOW))
    world.settle()

    assert world.phase is Phase.BAKING


def test_a_check_that_is_not_named_still_takes_the_rollout_back() -> None:
    world = promoted()
    failing = replace(SUCCESS, verdict=FAIL, ground=Ground.WORSE, message="9 of 900 failed")

    world.judge(judged(SLOW, failing))
    decision = world.look()

    assert decision.reason is Reason.ANALYSIS_FAILED
    assert decision.message.startswith("9 of 900 failed; before: ")
    assert world.owned == Pinned("v1")


def test_the_bake_ends_although_the_skipped_check_fails() -> None:
    world = promoted()
    world.pass_time(601)

    world.judge(judged(SUCCESS, SLOW))
    world.look()

    assert world.phase is Phase.FINALISING


@pytest.mark.parametrize(
    ("findings", "requests", "phase"),
    [
        pytest.param([DOUBTED, SUCCESS], 900, Phase.FINALISING, id="a skipped doubt"),
        pytest.param([SLOW], 900, Phase.FINALISING, id="the only check"),
        pytest.param([SLOW], 3, Phase.FINALISING, id="the only check, few requests"),
        pytest.param([SUCCESS, SLOW], 29, Phase.BAKING, id="too few requests for the others"),
        pytest.param(
            [replace(SUCCESS, verdict=OPEN, ground=Ground.UNDECIDED, message="open"), SLOW],
            900,
            Phase.FINALISING,
            id="the others undecided, on by the timetable",
        ),
        pytest.param(
            [replace(SUCCESS, verdict=OPEN, ground=Ground.UNDECIDED, message="open"), SLOW],
            29,
            Phase.BAKING,
            id="the others undecided on too few requests",
        ),
        pytest.param(
            [replace(SUCCESS, verdict=OPEN, ground=Ground.DOUBTFUL, message="leaning"), SLOW],
            900,
            Phase.BAKING,
            id="another check in doubt",
        ),
        pytest.param(
            [
                replace(SUCCESS, verdict=OPEN, ground=Ground.UNDECIDED, message="open"),
                replace(SUCCESS, check="other", verdict=OPEN, ground=Ground.NO_DATA, message="no"),
                SLOW,
            ],
            900,
            Phase.BAKING,
            id="another check without data",
        ),
    ],
)
def test_without_the_skipped_check_the_others_decide(
    findings: list[Finding], requests: int, phase: Phase
) -> None:
    world = promoted()
    world.pass_time(601)

    world.judge(judged(*findings, requests=requests))
    world.look()

    assert world.phase is phase


def test_no_traffic_at_all_holds_whatever_is_skipped() -> None:
    world = promoted()
    world.pass_time(601)
    silent = judged(SUCCESS, DOUBTED, message="canary completed no request in 60 s")

    world.judge(replace(silent, ground=Ground.NO_DATA))
    decision = world.look()

    assert decision.reason is Reason.NO_DATA
    assert world.phase is Phase.BAKING


def test_a_check_that_only_observes_neither_fails_nor_is_told_as_overridden() -> None:
    world = promoted()

    world.judge(judged(SUCCESS, replace(SLOW, decides=False)))
    decision = world.look()

    assert Reason.CHECK_OVERRIDDEN not in dict(told(decision))
    assert world.phase is Phase.BAKING


def test_a_check_with_a_long_name_is_known_by_its_beginning() -> None:
    name = "share of requests of paying users from abroad that are slower than usual"
    checks = (rollout().analysis.checks[0].model_copy(update={"name": name}),)
    analysis = rollout().analysis.model_copy(update={"checks": checks})
    world = shifting(analysis=analysis)
    world.request = request(skip=[name])
    world.settle()
    world.prove()
    world.settle()

    world.judge(judged(replace(SLOW, check=name)))
    world.settle()

    assert world.phase is Phase.BAKING


# ---------------------------------------------------------------- what is told of it


def test_an_overridden_failure_is_told_with_the_check_the_numbers_and_whose_word_it_is() -> None:
    world = promoted()

    world.judge(judged(SUCCESS, SLOW))
    decision = world.look()

    said = dict(told(decision))[Reason.CHECK_OVERRIDDEN]
    assert said == (
        'latency fails: 90 of 900 are slow; not counted: latency skipped by ana: "the disk is slow"'
    )


def test_the_record_keeps_who_skipped_what_and_why_until_the_promotion() -> None:
    world = promoted()
    baking = world.record
    world.pass_time(601)
    world.judge(judged(SUCCESS, SLOW))
    world.look()

    asked = "2026-11-24T12:01:00.000Z-0001"
    assert baking.promote == Promote(asked, ("latency",), "ana", "the disk is slow")
    assert 'holds skipped; latency skipped by ana: "the disk is slow"' in baking.message
    assert 'latency skipped by ana: "the disk is slow"' in world.record.message
    assert world.record.promote is None


def test_a_skip_without_a_name_or_a_reason_is_told_without_them() -> None:
    world = promoted(by="", reason="")

    assert world.record.message.endswith("; latency skipped")


def test_the_answer_to_a_promote_says_what_it_goes_without() -> None:
    world = shifting()
    world.request = request(**ASKED)

    assert world.look().message == 'promote without latency requested by ana: "the disk is slow"'


def test_a_record_of_a_promote_without_names_and_reasons_is_read_as_it_was() -> None:
    record = replace(shifting().record, promote=Promote("an-id", ("latency",)))
    text = format_record(record)

    assert '"promote":{"id":"an-id","skip":["latency"]}' in text
    assert parse_record(text) == record


# ---------------------------------------------------------------- from when, until when


def test_a_check_that_fails_in_the_moment_it_is_skipped_takes_nobody_back() -> None:
    world = shifting()
    world.request = request(**ASKED)
    world.judge(judged(SUCCESS, SLOW))

    world.look()

    assert world.phase is Phase.SHIFTING
    assert world.record.promote is not None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"rollout": "another"}, id="for another rollout"),
        pytest.param({"skip": []}, id="that skips nothing"),
        pytest.param({"verb": "pause"}, id="that is none"),
    ],
)
def test_a_failure_is_not_held_up_by_a_promote(other: dict[str, object]) -> None:
    world = shifting()
    world.request = request(**(ASKED | other))
    world.judge(judged(SUCCESS, SLOW))

    world.look()

    assert world.phase is Phase.ROLLING_BACK


def test_the_next_rollout_skips_nothing() -> None:
    world = promoted()
    world.request = request(2, "abort")
    world.settle()
    world.prove()
    world.settle()
    world.request = request(3, "retry")
    world.pass_time(600)

    world.settle()

    assert world.record.promote is None
    assert world.phase is Phase.SMOKE


def test_at_100_percent_a_check_can_still_be_skipped() -> None:
    world = promoted(skip=[])
    world.request = request(2, **ASKED)
    world.settle()

    world.judge(judged(SUCCESS, SLOW))
    world.settle()

    assert world.phase is Phase.BAKING


def test_at_100_percent_a_promote_that_skips_nothing_has_nothing_to_do() -> None:
    world = promoted(skip=[])
    world.request = request(2)

    assert "there is nothing to skip in Baking" in world.look().message


# ---------------------------------------------------------------- a promote that is refused


@pytest.mark.parametrize(
    ("finding", "says"),
    [
        pytest.param(DOUBTED, "latency is in doubt: 60 of 900 are slow", id="a name of one word"),
        pytest.param(
            replace(SUCCESS, verdict=OPEN, ground=Ground.DOUBTFUL),
            "success rate is in doubt: 0 of 900 failed",
            id="a name of two words",
        ),
    ],
)
def test_a_promote_against_a_check_in_doubt_is_refused_with_how_to_override_it(
    finding: Finding, says: str
) -> None:
    world = shifting()
    world.judge(judged(finding))
    world.request = request()

    decision = world.look()

    how = f"to go on all the same: --skip-check '{finding.check}' --reason TEXT"
    assert decision.message == f"promote ignored: {says}; {how}"
    assert world.record.promote is None
    assert world.owned == Weighted("v1", "v2", 5)


def test_a_promote_that_skips_one_failing_check_of_two_is_refused_and_both_go_back() -> None:
    world = shifting()
    failing = replace(SUCCESS, verdict=FAIL, ground=Ground.WORSE, message="9 of 900 failed")
    world.judge(judged(SLOW, failing))
    world.request = request(**ASKED)

    world.look()

    assert world.phase is Phase.ROLLING_BACK
    assert world.record.promote is None


def test_a_promote_goes_on_against_no_doubt_but_one_that_was_skipped() -> None:
    world = shifting()
    world.judge(judged(DOUBTED))
    world.request = request(**ASKED)

    world.settle()

    assert world.phase is Phase.BAKING


def test_a_check_that_the_policy_does_not_have_cannot_be_skipped() -> None:
    world = shifting()
    world.request = request(skip=["latencey"])

    decision = world.look()

    assert "the policy has no check latencey; its checks: success rate" in decision.message
    assert world.record.promote is None
