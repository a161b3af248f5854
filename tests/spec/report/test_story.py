"""What happened in a rollout, worked out from its journal."""

from dataclasses import replace
from math import exp

import pytest

from analysis import wording
from analysis.errors import UnavailableError
from analysis.samples import FAILED, Block, Counts
from analysis.verdict import Verdict
from daemon.core.model import Phase
from daemon.report.rates import follow_rates
from daemon.report.story import Outcome, tell
from tests.cli.records import a_record
from tests.spec.analysis.journals import Live, Look
from tests.spec.report.cases import (
    KEY,
    Made,
    a_case,
    a_limit_alone,
    a_policy,
    bad_at_half,
    ended,
    example,
    good,
    only_references,
    told,
    without_data,
    without_looks,
)


@pytest.mark.parametrize(
    ("record", "outcome"),
    [
        pytest.param(ended(Phase.ROLLED_BACK), Outcome.ROLLED_BACK, id="rolled back"),
        pytest.param(ended(Phase.ROLLING_BACK), Outcome.ROLLED_BACK, id="on its way back"),
        pytest.param(ended(Phase.FINALISING, weight=100), Outcome.PROMOTED, id="finalising"),
        pytest.param(ended(Phase.IDLE, stable="v2"), Outcome.PROMOTED, id="it serves everybody"),
        pytest.param(ended(Phase.IDLE, stable="v1"), Outcome.ROLLED_BACK, id="it went away"),
        pytest.param(ended(Phase.SHIFTING), Outcome.UNDER_WAY, id="shifting"),
        pytest.param(ended(Phase.BAKING, weight=100), Outcome.UNDER_WAY, id="baking"),
        pytest.param(ended(Phase.ROLLED_BACK, id="another"), Outcome.UNDER_WAY, id="another's"),
        pytest.param(None, Outcome.UNDER_WAY, id="unknown"),
    ],
)
def test_the_record_says_how_it_ended(record: object, outcome: Outcome) -> None:
    assert told(a_case(record=record, looks=4)).outcome is outcome  # type: ignore[arg-type]


def test_without_a_record_a_failed_look_is_all_that_is_known() -> None:
    assert told(a_case(bad_at_half)).outcome is Outcome.FAILED


def test_a_journal_without_looks_tells_nothing() -> None:
    assert tell(without_looks()) is None


def test_the_evidence_of_a_look_is_the_one_its_sentence_speaks_of() -> None:
    seen = example("failing").deciding

    assert f"evidence {wording.odds(seen.total)}," in seen.judgement.message
    assert sum(map(exp, seen.evidence.values())) == pytest.approx(exp(seen.total))


def test_a_failed_look_decides_whatever_came_after() -> None:
    story = told(a_case(bad_at_half))

    assert story.deciding.judgement.verdict is Verdict.FAIL
    assert story.deciding is story.last


def test_what_promoted_is_the_last_look_before_everybody_got_it() -> None:
    story = example("good")

    assert story.to_everybody is not None
    assert story.deciding.entry.weight < 100
    assert story.deciding.judgement.verdict is Verdict.PASS


def test_counts_are_summed_from_look_to_look() -> None:
    story = example("failing")

    blocks = [block for _, block in story.blocks]
    assert story.last.sums.canary == sum(block.canary.requests for block in blocks)
    assert story.last.sums.stable_bad == sum(block.stable.failed for block in blocks)


def test_users_affected_are_failures_beyond_stables_share() -> None:
    looks = (Look(Block(5, 10, Counts(100, 9, pods=1), Counts(900, 9, pods=1))),)

    assert told(lived(looks)).last.affected == pytest.approx(8)


def test_a_look_that_brought_nothing_leaves_everything_as_it_was() -> None:
    one = Look(Block(5, 10, Counts(100, 1, pods=1), Counts(900, 9, pods=1)))
    story = told(lived((one, Look(UnavailableError("away")))))

    before, after = story.looks
    assert (before.read, after.read) == (True, False)
    assert (after.evidence, after.sums, after.exposure) == (
        before.evidence,
        before.sums,
        before.exposure,
    )
    assert story.deciding is before


def test_without_any_answer_there_is_no_evidence() -> None:
    story = told(without_data())

    assert story.last.total == 0
    assert (story.last.at_risk, story.last.acceptable) == (None, None)
    assert story.deciding is story.last


def test_a_policy_that_compares_nothing_has_no_exposure() -> None:
    assert {seen.exposure for seen in told(a_limit_alone()).looks} == {None}


def test_looks_that_change_nothing_are_left_out() -> None:
    block = Block(5, 10, Counts(0, 0, pods=1), Counts(900, 9, pods=1))
    story = told(lived((Look(block), Look(block), Look(replace(block, weight=20), weight=20))))

    assert [change.what for change in story.changes] == [{"verdict"}, {"weight"}]


def test_a_restart_is_a_change() -> None:
    block = Block(5, 10, Counts(40, 0, pods=1), Counts(900, 9, pods=1))
    restarted = replace(block, canary=replace(block.canary, restarts=1))
    story = told(lived((Look(block), Look(block), Look(restarted))))

    assert "restart" in story.changes[-1].what


def test_what_is_ruled_out_is_a_change() -> None:
    assert any("excess" in change.what for change in example("good").changes)


def test_rates_have_bands_around_them() -> None:
    points = follow_rates(example("failing"), FAILED).points

    for point in points:
        assert point.stable[0] <= point.stable_rate <= point.stable[1]
        assert point.canary[0] <= point.canary_rate <= point.canary[1]
        assert point.band.low <= point.band.high
    assert points[-1].band.low > 1


def test_a_bound_that_nobody_counts_has_no_rates() -> None:
    rates = follow_rates(example("failing"), 77.0)

    assert (rates.points, rates.last) == ((), None)


def test_the_ratio_compares_within_looks() -> None:
    quiet = Block(5, 10, Counts(100, 1, pods=1), Counts(900, 9, pods=1))
    storm = Block(5, 50, Counts(500, 100, pods=1), Counts(500, 100, pods=1))
    story = told(lived((Look(quiet), Look(storm, weight=50))))

    last = follow_rates(story, FAILED).last
    assert last is not None
    assert last.canary_rate > 2 * last.stable_rate
    assert last.ratio == pytest.approx(1.0)


def test_without_a_canary_there_are_rates_of_stable_alone() -> None:
    block = Block(5, 10, Counts(), Counts(900, 9, pods=1))
    last = follow_rates(told(lived((Look(block),))), FAILED).last

    assert last is not None
    assert (last.canary_rate, last.canary, last.ratio) == (0.0, (0.0, 1.0), None)


def test_a_single_reading_has_no_rates() -> None:
    story = told(only_references())

    assert follow_rates(story, FAILED).last is None
    assert story.last.sums.canary == 0


def lived(looks: tuple[Look, ...]) -> Made:
    """A case of these looks."""
    case = a_case(good, looks=1)
    live = Live(case.settings)
    for look in looks:
        live.look(look)
    return Made(KEY, a_record(Phase.SHIFTING), a_policy(), live.journal, case.settings)
