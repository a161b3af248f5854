"""The journal: every verdict once more, bit for bit; bounded; nothing believed that does not fit."""

import json
from dataclasses import replace
from math import inf, nan
from random import Random

import pytest

from analysis import journal as journals
from analysis.errors import UnavailableError
from analysis.journal import (
    Entry,
    Journal,
    Sums,
    Unread,
    append,
    dump,
    entries,
    load,
    replay,
    unread,
)
from analysis.journal_lines import LONGEST_PROBLEM, MOST_NAMES, MOST_SETS
from analysis.samples import Block, Counts, Number, NumberKind, Spread
from analysis.verdict import Ground, Verdict
from tests.spec.analysis.journals import BEGUN, EVERY_KIND, Live, some_history, some_looks
from tests.spec.analysis.readings import LATENCY, QUERY, SUCCESS, arm, block, settings

HOW = settings(SUCCESS, LATENCY, QUERY)


def fine(_version: str, _weight: float) -> float:
    return 0.004


def flawless(_version: str, _weight: float) -> float:
    return 0.0


def worse_later(version: str, weight: float) -> float:
    return 0.06 if version == "v2" and weight >= 50 else 0.004


def rolled_out(rate=worse_later, *, seed=1, looks=60, past=True) -> Live:
    chance = Random(seed)
    live = Live(EVERY_KIND, some_history(chance)) if past else Live(EVERY_KIND)
    for look in some_looks(chance, looks, rate=rate):
        live.look(look)
    return live


LIVE = rolled_out()


# ---------------------------------------------------------------- once more


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rate", [fine, flawless, worse_later])
def test_a_replay_gives_the_live_verdicts_bit_for_bit(rate, seed):
    live = rolled_out(rate, seed=seed, past=bool(seed % 2))

    again = list(replay(EVERY_KIND, live.journal))

    assert [(state, judgement) for _, state, judgement in again] == live.judged
    assert [(it.verdict, it.ground) for it, _, _ in again] == [
        (it.verdict, it.ground) for _, it in live.judged
    ]


def test_the_replayed_rollouts_have_seen_everything():
    judged = [it for _, it in (*LIVE.judged, *rolled_out(flawless).judged)]
    verdicts = {judgement.verdict for judgement in judged}
    grounds = {judgement.ground for judgement in judged}

    assert verdicts == {Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS}
    assert grounds >= {Ground.PROVIDER_DOWN, Ground.STALE, Ground.UNDECIDED, Ground.WORSE}


def test_a_saved_journal_comes_back_bit_for_bit():
    text = dump(EVERY_KIND, LIVE.journal)

    assert load(EVERY_KIND, text) == LIVE.journal
    assert text.isascii()


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_restart_between_any_two_looks_changes_nothing(cut, monkeypatch):
    monkeypatch.setattr(journals, "MOST_ENTRIES", 40)
    chance = Random(5)
    live = Live(EVERY_KIND)
    for number, look in enumerate(some_looks(chance, 60, rate=worse_later)):
        live.look(look)
        if number == cut:
            restored = load(EVERY_KIND, dump(EVERY_KIND, live.journal))
            assert restored is not None
            live.journal = restored

    again = list(replay(EVERY_KIND, live.journal))

    assert [(state, judgement) for _, state, judgement in again] == live.judged[-40:]


def test_an_empty_journal_comes_back_and_replays_nothing():
    empty = Live(EVERY_KIND).journal

    assert load(EVERY_KIND, dump(EVERY_KIND, empty)) == empty
    assert list(replay(EVERY_KIND, empty)) == []


# ---------------------------------------------------------------- one look


def entry(read: Block | Unread | None = None, **changes) -> Entry:
    usual = Entry(
        BEGUN + 17.25, 4, 1, 12.5, 25.0, read, Verdict.INCONCLUSIVE, Ground.TOO_FEW_REQUESTS
    )
    return replace(usual, **changes)


FULL = Block(
    seconds=4.987654321,
    weight=12.5,
    canary=Counts(83, 6, {0.25: 70, 0.5: 80, 1.0: 83}, 83, 3, 1),
    stable=Counts(1604, 2, {0.1: 900, 0.25: 1500, 0.5: 1601}, 1604, 9),
    restarted=("echo-v2-a",),
    missing={"echo-v2-b": "timed out", "echo-v1-c": "timed out"},
    spread={0.0: Spread(3.0000000000000004, 2.0), 0.25: Spread(1 / 3, 104.0), 9.0: Spread(1.5, 1)},
)


