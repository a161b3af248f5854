"""Scales, ticks and labels: what a picture shows is where the numbers are."""

import re
from itertools import pairwise
from xml.etree.ElementTree import Element, fromstring

import pytest

from daemon.report.plot import (
    LABEL,
    NARROW,
    WIDE,
    Frame,
    Pane,
    Scale,
    clock,
    nice_ticks,
    time_ticks,
)

FLAT = Scale(0.0, 10.0, 100.0, 0.0)
POWERS = Scale(0.01, 100.0, 0.0, 400.0, log=True)


@pytest.mark.parametrize(
    ("scale", "value", "pixel"),
    [
        pytest.param(FLAT, 0.0, 100.0, id="the lower end"),
        pytest.param(FLAT, 2.5, 75.0, id="between"),
        pytest.param(FLAT, 11.0, 0.0, id="above: on the edge"),
        pytest.param(FLAT, -1.0, 100.0, id="below: on the edge"),
        pytest.param(POWERS, 1.0, 200.0, id="powers of ten are equally far apart"),
        pytest.param(POWERS, 0.0, 0.0, id="zero has no logarithm: on the edge"),
    ],
)
def test_a_scale_gives_each_value_its_place(scale: Scale, value: float, pixel: float) -> None:
    assert scale(value) == pytest.approx(pixel)


@pytest.mark.parametrize(
    ("high", "ticks"),
    [
        pytest.param(0.086, [0, 0.025, 0.05, 0.075, 0.1], id="a share"),
        pytest.param(1.0, [0, 0.25, 0.5, 0.75, 1.0], id="everything"),
        pytest.param(37, [0, 10, 20, 30, 40], id="a count"),
        pytest.param(4e-6, [0, 1e-6, 2e-6, 3e-6, 4e-6], id="next to nothing"),
    ],
)
def test_ticks_are_round_and_reach_above_the_highest_value(high: float, ticks: list[float]) -> None:
    assert nice_ticks(high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [
        pytest.param(15, [0, 5, 10, 15], id="seconds"),
        pytest.param(600, [0, 300, 600], id="minutes"),
        pytest.param(7200, [0, 1800, 3600, 5400, 7200], id="hours"),
        pytest.param(30 * 86_400, [0, 691_200, 1_382_400, 2_073_600], id="a month"),
    ],
)
def test_times_are_few_and_round(seconds: float, ticks: list[float]) -> None:
    assert time_ticks(seconds, 4) == ticks


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0 s"), (59.6, "1:00"), (45, "45 s"), (150, "2:30"), (3900, "1:05:00")],
)
def test_a_time_is_written_as_on_a_clock(seconds: float, written: str) -> None:
    assert clock(seconds) == written


def frame(width: float = WIDE) -> tuple[Frame, Pane]:
    whole = Frame(width, 60.0)
    pane = whole.pane("a title", 100.0, 0.0, 10.0, [0.0, 5.0, 10.0], str)
    return whole, pane


def drawn(whole: Frame) -> Element:
    return fromstring(whole.svg("a name", "what it says"))


def classes(root: Element, tag: str) -> list[str]:
    return [it.get("class", "") for it in root.iter(tag)]


def test_a_picture_says_what_it_is() -> None:
    root = drawn(frame()[0])

    assert (root.get("role"), root[0].text, root[1].text) == ("img", "a name", "what it says")


def test_lines_bands_and_steps_are_drawn_by_class() -> None:
    whole, pane = frame()
    points = [(0.0, 1.0), (30.0, 5.0), (60.0, 5.0)]

    pane.line(points, "stable")
    pane.steps(points, "force")
    pane.filled_steps(points, "weight")
    pane.band([(0.0, 0.0, 2.0), (60.0, 4.0, 6.0)], "canary")
    pane.mark((60.0, 5.0), "fail")

    paths = classes(drawn(whole), "path")
    assert paths == ["line stable", "line force", "fill weight", "band canary"]
    assert classes(drawn(whole), "circle") == ["mark fail"]


def test_steps_hold_a_value_until_the_next_one() -> None:
    whole, pane = frame()
    pane.steps([(0.0, 0.0), (30.0, 10.0), (60.0, 10.0)], "force")

    (path,) = drawn(whole).iter("path")
    assert re.fullmatch(r"M58 124H422V24H786", path.get("d", ""))


def test_nothing_is_drawn_of_no_points() -> None:
    whole, pane = frame()
    pane.line([], "a")
    pane.steps([], "a")
    pane.filled_steps([], "a")
    pane.band([], "a")

    assert list(drawn(whole).iter("path")) == []


def test_labels_at_the_ends_of_lines_do_not_cover_each_other() -> None:
    whole, pane = frame()
    for value in (0.0, 0.1, 0.2, 9.9, 10.0):
        pane.line([(0.0, value), (60.0, value)], "a", f"{value}")

    words = [it for it in drawn(whole).iter("text") if it.get("class") == "value a"]
    places = [float(it.get("y", "")) for it in words]
    assert all(b - a >= LABEL - 0.2 for a, b in pairwise(places))
    assert all(pane.y.end <= place <= pane.y.start + 5 for place in places)


def test_a_level_says_what_it_means_inside_of_its_pane() -> None:
    whole, pane = frame()
    pane.rule(10.0, "limit", "at the top")
    pane.rule(1.0, "limit")

    (words,) = [it for it in drawn(whole).iter("text") if it.get("class") == "said limit"]
    assert words.text == "at the top"
    assert float(words.get("y", "")) > pane.y.end


def test_panes_share_one_axis_of_time() -> None:
    whole, first = frame(NARROW)
    second = whole.pane("below", 50.0, 0.0, 1.0, [0.0, 1.0], str)

    assert (first.x, second.x.end) == (second.x, NARROW - 74)
    assert second.y.end > first.y.start
    times = [it.text for it in drawn(whole).iter("text") if it.get("text-anchor") == "middle"]
    assert times == ["0 s", "15 s", "30 s", "45 s", "1:00"]
