"""Build the provider that reads the gateway's own counts, and tell it where the gateway pods are.

The pods are those that the gateway's Service has ready, as for probes, read again every few
seconds: one that joined is read from then on, one that left no longer.
"""

from collections.abc import Mapping
from typing import Final

from analysis.errors import ProviderError, RefusedError, UnavailableError
from analysis.providers.envoy import EnvoyProvider
from analysis.providers.pods import Fetch
from config.schema import EnvoySource
from daemon.errors import CrossfadeError, TransientError
from daemon.gateway import GatewayCluster, GatewayService, list_pages, service_of
from daemon.ports import Clock, Cluster

LIST_SECONDS: Final = 5.0
"""Between two listings: a gateway pod that joined is not read for so long, and both versions lose
the same of it. Looks may come several times a second; requests to the API server must not."""


class GatewayPods:
    """Where the admin pages of one gateway are."""

    def __init__(
        self, cluster: Cluster, clock: Clock, service: GatewayService, port: int | str
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._service = service
        self._port = port
        self._listed: Mapping[str, str] = {}
        self._due = clock.monotonic()

    async def __call__(self) -> Mapping[str, str]:
        """Tell gateway pod -> URL; a listing that fails a moment later leaves the last one in use.

        Raises:
            ProviderError: the gateway pods are not known.
        """
        if self._clock.monotonic() >= self._due:
            try:
                listed = await list_pages(self._cluster, self._service, self._port)
            except TransientError as problem:
                if not self._listed:
                    raise _untold(self._service, problem, UnavailableError) from problem
            except CrossfadeError as problem:
                raise _untold(self._service, problem, RefusedError) from problem
            else:
                self._listed = listed
            self._due = self._clock.monotonic() + (LIST_SECONDS if self._listed else 0)
        if not self._listed:
            raise UnavailableError(f"the gateway's Service {self._service} has no ready pod")
        return self._listed


def envoy_provider(
    source: EnvoySource,
    upstream: GatewayCluster,
    cluster: Cluster,
    clock: Clock,
    *,
    fetch: Fetch,
    timeout: float,
) -> EnvoyProvider:
    """Return the provider that reads the gateway of this target.

    Raises:
        RefusedError: the gateway's URL names no Service, so its pods cannot be found.
    """
    service = service_of(upstream.url)
    if service is None:
        raise RefusedError(
            f"metrics.envoy reads each gateway pod, and gateway.url ({upstream.url}) names no"
            " Service to find them by: write http://service.namespace, or use other metrics"
        )
    return EnvoyProvider(
        fetch,
        GatewayPods(cluster, clock, service, source.port),
        clock.monotonic,
        cluster=upstream.name,
        timeout=timeout,
    )


def _untold(
    service: GatewayService, problem: CrossfadeError, kind: type[ProviderError]
) -> ProviderError:
    return kind(f"the pods of the gateway's Service {service} are not known: {problem}")
