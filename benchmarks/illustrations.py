"""The pictures and the worked example of docs/how-it-decides.md, made of rollouts by seed.

    python -m benchmarks.illustrations            prints the parts of the document that are made
    python -m benchmarks.illustrations --write    writes them and docs/pictures

Everything is what the product says and draws: its judge, its explanation, its report.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, log, sqrt
from pathlib import Path
from random import Random
from textwrap import wrap
from typing import Final

from analysis import wording
from analysis.checks import Look
from analysis.samples import FAILED
from analysis.settings import compared
from benchmarks.detection.traffic import READ_SECONDS, Cell, Traffic
from benchmarks.examples import EXAMPLES, PLAIN, play
from daemon.cli import explain_text
from daemon.cli.evidence_case import Case
from daemon.report import sentences
from daemon.report.figure import Figure, alone
from daemon.report.panel_evidence import evidence_figure, odds
from daemon.report.panel_exposure import exposure_figure
from daemon.report.panel_latency import latency_figure
from daemon.report.panel_rates import rates_figure
from daemon.report.plot import WIDE, Frame, clock
from daemon.report.rates import follow_rates
from daemon.report.story import Story, tell
from daemon.report.style import ALONE

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
DOCUMENT: Final = DOCS / "how-it-decides.md"
PICTURES: Final = DOCS / "pictures"

HARMLESS: Final = Cell(PLAIN, 100, 0.01, "x1")
HARMLESS_ROLLOUTS: Final = 100
HARMLESS_SECONDS: Final = 300
HARMLESS_WEIGHT: Final = 20.0
DELAY_SECONDS: Final = 7.0

NAIVE_Z: Final = 2.326
"""A textbook test of two shares, one-sided, that errs in 1 of 100 cases if one looks once."""

LINE: Final = 116
"""Characters of a line of the document."""

ROWS: Final = 10
"""Of the example's table."""


@dataclass(frozen=True, slots=True)
class Played:
    """The examples, and many rollouts in which nothing was wrong."""

    cases: Mapping[str, Case]
    stories: Mapping[str, Story]
    harmless: tuple["Harmless", ...]


def play_all() -> Played:
    """Play everything."""
    cases = {example.name: play(example) for example in EXAMPLES}
    told = {name: story for name, case in cases.items() if (story := tell(case)) is not None}
    return Played(cases, told, tuple(_harmless(seed) for seed in range(HARMLESS_ROLLOUTS)))


# ---------------------------------------------------------------- looking at any time


@dataclass(frozen=True, slots=True)
class Harmless:
    """A rollout in which nothing is wrong, looked at every five seconds.

    Attributes:
        powers: time, and the evidence as a power of ten.
        naive: whether the textbook test called the canary worse at any look.
    """

    powers: tuple[tuple[float, float], ...]
    naive: bool

    @property
    def highest(self) -> float:
        return max(power for _, power in self.powers)


def _harmless(seed: int) -> Harmless:
    traffic = Traffic(HARMLESS, Random(f"harmless/{seed}"))
    check = compared(DELAY_SECONDS)[0]
    state = check.begin(traffic.history)
    powers, naive = [(0.0, 0.0)], False
    bad = total = stable_bad = stable = 0
    for start in range(0, HARMLESS_SECONDS, READ_SECONDS):
        look = Look(traffic.read(start, HARMLESS_WEIGHT).block)
        state = check.take(state, look)
        against = check.weigh(state, look).against or 0.0
        powers.append((float(start + READ_SECONDS), against / log(10)))
        assert look.block is not None
        bad, total = bad + look.block.canary.failed, total + look.block.canary.requests
        stable_bad += look.block.stable.failed
        stable += look.block.stable.requests
        naive = naive or _textbook(bad, total, stable_bad, stable) > NAIVE_Z
    return Harmless(tuple(powers), naive)


def _textbook(bad: int, total: int, stable_bad: int, stable: int) -> float:
    """Return z of two shares, pooled."""
    share = (bad + stable_bad) / (total + stable)
    spread = sqrt(share * (1 - share) * (1 / total + 1 / stable)) if total and stable else 0.0
    return (bad / total - stable_bad / stable) / spread if spread else 0.0


