"""The output formats of `status`: table, change line, JSON and YAML.

JSON is an API: members are added, never renamed or removed (`crossfade.dev/v1`). Tables are for
people and may change. A symbol never stands without its word, a colour never without both.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import click

from daemon.cli.status import (
    WITH_WEIGHT,
    Standing,
    Status,
    judgement_in_words,
    next_in_words,
)
from daemon.cli.text import aligned, bar, cut, plain, width, words
from daemon.core.model import Owned, Phase, Record
from daemon.core.record import format_time
from daemon.said import Said

API_VERSION: Final = "crossfade.dev/v1"
HEADINGS: Final = (
    "NAMESPACE",
    "ROLLOUT",
    "STATE",
    "VERSION",
    "TRAFFIC",
    "STEP",
    "NEXT",
    "WHY",
)
STATE_COLUMN: Final = HEADINGS.index("STATE")
LEAST_WHY: Final = 30
"""Cells of the last column that are shown even where the terminal has to wrap."""

SYMBOLS: Final = {
    Phase.IDLE: "✔",
    Phase.ROLLING_BACK: "✖",
    Phase.ROLLED_BACK: "✖",
    Standing.PAUSED: "⏸",
    Standing.HELD: "◌",
    Standing.BLOCKED: "!",
}
COLORS: Final = {"✔": "green", "✖": "red", "⏸": "yellow", "◌": "yellow", "!": "red", "●": "cyan"}


def use_color(*, no_color: bool) -> bool:
    """Colour only on a terminal, and only where nobody asked for none."""
    return sys.stdout.isatty() and not no_color and not os.environ.get("NO_COLOR")


def symbol(state: Phase | Standing) -> str:
    """Return the state's sign."""
    return SYMBOLS.get(state, "●")


def state_in_words(state: Phase | Standing) -> str:
    """Return sign and word."""
    return f"{symbol(state)} {words(state)}"


def versions_of(record: Record | None) -> str:
    """Tell the versions: `v1→v2`, or stable alone where nothing is under way."""
    if record is None:
        return "-"
    if record.canary is None or record.phase is Phase.IDLE:
        return record.stable
    return f"{record.stable}→{record.canary}"


def traffic_of(status: Status) -> str:
    """Draw the canary's share, as it is by the record; what the route says else is told."""
    record = status.record
    if record is None:
        return "-"
    if status.edited is not None:
        return _edited_traffic(record, status.edited)
    if record.phase is Phase.IDLE:
        return "-"
    of_version = f" of {record.canary}" if record.phase in WITH_WEIGHT else ""
    return f"{bar(record.weight)} {record.weight}%{of_version}"


def _edited_traffic(record: Record, owned: Owned) -> str:
    from daemon.cli.live_route import share_of
    from daemon.core.situation import owned_by, told

    share = share_of(owned, record)
    if share is None or record.phase is Phase.IDLE:
        return plain(f"{told(owned_by(record))} recorded, route says {told(owned)}")
    return f"{bar(share)} {record.weight}% recorded, route says {share}%"


def step_of(status: Status) -> str:
    """Tell the step: `3/5`, or its number alone where the policy is not known."""
    if status.step is None:
        return "-"
    return f"{status.step}/{status.steps}" if status.steps else str(status.step)


def table(
    statuses: Sequence[Status], now: datetime, *, color: bool, limit: int | None = None
) -> str:
    """Draw the table; a terminal's width cuts WHY, and the last judgement, which has a line."""
    cells = aligned([HEADINGS, *(_row(status, now) for status in statuses)])
    before = sum(width(cell) + 2 for cell in cells[0][:-1])
    lines = []
    for row, judged in zip(cells, ["", *_judged(statuses, now)], strict=True):
        why = row[-1].rstrip()
        row[-1] = why if limit is None else cut(why, max(limit - before, LEAST_WHY))
        if color:
            row[STATE_COLUMN] = _painted(row[STATE_COLUMN])
        lines.append("  ".join(row).rstrip())
        if judged:
            lines.append(judged if limit is None else cut(judged, limit))
    return "\n".join(lines)


