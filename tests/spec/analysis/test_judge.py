"""The verdict table: what a look comes to, by which ground, and in which words."""

from dataclasses import replace
from datetime import timedelta

import pytest

from analysis.errors import ProviderError, RefusedError, StaleError, UnavailableError
from analysis.judge import begin, judge, judge_unread, on_step
from analysis.samples import Block, Counts, Number, NumberKind
from analysis.verdict import Ground, Verdict
from config.schema import Check, SuccessRate
from tests.spec.analysis.readings import LATENCY, QUERY, SUCCESS, arm, block, run, settings

GOOD = block(arm(100), arm(900))
BAD = block(arm(20, 10), arm(180))
FEW = block(arm(9), arm(81))
MEDIOCRE = block(arm(100, 1), arm(900, 9))
INCIDENT = block(arm(50, 20), arm(450, 180))
SLOW = block(Counts(60, 0, {0.5: 20}, 60, pods=1), arm(540))
EMPTY = block(arm(0), arm(0))
INSIDE = {"queue": Number(NumberKind.VALUE, 3)}
OVER = {"queue": Number(NumberKind.VALUE, 30)}
NOTHING = {"queue": Number(NumberKind.NO_DATA)}
OLD = {"queue": Number(NumberKind.STALE)}

WATCHED = SUCCESS.model_copy(update={"mode": "observe"})


@pytest.mark.parametrize(
    ("row", "checks", "looks", "numbers", "verdict", "ground"),
    [
        ("failing", [SUCCESS], [BAD], {}, Verdict.FAIL, Ground.OVER_LIMIT),
        ("slow", [SUCCESS, LATENCY], [SLOW], {}, Verdict.FAIL, Ground.OVER_LIMIT),
        ("failing before the minimum", [SUCCESS], [block(arm(3, 3))], {}, "Fail", "OverLimit"),
        ("failing while another is safe", [LATENCY, SUCCESS], [GOOD, GOOD, BAD], {}, "Fail", None),
        ("good", [SUCCESS], [GOOD] * 5, {}, Verdict.PASS, Ground.SAFE),
        ("good, both", [SUCCESS, LATENCY], [GOOD] * 5, {}, Verdict.PASS, Ground.SAFE),
        ("good and the query inside", [SUCCESS, QUERY], [GOOD] * 5, INSIDE, "Pass", "Safe"),
        ("only a query, inside", [QUERY], [GOOD], INSIDE, Verdict.PASS, Ground.SAFE),
        ("good, one not shown yet", [SUCCESS, LATENCY], [GOOD], {}, None, Ground.UNDECIDED),
        ("on the limit", [SUCCESS], [MEDIOCRE] * 9, {}, None, Ground.UNDECIDED),
        ("few", [SUCCESS], [FEW], {}, None, Ground.TOO_FEW_REQUESTS),
        ("few, query inside", [QUERY], [FEW], INSIDE, None, Ground.TOO_FEW_REQUESTS),
        ("shared", [SUCCESS], [INCIDENT], {}, None, Ground.SHARED_INCIDENT),
        ("shared, few", [SUCCESS], [block(arm(5, 2), arm(45, 18))], {}, None, "SharedIncident"),
        ("query over once", [SUCCESS, QUERY], [GOOD] * 5, OVER, None, Ground.DOUBTFUL),
        ("query without data", [SUCCESS, QUERY], [GOOD] * 5, NOTHING, None, Ground.NO_DATA),
        ("query not asked", [SUCCESS, QUERY], [GOOD] * 5, {}, None, Ground.NO_DATA),
        ("query stale", [SUCCESS, QUERY], [GOOD] * 5, OLD, None, Ground.STALE),
        ("no histogram", [LATENCY], [block(Counts(90, pods=1))], {}, None, Ground.NO_DATA),
        ("no check at all, traffic", [], [GOOD], {}, None, Ground.UNDECIDED),
        ("no check at all, few", [], [FEW], {}, None, Ground.TOO_FEW_REQUESTS),
        ("observed failing", [WATCHED], [BAD, BAD], {}, None, Ground.UNDECIDED),
        ("no block yet", [SUCCESS], [None], {}, None, Ground.TOO_FEW_REQUESTS),
        ("no pods", [SUCCESS], [block(Counts(), arm(90))], {}, None, Ground.NO_DATA),
        ("no pods after a pass", [SUCCESS], [*[GOOD] * 5, block(Counts())], {}, None, "NoData"),
        ("nothing on weight 0", [SUCCESS], [block(weight=0)] * 50, {}, None, "TooFewRequests"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_each_row_of_the_verdict_table(  # noqa: PLR0917 - the columns of the table
    row, checks, looks, numbers, verdict, ground
):
    how = settings(*checks)

    _, judgement = run(how, begin(how), *looks, numbers=numbers)

    assert judgement.verdict == (verdict or Verdict.INCONCLUSIVE), (row, judgement.message)
    assert judgement.ground == (ground or judgement.ground), (row, judgement.message)


# ---------------------------------------------------------------- sentences


def test_a_failure_is_told_in_counts_with_its_evidence():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), block(arm(83, 6), arm(1604, 2)))

    assert judgement.message.startswith(
        "canary failed 6 of 83 requests (7.2 %), stable 2 of 1,604 requests (0.12 %), limit 1 %;"
        " evidence 1 : "
    )
    assert judgement.message.endswith(", needs 1 : 100")


def test_a_pass_says_what_was_shown():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), block(arm(450)))

    assert judgement.message == (
        "canary failed 0 of 450 requests (0 %), limit 1 %; shown to keep it by evidence of 1 : 35"
    )


