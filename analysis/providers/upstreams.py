"""From what a gateway's Envoys say of one cluster per version to counters, or why there are none.

Pure: the queries were asked elsewhere. Where each version is an Envoy cluster of its own, its usual
metrics tell versions apart. Measured on Envoy 1.40, an attempt that is retried is in no
`upstream_rq` by its code: it is in `retry_upstream_rq` alone. So both are counted, or a canary that
fails and is retried with success would look sound. What is counted are attempts, as of pods.

Invariant: each gateway pod is a source of its own, `<cluster>@<gateway pod>`, taken whole or not at
all, so that one that began anew costs its own block only. A cluster without a sound source is
missing with a reason, and that is no verdict: `upstream_rq_total`, which is there from the
beginning, tells "nobody asked" from "nobody counts".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isnan

from analysis.errors import ProviderError, RefusedError
from analysis.providers import promql
from analysis.providers.envoy_page import ENOUGH_TO_TELL
from analysis.providers.exposition import PageError, check_buckets, is_code, is_failed, number
from analysis.providers.series import Row, count_of, refuse_doubles
from analysis.samples import COUNTED_BY, Counters

REQUESTS = "envoy_cluster_upstream_rq"
RETRIED = "envoy_cluster_retry_upstream_rq"
ATTEMPTS = "envoy_cluster_upstream_rq_total"
DURATIONS = "envoy_cluster_upstream_rq_time_bucket"
CLUSTER = "envoy_cluster_name"
CODE = "envoy_response_code"
MILLISECONDS = 1000.0
"""In a second; Envoy's bounds are in milliseconds, ours in seconds."""

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class UpstreamTables:
    """What the queries brought, by cluster, gateway pod and scraper.

    Attributes:
        requests, retried: by code, too.
        attempts: of any outcome.
        buckets: by `le`, in milliseconds.
        newest: unix seconds of the newest sample of `attempts`.
        pod: name of the label with the gateway pod.
    """

    requests: Sequence[Row]
    retried: Sequence[Row]
    attempts: Sequence[Row]
    buckets: Sequence[Row]
    newest: Sequence[Row]
    pod: str


@dataclass(frozen=True, slots=True)
class ClusterRead:
    """One cluster's counters by source, and a reason for each gateway pod that has none."""

    counters: Mapping[str, Counters] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    stale: bool = False


def cluster_of(pattern: str, values: Mapping[str, str]) -> str:
    """Name a version's cluster.

    Raises:
        RefusedError: a placeholder that is not filled in.
    """
    if unknown := set(_PLACEHOLDER.findall(pattern)) - set(values):
        raise RefusedError(f"unknown placeholder {min(unknown)} in metrics.series.upstream")
    return _PLACEHOLDER.sub(lambda it: values[it[1]], pattern)


def any_cluster(pattern: str, values: Mapping[str, str]) -> str:
    """Return the query for the clusters of whatever versions."""
    named = {name: promql.quote_re2(value) for name, value in values.items()}
    parts = _PLACEHOLDER.split(pattern)
    texts = [
        named.get(part, ".+") if index % 2 else promql.quote_re2(part)
        for index, part in enumerate(parts)
    ]
    return promql.sum_by((CLUSTER,), f"{ATTEMPTS}{{{CLUSTER}=~{promql.quote(''.join(texts))}}}")


def queries_of(clusters: Iterable[str], pod: str) -> tuple[str, ...]:
    """Return the queries in the order of `UpstreamTables`.

    Raises:
        RefusedError: a name that PromQL does not allow.
    """
    names = tuple(clusters)
    who = (CLUSTER, pod, *promql.SCRAPED_BY)
    requests, retried, attempts, durations = (
        promql.selector(metric, CLUSTER, names)
        for metric in (REQUESTS, RETRIED, ATTEMPTS, DURATIONS)
    )
    return (
        promql.sum_by((*who, CODE), requests),
        promql.sum_by((*who, CODE), retried),
        promql.sum_by(who, attempts),
        promql.sum_by((*who, "le"), durations),
        promql.newest_by((CLUSTER, pod, "instance"), attempts),
    )