def _many(harmless: tuple[Harmless, ...]) -> str:
    frame = Frame(WIDE, HARMLESS_SECONDS)
    ticks = [-1.0, 0.0, 1.0, 2.0, 3.0]
    pane = frame.pane(
        "evidence against a canary that is as good as stable", 230, -1, 3, ticks, odds
    )
    pane.rule(2.0, "limit", "1 : 100 takes it back")
    for rollout in harmless:
        pane.line(rollout.powers, "many")
    said = f"Evidence of {len(harmless)} rollouts in which nothing was wrong."
    return alone(frame.svg("Nothing was wrong", said), ALONE)


# ---------------------------------------------------------------- pictures


def pictures(played: Played) -> Iterator[tuple[str, str]]:
    """Draw the files of docs/pictures."""
    failing, good, slow = (played.stories[name] for name in ("failing", "good", "slow"))
    measure = failing.explained.measures[0]
    rates = rates_figure(failing, follow_rates(failing, FAILED), measure)
    yield "failing-rates.svg", _file(rates)
    yield "failing-evidence.svg", _file(evidence_figure(failing))
    yield "good-exposure.svg", _file(exposure_figure(good))
    latency = latency_figure(slow)
    assert latency is not None
    yield "slow-latency.svg", _file(latency)
    yield "nothing-wrong.svg", _many(played.harmless)


def _file(figure: Figure) -> str:
    return alone(figure.pictures[0], ALONE)


# ---------------------------------------------------------------- the document's made parts


def parts(played: Played) -> dict[str, str]:
    """Write the parts that stand between marks in the document."""
    return {
        "example": _table(played.stories["failing"]),
        "explain": _explained(played.cases["failing"]),
        "good": _sentences(played.stories["good"]),
        "quiet": _sentences(played.stories["quiet"]),
        "harmless": _counted(played.harmless),
    }


def _table(story: Story) -> str:
    looks = list(story.looks)
    step = ceil(len(looks) / ROWS)
    shown = [seen for place, seen in enumerate(looks) if (len(looks) - 1 - place) % step == 0]
    lines = ["| after | canary failed | stable failed | evidence |", "|---|---|---|---|"]
    for seen in shown:
        sums = seen.sums
        canary = wording.part(sums.canary_bad, sums.canary)
        stable = wording.part(sums.stable_bad, sums.stable)
        lines.append(f"| {clock(seen.at)} | {canary} | {stable} | {wording.odds(seen.total)} |")
    return "\n".join(lines)


def _explained(case: Case) -> str:
    explained = tell(case)
    assert explained is not None
    text = explain_text.text_of(case, explained.explained)
    return f"```text\n{text}\n```"


def _sentences(story: Story) -> str:
    return _quoted(f"**{sentences.headline(story)}.**", *sentences.verdict(story))


def _quoted(*said: str) -> str:
    """Write sentences as a quotation, each from the beginning of a line."""
    lines = [line for it in said for line in wrap(it, LINE - 2)]
    return "\n".join(f"> {line}" for line in lines)


def _counted(harmless: tuple[Harmless, ...]) -> str:
    naive = sum(rollout.naive for rollout in harmless)
    ever = sum(rollout.highest >= 2.0 for rollout in harmless)
    highest = max(rollout.highest for rollout in harmless)
    return _quoted(
        f"{len(harmless)} rollouts in which nothing was wrong, {HARMLESS_SECONDS // 60} minutes at"
        f" {HARMLESS_WEIGHT:g} % of 100 requests a second, a look every {READ_SECONDS} seconds:",
        f"the textbook test, asked at every look, called {naive} of them worse; the evidence"
        f" reached 1 : 100 in {ever} of them, and at most {wording.odds(highest * log(10))}.",
    )


def with_parts(text: str, made: Mapping[str, str]) -> str:
    """Return the document with its made parts written anew.

    Raises:
        ValueError: a mark is missing.
    """
    for name, part in made.items():
        before, begin, rest = text.partition(f"<!-- made: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not begin or not end:
            raise ValueError(f"the document has no marks <!-- made: {name} --> and <!-- end -->")
        text = f"{before}{begin}{part}\n{end}{after}"
    return text


def main(arguments: list[str]) -> int:
    played = play_all()
    made = parts(played)
    if "--write" in arguments:
        DOCUMENT.write_text(with_parts(DOCUMENT.read_text("utf-8"), made), "utf-8")
        PICTURES.mkdir(exist_ok=True)
        for name, text in pictures(played):
            (PICTURES / name).write_text(text, "utf-8")
        return 0
    for name, part in made.items():
        print(f"<!-- made: {name} -->\n{part}\n<!-- end -->\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
