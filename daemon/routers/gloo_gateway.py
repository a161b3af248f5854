"""Derive where a request must go to meet the owned route, from policy and route.

What the policy says wins. What cannot be derived is asked for in one sentence; nothing is guessed.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote as percent_encoded

from config.schema import Rollout
from daemon.gateway import GatewayAddress
from daemon.routers.gloo_read import Layout
from daemon.routers.gloo_route import Site, at, items_at, matchers_of, path_of, text_at, title

GATEWAY_SERVICE = "gateway-proxy"
"""The Service that Gloo's chart makes for its default gateway."""
PRESENT = "crossfade"
"""Value for a header or parameter that the route only wants to be there."""


def gateway_address(rollout: Rollout, obj: Any, layout: Layout, site: Site) -> GatewayAddress | str:
    """Return the address, or a sentence that says what the policy must name."""
    given = rollout.gateway
    if layout.index is None:
        return getattr(layout.owned, "why", "the owned route cannot be told")
    host = given.host or _host(rollout, obj, site)
    if host is None:
        return _ask_host(obj, site)
    headers = {name.lower(): value for name, value in given.headers.items()}
    for matcher in matchers_of(layout.route):
        met = _met_by(matcher, headers)
        if met is None:
            continue
        path, demanded = met
        if not path if given.path is None else not _takes_path(matcher, given.path):
            continue
        url = gateway_url(rollout, site)
        return GatewayAddress(url, host, given.path or path, demanded | headers)
    return _ask_path(rollout, layout)


def gateway_url(rollout: Rollout, site: Site) -> str:
    """Return scheme, host and port of the gateway: the policy's, else those of Gloo's chart."""
    return (rollout.gateway.url or f"http://{GATEWAY_SERVICE}.{site.namespace}").rstrip("/")


def _host(rollout: Rollout, obj: Any, site: Site) -> str | None:
    """Return the route's one concrete domain.

    The domain `*` takes every host that no other virtual host claims, and nobody can own a name
    under the reserved top level `invalid`: so such a name always meets it.
    """
    if site.table:
        return None
    domains = items_at(obj, "spec", "virtualHost", "domains") or ["*"]
    if len(domains) != 1 or not isinstance(domains[0], str):
        return None
    if domains[0] == "*":
        return f"{rollout.name}.invalid"
    return None if "*" in domains[0] or not domains[0] else domains[0]


def _ask_host(obj: Any, site: Site) -> str:
    if site.table:
        return "a RouteTable does not say its domain: set gateway.host"
    count = len(items_at(obj, "spec", "virtualHost", "domains"))
    what = "a pattern for its domain" if count == 1 else f"{count} domains"
    return f"the VirtualService has {what}: set gateway.host to the one to test"


def _ask_path(rollout: Rollout, layout: Layout) -> str:
    name = title(layout.index or 0, layout.route)
    if rollout.gateway.path is not None:
        return (
            f"{name} does not take GET {rollout.gateway.path}"
            " with the headers of gateway.headers: correct gateway.path or gateway.headers"
        )
    return (
        f"{name} takes no GET that can be derived (a pattern, other methods, or a header pattern):"
        " set gateway.path and gateway.headers"
    )


def _met_by(matcher: Any, given: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
    """Return path and headers of a GET that a matcher takes; None if none can be derived.

    A pattern is met only by what the policy gives; its path is then empty.
    """
    methods = items_at(matcher, "methods")
    if (methods and "GET" not in methods) or at(matcher, "connectMatcher") is not None:
        return None
    headers: dict[str, str] = {}
    for condition in items_at(matcher, "headers"):
        name, value = text_at(condition, "name").lower(), text_at(condition, "value")
        inverted = at(condition, "invertMatch") is True
        if name in given or (inverted and not value):
            continue
        if inverted or at(condition, "regex") is True:
            return None
        headers[name] = value or PRESENT
    query = []
    for parameter in items_at(matcher, "queryParameters"):
        if at(parameter, "regex") is True:
            return None
        name, value = text_at(parameter, "name"), text_at(parameter, "value") or PRESENT
        query.append(f"{percent_encoded(name, safe='')}={percent_encoded(value, safe='')}")
    return path_of(matcher) + ("?" + "&".join(query) if query else ""), headers


def _takes_path(matcher: Any, path: str) -> bool:
    """Whether a matcher takes a path of the policy. A pattern is believed: the person chose it."""
    if not path_of(matcher):
        return True
    bare, wanted = path.partition("?")[0], path_of(matcher)
    if at(matcher, "caseSensitive") is False:
        bare, wanted = bare.lower(), wanted.lower()
    return bare == wanted if text_at(matcher, "exact") else bare.startswith(wanted)