def test_a_pass_of_several_checks_names_them_all():
    how = settings(SUCCESS, QUERY)

    _, judgement = run(how, begin(how), block(arm(450)), numbers=INSIDE)

    assert judgement.message.endswith("1 : 35; the query answers 3, at most 10")


def test_undecided_says_how_far_it_is_from_either_side():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), block(arm(100)))

    assert judgement.message == (
        "canary failed 0 of 100 requests (0 %), limit 1 %; evidence against it none,"
        " for it 1 : 1.9; needs 1 : 100 or 1 : 20"
    )


def test_too_few_requests_says_how_many_are_needed():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), block(arm(9)))

    assert judgement.message.startswith(
        "canary completed 9 requests on this step, needs 30; so far canary failed 0 of 9"
    )


def test_too_few_requests_without_a_deciding_check_says_only_that():
    how = settings(WATCHED)

    _, judgement = run(how, begin(how), block(arm(9)))

    assert judgement.message == "canary completed 9 requests on this step, needs 30"


def test_a_shared_incident_says_that_both_are_beyond_the_limit():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), INCIDENT)

    assert judgement.message == (
        "canary failed 20 of 50 requests (40 %), stable 180 of 450 requests (40 %), limit 1 %:"
        " both versions are beyond it, which says nothing about the canary"
    )


# ---------------------------------------------------------------- several checks


def test_the_verdict_names_the_check_with_most_evidence():
    how = settings(SUCCESS, LATENCY)

    _, judgement = run(how, begin(how), SLOW)

    assert judgement.message.startswith("canary took longer than 500 ms")
    assert [finding.verdict for finding in judgement.findings] == ["Inconclusive", "Fail"]


def test_several_checks_share_one_error_rate():
    """E_total is the mean: among four checks, one alone needs four times the evidence."""
    one = settings(SUCCESS)
    four = settings(SUCCESS, *[SUCCESS.model_copy(update={"name": f"{n}"}) for n in range(3)])
    idle = settings(SUCCESS, *[LATENCY.model_copy(update={"name": f"{n}"}) for n in range(3)])
    look = block(Counts(4, 2, pods=1))

    assert run(one, begin(one), look)[1].verdict is Verdict.FAIL
    assert run(four, begin(four), look)[1].verdict is Verdict.FAIL
    assert run(idle, begin(idle), look)[1].verdict is Verdict.INCONCLUSIVE


def test_half_the_evidence_in_each_of_two_checks_is_enough_together():
    how = settings(SUCCESS, SUCCESS.model_copy(update={"name": "again"}))
    single = settings(SUCCESS)
    state, judgement = begin(how), None
    for look in [block(arm(1, 1))] * 2:
        state, judgement = judge(how, state, look, {})

    assert judgement is not None
    assert judgement.verdict is run(single, begin(single), block(arm(2, 2)))[1].verdict


def test_a_shared_incident_in_one_check_does_not_stop_another_from_failing():
    how = settings(SUCCESS, LATENCY)
    both_fail_canary_is_slow = block(
        Counts(50, 20, {0.5: 5}, 50, pods=1), Counts(450, 180, {0.5: 450}, 450, pods=3)
    )

    _, judgement = run(how, begin(how), both_fail_canary_is_slow)

    assert judgement.verdict is Verdict.FAIL
    assert judgement.message.startswith("canary took longer")


