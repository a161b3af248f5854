"""What is kept of a rollout's evidence, and what of it may be used again."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analysis.clumps import Clumps
from analysis.history import History
from analysis.journal import Entry, append, load
from analysis.judge import judge, settings_from
from analysis.samples import FAILED, Counters, Reading, close_block
from analysis.verdict import Ground, Verdict
from daemon.core.model import Phase, Work
from daemon.kept import (
    LARGEST_LAST,
    NOTHING_KEPT,
    Evidence,
    Kept,
    Last,
    begin_evidence,
    keep,
    reference,
    take_up,
)
from daemon.said import Said
from tests.spec.routers import routes
from tests.spec.shell.works import READ

SETTINGS = settings_from(routes.a_rollout())
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PAST = History(1800.0, 90_000, 0, {FAILED: 90}, {FAILED: Clumps()})


def counters(requests: float, failed: float = 0) -> Counters:
    return Counters(requests, failed, {0.25: requests - 1, 0.5: requests}, requests)


def reading(at: float, stable: float, canary: float) -> Reading:
    return Reading(at, {"v1": {"a": counters(stable)}, "v2": {"b": counters(canary, 1)}})


SAID = Said(NOW, 5, Verdict.INCONCLUSIVE, Ground.UNDECIDED, "canary failed 1 of 5 requests (20 %)")
FIRST, SECOND = reading(100, 900, 100), reading(105, 995, 105)


def looked_at(past: History = PAST) -> Evidence:
    """The evidence after two looks."""
    evidence = begin_evidence(SETTINGS, READ, NOW, past=past)
    block = close_block(FIRST, SECOND, stable="v1", canary="v2", weight=5)
    state, journal = evidence.state, evidence.journal
    for place, read in enumerate((None, block)):
        state, judgement = judge(SETTINGS, state, read, {})
        entry = Entry(
            at=NOW.timestamp() + 5 * place,
            decision=4,
            step=0,
            weight=5,
            ahead=100,
            read=read,
            verdict=judgement.verdict,
            ground=judgement.ground,
        )
        journal = append(SETTINGS, journal, entry)
    last = Last(SECOND, 5, 4, NOW + timedelta(seconds=5))
    return Evidence(state, journal, last, SAID)


def saved(evidence: Evidence | None = None) -> Kept:
    """What a ConfigMap gives back of it."""
    kept = keep(SETTINGS, evidence or looked_at())
    return Kept(json.loads(json.dumps(kept.counts)), kept.journal)


def test_evidence_comes_back_as_it_was() -> None:
    evidence, lost = take_up(SETTINGS, READ, saved(), NOW)

    expected = looked_at()
    assert lost == ""
    assert evidence.state == expected.state
    assert (evidence.journal.lines, evidence.journal.past) == (expected.journal.lines, PAST)
    assert evidence.last is not None
    assert evidence.last.reading.pods == SECOND.pods
    assert (evidence.last.weight, evidence.last.decision) == (5, 4)
    assert evidence.last.at == NOW + timedelta(seconds=5)
    assert evidence.said == SAID


@pytest.mark.parametrize("kept", [NOTHING_KEPT, saved()], ids=["nothing", "another rollout's"])
def test_a_rollout_that_begins_loses_nothing(kept: Kept) -> None:
    evidence, lost = take_up(SETTINGS, replace(READ, rollout="r2"), kept, NOW, past=PAST)

    assert lost == ""
    assert (evidence.journal.rollout, evidence.journal.again) == ("r2", 0)
    assert evidence.journal.past == PAST


@pytest.mark.parametrize(
    "work",
    [replace(READ, step=1), replace(READ, phase=Phase.BAKING)],
    ids=["a later step", "baking"],
)
def test_a_rollout_under_way_of_which_nothing_is_kept_has_lost_it(work: Work) -> None:
    evidence, lost = take_up(SETTINGS, work, NOTHING_KEPT, NOW)

    assert lost == "none is kept of this rollout, which is under way"
    assert evidence.journal.again == 1


@pytest.mark.parametrize(
    ("changed", "lost"),
    [
        pytest.param({"stable": "v1/new"}, "stable is v1/a now", id="stable"),
        pytest.param({"state": "damaged"}, "the judge's state is damaged, or of", id="state"),
        pytest.param({"state": None}, "the judge's state is damaged, or of", id="no state"),
    ],
)
def test_counts_that_do_not_fit_are_lost_with_a_reason(changed: dict[str, Any], lost: str) -> None:
    kept = saved()

    evidence, why = take_up(
        SETTINGS, READ, replace(kept, counts={**kept.counts, **changed}), NOW, past=PAST
    )

    assert why.startswith(lost)
    assert evidence.last is None
    assert evidence.journal.lines == ()
    assert evidence.journal.again == 1


@pytest.mark.parametrize("journal", ["", "damaged", "{}"])
def test_a_state_without_its_journal_is_not_gone_on_with(journal: str) -> None:
    evidence, why = take_up(SETTINGS, READ, replace(saved(), journal=journal), NOW)

    assert why == "the journal is damaged or missing"
    assert evidence.journal.again == 1


def test_a_journal_of_another_rollout_is_not_gone_on_with() -> None:
    other = replace(looked_at(), journal=replace(looked_at().journal, rollout="r0"))

    _, why = take_up(SETTINGS, READ, replace(saved(), journal=saved(other).journal), NOW)

    assert why == "the journal is of another rollout"


def test_each_loss_is_counted() -> None:
    lost_once = replace(looked_at(), journal=replace(looked_at().journal, again=1))
    kept = saved(lost_once)

    evidence, _ = take_up(SETTINGS, READ, replace(kept, counts={**kept.counts, "state": ""}), NOW)

    assert evidence.journal.again == 2


def test_the_journal_is_a_text_of_its_own_that_the_command_line_can_read() -> None:
    journal = load(SETTINGS, saved().journal)

    assert journal is not None
    assert len(journal.lines) == 2


# ---------------------------------------------------------------- the last reading


def last(**changes: Any) -> Last:
    values = {"reading": SECOND, "weight": 5, "decision": 4, "at": NOW} | changes
    return Last(**values)


def test_the_last_reading_is_moved_to_the_scale_of_the_first_one_after_it() -> None:
    first = reading(7.0, 1000, 110)

    before = reference(last(), READ, first, NOW + timedelta(seconds=30))

    assert before == Reading(-23.0, SECOND.pods)


@pytest.mark.parametrize(
    ("kept", "seconds"),
    [
        pytest.param(None, 30, id="none is kept"),
        pytest.param(last(weight=25), 30, id="of another weight"),
        pytest.param(last(decision=3), 30, id="of another decision"),
        pytest.param(last(), 121, id="too long ago"),
        pytest.param(last(), 0, id="at the same moment"),
        pytest.param(last(), -1, id="in the future"),
    ],
)
def test_no_block_may_begin_with_a_reading(kept: Last | None, seconds: float) -> None:
    assert reference(kept, READ, FIRST, NOW + timedelta(seconds=seconds)) is None


def test_a_reading_too_large_to_be_kept_is_left_out_and_all_else_is_kept() -> None:
    pods = {f"echo-v1-{n:06}": counters(1e9 + n) for n in range(LARGEST_LAST // 20)}
    large = replace(looked_at(), last=last(reading=Reading(0.0, {"v1": pods, "v2": {}})))

    evidence, lost = take_up(SETTINGS, READ, saved(large), NOW)

    assert (lost, evidence.last) == ("", None)
    assert evidence.state == looked_at().state


def with_last(change: Any) -> Kept:
    kept = saved()
    return replace(kept, counts={**kept.counts, "last": change})


GOOD = saved().counts["last"]


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        5,
        [],
        "text",
        {},
        GOOD | {"at": "yesterday"},
        GOOD | {"at": 1e40},
        GOOD | {"weight": "5"},
        GOOD | {"decision": 4.0},
        GOOD | {"decision": True},
        GOOD | {"bounds": 5},
        GOOD | {"bounds": [["a"]]},
        GOOD | {"pods": []},
        GOOD | {"pods": {"v1": 5}},
        GOOD | {"pods": {"v1": {"a": [1, 0]}}},
        GOOD | {"pods": {"v1": {"a": [1, 0, 1, 7]}}},
        GOOD | {"pods": {"v1": {"a": [1, 0, 1, 0, 1]}}},
        GOOD | {"pods": {"v1": {"a": ["1", 0, 1, 0, 1, 1]}}},
    ],
)
def test_a_reading_that_is_none_is_left_out_and_all_else_is_used(damaged: Any) -> None:
    evidence, lost = take_up(SETTINGS, READ, with_last(damaged), NOW)

    assert (lost, evidence.last) == ("", None)
