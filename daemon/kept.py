"""What is kept of a rollout's evidence, and what of it may be used again. Pure.

The judge's state, the journal and the last reading go into the target's ConfigMap in one write, so
they are of one moment: nothing is counted twice, and nothing between them is lost but by loss of
all. The ConfigMap can be written by others, so nothing in it is believed: what does not fit this
very rollout, stable and set of checks is lost, with a reason. That costs power, never safety.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from analysis.history import NOTHING_KNOWN, History
from analysis.journal import Journal, dump, load
from analysis.judge import JudgeSettings, JudgeState, begin
from analysis.memory import restore, save
from analysis.samples import Counters, Reading
from analysis.untrusted import MISSHAPEN
from daemon.core.model import Phase, Work
from daemon.said import Said, plain_of, said_in

LARGEST_LAST = 96 * 1024
"""Bytes of the last reading: some 200 pods with their buckets. Beyond it the next block begins
after a restart with a reading of its own."""

LONGEST_GAP = timedelta(minutes=2)
"""Between the last reading and the first one after a restart. Evidence is saved each minute at
least, and a restart takes seconds; what was away for longer is no block of one kind any more."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The evidence as the ConfigMap has it.

    Attributes:
        counts: the judge's state and the last reading, as plain data.
        journal: the journal's text; it stays after the rollout until the next one is judged.
    """

    counts: Mapping[str, Any] = field(default_factory=dict)
    journal: str = ""


NOTHING_KEPT = Kept()


@dataclass(frozen=True, slots=True)
class Last:
    """The last reading, for the next block to run from.

    Attributes:
        weight, decision: under which it will run; references of another weight are of no use.
        at: when it was read, by the API server's clock.
    """

    reading: Reading
    weight: float
    decision: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """A rollout's evidence between two looks."""

    state: JudgeState
    journal: Journal
    last: Last | None = None
    said: Said | None = None


def begin_evidence(
    settings: JudgeSettings, work: Work, now: datetime, *, past: History, again: int = 0
) -> Evidence:
    """Begin at E = 1. `again` counts how often evidence of this rollout was lost before."""
    journal = Journal(
        rollout=work.rollout,
        stable=work.stable,
        canary=work.canary or "",
        begun=now.timestamp(),
        stable_revision=work.stable_revision,
        revision=work.revision,
        past=past,
        again=again,
    )
    return Evidence(begin(settings, work.step, past), journal)


def keep(settings: JudgeSettings, evidence: Evidence) -> Kept:
    """Write everything down."""
    journal = evidence.journal
    counts: dict[str, Any] = {
        "rollout": journal.rollout,
        "stable": journal.stable_revision,
        "state": save(settings, evidence.state),
    }
    if evidence.said is not None:
        counts["said"] = plain_of(evidence.said)
    if evidence.last is not None:
        last = _plain(evidence.last)
        if len(json.dumps(last)) <= LARGEST_LAST:
            counts["last"] = last
    return Kept(counts, dump(settings, journal))


def take_up(
    settings: JudgeSettings, work: Work, kept: Kept, now: datetime, *, past: History = NOTHING_KNOWN
) -> tuple[Evidence, str]:
    """Go on with what was kept of this rollout, or begin, with the reason why anew.

    The reason is empty for evidence that goes on and for a rollout that begins.
    """
    if kept.counts.get("rollout") != work.rollout:
        over = work.step > 0 or work.phase is Phase.BAKING
        lost = "none is kept of this rollout, which is under way" if over else ""
        return begin_evidence(settings, work, now, past=past, again=int(over)), lost
    state = restore(settings, str(kept.counts.get("state")))
    journal = load(settings, kept.journal)
    lost = _lost(work, kept, state, journal)
    if state is None or journal is None or lost:
        again = journal.again + 1 if journal and journal.rollout == work.rollout else 1
        return begin_evidence(settings, work, now, past=past, again=again), lost
    last, said = _last(kept.counts.get("last")), said_in(kept.counts)
    return Evidence(state, journal, last, said), ""


def _lost(work: Work, kept: Kept, state: JudgeState | None, journal: Journal | None) -> str:
    if kept.counts.get("stable") != work.stable_revision:
        return f"stable is {work.stable_revision} now"
    if state is None:
        return "the judge's state is damaged, or of other checks"
    if journal is None:
        return "the journal is damaged or missing"
    if (journal.rollout, journal.stable_revision) != (work.rollout, work.stable_revision):
        return "the journal is of another rollout"
    return ""


def reference(last: Last | None, work: Work, first: Reading, now: datetime) -> Reading | None:
    """Return the kept reading on the scale of `first`, made at `now`, if a block may join them.

    That needs the same weight by the same decision all the time, and a gap that is no outage. A pod
    that was restarted meanwhile is seen by its counters.
    """
    if last is None or (last.weight, last.decision) != (work.weight, work.decision):
        return None
    gap = now - last.at
    if not timedelta(0) < gap <= LONGEST_GAP:
        return None
    return Reading(first.at - gap.total_seconds(), last.reading.pods)


# ---------------------------------------------------------------- the last reading as plain data


def _plain(last: Last) -> dict[str, Any]:
    bounds: list[tuple[float, ...]] = []
    pods: dict[str, dict[str, list[Any]]] = {}
    for version, counters in last.reading.pods.items():
        pods[version] = {}
        for pod, it in counters.items():
            known = tuple(it.within)
            if known not in bounds:
                bounds.append(known)
            line = [it.requests, it.failed, it.timed, bounds.index(known), *it.within.values()]
            pods[version][pod] = line
    return {
        "at": last.at.timestamp(),
        "weight": last.weight,
        "decision": last.decision,
        "bounds": bounds,
        "pods": pods,
    }


def _last(data: Any) -> Last | None:
    """Read it back; None where it is none. Its counts are checked when a block is made of them."""
    try:
        bounds = [tuple(map(_number, known)) for known in data["bounds"]]
        pods = {
            str(version): {str(pod): _counters(line, bounds) for pod, line in counters.items()}
            for version, counters in data["pods"].items()
        }
        at = datetime.fromtimestamp(_number(data["at"]), UTC)
        return Last(Reading(0.0, pods), _number(data["weight"]), _whole(data["decision"]), at)
    except (*MISSHAPEN, OSError):
        # Whatever shape somebody wrote there, it is no reading of ours.
        return None


def _counters(line: Any, bounds: list[tuple[float, ...]]) -> Counters:
    requests, failed, timed, place, *within = line
    known = bounds[_whole(place)]
    counts = zip(known, map(_number, within), strict=True)
    return Counters(_number(requests), _number(failed), dict(counts), _number(timed))


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError("not a number")
    return float(value)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value
