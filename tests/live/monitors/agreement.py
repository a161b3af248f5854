"""Monitors of one commit: S1 whole weights, S7 record and route agree, S12 foreign edits."""

from collections.abc import Iterator, Mapping

from config.schema import Rollout
from daemon.core.model import Phase, Record
from daemon.core.reasons import Reason
from daemon.core.weights import rest_of
from tests.live.history import (
    OPEN,
    Commit,
    Item,
    Obj,
    below_guide,
    destinations,
    guide_of,
    is_guide,
    owned_route,
    record_of,
    record_text,
    response_headers,
    routes_of,
    shares_of,
)
from tests.live.monitors.common import OVER_AN_EDIT, PROVING, Monitor, by_daemon


class WholeWeights(Monitor):
    """S1."""

    name = "S1 whole weights over existing versions, and nothing else touched"

    def see(self, item: Item) -> Iterator[str]:
        if not by_daemon(item):
            return
        route = owned_route(item.new, self.upstream())
        if route is None:
            yield "the owned route is gone"
            return
        members = list(destinations(route))
        weights = [weight for _, _, weight in members]
        if not all(type(it) is int and it >= 0 for it in weights) or sum(weights) not in (
            100,
            10_000,
        ):
            yield f"the weights are {weights}"
        for _, version, weight in members:
            if weight and version != OPEN and not any(it.version == version for it in item.apps):
                yield f"{weight} % go to {version}, which no Deployment has"
        if _others(item.old, self.upstream()) != _others(item.new, self.upstream()):
            yield "something that is not ours was changed"


def _others(obj: Obj | None, upstream: str) -> object:
    """Return all of an object that is not the daemon's to write."""
    if obj is None:
        return None
    hidden = ("resourceVersion", "managedFields", "generation")
    metadata = {k: v for k, v in obj["metadata"].items() if k not in hidden}
    annotations = metadata.pop("annotations", None) or {}
    metadata["annotations"] = {
        k: v for k, v in annotations.items() if not k.startswith("rollout.crossfade.dev/")
    }
    owned = owned_route(obj, upstream) or below_guide(obj)
    routes = [
        {k: v for k, v in route.items() if k != "routeAction"} if route is owned else route
        for route in routes_of(obj)
        if not is_guide(route)
    ]
    spec = obj.get("spec") or {}
    host = {k: v for k, v in (spec.get("virtualHost") or {}).items() if k != "routes"}
    rest = {k: v for k, v in spec.items() if k not in ("virtualHost", "routes")}
    return metadata, host, rest, routes


class RecordAndRoute(Monitor):
    """S7."""

    name = "S7 record and route say the same in every commit"

    def see(self, item: Item) -> Iterator[str]:
        if not by_daemon(item):
            return
        record = record_of(item.new)
        if record is None:
            yield "the daemon wrote a record that cannot be read"
            return
        wrong = disagreement(item.new, record, self.upstream(), self.policy(record))
        if wrong and not self._was_so_before(item):
            yield wrong

    def _was_so_before(self, item: Commit) -> bool:
        """A write that leaves the route alone is not to blame for somebody's edit."""
        same = routes_of(item.old) == routes_of(item.new)
        old = record_of(item.old)
        drifted = old is None or bool(
            disagreement(item.old, old, self.upstream(), self.policy(old))
        )
        return same and drifted


def disagreement(
    obj: Obj | None, record: Record, upstream: str, rollout: Rollout | None
) -> str | None:
    """Say how a route is not what its record says, or None."""
    shares = shares_of(obj, upstream)
    wanted = _wanted_shares(record)
    if shares != wanted:
        return f"{record.phase} at {record.weight} % means {wanted}, the route says {shares}"
    guide, kind = guide_of(obj), _wanted_guide(record, rollout)
    if guide is None or kind is None:
        if (guide is None) != (kind is None):
            return f"{record.phase} ({record.reason}) {'has no' if kind else 'has a'} route of ours"
        return None
    return _guide_fault(guide, kind, record, shares or {}, rollout)


def _guide_fault(
    guide: Obj, kind: str, record: Record, shares: Mapping[str, float], rollout: Rollout | None
) -> str | None:
    headers = response_headers(guide)
    numbers = headers.get("x-crossfade-rollout"), headers.get("x-crossfade-decision")
    if numbers != (record.id, str(record.decision)):
        return f"our route carries {numbers}, the record is {record.id}, {record.decision}"
    found = {version: weight for _, version, weight in destinations(guide) if weight}
    leads = dict(shares) if kind == "witness" else {str(record.canary): 100}
    if found != leads:
        return f"our {kind} route leads to {found}, not to {leads}"
    header = ("crossfade-probe", record.id)
    if kind == "header" and rollout is not None:
        header = rollout.canary_header
    for matcher in guide.get("matchers") or [{}]:
        if {"name": header[0], "value": header[1]} not in (matcher.get("headers") or []):
            return f"our {kind} route takes requests without {header[0]}: {header[1]}"
    return None


def _wanted_shares(record: Record) -> dict[str, float]:
    if record.phase in (Phase.SHIFTING, Phase.BAKING):
        both = {record.stable: rest_of(record.weight), str(record.canary): record.weight}
        return {version: weight for version, weight in both.items() if weight}
    if record.phase in (Phase.FINALISING, Phase.RETIRING):
        return {str(record.canary): 100}
    return {record.stable: 100}


def _wanted_guide(record: Record, rollout: Rollout | None) -> str | None:
    if record.phase in PROVING:
        return "header" if rollout is None or rollout.smoke else "private"
    if record.phase in (Phase.FINALISING, Phase.ROLLING_BACK):
        return "witness"
    pinned = (Reason.ADOPTED, Reason.STABLE_REPLACED)
    return "witness" if record.phase is Phase.IDLE and record.reason in pinned else None


class ForeignEdit(Monitor):
    """S12."""

    name = "S12 a foreign edit is not silently overwritten"

    def see(self, item: Item) -> Iterator[str]:
        if not by_daemon(item) or routes_of(item.old) == routes_of(item.new):
            return
        old, new = record_of(item.old), record_of(item.new)
        if new is None:
            return
        if old is None:
            if record_text(item.old) is not None:
                yield "a record that cannot be read was overwritten"
            return
        edited = disagreement(item.old, old, self.upstream(), self.policy(old))
        if edited and not self._may_overwrite(old, new):
            yield f"the route had been edited ({edited}) and was overwritten as {new.reason}"

    def _may_overwrite(self, old: Record, new: Record) -> bool:
        asked = bool(set(new.handled) - set(old.handled))
        rollout = self.policy(new)
        restores = rollout is not None and rollout.on_drift == "restore"
        restored = restores and len(new.restored) > 0 and new.restored != old.restored
        return asked or restored or new.reason in OVER_AN_EDIT
