"""What forbids a rollout on this route, or should be known before it: sentences with cause and fix.

Asked on adoption and before a rollout, never in the middle of one. Nothing is repaired here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from config.schema import Rollout
from daemon.ports import Obj
from daemon.routers.gloo_read import Layout
from daemon.routers.gloo_route import (
    Ref,
    Site,
    at,
    describe,
    goes_to,
    is_open,
    items_at,
    quote,
    text_at,
    title,
    upstream_of,
)
from daemon.routers.gloo_status import listener_verdict, own_verdict

ANY = "any"
NONE = "none"
FALLBACKS = ("ANY_ENDPOINT", "DEFAULT_SUBSET", "NO_FALLBACK")
"""Gloo's names, in the order of their numbers."""
MAX_LISTED = 5
"""Ports that one sentence lists."""
GIT_MARKS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "app.kubernetes.io/instance": "Argo CD or Helm",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}
"""Labels and annotations by which a tool claims an object."""


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence of preflight; `refuses` tells a problem from a warning."""

    sentence: str
    refuses: bool


def _problem(sentence: str) -> Said:
    return Said(sentence, refuses=True)


def _warning(sentence: str) -> Said:
    return Said(sentence, refuses=False)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The objects beside the route. `service_read`: whether the Service was asked for at all."""

    upstream: Obj | None
    service: Obj | None
    service_read: bool


def service_behind(upstream: Any, site: Site) -> Ref | None:
    """Return the Service that an Upstream takes its endpoints from, or None."""
    name = text_at(upstream, "spec", "kube", "serviceName")
    if not name:
        return None
    return Ref(
        text_at(upstream, "spec", "kube", "serviceNamespace") or site.upstream.namespace, name
    )


def fallback_of(upstream: Any, label: str) -> str:
    """Say where an empty subset leads: "any", "none", or a version label."""
    spec = at(upstream, "spec", "kube", "subsetSpec")
    policy = at(spec, "fallbackPolicy")
    if type(policy) is int and 0 <= policy < len(FALLBACKS):
        policy = FALLBACKS[policy]
    if policy == "NO_FALLBACK":
        return NONE
    values = at(spec, "defaultSubset", "values")
    if policy == "DEFAULT_SUBSET" and isinstance(values, dict) and set(values) == {label}:
        return str(values[label])
    return ANY


def preflight(
    rollout: Rollout, obj: Obj, layout: Layout, site: Site, beside: Surroundings
) -> Iterator[Said]:
    """Yield all that is to be said, the gravest kind first where it matters."""
    if verdict := own_verdict(obj):
        yield _problem(verdict)
    if verdict := listener_verdict(obj):
        yield _warning(f"{verdict} (this may be stale; the data plane decides)")
    yield from _upstream(rollout, site, beside)
    yield from _owned(obj, layout, site)
    yield from _other_routes(rollout, layout, site)
    yield from _ownership(obj)


# ---------------------------------------------------------------- Upstream and Service


def _upstream(rollout: Rollout, site: Site, beside: Surroundings) -> Iterator[Said]:
    name = f"Upstream {site.upstream}"
    if beside.upstream is None:
        yield _problem(f"{name} does not exist: create it, or correct route.gloo.upstream")
        return
    kube = at(beside.upstream, "spec", "kube")
    if not isinstance(kube, dict):
        yield _problem(
            f"{name} is no kube Upstream: versions are told apart by the labels of a Service's pods"
        )
        return
    yield from _subsets(rollout, site, kube, fallback_of(beside.upstream, site.label))
    if at(kube, "selector", site.label) is not None:
        yield _problem(
            f"{name} has {site.label} in its selector, so it never holds the other version's pods:"
            f" take {site.label} out of spec.kube.selector"
        )
    if at(beside.upstream, "spec", "sslConfig", "sds") is not None:
        yield _warning(
            f"{name} uses certificates from SDS, as with Istio: if Gloo runs with"
            " ENABLE_ISTIO_SIDECAR_ON_GATEWAY it sees the Service's address only and cannot tell"
            " versions apart"
        )
    yield from _service(rollout, site, kube, beside)


def _subsets(rollout: Rollout, site: Site, kube: Obj, fallback: str) -> Iterator[Said]:
    name = f"Upstream {site.upstream}"
    selectors = [
        selector
        for selector in items_at(kube, "subsetSpec", "selectors")
        if items_at(selector, "keys") == [site.label]
    ]
    if not selectors:
        yield _problem(
            f"{name} has no subset selector with exactly the key {site.label}, so a route with a"
            f" subset is served by any pod: add spec.kube.subsetSpec.selectors:"
            f" [{{keys: [{site.label}]}}]"
        )
    elif any(at(selector, "singleHostPerSubset") is True for selector in selectors):
        yield _warning(f"{name} has singleHostPerSubset: a version is served by one pod only")
    if fallback == NONE:
        return
    where = "any pod, the other version's too" if fallback == ANY else f"{quote(fallback)}'s pods"
    sentence = f"{name}: a version without ready pods is served by {where}"
    if rollout.route.gloo.require_no_fallback:
        yield _problem(f"{sentence}; the policy demands fallbackPolicy: NO_FALLBACK")
    else:
        yield _warning(f"{sentence}; fallbackPolicy: NO_FALLBACK would answer 503 instead")


