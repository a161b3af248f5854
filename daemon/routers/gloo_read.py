"""Find the owned route among others, and say in the core's words what it does.

Nothing is guessed and nothing repaired: what is not plainly pinned, weighted over two versions of
our Upstream, or open is `Unclear`, with a sentence that a person can act on.
"""

from dataclasses import dataclass
from typing import Any

from daemon.core.model import PROBE_HEADER, Open, Owned, Pinned, Record, Unclear, Weighted
from daemon.core.record import parse_record
from daemon.core.weights import FULL, PARTS, exact
from daemon.routers.gloo_guide import is_guide, rollout_of, version_of
from daemon.routers.gloo_route import (
    Site,
    at,
    describe,
    destinations_of,
    goes_to,
    is_open,
    items_at,
    looks_at_header,
    may_overlap,
    quote,
    takes_header,
    title,
    upstream_of,
)

MAX_WEIGHT = 2**32 - 1
"""Weights are uint32."""
MAX_QUOTED_ROUTES = 4
"""Routes that are listed in one sentence; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which routes are ours.

    Attributes:
        routes: all routes of the object, as read.
        guides: indices of routes that carry our response headers; more than one is a fault.
        index: the owned route, or None where it cannot be told.
        owned: what the owned route does.
    """

    routes: list[Any]
    guides: tuple[int, ...]
    index: int | None
    owned: Owned

    @property
    def route(self) -> Any:
        """The owned route itself, or None."""
        return None if self.index is None else self.routes[self.index]


def recorded(text: str | None) -> Record | None:
    """Return the record an annotation holds, if it can be read."""
    found = parse_record(text) if text is not None else None
    return found if isinstance(found, Record) else None


def layout_of(obj: Any, site: Site, record: Record | None) -> Layout:
    """Find guide and owned route in a route object."""
    routes = items_at(obj, *site.path)
    guides = tuple(i for i, route in enumerate(routes) if _is_ours(route, site, record))
    index, why = _find_owned(routes, guides, site)
    if index is not None and not why:
        why = _obstacle(routes, guides, index, site)
    if why:
        owned: Owned = Unclear(why, identifiable=index is not None)
    else:
        assert index is not None, "without an owned route there is a reason why"
        owned = classify(routes[index], site, record)
    return Layout(routes, guides, index, owned)


def _is_ours(route: Any, site: Site, record: Record | None) -> bool:
    """Tell our guide from another target's: by its Upstream, or by our rollout's id."""
    if not is_guide(route):
        return False
    return goes_to(route, site) or (record is not None and rollout_of(route) == record.id)


def _find_owned(routes: list[Any], guides: tuple[int, ...], site: Site) -> tuple[int | None, str]:
    """Return the owned route's index where it can be told, and why it may not be used, if so."""
    ours = [i for i, route in enumerate(routes) if i not in guides and goes_to(route, site)]
    candidates = [i for i in ours if not takes_header(routes[i], site.header)]
    if site.route_name is not None:
        return _find_by_name(routes, guides, candidates, site)
    if len(candidates) == 1:
        return candidates[0], ""
    index = _below_guide(routes, guides)
    if candidates:
        listed = _list(candidates, routes)
        return (
            index if index in candidates else None,
            f"{listed} all go to Upstream {site.upstream}: name one in route.gloo.routeName",
        )
    if ours:
        return None, (
            f"{_list(ours, routes)}: only requests with header {site.header[0]}: {site.header[1]}"
            f" go to Upstream {site.upstream}; ordinary requests have no route there"
        )
    return index, _nothing_found(routes, guides, index, site)


def _find_by_name(
    routes: list[Any], guides: tuple[int, ...], candidates: list[int], site: Site
) -> tuple[int | None, str]:
    named = [
        i
        for i, route in enumerate(routes)
        if i not in guides and at(route, "name") == site.route_name
    ]
    if len(named) > 1:
        return None, f"{_list(named, routes)} have one name: route.gloo.routeName must name one"
    if not named:
        return None, f"no route is named {site.route_name}, as route.gloo.routeName says"
    if named[0] in candidates:
        return named[0], ""
    if goes_to(routes[named[0]], site):
        return named[0], _own_header(routes, named[0], site)
    doing = describe(routes[named[0]], site.namespace)
    return named[0], f"{title(named[0], routes[named[0]])} {doing}, not to Upstream {site.upstream}"


def _below_guide(routes: list[Any], guides: tuple[int, ...]) -> int | None:
    """The route under our single guide was the owned one, whatever somebody made of it since."""
    index = guides[0] + 1 if len(guides) == 1 else len(routes)
    return index if index < len(routes) and isinstance(routes[index], dict) else None


