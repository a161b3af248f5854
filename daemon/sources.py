"""Choose what counts a rollout's requests, where the policy names no source of metrics.

In order of trust: the gateway pods, who count refused connections and time-outs too, then the pods'
own metrics pages. A source is taken only if it is proved to tell the versions apart: it counts each
ready pod of both. The choice holds for one rollout; it stands in the record as a short text.
Must not be put here: when to choose, and what follows from finding nothing (daemon.core).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from analysis.errors import ProviderError
from analysis.providers.base import Provider, Scope
from config.schema import EnvoySource, PodsSource, Rollout
from daemon.kube.objects import PodRecord

READ_CONFIG_PORT: Final = 8082
"""Where Gloo's readConfig offers Envoy's page /clusters."""
ADMIN_PORT: Final = "admin"
"""So may a Service's EndpointSlices name it, where the pages are elsewhere."""
REMEDY: Final = (
    "switch on gatewayProxies.<name>.readConfig in Gloo's Helm values, or set metrics.pods"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The outcome of one try.

    Attributes:
        source: for the record; empty where nothing was proved.
        why: what counts, or for each source why it does not, and what to switch on.
    """

    source: str
    why: str


def with_source(rollout: Rollout, source: str) -> Rollout:
    """Return the policy entry with the source that a record names; a text of no sense is none."""
    kind, _, where = source.partition(":")
    port, slash, path = where.partition("/")
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else 0
    chosen: dict[str, EnvoySource | PodsSource] = {}
    if kind == "envoy" and where in (str(READ_CONFIG_PORT), ADMIN_PORT):
        chosen["envoy"] = EnvoySource(port=number or where)
    elif kind == "pods" and slash and 0 < number < 2**16:
        chosen["pods"] = PodsSource(port=number, path=slash + path)
    if not rollout.metrics.auto or not chosen:
        return rollout
    return rollout.model_copy(update={"metrics": rollout.metrics.model_copy(update=chosen)})


async def choose(
    rollout: Rollout,
    scope: Scope,
    records: Iterable[PodRecord],
    build: Callable[[Rollout], Provider],
) -> Chosen:
    """Try each source in turn.

    Args:
        rollout: names no source.
        scope: both versions' pods; those that are ready are to be counted.
        records: what the cache has of them.
        build: makes what reads the source that a policy entry names.
    """
    ready = {it.name: it for it in records if it.ready and not it.terminating}
    listed = {v: tuple(it for it in pods if it.name in ready) for v, pods in scope.pods.items()}
    scope = replace(scope, pods=listed)
    doubts: dict[str, str] = {}
    for source in (f"envoy:{READ_CONFIG_PORT}", f"envoy:{ADMIN_PORT}"):
        doubt = await _doubt(with_source(rollout, source), scope, build)
        if not doubt:
            return Chosen(source, "envoy, the gateway pods count each pod")
        # Of the two ports it is Gloo's own that a person would open.
        doubts.setdefault("the gateway pods", doubt)
    page = _page(ready[it.name] for pods in listed.values() for it in pods)
    if not page.startswith(":"):
        doubts["the pods' own pages"] = page
    else:
        source = f"pods{page}"
        doubt = await _doubt(with_source(rollout, source), scope, build)
        if not doubt:
            return Chosen(source, f"pods, each one's own page {page}")
        doubts[f"the pods' own pages {page}"] = doubt
    versions = " and ".join(filter(None, (scope.stable, scope.canary)))
    said = "; ".join(f"{name}: {doubt}" for name, doubt in doubts.items())
    return Chosen("", f"no metrics tell {versions} apart ({said}): {REMEDY}")


async def _doubt(rollout: Rollout, scope: Scope, build: Callable[[Rollout], Provider]) -> str:
    """Say why a source is not proved; empty where it is."""
    try:
        provider = build(rollout)
        try:
            durations = any(check.latency is not None for check in rollout.analysis.checks)
            seen = replace(scope, metrics=rollout.metrics)
            return await provider.doubt(seen, durations=durations)
        finally:
            await provider.close()
    except ProviderError as problem:
        return str(problem)


def _page(pods: Iterable[PodRecord]) -> str:
    """Return the one page that all pods name, as `:port/path`, or a sentence."""
    pages = sorted({pod.page for pod in pods})
    if not pages or pages == [""]:
        return "no pod names one (annotations prometheus.io/scrape, or a port named metrics)"
    if len(pages) > 1:
        return f"pods name different ones ({', '.join(page or 'none' for page in pages)})"
    return pages[0]
