"""What all monitors share: what a step forward is, who wrote, which reasons lead where."""

from collections.abc import Callable, Iterator, Mapping

from config.schema import Rollout
from daemon.core.model import Phase, Record
from daemon.core.reasons import Reason
from tests.live.history import Commit, Item, Live, Obj, Shares, record_of, shares_of

GRAIN = 1.0
"""Seconds: the API server's Date is cut, so that a hold is exact to one second (contracts.md 4)."""
READ_TO_WRITE = 1.0
"""Seconds between a live read and the commit that follows it, on a busy machine; what changes in
between is left to the next look."""
SURELY = 0.2
"""Seconds for which a split was live before it is built upon, however short its hold."""
STOP_SECONDS = 10.0
ROUTES = ("virtualservices", "routetables")

BY_ANALYSIS = (
    Reason.ANALYSIS_PASSED,
    Reason.RAISED_BY_BUDGET,
    Reason.UNDECIDED_BY_TIMETABLE,
    Reason.BAKED,
)
BY_OTHER_GROUNDS = (
    Reason.SMOKE_PASSED,
    Reason.CANARY_READY,
    Reason.PROMOTED_BY_REQUEST,
    Reason.RESUMED,
)
BACK = (
    Reason.ABORTED,
    Reason.ANALYSIS_FAILED,
    Reason.SMOKE_FAILED,
    Reason.CANARY_GONE,
    Reason.CANARY_NOT_READY,
    Reason.CANARY_CHANGED,
    Reason.SUPERSEDED,
    Reason.NO_DATA_ROLLED_BACK,
    Reason.UNDECIDED_ROLLED_BACK,
)
OVER_AN_EDIT = (*BACK, Reason.ADOPTED, Reason.STABLE_REPLACED)
"""What may write over a foreign edit, beside what a person asked for: the way back, an adoption."""
PROVING = (Phase.SMOKE, Phase.SHIFTING, Phase.BAKING)


class Monitor:
    """One invariant. `see` takes the items in order and yields sentences, `end` the last ones."""

    name = ""

    def __init__(self, policies: Mapping[str, Rollout]) -> None:
        self._policies = policies

    def see(self, item: Item) -> Iterator[str]:
        raise NotImplementedError

    def end(self) -> Iterator[str]:
        """Yield what only the end of the history shows."""
        yield from ()

    def policy(self, record: Record) -> Rollout | None:
        """Return the policy a record was written under; a lost one is the only one there is."""
        if record.policy in self._policies:
            return self._policies[record.policy]
        return next(iter(self._policies.values()), None)

    def upstream(self) -> str:
        rollout = next(iter(self._policies.values()))
        return rollout.route.gloo.upstream.partition("/")[2]


def by_daemon(item: Item) -> bool:
    """A write of the route object by the daemon, with both sides."""
    return isinstance(item, Commit) and item.by_daemon and item.kind in ROUTES and bool(item.new)


def by_budget(rollout: Rollout, record: Record) -> bool:
    """A ramp that has no holds: what it waits for is evidence."""
    return rollout.ramp == "budget" and record.phase is Phase.SHIFTING


def weight_on(obj: Obj | None, version: str | None, upstream: str) -> float:
    return (shares_of(obj, upstream) or {}).get(version or "", 0)


class Raise:
    """A daemon's commit that gives the canary more weight, or ends the bake."""

    def __init__(self, commit: Commit, upstream: str) -> None:
        self.commit = commit
        self.old, self.new = record_of(commit.old), record_of(commit.new)
        canary = self.new.canary if self.new else None
        self.before = weight_on(commit.old, canary, upstream)
        self.after = weight_on(commit.new, canary, upstream)

    @property
    def raises(self) -> bool:
        return self.after > self.before and self.new is not None and self.new.phase in PROVING

    @property
    def finalises(self) -> bool:
        both = self.old is not None and self.new is not None
        return both and (self.old.phase, self.new.phase) == (Phase.BAKING, Phase.FINALISING)


def forward(item: Item, upstream: str) -> Raise | None:
    """Return the step forward that a commit is, if it is one."""
    if not by_daemon(item):
        return None
    step = Raise(item, upstream)  # type: ignore[arg-type]
    return step if step.raises or step.finalises else None


def is_restore(step: Raise) -> bool:
    """Writing again what is recorded is no raise: a person or onDrift asked for our split."""
    old, new = step.old, step.new
    same = old is not None and new is not None and (old.weight, old.id) == (new.weight, new.id)
    return same and new.reason in (Reason.RESUMED, old.reason) and old.phase is new.phase


# ---------------------------------------------------------------- the data plane


class DataPlane:
    """What the proxies do, as far as samples tell.

    Attributes:
        last: proxy -> its last sample.
        since: proxy -> the earliest moment from which it can have done that.
    """

    def __init__(self) -> None:
        self.last: dict[int, Live] = {}
        self.since: dict[int, float] = {}

    def take(self, item: Item) -> None:
        if not isinstance(item, Live):
            return
        before = self.last.get(item.proxy)
        if before is None or before.shares != item.shares:
            self.since[item.proxy] = item.asked if before is None else before.asked
        self.last[item.proxy] = item


class Afterwards:
    """What must be true of every proxy in a sample that was asked within a GRAIN after a commit.

    On a stalled machine a proxy's answer can be older than the moment it was asked at: one sample
    that is as it must be clears those before it. It is void as soon as somebody writes the route
    again; what no sample has cleared by the end of the history is a fault.
    """

    def __init__(self) -> None:
        self._commit: Commit | None = None
        self._fault: Callable[[Shares], str | None] = lambda _: None
        self._looked: set[int] = set()
        self._doubts: dict[int, str] = {}

    def expect(self, commit: Commit, fault: Callable[[Shares], str | None]) -> None:
        """Expect that `fault` finds nothing wrong with what each proxy does from now on."""
        self._commit, self._fault, self._looked, self._doubts = commit, fault, set(), {}

    def see(self, item: Item) -> Iterator[str]:
        if isinstance(item, Commit) and item.kind in ROUTES:
            self._commit = None
        if self._commit is None or not isinstance(item, Live) or item.shares is None:
            return
        if item.asked < self._commit.at or item.proxy in self._looked:
            return
        if fault := self._fault(item.shares):
            doubt = f"{fault} while proxy {item.proxy} serves {dict(item.shares)}, {self._commit}"
            self._doubts.setdefault(item.proxy, doubt)
        if not fault and item.asked < self._commit.at + GRAIN:
            self._doubts.pop(item.proxy, None)
        if not fault or item.asked >= self._commit.at + GRAIN:
            self._looked.add(item.proxy)
            yield from self._told(item.proxy)

    def end(self) -> Iterator[str]:
        """Yield what was not cleared."""
        for proxy in sorted(self._doubts):
            yield from self._told(proxy)

    def _told(self, proxy: int) -> Iterator[str]:
        if self._commit is not None and proxy in self._doubts:
            yield self._doubts.pop(proxy)
