"""Values in PromQL: a value put in can only ever be that value."""

import pytest

from analysis.errors import RefusedError
from analysis.providers import promql

VALUES = {"namespace": "echo", "target": "echo", "version": "1.2", "window": "60s"}
HOSTILE = 'v1"} or vector(1) #'


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("up", "up"),
        ('up{version="{{ version }}"}', 'up{version="1.2"}'),
        ('up{version=~"{{ version }}"}', 'up{version=~"1\\\\.2"}'),
        ('up{version=~ "v{{version}}|x"}', 'up{version=~ "v1\\\\.2|x"}'),
        ('up{version!~"{{ version }}"}', 'up{version!~"1\\\\.2"}'),
        ("up{version='{{ version }}'}", "up{version='1.2'}"),
        ("up{version=~`{{ version }}`}", "up{version=~`1\\.2`}"),
        ("rate(up[{{ window }}])", "rate(up[60s])"),
        ("rate(up[{{window}}] offset {{ window }})", "rate(up[60s] offset 60s)"),
        (
            'a{n="{{ namespace }}",t="{{ target }}"} / b{n="{{ namespace }}"}',
            'a{n="echo",t="echo"} / b{n="echo"}',
        ),
        ('a{x="\\"{{ version }}"}', 'a{x="\\"1.2"}'),
        ('a # "quoted comment\n{v="{{ version }}"}', 'a # "quoted comment\n{v="1.2"}'),
        ('a{v="#"} + b{v="{{ version }}"}', 'a{v="#"} + b{v="1.2"}'),
    ],
)
def test_placeholders_are_filled_for_the_place_they_stand_in(template, filled):
    assert promql.fill(template, VALUES) == filled


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ('up{v="{{ version }}"}', 'up{v="v1\\"} or vector(1) #"}'),
        ("up{v='{{ version }}'}", "up{v='v1\"} or vector(1) #'}"),
        ('up{v=~"{{ version }}"}', 'up{v=~"v1\\"\\\\} or vector\\\\(1\\\\) #"}'),
        ("up{v=`{{ version }}`}", 'up{v=`v1"} or vector(1) #`}'),
    ],
)
def test_a_hostile_value_stays_inside_its_string(template, filled):
    assert promql.fill(template, {"version": HOSTILE}) == filled


@pytest.mark.parametrize(
    ("template", "values", "reason"),
    [
        ('up{v="{{ pod }}"}', VALUES, r"unknown placeholder \{\{ pod \}\}.*known are"),
        ("up{{ version }}", VALUES, "must stand inside quotes"),
        ('up{v="a"} == {{ version }}', VALUES, "must stand inside quotes"),
        ('up # "{{ version }}', VALUES, "must stand inside quotes"),
        ("up{v=`{{ version }}`}", {"version": "a`b"}, "backticks"),
        ("{{ }}", VALUES, "unknown placeholder"),
        ("a" * 40_000, VALUES, "longer than 32768"),
    ],
)
def test_a_place_or_name_that_is_not_safe_is_refused(template, values, reason):
    with pytest.raises(RefusedError, match=reason):
        promql.fill(template, values)


def test_line_breaks_and_backslashes_are_escaped():
    assert promql.quote('a\\b\n"') == '"a\\\\b\\n\\""'


def test_a_pattern_matches_exactly_its_values():
    assert promql.one_of(["1.2", "a|b"]) == '"1\\\\.2|a\\\\|b"'


@pytest.mark.parametrize(
    ("metric", "label", "reason"),
    [
        ("http requests", "pod", "no name of a metric"),
        ("up{} or up", "pod", "no name of a metric"),
        ("up", "pod=~'.*'", "no name of a label"),
        ("up", "", "no name of a label"),
    ],
)
def test_names_that_promql_does_not_allow_are_refused(metric, label, reason):
    with pytest.raises(RefusedError, match=reason):
        promql.selector(metric, label, ["a"])


def test_a_label_is_summed_by_once():
    assert promql.sum_by(("job", "pod", "job"), "up") == "sum by (job, pod) (up)"


def test_more_pods_than_a_query_can_name_are_refused():
    with pytest.raises(RefusedError, match="too many pods"):
        promql.selector("up", "pod", [f"echo-v1-{n:040}" for n in range(1000)])
