"""Evidence that may be looked at any time: e-processes for one failure rate against a fixed limit.

Notation: a block brought n requests, y of them bad (failed, or slower than a bound); theta is the
unknown probability of a bad one, l the limit, a an alternative on the other side of l.

- Factor of a block (Wald 1945, the likelihood ratio of a against l):

      log e = y * log(a / l) + (n - y) * log((1 - a) / (1 - l))

  Per request E[factor] = theta * a/l + (1 - theta) * (1 - a)/(1 - l), which is linear in theta and
  exactly 1 at theta = l. For a > l it grows with theta, so it is <= 1 for every theta <= l; for
  a < l it falls, so it is <= 1 for every theta >= l (the mirror). theta may differ from request to
  request and depend on the past, as long as it keeps its side of l.
- Over blocks the factors multiply, so each alternative's product is a non-negative supermartingale
  under the null, and so is any average of them. By Ville (1939) P(E ever reaches 1/alpha) <= alpha,
  at any look and under any schedule of weights that depends only on the past.
- **Late starts.** A product over everything answers "was the canary bad from the start?": after a
  thousand good requests it would take a hundred failures to outweigh them. So a part of the stake
  is kept in reserve and put, minute by minute, on products that begin later:

      E = reserve_k + sum over starts i < k of stake_i * (product of factors since start i)
      stake_0 = 0.8;  stake_i = 0.2 / (i * (i + 1));  reserve_k = 0.2 / k  after k >= 1 starts

  The stakes sum to 1 and each start is decided before the block it begins with, so E is still a
  supermartingale that begins at 1: the same bound alpha over the whole rollout (the mixture method
  of Robbins 1970, over change points; compare the e-detectors of Shin, Ramdas and Rinaldo 2022,
  which have no reserve and bound only the time between false alarms). It costs log(1.25) at the
  start, and log(5 k (k + 1)) for a canary that turns bad in minute k. All starts of one
  alternative share one number, because they take the same factors from here on: S <- (S + stake) *
  e.
- **Clumps.** Where bad requests come in clumps of mean size phi, log e is divided by phi:
  e**(1/phi) has expectation <= 1 by Jensen, and it is then valid for clumps up to that size.

Everything is kept in logs and stays finite for any counts. No thresholds, sentences or clocks here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log, log1p
from operator import add as add_floats

STARTS_EVERY_SECONDS = 60.0
"""Of observed time. Shorter finds nothing sooner (the price grows with the number of starts)."""

FIRST_STAKE = 0.8
"""Most bad canaries are bad at once; the rest of the stake buys the late ones."""

SMALLEST_LIMIT = 1e-6
"""A success rate of 100 % means a limit of 0, under which one failure is infinite evidence. A limit
raised to this makes the null larger, so nothing becomes less valid."""

ODDS_BEYOND = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 300.0)
"""Alternatives beyond the limit, as multiples of its odds: from slightly over it to most of them
bad."""

OUTAGE = 0.97
"""Alternative for a canary that fails nearly everything: under a limit of 1 % two failures in a row
are evidence of more than 1 : 1000."""

LARGEST_RATIO = 200.0
"""Of an alternative to the limit. With it one bad request alone is worth less than 1 : 50, however
strict the limit: nobody's canary goes back for the first request of its life. Two are enough."""

ODDS_INSIDE = (0.02, 0.2, 0.5)
"""Alternatives inside the limit. Few, because each one costs the others: a canary without any
failure shows that it keeps a limit of 1 % with about 390 requests (300 if no other alternative
were tried)."""


@dataclass(frozen=True, slots=True)
class LimitTest:
    """One test's design, fixed before its first block.

    Attributes:
        limit: the null's edge, between 1e-6 and 1 - 1e-6.
        alternatives: failure rates on the other side of it, in the order of the evidence's bets.
        tempering: phi, mean size of a clump; 1 where failures are independent.
    """

    limit: float
    alternatives: tuple[float, ...]
    tempering: float = 1.0

    def log_factors(self, bad: float, total: float) -> tuple[float, ...]:
        """One block's log e for each alternative; zeros for an empty block."""
        good = total - bad
        return tuple(
            (
                bad * log(alternative / self.limit)
                + good * (log1p(-alternative) - log1p(-self.limit))
            )
            / self.tempering
            for alternative in self.alternatives
        )


