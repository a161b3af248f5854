"""The figure of latency: how many requests were slower than each bound, in both versions."""

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Final

from analysis import wording
from analysis.explanation import Measure
from analysis.samples import FAILED
from daemon.report.figure import Figure, Swatch
from daemon.report.markup import Safe, element
from daemon.report.panel_rates import band_in_words
from daemon.report.plot import NARROW, WIDE, Scale
from daemon.report.story import Story

ROW: Final = 30.0
LEFT: Final = 82.0
RIGHT: Final = {WIDE: 218.0, NARROW: 66.0}
AXIS: Final = 26.0
LEAST_SHARE: Final = 1e-5
"""What a bound that nothing was slower than is drawn at."""


def latency_figure(story: Story) -> Figure | None:
    """Draw one comparison's bounds as of the look that decided; None where none is compared."""
    measures = _bounds(story)
    if not measures:
        return None
    leader = max(measures, key=lambda it: it.log_e)
    allowed = leader.ratio or 1.0
    says = (
        "Share of requests that took longer than each of the histogram's own bounds, as of the"
        f" look that decided. A canary may have {allowed:g} times stable's share. The"
        f" bound with the most evidence, {wording.seconds(leader.bound)}, is marked; the check's"
        " evidence is the mean over its bounds."
    )
    title = "Slow requests by bound"
    return Figure(
        name="latency",
        title=title,
        says=says,
        legend=(
            Swatch("stable", f"{story.stable}, stable"),
            Swatch("canary", f"{story.canary}, canary"),
        ),
        pictures=[_picture(measures, leader, width, title) for width in (WIDE, NARROW)],
        head=("slower than", "stable", "canary", "times", "evidence"),
        rows=[_row(measure) for measure in measures],
    )


def _bounds(story: Story) -> list[Measure]:
    found = [
        it
        for it in story.explained.measures
        if it.bound != FAILED and it.ratio is not None and it.counts.canary and it.counts.stable
    ]
    checks = dict.fromkeys(it.check for it in found)
    # Of several latency checks the one with the most evidence; the others stand in the table.
    loudest = max(
        checks, key=lambda name: max(it.log_e for it in found if it.check == name), default=""
    )
    return sorted((it for it in found if it.check == loudest), key=lambda it: it.bound)


def _picture(measures: Sequence[Measure], leader: Measure, width: float, title: str) -> Safe:
    low, high = _decades([it for measure in measures for it in _shares(measure) if it > 0])
    bottom = ROW * len(measures) + 8
    x = Scale(low, high, LEFT, width - RIGHT[width], log=True)
    parts: list[Safe] = []
    power = low
    while power <= high * 1.001:
        at = x(power)
        parts.append(element("line", class_="grid", x1=at, x2=at, y1=4, y2=bottom))
        words = wording.percent(power)
        place = {"x": at, "y": bottom + 17}
        parts.append(element("text", words, class_="tick", text_anchor="middle", **place))
        power *= 10
    for row, measure in enumerate(measures):
        parts += _row_drawn(measure, x, 4 + ROW * (row + 0.5), leads=measure is leader)
    return element(
        "svg",
        element("title", title),
        element("desc", "; ".join(_sentence(it) for it in measures)),
        parts,
        viewBox=f"0 0 {width:g} {bottom + AXIS:g}",
        role="img",
        class_="wide" if width == WIDE else "narrow",
    )


def _decades(shares: Sequence[float]) -> tuple[float, float]:
    """Return the powers of ten around the shares: one decade at least, and none above all."""
    low = min(max(10.0 ** floor(log10(min(shares, default=0.001))), LEAST_SHARE), 0.1)
    high = min(max(10.0 ** ceil(log10(max(shares, default=0.1))), 10 * low), 1.0)
    return low, high


def _row_drawn(measure: Measure, x: Scale, y: float, *, leads: bool) -> list[Safe]:
    canary, stable = _shares(measure)
    a, b = x(canary), x(stable)
    class_ = " leads" if leads else ""
    end = {"x": x.end + 14, "y": y + 4}
    words = [f"{canary / stable:.2g}x"] if stable else []
    if x.end > NARROW:
        words.append(f"evidence {wording.odds(measure.log_e)}")
    bound = f"> {wording.seconds(measure.bound)}"
    place = {"x": LEFT - 12, "y": y + 4}
    back = element(
        "rect", x=2, y=y - ROW / 2 + 1, width=x.end + 8, height=ROW - 2, rx=4, class_="leading"
    )
    return [
        *([back] if leads else []),
        element("text", bound, class_=f"tick{class_}", text_anchor="end", **place),
        element("line", class_="between", x1=a, x2=b, y1=y, y2=y),
        element("circle", class_="mark stable", cx=b, cy=y, r=5),
        element("path", d=_diamond(a, y), class_="mark canary"),
        element("text", ", ".join(words), class_=f"tick{class_}", **end),
    ]


def _diamond(x: float, y: float) -> str:
    return f"M{x:.1f} {y - 7:.1f}L{x + 7:.1f} {y:.1f}L{x:.1f} {y + 7:.1f}L{x - 7:.1f} {y:.1f}Z"


def _shares(measure: Measure) -> tuple[float, float]:
    counts = measure.counts
    return counts.canary_bad / counts.canary, counts.stable_bad / counts.stable


def _sentence(measure: Measure) -> str:
    canary, stable = _shares(measure)
    return (
        f"longer than {wording.seconds(measure.bound)}: stable {wording.percent(stable)},"
        f" canary {wording.percent(canary)}"
    )


def _row(measure: Measure) -> tuple[str, ...]:
    counts = measure.counts
    canary, stable = _shares(measure)
    ratio = f"{canary / stable:.2g}x" if stable else "-"
    band = f" ({band_in_words(measure.band)})" if measure.band else ""
    return (
        wording.seconds(measure.bound),
        wording.part(counts.stable_bad, counts.stable),
        wording.part(counts.canary_bad, counts.canary),
        f"{ratio}{band}",
        wording.odds(measure.log_e),
    )
