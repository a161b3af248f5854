"""From three tables of Prometheus to counters per pod, or the reason why there are none.

Pure: the queries were asked elsewhere. A pod is taken whole or not at all: a duplicate, unlabelled
or contradicting series, a value that is no count, or an old sample leaves it out with a reason,
because half of its requests would be a wrong count, not a smaller one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, isnan
from typing import TypeVar

from analysis.errors import ProviderError
from analysis.providers.exposition import PageError, check_buckets, is_code, is_failed, number
from analysis.providers.native import Histogram, cumulate
from analysis.providers.promql import NAME, SCRAPED_BY
from analysis.samples import Counters
from config.schema import Series

Row = tuple[Mapping[str, str], float]
"""Labels and value of one element of a vector."""

Element = tuple[Mapping[str, str], float | Histogram]
"""The same, where a native histogram may stand for the value."""

Value = TypeVar("Value")

MOST_ROWS = 50_000
"""1,000 pods with 50 buckets; beyond it a wrong query is likelier than so large a target."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What three queries brought.

    Attributes:
        requests: by pod, version, code and scraper.
        durations: by name, pod and `le`: the buckets of classic histograms, and native ones.
        newest: by pod: unix seconds of the newest sample.
        series: names of the labels.
    """

    requests: Sequence[Row]
    durations: Sequence[Element]
    newest: Sequence[Row]
    series: Series


@dataclass(frozen=True, slots=True)
class PodsRead:
    """Counters of the pods that could be read, and a reason for each other one.

    Attributes:
        stale: pods that are missing because their newest sample is too old.
    """

    counters: Mapping[str, Counters] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    stale: frozenset[str] = frozenset()


def read_tables(tables: Tables, pods: Mapping[str, str], *, oldest: float) -> PodsRead:
    """Read every pod's counters.

    Args:
        tables: as of one moment.
        pods: pod name -> version, as Kubernetes has them.
        oldest: unix seconds; a pod without a sample as young as this is stale.
    """
    requests = _by_pod(tables.requests, tables.series.pod)
    durations = _by_pod(tables.durations, tables.series.pod)
    newest = {name: rows[0][1] for name, rows in _by_pod(tables.newest, tables.series.pod).items()}
    counters: dict[str, Counters] = {}
    missing: dict[str, str] = {}
    stale: set[str] = set()
    for pod, version in pods.items():
        if newest.get(pod, oldest) < oldest:
            stale.add(pod)
            missing[pod] = f"its newest sample is {oldest - newest[pod]:.0f} s too old"
            continue
        try:
            total, failed = _requests(requests.get(pod, []), version, tables.series)
            within, timed = _durations(durations.get(pod, []), tables.series.latency)
            counters[pod] = Counters(total, failed, within, timed)
        except ProviderError as error:
            missing[pod] = str(error)
    return PodsRead(counters, missing, frozenset(stale))


def _by_pod(
    rows: Sequence[tuple[Mapping[str, str], Value]], label: str
) -> dict[str, list[tuple[Mapping[str, str], Value]]]:
    pods: dict[str, list[tuple[Mapping[str, str], Value]]] = {}
    for row in rows[:MOST_ROWS]:
        pods.setdefault(row[0].get(label, ""), []).append(row)
    return pods


def _requests(requests: Sequence[Row], version: str, series: Series) -> tuple[float, float]:
    if not requests:
        raise PageError(f"Prometheus has no series {series.requests} of it")
    refuse_doubles(requests, series.requests)
    scrapers = {tuple(labels.get(name, "") for name in SCRAPED_BY) for labels, _ in requests}
    if len(scrapers) > 1:
        raise PageError(f"it is scraped {len(scrapers)} times over, so its requests would be, too")
    labelled = {labels.get(series.version, version) for labels, _ in requests}
    if labelled != {version}:
        raise PageError(f"it is of {version}, but its series say {', '.join(sorted(labelled))}")
    total = failed = 0.0
    for labels, value in requests:
        code = labels.get(series.code, "")
        if not is_code(code):
            raise PageError(
                f'a series {series.requests} has no status code in its label "{series.code}"'
            )
        total += count_of(value, series.requests)
        failed += value if is_failed(code) else 0.0
    return total, failed


def _durations(elements: Sequence[Element], latency: str) -> tuple[Mapping[float, float], float]:
    """Read the classic histogram, else the native one.

    Both count the same requests where both are scraped; a summary has the native one's name, and
    is no histogram.
    """
    refuse_doubles(elements, latency)
    name = f"{latency}_bucket"
    classic: list[Row] = []
    for labels, value in elements:
        if labels.get(NAME, name) == name and not isinstance(value, Histogram):
            classic.append((labels, value))
    if classic:
        return _buckets(classic, name)
    for labels, value in elements:
        if labels.get(NAME, latency) == latency and isinstance(value, Histogram):
            return cumulate(value, latency)
    return {}, 0.0


def _buckets(rows: Sequence[Row], name: str) -> tuple[dict[float, float], float]:
    within: dict[float, float] = {}
    for labels, value in rows:
        bound = number(labels.get("le", ""))
        if bound is None or isnan(bound):
            raise PageError(f'a series {name} has no number in its label "le"')
        within[bound] = count_of(value, name)
    timed = within.pop(inf, 0.0)
    check_buckets(within, timed, name)
    return within, timed


def refuse_doubles(rows: Sequence[Element], name: str) -> None:
    """Refuse rows that no label tells apart.

    Raises:
        PageError: there are two.
    """
    keys = {tuple(sorted(labels.items())) for labels, _ in rows}
    if len(keys) < len(rows):
        raise PageError(f"the series {name} is there twice with the same labels")


def count_of(value: float, name: str) -> float:
    """Return a value that can be a count.

    Raises:
        PageError: it is none.
    """
    if not isfinite(value) or value < 0:
        raise PageError(f"a series {name} is no count")
    return value
