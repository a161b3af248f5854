"""Counters from the gateway itself: what each gateway pod's Envoy counts of each endpoint.

In subset mode all versions share one Envoy cluster, so the gateway's usual metrics cannot tell
them apart; its admin page can, endpoint by endpoint, and an endpoint's address is a pod. So the
success rate is exact without Prometheus and without a metric of the application, and failures that
no application can count (refused connections, time-outs, resets) are in it. What counts as failed:
`analysis.providers.envoy_page`. Attempts are counted, not users' requests: one that is retried with
success was a failure of the pod that failed it. Requests with the canary header are counted, too.
There are no durations.

Invariant: each endpoint of each gateway pod is a source of its own, `<pod>@<gateway pod>`, so that
a counter that began anew (the gateway restarted, its cluster changed, the pod left and came back)
costs this one source's block. One that has already overtaken its last reading is not seen; that
takes a source so young that all it had counted came within one interval.
A pod whose address another one shares is never guessed at.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from analysis.errors import ProviderError, RefusedError, UnavailableError
from analysis.providers.base import PodAddress, Scope, uncounted
from analysis.providers.envoy_page import (
    ClusterPage,
    counts_failures,
    plain_ip,
    read_cluster,
)
from analysis.providers.exposition import PageError
from analysis.providers.pods import AT_ONCE, LONGEST_REASON, Fetch
from analysis.samples import COUNTED_BY, Counters, Number, Reading

Gateways = Callable[[], Awaitable[Mapping[str, str]]]
"""Tells gateway pod -> `http://host:port` of its admin pages, or raises a ProviderError that says
why that is not known."""

REASONS_NAMED = 2
"""Of gateway pods that all cannot be read; they mostly share one reason."""

MOST_PROVED = 1000
"""Gateway pods remembered as counting failures; beyond it they are asked again, no more."""


class EnvoyProvider:
    """Reads the page `/clusters` of every gateway pod.

    Args:
        fetch: gets a page of at most `envoy_page.LARGEST_PAGE` bytes.
        gateways: tells where the pages are; asked at each look.
        monotonic: the clock that `Reading.at` is taken from.
        cluster: Envoy's name for the Upstream that the versions share.
        timeout: seconds for one page.
    """

    def __init__(
        self,
        fetch: Fetch,
        gateways: Gateways,
        monotonic: Callable[[], float],
        *,
        cluster: str,
        timeout: float,
    ) -> None:
        self._fetch = fetch
        self._gateways = gateways
        self._monotonic = monotonic
        self._cluster = cluster
        self._timeout = timeout
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._proved: set[str] = set()

    async def read(self, scope: Scope) -> Reading:
        """Read both versions from every gateway pod; a gateway pod that fails is in `missing`.

        Raises:
            UnavailableError: there is no gateway pod, or none of them answers.
            RefusedError: the policy does not ask for this, or all pages are of no use.
        """
        if scope.metrics.envoy is None:
            raise RefusedError("metrics.envoy is not in the policy, so no gateway pod is read")
        gateways = await self._gateways()
        if not gateways:
            raise UnavailableError("the gateway has no ready pod, so nothing is counted")
        at = self._monotonic()
        answers = await asyncio.gather(*(self._page(url) for url in gateways.values()))
        said = dict(zip(gateways, answers, strict=True))
        pages = {name: page for name, page in said.items() if isinstance(page, ClusterPage)}
        faults = {name: fault for name, fault in said.items() if isinstance(fault, _Fault)}
        if not pages:
            raise _all_failed(faults, scope.metrics.envoy.port)
        missing = {f"gateway pod {name}": fault.text for name, fault in faults.items()}
        found = _assign(pages, scope)
        return Reading(at, found.pods, {**found.missing, **missing})

    async def number(self, scope: Scope, query: str, window: float) -> Number:  # noqa: ARG002
        """Refuse: a gateway's page cannot be queried.

        Raises:
            RefusedError: always.
        """
        raise RefusedError("checks with a query need metrics.prometheus; a gateway has counters")

    async def doubt(self, scope: Scope, *, durations: bool) -> str:
        """Say which pod no gateway pod counts, or which gateway pod cannot be read.

        Raises:
            ProviderError: as `read`.
        """
        if durations:
            return "they keep no durations"
        return uncounted(await self.read(scope), scope)

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _page(self, url: str) -> "ClusterPage | _Fault":
        """Read one gateway pod; the fault, where it cannot be read."""
        try:
            async with self._slots, asyncio.timeout(self._timeout):
                # Envoys older than the filter show all their clusters: the lines are the same.
                only = quote(f"^{re.escape(self._cluster)}$", safe="")
                body = await self._fetch(f"{url}/clusters?filter={only}", self._timeout)
                page = read_cluster(body, self._cluster)
                return BLIND if await self._is_blind(url, page.stats_name) else page
        except PageError as error:
            return _Fault(str(error), answered=True)
        except TimeoutError:
            return _Fault(f"its page /clusters did not answer within {self._timeout:g} s")
        except Exception as error:  # noqa: BLE001 - fetch is not ours: whatever it raises is the
            # reason of this gateway pod, and must not take the others' counts with it.
            text = " ".join(str(error).split()) or type(error).__name__
            return _Fault(f"its page /clusters: {text}"[:LONGEST_REASON])

    async def _is_blind(self, url: str, stats_name: str) -> bool:
        """Tell whether a gateway pod counts no failures; ask until it has counted something."""
        if url in self._proved:
            return False
        name = re.escape(stats_name.replace(":", "_"))
        only = quote(rf"^cluster\.{name}\.upstream_rq_(total|completed)$", safe="")
        try:
            stats = await self._fetch(f"{url}/stats?filter={only}", self._timeout)
        except TimeoutError:
            raise
        except Exception:  # noqa: BLE001 - without this page nothing is known against the gateway
            stats = b""
        counts = counts_failures(stats)
        if counts:
            if len(self._proved) >= MOST_PROVED:
                self._proved.clear()
            self._proved.add(url)
        return counts is False


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a gateway pod cannot be read; `answered`: its page came, and is not what it should be."""

    text: str
    answered: bool = False


