"""Lines, bands and steps over time as SVG: scales, axes and what is drawn between them.

A `Frame` is one picture: panes under each other that share the axis of time. What is drawn has a
class and no colour; `daemon.report.style` gives it one, light or dark. Whatever lies outside of a
pane's scale is drawn on its edge.

Invariant: a picture is readable without colour (dashes, labels) and needs no script. No numbers
are worked out here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor, log10
from typing import Final

from daemon.report.markup import Safe, element, joined

LEFT: Final = 58.0
RIGHT: Final = 74.0
TITLE: Final = 24.0
"""Pixels above a pane for what it shows."""

GAP: Final = 14.0
AXIS: Final = 38.0
LABEL: Final = 15.0
"""Least distance of two labels, so that they do not cover each other."""

NARROW: Final = 380.0
WIDE: Final = 860.0

Point = tuple[float, float]
Words = Callable[[float], str]

STEPS_OF_TIME: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400)
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels; values outside are on the edge."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        if self.log:
            part = (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def nice_ticks(high: float, count: int = 4) -> list[float]:
    """Return round values from 0 on, the last one at `high` or above."""
    rough = high / count
    power = 10.0 ** floor(log10(rough))
    step = next(power * it for it in (1, 2, 2.5, 5, 10) if power * it >= rough * (1 - 1e-9))
    return [step * place for place in range(ceil(high / step - 1e-9) + 1)]


def time_ticks(seconds: float, count: int) -> list[float]:
    """Return round times from 0 on, none after `seconds`."""
    step = next((it for it in STEPS_OF_TIME if seconds / it <= count), DAY)
    step *= max(ceil(seconds / step / count), 1) if step == DAY else 1
    return [float(step * place) for place in range(floor(seconds / step) + 1)]


def clock(seconds: float) -> str:
    """Write a time since the beginning: `45 s`, `2:30`, `1:05:00`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


@dataclass(slots=True)
class Pane:
    """One pair of axes; later things are drawn above earlier ones."""

    x: Scale
    y: Scale
    drawn: list[Safe] = field(default_factory=list)
    ends: list[tuple[float, str, str]] = field(default_factory=list)

    def line(self, points: Sequence[Point], class_: str, end: str = "") -> None:
        """Draw a line; `end` is written beside its last point."""
        if points:
            path = "L".join(self._at(point) for point in points)
            self.drawn.append(element("path", d=f"M{path}", class_=f"line {class_}"))
            self._label(points[-1][1], end, class_)

    def steps(self, points: Sequence[Point], class_: str, end: str = "") -> None:
        """Draw a line whose value holds until the next point."""
        if points:
            path = self._stepped(points)
            self.drawn.append(element("path", d=path, class_=f"line {class_}"))
            self._label(points[-1][1], end, class_)

    def filled_steps(self, points: Sequence[Point], class_: str) -> None:
        """Fill below steps, down to the lower edge."""
        if points:
            low = self.y(self.y.low)
            first, last = self.x(points[0][0]), self.x(points[-1][0])
            path = f"{self._stepped(points)}L{_px(last)} {_px(low)}L{_px(first)} {_px(low)}Z"
            self.drawn.append(element("path", d=path, class_=f"fill {class_}"))

    def band(self, points: Sequence[tuple[float, float, float]], class_: str) -> None:
        """Fill between a low and a high value."""
        if points:
            upper = [self._at((x, high)) for x, _, high in points]
            lower = [self._at((x, low)) for x, low, _ in reversed(points)]
            path = f"M{'L'.join([*upper, *lower])}Z"
            self.drawn.append(element("path", d=path, class_=f"band {class_}"))

    def rule(self, value: float, class_: str, words: str = "") -> None:
        """Draw a level, and what it means on it."""
        y = self.y(value)
        at = {"x1": self.x.start, "x2": self.x.end, "y1": y, "y2": y}
        self.drawn.append(element("line", class_=f"rule {class_}", **at))
        if words:
            above = y - 5 if y - 16 > self.y.end else y + 13
            place = {"x": self.x.start + 6, "y": above}
            self.drawn.append(element("text", words, class_=f"said {class_}", **place))

    def write(self, place: Point, words: str, class_: str) -> None:
        """Write words at a place in pixels."""
        x, y = place
        self.drawn.append(element("text", words, class_=f"said {class_}", x=x, y=y))

    def mark(self, point: Point, class_: str) -> None:
        """Mark one point."""
        place = {"cx": self.x(point[0]), "cy": self.y(point[1]), "r": 4.5}
        self.drawn.append(element("circle", class_=f"mark {class_}", **place))

    def _label(self, value: float, words: str, class_: str) -> None:
        if words:
            self.ends.append((self.y(value), words, class_))

    def _stepped(self, points: Sequence[Point]) -> str:
        parts = [f"M{self._at(points[0])}"]
        for (_, before), (x, value) in pairwise(points):
            parts.append(f"H{_px(self.x(x))}")
            if value != before:
                parts.append(f"V{_px(self.y(value))}")
        return "".join(parts)

    def _at(self, point: Point) -> str:
        return f"{_px(self.x(point[0]))} {_px(self.y(point[1]))}"

    def labels(self) -> Iterable[Safe]:
        """Write the lines' last values beside them, none over another."""
        ends = sorted(self.ends)
        wanted = [y + 4 for y, *_ in ends]
        for (_, words, class_), y in zip(ends, _apart(wanted, self.y.start + 4), strict=True):
            yield element("text", words, class_=f"value {class_}", x=self.x.end + 7, y=y)


