"""The check kind that compares the canary's failures with stable's in the same seconds.

It keeps evidence against the canary, a bound of its excess failure rate, and, for the time at 100 %
when nothing is left to compare with, a test against what stable used to fail.

Invariant: the excess never rises.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, log

from analysis import wording
from analysis.checks import CheckState, Look, Weighed
from analysis.compare import (
    HALF_LIFE_SECONDS,
    WARM_SECONDS,
    Arms,
    Bets,
    Null,
    Track,
    failed_in,
    open_comparison,
    ratio_in_force,
    track_from,
    track_of,
)
from analysis.eprocess import Evidence, begin, beyond, forfeit, log_sum, take
from analysis.history import NOTHING_KNOWN, History
from analysis.limits import DOUBT
from analysis.ramp import EVERYBODY, Exposure, needed_excess
from analysis.samples import FAILED, Block
from analysis.twosample import EXCESSES, MARGINS, Pair, excess_excluded
from analysis.verdict import Ground

ALONE_SHARE = 0.05
"""Of the evidence on failures: the test that works without stable. It gets no data before."""

ALONE_LEAST = 0.01
ALONE_RATIO = 3.0
"""Without stable beside it the canary may fail 1 %, or three times what stable failed last."""

OUTAGE_SHARE = 0.2
OUTAGE_LEAST = 0.2
OUTAGE_RATIO = 5.0
"""Also of the evidence: an absolute limit of a fifth, or five times what is usual. Where stable
serves few requests, or nothing is known of clumps, the comparison alone takes twenty failures to be
sure of a canary that fails everything; this takes a handful. It counts only clumps that were seen:
a fifth of all requests do not fail by chance, and one retrying client is not all of them."""

OUTAGE_MOST = 0.5
"""Where stable usually fails a tenth, only a canary that fails most is an outage."""

OUTAGE_CALM = 0.5
"""It bets only in blocks in which stable itself keeps below half of that limit, and forgets its
winnings where stable has been above it lately: an incident of both is no outage of one. It goes on
where stable completes nothing: else a canary that fails everything would be hidden by stable's loss
of all its pods."""

BELIEVED_PART = 0.75
"""Of a tolerated excess, which the canary may show itself to have: a test against the tolerance
needs an alternative within it."""

NOW_HALF_LIFE_SECONDS = 20.0
NOW_LEAST_TOTAL = 20.0
"""What stable does just now: quick enough for incidents, and no judgement of three requests."""

INCIDENT_RATE = 0.1
INCIDENT_RATIO = 5.0
"""Stable itself fails a tenth of its requests, and five times what it used to: an incident of
both, in which nobody should be promoted."""


@dataclass(frozen=True, slots=True)
class FailuresVersus:
    """The canary fails no larger a share of its requests than stable does in the same seconds.

    Attributes:
        ratio: r0, times stable's rate that is no regression.
        tolerance: share of requests that it may fail more than stable, besides.
        warm: seconds of traffic in which it may fail several times what stable does.
        log_safe: log(1/beta), what excludes an excess.
        delay: L, seconds from a request to the weight taken back.
    """

    name: str
    log_safe: float
    delay: float
    ratio: float = 1.0
    tolerance: float = 0.0
    warm: float = WARM_SECONDS
    decides: bool = True
    stake: float = 3.0

    @property
    def keeps_evidence(self) -> bool:
        return True

    def begin(self, past: History = NOTHING_KNOWN) -> CheckState:
        bets = open_comparison(EXCESSES)
        track = track_of(past, FAILED)
        evidence = {
            "worse": bets.worse,
            "batch": bets.batch,
            "margins": Evidence((0.0,) * len(MARGINS)),
            "alone": begin(beyond(ALONE_LEAST)),
            "outage": begin(beyond(OUTAGE_LEAST)),
        }
        scale = min(HALF_LIFE_SECONDS / past.seconds, 1.0) if past.seconds else 0.0
        numbers = dict.fromkeys(_FAILURES, 0.0) | track.as_numbers("")
        numbers["excess"] = 1.0
        numbers["usual"] = track.rate
        numbers["flow"], numbers["flow_seconds"] = past.requests * scale, past.seconds * scale
        return CheckState(evidence, numbers)

    def take(self, state: CheckState, look: Look) -> CheckState:
        block = look.block
        if block is None:
            return state
        arms = failed_in(block)
        track = track_from(state.numbers, "")
        evidence = self._bet(state, block, arms, track)
        numbers = dict(state.numbers) | track.learn(
            arms, block.seconds, block.spread.get(FAILED)
        ).as_numbers("")
        count_block(numbers, "", arms)
        _measure_flow(numbers, block)
        _measure_now(numbers, arms, block.seconds)
        numbers["alone_limit"] = _limit_alone(numbers, block, track)
        numbers["restarts"] += block.canary.restarts
        numbers["excess"] = min(numbers["excess"], self._excess(evidence["margins"]))
        return CheckState(evidence, numbers)

    def _bet(
        self, state: CheckState, block: Block, arms: Arms, track: Track
    ) -> dict[str, Evidence]:
        evidence, numbers = state.evidence, state.numbers
        ratio = ratio_in_force(self.ratio, numbers["exposed"], self.warm)
        null = Null(ratio, self.tolerance, EXCESSES)
        bets = Bets(evidence["worse"], evidence["batch"]).take(track, arms, null, block.seconds)
        margins, alone = evidence["margins"], evidence["alone"]
        if arms.canary and arms.stable:
            believed = min(track.excess, BELIEVED_PART * self.tolerance)
            margins = _exclude(margins, track.favour(arms), track.rate, believed)
        if arms.canary and block.weight >= EVERYBODY:
            test = beyond(_limit_alone(numbers, block, track))
            factors = test.log_factors(*_canary_of(track.against(arms)))
            alone = take(alone, factors, block.seconds)
        return {
            "worse": bets.worse,
            "batch": bets.batch,
            "margins": margins,
            "alone": alone,
            "outage": _bet_on_outage(evidence["outage"], arms, track, numbers, block.seconds),
        }

    def _excess(self, margins: Evidence) -> float:
        """Return the smallest excluded margin whose larger ones are excluded too, or 1.

        The largest margin that the truth reaches is wrongly excluded with probability beta, and
        nothing below it counts without it: so "the excess is smaller" errs with that probability.
        """
        excluded = 1.0
        for margin, log_e in zip(MARGINS, margins.bets, strict=True):
            if log_e < self.log_safe:
                break
            excluded = margin
        return excluded

    def weigh(self, state: CheckState, look: Look) -> Weighed:
        numbers = state.numbers
        evidence = state.evidence
        compared = Bets(evidence["worse"], evidence["batch"]).log_e
        against = log_sum(
            [
                compared + log(1 - ALONE_SHARE - OUTAGE_SHARE),
                evidence["alone"].log_e + log(ALONE_SHARE),
                evidence["outage"].log_e + log(OUTAGE_SHARE),
            ]
        )
        seen = self._exposure(numbers)
        now, ground = _stable_now(numbers), Ground.UNDECIDED
        if against >= DOUBT:
            ground = Ground.DOUBTFUL
        elif now >= max(INCIDENT_RATE, INCIDENT_RATIO * numbers["usual"]):
            ground = Ground.SHARED_INCIDENT
        return Weighed(
            facts=self._facts(numbers, leaning=against >= DOUBT),
            against=against,
            safe=ground is Ground.UNDECIDED and seen.excess <= needed_excess(seen, look.ahead),
            over=Ground.WORSE,
            ground=ground,
            note=f"stable itself fails {wording.percent(now)}, an incident of both versions",
            exposure=seen,
        )

    @staticmethod
    def _facts(numbers: Mapping[str, float], *, leaning: bool) -> str:
        parts = [f"canary failed {in_counts(numbers, '')}"]
        if restarts := numbers["restarts"]:
            parts.append(f"restarts of its pods counted as failed requests: {restarts:.0f}")
        # It is about an excess of all the time: beside a canary that turned bad it would mislead.
        if numbers["excess"] < 1 and not leaning and _excess_seen(numbers) < numbers["excess"]:
            parts.append(f"an excess above {wording.percent(numbers['excess'])} is excluded")
        if limit := numbers["alone_limit"]:
            parts.append(
                f"limit with all the traffic {wording.percent(limit)}, by what stable failed last:"
                " not concurrent"
            )
        return ", ".join(parts)

    def _exposure(self, numbers: Mapping[str, float]) -> Exposure:
        track = track_from(numbers, "")
        flow, seconds = numbers["flow"], numbers["flow_seconds"]
        return Exposure(
            rate=flow / seconds if seconds else inf,
            excess=numbers["excess"],
            usual=track.rate,
            clump=track.clumps.sizes[0],
            delay=self.delay,
            tolerance=self.tolerance,
        )


COUNTS = ("bad", "total", "stable_bad", "stable_total")
"""Numbers that sentences are made of."""

_FAILURES = (
    *COUNTS,
    "exposed",
    "excess",
    "usual",
    "flow",
    "flow_seconds",
    "alone_limit",
    "restarts",
    "now_bad",
    "now_total",
)


def _limit_alone(numbers: Mapping[str, float], block: Block, track: Track) -> float:
    """Return the limit for the time without stable, fixed once all traffic is the canary's."""
    if numbers["alone_limit"] or block.weight < EVERYBODY:
        return numbers["alone_limit"]
    return max(ALONE_LEAST, ALONE_RATIO * track.rate)


