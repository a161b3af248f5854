"""What a rollout will be able to decide, told before it."""

from dataclasses import replace

import pytest

from analysis.clumps import Clumps
from analysis.decidability import NEEDED, NEEDED_MOSTLY, WALD, Stretch
from analysis.history import History
from analysis.journal import Journal
from analysis.limits import FailedRequests, LimitCheck, SlowRequests
from analysis.plan import Known, known_from, plan
from analysis.samples import FAILED
from analysis.settings import JudgeSettings
from analysis.versus import FailuresVersus
from analysis.versus_latency import LatencyVersus
from tests.spec.analysis.journals import BEGUN, EVERY_KIND, Live, Look
from tests.spec.analysis.readings import QUERY, arm, block, settings
from tests.spec.analysis.test_journal import LIVE

FAILURES = FailuresVersus("success rate", log_safe=3.0, delay=7.0)
STEPS = [Stretch(5, 300), Stretch(25, 300), Stretch(50, 300), Stretch(100, 600)]
PAST = History(600, 12_000, 12_000, {FAILED: 12, 0.25: 600, 0.5: 120}, {FAILED: Clumps()})
KNOWN = Known(20.0, {FAILED: 0.001, 0.25: 0.05, 0.5: 0.01}, PAST)


def how(*checks) -> JudgeSettings:
    return JudgeSettings(checks, 0.01, 30)


def one(check, known=KNOWN, steps=STEPS):
    (told,) = plan(how(check), steps, known)
    return told


def informative(rps: float) -> float:
    return rps * 300 * (0.05 * 0.95 + 0.25 * 0.75 + 0.5 * 0.5)


# ---------------------------------------------------------------- what is seen


def test_what_a_comparison_sees_needs_what_the_judge_was_measured_to_need():
    sight = one(FAILURES).whole

    assert sight is not None
    needed = NEEDED_MOSTLY.to_detect(0.001, sight.mostly, alpha=0.01)
    bound = WALD.to_detect(0.001, sight.at_best, alpha=0.01)
    assert needed == pytest.approx(informative(20), rel=1e-6)
    assert bound == pytest.approx(informative(20), rel=1e-6)


def test_each_step_adds_to_what_is_seen_and_100_percent_nothing():
    first, second, third, everybody = (it.mostly for it in one(FAILURES).steps)

    assert first > second > third == everybody


def test_a_limit_learns_from_the_canary_alone_and_at_100_percent_too():
    told = one(LimitCheck("limit", 0.01, FailedRequests(), 3.0))

    first, *_, third, everybody = (it.mostly for it in told.steps)
    assert (told.edge, told.usual) == (0.01, 0.001)
    assert first > third > everybody


def test_checks_share_the_error_rate_by_their_stakes():
    alone = one(FAILURES).whole
    beside, _ = plan(how(FAILURES, LatencyVersus("latency")), STEPS, KNOWN)

    assert alone.mostly < beside.whole.mostly


def test_a_tolerated_drop_moves_the_edge_and_what_has_to_be_excluded():
    tolerant = one(replace(FAILURES, tolerance=0.005))

    assert tolerant.edge == pytest.approx(0.006)
    assert tolerant.excluding < one(FAILURES).excluding


def test_with_too_few_requests_nothing_is_seen():
    told = one(FAILURES, replace(KNOWN, rps=0.001))

    assert (told.whole.mostly, told.whole.at_best) == (None, None)


# ---------------------------------------------------------------- latency


def test_of_the_bounds_of_the_history_the_sharpest_is_shown():
    told = one(LatencyVersus("latency"))

    assert told.bound in (0.25, 0.5)
    assert told.edge == pytest.approx(1.25 * told.usual)
    assert told.excluding is None


def test_a_bound_of_the_policy_is_the_one_that_is_shown():
    told = one(LatencyVersus("latency", bound=0.4))

    assert told.bound == 0.5


def test_without_a_history_no_bound_is_chosen():
    told = one(LatencyVersus("latency"), Known(20.0, {FAILED: 0.001}))

    assert (told.bound, told.usual, told.whole) == (None, None, None)


def test_a_limit_of_slow_requests_counts_at_the_next_larger_bound():
    told = one(LimitCheck("slow", 0.05, SlowRequests(0.3), 3.0))

    assert (told.bound, told.usual) == (0.5, 0.01)
    assert one(LimitCheck("slow", 0.05, SlowRequests(3.0), 3.0)).usual is None


# ---------------------------------------------------------------- what is asked


@pytest.mark.parametrize(("rps", "seen"), [(1.0, False), (10_000.0, True)])
def test_whether_twice_as_bad_is_seen_depends_on_the_traffic(rps, seen):
    twice, _ = one(FAILURES, replace(KNOWN, rps=rps)).asked

    assert (twice.times, twice.rate, twice.seen, twice.weight) == (2.0, 0.002, seen, 50)
    needed = NEEDED.to_detect(0.001, 0.002, alpha=0.01)
    assert twice.seconds == pytest.approx(needed / (rps * 0.25))


def test_what_is_within_the_tolerance_is_never_seen():
    twice, _ = one(replace(FAILURES, tolerance=0.005)).asked

    assert (twice.seen, twice.seconds) == (False, None)


def test_a_rollout_that_goes_to_100_percent_at_once_compares_nothing():
    told = one(FAILURES, steps=[Stretch(100, 600)])

    assert told.whole.mostly is None
    assert [it.seconds for it in told.asked] == [None, None]


def test_promotion_with_evidence_takes_enough_requests_before_100_percent():
    assert not one(FAILURES).enough
    assert one(FAILURES, replace(KNOWN, rps=10_000)).enough


def test_stable_over_the_limit_leaves_nothing_to_prove():
    told = one(LimitCheck("limit", 0.0005, FailedRequests(), 3.0))

    assert (told.excluding, told.enough) == (None, False)


# ---------------------------------------------------------------- what is not told


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(Known(), id="nothing known"),
        pytest.param(Known(rps=20.0), id="no rate of failures"),
        pytest.param(Known(rates={FAILED: 0.001}), id="no requests a second"),
    ],
)
def test_what_nobody_knows_is_not_guessed(known):
    told = one(FAILURES, known)

    assert (told.whole, told.usual, told.asked) == (None, None, ())


def test_only_checks_that_decide_by_counts_are_planned():
    observed = replace(FAILURES, name="observed", decides=False)

    assert [
        it.check for it in plan(how(observed, FAILURES, *settings(QUERY).checks), STEPS, KNOWN)
    ] == ["success rate"]


# ---------------------------------------------------------------- from the evidence


def test_traffic_is_read_from_the_looks_of_a_rollout():
    known = known_from(LIVE.journal)

    assert known.rps == pytest.approx(40, rel=0.1)
    assert known.rates[FAILED] == pytest.approx(0.004, abs=0.002)
    assert known.past.requests > LIVE.journal.past.requests


def test_without_looks_the_history_tells():
    known = known_from(Journal("id", "v1", "v2", BEGUN, past=PAST))

    assert known.rps == pytest.approx(20)
    assert known.rates[FAILED] == pytest.approx(0.001, rel=0.02)


def test_an_empty_journal_tells_nothing():
    assert known_from(Journal("id", "v1", "v2", BEGUN)) == Known()


def test_a_rate_of_no_failures_is_small_and_not_zero():
    live = Live(EVERY_KIND)
    live.look(Look(block(arm(100), arm(900))))

    assert 0 < known_from(live.journal).rates[FAILED] < 0.001
