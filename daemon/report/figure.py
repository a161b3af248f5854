"""A picture with all that goes with it: how it is read, its legend, the same numbers as a table.

Pure; no styles. What a figure shows is for the modules `panel_*`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from daemon.report.markup import Safe, element
from daemon.report.plot import NARROW, WIDE, Frame

MOST_POINTS: Final = 300
"""Of a line; a screen has not many more columns for it."""

MOST_ROWS: Final = 24
"""Of a table beside a picture."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Swatch:
    """One entry of a legend: how it is drawn, and what it is."""

    class_: str
    words: str
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture and what goes with it.

    Attributes:
        name: in the address of the page.
        says: how it is read.
        pictures: the same one for wide and for narrow pages.
        head, rows: the table with the same numbers; the first cell of a row names it.
    """

    name: str
    title: str
    says: str
    legend: Sequence[Swatch]
    pictures: Sequence[Safe]
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def pictures_of(
    seconds: float, title: str, said: str, draw: Callable[[Frame], None]
) -> tuple[Safe, ...]:
    """Draw one picture over time, for a wide and for a narrow page."""
    drawn = []
    for width in (WIDE, NARROW):
        frame = Frame(width, seconds)
        draw(frame)
        drawn.append(frame.svg(title, said))
    return tuple(drawn)


def alone(picture: Safe, style: str) -> str:
    """Return a picture as a file of its own, for a document."""
    found = re.search(r'viewBox="0 0 (\S+) (\S+)"', picture)
    assert found is not None
    size = f'xmlns="http://www.w3.org/2000/svg" width="{found[1]}" height="{found[2]}"'
    opened = picture.replace("<svg", f"<svg {size}", 1)
    return opened.replace(">", f"><style>{style}</style>", 1) + "\n"


def thinned(items: Sequence[T], most: int) -> list[T]:
    """Take evenly at most so many of them, first and last in any case."""
    if len(items) <= most:
        return list(items)
    last = len(items) - 1
    places = sorted({round(place * last / (most - 1)) for place in range(most)})
    return [items[place] for place in places]


def in_html(figure: Figure) -> Safe:
    """Lay out a figure for the page."""
    return element(
        "section",
        element("h2", figure.title, id=f"{figure.name}-title"),
        element("p", figure.says, class_="says"),
        _legend(figure.legend),
        element("div", figure.pictures, class_="picture"),
        _table(figure),
        class_="figure",
        id=figure.name,
        aria_labelledby=f"{figure.name}-title",
    )


def _legend(swatches: Sequence[Swatch]) -> Safe:
    entries = [element("li", _swatch(it), it.words) for it in swatches]
    return element("ul", entries, class_="legend")


def _swatch(it: Swatch) -> Safe:
    if it.filled:
        shape = element("path", d="M0 2H26V12H0Z", class_=f"fill {it.class_}")
    else:
        shape = element("path", d="M0 7H26", class_=f"line {it.class_}")
    return element("svg", shape, viewBox="0 0 26 14", width=26, height=14, aria_hidden="true")


def _table(figure: Figure) -> Safe:
    head = element("tr", [element("th", it, scope="col") for it in figure.head])
    rows = [
        element("tr", element("th", row[0], scope="row"), [element("td", it) for it in row[1:]])
        for row in figure.rows
    ]
    caption = element("caption", figure.title, class_="hidden")
    table = element("table", caption, element("thead", head), element("tbody", rows))
    summary = element("summary", "The same as a table")
    return element("details", summary, element("div", table, class_="scroll"))