def _bet_on_outage(
    evidence: Evidence, arms: Arms, track: Track, numbers: Mapping[str, float], seconds: float
) -> Evidence:
    limit = min(max(OUTAGE_LEAST, OUTAGE_RATIO * numbers["usual"]), OUTAGE_MOST)
    calm = OUTAGE_CALM * limit
    if not arms.canary:
        return evidence
    if _stable_now(numbers) > calm:
        return forfeit(evidence)
    factors = beyond(limit).log_factors(*_canary_of(track.as_shown(arms)))
    if arms.stable_bad > calm * arms.stable:
        # Losses count, winnings do not: one more failure of stable never speaks against the canary.
        factors = tuple(min(factor, 0.0) for factor in factors)
    return take(evidence, factors, seconds)


def _exclude(margins: Evidence, pair: Pair, rate: float, believed: float) -> Evidence:
    bets = tuple(
        log_e + excess_excluded(pair, rate, margin, believed)
        for margin, log_e in zip(MARGINS, margins.bets, strict=True)
    )
    return replace(margins, bets=bets)


def _excess_seen(numbers: Mapping[str, float]) -> float:
    """Return by how much the canary's rate is above stable's in the same seconds."""
    arms = Arms(*(int(numbers[name]) for name in COUNTS))
    canary = arms.canary_bad / arms.canary if arms.canary else 0.0
    return canary - (arms.stable_bad / arms.stable if arms.stable else 0.0)


