"""The page: one file, complete, the same for everybody, whatever names a cluster has."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from html.parser import HTMLParser
from math import ceil
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.journal import Sums, append
from daemon.core.model import Held, Pause, Phase
from daemon.core.reasons import Reason
from daemon.report.page import MOST_CHANGES, page
from daemon.report.story import Story
from daemon.report.style import DARK, LIGHT
from tests.cli.records import NOW
from tests.spec.report.cases import (
    a_case,
    a_limit_alone,
    bad_at_half,
    ended,
    everything_slow,
    example,
    only_references,
    renamed,
    told,
    without_data,
)

LARGEST_PAGE = 400 * 1024
VOID = {"meta", "br", "path", "line", "rect", "circle", "polygon", "col"}

Make = Callable[[], Story]
STORIES: dict[str, Make] = {
    "rolled back by failures": partial(example, "failing"),
    "promoted by evidence": partial(example, "good"),
    "promoted by timetable": partial(example, "quiet"),
    "rolled back by latency": partial(example, "slow"),
    "every request slow, and none of stable's": lambda: told(everything_slow()),
    "checks of every kind, under way": lambda: told(a_case(record=ended(Phase.SHIFTING))),
    "turned bad late": lambda: told(a_case(bad_at_half, record=ended(Phase.ROLLED_BACK))),
    "an absolute limit alone": lambda: told(a_limit_alone()),
    "no data": lambda: told(without_data()),
    "one reading": lambda: told(only_references()),
}
every_story = pytest.mark.parametrize("name", STORIES)


@cache
def page_of(name: str) -> str:
    return page(STORIES[name]())


class Parsed(HTMLParser):
    """A page as a browser sees it: elements in their order, attributes, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())


@every_story
def test_the_page_is_complete_and_asks_nobody_for_anything(name: str) -> None:
    text = page_of(name)
    seen = Parsed(text)

    assert seen.open == []
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & set(seen.tags)
    addresses = [it for it in seen.attributes if it[1] in ("src", "href", "srcset", "style")]
    assert addresses == []
    assert not [name for _, name, _ in seen.attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import|https?:", text)
    assert len(text) < LARGEST_PAGE


@every_story
def test_the_same_rollout_gives_the_same_page(name: str) -> None:
    assert page(STORIES[name]()) == page_of(name)


@every_story
def test_every_picture_is_well_formed_named_and_there_for_both_widths(name: str) -> None:
    text = page_of(name)
    pictures = re.findall(r"<svg[^>]*role=.*?</svg>", text, re.DOTALL)

    roots = [fromstring(picture) for picture in pictures]
    assert {root.get("class") for root in roots} == {"wide", "narrow"}
    assert all(root.find("title") is not None and root.find("desc") is not None for root in roots)
    numbers = re.findall(r"-?\d+(?:\.\d+)?|nan|inf", " ".join(pictures))
    assert not {"nan", "inf"} & set(numbers)


@every_story
def test_every_picture_has_a_table_with_the_same_numbers(name: str) -> None:
    text = page_of(name)

    figures = re.findall(r'<section class="figure".*?</section>', text, re.DOTALL)
    assert figures
    for figure in figures:
        assert len(re.findall(r'scope="row"', figure)) >= 1
        assert figure.count("<svg") >= 2


@every_story
def test_landmarks_and_headings_lead_through_the_page(name: str) -> None:
    seen = Parsed(page_of(name))

    landmarks = [tag for tag in seen.tags if tag in ("header", "main", "footer")]
    assert landmarks == ["header", "main", "footer"]
    assert seen.tags.count("h1") == 1
    assert ("html", "lang", "en") in seen.attributes
    ids = [value for _, name, value in seen.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    labels = {value for _, name, value in seen.attributes if name == "aria-labelledby"}
    assert labels <= set(ids)


def test_the_browser_is_forbidden_to_load_or_run_anything() -> None:
    seen = Parsed(page(example("failing")))

    (policy,) = [value for _, name, value in seen.attributes if value.startswith("default-src")]
    assert policy.startswith("default-src 'none'")


# ---------------------------------------------------------------- what it says


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        pytest.param(
            "failing",
            (
                "Rolled back v2 after",
                "evidence this strong would turn up in fewer than 1 of 100 rollouts",
                "more than v1 would have",
                "1 : 100 takes it back",
            ),
            id="rolled back by failures",
        ),
        pytest.param(
            "good",
            (
                "Promoted v2 after",
                "by evidence",
                "An excess failure rate above 0.1 % is ruled out at 95 %",
                "0.1 % counts as equally good",
            ),
            id="promoted by evidence",
        ),
        pytest.param(
            "quiet",
            (
                "by timetable, undecided",
                "Nothing spoke against it, and nothing proves it",
                "could have missed an excess of less than",
            ),
            id="promoted by timetable",
        ),
        pytest.param(
            "slow",
            (
                "Canary took longer than 300 ms",
                "more than on v1 took longer than 300 ms",
                "1.25x is tolerated",
                "Slow requests by bound",
            ),
            id="rolled back by latency",
        ),
    ],
)
def test_the_page_says_what_happened_and_how_sure_that_is(
    name: str, sentences: tuple[str, ...]
) -> None:
    text = Parsed(page(example(name))).text

    for sentence in sentences:
        assert sentence in text


