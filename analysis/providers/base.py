"""What a source of metrics must offer, and what it is told about the target.

A provider reads counters; it never differences, judges or waits for the next look. Whatever it
meets ends as a `Reading`, a `Number` or an `analysis.errors.ProviderError` with a sentence for a
person: nothing of an HTTP or JSON library leaves it. A look that brought nothing is never a
verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from analysis.samples import COUNTED_BY, Number, Reading
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


def uncounted(reading: Reading, scope: Scope) -> str:
    """Say which pod of the two versions a reading does not count; empty if it counts each."""
    for version in filter(None, (scope.stable, scope.canary)):
        pods = scope.pods.get(version, ())
        if not pods:
            return f"{version} has no ready pod"
        counted = {it.partition(COUNTED_BY)[0] for it in reading.pods.get(version, {})}
        for pod in pods:
            if pod.name not in counted:
                return f"{pod.name}: {reading.missing.get(pod.name, 'not counted')}"
    return next((f"{name}: {why}" for name, why in reading.missing.items()), "")


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

    async def doubt(self, scope: Scope, *, durations: bool) -> str:
        """Say why this source does not tell stable and canary apart; empty where it does.

        `durations`: whether they are needed, too.

        Raises:
            ProviderError: nothing could be read at all.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and threads; the provider is of no use afterwards."""
        ...