def _nothing_found(
    routes: list[Any], guides: tuple[int, ...], index: int | None, site: Site
) -> str:
    if index is not None:
        doing = describe(routes[index], site.namespace)
        return (
            f"{title(index, routes[index])} below our own {doing},"
            f" not to Upstream {site.upstream} any more"
        )
    others = [i for i in range(len(routes)) if i not in guides]
    seen = [f"{title(i, routes[i])} {describe(routes[i], site.namespace)}" for i in others]
    if len(seen) > MAX_QUOTED_ROUTES:
        seen = [*seen[:MAX_QUOTED_ROUTES], f"{len(seen) - MAX_QUOTED_ROUTES} more do not either"]
    hint = "; ".join(seen) if seen else "there are no routes"
    if any(at(routes[i], "delegateAction") is not None for i in others):
        hint += "; name the RouteTable that holds the route in route.gloo.routeTable"
    return f"no route goes to Upstream {site.upstream}: {hint}"


def _obstacle(routes: list[Any], guides: tuple[int, ...], index: int, site: Site) -> str:
    """Say what around the owned route forbids a header route of ours, or nothing."""
    if len(guides) > 1:
        return f"{_list(list(guides), routes)} all carry our response headers: remove all but one"
    if sentence := _own_header(routes, index, site):
        return sentence
    for above in range(index):
        route = routes[above]
        # Another target's guide takes only what the route right below it would have taken.
        if is_guide(route) or not takes_header(route, site.header):
            continue
        if may_overlap(route, routes[index]):
            name, value = site.header
            return (
                f"{title(above, route)} already takes requests with header {name}: {value}:"
                " remove it, the daemon makes its own, or choose another canaryHeader"
            )
    return ""


def _own_header(routes: list[Any], index: int, site: Site) -> str:
    for name in (site.header[0], PROBE_HEADER):
        if looks_at_header(routes[index], name):
            return (
                f"{title(index, routes[index])} itself looks at header {name}:"
                " choose another canaryHeader"
            )
    return ""


def _list(indices: list[int], routes: list[Any]) -> str:
    names = [title(i, routes[i]) for i in indices]
    if len(names) > MAX_QUOTED_ROUTES:
        names = [*names[:MAX_QUOTED_ROUTES], f"{len(names) - MAX_QUOTED_ROUTES} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


# ---------------------------------------------------------------- what the owned route does


def classify(route: Any, site: Site, record: Record | None) -> Owned:
    """Say what an owned route does with its requests.

    The record tells which of two versions is the canary where somebody turned the list round;
    without one the first destination is stable.
    """
    if at(route, "routeAction", "single") is not None:
        return _classify_single(destinations_of(route)[0], site)
    members = items_at(route, "routeAction", "multi", "destinations")
    if len(members) not in (1, 2):
        return _unclear(f"the route has {len(members)} destinations; two versions are expected")
    for member in members:
        if sentence := _member_fault(member, site):
            return _unclear(sentence)
    versions = [version_of(at(member, "destination"), site) or "" for member in members]
    weights = [at(member, "weight") or 0 for member in members]
    if sum(weights) == 0:
        return _unclear(
            "the route's weights sum to 0: the gateway refuses that and keeps old routes"
        )
    if len(members) == 1:
        return Pinned(versions[0])
    if versions[0] == versions[1]:
        return _unclear(f"both destinations of the route are version {quote(versions[0])}")
    if record is not None and (record.canary, record.stable) == tuple(versions):
        versions, weights = versions[::-1], weights[::-1]
    parts, rest = divmod(weights[1] * FULL * PARTS, sum(weights))
    if rest:
        return _unclear(f"weights {weights[0]} and {weights[1]} are no hundredths of a percent")
    return Weighted(versions[0], versions[1], exact(parts / PARTS))


def _classify_single(destination: Any, site: Site) -> Owned:
    if is_open({"routeAction": {"single": destination}}, site):
        return Open()
    if (version := version_of(destination, site)) is not None:
        return Pinned(version)
    return _unclear(_subset_fault(destination, site))


def _member_fault(member: Any, site: Site) -> str:
    destination = at(member, "destination")
    if upstream_of(destination, site.namespace) != site.upstream:
        foreign = describe({"routeAction": {"single": destination}}, site.namespace)
        return f"one destination of the route {foreign}, not to Upstream {site.upstream}"
    if version_of(destination, site) is None:
        return _subset_fault(destination, site)
    weight = at(member, "weight")
    if weight is not None and (type(weight) is not int or not 0 <= weight <= MAX_WEIGHT):
        return "a weight of the route is no whole number from 0 up"
    if at(member, "options"):
        return (
            "a destination has options of its own, which a pin would lose: move them to the route"
        )
    return ""


def _subset_fault(destination: Any, site: Site) -> str:
    values = at(destination, "subset", "values")
    if not values:
        return "a destination of the route names no subset, so every ready pod takes its share"
    keys = ", ".join(sorted(quote(str(key)) for key in values)) if isinstance(values, dict) else "?"
    return f"a subset of the route is chosen by {keys}; the policy's versionLabel is {site.label}"


def _unclear(why: str) -> Unclear:
    return Unclear(why, identifiable=True)