def read_cluster(tables: UpstreamTables, cluster: str, *, oldest: float) -> ClusterRead:
    """Read every gateway pod's counters of one cluster.

    Args:
        tables: as of one moment.
        cluster: whose.
        oldest: unix seconds; a gateway pod without a sample as young as this is stale.
    """
    gateways = _Rows(tables, cluster).gateways()
    if not gateways:
        where = f'{ATTEMPTS}{{{CLUSTER}="{cluster}"}}'
        return ClusterRead(missing={cluster: f"Prometheus has no series {where}"})
    counters: dict[str, Counters] = {}
    missing: dict[str, str] = {}
    stale = 0
    for name, rows in gateways.items():
        if rows.newest < oldest:
            stale += 1
            missing[f"gateway pod {name}"] = (
                f"its newest sample is {oldest - rows.newest:.0f} s too old"
            )
            continue
        try:
            counters[f"{cluster}{COUNTED_BY}{name}"] = rows.counters()
        except ProviderError as error:
            missing[f"gateway pod {name}"] = str(error)
    return ClusterRead(counters, missing, stale == len(gateways))


@dataclass(slots=True)
class _Gateway:
    """The rows of one gateway pod and one cluster."""

    requests: list[Row] = field(default_factory=list)
    retried: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    buckets: list[Row] = field(default_factory=list)
    newest: float = inf

    def counters(self) -> Counters:
        """Count attempts, those that were retried among them.

        Raises:
            PageError: duplicate, unlabelled or contradicting series, or values that are no counts.
        """
        self._refuse_two_scrapers()
        total = failed = 0.0
        for rows, name in ((self.requests, REQUESTS), (self.retried, RETRIED)):
            refuse_doubles(rows, name)
            for labels, value in rows:
                code = labels.get(CODE, "")
                if not is_code(code):
                    raise PageError(f"a series {name} has no status code in its label {CODE}")
                total += count_of(value, name)
                failed += value if is_failed(code) else 0.0
        refuse_doubles(self.attempts, ATTEMPTS)
        attempts = sum(count_of(value, ATTEMPTS) for _, value in self.attempts)
        if attempts >= ENOUGH_TO_TELL and not total:
            raise PageError(
                f"it counts {attempts:.0f} attempts and no {REQUESTS} by code: is dynamicStats off"
                " in Gloo's Gateway, or are statistics left out?"
            )
        return Counters(total, failed, *self._durations())

    def _durations(self) -> tuple[dict[float, float], float]:
        refuse_doubles(self.buckets, DURATIONS)
        within: dict[float, float] = {}
        for labels, value in self.buckets:
            bound = number(labels.get("le", ""))
            if bound is None or isnan(bound):
                raise PageError(f'a series {DURATIONS} has no number in its label "le"')
            within[bound / MILLISECONDS] = count_of(value, DURATIONS)
        timed = within.pop(inf, 0.0)
        check_buckets(within, timed, DURATIONS)
        return within, timed

    def _refuse_two_scrapers(self) -> None:
        rows = [*self.requests, *self.retried, *self.attempts, *self.buckets]
        scrapers = {tuple(it.get(name, "") for name in promql.SCRAPED_BY) for it, _ in rows}
        if len(scrapers) > 1:
            raise PageError(
                f"it is scraped {len(scrapers)} times over, so its requests would be, too"
            )


@dataclass(frozen=True, slots=True)
class _Rows:
    """One cluster's rows, sorted by gateway pod; by instance where no label names the pod."""

    tables: UpstreamTables
    cluster: str

    def gateways(self) -> dict[str, _Gateway]:
        found: dict[str, _Gateway] = {}
        for kind in ("requests", "retried", "attempts", "buckets"):
            for row in self._mine(getattr(self.tables, kind)):
                getattr(found.setdefault(self._name(row[0]), _Gateway()), kind).append(row)
        for labels, moment in self._mine(self.tables.newest):
            if (gateway := found.get(self._name(labels))) is not None:
                gateway.newest = moment
        return found

    def _mine(self, rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if row[0].get(CLUSTER) == self.cluster]

    def _name(self, labels: Mapping[str, str]) -> str:
        return labels.get(self.tables.pod) or labels.get("instance", "")
