"""Numbers as they stand in Events and on terminals."""

from math import log

import pytest

from analysis import wording


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (6 / 83, "7.2 %"),
        (0.01, "1 %"),
        (0.05, "5 %"),
        (2 / 1604, "0.12 %"),
        (0.000001, "0.0001 %"),
        (0.9987, "100 %"),
        (0.5, "50 %"),
    ],
)
def test_a_share_has_the_two_digits_that_matter(share, text):
    assert wording.percent(share) == text


def test_counts_have_thousands():
    assert wording.counted(1604) == "1,604"


@pytest.mark.parametrize(
    ("bad", "total", "text"),
    [
        (6, 83, "6 of 83 requests (7.2 %)"),
        (0, 0, "0 of 0 requests"),
        (0, 10, "0 of 10 requests (0 %)"),
    ],
)
def test_a_part_is_told_as_counts_first(bad, total, text):
    assert wording.part(bad, total) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "250 ms"),
        (0.5, "500 ms"),
        (1, "1 s"),
        (2.5, "2.5 s"),
        (45, "45 s"),
        (3600, "3,600 s"),
    ],
)
def test_durations_have_the_unit_people_use(value, text):
    assert wording.seconds(value) == text


@pytest.mark.parametrize(
    ("evidence", "text"),
    [
        (0.3, "none"),
        (1, "none"),
        (2.34, "1 : 2.3"),
        (100, "1 : 100"),
        (240.4, "1 : 240"),
        (9_999, "1 : 9,999"),
        (1e23, "1 : 10^23"),
    ],
)
def test_evidence_is_told_as_odds(evidence, text):
    assert wording.odds(log(evidence)) == text
