"""The figure of exposure: what is ruled out, the weight that follows, and what users felt."""

from math import inf
from typing import Final

from analysis import wording
from analysis.ramp import BUDGET, EVERYBODY
from daemon.report.figure import (
    MOST_POINTS,
    MOST_ROWS,
    Figure,
    Swatch,
    pictures_of,
    thinned,
)
from daemon.report.panel_evidence import weight_steps
from daemon.report.plot import Frame, clock, nice_ticks
from daemon.report.story import Seen, Story

LEAST_EXCESS: Final = 0.0005
EXCESSES: Final = (0.001, 0.01, 0.1, 1.0)
HEIGHT, LOW_HEIGHT = 130.0, 110.0
ROOM: Final = 4.0
"""Times budget and harm up to which the first seconds' risk is told apart; more is on the edge."""


def exposure_figure(story: Story) -> Figure:
    """Draw how the weight followed what was ruled out, and how many users paid for it."""
    compared = any(seen.exposure for seen in story.looks)
    says = (
        "The weight may rise as larger excesses are ruled out: so much that a canary which were"
        f" just as bad would fail about {BUDGET:g} requests too many before it is taken back."
        if compared
        else "The weight, and the failed requests that stable would have answered."
    )

    def draw(frame: Frame) -> None:
        if compared:
            _draw_excess(frame, story)
        _draw_weight(frame, story, compared=compared)
        _draw_users(frame, story)

    last = story.last
    said = (
        f"In the end at {last.entry.weight:g} %; about {last.affected:.0f} requests failed that"
        f" {story.stable} would have answered."
    )
    legend = [Swatch("weight", "weight", filled=True)]
    if compared:
        legend += [
            Swatch("excess", "excess failures not ruled out"),
            Swatch("allowed", "weight that the budget allows"),
            Swatch("risk", "requests at risk between two looks, at most"),
        ]
    legend.append(Swatch("canary", "requests that failed in excess so far"))
    return Figure(
        name="exposure",
        title="What users were exposed to",
        says=says,
        legend=legend,
        pictures=pictures_of(last.at, "Exposure", said, draw),
        head=("after", "excess below", "weight", "allowed", "at risk", "failed in excess"),
        rows=[_row(seen) for seen in thinned(story.looks, MOST_ROWS)],
    )


def _draw_excess(frame: Frame, story: Story) -> None:
    looks = [seen for seen in story.looks if seen.exposure]
    acceptable = looks[-1].acceptable or 0.0
    low = min(LEAST_EXCESS, acceptable / 2) if acceptable else LEAST_EXCESS
    pane = frame.pane(
        "excess failures that are not ruled out at 95 %",
        HEIGHT,
        low,
        1.0,
        EXCESSES,
        wording.percent,
        log=True,
    )
    pane.rule(acceptable, "limit", f"{wording.percent(acceptable)} counts as equally good")
    points = [(it.at, it.exposure.excess) for it in looks if it.exposure]
    pane.steps(
        [(0.0, 1.0), *thinned(points, MOST_POINTS)], "excess", wording.percent(points[-1][1])
    )


def _draw_weight(frame: Frame, story: Story, *, compared: bool) -> None:
    weights = weight_steps(story)
    # With all the traffic there is nothing left to allow.
    partly = [it for it in story.looks if it.read and it.entry.weight < EVERYBODY]
    allowed = [(it.at, it.judgement.allowed) for it in partly]
    shown = [value for _, value in (*weights, *(allowed if compared else ()))]
    ticks = nice_ticks(min(max(*shown, 1.0), 100.0), 2)
    pane = frame.pane("weight", LOW_HEIGHT, 0.0, ticks[-1], ticks, lambda it: f"{it:g} %")
    pane.filled_steps(weights, "weight")
    pane.steps(weights, "force", f"{weights[-1][1]:g} %")
    if compared:
        pane.steps(thinned(allowed, MOST_POINTS), "allowed")


def _draw_users(frame: Frame, story: Story) -> None:
    affected = [(0.0, 0.0), *((it.at, it.affected) for it in story.looks)]
    risk = [(it.at, it.at_risk) for it in story.looks if it.at_risk is not None]
    most = max(value for _, value in affected)
    peak = max((value for _, value in risk), default=0.0)
    high = max(most * 1.1, min(peak * 1.1, ROOM * max(BUDGET, most)), BUDGET * 1.3)
    ticks = nice_ticks(high, 3)
    pane = frame.pane("requests", LOW_HEIGHT, 0.0, ticks[-1], ticks, _tick)
    if risk:
        pane.rule(BUDGET, "limit", f"budget {BUDGET:g}")
        pane.steps(thinned(risk, MOST_POINTS), "risk")
    pane.steps(thinned(affected, MOST_POINTS), "canary", f"{affected[-1][1]:.0f}")


def _row(seen: Seen) -> tuple[str, ...]:
    risk = seen.at_risk
    return (
        clock(seen.at),
        wording.percent(seen.exposure.excess) if seen.exposure else "-",
        f"{seen.entry.weight:g} %",
        f"{seen.judgement.allowed:g} %" if seen.read else "-",
        "-" if risk is None or risk == inf else f"{risk:.1f}",
        f"{seen.affected:.1f}",
    )


def _tick(value: float) -> str:
    return f"{value:g}" if value < 1000 else f"{value / 1000:g}k"