@pytest.mark.parametrize(
    "looked",
    [
        pytest.param(entry(), id="a reading that set the references"),
        pytest.param(entry(Unread(stale=True, message="60 s old")), id="stale samples"),
        pytest.param(entry(Unread(stale=False, message="refused: 'é'")), id="a provider's error"),
        pytest.param(entry(block(arm(0), arm(0))), id="no traffic"),
        pytest.param(entry(block(Counts(), Counts())), id="no pods"),
        pytest.param(entry(block(arm(90, 3, slow=7), arm(800, 1))), id="both versions"),
        pytest.param(entry(FULL), id="everything at once"),
        pytest.param(
            entry(None, numbers={"queue": Number(NumberKind.VALUE, 1 / 3, 12.5)}), id="a number"
        ),
        pytest.param(
            entry(None, numbers={"queue": Number(NumberKind.INFINITE, -inf, 1)}), id="infinity"
        ),
        pytest.param(entry(at=BEGUN - 3.5), id="before the beginning, by a clock set back"),
        pytest.param(entry(verdict=Verdict.FAIL, ground=Ground.WORSE, ahead=100), id="failed"),
    ],
)
def test_a_look_comes_back_as_it_was(looked):
    journal = append(HOW, Journal("id", "v1", "v2", BEGUN), looked)
    restored = load(HOW, dump(HOW, journal))

    assert restored == journal
    assert list(entries(restored)) == [looked]


def test_not_a_number_comes_back_too():
    looked = entry(None, numbers={"queue": Number(NumberKind.NAN, nan)})
    journal = append(HOW, Journal("id", "v1", "v2", BEGUN), looked)

    (again,) = entries(journal)
    assert str(again.numbers["queue"].value) == "nan"


def test_a_look_takes_little_room():
    within = {0.1: 1157, 0.25: 1228, 0.5: 1235, 1.0: 1237, 2.5: 1237}
    usual = Counts(1237, 4, within, 1237, 3)
    looked = entry(Block(5.003, 25, usual, usual, spread={0.0: Spread(9.123456789012345, 8.0)}))

    journal = append(HOW, Journal("id", "v1", "v2", BEGUN), looked)

    assert len(journal.lines[0]) < 200


def test_more_names_and_bounds_than_the_tables_hold_stand_in_the_lines():
    journal = Journal("id", "v1", "v2", BEGUN)
    looked = [
        entry(
            Block(
                5.0,
                10,
                Counts(9, 0, {0.5 + number: 8}, 9, 1),
                Counts(9, 0, {0.5 + number: 9}, 9, 1),
                missing={f"pod-{number}-{i}": "x" * 300 for i in range(20)},
            )
        )
        for number in range(MOST_SETS + 3)
    ]
    for it in looked:
        journal = append(HOW, journal, it)

    assert len(journal.tables.names) == MOST_NAMES
    assert len(journal.tables.bounds) == MOST_SETS
    restored = load(HOW, dump(HOW, journal))
    assert restored is not None
    assert list(entries(restored)) == looked


def test_of_a_providers_error_the_first_sentences_are_kept():
    assert unread(UnavailableError("x" * 999)) == Unread(False, "x" * LONGEST_PROBLEM)


# ---------------------------------------------------------------- the bound


@pytest.mark.parametrize(
    ("name", "most"), [("MOST_ENTRIES", 25), ("LARGEST_SIZE", 6000)], ids=["looks", "bytes"]
)
def test_past_the_bound_the_oldest_go_and_the_rest_is_judged_as_it_was(name, most, monkeypatch):
    monkeypatch.setattr(journals, name, most)

    live = rolled_out()
    again = list(replay(EVERY_KIND, live.journal))

    kept = len(live.journal.lines)
    assert 0 < kept < len(live.judged)
    assert [(state, judgement) for _, state, judgement in again] == live.judged[-kept:]
    assert live.journal.gone.looks + kept == len(live.judged)
    assert load(EVERY_KIND, dump(EVERY_KIND, live.journal)) == live.journal


def test_what_went_is_told_in_sums(monkeypatch):
    monkeypatch.setattr(journals, "MOST_ENTRIES", 1)
    journal = Journal("id", "v1", "v2", BEGUN)
    for read in (block(arm(83, 6), arm(1604, 2)), None, block(arm(7), arm(3)), None):
        journal = append(HOW, journal, entry(read))

    assert journal.gone == Sums(3, 10.0, 90, 6, 1607, 2)


def test_a_look_larger_than_the_bound_leaves_no_journal_but_its_sums(monkeypatch):
    monkeypatch.setattr(journals, "LARGEST_SIZE", 300)
    huge = block(missing={f"pod-{number}": "timed out" for number in range(200)})

    journal = append(HOW, Journal("id", "v1", "v2", BEGUN), entry(huge))

    assert (journal.lines, journal.gone.looks) == ((), 1)


# ---------------------------------------------------------------- nothing is believed


def changed(*path: object, to: object) -> str:
    document = json.loads(dump(EVERY_KIND, LIVE.journal))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return json.dumps(document)


