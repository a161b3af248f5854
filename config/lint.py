"""Rules of meaning that need more than one object: what is well-formed and still cannot be meant.

Invariant: every problem names the line of the value that must change. A rule that needs only one
object stands in `config.schema`; a rule that needs the cluster or the metrics is preflight's, not
ours.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from config.errors import Problem, Severity
from config.model import SECOND
from config.nodes import MapNode, Place, find
from config.quantities import format_duration
from config.schema import GlooRoute, Rollout

MIN_SCRAPES: Final = 4
"""Scrapes within a query's window: with fewer, `rate` often sees one sample only: no number."""

NOTABLE_RATE: Final = 100.0
"""Requests a second: needing more to reach minRequests within a hold is worth a warning."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A rollout, with the mapping that it came from and the key it stands under."""

    rollout: Rollout
    node: MapNode
    key: Place

    def place(self, *path: str | int) -> Place:
        """Where the deepest part of `path` that a person wrote stands."""
        return find(self.node, self.key, path).key

    def error(self, message: str, *path: str | int) -> Problem:
        """A problem at `path`."""
        return Problem(*self.place(*path), message)

    def warning(self, message: str, *path: str | int) -> Problem:
        """A warning at `path`."""
        return Problem(*self.place(*path), message, Severity.WARNING)


def lint(rollouts: list[Placed]) -> list[Problem]:
    """All problems and warnings, in no order."""
    found = [problem for placed in rollouts for rule in _RULES for problem in rule(placed)]
    for group in _groups(rollouts, lambda rollout: (rollout.namespace,)):
        found += _shared_selectors(group)
    for group in _groups(rollouts, lambda rollout: _route_key(rollout.route.gloo)):
        found += _shared_routes(group)
    return found


def _groups(
    rollouts: list[Placed], key: Callable[[Rollout], tuple[str, ...]]
) -> Iterable[list[Placed]]:
    groups: dict[tuple[str, ...], list[Placed]] = {}
    for placed in rollouts:
        groups.setdefault(key(placed.rollout), []).append(placed)
    return groups.values()


def _route_key(gloo: GlooRoute) -> tuple[str, ...]:
    """Object and Upstream: two rollouts that share both need names to tell their routes apart."""
    return (gloo.virtual_service or "", gloo.route_table or "", gloo.upstream)


def _shared_selectors(group: list[Placed]) -> Iterator[Problem]:
    """Two rollouts must not act on one Deployment."""
    for first, second in combinations(group, 2):
        wide, narrow = first.rollout.selector.items(), second.rollout.selector.items()
        if wide <= narrow or narrow <= wide:
            where = f"rollout '{first.rollout.name}' (line {first.place('selector').line})"
            yield second.error(f"selects Deployments of {where} too", "selector")


def _shared_routes(group: list[Placed]) -> Iterator[Problem]:
    """Two rollouts must not own one route."""
    for first, second in combinations(group, 2):
        names = {first.rollout.route.gloo.route_name, second.rollout.route.gloo.route_name}
        if len(names) == 1 or None in names:
            where = f"rollout '{first.rollout.name}' (line {first.place('route').line})"
            yield second.error(
                f"is the route of {where} too; name each one's with route.gloo.routeName", "route"
            )


def _something_to_do(placed: Placed) -> Iterator[Problem]:
    rollout = placed.rollout
    if rollout.smoke is None and len(rollout.steps) == 1:
        yield placed.error(
            "no smoke, and steps: [100]: nothing would prove the new version; add one of them",
            "steps",
        )


def _selector_without_version(placed: Placed) -> Iterator[Problem]:
    label = placed.rollout.version_label
    if label in placed.rollout.selector:
        yield placed.error(
            f"'{label}' tells versions apart (versionLabel); take it out of the selector",
            "selector",
            label,
        )


def _headers_apart(placed: Placed) -> Iterator[Problem]:
    """The canary header is ours to send: a request without it must stay one without it."""
    rollout, header = placed.rollout, placed.rollout.canary_header[0].lower()
    sent: list[tuple[tuple[str | int, ...], dict[str, str]]] = [
        (("gateway",), rollout.gateway.headers)
    ]
    if rollout.smoke is not None:
        sent += [
            (("smoke", "requests", index), request.headers)
            for index, request in enumerate(rollout.smoke.requests)
        ]
    for path, headers in sent:
        for name in headers:
            if name.lower() == header:
                message = f"header {name} is added for you (canaryHeader); take it out"
                yield placed.error(message, *path, "headers", name)


def _at_least_one_check(placed: Placed) -> Iterator[Problem]:
    checks = placed.rollout.analysis.checks
    if not checks:
        yield placed.error(
            "is empty, so nothing would be judged; leave it out to compare with stable",
            "analysis",
            "checks",
        )
    elif all(check.mode == "observe" for check in checks):
        yield placed.warning(
            "every check only observes, so nothing can decide against the new version",
            "analysis",
            "checks",
        )


