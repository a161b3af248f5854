"""Gates: a measured figure, its limit, and whether it holds; as a table and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Gate:
    """One figure. The value is the median of the samples.

    Attributes:
        limit: the highest value that holds; None: the figure is told and judges nothing.
    """

    name: str
    unit: str
    limit: float | None
    samples: tuple[float, ...] = field(default=())

    @property
    def value(self) -> float | None:
        """The median, or None where nothing could be measured."""
        return median(self.samples) if self.samples else None

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its limit; one that was not measured does not."""
        if self.limit is None:
            return True
        return self.value is not None and self.value <= self.limit


def failed(gates: Sequence[Gate]) -> list[Gate]:
    """Return the gates that do not hold."""
    return [it for it in gates if not it.holds]


def save(gates: Sequence[Gate], path: Path) -> None:
    """Write the figures for whoever compares them with those of another change."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "name": it.name,
            "value": None if it.value is None else round(it.value, 4),
            "unit": it.unit,
            "limit": it.limit,
            "holds": it.holds,
            "samples": [round(sample, 4) for sample in it.samples],
        }
        for it in gates
    ]
    path.write_text(json.dumps({"gates": rows}, indent=1) + "\n", encoding="utf-8")


def show(gates: Sequence[Gate], console: Console) -> None:
    """Print the figures as a table."""
    table = Table(box=None, pad_edge=False)
    table.add_column("figure")
    for column in ("median", "limit", "lowest", "highest", "n"):
        table.add_column(column, justify="right")
    table.add_column("")
    for it in gates:
        limit = "" if it.limit is None else f"{_told(it.limit)} {it.unit}"
        ends = (min(it.samples), max(it.samples)) if it.samples else (None, None)
        verdict = "" if it.limit is None else "holds" if it.holds else "[bold]does not hold[/bold]"
        table.add_row(
            it.name,
            f"{_told(it.value)} {it.unit}",
            limit,
            *(_told(end) for end in ends),
            str(len(it.samples)),
            verdict,
        )
    console.print(table)


def _told(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
