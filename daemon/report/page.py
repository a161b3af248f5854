"""The report as one HTML file: no script, no request to anybody, everything in it.

From a story to text; what is foreign is escaped by `daemon.report.markup`. A policy in the page's
head forbids it to load or to run anything, whatever got into it.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from analysis import wording
from analysis.explanation import Measure
from analysis.samples import FAILED
from analysis.verdict import Finding, Verdict
from daemon.report import sentences
from daemon.report.figure import Figure, in_html
from daemon.report.markup import Safe, element, joined
from daemon.report.panel_evidence import evidence_figure
from daemon.report.panel_exposure import exposure_figure
from daemon.report.panel_latency import latency_figure
from daemon.report.panel_rates import rates_figure
from daemon.report.rates import Rates, follow_rates
from daemon.report.story import Outcome, Story
from daemon.report.style import SHEET

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
MOST_CHANGES: Final = 100
"""Looks in the list; the newest. A rollout has a few dozen."""

MOST_WEIGHTS: Final = 6

KIND: Final = {
    Outcome.ROLLED_BACK: "bad",
    Outcome.FAILED: "bad",
    Outcome.PROMOTED: "good",
    Outcome.UNDER_WAY: "wait",
}
WORDS: Final = {
    Verdict.FAIL: ("bad", "✖ Fail"),
    Verdict.PASS: ("good", "✔ Pass"),
    Verdict.INCONCLUSIVE: ("wait", "? Inconclusive"),
}


def page(story: Story, *, read: Sequence[str] = ()) -> str:
    """Return the whole file.

    Args:
        story: what is told.
        read: which pages or queries the counts came from, a line each.
    """
    title = f"{sentences.headline(story)} - {story.case.key}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Safe(SHEET)),
    )
    body = element("body", _header(story), _main(story, read), _footer())
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def figures(story: Story) -> Iterator[Figure]:
    """Draw the pictures, the deciding one first."""
    slow = latency_figure(story)
    loudest = sentences.loudest(story)
    keys = [FAILED]
    if loudest is not None and loudest.bound != FAILED:
        keys.insert(0, loudest.bound)
    for key in keys:
        rates = follow_rates(story, key)
        if rates.points:
            yield rates_figure(story, rates, _measure(story, rates))
    yield evidence_figure(story)
    if slow is not None:
        yield slow
    yield exposure_figure(story)


def _measure(story: Story, rates: Rates) -> Measure | None:
    same = [it for it in story.explained.measures if it.bound == rates.key]
    return max(same, key=lambda it: it.limit or 0.0, default=None)


# ---------------------------------------------------------------- banner and facts


def _header(story: Story) -> Safe:
    kind = KIND[story.outcome]
    symbol = sentences.SYMBOLS[story.outcome]
    banner = element(
        "div",
        element(
            "h1",
            element("span", symbol, class_="symbol", aria_hidden="true"),
            sentences.headline(story),
        ),
        [element("p", said) for said in sentences.verdict(story)],
        class_=f"banner {kind}",
    )
    of = f"{story.case.key}: {story.stable} → {story.canary}"
    return element("header", element("p", of, class_="of"), banner)


def _facts(story: Story) -> Safe:
    return element(
        "dl",
        [
            element("div", element("dt", name), element("dd", value))
            for name, value in _named(story)
            if value
        ],
        class_="facts",
    )


def _named(story: Story) -> Iterator[tuple[str, str]]:
    journal, rollout, last = story.case.journal, story.case.rollout, story.last
    yield "Stable", _version(story.stable, journal.stable_revision)
    yield "Canary", _version(story.canary, journal.revision)
    yield "Began", sentences.moment(journal.begun)
    yield "Last look", sentences.moment(last.entry.at)
    weights = [sentences.weight(it.weight) for it in story.explained.raises]
    yield (
        "Weights",
        " → ".join(weights if len(weights) <= MOST_WEIGHTS else (weights[0], "…", weights[-1])),
    )
    yield "Looks", f"{len(story.looks)}, every {_seconds(rollout.analysis.interval)}"
    users = story.explained.users
    yield "Canary requests", wording.counted(users.requests)
    usual = wording.counted(round(users.failed - users.excess))
    yield "Of them failed", f"{wording.counted(users.failed)}, usual about {usual}"
    needed = wording.odds(story.case.settings.log_needed)
    yield "Confidence", f"{wording.percent(1 - story.case.settings.alpha)}, evidence of {needed}"
    yield "Policy", f"ramp: {rollout.ramp}, onUndecided: {rollout.analysis.on_undecided}"
    record = story.record
    if record is not None:
        yield "Reason", f"{record.reason} ({record.phase})"
    yield "Rollout", journal.rollout


def _version(name: str, revision: str) -> str:
    return f"{name} ({revision})" if revision and revision != name else name


def _seconds(value: timedelta) -> str:
    return wording.seconds(value.total_seconds())


# ---------------------------------------------------------------- the parts of the page


def _main(story: Story, read: Sequence[str]) -> Safe:
    return element(
        "main",
        _facts(story),
        _checks(story),
        [in_html(figure) for figure in figures(story)],
        _weights(story),
        _changes(story),
        _source(story, read),
    )


def _section(name: str, title: str, *content: Safe, class_: str | None = None) -> Safe:
    heading = element("h2", title, id=f"{name}-title")
    return element(
        "section", heading, content, id=name, class_=class_, aria_labelledby=f"{name}-title"
    )


def _table(head: Sequence[str], rows: Sequence[Safe], class_: str) -> Safe:
    columns = element("tr", [element("th", it, scope="col") for it in head])
    table = element("table", element("thead", columns), element("tbody", rows), class_=class_)
    return element("div", table, class_="scroll")


def _checks(story: Story) -> Safe:
    judgement = story.deciding.judgement
    rows = [_check(finding) for finding in judgement.findings]
    says = element(
        "p",
        f"As of the look {sentences.duration(story.deciding.at)} after the evidence began.",
        class_="says",
    )
    table = _table(("Check", "Verdict", "What it says"), rows, "checks")
    return _section("checks", "Checks", says, table)


def _check(finding: Finding) -> Safe:
    kind, word = WORDS[finding.verdict]
    observed = "" if finding.decides else " (observed only)"
    ground = "" if finding.verdict is Verdict.PASS else f", {finding.ground}"
    return element(
        "tr",
        element("th", f"{finding.check}{observed}", scope="row", class_="name"),
        element("td", f"{word}{ground}", class_=f"verdict {kind}"),
        element("td", sentences.sentence(finding.message)),
    )


def _weights(story: Story) -> Safe:
    rows = [
        element(
            "tr",
            element("th", sentences.since(story.since_begun(it.at)), scope="row"),
            element("td", sentences.weight(it.weight), class_="short"),
            element("td", sentences.how(it)),
        )
        for it in story.explained.raises
    ]
    table = _table(("First look", "Weight", "What let it rise"), rows, "weights")
    return _section("weights", "Weights", table, class_="long")


def _changes(story: Story) -> Safe:
    shown = story.changes[-MOST_CHANGES:]
    rows = [
        element(
            "tr",
            element("th", sentences.since(it.seen.at), scope="row"),
            element("td", sentences.weight(it.seen.entry.weight), class_="short"),
            element("td", sentences.changed(it), class_="what"),
            element("td", sentences.sentence(sentences.told(it))),
        )
        for it in shown
    ]
    more = len(story.changes) - len(shown)
    says = element("p", f"{more} earlier ones are left out.", class_="says") if more else Safe("")
    table = _table(("After", "Weight", "What changed", "What was said"), rows, "looks")
    return _section("looks", "Looks that changed something", says, table, class_="long")


def _source(story: Story, read: Sequence[str]) -> Safe:
    lines = [element("li", line) for line in sentences.beginning(story)]
    queries = [element("li", element("code", line)) for line in read]
    content = [element("ul", lines, class_="lines")]
    if queries:
        content += [element("p", "What was read:"), element("ul", queries, class_="lines")]
    return _section("source", "Where the numbers come from", *content)


def _footer() -> Safe:
    words = (
        "Written by Crossfade from the rollout's journal alone. The bands hold at every look at"
        " once, with 95 %; times are UTC."
    )
    return element("footer", element("p", joined(words)))
