"""LIST: selectors, pages that are consistent, and resourceVersion rules."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from daemon.sandbox.api.requests import Asked, ListOptions, list_options
from daemon.sandbox.api.resources import Kind
from daemon.sandbox.api.selectors import Predicate, parse_fields, parse_labels
from daemon.sandbox.api.status import StatusError, bad_request, expired
from daemon.sandbox.api.storage import Entry, Storage

TOO_OLD = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter."  # noqa: E501


@dataclass(frozen=True, slots=True)
class Page:
    """A list, or a page of one. `remaining` None: not known, because of a selector."""

    entries: list[Entry]
    version: int
    token: str = ""
    remaining: int | None = None


def selection(asked: Asked, kind: Kind) -> Predicate | None:
    """Which objects of a kind are meant; None means all."""
    rules = [
        parse_labels(asked.query.get("labelSelector", "")),
        parse_fields(asked.query.get("fieldSelector", ""), kind.plural),
    ]
    if asked.name:
        rules.append(lambda obj: obj["metadata"]["name"] == asked.name)
    present = [rule for rule in rules if rule is not None]
    if not present:
        return None
    return present[0] if len(present) == 1 else lambda obj: all(rule(obj) for rule in present)


def too_new(version: int, current: int) -> StatusError:
    """504 of a resourceVersion that was never given out."""
    message = f"Too large resource version: {version}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    return StatusError("Timeout", message, details, retry_after=1)


def list_page(storage: Storage, kind: Kind, asked: Asked) -> Page:
    """Answer a LIST."""
    options = list_options(asked)
    namespace = asked.namespace if kind.namespaced and asked.namespace else None
    version, start = _where(storage, options)
    if version == storage.version:
        entries: list[Entry] | None = storage.entries(*kind.stored_as, namespace)
    else:
        entries = storage.entries_at(*kind.stored_as, namespace, version)
    if entries is None:
        raise expired(TOO_OLD)
    if start:
        entries = [entry for entry in entries if [entry.key.namespace, entry.key.name] > start]
    selected = selection(asked, kind)
    if selected is not None:
        entries = [entry for entry in entries if selected(entry.obj)]
    if not options.limit or len(entries) <= options.limit:
        return Page(entries, version)
    page = entries[: options.limit]
    remaining = len(entries) - options.limit if selected is None else None
    return Page(page, version, _token(version, page[-1]), remaining)


def _where(storage: Storage, options: ListOptions) -> tuple[int, list[str]]:
    """The version that is listed, and behind which object the page starts."""
    if options.token:
        if options.version:
            raise bad_request("specifying resource version is not allowed when using continue")
        return _read_token(options.token)
    if options.version and options.version > storage.version:
        raise too_new(options.version, storage.version)
    if options.match == "Exact" and options.version:
        return options.version, []
    return storage.version, []


def _token(version: int, last: Entry) -> str:
    text = json.dumps(
        {"v": "meta.k8s.io/v1", "rv": version, "start": [last.key.namespace, last.key.name]}
    )
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, list[str]]:
    try:
        read: Any = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(read["rv"]), [str(part) for part in read["start"]]
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise bad_request("continue key is not valid") from error
