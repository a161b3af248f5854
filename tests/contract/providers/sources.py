"""The sources of metrics as a test writes them: two versions, a pod each, counts put as one likes.

source.write({"v1": (1000, 1), "v2": (500, 0)})    # requests that succeeded and failed
async with source.serving() as provider: ...
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from analysis.providers.base import Provider
from analysis.providers.envoy import EnvoyProvider
from analysis.providers.pods import PodsProvider
from analysis.providers.prometheus import PrometheusProvider
from analysis.providers.upstreams import ATTEMPTS, DURATIONS, REQUESTS, RETRIED
from config.schema import EnvoySource, Metrics, PodsSource, PrometheusSource, Series
from tests.contract.providers.servers import Prometheus, Sample, fetch, serving
from tests.spec.analysis.test_envoy_page import CLUSTER, endpoint, head, stats

ADDRESSES = {"v1": "127.0.0.1", "v2": "127.0.0.2"}
NOW = 1_700_000_000.0


class Pods:
    """Each pod's own page."""

    durations = True

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.port = 0

    def write(self, counts: dict[str, tuple[int, int]]) -> None:
        self.pages = {version: self.page(*numbers) for version, numbers in counts.items()}

    @staticmethod
    def page(good: float, bad: float) -> str:
        return (
            f'http_requests_total{{code="200"}} {good}\n'
            f'http_requests_total{{code="500"}} {bad}\n'
            f'http_request_duration_seconds_bucket{{le="0.5"}} {good}\n'
            f'http_request_duration_seconds_bucket{{le="+Inf"}} {good + bad}\n'
        )

    async def answer(self, request: web.Request) -> web.Response:
        host = request.host.partition(":")[0]
        version = next(it for it, address in ADDRESSES.items() if address == host)
        return web.Response(text=self.pages[version])

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Provider]:
        async with serving(self.answer, *ADDRESSES.values()) as self.port:
            yield PodsProvider(fetch, time.monotonic, timeout=5)

    @property
    def metrics(self) -> Metrics:
        return Metrics(pods=PodsSource(port=self.port))


class Gateway:
    """One gateway pod's page /clusters."""

    durations = False

    def __init__(self) -> None:
        self.page = ""
        self.port = 0
        self.ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead

    def write(self, counts: dict[str, tuple[int, int]]) -> None:
        lines = [endpoint(f"{ADDRESSES[it]}:80", *numbers) for it, numbers in counts.items()]
        self.page = head() + "".join(lines)

    async def answer(self, request: web.Request) -> web.Response:
        body = self.page if request.path == "/clusters" else stats(1000, 1000).decode()
        return web.Response(text=body)

    async def listed(self) -> dict[str, str]:
        return {"g1": f"http://127.0.0.1:{self.port}"}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Provider]:
        async with serving(self.answer) as self.port:
            yield EnvoyProvider(fetch, self.listed, self.now, cluster=CLUSTER, timeout=5)

    @property
    def metrics(self) -> Metrics:
        return Metrics(envoy=EnvoySource())


class Scraped:
    """A Prometheus; `series` says whose series it has: the pods', or the gateway's by cluster."""

    durations = True
    upstream: str | None = None

    def __init__(self) -> None:
        self.prometheus = Prometheus(now=NOW)

    def write(self, counts: dict[str, tuple[int, int]]) -> None:
        self.prometheus.samples.clear()
        for version, numbers in counts.items():
            self.put(version, *numbers)

    def put(self, version: str, good: float, bad: float) -> None:
        labels = {"pod": f"{version}-0", "version": version, "job": "echo", "instance": "i"}
        has = self.prometheus.has
        has("http_requests_total", good, code="200", **labels)
        has("http_requests_total", bad, code="500", **labels)
        has("http_request_duration_seconds_bucket", good, le="0.5", **labels)
        has("http_request_duration_seconds_bucket", good + bad, le="+Inf", **labels)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Provider]:
        async with serving(self.prometheus.handle) as port:
            source = PrometheusSource(url=f"http://127.0.0.1:{port}")
            provider = PrometheusProvider(source, time.monotonic, timeout=5, budget=0)
            try:
                yield provider
            finally:
                await provider.close()

    @property
    def metrics(self) -> Metrics:
        source = PrometheusSource(url="http://127.0.0.1:9090")
        return Metrics(prometheus=source, series=Series(upstream=self.upstream))

    def of_canary(self) -> list[Sample]:
        return [it for it in self.prometheus.samples if "v2" in "".join(it.labels.values())]


class Clusters(Scraped):
    upstream = "echo-{{ version }}_gloo-system"

    def put(self, version: str, good: float, bad: float) -> None:
        labels = {"envoy_cluster_name": f"echo-{version}_gloo-system", "pod": "g1"}
        has = self.prometheus.has
        has(REQUESTS, good, envoy_response_code="200", **labels)
        has(RETRIED, bad, envoy_response_code="503", **labels)
        has(ATTEMPTS, good + bad, **labels)
        has(DURATIONS, good, le="500", **labels)
        has(DURATIONS, good + bad, le="+Inf", **labels)


class Native(Scraped):
    """The pods' series, durations in a native histogram."""

    def put(self, version: str, good: float, bad: float) -> None:
        labels = {"pod": f"{version}-0", "version": version, "job": "echo", "instance": "i"}
        has = self.prometheus.has
        has("http_requests_total", good, code="200", **labels)
        has("http_requests_total", bad, code="500", **labels)
        ends = {("0.25", "0.2726269331663144"): good, ("1", "1.0905077326652577"): bad}
        buckets = [[0, *end, f"{count}"] for end, count in ends.items() if count]
        histogram = {"count": f"{good + bad}", "sum": "1", "buckets": buckets}
        has("http_request_duration_seconds", histogram, **labels)


Source = Pods | Gateway | Scraped
SOURCES: dict[str, Callable[[], Source]] = {
    "pods": Pods,
    "envoy": Gateway,
    "prometheus": Scraped,
    "prometheus, native": Native,
    "prometheus, by cluster": Clusters,
}
