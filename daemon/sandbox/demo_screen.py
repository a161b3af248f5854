"""How the demo looks: a live picture on a terminal, a line per change without one, JSON on request.

Everything shown comes from the record on the route, the daemon's own log lines and the users'
counts; nothing is computed here that could disagree with them.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from daemon.core.model import Phase, Record
from daemon.core.weights import rest_of
from daemon.sandbox.demo import Ended, Scene

BAR: Final = 40
WIDTH: Final = 100
VERDICTS: Final = {"Pass": "✔", "Fail": "✖"}
REFRESH: Final = 8
"""Pictures a second; more only costs the two cores that the demo shares with its own load."""
MARKS: Final = {
    Phase.IDLE: "✔ idle",
    Phase.PREPARING: "○ preparing",
    Phase.SMOKE: "● smoke test",
    Phase.SHIFTING: "● shifting",
    Phase.BAKING: "● baking",
    Phase.FINALISING: "● finalising",
    Phase.RETIRING: "● retiring",
    Phase.ROLLING_BACK: "✖ rolling back",
    Phase.ROLLED_BACK: "✖ rolled back",
}


class LineScreen:
    """One line per change."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._last: tuple[object, ...] | None = None

    def say(self, text: str) -> None:
        """Print a line."""
        self._write(text)

    def show(self, scene: Scene) -> None:
        """Print a line if phase, weight or reason changed."""
        record = scene.record
        if record is None or scene.stage is None:
            return
        now = (record.id, record.phase, record.weight, record.decision)
        if now == self._last:
            return
        self._last = now
        self._write(f"{scene.seconds:6.1f}s  {_state(record):<16} {_traffic(scene, record)}")
        if record.message:
            self._write(f"         {record.reason}: {record.message}")


class LiveScreen:
    """A picture that is drawn again and again, below the lines that stay."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=REFRESH, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Print a line that stays above the picture."""
        self._live.console.print(Text(text, style="bold"))

    def show(self, scene: Scene) -> None:
        """Draw the present moment."""
        self._live.update(_picture(scene))


def _state(record: Record) -> str:
    return f"{MARKS[record.phase]} {record.weight}%" if record.weight else MARKS[record.phase]


def _versions(record: Record) -> list[tuple[str, float]]:
    canary = [(record.canary, record.weight)] if record.canary else []
    return [(record.stable, rest_of(record.weight)), *canary]


def _traffic(scene: Scene, record: Record) -> str:
    parts = []
    for version, weight in _versions(record):
        requests, failed = scene.of(version)
        parts.append(f"{version} set {weight:3}%: {requests} requests, {failed} failed")
    return "   ".join(parts)


def _picture(scene: Scene) -> Panel | Text:
    record = scene.record
    if record is None:
        return Text("waiting for the daemon to adopt the route ...", style="dim")
    title = f"echo/echo  {record.stable}"
    if record.canary:
        title += f" → {record.canary}"
    head = Text(f"{_state(record)}   {scene.seconds:.0f} s", style=_style(record))
    parts: list[RenderableType] = [head, Text(_strip(scene, record)), _traffic_table(scene, record)]
    if scene.checks:
        parts.append(_checks_table(scene))
    parts.append(Text(f"{scene.reason}: {scene.why}", style="dim", overflow="fold"))
    return Panel(Group(*parts), title=title, title_align="left", width=WIDTH)


def _style(record: Record) -> str:
    if record.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
        return "bold red"
    return "bold green" if record.phase is Phase.IDLE else "bold cyan"


def _strip(scene: Scene, record: Record) -> str:
    """Show the way: what is done, where it stands, what is to come."""
    if record.canary is None:
        return "waiting for a new version"
    went_back = record.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
    failed = "✖ smoke" if record.smoke is None and went_back else "○ smoke"
    smoke = "● smoke" if record.phase is Phase.SMOKE else failed
    marks = ["✔ smoke" if record.smoke else smoke]
    for weight in scene.steps:
        done = record.weight > weight or record.phase in (Phase.FINALISING, Phase.RETIRING)
        here = record.weight == weight
        marks.append(f"{'✔' if done else '●' if here else '○'} {weight}%")
    return "   ".join(marks) + ("   ✖ taken back" if went_back else "")


def _traffic_table(scene: Scene, record: Record) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("version", "traffic", "set", "seen", "requests", "failed"):
        table.add_column(name, justify="left" if name in ("version", "traffic") else "right")
    for version, weight in _versions(record):
        requests, failed = scene.of(version)
        share = scene.seen(version)
        seen = "-" if share is None else f"{share:.1f}%"
        filled = round(BAR * weight / 100)
        bar = "#" * filled + "." * (BAR - filled)
        table.add_row(version, bar, f"{weight}%", seen, str(requests), str(failed))
    return table


def _checks_table(scene: Scene) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("check", "verdict", "because"):
        table.add_column(name, overflow="fold")
    for name, (verdict, message) in scene.checks.items():
        table.add_row(name, f"{VERDICTS.get(verdict, '?')} {verdict}", message)
    return table


# ---------------------------------------------------------------- the end


def summary(ended: list[Ended], seconds: float) -> str:
    """Say what was shown, in requests of users."""
    lines = ["", "In requests of users:"]
    for it in ended:
        mark = "✔" if it.ok else "✖"
        was = "promoted" if it.result == "promoted" else "rolled back"
        lines.append(
            f" {mark} {it.stage.headline}: {was} after {it.seconds:.1f} s; {it.requests} requests, "
            f"{it.failed} failed, {it.canary_requests} on {it.stage.version}"
        )
        lines.append(f"     {it.reason}: {it.message}")
    total, failed = sum(it.requests for it in ended), sum(it.failed for it in ended)
    lines.append(f" {total} requests in all, {failed} failed; {seconds:.0f} s")
    return "\n".join(lines)


def as_json(ended: list[Ended]) -> str:
    """Return the summary as JSON."""
    ok = bool(ended) and all(it.ok for it in ended)
    document: dict[str, Any] = {"stages": [it.as_json() for it in ended], "ok": ok}
    return json.dumps(document, indent=2)


def elapsed_since(start: float) -> float:
    """Return seconds since a `time.monotonic()`."""
    return time.monotonic() - start


def to_stderr(text: str) -> None:
    """Write a line where it does not mix with the answer."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command's progress
