"""Monitors of going forward: S2 pods, S3 verdicts, S4 holds, S8 hashes, S14 missing data."""

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta

from config.schema import Rollout
from daemon.core.model import Phase, Record
from daemon.core.reasons import Reason
from tests.live.history import App, Apps, Blind, Commit, Item, record_of, shares_of
from tests.live.monitors.common import (
    BY_ANALYSIS,
    BY_OTHER_GROUNDS,
    GRAIN,
    PROVING,
    READ_TO_WRITE,
    ROUTES,
    SURELY,
    DataPlane,
    Monitor,
    Raise,
    by_budget,
    by_daemon,
    forward,
    is_restore,
)


class _Pods(Monitor):
    """Remembers the Deployments of the last moments: reading and writing are not one instant."""

    def __init__(self, policies: Mapping[str, Rollout]) -> None:
        super().__init__(policies)
        self._seen: list[tuple[float, tuple[App, ...]]] = []

    def remember(self, item: Item) -> None:
        if isinstance(item, Commit | Apps) and item.apps:
            self._seen.append((item.at, item.apps))

    def lately(self, at: float, version: str | None) -> list[App]:
        """Return a version's Deployment at each moment since a live read could have seen it."""
        before = [apps for when, apps in self._seen if when <= at - READ_TO_WRITE][-1:]
        within = [apps for when, apps in self._seen if at - READ_TO_WRITE < when <= at]
        return [
            app
            for apps in (*before, *within)
            for app in apps
            if app.version == version and app.replicas
        ]


class ReadyPods(_Pods):
    """S2."""

    name = "S2 no raise without the pods for it"

    def see(self, item: Item) -> Iterator[str]:
        self.remember(item)
        step = forward(item, self.upstream())
        if step is None or not step.raises or is_restore(step):
            return
        assert step.new is not None
        needed = self._needed(step.new, step.after)
        found = self.lately(item.at, step.new.canary)
        if not any(app.settled and app.ready >= needed for app in found):
            had = max((app.ready for app in found), default=0)
            yield f"{step.before} % -> {step.after} % needs {needed} ready pods, there were {had}"

    def _needed(self, record: Record, weight: float) -> int:
        rollout = self.policy(record)
        if rollout is not None and rollout.capacity == "ignore":
            return 1
        return max(1, math.ceil(record.base * weight / 100))


class SameHash(_Pods):
    """S8."""

    name = "S8 what is raised is what was proved"

    def see(self, item: Item) -> Iterator[str]:
        self.remember(item)
        step = forward(item, self.upstream())
        if step is None or is_restore(step):
            return
        assert step.new is not None
        old, new = step.old, step.new
        proved = old is not None and old.phase in PROVING
        if proved and (old.id, old.revision) != (new.id, new.revision):
            yield f"proved was {old.revision}, raised is {new.revision}"
        found = self.lately(item.at, step.new.canary)
        if not any(app.revision == step.new.revision for app in found):
            runs = sorted({app.revision for app in found})
            yield f"the record says {step.new.revision}, the Deployment runs {runs}"
        if found and all(app.others for app in found):
            yield f"{found[-1].others} pods of another template serve as {step.new.canary}"


class FreshVerdict(Monitor):
    """S3."""

    name = "S3 each raise uses one fresh verdict"

    def __init__(self, policies: Mapping[str, Rollout]) -> None:
        super().__init__(policies)
        self._plane = DataPlane()
        self._served: tuple[tuple[str, int], int] | None = None

    def see(self, item: Item) -> Iterator[str]:
        self._plane.take(item)
        if not isinstance(item, Commit) or item.kind not in ROUTES:
            return
        step = forward(item, self.upstream())
        if step is not None and not is_restore(step):
            yield from self._judge(item, step)
        self._count(item)

    def _count(self, item: Commit) -> None:
        """Remember how many requests the canary had answered when this split was decided."""
        record = record_of(item.new)
        if record is None or record.canary is None:
            self._served = None
            return
        key = (record.id, record.decision)
        if self._served is None or self._served[0] != key:
            self._served = (key, item.served.get(record.canary, (0, 0))[0])

    def _judge(self, item: Commit, step: Raise) -> Iterator[str]:
        old, new = step.old, step.new
        assert new is not None
        if old is None:
            yield f"{step.before} % -> {step.after} % without a record before it"
            return
        rollout = self.policy(new)
        if old.paused is not None:
            yield f"raised while paused: {old.paused.reason}"
        if new.reason not in (*BY_ANALYSIS, *BY_OTHER_GROUNDS):
            yield f"raised with reason {new.reason}"
        if old.phase in PROVING and (
            new.confirmed is None
            or (new.confirmed.decision, new.confirmed.weight) != (old.decision, old.weight)
        ):
            yield f"decision {old.decision} was not confirmed before it was built upon"
        if old.phase is Phase.SMOKE and (new.smoke is None or new.smoke.decision != old.decision):
            yield "the smoke test of this very decision did not pass"
        if rollout is not None and rollout.smoke and old.phase is Phase.PREPARING:
            yield "the smoke test was left out"
        if new.reason in BY_ANALYSIS and old.phase in PROVING:
            yield from self._window(item, step, rollout)

    def _window(self, item: Commit, step: Raise, rollout: Rollout | None) -> Iterator[str]:
        old, new = step.old, step.new
        assert old is not None
        assert new is not None
        if rollout is None or by_budget(rollout, old):
            return  # Without a hold the next weight may come between two samples.
        hold = self._hold(old, rollout).total_seconds()
        must_be_live = item.at - max(hold - GRAIN, SURELY)
        for proxy, last in sorted(self._plane.last.items()):
            if last.shares is None or last.asked < must_be_live:
                continue  # It restarts, or what it did then says nothing about now.
            served = item.at - self._plane.since[proxy]
            if last.shares != shares_of(item.old, self.upstream()):
                yield f"proxy {proxy} serves {last.shares}, not yet the weight that is built upon"
            elif served < hold - GRAIN:
                yield f"proxy {proxy} has served this weight for {served:.2f} s of {hold} s"
        if new.promote is None and old.promote is None and self._served is not None:
            answered = item.served.get(str(old.canary), (0, 0))[0] - self._served[1]
            if answered < rollout.analysis.min_requests:
                yield f"{answered} requests on this step, {rollout.analysis.min_requests} needed"

    @staticmethod
    def _hold(record: Record, rollout: Rollout) -> timedelta:
        if record.phase is Phase.BAKING:
            return rollout.bake
        return rollout.steps[record.step].hold