def beyond(limit: float, *, tempering: float = 1.0) -> LimitTest:
    """Design a test whose large values speak against "at most `limit` are bad"."""
    edge = _clip(limit)
    rates = [*(_times_odds(edge, odds) for odds in ODDS_BEYOND), max(OUTAGE, _times_odds(edge, 2))]
    alternatives = tuple(min(rate, LARGEST_RATIO * edge) for rate in rates)
    return LimitTest(edge, alternatives, tempering)


def inside(limit: float, *, tempering: float = 1.0) -> LimitTest:
    """Design the mirror: large values speak against "at least `limit` are bad"."""
    edge = _clip(limit)
    return LimitTest(edge, tuple(_times_odds(edge, odds) for odds in ODDS_INSIDE), tempering)


def _clip(limit: float) -> float:
    return min(max(limit, SMALLEST_LIMIT), 1 - SMALLEST_LIMIT)


def _times_odds(rate: float, odds: float) -> float:
    return rate * odds / (1 - rate + rate * odds)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The state of one e-process: a few floats, whatever has been seen.

    Attributes:
        bets: log of the stakes and winnings on each alternative; always finite.
        starts: how many starts were made; at least 1.
        seconds: observed time since the last start.
    """

    bets: tuple[float, ...]
    starts: int = 1
    seconds: float = 0.0

    @property
    def log_e(self) -> float:
        """Log of the evidence; 0 before any data."""
        return log_sum([log((1 - FIRST_STAKE) / self.starts), log_mean(self.bets)])


def open_bets(count: int) -> Evidence:
    """Evidence on so many alternatives before any data: E = 1."""
    return Evidence((log(FIRST_STAKE),) * count)


def begin(test: LimitTest) -> Evidence:
    """Evidence of a test before any data: E = 1."""
    return open_bets(len(test.alternatives))


def take(evidence: Evidence, log_factors: Sequence[float], seconds: float) -> Evidence:
    """Multiply one block's factors in, one for each alternative."""
    started = _start_if_due(evidence)
    bets = tuple(map(add_floats, started.bets, log_factors))
    return Evidence(bets, started.starts, started.seconds + seconds)


def add(
    evidence: Evidence, test: LimitTest, *, bad: float, total: float, seconds: float
) -> Evidence:
    """Take one block. One more bad request never makes evidence of `beyond` smaller."""
    return take(evidence, test.log_factors(bad, total), seconds)


def cap(evidence: Evidence, log_most: float) -> Evidence:
    """Forget a bet's winnings above `log_most`.

    The evidence then falls soon after the data change for the better. Taking winnings away keeps a
    supermartingale one.
    """
    return replace(evidence, bets=tuple(min(bet, log_most) for bet in evidence.bets))


def forfeit(evidence: Evidence) -> Evidence:
    """Give back all winnings: no bet holds more than its latest stake, so E is 1 at most.

    For data that say nothing about the null, found out only afterwards. The price is power.
    """
    return cap(evidence, log(_stake(evidence.starts - 1)))


def _start_if_due(evidence: Evidence) -> Evidence:
    if evidence.seconds < STARTS_EVERY_SECONDS:
        return evidence
    stake = log(_stake(evidence.starts))
    bets = tuple(log_sum([bet, stake]) for bet in evidence.bets)
    return Evidence(bets, evidence.starts + 1)


def _stake(start: int) -> float:
    """The share of the whole stake that a start takes, counted from 0."""
    return (1 - FIRST_STAKE) / (start * (start + 1)) if start else FIRST_STAKE


def log_sum(logs: Sequence[float]) -> float:
    """log(sum(exp(x))), without overflow."""
    top = max(logs)
    return top + log(sum(exp(value - top) for value in logs))


def log_mean(logs: Sequence[float]) -> float:
    """log(mean(exp(x))), without overflow."""
    return log_sum(logs) - log(len(logs))