def _queries_have_their_data(placed: Placed) -> Iterator[Problem]:
    rollout = placed.rollout
    prometheus = rollout.metrics.prometheus
    least = MIN_SCRAPES * prometheus.scrape_interval if prometheus else None
    for index, check in enumerate(rollout.analysis.checks):
        path = ("analysis", "checks", index, "query")
        if check.query is None:
            continue
        if least is None:
            others = "neither gateway pods nor pods" if rollout.metrics.auto else "pods"
            source = "gateway pods" if rollout.metrics.envoy else others
            can = "can" if rollout.metrics.auto else "cannot"
            yield placed.error(f"a query needs metrics.prometheus; {source} {can} be asked", *path)
        elif rollout.analysis.window < least:
            window, needed = format_duration(rollout.analysis.window), format_duration(least)
            message = f"{window} holds fewer than {MIN_SCRAPES} scrapes; write at least {needed}"
            yield placed.error(message, "analysis", "window")
        if "version" not in re.findall(r"\{\{\s*(\w+)\s*\}\}", check.query):
            yield placed.warning(
                "does not use {{ version }}: it judges all versions together", *path
            )


def _durations_are_counted(placed: Placed) -> Iterator[Problem]:
    """Envoy keeps no durations of an endpoint."""
    if placed.rollout.metrics.envoy is None:
        return
    for index, check in enumerate(placed.rollout.analysis.checks):
        if check.latency is not None:
            yield placed.error(
                "metrics.envoy counts requests and failures, and no durations: take this check out,"
                " or use metrics.pods or metrics.prometheus",
                *("analysis", "checks", index, "latency"),
            )


def _clusters_are_asked_for(placed: Placed) -> Iterator[Problem]:
    """Only a Prometheus has the series of the gateway's clusters."""
    metrics = placed.rollout.metrics
    if metrics.series.upstream is not None and metrics.prometheus is None:
        yield placed.error(
            "needs metrics.prometheus, which has the gateway's series; take it out here",
            "metrics",
            "series",
            "upstream",
        )


def _prometheus_is_not_flooded(placed: Placed) -> Iterator[Problem]:
    """Pods can be read several times a second; a Prometheus has nothing newer to tell by then."""
    rollout = placed.rollout
    if rollout.metrics.prometheus is not None and rollout.analysis.interval < SECOND:
        yield placed.error(
            "a Prometheus is asked once a second at most; write 1s or more, or use metrics.pods",
            "analysis",
            "interval",
        )


def _scaling_the_canary_helps(placed: Placed) -> Iterator[Problem]:
    """Taking the canary's pods away helps only where their requests then go to stable."""
    rollout = placed.rollout
    if rollout.on_unconfirmed == "scaleCanary" and rollout.route.gloo.require_no_fallback:
        yield placed.error(
            "scaleCanary sends users to the fallback that requireNoFallback forbids; use alarm",
            "onUnconfirmed",
        )


def _something_to_compare_with(placed: Placed) -> Iterator[Problem]:
    """At 100 % stable gets no requests, so failures are never shown to be no more than its own."""
    rollout = placed.rollout
    if len(rollout.steps) > 1 or rollout.analysis.on_undecided == "advance":
        return
    if any(
        check.mode == "decide" and check.success_rate and check.success_rate.compares
        for check in rollout.analysis.checks
    ):
        yield placed.error(
            "steps: [100] leaves nothing to compare with, so no version could pass; write advance,"
            " a step below 100, or a limit (atLeast) in place of the comparison",
            "analysis",
            "onUndecided",
        )


def _budget_is_measured(placed: Placed) -> Iterator[Problem]:
    """A ramp by budget spends failures beyond stable's, and ends by the steps' timetable."""
    rollout = placed.rollout
    if rollout.ramp == "steps":
        return
    checks = [check for check in rollout.analysis.checks if check.mode == "decide"]
    if not any(check.success_rate and check.success_rate.compares for check in checks):
        yield placed.error(
            "a ramp by budget needs a check that compares failures with stable and decides: leave"
            " analysis.checks out, or write successRate: {} or maxDrop",
            "ramp",
        )
    if len(rollout.steps) == 1:
        yield placed.error(
            "a ramp by budget needs steps below 100 for its timetable; steps: [100] has none",
            "ramp",
        )


def _minimum_in_reach(placed: Placed) -> Iterator[Problem]:
    least = placed.rollout.analysis.min_requests
    if placed.rollout.ramp == "budget":
        return  # its requests count from the beginning on, and it rises until there are enough
    for index, step in enumerate(placed.rollout.steps[:-1]):
        rate = least / (step.weight / 100 * step.hold.total_seconds())
        if rate > NOTABLE_RATE:
            yield placed.warning(
                f"at {step.weight} % for {format_duration(step.hold)}, {least} requests need"
                f" {rate:,.0f} requests/s in all; with fewer this step is held",
                "steps",
                index,
            )


_RULES: Final = (
    _something_to_do,
    _selector_without_version,
    _headers_apart,
    _at_least_one_check,
    _queries_have_their_data,
    _durations_are_counted,
    _clusters_are_asked_for,
    _prometheus_is_not_flooded,
    _scaling_the_canary_helps,
    _something_to_compare_with,
    _budget_is_measured,
    _minimum_in_reach,
)