def _apart(places: Sequence[float], lowest: float) -> list[float]:
    """Move places down until none covers another, and up again where they would leave the pane."""
    apart: list[float] = []
    for place in places:
        apart.append(max(place, apart[-1] + LABEL) if apart else place)
    for index in range(len(apart) - 1, -1, -1):
        below = apart[index + 1] - LABEL if index + 1 < len(apart) else lowest
        apart[index] = min(apart[index], below)
    return apart


@dataclass(slots=True)
class Frame:
    """A picture of panes that share the axis of time.

    Attributes:
        seconds: what the axis ends at.
    """

    width: float
    seconds: float
    height: float = 0.0
    panes: list[Safe | Pane] = field(default_factory=list)

    @property
    def x(self) -> Scale:
        """The axis of time."""
        return Scale(0.0, max(self.seconds, 1.0), LEFT, self.width - RIGHT)

    def pane(  # noqa: PLR0917 - a pane is its title, its size and its axis
        self,
        title: str,
        height: float,
        low: float,
        high: float,
        ticks: Sequence[float],
        words: Words,
        *,
        log: bool = False,
    ) -> Pane:
        """Add a pane below the others."""
        self.height += (GAP if self.panes else 0.0) + TITLE
        top, bottom = self.height, self.height + height
        y = Scale(low, high, bottom, top, log)
        self.panes.append(element("text", title, class_="title", x=2, y=top - 9))
        self.panes.append(joined(*self._grid(y, ticks, words)))
        self.height = bottom
        pane = Pane(self.x, y)
        self.panes.append(pane)
        return pane

    def _grid(self, y: Scale, ticks: Sequence[float], words: Words) -> Iterable[Safe]:
        x = self.x
        for tick in ticks:
            at = y(tick)
            yield element("line", class_="grid", x1=x.start, x2=x.end, y1=at, y2=at)
            place = {"x": x.start - 7, "y": at + 4}
            yield element("text", words(tick), class_="tick", text_anchor="end", **place)
        for tick in self._times():
            at = x(tick)
            yield element("line", class_="grid", x1=at, x2=at, y1=y.start, y2=y.end)

    def _times(self) -> list[float]:
        return time_ticks(self.seconds, 4 if self.width < WIDE else 8)

    def svg(self, name: str, said: str) -> Safe:
        """Return the whole picture.

        Args:
            name: what it is called.
            said: what a person who cannot see it is told.
        """
        height = self.height + AXIS
        parts: list[Safe] = []
        for it in self.panes:
            if isinstance(it, Pane):
                parts += [*it.drawn, *it.labels()]
            else:
                parts.append(it)
        for tick in self._times():
            place = {"x": self.x(tick), "y": self.height + 17}
            parts.append(element("text", clock(tick), class_="tick", text_anchor="middle", **place))
        place = {"x": self.x.end, "y": self.height + 31}
        since = "since the evidence began"
        parts.append(element("text", since, class_="tick", text_anchor="end", **place))
        return element(
            "svg",
            element("title", name),
            element("desc", said),
            parts,
            viewBox=f"0 0 {_px(self.width)} {_px(height)}",
            role="img",
            class_="narrow" if self.width < WIDE else "wide",
        )


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
