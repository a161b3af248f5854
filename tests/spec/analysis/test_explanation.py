"""Why a rollout went as it went, worked out again from its journal."""

from dataclasses import replace
from math import ceil

import pytest

from analysis.bands import Band, follow
from analysis.compare import Arms, track_of
from analysis.errors import UnavailableError
from analysis.explanation import Explanation, Leave, explain
from analysis.history import NOTHING_KNOWN
from analysis.journal import entries
from analysis.samples import FAILED, Block
from analysis.settings import JudgeSettings
from analysis.verdict import Ground, Judgement, Verdict
from analysis.versus import FailuresVersus
from tests.spec.analysis.journals import BEGUN, EVERY_KIND, Live, Look
from tests.spec.analysis.readings import QUERY, arm, block, settings
from tests.spec.analysis.test_journal import LIVE, flawless, rolled_out

FAILURES = JudgeSettings((FailuresVersus("success rate", log_safe=3.0, delay=7.0),), 0.01, 30)
GOOD, BAD = block(arm(100, 0), arm(900, 0)), block(arm(100, 30), arm(900, 1))


def lived(*looks: Look, how: JudgeSettings = FAILURES) -> Explanation:
    """Explain these looks, with a busy past of stable."""
    live = Live(how)
    for look in looks:
        live.look(look)
    explained = explain(how, live.journal)
    assert explained is not None
    return explained


def steps(*weights: float, read=GOOD, each: int = 1) -> list[Look]:
    return [Look(read, place, weight) for place, weight in enumerate(weights) for _ in range(each)]


EXPLAINED = explain(EVERY_KIND, LIVE.journal)
assert EXPLAINED is not None


def test_a_journal_without_looks_explains_nothing():
    assert explain(FAILURES, Live(FAILURES).journal) is None


# ---------------------------------------------------------------- what decided


def test_the_first_fail_decides_whatever_came_after():
    first = next(
        (entry, judgement)
        for entry, (_, judgement) in zip(entries(LIVE.journal), LIVE.judged, strict=True)
        if judgement.verdict is Verdict.FAIL
    )

    assert (EXPLAINED.decisive, EXPLAINED.judgement) == first


def test_without_a_fail_the_last_look_is_explained():
    explained = lived(*steps(10, 20, 50))

    assert explained.decisive.weight == 50
    assert explained.judgement.verdict is not Verdict.FAIL


def test_what_is_measured_ends_with_the_look_that_decided():
    explained = lived(*steps(10, read=BAD, each=9))

    assert explained.judgement.verdict is Verdict.FAIL
    (measure,) = explained.measures
    assert measure.counts.canary < 900
    assert explained.looks == 9


# ---------------------------------------------------------------- measures


def test_every_kind_of_check_that_counts_is_measured_and_the_others_are_told():
    names = [(it.check, it.bound) for it in EXPLAINED.measures]

    assert names[0] == ("success rate", FAILED)
    assert {check for check, _ in names} == {"success rate", "latency", "limit", "slow"}
    assert len([it for it in EXPLAINED.measures if it.check == "latency"]) > 1
    assert [it.check for it in EXPLAINED.rest] == ["queue"]


def test_a_comparison_has_the_band_of_its_counts():
    measure = EXPLAINED.measures[0]
    blocks = [it.read for it in entries(LIVE.journal) if isinstance(it.read, Block)]
    until = [it for it in entries(LIVE.journal) if it.at <= EXPLAINED.decisive.at]
    blocks = [it.read for it in until if isinstance(it.read, Block)]

    seen = follow(blocks, FAILED, track_of(LIVE.journal.past, FAILED))

    assert (measure.band, measure.counts) == (seen.band, seen.counts)


def test_of_many_latency_bounds_the_one_with_most_evidence_has_a_band():
    latency = [it for it in EXPLAINED.measures if it.check == "latency"]

    assert [it for it in latency if it.band is not None] == [max(latency, key=lambda it: it.log_e)]


def test_a_limit_has_no_band_and_tells_the_limit_and_the_bound_it_was_counted_at():
    limit, slow = (it for it in EXPLAINED.measures if it.limit is not None)

    assert (limit.bound, limit.limit, limit.ratio, limit.band) == (FAILED, 0.01, None, None)
    assert (slow.bound, slow.limit, slow.decides) == (0.5, 0.05, False)


def test_a_query_alone_is_told_by_its_finding():
    how = settings(QUERY)

    explained = lived(Look(GOOD), how=how)

    assert explained.measures == ()
    assert [it.check for it in explained.rest] == ["queue"]


