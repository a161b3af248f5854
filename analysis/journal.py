"""The journal of one rollout: what was read at each look, and what it was judged to be.

From it alone every verdict can be worked out again, bit for bit: `replay` takes the looks through
the same `analysis.judge` that judged them live, from the history that the evidence began with.

It is bounded. Past the bound the oldest looks go; they are judged once more into the state that
the kept ones begin with, and their sums stay, so that whoever explains a verdict can say where the
replay begins.

Invariant: a journal is a value, and adding a look costs the same whatever it holds. Its text comes
from a ConfigMap that others can write: what does not fit is no journal (`load` gives None), and
nothing in it is ever used but to show and to judge again. No I/O, no clock, no sentences.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from analysis.clumps import Clumps
from analysis.errors import ProviderError, StaleError, UnavailableError
from analysis.history import NOTHING_KNOWN, History
from analysis.journal_lines import (
    LARGEST_SPREAD,
    LONGEST_PROBLEM,
    LONGEST_SECONDS,
    MOST_BOUNDS,
    NO_TABLES,
    Entry,
    Reader,
    Tables,
    Unread,
    Writer,
    tables_of,
)
from analysis.judge import JudgeState, begin, judge, judge_unread, on_step
from analysis.memory import restore, save
from analysis.samples import Block
from analysis.settings import JudgeSettings
from analysis.untrusted import real, told_by, whole
from analysis.verdict import Judgement

__all__ = [
    "Entry",
    "Journal",
    "Sums",
    "Unread",
    "append",
    "dump",
    "entries",
    "first_state",
    "follow",
    "load",
    "replay",
    "unread",
]

FORMAT = 1

MOST_ENTRIES = 2000
"""Looks that are kept: 2 h 45 min at the usual 5 seconds."""

LARGEST_SIZE = 192 * 1024
"""Bytes of all lines and tables. A ConfigMap holds 1 MiB, and the rest of the evidence is in it."""

LARGEST_TEXT = 2 * LARGEST_SIZE
"""Bytes of a text that is read at all: the lines, the state before them and the history."""

LONGEST_WORD = 253
"""Characters of an id, a version or a revision: the longest name Kubernetes knows."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What is left of the looks that went: their number, time and counts."""

    looks: int = 0
    seconds: float = 0.0
    canary: int = 0
    canary_failed: int = 0
    stable: int = 0
    stable_failed: int = 0

    def add(self, entry: Entry) -> "Sums":
        """Add one look."""
        if not isinstance(entry.read, Block):
            return replace(self, looks=self.looks + 1)
        block = entry.read
        return Sums(
            self.looks + 1,
            self.seconds + block.seconds,
            self.canary + block.canary.requests,
            self.canary_failed + block.canary.failed,
            self.stable + block.stable.requests,
            self.stable_failed + block.stable.failed,
        )


@dataclass(frozen=True, slots=True)
class Journal:
    """The looks of one rollout, oldest first.

    Attributes:
        rollout: its id.
        stable, canary: the versions; `stable_revision`, `revision` are theirs.
        begun: seconds since the epoch at which the evidence began: `begin(settings, past=past)`.
        past: what was known of stable then.
        again: how often the evidence was lost and begun anew in this rollout.
        lines, tables: the looks as text; read them with `entries`.
        size: bytes of the lines.
        start: the judge's state before the first line; None where that is the very beginning.
        gone: sums over the looks before the first line.
    """

    rollout: str
    stable: str
    canary: str
    begun: float
    stable_revision: str = ""
    revision: str = ""
    past: History = NOTHING_KNOWN
    again: int = 0
    lines: tuple[str, ...] = ()
    tables: Tables = NO_TABLES
    size: int = 0
    start: JudgeState | None = None
    gone: Sums = Sums()


def unread(error: ProviderError) -> Unread:
    """Keep what `judge_unread` needs of a provider's error."""
    return Unread(isinstance(error, StaleError), str(error)[:LONGEST_PROBLEM])


def append(settings: JudgeSettings, journal: Journal, entry: Entry) -> Journal:
    """Add a look. `settings` are those that judge it; they judge again what has to go."""
    writer = Writer(journal.tables, journal.begun)
    line = _compact(writer.write(entry))
    lines, size = (*journal.lines, line), journal.size + len(line) + 1
    journal = replace(journal, lines=lines, tables=writer.tables, size=size)
    room = LARGEST_SIZE - len(_compact([writer.tables.names, writer.tables.bounds]))
    while journal.lines and (len(journal.lines) > MOST_ENTRIES or journal.size > room):
        journal = _without_oldest(settings, journal)
    return journal


def _without_oldest(settings: JudgeSettings, journal: Journal) -> Journal:
    line, *rest = journal.lines
    entry = _reader(journal).read(json.loads(line))
    state, _ = follow(settings, first_state(settings, journal, entry), entry)
    return replace(
        journal,
        lines=tuple(rest),
        size=journal.size - len(line) - 1,
        start=state,
        gone=journal.gone.add(entry),
    )


