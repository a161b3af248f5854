"""The judge's memory: bit for bit there and back, and nothing believed that does not fit."""

import json
from math import nan

import pytest

from analysis.judge import begin
from analysis.memory import LARGEST_TEXT, restore, save
from analysis.samples import Number, NumberKind
from tests.spec.analysis.readings import LATENCY, QUERY, SUCCESS, arm, block, run, settings

HOW = settings(SUCCESS, LATENCY, QUERY)
LOOKS = [
    block(arm(83, 6, slow=7), arm(1604, 2), seconds=4.9),
    block(arm(0), arm(45), seconds=61.3),
    None,
    block(arm(7, 1), arm(1)),
]
OVER = {"queue": Number(NumberKind.VALUE, 30, 12.5)}


def state():
    return run(HOW, begin(HOW, step=3), *LOOKS, numbers=OVER)[0]


def changed(path: tuple, value) -> str:
    document = json.loads(save(HOW, state()))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(document)


def test_a_saved_state_comes_back_bit_for_bit():
    assert restore(HOW, save(HOW, state())) == state()


def test_a_fresh_state_comes_back_too():
    assert restore(HOW, save(HOW, begin(HOW))) == begin(HOW)


@pytest.mark.parametrize("cut", range(len(LOOKS)))
def test_a_restart_between_any_two_looks_changes_no_verdict(cut):
    uninterrupted = run(HOW, begin(HOW), *LOOKS, numbers=OVER)

    before, _ = run(HOW, begin(HOW), *LOOKS[: cut + 1], numbers=OVER)
    after = restore(HOW, save(HOW, before))
    assert after is not None
    rest = LOOKS[cut + 1 :]

    assert (run(HOW, after, *rest, numbers=OVER) if rest else (after,))[0] == uninterrupted[0]


def test_the_text_stays_small():
    assert len(save(HOW, state())) < 4096


def test_the_text_is_ascii_whatever_the_checks_are_called():
    how = settings(SUCCESS.model_copy(update={"name": "übrig"}))

    assert save(how, begin(how)).isascii()
    assert restore(how, save(how, begin(how))) == begin(how)


BETS = ("checks", 0, "evidence", "beyond")


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ("empty", ""),
        ("no JSON", "{"),
        ("none at all", "None"),
        ("a list", "[]"),
        ("a number", "3"),
        ("too deep", "[" * 100_000),
        ("too long", " " * (LARGEST_TEXT + 1)),
        ("another format", changed(("v",), 1)),
        ("no checks", changed(("checks",), [])),
        ("checks that are none", changed(("checks",), "ab")),
        ("another check's name", changed(("checks", 0, "name"), "other")),
        ("a name less", changed(("checks", 0, "numbers"), {})),
        ("evidence of another kind", changed(("checks", 2, "evidence"), {"beyond": [1, 0.0, 0.0]})),
        ("evidence that is none", changed(("checks", 0, "evidence"), None)),
        ("a bet less", changed(BETS, [1, 0.0, 0.0])),
        ("no start", changed((*BETS, 0), 0)),
        ("half a start", changed((*BETS, 0), 1.5)),
        ("a start of true", changed((*BETS, 0), True)),
        ("time before the start", changed((*BETS, 1), -1.0)),
        ("a bet of NaN", changed((*BETS, 2), nan)),
        ("a bet in words", changed((*BETS, 2), "1.0")),
        ("a bet of 1e999", changed((*BETS, 2), 0.5).replace("0.5", "1e999")),
        ("a number of infinity", changed(("checks", 0, "numbers", "bad"), float("inf"))),
        ("a step below 0", changed(("step",), -1)),
        ("requests in halves", changed(("requests",), 0.5)),
        ("a silence of two", changed(("silence",), [0.0, 1])),
        ("a silence below 0", changed(("silence",), [-1.0, 1, 0.0])),
        ("no traffic share", changed(("share",), None)),
        ("truncated", save(HOW, state())[:-20]),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and len(value) < 40 else "",
)
def test_a_damaged_text_is_lost_evidence_and_no_error(damage, text):
    assert restore(HOW, text) is None, damage


def test_evidence_of_other_checks_is_not_taken_over():
    assert restore(settings(LATENCY, SUCCESS, QUERY), save(HOW, state())) is None
    assert restore(settings(SUCCESS, LATENCY), save(HOW, state())) is None
