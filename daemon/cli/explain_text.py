"""An explanation in words: the verdict in counts first, then what it rests on.

Pure: from a case and its explanation to lines. Nothing is judged here; foreign text (names, a
provider's error) is made safe for a terminal. Times are UTC, as in the record.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Final

from analysis import wording
from analysis.bands import Band
from analysis.explanation import Explanation, Leave, Measure, Raise
from analysis.history import History
from analysis.journal import Journal
from analysis.samples import FAILED
from analysis.verdict import Verdict
from config.quantities import format_duration
from config.schema import Metrics, Rollout
from daemon.cli.evidence_case import Case
from daemon.cli.status import pause_in_words
from daemon.cli.text import aligned, countdown, plain, words
from daemon.core.model import Phase, Record

HEADINGS: Final = (
    "CHECK",
    "CANARY",
    "STABLE",
    "TIMES STABLE'S (95 %)",
    "LIMIT",
    "EVIDENCE ALONE",
)
INDENT: Final = "  "


def text_of(case: Case, explained: Explanation | None) -> str:
    """Return the whole answer."""
    lines = [headline(case, explained)]
    if explained is None:
        return f"{lines[0]}\n{INDENT}No look has been taken yet."
    lines += [INDENT + line for line in _body(case, explained)]
    return "\n".join(plain(line).rstrip() for line in lines)


def headline(case: Case, explained: Explanation | None) -> str:
    """Say what became of the rollout, when, and how far it got."""
    journal, record = case.journal, case.record
    which = f"{case.key} {journal.stable} → {journal.canary}"
    most = max((it.weight for it in explained.raises), default=0) if explained else 0
    if record is None or record.id != journal.rollout:
        return f"Rollout {journal.rollout} of {which}, up to {_weight(most)}"
    after = timedelta(seconds=max(record.since.timestamp() - journal.begun, 0))
    when = f"at {_time(record.since.timestamp())}, {countdown(after)} after its evidence began"
    match record.phase:
        case Phase.ROLLED_BACK | Phase.ROLLING_BACK:
            done = "Rolled back" if record.phase is Phase.ROLLED_BACK else "Rolling back"
            return f"✖ {done} {which} {when}, at {_weight(most)}"
        case Phase.IDLE if record.stable != journal.canary:
            return f"✖ Not promoted: {which}, over {when}"
        case Phase.IDLE:
            return f"✔ Promoted {which}; {journal.stable} retired {when}"
        case Phase.RETIRING | Phase.FINALISING:
            return f"✔ Promoted {which} {when}"
        case phase:
            standing = f"{words(phase)} at {_weight(record.weight)} since {_time_of(record)}"
            return f"● {which}, {standing}{_waits(record)}"


def _waits(record: Record) -> str:
    """Say what keeps a rollout where it is."""
    if record.paused is not None:
        by = f" by {record.paused.by}" if record.paused.by else ""
        at = _time(record.paused.at.timestamp())
        return f", paused{by} at {at}: {pause_in_words(record.paused)}"
    if record.held is not None:
        at = _time(record.held.since.timestamp())
        return f", held since {at}: {words(record.held.reason)}"
    return ""


def _body(case: Case, explained: Explanation) -> Iterator[str]:
    yield from _why(case, explained)
    yield from _verdict(case, explained)
    yield ""
    yield from _table(explained.measures)
    for finding in explained.rest:
        told = "" if finding.decides else " (observed only)"
        yield f"{finding.check}{told}: {words(finding.verdict)}: {finding.message}"
    yield ""
    yield _users(case, explained)
    yield from labelled("Weights", [_raise(it) for it in explained.raises])
    yield from labelled("Evidence", _beginning(case.journal, explained))
    yield from labelled("Read", list(sources(case.rollout)))
    yield f"Replay:   {replayed(explained)}"


def _why(case: Case, explained: Explanation) -> Iterator[str]:
    """The record's own sentence, where it is another one than the judge's."""
    record = case.record
    if record is None or record.id != case.journal.rollout or not record.message:
        return
    told = record.message.removesuffix("...")
    if told not in explained.judgement.message and explained.judgement.message not in told:
        yield f"Why: {record.message}"
    if record.promote is not None and record.promote.skip:
        by = f" by {record.promote.by}" if record.promote.by else ""
        names = ", ".join(record.promote.skip)
        yield f'Without {names}, which was skipped{by}: "{record.promote.reason}"'


def labelled(label: str, lines: Sequence[str]) -> Iterator[str]:
    """Lay out a label and its lines."""
    for number, line in enumerate(lines):
        head = f"{label}:" if number == 0 else ""
        yield f"{head:<10}{line}"


def _verdict(case: Case, explained: Explanation) -> Iterator[str]:
    judgement, decisive = explained.judgement, explained.decisive
    if judgement.verdict is Verdict.FAIL:
        deciding = [it for it in judgement.findings if it.decides and it.verdict is Verdict.FAIL]
        name = deciding[0].check if deciding else "the checks"
        yield (
            f"Decided by {name} at {_time(decisive.at)}, at {_weight(decisive.weight)}:"
            f" {judgement.message}"
        )
        one_in = f"{1 / case.settings.alpha:,.0f}"
        yield (
            "If the canary kept its limits, evidence this strong would turn up in fewer than 1 of"
            f" {one_in} rollouts."
        )
        return
    yield f"Last look at {_time(decisive.at)}, at {_weight(decisive.weight)}:"
    yield f"{words(judgement.verdict)} ({words(judgement.ground)}): {judgement.message}"


# ---------------------------------------------------------------- the table


def _table(measures: Sequence[Measure]) -> Iterator[str]:
    shown = [it for it in measures if it.band is not None or it.limit is not None]
    if not shown:
        return
    for row in aligned([HEADINGS, *map(_row, shown)]):
        yield "  ".join(row).rstrip()
    more = len(measures) - len(shown)
    if more:
        yield f"and {more} more latency bounds with less evidence (-o json)"


def _row(measure: Measure) -> tuple[str, ...]:
    counts = measure.counts
    observed = "" if measure.decides else " (observed)"
    return (
        f"{name_of(measure)}{observed}",
        _part(counts.canary_bad, counts.canary),
        _part(counts.stable_bad, counts.stable),
        times(measure),
        limit_of(measure),
        wording.odds(measure.log_e),
    )


def name_of(measure: Measure) -> str:
    """Say what is counted: a check's name, and the bound of slow requests."""
    if measure.bound == FAILED:
        return measure.check
    return f"{measure.check} > {wording.seconds(measure.bound)}"


