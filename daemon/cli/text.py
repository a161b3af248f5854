"""Small pieces of text: durations, shares, foreign text made safe for a terminal."""

import re
import unicodedata
from datetime import datetime, timedelta

BAR_CELLS = 10


def plain(text: str) -> str:
    """Return foreign text on one line, without anything a terminal would obey."""
    return "".join(c if c.isprintable() else " " if c in "\n\t" else "?" for c in text)


def countdown(left: timedelta) -> str:
    """Tell a duration in its two largest units: `3m12s`, `2h05m`, `4d3h`."""
    seconds = max(0, round(left.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days}d{hours % 24}h"
    if hours:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{minutes}m{seconds % 60:02d}s" if minutes else f"{seconds}s"


def ago(moment: datetime, now: datetime) -> str:
    """Tell how long ago, in one unit: `12m ago`, `2d ago`, `just now`."""
    seconds = (now - moment).total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit} ago"
    return "just now"


def bar(percent: float) -> str:
    """Draw a share as ten cells; anything above 0 shows at least one, below 100 leaves one."""
    filled = int(percent * BAR_CELLS / 100)
    if percent:
        filled = max(1, filled)
    return "[" + "#" * filled + "." * (BAR_CELLS - filled) + "]"


def words(camel: str) -> str:
    """Write a CamelCase constant as words: `RollingBack` is `rolling back`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", camel).lower()


def width(text: str) -> int:
    """Count the terminal cells of a printable text."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def aligned(rows: list[tuple[str, ...]]) -> list[list[str]]:
    """Pad the cells of all columns to one width."""
    sizes = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        [cell + " " * (size - width(cell)) for cell, size in zip(row, sizes, strict=True)]
        for row in rows
    ]


def cut(line: str, limit: int) -> str:
    """Cut a line to `limit` cells; an ellipsis shows that something is missing."""
    if width(line) <= limit:
        return line
    kept = line
    while width(kept) > limit - 1:
        kept = kept[:-1]
    return kept.rstrip() + "…"
