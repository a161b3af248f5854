"""One cache of a kind, read by many: a list+watch whose changes go to every subscriber.

Caches wake controllers and serve what may be a moment old; a controller that creates or deletes
reads live, so that an old cache never makes it act twice.
"""

import random
from collections.abc import Callable, Mapping
from typing import Final

from daemon.kube.listwatch import Change, Key, ListWatch, WatchTimings
from daemon.ports import Clock, Cluster, Obj, Resource

SANDBOX_TIMINGS: Final = WatchTimings(longest_pause=1.0)
"""A world at play has faults put into its API server; nobody wants to wait half a minute
afterwards.
"""

Subscriber = Callable[[Change[Obj]], None]


class Feed:
    """All objects of one kind, whole, in all namespaces."""

    def __init__(
        self, cluster: Cluster, resource: Resource, *, clock: Clock, rng: random.Random
    ) -> None:
        self._subscribers: list[Subscriber] = []
        self._list_watch: ListWatch[Obj] = ListWatch(
            cluster,
            resource,
            None,
            trim=lambda obj: obj,
            changed=self._tell,
            clock=clock,
            rng=rng,
            timings=SANDBOX_TIMINGS,
        )

    @property
    def cache(self) -> Mapping[Key, Obj]:
        """(namespace, name) -> object; a live view, not to be changed."""
        return self._list_watch.cache

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell every change from now on."""
        self._subscribers.append(subscriber)

    async def synced(self) -> None:
        """Return once the first list has arrived."""
        await self._list_watch.synced.wait()

    async def run(self) -> None:
        """List and watch for ever. Cancel to stop."""
        await self._list_watch.run()

    def _tell(self, change: Change[Obj]) -> None:
        for subscriber in self._subscribers:
            subscriber(change)
