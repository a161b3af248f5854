"""What stable did before the rollout: its usual rates and how its bad requests come together.

Read from the ring of readings that a provider keeps of stable while nothing is rolled out. It is
only ever a guess for the tests (a bad one costs power, never validity) and the measure of clumps
(analysis.clumps). Nothing here is kept: `analysis.judge.begin` copies what the checks need.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from analysis.clumps import Clumps
from analysis.samples import FAILED, Counts, Reading, close_block


@dataclass(frozen=True, slots=True)
class History:
    """Stable's counts before the rollout, summed; all 0 where nothing is known.

    Attributes:
        seconds: observed time.
        requests: completed requests.
        timed: requests that a histogram counted.
        bad: FAILED or a latency bound -> requests that failed, or took longer.
        clumps: by the same keys.
    """

    seconds: float = 0.0
    requests: int = 0
    timed: int = 0
    bad: Mapping[float, int] = field(default_factory=dict)
    clumps: Mapping[float, Clumps] = field(default_factory=dict)

    def total(self, key: float) -> int:
        """Requests that `bad[key]` is a part of."""
        return self.requests if key == FAILED else self.timed


NOTHING_KNOWN = History()


def read_history(readings: Sequence[Reading], *, stable: str) -> History:
    """Sum up the readings of stable, oldest first; fewer than two say nothing.

    Latency bounds that changed meanwhile (another client library's buckets) are left out.
    """
    seconds, requests, timed = 0.0, 0, 0
    bad: dict[float, int] = {}
    clumps: dict[float, Clumps] = {}
    for before, after in pairwise(readings):
        block = close_block(before, after, stable=stable, canary=None, weight=0)
        arm = block.stable
        if not arm.pods:
            continue
        seconds, requests, timed = (
            seconds + block.seconds,
            requests + arm.requests,
            timed + arm.timed,
        )
        for key, count in _bad(arm).items():
            bad[key] = bad.get(key, 0) + count
            clumps[key] = clumps.get(key, Clumps()).add(block.spread.get(key))
    last = _bad(_latest(readings, stable))
    known = {key: count for key, count in bad.items() if key in last}
    return History(seconds, requests, timed, known, {key: clumps[key] for key in known})


def _bad(arm: Counts) -> dict[float, int]:
    return {FAILED: arm.failed, **{bound: arm.timed - n for bound, n in arm.within.items()}}


def _latest(readings: Sequence[Reading], stable: str) -> Counts:
    """Return stable's last countable block."""
    for after, before in pairwise(reversed(readings)):
        arm = close_block(before, after, stable=stable, canary=None, weight=0).stable
        if arm.pods:
            return arm
    return Counts()