def entries(journal: Journal) -> Iterator[Entry]:
    """Read the looks that are kept, oldest first."""
    reader = _reader(journal)
    return (reader.read(json.loads(line)) for line in journal.lines)


def replay(
    settings: JudgeSettings, journal: Journal, looks: Iterable[Entry] | None = None
) -> Iterator[tuple[Entry, JudgeState, Judgement]]:
    """Judge each look again; yields it with the state and the judgement after it.

    With the rollout's own settings the judgements are those of the live run, bit for bit. With
    others (same checks) they are what those would have said to the same counts; looks that went
    (`journal.gone`) stay judged as they were. `looks` stand in place of the journal's own.
    """
    state: JudgeState | None = None
    for entry in entries(journal) if looks is None else looks:
        before = first_state(settings, journal, entry) if state is None else state
        state, judgement = follow(settings, before, entry)
        yield entry, state, judgement


def first_state(settings: JudgeSettings, journal: Journal, first: Entry) -> JudgeState:
    """Return the state that the first look is judged from."""
    if journal.start is not None:
        return journal.start
    return begin(settings, first.step, journal.past)


def follow(
    settings: JudgeSettings, state: JudgeState, entry: Entry
) -> tuple[JudgeState, Judgement]:
    """Judge one look as the daemon does."""
    state = on_step(state, entry.step)
    match entry.read:
        case Unread(stale, message):
            error = StaleError(message) if stale else UnavailableError(message)
            return state, judge_unread(settings, state, error)
        case read:
            return judge(settings, state, read, entry.numbers, ahead=entry.ahead)


# ---------------------------------------------------------------- text


def dump(settings: JudgeSettings, journal: Journal) -> str:
    """Write a journal as ASCII JSON; numbers keep every bit."""
    gone = journal.gone
    head = {
        "v": FORMAT,
        "rollout": journal.rollout,
        "stable": [journal.stable, journal.stable_revision],
        "canary": [journal.canary, journal.revision],
        "begun": journal.begun,
        "again": journal.again,
        "past": _plain_history(journal.past),
        "gone": [getattr(gone, it.name) for it in fields(gone)],
        "names": journal.tables.names,
        "bounds": journal.tables.bounds,
    }
    start = save(settings, journal.start) if journal.start is not None else "null"
    looks = ",\n".join(journal.lines)
    return f'{_compact(head)[:-1]},"start":{start},"looks":[\n{looks}\n]}}'


def load(settings: JudgeSettings, text: str) -> Journal | None:
    """Read a journal back; None where the text is damaged, too long, or of other checks."""
    return told_by(text, lambda document: _journal(settings, document), longest=LARGEST_TEXT)


def _journal(settings: JudgeSettings, document: Any) -> Journal:
    if document["v"] != FORMAT or len(document["looks"]) > MOST_ENTRIES:
        raise ValueError("another format")
    stable, stable_revision = map(_word, document["stable"])
    canary, revision = map(_word, document["canary"])
    lines = tuple(map(_compact, document["looks"]))
    journal = Journal(
        rollout=_word(document["rollout"]),
        stable=stable,
        canary=canary,
        begun=real(document["begun"], 0, 1e11),
        stable_revision=stable_revision,
        revision=revision,
        past=_history(document["past"]),
        again=whole(document["again"]),
        lines=lines,
        tables=tables_of(document["names"], document["bounds"]),
        size=sum(len(line) + 1 for line in lines),
        start=_start(settings, document["start"]),
        gone=_sums(document["gone"]),
    )
    for _ in entries(journal):
        pass  # each line is a look, or this raises
    return journal


def _start(settings: JudgeSettings, document: Any) -> JudgeState | None:
    if document is None:
        return None
    state = restore(settings, json.dumps(document))
    if state is None:
        raise ValueError("no state of these checks")
    return state


def _sums(document: Any) -> Sums:
    looks, seconds, *counts = document
    canary, canary_failed, stable, stable_failed = map(whole, counts)
    seconds = real(seconds, 0, LONGEST_SECONDS)
    return Sums(whole(looks), seconds, canary, canary_failed, stable, stable_failed)


def _plain_history(past: History) -> list[Any]:
    kinds = [
        [key, bad, *(getattr(clumps, it.name) for it in fields(clumps))]
        for key, bad in past.bad.items()
        for clumps in [past.clumps.get(key, Clumps())]
    ]
    return [past.seconds, past.requests, past.timed, kinds]


def _history(document: Any) -> History:
    seconds, requests, timed, kinds = document
    if len(kinds) > MOST_BOUNDS:
        raise ValueError("too many bounds")
    bad, clumps = {}, {}
    for key, count, *sums in kinds:
        place = real(key, 0, LONGEST_SECONDS)
        bad[place] = whole(count)
        clumps[place] = Clumps(*(real(it, 0, LARGEST_SPREAD**2) for it in sums))
    return History(real(seconds, 0, LONGEST_SECONDS), whole(requests), whole(timed), bad, clumps)


def _reader(journal: Journal) -> Reader:
    return Reader(journal.tables, journal.begun)


def _compact(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _word(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_WORD:
        raise ValueError("no name")
    return value