def test_the_page_names_what_was_read_and_where_the_evidence_begins() -> None:
    text = Parsed(page(example("failing"), read=["sum by (pod) (x)"])).text

    assert "What was read: sum by (pod) (x)" in text
    assert "The evidence begins at 2026-11-23 14:01:52 UTC" in text
    assert "of history, in which stable failed" in text
    assert "every verdict comes out as it was stored" in text


def test_a_rollback_by_a_person_is_told_in_the_persons_words() -> None:
    record = ended(Phase.ROLLED_BACK, message='aborted by ana: "wrong flag" at 25 %')
    text = Parsed(page(told(a_case(record=record)))).text

    assert 'Aborted by ana: "wrong flag" at 25 %.' in text


def test_a_rollout_that_waits_says_for_what() -> None:
    paused = Pause("lunch", "ana", NOW)
    held = Held(Reason.NO_DATA, NOW)
    record = ended(Phase.SHIFTING, paused=paused, held=held)
    text = Parsed(page(told(a_case(record=record, looks=4)))).text

    assert "Paused by ana: lunch." in text
    assert "Held: NoData, since 2026-11-23 14:10:00 UTC." in text


def test_looks_that_brought_nothing_are_told() -> None:
    text = Parsed(page(told(without_data()))).text

    assert "3 looks brought nothing; the last one said: pods: connection refused" in text
    assert "without a history of stable" in text
    assert "No request to v2 was counted." in text


def test_evidence_that_was_lost_is_told() -> None:
    case = a_case()
    journal = case.journal
    case = replace(case, journal=replace(journal, again=2))
    text = Parsed(page(told(case))).text

    assert "lost and begun anew 2 times" in text


def test_a_verdict_that_does_not_come_out_again_is_told() -> None:
    case = a_case()
    lines = (case.journal.lines[0].replace("Inconclusive", "Fail"), *case.journal.lines[1:])
    case = replace(case, journal=replace(case.journal, lines=lines))
    text = Parsed(page(told(case))).text

    assert "Judged again, the verdicts differ" in text


def test_earlier_looks_that_went_are_told_as_sums() -> None:
    case = a_case()
    gone = Sums(40, 200.0, 1000, 5, 9000, 45)
    case = replace(case, journal=replace(case.journal, gone=gone))
    text = Parsed(page(told(case))).text

    assert "40 earlier looks are kept as sums only: canary failed 5 of 1,000 requests" in text


def test_the_list_of_looks_is_bounded() -> None:
    case = a_case(looks=60)
    journal = case.journal
    entries = list(told(case).looks)
    for _ in range(6):
        for seen in entries:
            journal = append(case.settings, journal, seen.entry)
    story = told(replace(case, journal=journal))
    text = page(story)

    assert len(story.changes) > MOST_CHANGES
    listed = re.search(r'<table class="looks">.*?</table>', text, re.DOTALL)
    assert listed is not None
    assert listed[0].count('scope="row"') == MOST_CHANGES
    assert "earlier ones are left out" in text


# ---------------------------------------------------------------- hostile names


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'></title></style><svg onload=alert(1)>",
    "]]><!--",
    "&lt;b&gt;",
    "a\x00b\u202ec",
    "javascript:alert(1)",
    "{{ 7 * 7 }} ${7 * 7} %s",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_and_never_obeyed(name: str) -> None:
    plain, hostile = (Parsed(page(told(renamed(it)), read=[it])) for it in ("plain", name))

    assert hostile.tags == plain.tags
    assert {(tag, key) for tag, key, _ in hostile.attributes} == {
        (tag, key) for tag, key, _ in plain.attributes
    }
    shown = "".join(c if c.isprintable() else "?" for c in name)
    assert " ".join(shown.split()) in hostile.text


@settings(max_examples=12, deadline=None)
@given(st.text(min_size=1, max_size=60).filter(str.strip))
def test_no_name_whatever_changes_the_page(name: str) -> None:
    plain, other = (Parsed(page(told(renamed(it)), read=[it])) for it in ("plain", name))

    assert other.tags == plain.tags


# ---------------------------------------------------------------- colours


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "card"])
def test_text_stands_out_from_its_ground(scheme: dict[str, str], ground: str) -> None:
    words = [name for name in scheme if name not in ("ground", "card", "edge")]

    least = min(contrast(scheme[name], scheme[ground]) for name in words)
    assert ceil(least * 10) / 10 >= 4.5


def test_both_schemes_name_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()
