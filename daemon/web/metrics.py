"""Our own metrics, in a registry of their own.

Every label is bounded: targets and checks by the policy, reasons and phases by their vocabularies,
API errors by a list here. A target that leaves takes its series along (`forget`). Versions appear
in one info series per target only. Methods take plain values: no caller needs the metrics library.
"""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from analysis.verdict import Verdict
from daemon.core.model import Phase
from daemon.core.reasons import Reason

MAX_CHECKS = 50
"""Checks of one target that get series; a policy with more still works, the rest is in the log."""
API_FAILURES = frozenset({"transient", "conflict", "not_found", "forbidden", "invalid", "gone"})
"""The error tree of daemon.errors; anything else counts as `other`."""
RECONCILE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """What `/metrics` tells. `target` is always `namespace/name`."""

    def __init__(self, version: str = "unknown") -> None:
        self.registry = CollectorRegistry()
        self._labels_of: dict[str, set[tuple[Gauge | Counter, tuple[str, ...]]]] = {}
        self._traffic_metrics()
        self._decision_metrics()
        self._process_metrics(version)

    def _traffic_metrics(self) -> None:
        self._weight_set = self._gauge(
            "weight_set_percent",
            "Share of ordinary traffic the route gives to the canary.",
            "target",
        )
        self._weight_seen = self._gauge(
            "weight_seen_percent", "Share of requests that the canary was seen to answer.", "target"
        )
        self._confirmed = self._gauge(
            "split_confirmed", "1 if every proxy was seen to run the split that is set.", "target"
        )
        self._route_gone = self._gauge(
            "route_gone", "1 while the object that carries the weights does not exist.", "target"
        )

    def _decision_metrics(self) -> None:
        self._phase = self._gauge("phase", "1 for the phase a target is in.", "target", "phase")
        self._info = self._gauge(
            "rollout_info", "Always 1; the versions of a target.", "target", "stable", "canary"
        )
        self._held = self._gauge(
            "held", "1 while a target waits without a verdict, by reason.", "target", "reason"
        )
        self._paused = self._gauge("paused", "1 while a person has to resume.", "target")
        self._blocked = self._gauge(
            "blocked", "1 while a person has to change something first.", "target"
        )
        self._verdict = self._gauge(
            "check_verdict", "1 for a check's last verdict.", "target", "check", "verdict"
        )
        self._decisions = self._counter(
            "decisions", "Decisions that were recorded, by reason.", "target", "reason"
        )
        self._writes = self._counter(
            "route_writes", "Patches to the route: kind split or record.", "target", "kind"
        )

    def _process_metrics(self, version: str) -> None:
        registry = self.registry
        self._api_errors = Counter(
            "crossfade_api_errors", "Failed API requests.", ["kind"], registry=registry
        )
        self._cache_age = Gauge(
            "crossfade_cache_age_seconds",
            "Since a watch last heard from the API server.",
            ["resource"],
            registry=registry,
        )
        self._queue_depth = Gauge(
            "crossfade_queue_depth", "Targets waiting for a look.", registry=registry
        )
        self._reconcile = Histogram(
            "crossfade_reconcile_duration_seconds",
            "Time of one look at one target.",
            buckets=RECONCILE_BUCKETS,
            registry=registry,
        )
        self._reload = Gauge(
            "crossfade_config_last_reload_successful",
            "1 if the policy file was last read without an error.",
            registry=registry,
        )
        self._events_dropped = Counter(
            "crossfade_events_dropped", "Events that could not be sent.", registry=registry
        )
        build = Gauge("crossfade_build_info", "Always 1.", ["version"], registry=registry)
        build.labels(version).set(1)

    # ------------------------------------------------------------ what happened

    def decided(self, target: str, phase: Phase, weight: float, reason: Reason) -> None:
        """Count a written decision, and show the state it leads to."""
        self.stands(target, phase, weight)
        self._of(self._decisions, target, reason).inc()

    def stands(self, target: str, phase: Phase, weight: float) -> None:
        """Show the state a target is in, without a decision (at start, or unchanged)."""
        self._set(self._weight_set, weight, target)
        for each in Phase:
            self._set(self._phase, each == phase, target, each)

    def versions(self, target: str, stable: str, canary: str | None) -> None:
        """Show the versions of a target; the former ones are no series any more."""
        self._replace(self._info, target, {(stable, canary or ""): 1})

    def seen(self, target: str, weight_percent: float | None) -> None:
        """Show the canary's share in the counts, or None while nothing was counted."""
        self._replace(
            self._weight_seen, target, {} if weight_percent is None else {(): weight_percent}
        )

    def confirmed(self, target: str, *, confirmed: bool) -> None:
        """Whether the split that is set was proved."""
        self._set(self._confirmed, confirmed, target)

    def held(self, target: str, reason: Reason | None) -> None:
        """Why a target waits, or None when it does not."""
        self._replace(self._held, target, {} if reason is None else {(str(reason),): 1})

    def paused(self, target: str, *, paused: bool) -> None:
        """Whether forward changes are stopped until somebody resumes."""
        self._set(self._paused, paused, target)

    def blocked(self, target: str, *, blocked: bool) -> None:
        """Whether a person has to change something before anything can happen."""
        self._set(self._blocked, blocked, target)

    def route_gone(self, target: str, *, gone: bool) -> None:
        """Whether the route object is missing."""
        self._set(self._route_gone, gone, target)

    def judged(self, target: str, verdicts: Mapping[str, Verdict]) -> None:
        """Show the checks' last verdicts; a check that is not named is no series any more."""
        checks = list(verdicts.items())[:MAX_CHECKS]
        series: dict[tuple[str, ...], float] = {
            (check, str(each)): float(each == verdict)
            for check, verdict in checks
            for each in Verdict
        }
        self._replace(self._verdict, target, series)

    def wrote(self, target: str, *, split: bool) -> None:
        """Count an accepted patch; `split`: it changed the route, not only the record."""
        self._of(self._writes, target, "split" if split else "record").inc()

    def api_failed(self, kind: str) -> None:
        """Count a failed request to the API; `kind` as in API_FAILURES."""
        self._api_errors.labels(kind if kind in API_FAILURES else "other").inc()

    def cache_aged(self, resource: str, seconds: float) -> None:
        """How long a watch has been silent; `resource` is a plural such as `deployments`."""
        self._cache_age.labels(resource).set(seconds)

    def queue_depth_from(self, depth: Callable[[], int]) -> None:
        """Ask `depth` at each scrape."""
        self._queue_depth.set_function(depth)

    def reconciled(self, seconds: float) -> None:
        """One look at one target took that long."""
        self._reconcile.observe(seconds)

    def policy_loaded(self, *, successful: bool) -> None:
        """Tell whether the policy file is good; False: the former policy stays in force."""
        self._reload.set(successful)

    def event_dropped(self) -> None:
        """Count an Event that could not be sent."""
        self._events_dropped.inc()

    def forget(self, target: str) -> None:
        """Drop all series of a target that the policy does not name any more."""
        for metric, labels in self._labels_of.pop(target, set()):
            metric.remove(*labels)

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """Return the exposition, in the format that `accept` asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    # ------------------------------------------------------------ series of a target

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"crossfade_{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"crossfade_{name}", text, labels, registry=self.registry)

    def _set(self, gauge: Gauge, value: float, *labels: str) -> None:
        self._remember(gauge, labels)
        gauge.labels(*labels).set(value)

    def _of(self, counter: Counter, *labels: str) -> Counter:
        self._remember(counter, labels)
        return counter.labels(*labels)

    def _replace(self, gauge: Gauge, target: str, series: Mapping[tuple[str, ...], float]) -> None:
        """Make these the only series of a target in this gauge."""
        wanted = {(target, *labels): value for labels, value in series.items()}
        for labels in self._series_of(gauge, target) - wanted.keys():
            gauge.remove(*labels)
            self._labels_of[target].discard((gauge, labels))
        for labels, value in wanted.items():
            self._set(gauge, value, *labels)

    def _series_of(self, gauge: Gauge, target: str) -> set[tuple[str, ...]]:
        known: Iterable[tuple[Gauge | Counter, tuple[str, ...]]] = self._labels_of.get(target, ())
        return {labels for metric, labels in known if metric is gauge}

    def _remember(self, metric: Gauge | Counter, labels: tuple[str, ...]) -> None:
        self._labels_of.setdefault(labels[0], set()).add((metric, tuple(map(str, labels))))
