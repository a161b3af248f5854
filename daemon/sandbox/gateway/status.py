"""Verdicts, written into the objects as Gloo writes them.

Invariant: a status is written only when it changes, says nothing about the generation it judged,
and (there is no status subresource) raises `metadata.generation` like any other write. So Accepted
after Accepted is no write, and "Accepted" is never proof.
Must not be put here: the verdicts themselves.
"""

import json
from collections.abc import Iterator
from typing import Final

from daemon.errors import CrossfadeError
from daemon.ports import Cluster, Obj, Resource
from daemon.sandbox.gateway.objects import GATEWAY_KINDS, Ref, Snapshot, at
from daemon.sandbox.gateway.translator import Translation
from daemon.sandbox.gateway.verdicts import Verdict

REPORTER: Final = "gloo"
MAX_REASON: Final = 1024
"""Bytes; Gloo cuts a longer reason."""
MAX_STATUS: Final = 2048
"""Bytes; Gloo drops a longer status altogether, and the old one stays."""
ON_THE_PROXY: Final = ("VirtualService", "RouteTable", "Gateway")
"""Kinds that show the Proxy's verdict as sub-status."""


def status_entry(verdict: Verdict, proxy: Verdict | None, proxy_name: str) -> Obj:
    """One namespace's entry in `status.statuses`. A sub-status exists for what is on the Proxy."""
    entry = _plain(verdict)
    if proxy is not None:
        entry["subresourceStatuses"] = {f"*v1.Proxy.{proxy_name}": _plain(proxy)}
    return entry


def _plain(verdict: Verdict) -> Obj:
    reason = verdict.reason.encode()[:MAX_REASON].decode(errors="ignore")
    return {
        "reportedBy": REPORTER,
        "state": verdict.state.value,
        **({"reason": reason} if reason else {}),
    }


def status_patch(item: Obj, entry: Obj, namespace: str) -> bytes | None:
    """The JSON Patch that brings the entry into the object, or None: nothing is to be written."""
    if at(item, "status", "statuses", namespace) == entry:
        return None
    if len(json.dumps(entry).encode()) > MAX_STATUS:
        return None
    path, value = "/status", {"statuses": {namespace: entry}}
    if at(item, "status", "statuses") is not None:
        path, value = f"/status/statuses/{namespace}", entry
    elif item.get("status") is not None:
        path, value = "/status/statuses", {namespace: entry}
    return json.dumps([{"op": "add", "path": path, "value": value}]).encode()


class StatusWriter:
    """Writes statuses through the API; what cannot be written now is tried with the next change."""

    def __init__(self, cluster: Cluster, namespace: str, proxy: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._proxy_name = f"{proxy}_{namespace}"
        self._written: dict[Ref, tuple[int, Obj]] = {}
        self.problem: CrossfadeError | None = None

    async def write(self, snapshot: Snapshot, translation: Translation) -> int:
        """Write every status that changed; return how many were written."""
        count = 0
        for ref, resource, item in _items(snapshot):
            verdict = translation.verdicts.get(ref)
            if verdict is None:
                continue
            proxy = translation.proxy.verdict if ref.kind in ON_THE_PROXY else None
            entry = status_entry(verdict, proxy, self._proxy_name)
            patch = status_patch(item, entry, self._namespace)
            if patch is None or self._is_on_its_way(ref, item, entry):
                continue
            try:
                answer = await self._cluster.json_patch(resource, ref.namespace, ref.name, patch)
            except CrossfadeError as error:
                self.problem = error
                continue
            count += 1
            self._written[ref] = (_version(answer), entry)
        self._written = {r: w for r, w in self._written.items() if r in translation.verdicts}
        return count

    def _is_on_its_way(self, ref: Ref, item: Obj, entry: Obj) -> bool:
        """Whether we wrote just this, and the watch has not brought it back yet."""
        version, last = self._written.get(ref, (0, None))
        return last == entry and version > _version(item)


def _version(item: Obj) -> int:
    text = item["metadata"].get("resourceVersion", "")
    return int(text) if text.isdigit() else 0


def _items(snapshot: Snapshot) -> Iterator[tuple[Ref, Resource, Obj]]:
    for name, resource in GATEWAY_KINDS.items():
        for key, item in sorted(getattr(snapshot, name).items()):
            yield Ref(resource.kind, *key), resource, item