def _service(rollout: Rollout, site: Site, kube: Obj, beside: Surroundings) -> Iterator[Said]:
    ref = service_behind(beside.upstream, site)
    if ref is None:
        yield _problem(f"Upstream {site.upstream} names no Service in spec.kube.serviceName")
        return
    if not beside.service_read:
        yield _warning(f"Service {ref} was not read, so the Upstream's port is not checked")
        return
    if beside.service is None:
        yield _problem(f"Service {ref}, which Upstream {site.upstream} names, does not exist")
        return
    if sentence := _port_fault(site, ref, at(kube, "servicePort"), beside.service):
        yield _problem(sentence)
    selector = at(beside.service, "spec", "selector")
    selector = selector if isinstance(selector, dict) else {}
    if site.label in selector:
        yield _problem(
            f"Service {ref} selects {site.label}: {quote(str(selector[site.label]))}, so the other"
            f" version's pods are never reached: take {site.label} out of its selector"
        )
    for key, value in rollout.selector.items():
        if key in selector and selector[key] != value:
            yield _problem(
                f"Service {ref} selects {key}: {quote(str(selector[key]))},"
                f" but the policy's selector says {key}: {value}: they mean different pods"
            )


def _port_fault(site: Site, ref: Ref, wanted: Any, service: Obj) -> str:
    """Say what is wrong with the Upstream's port; empty if it is one of the Service's."""
    ports = items_at(service, "spec", "ports")
    if wanted in [at(port, "port") for port in ports]:
        return ""
    for port in ports:
        # An absent targetPort is the port itself and was tried above.
        if wanted is not None and at(port, "targetPort") == wanted:
            return (
                f"Upstream {site.upstream} says servicePort {wanted}, but Service {ref} has port"
                f" {at(port, 'port')} (targetPort {wanted}): Gloo 1.12 and later find no endpoints"
                f" and answer 503; set servicePort: {at(port, 'port')}"
            )
    listed = ", ".join(str(at(port, "port")) for port in ports[:MAX_LISTED]) or "none"
    said = "no servicePort" if wanted is None else f"servicePort {quote(str(wanted))}"
    return (
        f"Upstream {site.upstream} says {said}, but the ports of Service {ref} are: {listed};"
        " set servicePort to one of them"
    )


# ---------------------------------------------------------------- the route object


def _owned(obj: Obj, layout: Layout, site: Site) -> Iterator[Said]:
    if layout.index is None:
        return
    name = title(layout.index, layout.route)
    host = at(obj, "spec", "virtualHost", "options")
    if at(layout.route, "options", "retries") is not None or at(host, "retries") is not None:
        yield _warning(
            f"{name} retries: pods count every failed try, though a retry may have saved the user's"
            " request; queries on the gateway's own counters would not show it"
        )
    if at(layout.route, "options", "lbHash") is not None:
        yield _warning(
            f"{name} has lbHash: it picks the pod inside a version, the version is drawn for each"
            " request, so while traffic is split one user meets both versions"
        )
    shadow = at(layout.route, "options", "shadowing")
    if shadow is not None and upstream_of(shadow, site.namespace) == site.upstream:
        yield _problem(
            f"{name} shadows to Upstream {site.upstream} itself: the copies would count as traffic"
            " of the versions; shadow to an Upstream of its own"
        )
    if at(layout.route, "optionsConfigRefs") is not None:
        yield _warning(
            f"{name} takes options from RouteOptions: a headerManipulation in them does not apply"
            " to the header route, which has one of its own"
        )


def _other_routes(rollout: Rollout, layout: Layout, site: Site) -> Iterator[Said]:
    """Speak of every other route to the Upstream; only worth it once the owned one is known."""
    if layout.index is None:
        return
    for index, route in enumerate(layout.routes):
        if index == layout.index or index in layout.guides:
            continue
        if at(route, "routeAction", "upstreamGroup") is not None:
            yield _warning(
                f"{title(index, route)} {describe(route, site.namespace)}, which is not looked"
                f" into: if that names Upstream {site.upstream} without a subset, the canary's pods"
                " take its requests as soon as they are ready"
            )
        if not goes_to(route, site):
            continue
        if not is_open(route, site):
            yield _warning(
                f"{title(index, route)} also goes to a subset of Upstream {site.upstream}"
                " and is not moved"
            )
            continue
        sentence = (
            f"{title(index, route)} also goes to Upstream {site.upstream}, without a subset:"
            " every ready pod takes its requests, the canary's too"
        )
        if rollout.allow_open_routes:
            yield _warning(sentence)
        else:
            yield _problem(f"{sentence}; give it a subset, or set allowOpenRoutes: true")


def _ownership(obj: Obj) -> Iterator[Said]:
    marks = {
        mark: owner
        for mark, owner in GIT_MARKS.items()
        if at(obj, "metadata", "annotations", mark) is not None
        or at(obj, "metadata", "labels", mark) is not None
    }
    if marks:
        mark, owner = next(iter(marks.items()))
        yield _warning(
            f"the route object is managed by {owner} ({mark}): unless it is told to ignore the"
            " routes, it will put its own back"
        )