def _part(bad: int, total: int) -> str:
    share = f" ({wording.percent(bad / total)})" if total else ""
    return f"{wording.counted(bad)} of {wording.counted(total)}{share}"


def times(measure: Measure) -> str:
    """Say how many times stable's rate the canary's is, and what is not ruled out."""
    if measure.band is None:
        return "-"
    counts = measure.counts
    if not counts.stable_bad and measure.band.low < (measure.ratio or 1.0):
        # No multiple of nothing: a band that leaves everything open would belie the evidence.
        return "- (stable had none)"
    ratio = "-"
    if counts.stable_bad and counts.canary:
        ratio = f"{counts.canary_bad / counts.canary * counts.stable / counts.stable_bad:.2g}x"
    return f"{ratio} {band_in_words(measure.band)}"


def band_in_words(band: Band) -> str:
    """`[1.9x .. 4.9x]`, or the half of it that is known."""
    match band.low > 0, band.high < inf:
        case True, True:
            return f"[{band.low:g}x .. {band.high:g}x]"
        case True, False:
            return f"[{band.low:g}x or more]"
        case False, True:
            return f"[up to {band.high:g}x]"
        case _:
            return "[not known yet]"


def limit_of(measure: Measure) -> str:
    """Say what is no regression, or the limit."""
    if measure.limit is not None:
        return wording.percent(measure.limit)
    points = f" + {measure.tolerance * 100:g} pp" if measure.tolerance else ""
    return f"{measure.ratio:g}x{points}"


# ---------------------------------------------------------------- users, weights, evidence


def _users(case: Case, explained: Explanation) -> str:
    users = explained.users
    reached = f"Users:    {wording.counted(users.requests)} requests reached {case.journal.canary}"
    if not users.failed:
        return f"{reached}, none failed."
    more = wording.counted(round(users.excess))
    told = f"about {more} more than {case.journal.stable} fails" if users.excess >= 0.5 else ""
    return f"{reached}, {wording.counted(users.failed)} failed{f', {told}' if told else ''}."


