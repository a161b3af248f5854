"""A saved rollout under rules: its own, others of ours, or a peer's.

The rules of `--what-if` are written as in the policy and read by the policy's own schema, so units
and limits are the same. What the counts cannot tell is refused, or said as a caveat.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from analysis.explanation import Difference, Looks, first_difference
from analysis.journal import Entry, entries, replay
from analysis.peers import ARGO, FLAGGER, Peer, Rule, Tick
from analysis.samples import Block
from analysis.settings import LARGEST_ALPHA, SMALLEST_ALPHA, JudgeSettings, settings_from
from analysis.whatif import Gate, at_interval, gates
from config.errors import PolicyError
from config.quantities import format_duration
from config.schema import Rollout
from config.stored import dump_rollout, load_rollout
from daemon.cli.evidence_case import Case
from daemon.cli.exits import Exit, Failure

KEYS: Final = ("alpha", "confidence", "minRequests", "maxDrop", "maxRatio", "interval", "steps")
PEERS: Final[Mapping[str, Rule]] = {"flagger": FLAGGER, "argo": ARGO}
MAX_STEPS: Final = 50
"""As in a policy."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A rollout judged again.

    Attributes:
        differs: the first look that comes out otherwise than it was stored.
    """

    looks: Looks
    differs: Difference | None


@dataclass(frozen=True, slots=True)
class Otherwise:
    """A rollout judged by other rules.

    Attributes:
        rules: as they were written.
        gates: when the evidence would have allowed each step; empty where none were asked for.
        caveats: what the counts cannot tell.
    """

    rules: Mapping[str, str]
    looks: Looks
    gates: Sequence[Gate] = ()
    caveats: tuple[str, ...] = ()


def judged(case: Case) -> Judged:
    """Judge it again as it was."""
    looks = list(replay(case.settings, case.journal))
    return Judged(looks, first_difference(looks))


def rules_of(texts: Sequence[str]) -> dict[str, str]:
    """Read `alpha=0.001,steps=5,50,100`: a comma before a word and `=` begins the next rule.

    Raises:
        Failure: a key that does not exist, or is given twice.
    """
    rules: dict[str, str] = {}
    for part in (it for text in texts for it in re.split(r",(?=\s*[A-Za-z]+=)", text)):
        key, sign, value = part.partition("=")
        key = key.strip()
        if not sign or key not in KEYS:
            raise _usage(f"--what-if {part!r}: write KEY=VALUE; the keys are {', '.join(KEYS)}")
        if key in rules:
            raise _usage(f"--what-if: {key} is given twice")
        rules[key] = value.strip()
    return rules


def judged_otherwise(case: Case, rules: Mapping[str, str]) -> Otherwise:
    """Judge it by these rules.

    Raises:
        Failure: a value that no policy may have, or that the counts cannot answer.
    """
    rollout = _changed(case.rollout, rules)
    settings = settings_from(rollout)
    if "alpha" in rules:
        settings = replace(settings, alpha=_alpha(rules["alpha"]))
    looks = list(entries(case.journal))
    if "interval" in rules:
        looks = _less_often(case, looks, rollout.analysis.interval)
    weights = _weights(rules["steps"]) if "steps" in rules else []
    again = list(replay(settings, case.journal, looks))
    allowed = gates(settings, case.journal, weights, looks) if weights and looks else []
    return Otherwise(dict(rules), again, allowed, tuple(_caveats(case, rules)))


def _caveats(case: Case, rules: Mapping[str, str]) -> Iterator[str]:
    gone = case.journal.gone.looks
    if gone and not {"alpha", "confidence", "minRequests"}.issuperset(rules):
        yield f"the {gone} looks before these are gone: their evidence stays as it was judged"
    if "interval" in rules:
        yield "looks are put together; how unevenly pods failed is added up, not read again"
    if "steps" in rules:
        yield (
            "requests came at the weights that were set; traffic at other weights was never"
            " observed, and more of it would have told sooner"
        )
    yield "after another verdict the rollout itself would have gone another way from there"


# ---------------------------------------------------------------- rules as a policy


def _changed(rollout: Rollout, rules: Mapping[str, str]) -> Rollout:
    """Return the policy with these rules in it."""
    plain = dump_rollout(rollout)
    analysis: dict[str, Any] = plain["analysis"]
    for key in ("confidence", "interval"):
        if key in rules:
            analysis[key] = rules[key]
    if "minRequests" in rules:
        analysis["minRequests"] = _whole(rules["minRequests"])
    for key, kind in (("maxDrop", "successRate"), ("maxRatio", "latency")):
        if key in rules:
            _compare(rollout, analysis["checks"], kind, {key: rules[key]})
    try:
        return load_rollout(plain)
    except PolicyError as problem:
        told = "; ".join(it.message.removeprefix("Value error, ") for it in problem.problems)
        raise _usage(f"--what-if: {told}") from problem


def _compare(
    rollout: Rollout, checks: list[dict[str, Any]], kind: str, rule: dict[str, str]
) -> None:
    """Give the rule to each check of the kind that compares with stable.

    Raises:
        Failure: there is none; a check that compared nothing has kept no evidence of it.
    """
    found = False
    for check, plain in zip(rollout.analysis.checks, checks, strict=True):
        compared = check.success_rate if kind == "successRate" else check.latency
        if compared is not None and compared.compares:
            plain[kind] |= rule
            found = True
    if not found:
        raise _usage(f"--what-if {next(iter(rule))}: no {kind} check compares with stable")


def _alpha(text: str) -> float:
    try:
        alpha = float(text)
    except ValueError:
        alpha = 0.0
    if not SMALLEST_ALPHA <= alpha <= LARGEST_ALPHA:
        raise _usage(f"--what-if alpha={text}: write a probability, for example 0.001")
    return alpha


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _usage(f"--what-if minRequests={text}: write a whole number") from None


def _weights(text: str) -> list[float]:
    """Read `5,25,50,100`."""
    try:
        weights = [float(it.strip().removesuffix("%")) for it in text.split(",")]
    except ValueError:
        weights = []
    rising = all(a < b for a, b in pairwise(weights))
    if not (1 < len(weights) <= MAX_STEPS and rising and weights[0] > 0 and weights[-1] == 100):
        raise _usage(f"--what-if steps={text}: write rising percents up to 100: steps=5,25,50,100")
    return weights


def _less_often(case: Case, looks: Sequence[Entry], interval: timedelta) -> list[Entry]:
    was = case.rollout.analysis.interval
    if interval < was:
        raise _usage(
            f"--what-if interval={format_duration(interval)}: the counts were read every"
            f" {format_duration(was)}; looks can be put together, never taken apart"
        )
    return list(at_interval(looks, interval.total_seconds()))


# ---------------------------------------------------------------- peers


def judged_by_peer(case: Case, name: str) -> tuple[Rule, list[Tick]]:
    """Judge the looks between the first weight and 100 % by a peer's rule, up to its rollback."""
    rule = PEERS[name]
    peer, ticks = Peer(rule), []
    begun: float | None = None
    for look in entries(case.journal):
        if not 0 < look.weight < 100:
            continue
        seconds = look.read.seconds if isinstance(look.read, Block) else 0.0
        begun = look.at - seconds if begun is None else begun
        canary = look.read.canary if isinstance(look.read, Block) else None
        counts = (canary.requests, canary.failed) if canary else (0, 0)
        tick = peer.look(look.at - begun, *counts)
        if tick is not None:
            ticks.append(replace(tick, at=look.at))
            if tick.rolls_back:
                break
    return rule, ticks


def first_fail(looks: Looks) -> Entry | None:
    """Return the first look that is judged Fail."""
    return _first(looks, lambda verdict: verdict == "Fail")


def first_pass(looks: Looks) -> Entry | None:
    """Return the first look that is judged Pass."""
    return _first(looks, lambda verdict: verdict == "Pass")


def _first(looks: Looks, wanted: Callable[[str], bool]) -> Entry | None:
    return next((entry for entry, _, it in looks if wanted(it.verdict)), None)


def settings_in_words(settings: JudgeSettings) -> str:
    """Say what evidence is needed."""
    return f"evidence of 1 : {1 / settings.alpha:,.0f}, {settings.min_requests} requests a step"


def _usage(message: str) -> Failure:
    return Failure(message, Exit.USAGE)