def _judged(statuses: Sequence[Status], now: datetime) -> Iterator[str]:
    """The line below each row: it is newer than WHY, which is what was decided."""
    for status in statuses:
        judged = judgement_in_words(status, now)
        yield f"  {judged}" if judged else ""


def change_line(status: Status, now: datetime) -> str:
    """Tell one rollout on one line, for logs and pipes."""
    step = f"  step {step_of(status)}" if status.step else ""
    judged = judgement_in_words(status, now) if status.news or status.overdue else ""
    return (
        f"{format_time(now)}  {status.key}  {state_in_words(status.state)}  "
        f"{versions_of(status.record)}  {traffic_of(status)}{step}  {status.why}"
        f"{'; ' if judged else ''}{judged}"
    )


def _row(status: Status, now: datetime) -> tuple[str, ...]:
    return (
        status.key.namespace,
        status.key.name,
        state_in_words(status.state),
        versions_of(status.record),
        traffic_of(status),
        step_of(status),
        next_in_words(status.next, now),
        status.why,
    )


def _painted(cell: str) -> str:
    return click.style(cell, fg=COLORS[cell[0]]) if cell[0] in COLORS else cell


# ---------------------------------------------------------------- JSON


def as_json(statuses: Iterable[Status]) -> str:
    """Return the list as a document."""
    return json.dumps(as_list(statuses), indent=2, ensure_ascii=False)


def as_yaml(statuses: Iterable[Status]) -> str:
    """Return the same document as YAML."""
    import yaml

    document: str = yaml.safe_dump(as_list(statuses), sort_keys=False, allow_unicode=True)
    return document.rstrip()


def as_json_line(status: Status) -> str:
    """Return one rollout as a document on one line, for `--watch -o json`."""
    return json.dumps({"apiVersion": API_VERSION, "kind": "RolloutStatus", **_item(status)})


def as_list(statuses: Iterable[Status]) -> dict[str, Any]:
    """Return the list as plain values."""
    items = [_item(status) for status in statuses]
    return {"apiVersion": API_VERSION, "kind": "RolloutStatusList", "items": items}


def _item(status: Status) -> dict[str, Any]:
    kind, namespace, name = status.route
    return {
        "metadata": {"namespace": status.key.namespace, "name": status.key.name},
        "status": {
            "state": str(status.state),
            "ended": status.ended,
            "why": status.why,
            "judgement": status.said and _judgement(status.said),
            "drift": _drift(status),
            "step": status.step,
            "steps": status.steps,
            "next": _following(status),
            "route": {"kind": kind, "namespace": namespace, "name": name} if name else None,
            **(_members(status.record) if status.record else {"phase": None}),
        },
    }


def _judgement(said: Said) -> dict[str, Any]:
    return {
        "verdict": str(said.verdict),
        "reason": str(said.ground),
        "message": said.message,
        "weight": said.weight,
        "at": format_time(said.at),
    }


def _drift(status: Status) -> str | None:
    if status.edited is None or status.record is None:
        return None
    from daemon.core.situation import owned_by, told

    return f"the route says {told(status.edited)}, not {told(owned_by(status.record))}"


def _following(status: Status) -> dict[str, Any] | None:
    following = status.next
    if following is None:
        return None
    at = format_time(following.at) if following.at else None
    return {"what": following.what, "weight": following.weight, "at": at}


def _members(record: Record) -> dict[str, Any]:
    paused, held, confirmed = record.paused, record.held, record.confirmed
    promote = record.promote
    return {
        "phase": str(record.phase),
        "id": record.id,
        "stable": record.stable,
        "canary": record.canary,
        "revision": record.revision,
        "weight": record.weight,
        "since": format_time(record.since),
        "reason": str(record.reason),
        "message": record.message,
        "decision": record.decision,
        "lastConfirmed": confirmed and {"decision": confirmed.decision, "weight": confirmed.weight},
        "paused": paused
        and {"reason": paused.reason, "by": paused.by, "at": format_time(paused.at)},
        "held": held and {"reason": str(held.reason), "since": format_time(held.since)},
        "promote": promote
        and {"skip": list(promote.skip), "by": promote.by, "reason": promote.reason},
        "rejected": list(record.rejected),
        "deployments": list(record.deployments),
    }
