"""The comparison of failures: what it says of stories that people know."""

from math import log

import pytest

from analysis.clumps import Clumps
from analysis.history import History
from analysis.judge import begin, judge
from analysis.memory import restore, save
from analysis.ramp import BUDGET
from analysis.samples import FAILED, Block, Counts, Spread
from analysis.settings import JudgeSettings, compared
from analysis.verdict import Ground, Verdict
from analysis.versus import FailuresVersus
from tests.spec.analysis.readings import run

HOW = JudgeSettings(compared(7.0), alpha=0.01, min_requests=30)
EVEN = Clumps().add(Spread(1000.0, 1000.0))
PAST = History(1800.0, 180_000, 0, {FAILED: 180}, {FAILED: EVEN})
"""Half an hour at 100 requests a second, a thousandth failed, no clumps."""


def look(
    canary: tuple[int, int], stable: tuple[int, int], *, weight: float = 10.0, seconds: float = 5.0
) -> Block:
    """`look((6, 83), (2, 1604))`: bad of all."""
    arms = [Counts(n, y, pods=3) for y, n in (canary, stable)]
    return Block(seconds, weight, *arms)


def start():
    return begin(HOW, past=PAST)


GOOD = look((0, 50), (0, 450))


@pytest.mark.parametrize(
    ("row", "looks", "verdict", "ground"),
    [
        ("failing", [look((10, 20), (0, 480))], Verdict.FAIL, Ground.WORSE),
        ("failing beside an incident", [look((0, 50), (90, 450))] * 3, None, "SharedIncident"),
        ("failing in an incident", [look((25, 50), (225, 450))] * 9, None, "SharedIncident"),
        ("a little worse", [look((1, 50), (3, 450))] * 5, None, Ground.UNDECIDED),
        ("leaning", [*[GOOD] * 9, look((3, 50), (0, 450))], None, Ground.DOUBTFUL),
        ("good, not shown yet", [GOOD], None, Ground.UNDECIDED),
        ("good", [look((5, 5000), (5, 5000), weight=50)] * 5, Verdict.PASS, Ground.SAFE),
    ],
)
def test_each_row(row, looks, verdict, ground):
    _, judgement = run(HOW, start(), *looks)

    assert judgement.verdict == (verdict or Verdict.INCONCLUSIVE), (row, judgement.message)
    assert judgement.ground == ground, (row, judgement.message)


def test_a_canary_that_fails_everything_is_found_where_stable_has_no_pods_left():
    lost = look((9, 9), (0, 0), weight=25, seconds=30.0)

    _, judgement = run(HOW, start(), GOOD, *[lost] * 4)

    assert judgement.verdict is Verdict.FAIL


def test_where_stable_failed_before_it_was_lost_nobody_is_accused():
    incident = [look((25, 50), (225, 450), weight=25)] * 3

    _, judgement = run(HOW, start(), *incident, *[look((9, 9), (0, 0), weight=25)] * 2)

    assert judgement.verdict is not Verdict.FAIL


def test_a_drop_that_the_policy_tolerates_is_no_failure_and_a_larger_one_is():
    tolerant = FailuresVersus("success rate", log_safe=log(20), delay=7.0, tolerance=0.02)
    how = JudgeSettings((tolerant,), alpha=0.01, min_requests=30)

    _, within = run(how, begin(how, past=PAST), *[look((12, 1000), (1, 1000), weight=50)] * 12)
    _, beyond = run(how, begin(how, past=PAST), *[look((40, 1000), (1, 1000), weight=50)] * 12)

    assert (within.verdict, beyond.verdict) == (Verdict.PASS, Verdict.FAIL)


def test_a_service_that_fails_one_in_twenty_is_no_reason_to_send_a_canary_back():
    """An absolute limit of 1 % would."""
    past = History(1800.0, 180_000, 0, {FAILED: 9000}, {FAILED: EVEN})

    _, judgement = run(HOW, begin(HOW, past=past), *[look((25, 500), (225, 4500))] * 10)

    assert judgement.verdict is not Verdict.FAIL


def test_nine_times_stables_failures_are_found_below_any_usual_limit():
    _, judgement = run(HOW, start(), *[look((9, 1000), (1, 1000), weight=50)] * 12)

    assert judgement.verdict is Verdict.FAIL


def test_a_failure_is_told_with_the_same_seconds_of_stable():
    _, judgement = run(HOW, start(), look((6, 83), (2, 1604), weight=5))

    assert judgement.message.startswith(
        "canary failed 6 of 83 requests (7.2 %), stable 2 of 1,604 requests (0.12 %) in the same"
        " seconds"
    )


def test_an_excess_that_is_excluded_is_told():
    _, judgement = run(HOW, start(), *[look((0, 500), (0, 4500))] * 2)

    assert ", an excess above " in judgement.message
    assert 0.001 < judgement.excess < 0.05
    assert judgement.allowed > 1


def test_once_it_turned_bad_what_was_excluded_before_is_not_told_beside_the_rate():
    healthy = [look((0, 500), (0, 4500))] * 4

    _, judgement = run(HOW, start(), *healthy, *[look((15, 500), (0, 4500))] * 2)

    assert judgement.excess < 1
    assert "excluded" not in judgement.message


def test_before_any_data_the_budget_allows_what_the_history_knows_of_the_traffic():
    _, judgement = judge(HOW, start(), None, {})

    assert judgement.allowed == pytest.approx(100 * BUDGET / 700, abs=0.01)
    assert judgement.excess == 1


def test_without_history_next_to_nothing_is_allowed():
    assert judge(HOW, begin(HOW), None, {})[1].allowed == 0.01


