"""The same counts, read otherwise."""

from dataclasses import replace
from itertools import pairwise

import pytest

from analysis.errors import UnavailableError
from analysis.explanation import first_difference
from analysis.journal import Entry, entries, replay, unread
from analysis.samples import Block, Counts, Spread
from analysis.verdict import Ground, Verdict
from analysis.whatif import at_interval, gates, pool
from tests.spec.analysis.readings import arm, block
from tests.spec.analysis.test_journal import EVERY_KIND, LIVE, flawless, rolled_out

LOST = unread(UnavailableError("timed out"))


def looks(*reads: object, decision: int = 3) -> list[Entry]:
    return [
        Entry(5.0 * place, decision, 1, 10, 20, read, Verdict.INCONCLUSIVE, Ground.UNDECIDED)  # type: ignore[arg-type]
        for place, read in enumerate(reads, start=1)
    ]


FIVE = block(arm(10, 1), arm(90, 2))


def counts(seen: list[Entry]) -> list[int | str]:
    return [
        it.read.canary.requests if isinstance(it.read, Block) else "-" if it.read is None else "?"
        for it in seen
    ]


# ---------------------------------------------------------------- less often


@pytest.mark.parametrize(
    ("reads", "pooled"),
    [
        pytest.param([FIVE] * 6, [30, 30], id="three and three"),
        pytest.param([FIVE] * 4, [30, 10], id="the rest is a look of its own"),
        pytest.param([FIVE, None, FIVE, FIVE, FIVE], [10, "-", 30], id="a reference ends a look"),
        pytest.param([None, FIVE], ["-", 10], id="a reference at first"),
        pytest.param([FIVE, LOST, FIVE, FIVE], [30], id="what brought nothing leaves it to others"),
        pytest.param([LOST, LOST], ["?"], id="nothing at all"),
        pytest.param([], [], id="no look"),
    ],
)
def test_looks_are_put_together_until_they_cover_the_interval(reads, pooled):
    assert counts(list(at_interval(looks(*reads), 15))) == pooled


def test_looks_of_two_decisions_are_never_put_together():
    seen = [*looks(FIVE, decision=3), *looks(FIVE, FIVE, decision=4)]

    assert counts(list(at_interval(seen, 60))) == [10, 20]


def test_a_look_put_together_is_as_of_its_last_one():
    first, last = looks(FIVE, FIVE)

    (seen,) = at_interval([first, last], 10)

    assert replace(seen, read=None) == replace(last, read=None)


def test_every_count_is_added_up():
    one = Block(
        5.0,
        10,
        Counts(10, 1, {0.5: 9, 1.0: 10}, 10, 2, 1),
        Counts(90, 2, {0.5: 88}, 90, 3),
        restarted=("a",),
        missing={"b": "timed out"},
        spread={0.0: Spread(3.0, 2.0)},
    )
    other = Block(
        6.0,
        10,
        Counts(20, 0, {0.5: 20}, 20, 3),
        Counts(80, 1, pods=2),
        missing={"c": "gone"},
        spread={0.0: Spread(1.0, 2.0), 0.5: Spread(5.0, 6.0)},
    )

    assert pool([one, other]) == Block(
        11.0,
        10,
        Counts(30, 1, {0.5: 29}, 30, 3, 1),
        Counts(170, 3, {0.5: 88}, 90, 3),
        restarted=("a",),
        missing={"b": "timed out", "c": "gone"},
        spread={0.0: Spread(4.0, 4.0), 0.5: Spread(5.0, 6.0)},
    )


def test_without_common_bounds_nothing_is_timed():
    one, other = Counts(9, 0, {0.5: 9}, 9, 1), Counts(9, 0, {1.0: 9}, 9, 1)

    assert pool([block(one, one), block(other, other)]).canary == Counts(18, 0, {}, 0, 1)


def test_all_looks_in_their_own_interval_are_judged_as_they_were():
    seen = list(at_interval(entries(LIVE.journal), 4))

    assert first_difference(list(replay(EVERY_KIND, LIVE.journal, seen))) is None


# ---------------------------------------------------------------- gates


def test_gates_open_in_their_order_and_end_with_the_last_that_did():
    journal = rolled_out(flawless).journal
    seen = list(entries(journal))

    opened = gates(EVERY_KIND, journal, [5, 10, 20, 100], seen)

    times = [gate.at for gate in opened if gate.at is not None]
    assert [gate.weight for gate in opened[:2]] == [10, 20]
    assert all(before < after for before, after in pairwise(times))
    assert {gate.judgement.verdict for gate in opened if gate.at} == {Verdict.PASS}


def test_a_gate_that_never_opened_is_told_with_the_last_judgement():
    seen = list(entries(LIVE.journal))

    *_, last = gates(EVERY_KIND, LIVE.journal, [5, 20, 50, 100], seen)

    assert last.at is None
    assert last.judgement.verdict is Verdict.FAIL


def test_all_gates_may_open():
    journal = rolled_out(flawless).journal

    opened = gates(EVERY_KIND, journal, [5, 10], list(entries(journal)))

    assert [gate.at is not None for gate in opened] == [True]
