"""What a person or a program is told about a rollout: one value, whatever the output format.

Pure: from a record, its evidence and the time to the words of the screen. What cannot be known
here is None, never guessed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from analysis.ramp import timetable_of
from daemon.cli.evidence import Evidence
from daemon.cli.find import ENDED, Found
from daemon.cli.text import ago, countdown, plain, words
from daemon.core.model import Damaged, Owned, Pause, Phase, Record, TargetKey
from daemon.core.reasons import Reason
from daemon.core.weights import FULL
from daemon.said import Said

SAVED_WITHIN = timedelta(minutes=3)
"""The daemon saves what it judged once a minute at least; an interval or two come on top."""
WAITS_FOR_RESUME = (Reason.ROUTE_EDITED,)
TOLD_BY_THE_JUDGE = (
    Reason.NO_DATA,
    Reason.TOO_FEW_REQUESTS,
    Reason.PROVIDER_DOWN,
    Reason.UNDECIDED,
)
"""Why a rollout is held, where the last judgement has the sentence."""
WITH_WEIGHT = (Phase.SHIFTING, Phase.BAKING, Phase.FINALISING, Phase.RETIRING)
ON_STEPS = (Phase.SHIFTING, Phase.BAKING)


class Standing(StrEnum):
    """What overrides the phase in the column STATE."""

    PAUSED = "Paused"
    HELD = "Held"
    BLOCKED = "Blocked"


@dataclass(frozen=True, slots=True)
class Next:
    """What happens next if nothing speaks against it, and when at the soonest (None: unknown)."""

    what: str
    at: datetime | None = None
    weight: float | None = None


WAITING = Next("waits for: resume")


@dataclass(frozen=True, slots=True)
class Status:
    """One rollout, told.

    Attributes:
        state: a phase, or the standing that overrides it.
        record: None where it cannot be read.
        step, steps: from 1; None where there is no step, or where the policy is not known.
        why: the deciding sentence, safe for a terminal.
        edited: what the route object says, where that is not the record's split.
        said: the last judgement that was saved of a rollout under way.
        overdue: whether one should have been saved since.
    """

    key: TargetKey
    state: Phase | Standing
    record: Record | None
    step: int | None
    steps: int | None
    next: Next | None
    why: str
    route: tuple[str, str, str]
    edited: Owned | None = None
    said: Said | None = None
    overdue: bool = False

    @property
    def news(self) -> Said | None:
        """The judgement of the weight in force: one of an earlier weight is in `why` already."""
        if self.said is None or self.record is None or self.said.weight != self.record.weight:
            return None
        return self.said

    @property
    def ended(self) -> bool:
        """Whether nothing will happen without a new version or a person."""
        waits = self.state in (Standing.PAUSED, Standing.BLOCKED)
        return waits or (self.record is not None and self.record.phase in ENDED)


def status_of(found: Found, now: datetime) -> Status:
    """Tell what is known about a target."""
    route = (found.resource.kind, found.namespace, found.name)
    record = found.record
    if not isinstance(record, Record):
        return Status(found.key, Standing.BLOCKED, None, None, None, None, _lost(record), route)
    evidence = found.evidence
    on_step = record.phase in ON_STEPS and not (evidence and evidence.by_budget)
    said = evidence.said_of(record) if evidence and record.phase in ON_STEPS else None
    return Status(
        key=found.key,
        state=_state(record),
        record=record,
        step=record.step + 1 if on_step else None,
        steps=len(evidence.steps) or None if evidence and on_step else None,
        next=_held_back(record, _next(record, evidence)),
        why=plain(_why(record, now, route)),
        route=route,
        edited=_edited(found),
        said=said,
        overdue=said is not None and _is_overdue(said, evidence, now),
    )


def _edited(found: Found) -> Owned | None:
    if found.obj is None or found.evidence is None:
        return None
    from daemon.cli.live_route import edited

    return edited(found)


def _is_overdue(said: Said, evidence: Evidence | None, now: datetime) -> bool:
    interval = (evidence.interval if evidence else None) or timedelta()
    return now - said.at > SAVED_WITHIN + 2 * interval


def _lost(record: Damaged | None) -> str:
    if record is None:
        return "the record on the route is lost: crossfade abort, or resume to go on from here"
    return plain(f"the record on the route {record.why}; mend or remove the annotation")


def _state(record: Record) -> Phase | Standing:
    if record.paused is not None and record.phase is not Phase.ROLLED_BACK:
        return Standing.PAUSED
    return Standing.HELD if record.held is not None else record.phase


def _why(record: Record, now: datetime, route: tuple[str, str, str]) -> str:
    if record.paused is not None and record.phase is not Phase.ROLLED_BACK:
        by = f" by {record.paused.by}" if record.paused.by else ""
        return f"paused{by} {ago(record.paused.at, now)}: {pause_in_words(record.paused)}"
    if record.held is not None:
        held = f"{words(record.held.reason)} for {countdown(now - record.held.since)}"
        return f"{held} ({words(record.phase)}){_where_told(record.held.reason, route)}"
    said = record.message or words(record.reason)
    return f"{said} ({ago(record.since, now)})" if record.phase in ENDED else said


def pause_in_words(paused: Pause) -> str:
    """A person's own words, or one of our reasons."""
    return words(paused.reason) if paused.reason in set(Reason) else paused.reason


