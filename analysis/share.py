"""Whether the canary completes the requests that its weight promises.

Only completed requests are counted, so a canary that hangs shows no failures at all; what it shows
is too few requests. An alarm of its own beside the verdict: it holds and tells, it never fails
anybody.

Null: a request is the canary's with probability at least half its weight's share. One-sided, since
users who ask for the canary by header, and callers that reach pods without the gateway, only add to
it; by half, since they may also add to stable. The e-process is analysis.eprocess's mirror, with
each block's own limit, so weights may change: its factors are bets against the null in any case.

It asks about now, so a bet that lost its stake is staked anew at each block (a CUSUM, as in the
e-detectors of Shin, Ramdas and Rinaldo 2022). On the null's very edge it would ring once in a
thousand looks on average; a canary that gets its share is twice as far from it.
"""

from math import log

from analysis import wording
from analysis.eprocess import ODDS_INSIDE, Evidence, cap, inside, open_bets, take
from analysis.samples import Block

LOG_ALARM = log(1000)
"""Once in a thousand looks at worst, a rollout is held for nothing."""

LOG_MOST = log(10_000)
"""What it remembers, so that the alarm ends soon after the requests come back."""

LEAST_PART = 0.5
"""Of the promised share; see above."""


def begin() -> Evidence:
    """Evidence before any data: E = 1."""
    return open_bets(len(ODDS_INSIDE))


def take_block(evidence: Evidence, block: Block) -> Evidence:
    """Learn from one block; one without any canary request is silence, which the judge times."""
    requests = block.canary.requests + block.stable.requests
    if not block.canary.requests or not block.weight:
        return evidence
    test = inside(LEAST_PART * block.weight / 100)
    factors = test.log_factors(block.canary.requests, requests)
    stake = begin().bets[0]
    restaked = Evidence(tuple(max(bet, stake) for bet in evidence.bets))
    return cap(take(restaked, factors, block.seconds), LOG_MOST)


def is_off(evidence: Evidence) -> bool:
    """Say whether the alarm rings."""
    return evidence.log_e >= LOG_ALARM


def sentence(block: Block) -> str:
    """Say what is off, in the counts of the latest block."""
    requests = block.canary.requests + block.stable.requests
    return (
        f"canary completed {wording.part(block.canary.requests, requests)}, its weight promises"
        f" {wording.percent(block.weight / 100)}: requests that hang are not completed, or it gets"
        " less traffic than it should"
    )