def affordable(it: Raise) -> str:
    """Say why a ramp by budget went on without a Pass."""
    if it.excess < 1:
        return f"an excess above {wording.percent(it.excess)} was excluded: the budget afforded it"
    return "the budget afforded it, even if the canary had failed everything"


def _raise(it: Raise) -> str:
    start = f"{_weight(it.weight):>4} from {_clock(it.at)}: "
    match it.leave:
        case Leave.START:
            return f"{start}the first weight"
        case Leave.EVIDENCE:
            why = "each check was shown to keep its limit"
            if it.excess < 1:
                why = f"an excess above {wording.percent(it.excess)} was excluded"
            return f"{start}{why}, after {wording.counted(it.requests)} canary requests"
        case Leave.BUDGET:
            return f"{start}{affordable(it)}"
        case Leave.TIMETABLE:
            return f"{start}by timetable, undecided: {blind(it)}"
        case Leave.OTHER:
            ground = f", while {words(it.ground)}" if it.ground else ""
            return f"{start}by request or policy{ground}"


def blind(it: Raise) -> str:
    """Say what so many requests could not have shown."""
    requests = f"{wording.counted(it.requests)} canary requests"
    if it.blind is None:
        return f"{requests} could not have shown even a canary that fails everything"
    points = f"+{it.blind * 100:.2g} pp"
    return f"{requests} could not have shown less than {points} in nine rollouts of ten"


def _beginning(journal: Journal, explained: Explanation) -> list[str]:
    lines = [f"begins {_time(journal.begun)}, {history_in_words(journal.past)}"]
    if journal.again:
        count = "once" if journal.again == 1 else f"{journal.again} times"
        lines[0] += (
            f"; it was lost and begun anew {count} in this rollout, so the bound on false failures"
            " holds for each part"
        )
    looks = f"{explained.looks} looks from {_clock(explained.first)} to {_clock(explained.last)}"
    if explained.unread:
        looks += f"; {explained.unread} brought nothing: {explained.problem}"
    lines.append(looks)
    if journal.gone.looks:
        gone = journal.gone
        lines.append(
            f"{gone.looks} earlier looks are kept as sums only: canary failed"
            f" {wording.part(gone.canary_failed, gone.canary)}, stable"
            f" {wording.part(gone.stable_failed, gone.stable)}"
        )
    return lines


def history_in_words(past: History) -> str:
    """Say how much was known of stable."""
    if not past.requests:
        return "without a history of stable"
    bad = past.bad.get(FAILED, 0)
    minutes = countdown(timedelta(seconds=past.seconds))
    return f"with {minutes} of stable's history: {wording.part(bad, past.requests)} failed"


def replayed(explained: Explanation) -> str:
    """Say whether the verdicts come out again."""
    if explained.differs is None:
        return f"all {explained.looks} verdicts come out again as they were stored."
    entry, judgement = explained.differs.entry, explained.differs.judgement
    return (
        f"DIFFERS from {_time(entry.at)} on: stored {entry.verdict} ({entry.ground}), now"
        f" {judgement.verdict} ({judgement.ground}); judged by another version of Crossfade, or"
        " edited since"
    )


# ---------------------------------------------------------------- where the numbers come from


def sources(rollout: Rollout) -> Iterator[str]:
    """Say which query or page was read."""
    interval = format_duration(rollout.analysis.interval)
    yield f"{_counters(rollout.metrics)}, every {interval}"
    for check in rollout.analysis.checks:
        if check.query is not None:
            yield f"{check.name}: {check.query}"


def _counters(metrics: Metrics) -> str:
    series = metrics.series
    if metrics.envoy is not None:
        return f"/clusters of each gateway pod, port {metrics.envoy.port}: attempts by pod"
    counters = f"{series.requests} by {series.code}, {series.latency}_bucket by le"
    if metrics.pods is not None:
        return f"{counters}, of each pod at :{metrics.pods.port}{metrics.pods.path}"
    if metrics.prometheus is None:
        return "what was found to tell the versions apart"
    return (
        f"sum by ({series.pod}, {series.version}, {series.code}) ({series.requests}),"
        f" sum by ({series.pod}, le) ({series.latency}_bucket),"
        f" Prometheus at {metrics.prometheus.url}"
    )


# ---------------------------------------------------------------- small pieces


def _weight(weight: float) -> str:
    return f"{weight:g}%"


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}Z"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def _time_of(record: Record) -> str:
    return _time(record.since.timestamp())
