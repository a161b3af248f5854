"""One look as one short line of JSON, exact to the last bit, and back.

    [ms, decision, step, weight, ahead, "verdict ground", what was read (, answers of queries)]

What was read is null (a reading that only set the references), a provider's error as an object, or
a block as a list. Names and sets of latency bounds repeat at each look, so a line holds their
places in `Tables`; a bound's count is how many took longer, whose last zeros are left out.

Invariant: `decode(encode(look)) == look` for every look whose numbers a block can have; a line that
somebody else wrote is refused with ValueError or read as such a look, never as anything else. No
judging here, and no bound on how many lines are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from analysis.samples import Block, Counts, Number, NumberKind, Spread
from analysis.untrusted import real, whole
from analysis.verdict import Ground, Verdict

MOST_NAMES = 128
"""Names in a table: pods, checks, reasons. Later ones stand in their lines."""

LONGEST_NAME = 200
"""Characters of a name in the table; longer ones are sentences that hardly repeat."""

MOST_SETS = 8
"""Sets of latency bounds: both versions' and a few changes of a client library."""

MOST_BOUNDS = 256
"""Bounds of one set that are read back; native histograms have some 160."""

LONGEST_PROBLEM = 300
"""Characters of a provider's error that are kept."""

LARGEST_SPREAD = 1e60
"""What the unevenness of pods may come to with counts below `LARGEST_COUNT`."""

LONGEST_SECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Unread:
    """A look that brought nothing: the provider's error.

    Attributes:
        stale: answers came, but their samples were too old.
    """

    stale: bool
    message: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What one look read, and what it was judged to be.

    Attributes:
        at: seconds since the epoch, of the API server's clock, kept to the millisecond.
        decision, step, weight: of the record under which it was read.
        ahead: percent of the traffic that a Pass would have led to.
        read: the block; None where the reading only set the references.
        numbers: answers of the `query` checks, by the check's name.
    """

    at: float
    decision: int
    step: int
    weight: float
    ahead: float
    read: Block | Unread | None
    verdict: Verdict
    ground: Ground
    numbers: Mapping[str, Number] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tables:
    """What lines speak of by its place."""

    names: tuple[str, ...] = ()
    bounds: tuple[tuple[float, ...], ...] = ()


NO_TABLES = Tables()


class Writer:
    """Turns looks into lists and fills the tables as it goes."""

    def __init__(self, tables: Tables, begun: float) -> None:
        self._names = list(tables.names)
        self._bounds = list(tables.bounds)
        self._begun = begun

    @property
    def tables(self) -> Tables:
        """The tables after what was written."""
        return Tables(tuple(self._names), tuple(self._bounds))

    def write(self, entry: Entry) -> list[Any]:
        """Return the line's list."""
        line: list[Any] = [
            round((entry.at - self._begun) * 1000),
            entry.decision,
            entry.step,
            entry.weight,
            entry.ahead,
            f"{entry.verdict} {entry.ground}",
        ]
        match entry.read:
            case None:
                line.append(None)
            case Unread(stale, message):
                line.append({"stale": stale, "message": message[:LONGEST_PROBLEM]})
            case block:
                line.append(self._block(block))
        if entry.numbers:
            line.append([self._number(*named) for named in entry.numbers.items()])
        return line

    def _block(self, block: Block) -> list[Any]:
        bounds = tuple(block.stable.within)
        spread: list[Any] = []
        for key, it in block.spread.items():
            spread += [bounds.index(key) if key in bounds else key, it.seen, it.expected]
        missing = [[self._name(pod), self._name(why)] for pod, why in block.missing.items()]
        return _cut(
            [
                block.seconds,
                block.weight,
                self._arm(block.canary),
                self._arm(block.stable),
                spread,
                [self._name(pod) for pod in block.restarted],
                missing,
            ],
            least=4,
            empty=[],
        )

    def _arm(self, arm: Counts) -> list[Any]:
        counts = [arm.requests, arm.failed, arm.pods, arm.restarts, arm.timed]
        if not arm.within:
            return _cut(counts, least=3, empty=0)
        slower = [arm.timed - within for within in arm.within.values()]
        return _cut([*counts, self._set(tuple(arm.within)), *slower], least=6, empty=0)

    def _number(self, check: str, number: Number) -> list[Any]:
        return [self._name(check), str(number.kind), _finite(number.value), _finite(number.at)]

    def _name(self, name: str) -> int | str:
        if name in self._names:
            return self._names.index(name)
        if len(self._names) >= MOST_NAMES or len(name) > LONGEST_NAME:
            return name
        self._names.append(name)
        return len(self._names) - 1

    def _set(self, bounds: tuple[float, ...]) -> int | list[float]:
        if bounds in self._bounds:
            return self._bounds.index(bounds)
        if len(self._bounds) >= MOST_SETS:
            return list(bounds)
        self._bounds.append(bounds)
        return len(self._bounds) - 1


