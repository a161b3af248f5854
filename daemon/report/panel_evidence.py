"""The figure of evidence: each check's against the threshold, the weight as steps behind."""

from collections.abc import Sequence
from math import ceil, exp, floor, log
from typing import Final

from analysis import wording
from analysis.verdict import Verdict
from daemon.report.figure import (
    MOST_POINTS,
    MOST_ROWS,
    Figure,
    Swatch,
    pictures_of,
    thinned,
)
from daemon.report.plot import Frame, Pane, Point, Scale, clock
from daemon.report.story import Seen, Story

LEAST, MOST = -1.0, 8.0
"""Powers of ten that are told apart in a picture; further ones lie on its edge."""

MOST_LINES: Final = 4
"""Checks with a line of their own: those with the most evidence in the end."""

HEIGHT: Final = 230.0
ROOM_FOR_WORDS: Final = 56.0
LN10: Final = log(10)


def evidence_figure(story: Story) -> Figure:
    """Draw the evidence of the whole rollout, and the checks' parts of it."""
    needed = story.case.settings.log_needed
    names = _loudest(story)
    looks = thinned(story.looks, MOST_POINTS)
    alpha = story.case.settings.alpha
    says = (
        f"How strongly the counts speak against the canary. At {wording.odds(needed)} it is"
        f" taken back. A canary that is no worse than is tolerated ever gets there in fewer than"
        f" {_part_of(alpha)} rollouts, however often one looks. Shaded: the weight."
    )

    def draw(frame: Frame) -> None:
        _draw(frame, story, looks, names)

    legend = [Swatch("total", "all checks together")]
    if len(names) > 1:
        legend += [Swatch(f"check{place}", name) for place, name in enumerate(names)]
    legend.append(Swatch("weight", "weight, percent of the traffic on the canary", filled=True))
    last = story.last
    said = f"Evidence in the end: {wording.odds(last.total)}, needed: {wording.odds(needed)}."
    return Figure(
        name="evidence",
        title="Evidence",
        says=says,
        legend=legend,
        pictures=pictures_of(last.at, "Evidence", said, draw),
        head=("after", "weight", "all checks", *names, "verdict"),
        rows=[_row(seen, names) for seen in thinned(story.looks, MOST_ROWS)],
    )


def _part_of(alpha: float) -> str:
    return f"1 of {1 / alpha:,.0f}"


def _loudest(story: Story) -> list[str]:
    most: dict[str, float] = {}
    for seen in story.looks:
        for name, value in seen.evidence.items():
            most[name] = max(most.get(name, value), value)
    return sorted(most, key=most.__getitem__, reverse=True)[:MOST_LINES]


def _draw(frame: Frame, story: Story, looks: Sequence[Seen], names: Sequence[str]) -> None:
    needed = story.case.settings.log_needed / LN10
    peak = max(seen.total for seen in story.looks) / LN10
    high = min(max(ceil(needed) + 1.0, ceil(peak + 0.2)), max(MOST, ceil(needed) + 1.0))
    ticks = [float(it) for it in range(floor(LEAST), int(high) + 1)]
    pane = frame.pane("evidence against the canary", HEIGHT, LEAST, high, ticks, odds)
    weights = weight_steps(story)
    behind = Pane(pane.x, Scale(0.0, 100.0, pane.y.start, pane.y.end))
    behind.filled_steps(weights, "weight")
    pane.drawn += [*behind.drawn]
    _name_weights(pane, weights)
    pane.rule(needed, "limit", f"{wording.odds(story.case.settings.log_needed)} takes it back")
    if len(names) > 1:
        for place, name in enumerate(names):
            line = [(it.at, it.evidence.get(name, LEAST * LN10) / LN10) for it in looks]
            pane.line([(0.0, line[0][1]), *line], f"check{place}")
    total = [(it.at, it.total / LN10) for it in looks]
    begun = 0.0 if story.case.journal.start is None else total[0][1]
    pane.line([(0.0, begun), *total], "total", wording.odds(looks[-1].total))
    for seen in story.looks:
        if seen.judgement.verdict is Verdict.FAIL:
            pane.mark((seen.at, seen.total / LN10), "fail")
            break


def weight_steps(story: Story) -> list[Point]:
    """Return the weight from the beginning on: a look tells of the time before it."""
    steps: list[Point] = []
    began = 0.0
    for seen in story.looks:
        if not steps or steps[-1][1] != seen.entry.weight:
            steps.append((began, seen.entry.weight))
        began = seen.at
    return [*steps, (story.last.at, steps[-1][1])]


def _name_weights(pane: Pane, weights: Sequence[Point]) -> None:
    """Write each weight where its step begins, unless another one stands there."""
    free = 0.0
    for begins, weight in weights[:-1]:
        left = pane.x(begins)
        if left >= free and left + ROOM_FOR_WORDS <= pane.x.end:
            pane.write((left + 4, pane.y.end + 12), f"{weight:g} %", "weight")
            free = left + ROOM_FOR_WORDS


def odds(power: float) -> str:
    """`1 : 100` for 2, `10 : 1` for -1."""
    if power < 0:
        return f"{10**-power:g} : 1"
    return f"1 : {10**power:g}" if power < 4 else f"1 : 10^{power:g}"


def _row(seen: Seen, names: Sequence[str]) -> tuple[str, ...]:
    return (
        clock(seen.at),
        f"{seen.entry.weight:g} %",
        exactly(seen.total),
        *(exactly(seen.evidence[name]) if name in seen.evidence else "-" for name in names),
        f"{seen.judgement.verdict}, {seen.judgement.ground}",
    )


def exactly(log_e: float) -> str:
    """`1 : 240`, `1 : 0.3`: for a table, where less than 1 is told, too."""
    if log_e > 0:
        return wording.odds(log_e) if log_e > log(1.05) else "1 : 1"
    return f"1 : {exp(log_e):.2g}"