def _canary_of(pair: Pair) -> tuple[float, float]:
    """Return the canary's bad ones of all; clumps may be more than so many requests make."""
    return pair.bad_a, max(pair.total_a, pair.bad_a)


def _stable_now(numbers: Mapping[str, float]) -> float:
    """Return stable's failure rate of the last half minute."""
    return numbers["now_bad"] / max(numbers["now_total"], NOW_LEAST_TOTAL)


def _measure_now(numbers: dict[str, float], arms: Arms, seconds: float) -> None:
    kept = 0.5 ** (seconds / NOW_HALF_LIFE_SECONDS)
    numbers["now_bad"] = numbers["now_bad"] * kept + arms.stable_bad
    numbers["now_total"] = numbers["now_total"] * kept + arms.stable


def _measure_flow(numbers: dict[str, float], block: Block) -> None:
    """Count requests a second, and the seconds that the canary has had traffic."""
    kept = 0.5 ** (block.seconds / HALF_LIFE_SECONDS)
    requests = block.canary.requests + block.stable.requests
    numbers["flow"] = numbers["flow"] * kept + requests
    numbers["flow_seconds"] = numbers["flow_seconds"] * kept + block.seconds
    if block.weight:
        numbers["exposed"] += block.seconds


def count_block(numbers: dict[str, float], slot: str, arms: Arms) -> None:
    """Add a block to the numbers that sentences are made of."""
    numbers[f"{slot}bad"] += arms.canary_bad
    numbers[f"{slot}total"] += arms.canary
    numbers[f"{slot}stable_bad"] += arms.stable_bad
    numbers[f"{slot}stable_total"] += arms.stable


def in_counts(numbers: Mapping[str, float], slot: str) -> str:
    """Say both versions' counts: "6 of 83 requests (7.2 %), stable 2 of 1,604 ..."."""
    bad, total, stable_bad, stable_total = (numbers[f"{slot}{name}"] for name in COUNTS)
    text = wording.part(bad, total)
    if not stable_total:
        return text
    return f"{text}, stable {wording.part(stable_bad, stable_total)} in the same seconds"
