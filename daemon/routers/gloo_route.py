"""What one Gloo route says: where it goes, and which requests it takes.

Every function is total: routes are other people's text, and whatever they hold, nothing here
raises. What a rollout may do with a route is decided elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from config.schema import Rollout

ACTIONS = ("routeAction", "redirectAction", "directResponseAction", "delegateAction")
"""The alternatives of a route; exactly one is set."""
MAX_NAME = 80
"""Characters of a foreign name that are quoted in a sentence."""


class Ref(NamedTuple):
    """A namespaced object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, text: str) -> "Ref":
        """Read the policy's `namespace/name`."""
        namespace, _, name = text.partition("/")
        return cls(namespace, name)


@dataclass(frozen=True, slots=True)
class Site:
    """What the policy says about the route, ready to compare with.

    Attributes:
        table: whether the object is a RouteTable.
        namespace: the route object's own, the default namespace of its references.
        header: the canary header, name and value.
    """

    table: bool
    namespace: str
    upstream: Ref
    label: str
    header: tuple[str, str]
    route_name: str | None

    @property
    def path(self) -> tuple[str, ...]:
        """Members that lead to the list of routes."""
        return ("spec", "routes") if self.table else ("spec", "virtualHost", "routes")


def site_of(rollout: Rollout) -> Site:
    """Return the site of a target."""
    gloo = rollout.route.gloo
    carrier = gloo.virtual_service or gloo.route_table
    assert carrier is not None, "the policy's validation demands virtualService or routeTable"
    return Site(
        table=gloo.virtual_service is None,
        namespace=Ref.of(carrier).namespace,
        upstream=Ref.of(gloo.upstream),
        label=rollout.version_label,
        header=rollout.canary_header,
        route_name=gloo.route_name,
    )


def at(value: Any, *keys: str) -> Any:
    """Follow members; None where one is missing or its parent is no object."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def items_at(value: Any, *keys: str) -> list[Any]:
    """Follow members to a list; empty where there is none."""
    found = at(value, *keys)
    return found if isinstance(found, list) else []


def text_at(value: Any, *keys: str) -> str:
    """Follow members to a string; empty where there is none."""
    found = at(value, *keys)
    return found if isinstance(found, str) else ""


# ---------------------------------------------------------------- where it goes


def upstream_of(destination: Any, namespace: str) -> Ref | None:
    """Return the Upstream that a destination names, or None if it names something else."""
    name = text_at(destination, "upstream", "name")
    return Ref(text_at(destination, "upstream", "namespace") or namespace, name) if name else None


def destinations_of(route: Any) -> list[Any]:
    """Return the destinations of `single` or `multi`, in order."""
    single = at(route, "routeAction", "single")
    if single is not None:
        return [single]
    members = items_at(route, "routeAction", "multi", "destinations")
    return [at(member, "destination") for member in members]


def goes_to(route: Any, site: Site) -> bool:
    """Whether any destination is the target's Upstream."""
    return any(
        upstream_of(destination, site.namespace) == site.upstream
        for destination in destinations_of(route)
    )


def is_open(route: Any, site: Site) -> bool:
    """Whether a destination is the target's Upstream without a subset."""
    return any(
        upstream_of(destination, site.namespace) == site.upstream
        and not at(destination, "subset", "values")
        for destination in destinations_of(route)
    )


def describe(route: Any, namespace: str) -> str:
    """Say what a route does, for a sentence: "redirects", "goes to Upstream a/b", ..."""
    if at(route, "redirectAction") is not None:
        return "redirects"
    if at(route, "directResponseAction") is not None:
        return "answers by itself"
    if at(route, "delegateAction") is not None:
        return _describe_delegate(route["delegateAction"], namespace)
    action = at(route, "routeAction")
    if group := text_at(action, "upstreamGroup", "name"):
        home = text_at(action, "upstreamGroup", "namespace") or namespace
        return f"goes to UpstreamGroup {quote(f'{home}/{group}')}"
    for destination in destinations_of(route):
        if (upstream := upstream_of(destination, namespace)) is not None:
            return f"goes to Upstream {quote(str(upstream))}"
        if at(destination, "kube") is not None:
            return "goes straight to a Service"
    return "goes to no Upstream"


def _describe_delegate(action: Any, namespace: str) -> str:
    if at(action, "selector") is not None:
        return "delegates to the RouteTables of a selector"
    ref = action if text_at(action, "name") else at(action, "ref")
    table = f"{text_at(ref, 'namespace') or namespace}/{text_at(ref, 'name')}"
    return f"delegates to RouteTable {quote(table)}"


def title(index: int, route: Any) -> str:
    """Name a route for a person: its index, and its name where it has one."""
    name = text_at(route, "name")
    return f"route {index} ({quote(name)})" if name else f"route {index}"


def quote(text: str) -> str:
    """Make a foreign name printable and short."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return plain if len(plain) <= MAX_NAME else plain[: MAX_NAME - 3] + "..."


# ---------------------------------------------------------------- which requests it takes


def matchers_of(route: Any) -> list[Any]:
    """Return the alternatives; a route without any takes every path."""
    return items_at(route, "matchers") or [{"prefix": "/"}]


def header_matchers(matcher: Any, name: str) -> Iterator[Any]:
    """Yield the conditions on one header, whatever its case."""
    for header in items_at(matcher, "headers"):
        if text_at(header, "name").lower() == name.lower():
            yield header


def looks_at_header(route: Any, name: str) -> bool:
    """Whether any matcher has a condition on that header."""
    return any(any(header_matchers(matcher, name)) for matcher in matchers_of(route))


def takes_header(route: Any, header: tuple[str, str]) -> bool:
    """Whether the route asks for a request that carries the canary header."""
    name, value = header
    for matcher in matchers_of(route):
        conditions = list(header_matchers(matcher, name))
        if conditions and all(_holds_for(condition, value) for condition in conditions):
            return True
    return False


def _holds_for(condition: Any, value: str) -> bool:
    """Whether a header condition holds for a value; a pattern is taken to match."""
    inverted = at(condition, "invertMatch") is True
    wanted = text_at(condition, "value")
    if not wanted:
        return not inverted
    if at(condition, "regex") is True:
        return True
    return (wanted == value) is not inverted


def may_overlap(one: Any, other: Any) -> bool:
    """Whether some path may be taken by both routes. When in doubt: yes."""
    return any(_paths_meet(a, b) for a in matchers_of(one) for b in matchers_of(other))


def _paths_meet(one: Any, other: Any) -> bool:
    if "regex" in (kinds := {_path_kind(one), _path_kind(other)}):
        return True
    # Lower case throughout: a matcher may ignore case, and in doubt paths meet.
    a, b = path_of(one).lower(), path_of(other).lower()
    if kinds == {"exact"}:
        return a == b
    if kinds == {"prefix"}:
        return a.startswith(b) or b.startswith(a)
    exact, prefix = (a, b) if _path_kind(one) == "exact" else (b, a)
    return exact.startswith(prefix)


def _path_kind(matcher: Any) -> str:
    if at(matcher, "regex") is not None or at(matcher, "connectMatcher") is not None:
        return "regex"
    return "exact" if text_at(matcher, "exact") else "prefix"


def path_of(matcher: Any) -> str:
    """Return the path of an exact or prefix matcher; empty for a pattern."""
    if _path_kind(matcher) == "regex":
        return ""
    return text_at(matcher, "exact") or text_at(matcher, "prefix") or "/"
