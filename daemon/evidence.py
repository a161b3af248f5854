"""The evidence ConfigMap of a target: its policy, a copy of the record, confirmedAt, the evidence.

One ConfigMap `crossfade.<namespace>.<target>` in the daemon's own namespace. Best effort: losing it
costs statistical power, history, or a pause; never safety. The one write that must succeed is the
policy, before a rollout begins. References `${...}` are stored unresolved, so no secret is here.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from analysis.journal import LARGEST_TEXT
from config.schema import Rollout
from config.stored import dump_rollout, load_rollout
from daemon.core.model import Damaged, Record, TargetKey
from daemon.core.record import format_record, format_time, parse_record, parse_time
from daemon.errors import ConflictError, NotFoundError
from daemon.kept import NOTHING_KEPT, Kept
from daemon.kube.objects import CONFIGMAPS
from daemon.ports import Cluster, Obj

PREFIX = "crossfade."
MANAGED_BY = {"app.kubernetes.io/managed-by": "crossfade"}
SELECTOR = "app.kubernetes.io/managed-by=crossfade"
MAX_COUNTS_BYTES = 256 * 1024
MAX_JOURNAL_BYTES = LARGEST_TEXT
"""A ConfigMap holds 1 MiB; counts and journal keep clear of it together."""
PAGE = 20
"""ConfigMaps of one answer: with their journals they are some megabytes at most."""
MAX_PAGES = 500
"""10,000 targets; more ConfigMaps with our label are not ours."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What one ConfigMap said. Whatever cannot be read is absent.

    Attributes:
        confirmed: (rollout id, decision) -> when it was proved; one entry at most.
        kept: the judge's evidence.
    """

    rollout: Rollout | None = None
    record: Record | None = None
    confirmed: Mapping[tuple[str, int], datetime] = field(default_factory=dict)
    kept: Kept = NOTHING_KEPT


@dataclass(slots=True)
class Draft:
    """What the next save of a target writes."""

    rollout: Rollout
    record: Record | None = None
    confirmed: tuple[str, int, datetime] | None = None
    kept: Kept = NOTHING_KEPT


class Evidence:
    """Reads all ConfigMaps at start and writes one per target."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._versions: dict[TargetKey, str] = {}
        self._digests: dict[TargetKey, bytes] = {}
        self._turns: dict[TargetKey, asyncio.Lock] = {}

    async def load_all(self) -> dict[TargetKey, Stored]:
        """Read every target's evidence.

        Raises:
            CrossfadeError: the ConfigMaps cannot be listed.
        """
        found: dict[TargetKey, Stored] = {}
        token = ""
        for _ in range(MAX_PAGES):
            page = await self._cluster.list_page(
                CONFIGMAPS, self._namespace, label_selector=SELECTOR, limit=PAGE, token=token
            )
            for obj in page.get("items") or ():
                if (key := _key(obj)) is not None:
                    self._remember(key, obj)
                    found[key] = _read(obj.get("data") or {})
            token = page.get("metadata", {}).get("continue") or ""
            if not token:
                break
        return found

    async def save(self, key: TargetKey, draft: Draft) -> None:
        """Write what is new; equal content is not sent again.

        Raises:
            CrossfadeError: it could not be written.
        """
        # A proof and a look may save at the same moment; two writes would only conflict.
        async with self._turns.setdefault(key, asyncio.Lock()):
            texts = _texts(draft)
            digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).digest()
            if self._digests.get(key) != digest:
                await self._save(key, texts)
                self._digests[key] = digest

    async def _save(self, key: TargetKey, texts: Mapping[str, str]) -> None:
        body: Obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"{PREFIX}{key.namespace}.{key.name}",
                "namespace": self._namespace,
                "labels": dict(MANAGED_BY),
            },
            "data": dict(texts),
        }
        try:
            stored = await self._write(key, body)
        except ConflictError:
            # Somebody wrote, or created it: theirs is of no use to us, only its version is.
            stored = await self._write_over(key, body)
        self._remember(key, stored)

    async def _write(self, key: TargetKey, body: Obj) -> Obj:
        version = self._versions.get(key)
        if version is None:
            return await self._cluster.create(CONFIGMAPS, self._namespace, body)
        body["metadata"]["resourceVersion"] = version
        try:
            return await self._cluster.replace(
                CONFIGMAPS, self._namespace, body["metadata"]["name"], body
            )
        except NotFoundError:
            del body["metadata"]["resourceVersion"]
            return await self._cluster.create(CONFIGMAPS, self._namespace, body)

    async def _write_over(self, key: TargetKey, body: Obj) -> Obj:
        name = body["metadata"]["name"]
        self._remember(key, await self._cluster.get(CONFIGMAPS, self._namespace, name))
        return await self._write(key, body)

    def _remember(self, key: TargetKey, obj: Obj) -> None:
        self._versions[key] = obj["metadata"]["resourceVersion"]


def _key(obj: Obj) -> TargetKey | None:
    name: str = obj["metadata"]["name"]
    namespace, dot, target = name.removeprefix(PREFIX).partition(".")
    return TargetKey(namespace, target) if dot and name.startswith(PREFIX) else None


def _texts(draft: Draft) -> dict[str, str]:
    texts = {"policy.json": json.dumps(dump_rollout(draft.rollout), sort_keys=True)}
    if draft.record is not None:
        texts["record.json"] = format_record(draft.record)
    counts: dict[str, Any] = {"judge": dict(draft.kept.counts)}
    if draft.confirmed is not None:
        rollout, decision, at = draft.confirmed
        counts |= {"id": rollout, "decision": decision, "confirmedAt": format_time(at)}
    text = json.dumps(counts, sort_keys=True)
    if len(text) > MAX_COUNTS_BYTES:
        text = json.dumps(counts | {"judge": {}}, sort_keys=True)
    texts["counts.json"] = text
    if 0 < len(draft.kept.journal) <= MAX_JOURNAL_BYTES:
        texts["journal.json"] = draft.kept.journal
    return texts


def _read(data: Mapping[str, str]) -> Stored:
    record = parse_record(data["record.json"]) if "record.json" in data else None
    counts = _json(data.get("counts.json", ""))
    return Stored(
        rollout=_rollout(data.get("policy.json", "")),
        record=None if isinstance(record, Damaged) else record,
        confirmed=_confirmed(counts),
        kept=Kept(_mapping(counts.get("judge")), data.get("journal.json", "")),
    )


def _rollout(text: str) -> Rollout | None:
    try:
        return load_rollout(_json(text))
    except ValueError:
        return None


def _confirmed(counts: Mapping[str, Any]) -> dict[tuple[str, int], datetime]:
    rollout, decision = counts.get("id"), counts.get("decision")
    try:
        at = parse_time(counts.get("confirmedAt"))
    except ValueError:
        return {}
    if not isinstance(rollout, str) or type(decision) is not int:
        return {}
    return {(rollout, decision): at}


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
