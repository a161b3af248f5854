"""Which VirtualServices a gateway takes, and the virtual hosts made of them.

Invariant: whatever is wrong ends up in the reports; no fault of one VirtualService keeps another
from becoming a virtual host. Must not be put here: Envoy's form (render.py).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daemon.ports import Obj
from daemon.sandbox.gateway.delegation import Route, RouteTree
from daemon.sandbox.gateway.matchers import regex_problem
from daemon.sandbox.gateway.objects import Ref, Snapshot, at, labels, spec
from daemon.sandbox.gateway.options import merged
from daemon.sandbox.gateway.selectors import expression_problem, has_labels, satisfies
from daemon.sandbox.gateway.verdicts import Reports

DEFAULT_PROXY: Final = "gateway-proxy"
EVERYWHERE: Final = ("::", "0.0.0.0")  # noqa: S104 -- names it, binds nothing


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """One VirtualService, delegation resolved, still in Gloo's terms."""

    source: Ref
    domains: tuple[str, ...]
    routes: tuple[Route, ...]
    options: Obj

    @property
    def name(self) -> str:
        """As Envoy knows it."""
        return f"{self.source.namespace}_{self.source.name}"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The plain HTTP gateway of our one listener; `ref` is None for the one implied by none.

    Attributes:
        address: what it binds to; empty for every address, which is Gloo's default.
    """

    ref: Ref | None
    http: Obj
    address: str = ""

    def takes(self, service: Obj, key: tuple[str, str], reports: Reports) -> bool:
        """Whether it serves this VirtualService: plain HTTP; by labels, list or namespace."""
        if spec(service).get("sslConfig") is not None:
            return False
        spaces = self.http.get("virtualServiceNamespaces") or ["*"]
        in_space = "*" in spaces or key[0] in spaces
        selector = self.http.get("virtualServiceExpressions")
        if selector is not None:
            expressions = selector.get("expressions") or ()
            problems = [p for e in expressions if (p := expression_problem(e))]
            if problems and self.ref:
                text = f"the virtual service selector expression is invalid: {problems[0]}"
                reports.error(self.ref, text)
            return not problems and in_space and satisfies(expressions, labels(service))
        if (wanted := self.http.get("virtualServiceSelector")) is not None:
            return in_space and has_labels(wanted, labels(service))
        if listed := self.http.get("virtualServices"):
            return key in {(r.get("namespace", ""), r.get("name", "")) for r in listed}
        return in_space


def gateway_of(snapshot: Snapshot, proxy: str = DEFAULT_PROXY) -> Gateway:
    """The gateway of our listener: the first plain HTTP one that names our proxy.

    Without any such object everything is served, as behind the one Gloo installs.
    """
    for key, found in sorted(snapshot.gateways.items()):
        own = spec(found)
        if own.get("ssl") or own.get("httpGateway") is None:
            continue
        if proxy in (own.get("proxyNames") or [DEFAULT_PROXY]):
            address = own.get("bindAddress") or ""
            address = "" if address in EVERYWHERE else address
            return Gateway(Ref("Gateway", *key), own["httpGateway"], address)
    return Gateway(None, {})


def virtual_hosts(
    gateway: Gateway, snapshot: Snapshot, reports: Reports, proxy: str = DEFAULT_PROXY
) -> tuple[tuple[VirtualHost, ...], bool]:
    """Translate every VirtualService the gateway takes, sorted by (namespace, name).

    Returns:
        The hosts, and whether the gateway itself is fine. If it is not (two of its hosts share a
        domain, its selector is invalid), Gloo keeps its listener as it was, with all hosts.
    """
    taken = [
        (Ref("VirtualService", *key), service)
        for key, service in sorted(snapshot.virtual_services.items())
        if gateway.takes(service, key, reports)
    ]
    shared = _check_domains(gateway, taken, reports)
    fine = not (shared or (gateway.ref and reports.rejected(gateway.ref)))
    listener = f"{gateway.ref.name if gateway.ref else DEFAULT_PROXY}_{proxy}"
    return tuple(_virtual_host(ref, vs, snapshot, reports, listener) for ref, vs in taken), fine


def _virtual_host(
    ref: Ref, service: Obj, snapshot: Snapshot, reports: Reports, listener: str
) -> VirtualHost:
    own = spec(service).get("virtualHost") or {}
    options: Obj = own.get("options") or {}
    for wanted in at(own, "optionsConfigRefs", "delegateOptions") or ():
        key = (wanted.get("namespace", ""), wanted.get("name", ""))
        found = snapshot.virtual_host_options.get(key)
        if found is None:
            reports.warn(ref, f"list did not find virtualHostOption {key[0]}.{key[1]}")
            continue
        options = merged(options, spec(found).get("options") or {})
    routes = RouteTree(ref, snapshot, reports, listener).flatten(own.get("routes") or ())
    host = VirtualHost(ref, tuple(own.get("domains") or ()), tuple(routes), options)
    _check_regexes(host, reports)
    return host


def _check_domains(gateway: Gateway, taken: Sequence[tuple[Ref, Obj]], reports: Reports) -> bool:
    """One domain in two VirtualServices rejects both, and the gateway; return whether there is."""
    owners: defaultdict[str, list[Ref]] = defaultdict(list)
    for ref, service in taken:
        own = spec(service).get("virtualHost")
        if own is None:
            text = f"virtual service [{ref.key}] does not specify a virtual host"
            reports.warn(ref, text)
            continue
        for domain in own.get("domains") or [""]:
            owners[domain].append(ref)
    shared = {domain: refs for domain, refs in owners.items() if len(refs) > 1}
    for domain, refs in shared.items():
        for index, ref in enumerate(refs):
            others = " ".join(o.key for j, o in enumerate(refs) if j != index)
            what = f"the [{domain}] domain is present in other virtual services that belong"
            if not domain:
                what = "other virtual services that don't specify a domain belong"
            reports.error(
                ref, f"domain conflict: {what} to the same Gateway as this one: [{others}]"
            )
    if shared and gateway.ref:
        names = " ".join(d or "EMPTY_DOMAIN" for d in shared)
        text = "domain conflict: the following domains are present in more than one of the virtual"
        reports.error(gateway.ref, f"{text} services associated with this gateway: [{names}]")
    return bool(shared)


def check_host_domains(hosts: Sequence[VirtualHost], reports: Reports) -> None:
    """Report what Envoy would not take in the hosts' domains."""
    owners: defaultdict[str, list[VirtualHost]] = defaultdict(list)
    for host in hosts:
        for domain in host.domains or ("*",):
            if not domain:
                text = f"virtual host {host.source.key} has an empty domain"
                reports.error(host.source, f"VirtualHost Error: EmptyDomainError. Reason: {text}")
            owners[domain].append(host)
    shared = {domain: found for domain, found in owners.items() if len(found) > 1}
    for domain, found in shared.items():
        names = " ".join(h.source.key for h in found)
        text = f"domain {domain} is shared by the following virtual hosts: [{names}]"
        for host in found:
            reports.error(host.source, f"VirtualHost Error: DomainsNotUniqueError. Reason: {text}")


def _check_regexes(host: VirtualHost, reports: Reports) -> None:
    """Only paths and rewrites are looked at here; a bad header regex is left to Envoy."""
    for route in host.routes:
        patterns = [m["regex"] for m in route.matchers if m.get("regex")]
        patterns += [
            at(route.options, name, "pattern", "regex") or ""
            for name in ("hostRewritePathRegex", "regexRewrite")
        ]
        for pattern in patterns:
            if problem := regex_problem(pattern):
                text = f"virtual service [{host.source.key}] has a regex matcher with invalid regex"
                reports.error(host.source, f"{text}, {problem}")
