"""The report's sentences: the verdict in counts, what it rests on, and what could not be seen.

Plain text; whoever shows it escapes it. Nothing is judged here.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from analysis import wording
from analysis.explanation import Leave, Measure, Raise
from analysis.history import History
from analysis.journal import Unread
from analysis.samples import FAILED
from analysis.settings import BETA
from analysis.verdict import Verdict
from daemon.report.plot import clock
from daemon.report.story import Change, Outcome, Story

SYMBOLS: Final = {
    Outcome.ROLLED_BACK: "✖",
    Outcome.FAILED: "✖",
    Outcome.PROMOTED: "✔",
    Outcome.UNDER_WAY: "●",
}
ENOUGH_TO_FEEL: Final = 0.5
"""Requests in excess; below, nobody was affected as far as counts tell."""


def headline(story: Story) -> str:
    """Say what became of the new version, when and at which weight."""
    after, last = duration(story.last.at), story.last
    match story.outcome:
        case Outcome.ROLLED_BACK:
            return f"Rolled back {story.canary} after {after} at {weight(last.entry.weight)}"
        case Outcome.FAILED:
            failed = story.deciding
            at = weight(failed.entry.weight)
            return f"{story.canary} failed after {duration(failed.at)} at {at}"
        case Outcome.PROMOTED:
            return f"Promoted {story.canary} after {after}, {by_what(story)}"
        case Outcome.UNDER_WAY:
            return f"{story.canary} is at {weight(last.entry.weight)}, {after} after its first look"


def by_what(story: Story) -> str:
    """Say whether the evidence or the timetable promoted it."""
    move = story.to_everybody
    if move is None:
        return "by request"
    return {
        Leave.EVIDENCE: "by evidence",
        Leave.BUDGET: "by budget",
        Leave.TIMETABLE: "by timetable, undecided",
    }.get(move.leave, "by request")


def verdict(story: Story) -> Iterator[str]:
    """Say in sentences what decided, how sure that is, and what users felt."""
    yield _decided(story)
    yield from _waits(story)
    yield from _sure(story)
    yield users(story)


def _decided(story: Story) -> str:
    seen, record = story.deciding, story.record
    told = sentence(seen.judgement.message)
    if seen.judgement.verdict is Verdict.FAIL:
        return told
    if story.outcome is Outcome.ROLLED_BACK and record and record.message:
        return sentence(record.message)
    return told


def _waits(story: Story) -> Iterator[str]:
    """Say what a rollout under way waits for, besides time."""
    record = story.record
    if record is None or story.outcome is not Outcome.UNDER_WAY:
        return
    if record.paused is not None:
        by = f" by {record.paused.by}" if record.paused.by else ""
        yield sentence(f"Paused{by}: {record.paused.reason}")
    if record.held is not None:
        yield f"Held: {record.held.reason}, since {moment(record.held.since.timestamp())}."


def _sure(story: Story) -> Iterator[str]:
    seen, alpha = story.deciding, story.case.settings.alpha
    if seen.judgement.verdict is Verdict.FAIL:
        yield (
            "If the canary were no worse than is tolerated, evidence this strong would turn"
            f" up in fewer than 1 of {1 / alpha:,.0f} rollouts."
        )
        return
    move = story.to_everybody if story.outcome is Outcome.PROMOTED else None
    if move is not None and move.leave is Leave.EVIDENCE and move.excess < 1:
        yield (
            f"An excess failure rate above {wording.percent(move.excess)} is ruled out at"
            f" {wording.percent(1 - BETA)}, after {wording.counted(move.requests)} canary"
            " requests."
        )
    elif move is not None and move.leave is Leave.TIMETABLE:
        yield f"Nothing spoke against it, and nothing proves it: {blind(move)}."


def blind(move: Raise) -> str:
    """Say what so many requests could not have shown."""
    requests = f"{wording.counted(move.requests)} canary requests"
    if move.blind is None:
        return f"{requests} could not have shown even a canary that fails everything"
    points = wording.percent(move.blind).removesuffix(" %")
    return f"{requests} could have missed an excess of less than {points} percentage points"


def users(story: Story) -> str:
    """Say what users felt."""
    told, slow = story.explained.users, loudest(story)
    if slow is not None and slow.bound != FAILED:
        return _slowed(story, slow)
    if not told.requests:
        return f"No request to {story.canary} was counted."
    reached = f"{wording.counted(told.requests)} requests reached {story.canary}"
    if not told.failed:
        return f"{reached}, none failed."
    failed = f"{reached}, {wording.counted(told.failed)} failed"
    if told.excess < ENOUGH_TO_FEEL:
        return f"{failed}, no more than {story.stable} would have."
    if story.outcome in (Outcome.ROLLED_BACK, Outcome.FAILED):
        about = wording.counted(round(told.excess))
        return f"{failed}: about {about} more than {story.stable} would have."
    usual = wording.counted(round(told.failed - told.excess))
    return f"{failed}; {story.stable} would have failed about {usual} of as many."


def _slowed(story: Story, slow: Measure) -> str:
    counts = slow.counts
    usual = counts.stable_bad / counts.stable if counts.stable else 0.0
    excess = max(counts.canary_bad - usual * counts.canary, 0.0)
    return (
        f"{wording.counted(counts.canary)} requests reached {story.canary}: about"
        f" {wording.counted(round(excess))} more than on {story.stable} took longer than"
        f" {wording.seconds(slow.bound)}."
    )


def loudest(story: Story) -> Measure | None:
    """Return what spoke loudest against the canary, where that decided."""
    deciding = [it for it in story.explained.measures if it.decides]
    failed = story.deciding.judgement.verdict is Verdict.FAIL
    return max(deciding, key=lambda it: it.log_e, default=None) if failed else None


# ---------------------------------------------------------------- facts


def how(it: Raise) -> str:
    """Say what let the weight rise."""
    match it.leave:
        case Leave.START:
            return "the first weight"
        case Leave.EVIDENCE if it.excess < 1:
            return f"by evidence: an excess above {wording.percent(it.excess)} is ruled out"
        case Leave.EVIDENCE:
            return "by evidence: each check is shown to keep its limit"
        case Leave.BUDGET if it.excess < 1:
            return f"by budget: an excess above {wording.percent(it.excess)} is ruled out"
        case Leave.BUDGET:
            return "by budget: affordable even if the canary fails everything"
        case Leave.TIMETABLE:
            return f"by timetable, undecided: {blind(it)}"
        case Leave.OTHER:
            return "by request or policy" + (f", while {it.ground}" if it.ground else "")


def beginning(story: Story) -> Iterator[str]:
    """Say where the evidence begins, and what is missing of it."""
    journal = story.case.journal
    yield f"The evidence begins at {moment(journal.begun)}, {past(journal.past)}."
    if journal.again:
        times = "once" if journal.again == 1 else f"{journal.again} times"
        yield (
            f"It was lost and begun anew {times} in this rollout: the bound on false rollbacks"
            " holds for each part by itself."
        )
    if journal.gone.looks:
        gone = journal.gone
        yield (
            f"{wording.counted(gone.looks)} earlier looks are kept as sums only: canary"
            f" failed {wording.part(gone.canary_failed, gone.canary)}, stable"
            f" {wording.part(gone.stable_failed, gone.stable)}. Pictures begin after them."
        )
    if story.explained.unread:
        yield (
            f"{story.explained.unread} looks brought nothing; the last one said:"
            f" {story.explained.problem}"
        )
    differs = story.explained.differs
    if differs is None:
        yield "Judged again from these counts, every verdict comes out as it was stored."
    else:
        yield (
            f"Judged again, the verdicts differ from {moment(differs.entry.at)} on: stored"
            f" {differs.entry.verdict} ({differs.entry.ground}), now {differs.judgement.verdict}"
            f" ({differs.judgement.ground}). Another version of Crossfade judged it, or it was"
            " edited since."
        )


def past(history: History) -> str:
    """Say how much was known of the old version."""
    if not history.requests:
        return "without a history of stable"
    failed = wording.part(history.bad.get(FAILED, 0), history.requests)
    return f"after {duration(history.seconds)} of history, in which stable failed {failed}"


def changed(change: Change) -> str:
    """Say what a look changed."""
    seen, before = change.seen, change.before
    parts = []
    if "weight" in change.what and before:
        parts.append(f"weight {weight(before.entry.weight)} → {weight(seen.entry.weight)}")
    if "verdict" in change.what:
        parts.append(f"{seen.judgement.verdict}, {seen.judgement.ground}")
    if "excess" in change.what and seen.exposure:
        parts.append(f"excess above {wording.percent(seen.exposure.excess)} ruled out")
    if "restart" in change.what:
        parts.append("a pod of the canary restarted")
    return "; ".join(parts)


def told(change: Change) -> str:
    """Return what the judge said at that look."""
    read = change.seen.entry.read
    return read.message if isinstance(read, Unread) else change.seen.judgement.message


# ---------------------------------------------------------------- small pieces


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def weight(percent: float) -> str:
    """`5 %`, `0.35 %`."""
    return f"{percent:g} %"


def duration(seconds: float) -> str:
    """`17 s`, `2 min 25 s`, `1 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole // 60, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def moment(at: float) -> str:
    """`2026-11-23 14:01:52 UTC`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def since(seconds: float) -> str:
    """The time since the beginning, as on the axes."""
    return clock(seconds)
