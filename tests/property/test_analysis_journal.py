"""The journal on anything: what can be read comes back, and what somebody edited does no harm."""

import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import journal as journals
from analysis.explanation import explain
from analysis.journal import Entry, Journal, append, dump, entries, load, replay
from analysis.samples import Block, Counts, Number, NumberKind, Spread
from analysis.verdict import Ground, Verdict
from tests.spec.analysis.journals import BEGUN, EVERY_KIND, Live, some_history, some_looks

names = st.text(max_size=12)
counts = st.integers(0, 2**40)


@st.composite
def arms(draw: st.DrawFn) -> Counts:
    """An arm with sound counts."""
    requests, timed = draw(counts), draw(counts)
    bounds = draw(st.lists(st.sampled_from([0.1, 0.25, 0.5, 1.0, 2.5]), unique=True, max_size=4))
    within = {bound: timed - draw(st.integers(0, timed)) for bound in sorted(bounds)}
    failed = draw(st.integers(0, requests))
    return Counts(requests, failed, within, timed if within else 0, draw(st.integers(0, 9)))


spreads = st.builds(Spread, seen=st.floats(0, 1e30), expected=st.floats(0, 1e20))
blocks = st.builds(
    Block,
    seconds=st.floats(0, 1e6),
    weight=st.integers(0, 100),
    canary=arms(),
    stable=arms(),
    restarted=st.lists(names, max_size=2).map(tuple),
    missing=st.dictionaries(names, names, max_size=3),
    spread=st.dictionaries(st.sampled_from([0.0, 0.25, 0.5]), spreads, max_size=3),
)
looks = st.builds(
    Entry,
    at=st.integers(0, 10**8).map(lambda ms: BEGUN + ms / 1000),
    decision=st.integers(0, 99),
    step=st.integers(0, 9),
    weight=st.floats(0, 100),
    ahead=st.sampled_from([20.0, 100]),
    read=st.none() | blocks,
    verdict=st.sampled_from(Verdict),
    ground=st.sampled_from(Ground),
    numbers=st.dictionaries(
        st.just("queue"),
        st.builds(Number, st.sampled_from(NumberKind), st.floats(-9, 9)),
        max_size=1,
    ),
)


@given(st.lists(looks, max_size=4))
def test_whatever_was_read_comes_back_as_it_was(read: list[Entry]) -> None:
    journal = Journal("id", "v1", "v2", BEGUN)
    for look in read:
        journal = append(EVERY_KIND, journal, look)

    restored = load(EVERY_KIND, dump(EVERY_KIND, journal))

    assert restored == journal
    assert list(entries(restored)) == read


def _journal() -> dict[str, Any]:
    chance = Random(11)
    live = Live(EVERY_KIND, some_history(chance, 9))
    for look in some_looks(chance, 12, rate=lambda *_: 0.05):
        live.look(look)
    document: dict[str, Any] = json.loads(dump(EVERY_KIND, live.journal))
    return document


JOURNAL = json.dumps(_journal())
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-10, 2**54)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "Pass Safe", "value", "nan", "x" * 300]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=2),
    max_leaves=6,
)


def edited(document: Any, data: st.DataObject) -> Any:
    """Put anything anywhere."""
    place: Any = document
    path: list[tuple[Any, Any]] = []
    while isinstance(place, list | dict) and place and (not path or data.draw(st.booleans())):
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        path.append((place, data.draw(st.sampled_from(list(keys)))))
        place = path[-1][0][path[-1][1]]
    parent, key = path[-1]
    parent[key] = data.draw(anything)
    return document


@settings(max_examples=150)
@given(st.data())
def test_an_edited_journal_is_none_or_can_be_judged_and_written_on(data: st.DataObject) -> None:
    text = json.dumps(edited(json.loads(JOURNAL), data))

    journal = load(EVERY_KIND, text)

    if journal is not None:
        assert len(list(replay(EVERY_KIND, journal))) == len(journal.lines)
        explain(EVERY_KIND, journal)
        assert load(EVERY_KIND, dump(EVERY_KIND, journal)) == journal


@given(st.text(max_size=200))
def test_any_text_is_none(text: str) -> None:
    assert load(EVERY_KIND, text) is None


def test_a_full_journal_can_be_read_back() -> None:
    live = Live(EVERY_KIND, some_history(Random(3), 9))
    looked = next(some_looks(Random(3), 4, rate=lambda *_: 0.05, rps=400))
    for _ in range(journals.MOST_ENTRIES):
        live.look(looked)
        if live.journal.gone.looks:
            break

    text = dump(EVERY_KIND, live.journal)

    assert live.journal.gone.looks
    assert len(text) <= journals.LARGEST_TEXT
    assert load(EVERY_KIND, text) == live.journal
