"""What a replay came to, in words and as JSON. Nothing is judged here.

JSON is an API: members are added, never renamed or removed.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from analysis import wording
from analysis.explanation import Looks
from analysis.journal import Entry
from analysis.peers import Rule, Tick
from daemon.cli.evidence_case import API_VERSION, Case
from daemon.cli.replay_rules import Judged, Otherwise, first_fail, first_pass, settings_in_words
from daemon.cli.text import aligned, plain, words

KIND: Final = "RolloutReplay"


def again(case: Case, judged: Judged) -> str:
    """Say whether the verdicts agree, and show where they changed."""
    lines = [_which(case, judged.looks)]
    if judged.differs is None:
        lines.append(f"All {len(judged.looks)} verdicts come out again as they were stored.")
    else:
        entry, judgement = judged.differs.entry, judged.differs.judgement
        lines.append(
            f"NOT as they were stored: from {_clock(entry.at)} on it is {judgement.verdict}"
            f" ({judgement.ground}), not {entry.verdict} ({entry.ground})."
        )
    return _text([*lines, "", *_changes(judged.looks)])


def what_if(case: Case, before: Judged, other: Otherwise) -> str:
    """Say what other rules would have said."""
    rules = ", ".join(f"{key}={value}" for key, value in other.rules.items())
    lines = [
        _which(case, before.looks),
        f"Judged with {rules} in place of {settings_in_words(case.settings)}:",
        f"  first fail: {_against(first_fail(other.looks), first_fail(before.looks))}",
        f"  first pass: {_against(first_pass(other.looks), first_pass(before.looks))}",
    ]
    lines += [f"  {it}" for it in _gates(other)]
    lines += [f"Note: {caveat}." for caveat in other.caveats]
    return _text([*lines, "", *_changes(other.looks)])


def peer(case: Case, before: Judged, by: tuple[Rule, Sequence[Tick]]) -> str:
    """Say what a peer's rule would have said."""
    rule, ticks = by
    lines = [
        _which(case, before.looks),
        _rule(rule),
        f"  {rule.name}: {_peer_end(ticks)}",
        f"  Crossfade: {_our_end(before)}",
        "Note: re-stated from reading its source, not run; on the counts of this rollout.",
        "Note: it would have set other weights, whose traffic was never observed.",
    ]
    if not ticks:
        return _text(lines)
    rows: list[tuple[str, ...]] = [("TIME", "LAST MINUTE", "CHECK"), *map(_tick, ticks)]
    return _text([*lines, "", *("  ".join(row).rstrip() for row in aligned(rows))])


def _rule(rule: Rule) -> str:
    back = f"at failed check {rule.most + 1}"
    if not rule.at_once:
        back = f"one check after {rule.most} failed ones"
    return (
        f"{rule.name}: success rate of the canary's last minute at least"
        f" {wording.percent(1 - rule.limit)}, every {rule.interval:.0f} s; rolls back {back}."
    )


# ---------------------------------------------------------------- pieces


def _which(case: Case, looks: Looks) -> str:
    journal = case.journal
    head = f"{case.key} {journal.stable} → {journal.canary}, rollout {journal.rollout}"
    if not looks:
        return f"{head}: no look was taken"
    first, last = looks[0][0].at, looks[-1][0].at
    gone = f" ({journal.gone.looks} earlier ones are gone)" if journal.gone.looks else ""
    return f"{head}: {len(looks)} looks from {_time(first)} to {_clock(last)}{gone}"


def _changes(looks: Looks) -> Iterator[str]:
    """Show the looks at which weight, verdict or ground changed."""
    told: tuple[object, ...] = ()
    for entry, _, it in looks:
        news = (entry.weight, it.verdict, it.ground)
        if news != told:
            told = news
            verdict = f"{words(it.verdict)} ({words(it.ground)})"
            yield f"{_clock(entry.at)}  {entry.weight:>4g}%  {verdict}: {it.message}"


def _against(now: Entry | None, before: Entry | None) -> str:
    match now, before:
        case None, None:
            return "none, as before"
        case None, Entry():
            return f"none; before {_clock(before.at)}"
        case Entry(), None:
            return f"{_clock(now.at)}, at {now.weight:g}%; before none"
        case Entry(), Entry():
            later = now.at - before.at
            if not later:
                return f"{_clock(now.at)}, at {now.weight:g}%, as before"
            moved = f"{abs(later):.0f} s {'later' if later > 0 else 'sooner'}"
            return f"{_clock(now.at)}, at {now.weight:g}%, {moved}"
    raise AssertionError("there is no other case")


def _gates(other: Otherwise) -> Iterator[str]:
    for gate in other.gates:
        if gate.at is not None:
            yield f"{gate.weight:g}% allowed by evidence at {_clock(gate.at)}"
        else:
            yield f"{gate.weight:g}% never allowed by evidence: {gate.judgement.message}"


def _tick(tick: Tick) -> tuple[str, ...]:
    check = f"failed ({tick.failed_checks} so far)" if tick.fails else "passed"
    if tick.rolls_back:
        check = f"{check}, rolls back" if tick.fails else "rolls back"
    return _clock(tick.at), f"{wording.part(tick.failed, tick.requests)} failed", check


def _peer_end(ticks: Sequence[Tick]) -> str:
    if not ticks:
        return "no check: the rollout shared the traffic for less than one interval"
    if ticks[-1].rolls_back:
        return f"rolls back at {_clock(ticks[-1].at)}"
    failed = f"{ticks[-1].failed_checks} of {len(ticks)} checks failed"
    return f"has not rolled back by {_clock(ticks[-1].at)}, where it last looked ({failed})"


def _our_end(judged: Judged) -> str:
    entry = first_fail(judged.looks)
    return f"fails it at {_clock(entry.at)}" if entry else "does not fail it"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(plain(line) for line in lines).rstrip()


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}Z"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


# ---------------------------------------------------------------- JSON


def again_as_json(case: Case, judged: Judged) -> str:
    """Return the document of a replay."""
    return _json(case, {"agrees": judged.differs is None, "looks": _plain(judged.looks)})


def what_if_as_json(case: Case, before: Judged, other: Otherwise) -> str:
    """Return the document of other rules."""
    return _json(
        case,
        {
            "agrees": before.differs is None,
            "whatIf": dict(other.rules),
            "caveats": list(other.caveats),
            "gates": [{"weight": it.weight, "at": it.at} for it in other.gates],
            "looks": _plain(other.looks),
        },
    )


def peer_as_json(case: Case, before: Judged, by: tuple[Rule, Sequence[Tick]]) -> str:
    """Return the document of a peer's rule."""
    rule, ticks = by
    ours = first_fail(before.looks)
    return _json(
        case,
        {
            "as": rule.name,
            "checks": [
                {
                    "at": it.at,
                    "requests": it.requests,
                    "failed": it.failed,
                    "fails": it.fails,
                    "failedChecks": it.failed_checks,
                    "rollsBack": it.rolls_back,
                }
                for it in ticks
            ],
            "failedAt": ours.at if ours else None,
        },
    )


def _json(case: Case, replay: dict[str, Any]) -> str:
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"namespace": case.key.namespace, "name": case.key.name},
        "replay": {"rollout": case.journal.rollout, **replay},
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _plain(looks: Looks) -> list[dict[str, Any]]:
    return [
        {
            "at": entry.at,
            "weight": entry.weight,
            "verdict": str(it.verdict),
            "ground": str(it.ground),
            "stored": [str(entry.verdict), str(entry.ground)],
            "message": it.message,
        }
        for entry, _, it in looks
    ]
