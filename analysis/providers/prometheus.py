"""Counters from a Prometheus: raw sums per pod as of one moment, and single numbers of a query.

Never `rate()` or `increase()`: they extrapolate, lose a new series' first sample and return
fractions. The moment is Prometheus' own `time()`, so that no clock of ours has to agree with its.
A pod belongs to the version that Kubernetes says it is of; a version label that says otherwise is
a fault to be told.

prometheus-api-client is synchronous, so queries run in threads of our own; a call in a thread
cannot be cancelled, hence every one has a time-out below the deadline. Retries are bounded and
only for faults that may pass. Nothing here judges.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import isfinite, isinf, isnan
from typing import Any

from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential_jitter,
)
from urllib3.util.retry import Retry

from analysis.errors import ProviderError, RefusedError, StaleError, UnavailableError
from analysis.providers import promql, upstreams
from analysis.providers.base import Scope, uncounted
from analysis.providers.native import Histogram, histogram_of
from analysis.providers.series import Element, Row, Tables, read_tables
from analysis.providers.session import CONNECTIONS, Answer, CheckedSession, Token
from analysis.samples import Number, NumberKind, Reading
from config.schema import PrometheusSource

ATTEMPTS = 3
"""A fault that outlasts them is told, and the next look asks again."""

STALE_SCRAPES = 3
"""Scrape intervals: one scrape may fail, and one more be late, before data count as old."""

Sleep = Callable[[float], Awaitable[None]]


class PrometheusProvider:
    """Asks one Prometheus for any number of targets.

    Args:
        source: address, CA file and scrape interval of the policy.
        monotonic: seconds, for deadlines.
        timeout: seconds for one query. Choose it shorter than `budget`.
        budget: seconds after which a query is not tried again.
        token: gives the bearer token (`session.TokenFile` for a mounted one), or None.
            `source.bearer_token` is a reference, which the caller resolves.
        sleep: waits between attempts.
    """

    def __init__(
        self,
        source: PrometheusSource,
        monotonic: Callable[[], float],
        *,
        timeout: float,
        budget: float,
        token: Token | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        url = source.url.rstrip("/")
        self._session = CheckedSession(
            monotonic, timeout=timeout, token=token, ca_file=source.ca_file
        )
        self._connect = PrometheusConnect(url=url, retry=Retry(0), session=self._session)
        self._session.widen(url)
        self._name = f"Prometheus at {url.rpartition('@')[2]}"
        self._stale_after = STALE_SCRAPES * source.scrape_interval.total_seconds()
        # In whole milliseconds: Prometheus reads no duration such as 0.8s.
        self._server_timeout = f"{timeout * 1000:.0f}ms"
        self._budget = budget
        self._sleep = sleep
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="prometheus")

    async def read(self, scope: Scope) -> Reading:
        """Read both versions' counters, all as of Prometheus' present moment.

        Raises:
            ProviderError: no answer; `StaleError` if all of a version's series have old samples
                only.
        """
        at = await self._now()
        versions = (scope.stable,) if scope.canary is None else (scope.stable, scope.canary)
        if scope.metrics.series.upstream is not None:
            return await self._read_upstreams(scope, scope.metrics.series.upstream, at)
        pods = {pod.name: v for v in versions for pod in scope.pods.get(v, ())}
        if not pods:
            return Reading(at, {version: {} for version in versions})
        series = scope.metrics.series
        requests = promql.selector(series.requests, series.pod, pods)
        # One question for both kinds of histogram: which one is there, the answer tells.
        kinds = (f"{series.latency}_bucket", series.latency)
        durations = promql.either_selector(kinds, series.pod, pods)
        of_requests = (series.pod, series.version, series.code, *promql.SCRAPED_BY)
        answers = await asyncio.gather(
            self._vector(promql.sum_by(of_requests, requests), at),
            self._elements(promql.sum_by((promql.NAME, series.pod, "le"), durations), at),
            self._vector(promql.newest_by((series.pod,), requests), at),
        )
        oldest = at - self._stale_after
        read = read_tables(Tables(*answers, series=series), pods, oldest=oldest)
        judged = versions[-1]
        theirs = [name for name, version in pods.items() if version == judged]
        if theirs and read.stale.issuperset(theirs):
            raise StaleError(
                f"{self._name} has no sample of {judged} younger than {self._stale_after:g} s"
            )
        by_version = {
            version: {n: c for n, c in read.counters.items() if pods[n] == version}
            for version in versions
        }
        return Reading(at, by_version, read.missing)

    async def _read_upstreams(self, scope: Scope, pattern: str, at: float) -> Reading:
        """Read the clusters of both versions.

        Raises:
            StaleError: all gateway pods' samples of the judged version are old.
        """
        values = {"namespace": scope.namespace, "target": scope.target}
        if not scope.stable:
            await self._expect_clusters(upstreams.any_cluster(pattern, values), pattern, at)
        versions = (scope.stable,) if scope.canary is None else (scope.stable, scope.canary)
        clusters = {it: upstreams.cluster_of(pattern, values | {"version": it}) for it in versions}
        pod = scope.metrics.series.pod
        queries = upstreams.queries_of(clusters.values(), pod)
        requests, retried, attempts, buckets, newest = await asyncio.gather(
            *(self._vector(query, at) for query in queries)
        )
        tables = upstreams.UpstreamTables(requests, retried, attempts, buckets, newest, pod)
        oldest = at - self._stale_after
        read = {it: upstreams.read_cluster(tables, clusters[it], oldest=oldest) for it in versions}
        if read[versions[-1]].stale:
            raise StaleError(
                f"{self._name} has no sample of {clusters[versions[-1]]} younger than"
                f" {self._stale_after:g} s"
            )
        missing = {name: why for it in versions for name, why in read[it].missing.items()}
        return Reading(at, {it: read[it].counters for it in versions}, missing)

    async def _expect_clusters(self, query: str, pattern: str, at: float) -> None:
        """Look for any version's cluster.

        Raises:
            RefusedError: there is none.
        """
        if not await self._vector(query, at):
            raise RefusedError(
                f"{self._name} has no series {upstreams.ATTEMPTS} of a cluster {pattern}, as"
                " metrics.series.upstream says: each version needs an Upstream of its own (in"
                " subset mode all share one), and the gateway pods must be scraped"
            )

    async def number(self, scope: Scope, query: str, window: float) -> Number:
        """Ask one query, with its placeholders filled for the canary.

        Raises:
            ProviderError: no answer, or a query that cannot be asked.
        """
        if scope.canary is None:
            return Number(NumberKind.NO_DATA)
        values = {
            "namespace": scope.namespace,
            "target": scope.target,
            "version": scope.canary,
            "window": f"{max(window, 1):.0f}s",
        }
        text = promql.fill(query, values)
        at = await self._now()
        return number_of(await self._ask(text, at), at, stale_after=self._stale_after)

    async def doubt(self, scope: Scope, *, durations: bool) -> str:  # noqa: ARG002
        """Say which pod, or which version's cluster, has no series here.

        Raises:
            ProviderError: as `read`.
        """
        reading = await self.read(scope)
        if scope.metrics.series.upstream is None:
            return uncounted(reading, scope)
        dark = any(not sources for sources in reading.pods.values())
        return "; ".join(reading.missing.values()) if dark else ""

    async def close(self) -> None:
        """Let go of threads and connections; a query under way ends by its own time-out."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._connect.close()

    async def _now(self) -> float:
        answer = await self._ask("time()", None)
        value = _sample(answer.result) if answer.kind == "scalar" else None
        if value is None or not isfinite(value[1]):
            raise RefusedError(f"{self._name}: it does not tell the time")
        return value[1]

    async def _vector(self, query: str, at: float) -> list[Row]:
        rows: list[Row] = []
        for labels, value in await self._elements(query, at):
            if isinstance(value, Histogram):
                raise RefusedError(f"{self._name} answers with a histogram where numbers belong")
            rows.append((labels, value))
        return rows

    async def _elements(self, query: str, at: float) -> list[Element]:
        answer = await self._ask(query, at)
        if answer.warned:
            raise UnavailableError(f"{self._name} answers with warnings, perhaps only in part")
        elements = _elements_of(answer)
        if elements is None:
            raise RefusedError(f"{self._name} answers with something else than a vector")
        return elements

    async def _ask(self, query: str, at: float | None) -> Answer:
        """Ask with retries; any fault names this Prometheus."""
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_delay(self._budget) | stop_after_attempt(ATTEMPTS),
                wait=wait_exponential_jitter(multiplier=0.2, max=2),
                retry=retry_if_exception_type(UnavailableError),
                sleep=self._sleep,
                reraise=True,
            ):
                with attempt:
                    return await self._ask_once(query, at)
        except ProviderError as error:
            raise type(error)(f"{self._name}: {error}") from error
        raise AssertionError("a retry ends with an answer or an error")

    async def _ask_once(self, query: str, at: float | None) -> Answer:
        params = {"timeout": self._server_timeout} | ({} if at is None else {"time": f"{at:.3f}"})
        loop = asyncio.get_running_loop()
        try:
            answer: Answer = await loop.run_in_executor(
                self._threads, lambda: self._connect.custom_query(query, params=params)
            )
        except PrometheusApiClientException as error:
            raise UnavailableError("an answer that the client library refuses") from error
        return answer


