"""Who asked for what, how often: counts for ever, single requests for a while.

Tests read it for "requests per release", "no requests while idle" and "every right is used".
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from daemon.sandbox.api.requests import Asked

MAX_CALLS = 50_000
"""Single requests that are kept; counts have no bound in number but one in kinds of requests."""
MAX_COUNTED = 20_000
"""Different (caller, verb, resource, namespace, ...) that are counted; later ones are not."""


class Call(NamedTuple):
    """One kind of request. `user` is "" while the server asks for no token."""

    user: str
    agent: str
    verb: str
    group: str
    resource: str
    namespace: str
    subresource: str


class Recorded(NamedTuple):
    """One request. `at`: seconds of the server's clock, when it arrived."""

    at: float
    call: Call
    name: str


class Recorder:
    """Counts requests when they arrive, and those that were refused for a missing right."""

    def __init__(self) -> None:
        self.counts: Counter[Call] = Counter()
        self.denied: Counter[Call] = Counter()
        self.calls: deque[Recorded] = deque(maxlen=MAX_CALLS)

    def note(self, asked: Asked, at: float) -> None:
        """Count one request; other paths than resources count with their path as resource."""
        call = _call(asked)
        if call in self.counts or len(self.counts) < MAX_COUNTED:
            self.counts[call] += 1
        self.calls.append(Recorded(at, call, asked.name))

    def note_denied(self, asked: Asked) -> None:
        """Count one refusal for a missing right."""
        self.denied[_call(asked)] += 1

    def count(self, **wanted: str) -> int:
        """Requests whose fields equal these; `agent` matches by prefix.

        Example: `count(verb="patch", resource="virtualservices", agent="crossfade")`.
        """
        return sum(number for call, number in self.counts.items() if _fits(call, wanted.items()))

    def rights(self, **wanted: str) -> set[tuple[str, str, str, str]]:
        """(verb, group, resource or resource/subresource, namespace) that were asked for."""
        return {
            (
                call.verb,
                call.group,
                f"{call.resource}/{call.subresource}" if call.subresource else call.resource,
                call.namespace,
            )
            for call in self.counts
            if not call.resource.startswith("/") and _fits(call, wanted.items())
        }

    def reset(self) -> None:
        """Start counting anew."""
        self.counts.clear()
        self.denied.clear()
        self.calls.clear()


def _call(asked: Asked) -> Call:
    return Call(
        asked.user,
        asked.agent,
        asked.verb,
        asked.group,
        asked.plural or asked.path,
        asked.namespace,
        asked.subresource,
    )


def _fits(call: Call, wanted: Iterable[tuple[str, str]]) -> bool:
    return all(
        getattr(call, name).startswith(value) if name == "agent" else getattr(call, name) == value
        for name, value in wanted
    )