class HoldApart(Monitor):
    """S4."""

    name = "S4 raises are a hold apart"

    def __init__(self, policies: Mapping[str, Rollout]) -> None:
        super().__init__(policies)
        self._last: tuple[str, float, timedelta] | None = None

    def see(self, item: Item) -> Iterator[str]:
        step = forward(item, self.upstream())
        if step is None or is_restore(step):
            return
        new, rollout = step.new, self.policy(step.new)  # type: ignore[arg-type]
        assert new is not None
        asked = new.reason in (Reason.PROMOTED_BY_REQUEST, Reason.RESUMED) or new.promote
        if self._last is not None and self._last[0] == new.id and not asked:
            _, at, hold = self._last
            if item.at - at < hold.total_seconds() - GRAIN:
                yield f"{item.at - at:.2f} s after the last raise; the hold is {hold}"
        if rollout is not None:
            hold = rollout.bake if step.after == 100 else rollout.steps[new.step].hold
            hold = timedelta(0) if by_budget(rollout, new) else hold
            self._last = (new.id, item.at, hold)


class MissingData(Monitor):
    """S14."""

    name = "S14 missing data is neither a pass nor a failure"

    def __init__(self, policies: Mapping[str, Rollout]) -> None:
        super().__init__(policies)
        self._blind: dict[str, float] = {}
        self._begun: tuple[str, int, Mapping[str, tuple[int, int]]] | None = None
        self._step: tuple[tuple[str, int], float] | None = None

    def see(self, item: Item) -> Iterator[str]:
        if isinstance(item, Blind):
            if item.blind:
                self._blind.setdefault(item.version, item.at)
            else:
                self._blind.pop(item.version, None)
        if not isinstance(item, Commit) or item.kind not in ROUTES:
            return
        record = record_of(item.new)
        if by_daemon(item) and record is not None:
            yield from self._raised_blind(item)
            yield from self._failed_without_requests(item, record)
        self._remember(item, record)

    def _remember(self, item: Commit, record: Record | None) -> None:
        if record is None:
            return
        if self._begun is None or self._begun[0] != record.id:
            self._begun = (record.id, record.decision, item.served)
        if self._step is None or self._step[0] != (record.id, record.decision):
            self._step = ((record.id, record.decision), item.at)

    def _raised_blind(self, item: Commit) -> Iterator[str]:
        step = forward(item, self.upstream())
        if step is None or step.new is None or step.new.reason not in BY_ANALYSIS:
            return
        rollout = self.policy(step.new)
        found = (step.new.source or "").startswith("envoy")
        if found or (rollout is not None and rollout.metrics.envoy is not None):
            return  # the gateway counts; what the pods' own pages say is not asked for
        since = self._blind.get(str(step.new.canary))
        if since is not None and self._step is not None and since <= self._step[1]:
            yield f"raised as {step.new.reason}, with no metrics for the whole step"

    def _failed_without_requests(self, item: Commit, record: Record) -> Iterator[str]:
        if record.reason is not Reason.ANALYSIS_FAILED or self._begun is None:
            return
        if record.phase is not Phase.ROLLING_BACK or self._begun[0] != record.id:
            return
        before = self._begun[2].get(str(record.canary), (0, 0))
        now = item.served.get(str(record.canary), (0, 0))
        if now[0] <= before[0]:
            yield f"{record.canary} failed by analysis and had answered nothing"
