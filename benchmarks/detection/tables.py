"""The scores and gates as tables, and as JSON for whoever compares two changes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.detection.gates import OURS, Gate, Scored


def show_harmless(cells: Sequence[Scored], console: Console) -> None:
    """False rollbacks, and when a good canary was promoted."""
    table = _table("harmless canaries", "cell", "rolled back", "by timetable", "held", "s")
    for it in cells:
        ours = it.scores[OURS]
        held = ours.runs - ours.promoted - ours.rolled_back
        shares = [f"{n / ours.runs:.2%}" for n in (ours.rolled_back, ours.undecided, held)]
        table.add_row(it.cell.name, *shares, f"{ours.seconds_median:.0f}")
    console.print(table)


def show_bad(cells: Sequence[Scored], console: Console) -> None:
    """Excess failed requests: mean of each judge, and how close to the bound ours comes."""
    judges = list(dict.fromkeys(judge for it in cells for judge in it.scores))
    table = _table("bad canaries", "cell", "bound", "/ bound", "missed", "s", *judges)
    for it in cells:
        ours = it.scores[OURS]
        table.add_row(
            it.cell.name,
            f"{it.bound:.1f}",
            f"{it.ratio():.1f}",
            f"{it.missed:.1%}",
            f"{ours.seconds_median:.0f}",
            *(f"{it.scores[j].harm_mean:,.1f}" if j in it.scores else "" for j in judges),
        )
    console.print(table)


def show_gates(gates: Sequence[Gate], console: Console) -> None:
    table = _table("gates", "figure", "value", "limit", "")
    for gate in gates:
        limit = f"{'>=' if gate.at_least else '<='} {gate.limit:g}"
        table.add_row(gate.name, f"{gate.value:.3g}", limit, "holds" if gate.holds else "BROKEN")
    console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    return table


def save(gates: Sequence[Gate], cells: Sequence[Scored], path: Path) -> None:
    """Write gates and cells."""
    rows: list[dict[str, Any]] = [
        {
            "cell": it.cell.name,
            "bound": it.bound,
            "scores": {judge: score.plain() for judge, score in it.scores.items()},
        }
        for it in cells
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"gates": [gate.plain() for gate in gates], "cells": rows}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
