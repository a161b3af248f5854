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
AT_REST_LIST_SECONDS: Final = 300.0
"""Between two listings for those who read while nothing is rolled out, whatever their number: a
target at rest costs the API server nothing that one would see."""
MAX_GATEWAYS: Final = 64
"""Gateways whose pods are remembered for them; a daemon has one or a few, the oldest go."""


class GatewayPods:
    """Where the admin pages of one gateway are."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        service: GatewayService,
        port: int | str,
        good_for: float = LIST_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._service = service
        self._port = port
        self._good_for = good_for
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
            self._due = self._clock.monotonic() + (self._good_for if self._listed else 0)
        if not self._listed:
            raise UnavailableError(f"the gateway's Service {self._service} has no ready pod")
        return self._listed


class GatewaysAtRest:
    """Where the admin pages are, shared by all who read while nothing is rolled out."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._pods: dict[tuple[GatewayService, int | str], GatewayPods] = {}

    def of(self, service: GatewayService, port: int | str) -> GatewayPods:
        """Return a gateway's pods."""
        known = self._pods.pop((service, port), None) or GatewayPods(
            self._cluster, self._clock, service, port, AT_REST_LIST_SECONDS
        )
        self._pods[service, port] = known
        while len(self._pods) > MAX_GATEWAYS:
            del self._pods[next(iter(self._pods))]
        return known


def envoy_provider(
    source: EnvoySource,
    upstream: GatewayCluster,
    cluster: Cluster,
    clock: Clock,
    *,
    fetch: Fetch,
    timeout: float,
    at_rest: GatewaysAtRest | None = None,
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
    pods = GatewayPods(cluster, clock, service, source.port)
    return EnvoyProvider(
        fetch,
        pods if at_rest is None else at_rest.of(service, source.port),
        clock.monotonic,
        cluster=upstream.name,
        timeout=timeout,
    )


def _untold(
    service: GatewayService, problem: CrossfadeError, kind: type[ProviderError]
) -> ProviderError:
    return kind(f"the pods of the gateway's Service {service} are not known: {problem}")