BLIND = _Fault(
    "it counts no failures: options.router.dynamicStats is false in Gloo's Gateway; take that out",
    answered=True,
)


@dataclass(frozen=True, slots=True)
class _Found:
    pods: Mapping[str, Mapping[str, Counters]]
    missing: Mapping[str, str]


def _assign(pages: Mapping[str, ClusterPage], scope: Scope) -> _Found:
    """Give each endpoint's counters to the pod that has its address."""
    versions = (scope.stable,) if scope.canary is None else (scope.stable, scope.canary)
    sharing = Counter(plain_ip(pod.ip) for version in versions for pod in _pods(scope, version))
    counters: dict[str, dict[str, Counters]] = {version: {} for version in versions}
    missing: dict[str, str] = {}
    for version in versions:
        for pod in _pods(scope, version):
            ip = plain_ip(pod.ip)
            if sharing[ip] > 1:
                missing[pod.name] = f"shares its address {pod.ip} with another pod"
                continue
            sources = {
                f"{pod.name}{COUNTED_BY}{gateway}": page.endpoints[ip]
                for gateway, page in pages.items()
                if ip in page.endpoints
            }
            if not sources:
                missing[pod.name] = f"no gateway pod has its address {pod.ip} yet"
            counters[version].update(sources)
    return _Found(counters, missing)


def _pods(scope: Scope, version: str) -> tuple[PodAddress, ...]:
    return scope.pods.get(version, ())


def _all_failed(faults: Mapping[str, _Fault], port: int | str) -> ProviderError:
    """Say what to do: another setting where the pages are wrong, a port where there are none."""
    reasons = [f"{name}: {fault.text}" for name, fault in faults.items()]
    more = f"; and {len(reasons) - REASONS_NAMED} more" if len(reasons) > REASONS_NAMED else ""
    said = f"no gateway pod can be read ({'; '.join(reasons[:REASONS_NAMED])}{more})"
    if all(fault.answered for fault in faults.values()):
        return RefusedError(said)
    return UnavailableError(
        f"{said}: does port {port} of the gateway pods serve Envoy's page /clusters? Gloo does so"
        " on 8082 with gatewayProxies.<name>.readConfig: true in its Helm values"
    )