def _where_told(reason: Reason, route: tuple[str, str, str]) -> str:
    """Say where the sentence is that a record has no room for."""
    if reason in WAITS_FOR_RESUME:
        return ": resume writes the recorded split again"
    if reason in TOLD_BY_THE_JUDGE:
        return ""
    kind, namespace, name = route
    return f": kubectl describe -n {namespace} {kind.lower()} {name}"


def _held_back(record: Record, following: Next | None) -> Next | None:
    """Promise no time while something holds the rollout."""
    if following is None or record.held is None or record.paused is not None:
        return following
    if record.held.reason in WAITS_FOR_RESUME:
        return WAITING
    if following.at is None:
        return following
    return Next(f"{following.what} once that ends", weight=following.weight)


def _next(record: Record, evidence: Evidence | None) -> Next | None:
    if record.paused is not None:
        return WAITING
    match record.phase:
        case Phase.PREPARING:
            return Next("smoke once its pods are ready")
        case Phase.SMOKE:
            return Next("first step once smoke passes")
        case Phase.SHIFTING:
            return _next_step(record, evidence)
        case Phase.BAKING:
            return Next("promoted", _end(record, evidence, evidence.bake if evidence else None))
        case Phase.FINALISING | Phase.ROLLING_BACK:
            return Next("done once the gateway serves it")
        case Phase.RETIRING:
            return Next("old version retired", _retired_at(record, evidence))
        case _:
            return None


def _next_step(record: Record, evidence: Evidence | None) -> Next | None:
    if evidence is not None and evidence.by_budget:
        return _next_by_budget(record, evidence)
    if evidence is None or not record.step + 1 < len(evidence.steps):
        return None
    weight = evidence.steps[record.step + 1].weight
    end = _end(record, evidence, evidence.steps[record.step].hold)
    return Next(f"{weight}%", end, weight=weight)


def _next_by_budget(record: Record, evidence: Evidence) -> Next:
    """Tell the timetable's next weight; the evidence may allow more at any look."""
    begun = record.ramp_since or (evidence.confirmed_at(record) if record.weight else None)
    planned = [(it.weight, it.hold) for it in evidence.steps]
    if begun is None or any(hold is None for _, hold in planned):
        return Next("as much as the evidence allows")
    timetable = timetable_of([(weight, hold.total_seconds()) for weight, hold in planned if hold])
    later = [(at, weight) for at, weight in timetable.steps if weight > record.weight]
    seconds, weight = later[0] if later else (timetable.ends, FULL)
    what = f"at least {weight}%" if later else f"{FULL}%"
    return Next(what, begun + timedelta(seconds=seconds), weight=weight)


def _end(record: Record, evidence: Evidence | None, hold: timedelta | None) -> datetime | None:
    """A hold runs from the proof of this very decision; without one it has not begun."""
    confirmed_at = evidence.confirmed_at(record) if evidence else None
    return None if confirmed_at is None or hold is None else confirmed_at + hold


def _retired_at(record: Record, evidence: Evidence | None) -> datetime | None:
    keep = evidence.keep_old if evidence else None
    return None if keep is None else record.since + keep


def judgement_in_words(status: Status, now: datetime) -> str:
    """Tell the last judgement and how old it is; empty where none is known."""
    said = status.said
    if said is None:
        return ""
    late = ", and nothing was saved since: does the daemon run?" if status.overdue else ""
    return plain(
        f"judged {ago(said.at, now)} at {said.weight:g}%{late}:"
        f" {words(said.verdict)} ({words(said.ground)}): {said.message}"
    )


def next_in_words(following: Next | None, now: datetime) -> str:
    """Tell what comes next: `50% in 3m12s`, `50% when the checks allow`, or `-`."""
    if following is None:
        return "-"
    if following.at is None:
        return following.what
    left = following.at - now
    return f"{following.what} " + (
        f"in {countdown(left)}" if left > timedelta() else "when the checks allow"
    )
