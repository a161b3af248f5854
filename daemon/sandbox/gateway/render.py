"""Virtual hosts in Envoy's form (v3 JSON).

Invariant: the same hosts and snapshot give the same bytes. What Envoy will refuse is rendered all
the same: it is Envoy that refuses. Must not be put here: anything about files or processes.
"""

from typing import Final

from daemon.ports import Obj
from daemon.sandbox.gateway.delegation import Route
from daemon.sandbox.gateway.destinations import set_destination
from daemon.sandbox.gateway.hosts import VirtualHost
from daemon.sandbox.gateway.matchers import has_path, match_of, path_problem
from daemon.sandbox.gateway.objects import Snapshot
from daemon.sandbox.gateway.options import host_options, regex_substitute, route_options
from daemon.sandbox.gateway.verdicts import RouteReport

REDIRECT_FIELDS: Final = {
    "hostRedirect": "host_redirect",
    "pathRedirect": "path_redirect",
    "prefixRewrite": "prefix_rewrite",
    "responseCode": "response_code",
    "httpsRedirect": "https_redirect",
    "portRedirect": "port_redirect",
    "stripQuery": "strip_query",
}


def render_host(host: VirtualHost, snapshot: Snapshot, report: RouteReport) -> Obj:
    """Render one virtual host; what is wrong with its routes goes to `report`."""
    rendered: Obj = {"name": host.name, "domains": list(host.domains) or ["*"], "routes": []}
    if host.domains == ("",):
        rendered["domains"] = ["*"]
    for index, route in enumerate(host.routes):
        prefix = f"{host.name}-route-{index}"
        if route.name:
            prefix += f"-{route.name}"
        for number, matcher in enumerate(route.matchers):
            name = f"{prefix}-matcher-{number}"
            rendered["routes"].append(_route(name, matcher, route, snapshot, report))
    more, problem = host_options(host.options)
    if problem:
        text = f"invalid virtual host [{host.name}]: {problem}"
        report.errors.append(f"VirtualHost Error: ProcessingError. Reason: {text}")
    return rendered | more


def _route(name: str, matcher: Obj, route: Route, snapshot: Snapshot, report: RouteReport) -> Obj:
    if not has_path(matcher):
        report.error("InvalidMatcherError", "no path specifier provided", name)
    rendered: Obj = {"name": name, "match": match_of(matcher)}
    if "routeAction" in route.action:
        rendered["route"] = set_destination(
            route.action["routeAction"], route.namespace, snapshot, report, name
        )
    elif "directResponseAction" in route.action:
        own = route.action["directResponseAction"]
        rendered["direct_response"] = {
            "status": own.get("status", 0),
            "body": {"inline_string": own.get("body", "")},
        }
    else:
        rendered["redirect"] = _redirect(route.action["redirectAction"])
    for problem in route_options(route.options, rendered):
        report.error("ProcessingError", problem, name)
    for path in (
        rendered["match"].get("path"),
        rendered["match"].get("prefix"),
        rendered.get("redirect", {}).get("path_redirect"),
        rendered.get("redirect", {}).get("host_redirect"),
    ):
        if path and (text := path_problem(path)):
            report.error("ProcessingError", f"the path is invalid: {path}: {text}", name)
    return rendered


def _redirect(own: Obj) -> Obj:
    made: Obj = {envoy: own[gloo] for gloo, envoy in REDIRECT_FIELDS.items() if gloo in own}
    if rewrite := own.get("regexRewrite"):
        made["regex_rewrite"] = regex_substitute(rewrite)
    return made
