"""What the API server's audit log says about one user: requests, refusals, rights that were used."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Right(NamedTuple):
    """One permission, as a Role grants it and as a request uses it."""

    namespace: str
    group: str
    resource: str
    verb: str


@dataclass(frozen=True, slots=True)
class Request:
    """One request, from the moment it arrived."""

    id: str
    right: Right
    code: int
    at: str

    @property
    def is_watch(self) -> bool:
        return self.right.verb == "watch"


class Audit:
    """Reads the requests of one user, from a moment on."""

    def __init__(self, log: Path, user: str) -> None:
        self._log = log
        self._user = user
        self._offset = 0

    def skip(self) -> None:
        """Read only what comes from now on."""
        self._offset = self._log.stat().st_size

    def requests(self) -> list[Request]:
        """List the user's requests; one that is not answered yet has code 0."""
        found: dict[str, Request] = {}
        for event in self._events():
            about = event.get("objectRef")
            if event["user"]["username"] != self._user or about is None:
                continue
            resource = "/".join(
                part for part in (about.get("resource"), about.get("subresource")) if part
            )
            right = Right(
                about.get("namespace", ""), about.get("apiGroup", ""), resource, event["verb"]
            )
            code = (event.get("responseStatus") or {}).get("code", 0)
            before = found.get(event["auditID"])
            if before is None or before.code == 0:
                at = event["requestReceivedTimestamp"]
                found[event["auditID"]] = Request(event["auditID"], right, code, at)
        return list(found.values())

    def counted(self) -> Counter[Right]:
        """Count requests beside watches, by right."""
        return Counter(it.right for it in self.requests() if not it.is_watch)

    def _events(self) -> Iterator[dict[str, Any]]:
        with self._log.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if line.endswith(b"\n"):
                    yield json.loads(line)


def granted(roles: Iterable[dict[str, Any]]) -> set[Right]:
    """List what Roles grant, one permission each."""
    return {
        Right(role["metadata"].get("namespace", ""), group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
