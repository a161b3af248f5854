"""Options of routes, virtual hosts and weighted destinations, into Envoy's fields.

Invariant: an option Crossfade's world has no use for (auth, rate limits, transformations) is
accepted and has no effect, like an Enterprise feature without a licence.
Must not be put here: matchers, destinations.
"""

from collections.abc import Callable
from typing import Any, Final

from daemon.ports import Obj
from daemon.sandbox.gateway.matchers import path_problem
from daemon.sandbox.gateway.objects import at

FAULT_FILTER: Final = "envoy.filters.http.fault"
FAULT_TYPE: Final = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
PER_MILLION: Final = 10_000
"""Envoy's shares are counted in millionths; Gloo's in percent."""

HOST_REWRITES: Final = (
    "hostRewrite",
    "autoHostRewrite",
    "hostRewritePathRegex",
    "hostRewriteHeader",
)
"""Alternatives of one another: a child's choice leaves none of its parent's."""


def merged(own: Obj, more: Obj) -> Obj:
    """Top-level options of `own`, completed by those of `more` that it lacks."""
    rest = {k: v for k, v in more.items() if v not in (None, "", [], {}, 0, False)}
    if any(name in own for name in HOST_REWRITES):
        rest = {k: v for k, v in rest.items() if k not in HOST_REWRITES}
    return rest | own


def headers_of(options: Obj) -> tuple[Obj, str | None]:
    """Header manipulation of a route, a virtual host or a weighted destination, and what is wrong.

    Formatters pass as they are: `%UPSTREAM_METADATA(envoy.lb:version)%` and its JSON form too.
    """
    wanted = options.get("headerManipulation")
    if not wanted:
        return {}, None
    made: Obj = {}
    for gloo, envoy in (
        ("requestHeadersToAdd", "request_headers_to_add"),
        ("responseHeadersToAdd", "response_headers_to_add"),
    ):
        for item in wanted.get(gloo) or ():
            if (header := item.get("header")) is None:
                return {}, "header section of header value option cannot be nil"
            key = header.get("key", "")
            if gloo.startswith("request") and (key.startswith(":") or key.lower() == "host"):
                return {}, ": -prefixed or host headers may not be modified"
            made.setdefault(envoy, []).append(_added(header, item))
    for gloo, envoy in (
        ("requestHeadersToRemove", "request_headers_to_remove"),
        ("responseHeadersToRemove", "response_headers_to_remove"),
    ):
        if names := wanted.get(gloo):
            made[envoy] = list(names)
    return made, None


def _added(header: Obj, item: Obj) -> Obj:
    overwrite = item.get("append") is False
    return {
        "header": {"key": header.get("key", ""), "value": header.get("value", "")},
        "append_action": ("OVERWRITE_IF_EXISTS_OR_ADD" if overwrite else "APPEND_IF_EXISTS_OR_ADD"),
    }


def host_options(options: Obj) -> tuple[Obj, str | None]:
    """What a virtual host's options add to Envoy's virtual host, and what is wrong."""
    made, problem = headers_of(options)
    if retries := options.get("retries"):
        made["retry_policy"] = _retries(retries)
    return made, problem


def route_options(options: Obj, route: Obj) -> list[str]:
    """Add a route's options to an Envoy route in place; return what is wrong with them."""
    headers, problem = headers_of(options)
    route.update(headers)
    problems = [problem] if problem else []
    if faults := options.get("faults"):
        route["typed_per_filter_config"] = {FAULT_FILTER: _faults(faults)}
    if metadata := options.get("envoyMetadata"):
        route["metadata"] = {"filter_metadata": metadata}
    action = route.get("route")
    for name, apply in ACTION_OPTIONS.items():
        if (value := options.get(name)) is None:
            continue
        if action is None:
            problems.append(f"{name} is only available for Route Actions")
        elif text := apply(value, action):
            problems.append(text)
    rewrite = at(action, "prefix_rewrite") or at(route, "redirect", "prefix_rewrite")
    if rewrite and (text := path_problem(rewrite)):
        problems.append(f"the rewrite is invalid: {rewrite}: {text}")
    return problems


def _set(field: str) -> Callable[[Any, Obj], None]:
    def apply(value: Any, action: Obj) -> None:
        action[field] = value

    return apply


def _regex_rewrite(value: Any, action: Obj) -> None:
    action["regex_rewrite"] = regex_substitute(value)