def _cut(values: list[Any], *, least: int, empty: Any) -> list[Any]:
    """Leave out the last values that are empty."""
    while len(values) > least and values[-1] == empty:
        values.pop()
    return values


def _finite(value: float) -> float | str:
    """Write what JSON has no number for as a text."""
    return value if isfinite(value) else repr(value)


# ---------------------------------------------------------------- reading


class Reader:
    """Turns lists back into looks; anything else raises ValueError.

    Lists of other lengths and values of other types raise IndexError, KeyError or TypeError too.
    """

    def __init__(self, tables: Tables, begun: float) -> None:
        self._tables = tables
        self._begun = begun

    def read(self, line: Any) -> Entry:
        """Return the look of one line."""
        ms, decision, step, weight, ahead, outcome, read, *numbers = _list(line)
        verdict, ground = _text(outcome).split(" ")
        what: Block | Unread | None = None
        if isinstance(read, dict):
            message = _text(read["message"], LONGEST_PROBLEM)
            what = Unread(stale=bool(read["stale"]), message=message)
        elif read is not None:
            what = self._block(read)
        return Entry(
            at=self._begun + real(ms, -LONGEST_SECONDS * 1000, LONGEST_SECONDS * 1000) / 1000,
            decision=whole(decision),
            step=whole(step),
            weight=real(weight, 0, 100),
            ahead=real(ahead, 0, 100),
            read=what,
            verdict=Verdict(verdict),
            ground=Ground(ground),
            numbers=dict(map(self._number, _list(*numbers))) if numbers else {},
        )

    def _block(self, line: Any) -> Block:
        seconds, weight, canary, stable, *rest = _list(line)
        spread, restarted, missing = [*map(_list, rest), [], [], []][: max(3, len(rest))]
        of_stable = self._arm(stable)
        return Block(
            seconds=real(seconds, 0, LONGEST_SECONDS),
            weight=real(weight, 0, 100),
            canary=self._arm(canary),
            stable=of_stable,
            restarted=tuple(map(self._name, restarted)),
            missing={self._name(pod): self._name(why) for pod, why in missing},
            spread=dict(_spreads(spread, tuple(of_stable.within))),
        )

    def _arm(self, line: Any) -> Counts:
        counts = _list(line)
        requests, failed, pods, restarts, timed = map(whole, [*counts[:5], 0, 0][:5])
        bounds = self._set(counts[5]) if len(counts) > 5 else ()
        slower = [whole(count) for count in counts[6:]]
        slower += [0] * (len(bounds) - len(slower))
        if failed > requests or any(count > timed for count in slower):
            raise ValueError("more than there are")
        within = {bound: timed - n for bound, n in zip(bounds, slower, strict=True)}
        return Counts(requests, failed, within, timed, pods, restarts)

    def _number(self, line: Any) -> tuple[str, Number]:
        check, kind, value, at = _list(line)
        return self._name(check), Number(NumberKind(kind), _any_real(value), _any_real(at))

    def _name(self, place: Any) -> str:
        return place if isinstance(place, str) else self._tables.names[whole(place)]

    def _set(self, place: Any) -> tuple[float, ...]:
        return bound_set(place) if isinstance(place, list) else self._tables.bounds[whole(place)]


def _spreads(line: Sequence[Any], bounds: tuple[float, ...]) -> list[tuple[float, Spread]]:
    if len(line) % 3:
        raise ValueError("not three by three")
    return [
        (
            bounds[whole(key)] if type(key) is int else real(key, 0, LONGEST_SECONDS),
            Spread(real(seen, 0, LARGEST_SPREAD), real(expected, 0, LARGEST_SPREAD)),
        )
        for key, seen, expected in zip(line[::3], line[1::3], line[2::3], strict=True)
    ]


def bound_set(value: Any) -> tuple[float, ...]:
    """Read one set of latency bounds."""
    bounds = tuple(real(bound, 0, LONGEST_SECONDS) for bound in _list(value))
    if not 0 < len(set(bounds)) == len(bounds) <= MOST_BOUNDS or min(bounds) <= 0:
        raise ValueError("no set of bounds")
    return bounds


def tables_of(names: Any, bounds: Any) -> Tables:
    """Read the tables."""
    if len(_list(names)) > MOST_NAMES or len(_list(bounds)) > MOST_SETS:
        raise ValueError("too many")
    return Tables(tuple(_text(name, LONGEST_NAME) for name in names), tuple(map(bound_set, bounds)))


def _any_real(value: Any) -> float:
    if value in ("nan", "inf", "-inf"):
        return float(value)
    if type(value) not in (int, float) or not isfinite(value):
        raise ValueError("not a number")
    return value  # type: ignore[no-any-return]


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise ValueError("not a list")
    return value


def _text(value: Any, longest: int = LONGEST_NAME) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError("not a short text")
    return value
