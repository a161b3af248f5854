"""What stable did before the rollout: its usual rates and how its bad requests come together.

Added up from the blocks between readings of stable while nothing is rolled out. It is only ever a
guess for the tests (a bad one costs power, never validity) and the measure of clumps
(analysis.clumps). `Recent` keeps the last half hour in parts, so that it forgets and stays small
whatever the number of pods; `analysis.judge.begin` copies what the checks need.

Invariant: of each latency bound, the slow requests and `timed` come from the same blocks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import reduce
from itertools import pairwise

from analysis.clumps import Clumps
from analysis.samples import FAILED, Block, Reading, close_block

WINDOW_SECONDS = 1800.0
"""How far back stable's past tells how it is now."""

PART_SECONDS = 300.0
"""What is forgotten at a time. Six parts are some ten kilobytes; 120 readings of 20 pods would be
megabytes a target."""


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

    def add(self, block: Block) -> "History":
        """Add stable's arm of a block; one in which no pod could be counted says nothing."""
        arm = block.stable
        if not arm.pods:
            return self
        past = self._with_bounds(arm.within.keys()) if arm.within else self
        counts = {FAILED: arm.failed, **{bound: arm.timed - n for bound, n in arm.within.items()}}
        totals = {FAILED: arm.requests, **dict.fromkeys(arm.within, arm.timed)}
        bad = {FAILED: 0, **past.bad}
        return History(
            past.seconds + block.seconds,
            past.requests + arm.requests,
            past.timed + arm.timed,
            {key: count + counts.get(key, 0) for key, count in bad.items()},
            {
                key: past.clumps.get(key, Clumps()).add(
                    block.spread.get(key), counts.get(key, 0), totals.get(key, 0)
                )
                for key in bad
            },
        )

    def _with_bounds(self, counted: Iterable[float]) -> "History":
        """Leave out latency bounds that are no longer counted (another client library's buckets).

        Where none is left, durations begin anew.
        """
        bounds = sorted(set(counted) & self.bad.keys())
        if bounds:
            return replace(self, bad={key: self.bad[key] for key in (FAILED, *bounds)})
        failed = self.bad.get(FAILED, 0)
        clumps = {FAILED: self.clumps.get(FAILED, Clumps())}
        bad = {FAILED: failed, **dict.fromkeys(sorted(counted), 0)}
        return replace(self, timed=0, bad=bad, clumps=clumps)


NOTHING_KNOWN = History()


def read_history(readings: Sequence[Reading], *, stable: str) -> History:
    """Sum up the readings of stable, oldest first; fewer than two say nothing."""
    blocks = (
        close_block(before, after, stable=stable, canary=None, weight=0)
        for before, after in pairwise(readings)
    )
    return reduce(History.add, blocks, NOTHING_KNOWN)


# ---------------------------------------------------------------- the last half hour


@dataclass(frozen=True, slots=True)
class Part:
    """A few minutes of it, from `began` on, in seconds of the readings' own scale."""

    began: float
    history: History


@dataclass(frozen=True, slots=True)
class Recent:
    """Stable's last `WINDOW_SECONDS`, oldest part first."""

    parts: tuple[Part, ...] = ()

    def add(self, block: Block, at: float) -> "Recent":
        """Add a block that ended at `at`, and forget what is too long ago by then."""
        kept = self._since(at)
        if kept and at - kept[-1].began <= PART_SECONDS:
            last = replace(kept[-1], history=kept[-1].history.add(block))
            return Recent((*kept[:-1], last))
        return Recent((*kept, Part(at - block.seconds, NOTHING_KNOWN.add(block))))

    def history(self, at: float) -> History:
        """Add up what is known at `at`."""
        return _join([part.history for part in self._since(at)])

    def _since(self, at: float) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if at - part.began <= WINDOW_SECONDS)


def _join(parts: Sequence[History]) -> History:
    """Add up; durations only of those parts that have the newest one's latency bounds."""
    with_times = [part for part in parts if part.timed]
    bounds = sorted(with_times[-1].bad.keys() - {FAILED}) if with_times else []
    with_times = [part for part in with_times if part.bad.keys() >= set(bounds)]
    known = [part for part in parts if part.seconds or part.requests]
    sources = {FAILED: known, **dict.fromkeys(bounds, with_times)} if known else {}
    return History(
        sum(part.seconds for part in known),
        sum(part.requests for part in known),
        sum(part.timed for part in with_times),
        {key: sum(part.bad[key] for part in of) for key, of in sources.items()},
        {key: _joined(part.clumps[key] for part in of) for key, of in sources.items()},
    )


def _joined(all_of: Iterable[Clumps]) -> Clumps:
    """Add up what was learned from the blocks, upon one prior; the newest waits for its turn."""
    known, prior = list(all_of), Clumps()
    sums = {
        it.name: getattr(prior, it.name)
        + sum(getattr(clumps, it.name) - getattr(prior, it.name) for clumps in known)
        for it in fields(Clumps)
        if it.name not in ("last_bad", "last_total")
    }
    return replace(known[-1], **sums)
