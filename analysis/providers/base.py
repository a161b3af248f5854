"""What a source of metrics must offer, and what it is told about the target.

A provider reads counters; it never differences, judges or waits for the next look. Whatever it
meets ends as a `Reading`, a `Number` or an `analysis.errors.ProviderError` with a sentence for a
person: nothing of an HTTP or JSON library leaves it. A look that brought nothing is never a
verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from analysis.samples import Number, Reading
from config.schema import Metrics


@dataclass(frozen=True, slots=True)
class PodAddress:
    """A pod that should answer: its name, and the IP it listens on."""

    name: str
    ip: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose metrics to read.

    Attributes:
        stable: version label of the version serving users.
        canary: that of the new one, or None while there is none.
        pods: version -> its pods that should answer, as Kubernetes lists them. They decide which
            version a series belongs to.
    """

    namespace: str
    target: str
    stable: str
    canary: str | None
    pods: Mapping[str, tuple[PodAddress, ...]]
    metrics: Metrics


class Provider(Protocol):
    """A source of metrics. One serves many targets; calls may run at the same time."""

    async def read(self, scope: Scope) -> Reading:
        """Read both versions' counters, as of one moment.

        Pods that cannot be read are in `Reading.missing` with a reason.

        Raises:
            ProviderError: nothing could be read at all.
        """
        ...

    async def number(self, scope: Scope, query: str, window: float) -> Number:
        """Ask one query; `window` is in seconds.

        Raises:
            ProviderError: there is no answer, as opposed to one that cannot be judged.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and threads; the provider is of no use afterwards."""
        ...