def test_an_observed_check_is_told_and_decides_nothing():
    how = settings(SUCCESS, LATENCY.model_copy(update={"mode": "observe"}))

    _, judgement = run(how, begin(how), *[SLOW] * 10)

    assert judgement.verdict is Verdict.PASS
    observed = judgement.findings[1]
    assert (observed.verdict, observed.decides) == (Verdict.FAIL, False)
    assert "evidence 1 : 10^" in observed.message


def test_an_observed_check_takes_nothing_of_the_deciding_ones_error_rate():
    alone = settings(SUCCESS)
    watched = settings(
        SUCCESS, *[LATENCY.model_copy(update={"name": f"{n}", "mode": "observe"}) for n in range(9)]
    )

    for look in (block(arm(2, 2)), block(arm(100))):
        expected = run(alone, begin(alone), look)[1]
        assert run(watched, begin(watched), look)[1].message == expected.message


def test_a_query_fails_by_its_own_rule():
    how = settings(SUCCESS, QUERY)
    state = begin(how)
    for at in (0.0, 60.0, 120.0):
        over = {"queue": Number(NumberKind.VALUE, 30, at)}
        state, judgement = judge(how, state, GOOD, over)

    assert (judgement.verdict, judgement.ground) == (Verdict.FAIL, Ground.OVER_LIMIT)
    assert judgement.message.startswith("the query answers 30, at most 10")


def test_the_most_urgent_ground_is_told():
    how = settings(QUERY, SUCCESS)

    _, judgement = run(how, begin(how), INCIDENT, numbers=NOTHING)

    assert judgement.ground is Ground.SHARED_INCIDENT


# ---------------------------------------------------------------- steps


def test_requests_are_counted_per_step():
    how = settings(SUCCESS)
    state, judgement = run(how, begin(how, step=1), block(arm(50)))
    assert judgement.requests == 50

    _, judgement = run(how, on_step(state, 2), block(arm(7)))

    assert (judgement.requests, judgement.ground) == (7, Ground.TOO_FEW_REQUESTS)


def test_a_pass_needs_the_minimum_on_this_step():
    how = settings(SUCCESS)
    state, judgement = run(how, begin(how, step=1), *[GOOD] * 5)
    assert judgement.verdict is Verdict.PASS

    state, judgement = run(how, on_step(state, 2), block(arm(29)))
    assert judgement.ground is Ground.TOO_FEW_REQUESTS

    assert run(how, state, block(arm(1)))[1].verdict is Verdict.PASS


def test_evidence_is_never_reset_at_a_step():
    how = settings(SUCCESS)
    state, _ = run(how, begin(how), *[GOOD] * 3)

    assert on_step(state, 2).checks == state.checks


def test_the_same_step_again_changes_nothing():
    how = settings(SUCCESS)
    state, _ = run(how, begin(how, step=2), GOOD)

    assert on_step(state, 2) is state


def test_a_look_without_a_block_leaves_the_state():
    how = settings(SUCCESS, LATENCY)
    state, _ = run(how, begin(how), GOOD)

    assert run(how, state, None)[0] == state


# ---------------------------------------------------------------- no data

SILENT = block(arm(0), arm(45))
"""Stable completes 45 at a weight of 10 %: five canary requests are promised."""


def test_silence_counts_only_after_some_looks():
    how = settings(SUCCESS)

    grounds = [run(how, begin(how), *[SILENT] * looks)[1].ground for looks in (1, 2, 3)]

    assert grounds == [Ground.TOO_FEW_REQUESTS, Ground.TOO_FEW_REQUESTS, Ground.NO_DATA]


def test_silence_is_told_with_what_the_weight_promises():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), *[SILENT] * 4)

    assert judgement.message == (
        "canary completed no request in 20 s, while stable completed 180;"
        " its weight promises about 20"
    )


def test_a_canary_that_falls_silent_loses_its_pass():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), *[GOOD] * 5, *[SILENT] * 3)

    assert judgement.ground is Ground.NO_DATA


def test_one_completed_request_ends_the_silence():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), *[SILENT] * 5, block(arm(1)))

    assert judgement.ground is Ground.TOO_FEW_REQUESTS


def test_where_nobody_asks_anything_it_takes_a_minute_to_say_so():
    how = settings(SUCCESS)

    assert run(how, begin(how), *[EMPTY] * 11)[1].ground is Ground.TOO_FEW_REQUESTS
    _, judgement = run(how, begin(how), *[EMPTY] * 12)

    assert judgement.ground is Ground.NO_DATA
    assert judgement.message == (
        "canary completed no request in 60 s; does http_requests_total count them?"
    )