NUMBERED = 7
"""The place of a look's numbers; 6 that of what was read."""


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ("empty", ""),
        ("no JSON", "{"),
        ("a list", "[]"),
        ("too deep", "[" * 100_000),
        ("too long", " " * (journals.LARGEST_TEXT + 1)),
        ("truncated", dump(EVERY_KIND, LIVE.journal)[:-20]),
        ("another format", changed("v", to=2)),
        ("no rollout", changed("rollout", to=None)),
        ("a rollout too long", changed("rollout", to="x" * 254)),
        ("three versions", changed("stable", to=["a", "b", "c"])),
        ("begun never", changed("begun", to="now")),
        ("a beginning of true", changed("begun", to=True)),
        ("more looks than there may be", changed("looks", to=[None] * 2001)),
        ("looks that are none", changed("looks", to=[5])),
        ("a look too short", changed("looks", 0, to=[1, 2])),
        ("a look too long", changed("looks", 0, to=[0, 1, 1, 1, 1, "Pass Safe", None, [], []])),
        ("a weight over 100", changed("looks", 0, 3, to=101)),
        ("a weight below 0", changed("looks", 0, 4, to=-1)),
        ("half a step", changed("looks", 0, 2, to=0.5)),
        ("a verdict of its own", changed("looks", 0, 5, to="Maybe Safe")),
        ("a ground of its own", changed("looks", 0, 5, to="Pass Sure")),
        ("a verdict that is none", changed("looks", 0, 5, to=7)),
        ("no such name", changed("looks", 0, NUMBERED, to=[[99, "value", 1.0, 1.0]])),
        ("a number in words", changed("looks", 0, NUMBERED, to=[[0, "value", "one", 1.0]])),
        ("another kind of number", changed("looks", 0, NUMBERED, to=[[0, "odd", 1.0, 1.0]])),
        ("an error that is none", changed("looks", 0, 6, to={"stale": False})),
        ("a sermon of an error", changed("looks", 0, 6, to={"stale": 0, "message": "x" * 301})),
        ("a block of one", changed("looks", 0, 6, to=[5.0])),
        ("a block of nine", changed("looks", 0, 6, to=[5, 5, [1, 0, 1], [1, 0, 1], *[[]] * 5])),
        ("a time below 0", changed("looks", 0, 6, to=[-5, 5, [1, 0, 1], [1, 0, 1]])),
        ("a failure too many", changed("looks", 0, 6, to=[5, 5, [1, 2, 1], [1, 0, 1]])),
        ("a count below 0", changed("looks", 0, 6, to=[5, 5, [-1, 0, 1], [1, 0, 1]])),
        ("a huge count", changed("looks", 0, 6, to=[5, 5, [2**60, 0, 1], [1, 0, 1]])),
        ("slower than all", changed("looks", 0, 6, to=[5, 5, [1, 0, 1, 0, 1, 0, 2], [1, 0, 1]])),
        ("no such bounds", changed("looks", 0, 6, to=[5, 5, [1, 0, 1, 0, 1, 9], [1, 0, 1]])),
        ("bounds of 0", changed("looks", 0, 6, to=[5, 5, [1, 0, 1, 0, 1, [0]], [1, 0, 1]])),
        ("bounds twice", changed("looks", 0, 6, to=[5, 5, [1, 0, 1, 0, 1, [1, 1]], [1, 0, 1]])),
        (
            "counts too many",
            changed("looks", 0, 6, to=[5, 5, [1, 0, 1, 0, 1, 0] + [0] * 9, [1, 0, 1]]),
        ),
        ("half a spread", changed("looks", 0, 6, to=[5, 5, [1, 0, 1], [1, 0, 1], [0.0, 1.0]])),
        (
            "a vast spread",
            changed("looks", 0, 6, to=[5, 5, [1, 0, 1], [1, 0, 1], [0.0, 1e99, 1.0]]),
        ),
        ("names that are none", changed("names", to=[1])),
        ("too many names", changed("names", to=["x"] * (MOST_NAMES + 1))),
        ("too many sets of bounds", changed("bounds", to=[[1.0]] * (MOST_SETS + 1))),
        ("a past of nothing", changed("past", to=None)),
        ("a past of words", changed("past", 0, to="long")),
        ("a past of too many bounds", changed("past", 3, to=[[0.0, 1]] * 999)),
        ("clumps that are none", changed("past", 3, 0, 2, to=nan)),
        ("sums that are none", changed("gone", to=[1, 2])),
        ("a start that is none", changed("start", to={"v": 2})),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and len(value) < 40 else "",
)
def test_a_damaged_text_is_no_journal_and_no_error(damage, text):
    assert load(EVERY_KIND, text) is None, damage


def test_what_went_cannot_be_judged_again_by_other_checks(monkeypatch):
    monkeypatch.setattr(journals, "MOST_ENTRIES", 9)
    text = dump(EVERY_KIND, rolled_out(looks=20).journal)

    assert load(HOW, text) is None
