"""The figure of rates: both versions on one axis with their bands, and the ratio below."""

from math import inf
from typing import Final

from analysis import wording
from analysis.bands import Band
from analysis.explanation import Measure
from analysis.samples import FAILED
from daemon.report.figure import (
    MOST_POINTS,
    MOST_ROWS,
    Figure,
    Swatch,
    pictures_of,
    thinned,
)
from daemon.report.plot import Frame, clock, nice_ticks
from daemon.report.rates import RatePoint, Rates
from daemon.report.story import Story

LEAST_RATIO, MOST_RATIO = 0.1, 100.0
RATIOS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
HEIGHT, RATIO_HEIGHT = 210.0, 120.0

SETTLED: Final = 0.25
"""Part of the time after which rates count for the axis; a first failure of two is no rate."""

ROOM: Final = 8.0
"""Times the highest rate that a band may take of the axis; beyond it lies what is not known yet."""


def rates_figure(story: Story, rates: Rates, measure: Measure | None) -> Figure:
    """Draw one kind of bad request. `measure` says what is no regression."""
    what = _what(rates.key)
    points = thinned(rates.points, MOST_POINTS)
    says = (
        f"Share of requests that {what}, summed since the evidence began. Shaded: rates that are"
        " not ruled out at 95 %, whenever one looks. Below: how many times stable's rate the"
        " canary's is, compared within each look, so that a rate which moves for both does not"
        " mislead."
    )

    def draw(frame: Frame) -> None:
        _draw_rates(frame, points, measure, what)
        _draw_ratio(frame, points, measure)

    name = "failures" if rates.key == FAILED else "slow"
    title = "Failed requests" if rates.key == FAILED else f"Requests that {what}"
    return Figure(
        name=name,
        title=title,
        says=says,
        legend=(
            Swatch("stable", f"{story.stable}, stable"),
            Swatch("canary", f"{story.canary}, canary"),
        ),
        pictures=pictures_of(story.last.at, title, _said(rates), draw),
        head=("after", "stable", "not ruled out", "canary", "not ruled out", "ratio"),
        rows=[_row(point) for point in thinned(rates.points, MOST_ROWS)],
    )


def _what(key: float) -> str:
    return "failed" if key == FAILED else f"took longer than {wording.seconds(key)}"


def _draw_rates(frame: Frame, points: list[RatePoint], measure: Measure | None, what: str) -> None:
    limit = measure.limit if measure else None
    high = _highest(points, limit or 0.0)
    ticks = nice_ticks(high)
    pane = frame.pane(f"share that {what}", HEIGHT, 0.0, ticks[-1], ticks, wording.percent)
    pane.band([(it.at, *it.stable) for it in points], "stable")
    pane.band([(it.at, *it.canary) for it in points], "canary")
    if limit is not None:
        pane.rule(limit, "limit", f"limit {wording.percent(limit)}")
    last = points[-1]
    stable, canary = wording.percent(last.stable_rate), wording.percent(last.canary_rate)
    pane.line([(it.at, it.stable_rate) for it in points], "stable", stable)
    pane.line([(it.at, it.canary_rate) for it in points], "canary", canary)
    pane.mark((last.at, last.stable_rate), "stable")
    pane.mark((last.at, last.canary_rate), "canary")


def _highest(points: list[RatePoint], limit: float) -> float:
    last = points[-1]
    settled = [it for it in points if it.at >= SETTLED * last.at]
    rates = [rate for it in settled for rate in (it.canary_rate, it.stable_rate)]
    top = max(*rates, limit)
    ends = max(last.canary[1], last.stable[1])
    return min(max(min(ends, ROOM * top) if top else ends, top * 1.1), 1.0)


def _draw_ratio(frame: Frame, points: list[RatePoint], measure: Measure | None) -> None:
    low, high = _ratio_range(points)
    ticks = [it for it in RATIOS if low <= it <= high]
    pane = frame.pane("times stable's rate", RATIO_HEIGHT, low, high, ticks, times, log=True)
    pane.band([(it.at, max(it.band.low, low), min(it.band.high, high)) for it in points], "canary")
    allowed = measure.ratio if measure and measure.ratio else 1.0
    words = "equal" if allowed == 1 else f"{times(allowed)} is tolerated"
    pane.rule(allowed, "limit", words)
    known = [(it.at, it.ratio) for it in points if it.ratio]
    pane.line(known, "canary", f"{known[-1][1]:.2g}x" if known else "")


def _ratio_range(points: list[RatePoint]) -> tuple[float, float]:
    last = points[-1]
    settled = [it.ratio for it in points if it.ratio and it.at >= SETTLED * last.at]
    band = last.band
    ends = [it for it in (band.low, band.high) if 0 < it < inf]
    lows = [0.5, *settled, *(end / 2 for end in ends)]
    highs = [2.0, *settled, *(end * 2 for end in ends)]
    low = max((it for it in RATIOS if it <= min(lows)), default=LEAST_RATIO)
    high = min((it for it in RATIOS if it >= max(highs)), default=MOST_RATIO)
    return low, high


def times(ratio: float) -> str:
    """`0.5x`, `20x`."""
    return f"{ratio:g}x"


def band_in_words(band: Band) -> str:
    """`1.9x to 4.9x`, or the half of it that is known."""
    if band.low <= 0:
        return f"up to {times(band.high)}" if band.high < inf else "anything"
    return (
        f"{times(band.low)} to {times(band.high)}"
        if band.high < inf
        else (f"{times(band.low)} or more")
    )


def _said(rates: Rates) -> str:
    last = rates.points[-1]
    return (
        f"In the end: stable {wording.percent(last.stable_rate)}, canary"
        f" {wording.percent(last.canary_rate)}; not ruled out: {band_in_words(last.band)} of"
        " stable's rate."
    )


def _row(point: RatePoint) -> tuple[str, ...]:
    sums = point.sums
    ratio = "-" if point.ratio is None else f"{point.ratio:.2g}x"
    return (
        clock(point.at),
        wording.part(sums.stable_bad, sums.stable),
        between(*point.stable),
        wording.part(sums.canary_bad, sums.canary),
        between(*point.canary),
        f"{ratio} ({band_in_words(point.band)})",
    )


def between(low: float, high: float) -> str:
    """`0.1 % to 2 %`."""
    return f"{wording.percent(low)} to {wording.percent(high)}"