def test_a_silence_without_a_known_series_names_none():
    how = replace(settings(SUCCESS), series="")

    _, judgement = run(how, begin(how), *[EMPTY] * 12)

    assert judgement.message == "canary completed no request in 60 s"


def test_at_a_weight_of_100_nothing_is_promised_by_stable():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), *[block(weight=100)] * 11)

    assert judgement.ground is Ground.TOO_FEW_REQUESTS


def test_a_new_step_begins_without_silence():
    how = settings(SUCCESS)
    state, _ = run(how, begin(how), *[SILENT] * 3)

    assert run(how, on_step(state, 2), SILENT)[1].ground is Ground.TOO_FEW_REQUESTS


def test_pods_that_could_not_be_counted_are_named_with_why():
    how = settings(SUCCESS)
    look = block(Counts(), missing={"a": "timed out"}, restarted=("b",))

    _, judgement = run(how, begin(how), look)

    assert judgement.message == "no pod of the canary could be counted: b: restarted; a: timed out"


def test_fifty_pods_are_not_all_named():
    how = settings(SUCCESS)
    look = block(Counts(), missing={f"p{n}": "timed out" for n in range(50)})

    _, judgement = run(how, begin(how), look)

    assert judgement.message.endswith("p2: timed out; and 47 more")


def test_no_pods_at_all_is_said_too():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), block(Counts()))

    assert judgement.message == "no pod of the canary could be counted: none was found"


@pytest.mark.parametrize(
    ("error", "ground"),
    [
        (UnavailableError("Prometheus: no connection"), Ground.PROVIDER_DOWN),
        (RefusedError("status 400"), Ground.PROVIDER_DOWN),
        (ProviderError("something else"), Ground.PROVIDER_DOWN),
        (StaleError("no sample younger than 45 s"), Ground.STALE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_look_that_brought_nothing_is_inconclusive(error, ground):
    how = settings(SUCCESS, LATENCY)
    state, _ = run(how, begin(how), *[GOOD] * 5)

    judgement = judge_unread(how, state, error)

    assert (judgement.verdict, judgement.ground) == (Verdict.INCONCLUSIVE, ground)
    assert (judgement.message, judgement.requests) == (str(error), 500)
    assert [finding.ground for finding in judgement.findings] == [ground, ground]


# ---------------------------------------------------------------- traffic share

HANGING = block(arm(20), arm(980))
"""A weight of 10 % promises a hundred."""


def test_a_canary_that_completes_far_less_than_its_weight_promises_is_held():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), *[GOOD] * 5, HANGING)

    assert (judgement.verdict, judgement.ground) == ("Inconclusive", Ground.TRAFFIC_SHARE_OFF)
    assert judgement.message.startswith(
        "canary completed 20 of 1,000 requests (2 %), its weight promises 10 %:"
    )


def test_a_share_that_is_off_never_hides_a_failure():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), block(arm(20, 20), arm(980)))

    assert judgement.verdict is Verdict.FAIL


def test_the_share_may_come_back():
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), HANGING, *[GOOD] * 5)

    assert judgement.verdict is Verdict.PASS


def test_more_requests_than_promised_are_nobodys_alarm():
    """Users who ask for the canary by header come on top."""
    how = settings(SUCCESS)

    _, judgement = run(how, begin(how), *[block(arm(900), arm(900), weight=1)] * 5)

    assert judgement.verdict is Verdict.PASS


# ---------------------------------------------------------------- stories


def test_a_canary_that_breaks_in_the_third_minute_loses_its_pass_at_once():
    how = settings(SUCCESS)
    state, judgement = run(how, begin(how), *[block(arm(250))] * 36)
    assert judgement.verdict is Verdict.PASS

    _, judgement = run(how, state, block(arm(250, 125)))

    assert judgement.verdict is Verdict.FAIL


def test_a_strict_limit_needs_two_failures():
    strict = Check(name="strict", success_rate=SuccessRate(at_least=0.999999))
    how = settings(strict)

    assert run(how, begin(how), block(arm(50, 1)))[1].verdict is Verdict.INCONCLUSIVE
    assert run(how, begin(how), block(arm(50, 2)))[1].verdict is Verdict.FAIL


def test_in_baking_the_limit_works_without_stable():
    how = settings(SUCCESS, interval=timedelta(seconds=1))

    _, judgement = run(how, begin(how), Block(1.0, 100, arm(40, 9), Counts()))

    assert judgement.verdict is Verdict.FAIL
