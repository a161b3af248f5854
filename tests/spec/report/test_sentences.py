"""What the page says in words, where the examples do not reach."""

from dataclasses import replace

import pytest

from analysis.errors import StaleError
from analysis.explanation import Leave, Raise
from analysis.history import History
from analysis.samples import FAILED, Block, Counts
from analysis.verdict import Ground
from daemon.core.model import Phase
from daemon.report import sentences
from tests.spec.analysis.journals import Live, Look
from tests.spec.report.cases import Made, a_case, bad_at_half, ended, example, told

QUIET = Block(5, 10, Counts(40, 0, pods=1), Counts(360, 2, pods=1))


def lived(*looks: Look, phase: Phase = Phase.SHIFTING) -> Made:
    case = a_case(looks=1)
    live = Live(case.settings)
    for look in looks:
        live.look(look)
    return replace(case, record=ended(phase, stable="v2"), journal=live.journal)


def test_a_promotion_over_doubt_was_somebodys_request() -> None:
    looks = (Look(StaleError("old samples")), Look(replace(QUIET, weight=100), weight=100))
    story = told(lived(*looks, phase=Phase.IDLE))

    assert sentences.headline(story) == "Promoted v2 after 10 s, by request"
    assert sentences.how(story.explained.raises[-1]) == "by request or policy, while Stale"


def test_a_promotion_that_no_look_saw_is_one_by_request() -> None:
    story = told(lived(Look(QUIET), phase=Phase.IDLE))

    assert sentences.by_what(story) == "by request"


def test_a_failed_look_without_a_record_is_told_as_such() -> None:
    story = told(a_case(bad_at_half))

    assert sentences.headline(story).startswith("v2 failed after ")


@pytest.mark.parametrize(
    ("leave", "words"),
    [
        pytest.param(Leave.START, "the first weight", id="start"),
        pytest.param(Leave.OTHER, "by request or policy", id="a person"),
        pytest.param(
            Leave.TIMETABLE,
            "by timetable, undecided: 12 canary requests could not have shown even a canary that"
            " fails everything",
            id="blind",
        ),
    ],
)
def test_what_let_the_weight_rise(leave: Leave, words: str) -> None:
    raised = Raise(0.0, 5.0, leave, None, 1.0, 12, None)

    assert sentences.how(raised) == words


def test_a_ground_is_named_where_it_was_no_reason_to_rise() -> None:
    raised = Raise(0.0, 5.0, Leave.OTHER, Ground.NO_DATA, 1.0, 12, None)

    assert sentences.how(raised) == "by request or policy, while NoData"


def test_a_restart_is_told() -> None:
    restarted = replace(QUIET, canary=replace(QUIET.canary, restarts=1))
    story = told(lived(Look(QUIET), Look(QUIET), Look(restarted)))

    assert "a pod of the canary restarted" in sentences.changed(story.changes[-1])


def test_evidence_that_was_lost_once_is_told() -> None:
    case = lived(Look(QUIET))
    story = told(replace(case, journal=replace(case.journal, again=1)))

    assert any("begun anew once" in line for line in sentences.beginning(story))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (17.4, "17 s"),
        (120, "2 min"),
        (145, "2 min 25 s"),
        (3600, "1 h"),
        (3960, "1 h 6 min"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert sentences.duration(seconds) == words


def test_a_history_is_told_in_counts() -> None:
    history = History(1800.0, 1000, 1000, {FAILED: 5})

    assert sentences.past(history) == (
        "after 30 min of history, in which stable failed 5 of 1,000 requests (0.5 %)"
    )


def test_what_users_would_have_had_anyway_is_told_of_a_good_canary() -> None:
    assert "v1 would have failed about" in sentences.users(example("good"))