def test_what_compares_nothing_has_no_band_yet():
    explained = lived(Look(None))

    assert explained.measures[0].band == Band()
    assert explained.measures[0].counts == Arms(0, 0, 0, 0)


# ---------------------------------------------------------------- weights


def test_each_raise_is_told_with_what_was_known_before_it():
    explained = lived(*steps(10, 20, 50, each=2))

    assert [(it.weight, it.requests) for it in explained.raises] == [(10, 0), (20, 200), (50, 400)]
    assert explained.raises[0].at == pytest.approx(BEGUN + 5)
    assert explained.raises[0].leave is Leave.START
    assert explained.raises[0].blind is None
    assert explained.raises[2].blind is not None


def test_a_weight_that_fell_is_no_raise():
    explained = lived(*steps(10, 20, 5, 10))

    assert [it.weight for it in explained.raises] == [10, 20, 10]


def test_the_first_weight_after_none_is_the_start():
    explained = lived(*steps(0, 10))

    assert [(it.weight, it.leave) for it in explained.raises] == [(10, Leave.START)]


def test_a_ramp_by_budget_rises_by_what_the_budget_affords():
    """Its looks ask about everybody."""
    explained = lived(*[Look(GOOD, 0, 1, 100)] * 2, Look(GOOD, 0, 2, 100))

    assert explained.raises[-1].leave is Leave.BUDGET


def test_a_weight_that_was_rounded_up_to_its_hundredths_is_afforded_all_the_same():
    looks = [Look(block(arm(100), arm(907)), 0, 1, 100)] * 2
    allowed = lived(*looks).judgement.allowed
    rounded = ceil(allowed * 100) / 100

    explained = lived(*looks, Look(GOOD, 0, rounded, 100))

    assert rounded > allowed
    assert explained.raises[-1].leave is Leave.BUDGET


@pytest.mark.parametrize(
    ("before", "leave"),
    [
        pytest.param([Look(GOOD, 0, 10, 20)] * 9, Leave.EVIDENCE, id="a pass"),
        pytest.param([Look(GOOD, 0, 10)] * 2, Leave.TIMETABLE, id="undecided"),
        pytest.param([Look(block(arm(5), arm(45)), 0, 10)], Leave.TIMETABLE, id="too few"),
        pytest.param([Look(UnavailableError("gone"), 0, 10)], Leave.OTHER, id="nothing was read"),
    ],
)
def test_what_allowed_a_weight(before, leave):
    explained = lived(*before, Look(GOOD, 1, 90))

    assert explained.raises[-1].leave is leave


# ---------------------------------------------------------------- users, looks


def test_users_are_counted_over_all_looks_and_the_excess_against_the_same_seconds():
    explained = lived(*steps(10, read=block(arm(100, 5), arm(900, 9)), each=4))

    assert (explained.users.requests, explained.users.failed) == (400, 20)
    assert explained.users.excess == pytest.approx(16)


def test_a_canary_that_fails_less_than_stable_harmed_nobody():
    explained = lived(Look(block(arm(100, 0), arm(900, 90))))

    assert explained.users.excess == 0


def test_without_stable_beside_it_the_past_says_what_is_usual():
    explained = lived(Look(block(arm(1000, 12), arm(0), weight=100), weight=100))

    assert explained.users.excess == pytest.approx(12 - 2)


def test_looks_that_brought_nothing_are_told_with_what_the_last_one_said():
    explained = lived(
        Look(UnavailableError("timed out")), Look(UnavailableError("refused")), Look(GOOD)
    )

    assert (explained.looks, explained.unread, explained.problem) == (3, 2, "refused")
    assert (explained.first, explained.last) == (BEGUN + 5, BEGUN + 15)


# ---------------------------------------------------------------- agreement


def test_verdicts_that_come_out_again_differ_nowhere():
    assert EXPLAINED.differs is None


def test_the_first_verdict_that_comes_out_otherwise_is_told():
    journal = rolled_out(flawless, looks=20).journal
    stored = list(entries(journal))
    line = journal.lines[7].replace(f" {stored[7].ground}", " NoData")
    edited = replace(journal, lines=(*journal.lines[:7], line, *journal.lines[8:]))

    explained = explain(EVERY_KIND, edited)

    assert explained is not None
    assert explained.differs is not None
    assert explained.differs.entry.ground is Ground.NO_DATA
    assert isinstance(explained.differs.judgement, Judgement)


def test_another_history_is_another_judgement():
    explained = explain(EVERY_KIND, replace(LIVE.journal, past=NOTHING_KNOWN))

    assert explained is not None
    assert explained.measures[0].log_e != EXPLAINED.measures[0].log_e
