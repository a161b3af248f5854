"""Our own route, directly above the owned one: how it is built and how it is recognised.

It is a copy of the owned route, so that its requests run through the same pipeline, with one more
header in every matcher, its own destination, and three response headers that carry the proof. It is
known by those response headers alone, wherever it stands. Which guide a phase needs is decided
elsewhere.
"""

from copy import deepcopy
from typing import Any

from daemon.core.model import (
    DECISION_HEADER,
    PROBE_HEADER,
    ROLLOUT_HEADER,
    VERSION_HEADER,
    Guide,
    GuideKind,
)
from daemon.routers.gloo_route import (
    ACTIONS,
    Site,
    at,
    destinations_of,
    items_at,
    looks_at_header,
    matchers_of,
    text_at,
    upstream_of,
)

OUR_HEADERS = (ROLLOUT_HEADER, DECISION_HEADER, VERSION_HEADER)
NAME_SUFFIX = "-crossfade"
"""A named owned route gets a guide of another name: names are anchors."""


def version_of(destination: Any, site: Site) -> str | None:
    """Return the version whose subset a destination of our Upstream names, or None."""
    values = at(destination, "subset", "values")
    if upstream_of(destination, site.namespace) != site.upstream or not isinstance(values, dict):
        return None
    version = values.get(site.label)
    return version if len(values) == 1 and isinstance(version, str) and version else None


def destination_for(version: str, route: Any, site: Site) -> dict[str, Any]:
    """Build the destination of a version, in the spelling of the route's own destinations."""
    ours = [
        destination
        for destination in destinations_of(route)
        if upstream_of(destination, site.namespace) == site.upstream
    ]
    same = [destination for destination in ours if version_of(destination, site) == version]
    model: dict[str, Any] = (same or ours or [_plain_destination(site)])[0]
    return deepcopy(model) | {"subset": {"values": {site.label: version}}}


def _plain_destination(site: Site) -> dict[str, Any]:
    return {"upstream": {"name": site.upstream.name, "namespace": site.upstream.namespace}}


def is_guide(route: Any) -> bool:
    """Whether a route sets our response headers: it is the guide of this target or of another."""
    return any(name in OUR_HEADERS for name in _response_headers(route))


def rollout_of(route: Any) -> str:
    """Return the rollout id that our route carries; empty where it has none."""
    return _response_headers(route).get(ROLLOUT_HEADER, "")


def _response_headers(route: Any) -> dict[str, str]:
    added = items_at(route, "options", "headerManipulation", "responseHeadersToAdd")
    return {
        text_at(entry, "header", "key").lower(): text_at(entry, "header", "value")
        for entry in added
    }


def guide_route(guide: Guide, canary: str | None, owned: Any, site: Site) -> dict[str, Any]:
    """Build our route above an owned route (as it will stand).

    `canary` is the version that header and private guides lead to; a witness needs none.
    """
    header = site.header if guide.kind is GuideKind.HEADER else (PROBE_HEADER, guide.rollout)
    route: dict[str, Any] = {
        name: deepcopy(value) for name, value in owned.items() if name not in ACTIONS
    }
    if name := text_at(owned, "name"):
        route["name"] = name + NAME_SUFFIX
    route["matchers"] = [_with_header(matcher, header) for matcher in matchers_of(owned)]
    if guide.kind is GuideKind.WITNESS:
        route["routeAction"] = deepcopy(at(owned, "routeAction"))
    else:
        assert canary is not None, "a header route leads to a canary"
        route["routeAction"] = {"single": destination_for(canary, owned, site)}
    route["options"] = _with_our_headers(at(owned, "options"), guide, site)
    return route


def _with_header(matcher: Any, header: tuple[str, str]) -> dict[str, Any]:
    copy = deepcopy(matcher) if isinstance(matcher, dict) else {}
    copy["headers"] = [
        *items_at(matcher, "headers"),
        {"name": header[0], "value": header[1]},
    ]
    return copy


def _with_our_headers(options: Any, guide: Guide, site: Site) -> dict[str, Any]:
    """Add our three headers to what the owned route's options already say."""
    values = {
        ROLLOUT_HEADER: guide.rollout,
        DECISION_HEADER: str(guide.decision),
        # The colon form: the JSON form is obsolete in current Envoys.
        VERSION_HEADER: f"%UPSTREAM_METADATA(envoy.lb:{site.label})%",
    }
    ours = [
        # append false: an application that sends such a header itself must not be believed.
        {"header": {"key": key, "value": value}, "append": False}
        for key, value in values.items()
    ]
    copy: dict[str, Any] = deepcopy(options) if isinstance(options, dict) else {}
    manipulation = at(copy, "headerManipulation")
    copy["headerManipulation"] = (manipulation if isinstance(manipulation, dict) else {}) | {
        "responseHeadersToAdd": [*items_at(manipulation, "responseHeadersToAdd"), *ours]
    }
    return copy


def read_guide(route: Any, owned: Any) -> Guide:
    """Understand our own route; what cannot be read is empty or 0, and then it is not sound."""
    headers = _response_headers(route)
    number = headers.get(DECISION_HEADER, "")
    decision = int(number) if number.isascii() and number.isdecimal() and len(number) < 16 else 0
    kind = GuideKind.HEADER
    if looks_at_header(route, PROBE_HEADER):
        same = meaning(at(route, "routeAction")) == meaning(at(owned, "routeAction"))
        kind = GuideKind.WITNESS if same else GuideKind.PRIVATE
    return Guide(kind, headers.get(ROLLOUT_HEADER, ""), decision)


def is_sound(route: Any, owned: Any, canary: str | None, site: Site) -> bool:
    """Whether our route is what we would write above that owned route, with the numbers it has.

    `canary` is the recorded one; without a record the route's own destination is believed.
    """
    guide = read_guide(route, owned)
    if not isinstance(owned, dict):
        return False
    if guide.kind is not GuideKind.WITNESS and canary is None:
        destinations = destinations_of(route)
        canary = version_of(destinations[0], site) if destinations else None
        if canary is None:
            return False
    expected = guide_route(guide, canary, owned, site)
    return bool(meaning(route) == meaning(expected))


def meaning(value: Any) -> Any:
    """Strip what is only spelling: older versions of Gloo drop a weight of 0 when they rewrite."""
    if isinstance(value, dict):
        return {
            key: meaning(member)
            for key, member in value.items()
            if not (key == "weight" and member == 0)
        }
    if isinstance(value, list):
        return [meaning(member) for member in value]
    return value