def number_of(answer: Answer, at: float, *, stale_after: float) -> Number:
    """Map every shape an answer can have to one number, or to why it is none."""
    if answer.warned:
        return Number(NumberKind.WARNINGS)
    sample: tuple[float, float] | None
    if answer.kind == "scalar":
        sample = _sample(answer.result)
    elif answer.kind == "vector" and isinstance(answer.result, list):
        if not answer.result:
            return Number(NumberKind.NO_DATA)
        if len(answer.result) > 1:
            return Number(NumberKind.MANY_SERIES)
        row = answer.result[0]
        sample = _sample(row.get("value")) if isinstance(row, dict) else None
    else:
        sample = None
    if sample is None:
        return Number(NumberKind.WRONG_TYPE)
    taken, value = sample
    if isnan(value):
        return Number(NumberKind.NAN)
    if isinf(value):
        return Number(NumberKind.INFINITE)
    if abs(at - taken) > stale_after:
        return Number(NumberKind.STALE)
    return Number(NumberKind.VALUE, value, at)


def _sample(pair: Any) -> tuple[float, float] | None:
    """Read `[1700000000.5, "42"]`; None for anything else."""
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str):
        return None
    if isinstance(pair[0], bool) or not isinstance(pair[0], (int, float)):
        return None
    try:
        return float(pair[0]), float(pair[1])
    except (ValueError, OverflowError):
        return None


def _elements_of(answer: Answer) -> list[Element] | None:
    """Read a vector; None for any other shape."""
    if answer.kind != "vector" or not isinstance(answer.result, list):
        return None
    elements: list[Element] = []
    for row in answer.result:
        metric = row.get("metric") if isinstance(row, dict) else None
        value = _value_of(row) if isinstance(row, dict) else None
        if value is None or not isinstance(metric, dict):
            return None
        if not all(isinstance(value, str) for value in metric.values()):
            return None
        elements.append((metric, value))
    return elements


def _value_of(row: Mapping[str, Any]) -> float | Histogram | None:
    pair = row.get("histogram")
    if isinstance(pair, list) and len(pair) == 2:
        return histogram_of(pair[1])
    sample = _sample(row.get("value"))
    return None if sample is None else sample[1]