def regex_substitute(value: Obj) -> Obj:
    return {
        "pattern": {"regex": at(value, "pattern", "regex") or ""},
        "substitution": value.get("substitution", ""),
    }


def _host_rewrite_regex(value: Any, action: Obj) -> None:
    action["host_rewrite_path_regex"] = regex_substitute(value)


def _set_retries(value: Any, action: Obj) -> None:
    action["retry_policy"] = _retries(value)


def _retries(value: Obj) -> Obj:
    """`numRetries` 0 or missing means 1."""
    policy: Obj = {
        "retry_on": value.get("retryOn", ""),
        "num_retries": value.get("numRetries") or 1,
    }
    if value.get("perTryTimeout"):
        policy["per_try_timeout"] = value["perTryTimeout"]
    if back_off := value.get("retryBackOff"):
        policy["retry_back_off"] = {
            envoy: back_off[gloo]
            for gloo, envoy in (("baseInterval", "base_interval"), ("maxInterval", "max_interval"))
            if back_off.get(gloo)
        }
    return policy


def _shadow(value: Any, action: Obj) -> str | None:
    """Mirror to an Upstream, never to a subset: the field does not exist."""
    target = value.get("upstream")
    if not target:
        return "invalid plugin spec: must specify an upstream ref"
    percent = value.get("percentage") or 0
    if not 0 <= percent <= 100:
        return f"shadow percentage must be between 0 and 100, received {percent}"
    namespace, name = target.get("namespace", ""), target.get("name", "")
    policy: Obj = {
        "cluster": f"{name}_{namespace}" if namespace else name,
        "runtime_fraction": {"default_value": _share(percent)},
    }
    if value.get("disableShadowHostSuffixAppend"):
        policy["disable_shadow_host_suffix_append"] = True
    if value.get("hostRewriteLiteral"):
        policy["host_rewrite_literal"] = value["hostRewriteLiteral"]
    action["request_mirror_policies"] = [policy]
    return None


def _share(percent: float) -> Obj:
    return {"numerator": round(percent * PER_MILLION), "denominator": "MILLION"}


def _hash(value: Any, action: Obj) -> None:
    """Picks the pod inside the version, never the version."""
    policies = []
    for policy in value.get("hashPolicies") or ():
        made: Obj = {"terminal": bool(policy.get("terminal"))}
        if "header" in policy:
            made["header"] = {"header_name": policy["header"]}
        elif cookie := policy.get("cookie"):
            made["cookie"] = {k: cookie[k] for k in ("name", "ttl", "path") if k in cookie}
        elif policy.get("sourceIp"):
            made["connection_properties"] = {"source_ip": True}
        else:
            continue
        policies.append(made)
    action["hash_policy"] = policies


def _faults(value: Obj) -> Obj:
    made: Obj = {"@type": FAULT_TYPE}
    if abort := value.get("abort"):
        made["abort"] = {
            "percentage": _share(abort.get("percentage") or 0),
            "http_status": abort.get("httpStatus") or 0,
        }
    if delay := value.get("delay"):
        made["delay"] = {
            "percentage": _share(delay.get("percentage") or 0),
            "fixed_delay": delay.get("fixedDelay", "0s"),
        }
    return made


def _upgrades(value: Any, action: Obj) -> str | None:
    if any("websocket" not in u for u in value):
        return "unimplemented upgrade type"
    action["upgrade_configs"] = [
        {"upgrade_type": "websocket", "enabled": (u["websocket"] or {}).get("enabled", True)}
        for u in value
    ]
    return None


ACTION_OPTIONS: Final[dict[str, Callable[[Any, Obj], str | None]]] = {
    "prefixRewrite": _set("prefix_rewrite"),
    "regexRewrite": _regex_rewrite,
    "timeout": _set("timeout"),
    "idleTimeout": _set("idle_timeout"),
    "retries": _set_retries,
    "hostRewrite": _set("host_rewrite_literal"),
    "hostRewriteHeader": _set("host_rewrite_header"),
    "autoHostRewrite": _set("auto_host_rewrite"),
    "hostRewritePathRegex": _host_rewrite_regex,
    "appendXForwardedHost": _set("append_x_forwarded_host"),
    "shadowing": _shadow,
    "lbHash": _hash,
    "upgrades": _upgrades,
}
"""Options that only make sense where requests are forwarded."""
