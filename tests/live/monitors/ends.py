"""Monitors of ends: S5 the old version, S6 the way back, S19 the process itself."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from config.schema import Rollout
from daemon.core.model import Phase, Record
from tests.live.history import OPEN, Commit, Item, Life, Obj, guide_of, record_of, shares_of
from tests.live.monitors.common import (
    GRAIN,
    ROUTES,
    STOP_SECONDS,
    Afterwards,
    Monitor,
    by_daemon,
    weight_on,
)


class OldGoesLast(Monitor):
    """S5."""

    name = "S5 a version is not taken away while anybody needs it"

    def __init__(self, policies: Mapping[str, Rollout]) -> None:
        super().__init__(policies)
        self._after = Afterwards()
        self._route: Obj | None = None
        self._retiring: dict[str, tuple[float, Record]] = {}
        self._done: set[str] = set()

    def see(self, item: Item) -> Iterator[str]:
        yield from self._after.see(item)
        if not isinstance(item, Commit):
            return
        if item.kind in ROUTES:
            self._route = item.new
            record = record_of(item.new)
            if record is not None and record.phase is Phase.RETIRING:
                self._retiring.setdefault(record.id, (item.at, record))
        elif item.by_daemon:
            yield from self._taken_away(item)

    def end(self) -> Iterator[str]:
        yield from self._after.end()

    def _taken_away(self, item: Commit) -> Iterator[str]:
        old, new = (item.old or {}).get("spec") or {}, (item.new or {}).get("spec") or {}
        version = old["template"]["metadata"]["labels"].get("version", "")
        if item.new is not None and new.get("replicas", 1) >= old.get("replicas", 1):
            yield f"{version} was changed, and not scaled down"
            return
        if {**old, "replicas": 0} != {**new, "replicas": 0} and item.new is not None:
            yield f"more than the replicas of {version} was changed"
        record = record_of(self._route)
        if record is None:
            yield f"{version} was taken away without a record"
        elif record.phase is Phase.ROLLING_BACK and record.canary == version:
            rollout = self.policy(record)
            if rollout is None or rollout.on_unconfirmed != "scaleCanary":
                yield f"the canary {version} was taken away, which policy does not say"
        else:
            yield from self._retired(item, version, record)

    def _retired(self, item: Commit, version: str, record: Record) -> Iterator[str]:
        uid = (item.old or {})["metadata"]["uid"]
        if record.phase is not Phase.IDLE or record.retire is None or record.retire.uid != uid:
            yield f"{version} was taken away in {record.phase}, which does not name it"
            return
        if (weight := weight_on(self._route, version, self.upstream())) or version == record.stable:
            yield f"{version} was taken away with {weight} % on it"
        gone = f"{version} was taken away"
        self._after.expect(item, lambda it: gone if it.get(version) or it.get(OPEN) else None)
        begun = self._retiring.get(record.id)
        if begun is None:
            yield f"{version} was taken away without a durable Retiring"
            return
        at, retiring = begun
        if retiring.confirmed is None or retiring.confirmed.weight != 100:
            yield f"{version} was taken away before the final route was confirmed"
        rollout = self.policy(record)
        least = rollout.after.drain + rollout.after.keep_old if rollout else timedelta(0)
        if item.at - at < least.total_seconds() - GRAIN:
            yield f"{version} was taken away after {item.at - at:.2f} s of {least}"


class WayBack(Monitor):
    """S6."""

    name = "S6 the way back leads to stable alone"

    def __init__(self, policies: Mapping[str, Rollout]) -> None:
        super().__init__(policies)
        self._after = Afterwards()
        self._back: set[str] = set()

    def see(self, item: Item) -> Iterator[str]:
        yield from self._after.see(item)
        if not by_daemon(item):
            return
        record, before = record_of(item.new), record_of(item.old)
        if record is None:
            return
        weights = [weight_on(it, record.canary, self.upstream()) for it in (item.old, item.new)]
        if record.id in self._back and weights[1] > weights[0]:
            yield f"{record.canary} got {weights[1]} % after the rollback of {record.id}"
        if record.phase is Phase.ROLLING_BACK:
            self._back.add(record.id)
            if shares_of(item.new, self.upstream()) != {record.stable: 100}:
                yield f"RollingBack does not pin to {record.stable}"
        rolling = before is not None and before.phase is Phase.ROLLING_BACK
        if record.phase is Phase.ROLLED_BACK and rolling:
            yield from self._ended(item, record)

    def end(self) -> Iterator[str]:
        yield from self._after.end()

    def _ended(self, item: Commit, record: Record) -> Iterator[str]:
        if guide_of(item.new) is not None:
            yield "RolledBack has a route of ours"
        told = "reported rolled back"
        self._after.expect(item, lambda it: None if set(it) == {record.stable} else told)


class QuickEnd(Monitor):
    """S19."""

    name = "S19 after SIGTERM no new decision, and an end within ten seconds"

    def __init__(self, policies: Mapping[str, Rollout]) -> None:
        super().__init__(policies)
        self._stopping: float | None = None
        self._running = True
        self._written = 0

    def see(self, item: Item) -> Iterator[str]:
        if isinstance(item, Life):
            yield from self._life(item)
        elif by_daemon(item):
            if not self._running:
                yield "a write without a running daemon"
            elif self._stopping is not None:
                self._written += 1
                if self._written > 1:
                    yield "a new decision after SIGTERM; only the write in flight may end"

    def _life(self, item: Life) -> Iterator[str]:
        if item.what == "stopped" and self._stopping is not None:
            took = item.at - self._stopping
            if took > STOP_SECONDS:
                yield f"it took {took:.1f} s to stop"
            if item.code != 0:
                yield f"it ended with exit code {item.code}"
        self._running = item.what in ("started", "stopping")
        self._stopping = item.at if item.what == "stopping" else None
        self._written = 0
