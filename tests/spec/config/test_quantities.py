"""Durations, percentages, points and ratios: one spelling, with the unit."""

from datetime import timedelta

import pytest

from config.quantities import (
    format_duration,
    format_percent,
    format_points,
    format_ratio,
    parse_duration,
    parse_percent,
    parse_points,
    parse_ratio,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("2d", 172_800),
        ("1w", 604_800),
        ("0s", 0),
        ("1.5h", 5400),
        ("250us", 0.00025),
    ],
)
def test_a_duration_has_its_unit(text: str, seconds: float):
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "",
        "5 m",
        "30sec",
        "-5m",
        "+5m",
        "m",
        "1:30",
        "5m ",
        "PT5M",
        "1y",
        "1mm",
        "1e3s",
        "5M",
        "٣s",
        "9999999999s",
        "1.1234567s",
        "5m!3s",
        "1s1s1s1s1s1s1s1s1s",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match="is not a duration; write for example 30s, 5m, 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(minutes=5), "5m"),
        (timedelta(hours=1, minutes=30), "1h30m"),
        (timedelta(milliseconds=1500), "1s500ms"),
        (timedelta(days=8), "8d"),
        (timedelta(microseconds=7), "7us"),
        (timedelta(seconds=-90), "-1m30s"),
    ],
)
def test_a_duration_is_written_as_people_write_it(value: timedelta, text: str):
    assert format_duration(value) == text


@pytest.mark.parametrize(
    ("text", "fraction"),
    [("99%", 0.99), ("0.5%", 0.005), ("7%", 0.07), ("100%", 1.0), ("99.95%", 0.9995)],
)
def test_a_percentage_has_its_sign_and_is_exact(text: str, fraction: float):
    assert parse_percent(text) == fraction
    assert format_percent(fraction) == text


@pytest.mark.parametrize(
    "text", ["99", "", "%", "-1%", "1 %", "1e1%", "1000%", ".5%", "5.%", "\u0663%"]
)
def test_what_is_no_percentage_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match=r"is not a percentage; write for example 99%, 0\.5%"):
        parse_percent(text)


@pytest.mark.parametrize(("text", "fraction"), [("0.5pp", 0.005), ("1pp", 0.01), ("0pp", 0.0)])
def test_percentage_points_have_their_unit_and_are_exact(text: str, fraction: float):
    assert parse_points(text) == fraction
    assert format_points(fraction) == text


@pytest.mark.parametrize("text", ["0.5", "0.5%", "pp", "-1pp", "1 pp", "1PP", "1000pp", "1p"])
def test_what_is_no_number_of_points_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match=r"percentage points; write for example 0\.5pp, 1pp"):
        parse_points(text)


@pytest.mark.parametrize(("text", "ratio"), [("1.25x", 1.25), ("2x", 2.0), ("100x", 100.0)])
def test_a_ratio_has_its_unit_and_is_exact(text: str, ratio: float):
    assert parse_ratio(text) == ratio
    assert format_ratio(ratio) == text


@pytest.mark.parametrize("text", ["1.5", "150%", "x", "-2x", "2 x", "2X", "x2", "1e1x"])
def test_what_is_no_ratio_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match=r"is not a ratio; write for example 1\.25x, 2x"):
        parse_ratio(text)