def test_a_step_passes_by_what_its_weight_needs():
    state, judgement = judge(HOW, start(), GOOD, {}, ahead=1.0)
    for _ in range(3):
        state, judgement = judge(HOW, state, GOOD, {}, ahead=1.0)
    assert judgement.verdict is Verdict.PASS

    assert judge(HOW, state, GOOD, {}, ahead=100.0)[1].ground is Ground.UNDECIDED


def test_a_warming_canary_is_forgiven_at_first():
    warming = look((2, 400), (1, 1000), weight=30)

    _, early = run(HOW, start(), *[warming] * 8)
    _, late = run(HOW, start(), *[look((0, 400), (1, 1000), weight=30)] * 9, *[warming] * 12)

    assert early.ground is Ground.UNDECIDED
    assert late.ground in (Ground.DOUBTFUL, Ground.WORSE)


def test_failures_in_clumps_weigh_less_where_stable_has_clumps():
    clumps = Clumps().add(Spread(70_000.0, 10_000.0))
    past = History(1800.0, 180_000, 0, {FAILED: 180}, {FAILED: clumps})
    burst = look((4, 20), (0, 480))

    _, alone = run(HOW, start(), burst, burst)
    _, clumped = run(HOW, begin(HOW, past=past), burst, burst)

    assert alone.verdict is Verdict.FAIL
    assert clumped.verdict is not Verdict.FAIL


def test_clumps_are_learned_during_the_rollout_too():
    uneven = Block(5.0, 10, Counts(50), Counts(450, 7, pods=3), spread={FAILED: Spread(98, 14)})
    state, _ = run(HOW, start(), *[uneven] * 50)

    assert state.checks[0].numbers["seen"] > start().checks[0].numbers["seen"]


def test_a_canary_that_fails_everything_is_found_without_any_history():
    """At 100 requests a second and 5 %: ten failures, not twenty."""
    _, judgement = run(HOW, begin(HOW), *[look((5, 5), (0, 95), weight=5, seconds=1)] * 2)

    assert judgement.verdict is Verdict.FAIL


def test_an_incident_that_stable_had_first_is_no_outage_of_the_canary():
    state, _ = run(HOW, start(), *[look((0, 50), (250, 450))] * 4)

    _, judgement = run(HOW, state, look((5, 5), (0, 0)), look((5, 5), (2, 45)))

    assert judgement.verdict is not Verdict.FAIL


def test_a_block_in_which_stable_fails_too_wins_nothing_against_the_canary():
    check = FailuresVersus("success", log_safe=log(20), delay=7)
    state = check.begin(PAST)
    from analysis.checks import Look

    after = check.take(state, Look(look((30, 30), (90, 270))))

    assert after.evidence["outage"].log_e <= state.evidence["outage"].log_e


def crash(restarts: int) -> Block:
    return Block(5.0, 1, Counts(9, 0, pods=1, restarts=restarts), Counts(900, 0, pods=9))


def test_a_canary_that_keeps_crashing_is_taken_back():
    """What its pods served is lost with them, so each restart is a failed request."""
    _, judgement = run(HOW, start(), *[crash(1)] * 6)

    assert judgement.verdict is Verdict.FAIL
    assert "restarts of its pods counted as failed requests: 6" in judgement.message


def test_one_restart_is_none():
    assert run(HOW, start(), crash(1), crash(0))[1].verdict is not Verdict.FAIL


# ---------------------------------------------------------------- all the traffic

FULL = look((10, 1000), (0, 0), weight=100)


def test_with_all_the_traffic_it_is_tested_against_what_stable_used_to_fail():
    state, _ = run(HOW, start(), *[GOOD] * 5)

    _, judgement = run(HOW, state, *[look((60, 1000), (0, 0), weight=100)] * 2)

    assert judgement.verdict is Verdict.FAIL
    assert "limit with all the traffic 1 %" in judgement.message
    assert "not concurrent" in judgement.message


def test_with_all_the_traffic_a_canary_within_that_limit_is_not_sent_back():
    state, _ = run(HOW, start(), *[GOOD] * 5)

    _, judgement = run(HOW, state, *[FULL] * 20)

    assert judgement.verdict is not Verdict.FAIL


def test_the_limit_of_a_service_that_fails_more_is_three_times_that():
    past = History(1800.0, 180_000, 0, {FAILED: 9000}, {FAILED: EVEN})
    state, _ = run(HOW, begin(HOW, past=past), look((25, 500), (225, 4500)))

    state, _ = run(HOW, state, look((50, 500), (0, 0), weight=100))

    assert state.checks[0].numbers["alone_limit"] == pytest.approx(0.15, rel=0.05)


def test_the_limit_stays_while_all_traffic_is_the_canarys():
    state, _ = run(HOW, start(), FULL)
    before = state.checks[0].numbers["alone_limit"]

    state, _ = run(HOW, state, *[FULL] * 5)

    assert state.checks[0].numbers["alone_limit"] == before


# ---------------------------------------------------------------- memory


def test_its_memory_comes_back_bit_for_bit_and_is_small():
    state, _ = run(HOW, start(), GOOD, look((6, 83), (2, 1604)), FULL)

    text = save(HOW, state)

    assert restore(HOW, text) == state
    assert len(text) < 8192


def test_two_judges_on_the_same_blocks_agree():
    blocks = [GOOD, look((6, 83), (2, 1604)), FULL]

    assert run(HOW, start(), *blocks) == run(HOW, start(), *blocks)


def test_time_without_a_weight_does_not_warm_the_canary_up():
    state, _ = run(HOW, start(), look((0, 0), (0, 500), weight=0), GOOD)

    assert state.checks[0].numbers["exposed"] == 5
