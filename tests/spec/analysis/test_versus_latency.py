"""The comparison of slow requests, at the histogram's own bounds."""

import pytest

from analysis.checks import Look
from analysis.clumps import Clumps
from analysis.history import History
from analysis.judge import begin
from analysis.samples import FAILED, Block, Counts, Spread
from analysis.settings import JudgeSettings, compared
from analysis.verdict import Ground, Verdict
from analysis.versus_latency import MOST_BOUNDS, LatencyVersus
from tests.spec.analysis.readings import run

HOW = JudgeSettings(compared(7.0), alpha=0.01, min_requests=30)
ONLY = JudgeSettings((LatencyVersus("latency"),), alpha=0.01, min_requests=30)
EVEN = Clumps().add(Spread(1000.0, 1000.0))
PAST = History(
    1800.0,
    100_000,
    100_000,
    {FAILED: 0, 0.01: 90_000, 0.1: 20_000, 0.5: 1_000, 5.0: 10},
    dict.fromkeys((FAILED, 0.01, 0.1, 0.5, 5.0), EVEN),
)
"""One of five requests takes longer than 100 ms, one of a hundred longer than 500 ms."""


def timed(requests: int, over_100_ms: int, over_500_ms: int) -> Counts:
    within = {0.1: requests - over_100_ms, 0.5: requests - over_500_ms, 5.0: requests}
    return Counts(requests, 0, within, requests, pods=1)


def look(canary: Counts, stable: Counts, *, weight: float = 10.0) -> Block:
    return Block(5.0, weight, canary, stable)


SAME = look(timed(100, 20, 1), timed(900, 180, 9))
SLOWER = look(timed(100, 60, 30), timed(900, 180, 9))


def bounds(state) -> list[float]:
    numbers = state.checks[-1].numbers
    return [numbers[f"{slot}.bound"] for slot in range(MOST_BOUNDS) if numbers[f"{slot}.bound"]]


def test_bounds_are_those_whose_slower_requests_are_neither_rare_nor_common():
    assert bounds(begin(HOW, past=PAST)) == [0.1, 0.5]


AT_300_MS = JudgeSettings((LatencyVersus("latency", bound=0.3),), alpha=0.01, min_requests=30)


def test_a_bound_that_the_policy_names_is_compared_alone_at_the_next_larger_bucket():
    assert bounds(begin(AT_300_MS, past=PAST)) == [0.5]
    assert bounds(run(AT_300_MS, begin(AT_300_MS), SLOWER)[0]) == [0.5]


def test_a_bound_beyond_every_bucket_compares_nothing():
    beyond = JudgeSettings((LatencyVersus("latency", bound=60.0),), alpha=0.01, min_requests=30)

    state, judgement = run(beyond, begin(beyond, past=PAST), SLOWER, SLOWER)

    assert bounds(state) == []
    assert judgement.verdict is not Verdict.FAIL


def test_a_fine_histogram_is_thinned_out_evenly():
    bad = {round(0.1 + 0.01 * n, 2): 20_000 - 100 * n for n in range(100)}
    chosen = bounds(begin(HOW, past=History(1800.0, 100_000, 100_000, bad)))

    assert len(chosen) == MOST_BOUNDS
    assert (chosen[0], chosen[-1]) == (0.1, 1.09)


def test_all_chosen_bounds_are_judged():
    bad = {float(n): 20_000 - 100 * n for n in range(1, MOST_BOUNDS + 1)}
    within = dict.fromkeys(bad, 90)
    arm = Counts(100, 0, within, 100, pods=1)

    state, _ = run(ONLY, begin(ONLY, past=History(1800.0, 10**5, 10**5, bad)), look(arm, arm))

    assert all(state.checks[0].numbers[f"{slot}.total"] == 100 for slot in range(MOST_BOUNDS))


def test_without_history_the_first_block_chooses_and_is_not_judged():
    state, judgement = run(ONLY, begin(ONLY), SLOWER)

    assert bounds(state) == [0.1, 0.5, 5.0]
    assert judgement.verdict is not Verdict.FAIL
    assert run(ONLY, state, *[SLOWER] * 12)[1].verdict is Verdict.FAIL


def test_too_few_requests_choose_nothing():
    assert bounds(run(ONLY, begin(ONLY), look(timed(5, 1, 0), timed(29, 5, 0)))[0]) == []


def test_a_short_history_chooses_nothing():
    assert bounds(begin(HOW, past=History(60.0, 1999, 1999, {0.1: 300}))) == []


def test_a_slower_canary_fails_at_the_bound_that_shows_it():
    _, judgement = run(HOW, begin(HOW, past=PAST), *[SLOWER] * 3)

    assert (judgement.verdict, judgement.ground) == (Verdict.FAIL, Ground.WORSE)
    assert judgement.message.startswith("canary took longer than 500 ms for ")


def test_a_canary_as_quick_as_stable_stands_in_nobodys_way():
    _, judgement = run(ONLY, begin(ONLY, past=PAST), *[SAME] * 30)

    assert judgement.verdict is Verdict.PASS


def test_a_quarter_more_slow_requests_are_no_regression():
    """At 100 % of the traffic for long: 25 % more of them."""
    _, judgement = run(
        ONLY, begin(ONLY, past=PAST), *[look(timed(900, 225, 11), timed(900, 180, 9))] * 60
    )

    assert judgement.verdict is not Verdict.FAIL


def test_a_leaning_is_a_doubt():
    state = begin(ONLY, past=PAST)
    grounds = set()
    for _ in range(40):
        state, judgement = run(ONLY, state, look(timed(100, 34, 2), timed(900, 180, 9)))
        grounds.add(judgement.ground)

    assert Ground.DOUBTFUL in grounds


def test_requests_in_no_histogram_are_told():
    state, _ = run(ONLY, begin(ONLY, past=PAST), SAME)

    _, judgement = run(ONLY, state, look(Counts(70, pods=1), timed(900, 180, 9)))

    assert "its last 70 requests are in no histogram" in judgement.message


def test_a_service_without_histograms_is_judged_by_its_failures():
    _, judgement = run(ONLY, begin(ONLY), *[look(Counts(100, pods=1), Counts(900, pods=1))] * 3)

    assert judgement.verdict is Verdict.PASS
    assert judgement.message == "no histogram of stable tells yet how long requests take"


@pytest.mark.parametrize("missing", ["canary", "stable"])
def test_a_bound_that_one_arm_does_not_count_is_left_out_of_the_block(missing):
    check = LatencyVersus("latency")
    state = check.begin(PAST)
    arms = {"canary": timed(100, 60, 30), "stable": timed(900, 180, 9)}
    arms[missing] = Counts(arms[missing].requests, 0, {0.5: 90}, 100, pods=1)

    after = check.take(state, Look(look(arms["canary"], arms["stable"])))

    assert after.evidence["worse0"] == state.evidence["worse0"]
    assert after.evidence["worse1"] != state.evidence["worse1"]


def test_a_look_without_a_block_changes_nothing():
    check = LatencyVersus("latency")
    state = check.begin(PAST)

    assert check.take(state, Look(None)) is state
