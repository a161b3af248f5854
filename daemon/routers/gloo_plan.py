"""Write a decision as one JSON Patch: tests of all that was read, then the least change.

The API server applies all of it or nothing, so the record and the traffic cannot disagree. Lists
are atomic: a whole route is changed by `replace`, inserted by `add` on its index, and a weight by
`add` on the member. What is not ours is not mentioned.
"""

from copy import deepcopy
from typing import Any

from daemon.core.model import GuideKind, Pinned, Split, Unclear, Weighted
from daemon.core.weights import FULL, PARTS, in_parts
from daemon.errors import PermanentError
from daemon.kube.patch import (
    Operation,
    add,
    expect_annotation,
    pointer,
    remove,
    replace,
    set_annotation,
    test,
)
from daemon.ports import Obj
from daemon.routers.gloo_guide import destination_for, guide_route, version_of
from daemon.routers.gloo_read import Layout, layout_of, recorded
from daemon.routers.gloo_route import ACTIONS, Site, at, items_at


def plan_patch(
    obj: Obj, site: Site, split: Split | None, *, annotation: str, record_text: str
) -> list[Operation]:
    """Return the patch that takes a route object as read to a split and a record.

    Raises:
        PermanentError: the owned route cannot be told, so there is nothing that may be written.
    """
    layout = layout_of(obj, site, recorded(record_text_of(obj, annotation)))
    ops = [
        test("/metadata/uid", at(obj, "metadata", "uid")),
        expect_annotation(obj, annotation),
        *(test(pointer(*site.path, i), deepcopy(layout.routes[i])) for i in _watched(layout)),
    ]
    if split is not None:
        ops += _changes(layout, site, split, record_text)
    return [*ops, set_annotation(obj, annotation, record_text)]


def record_text_of(obj: Obj, annotation: str) -> str | None:
    """Return the record's exact text, or None where there is none."""
    text = at(obj, "metadata", "annotations", annotation)
    return text if isinstance(text, str) else None


def _watched(layout: Layout) -> list[int]:
    """Indices of the routes that must be as they were read."""
    return sorted({*layout.guides, *(() if layout.index is None else (layout.index,))})


def _changes(layout: Layout, site: Site, split: Split, record_text: str) -> list[Operation]:
    if layout.index is None:
        why = layout.owned.why if isinstance(layout.owned, Unclear) else "it cannot be told"
        raise PermanentError(f"the route is left alone: {why}")
    wanted = _owned_route(layout.route, site, split.owned)
    ops = _owned_changes(layout.route, wanted, (*site.path, layout.index))
    guide = None
    if split.guide is not None:
        canary = _canary(split, record_text)
        if canary is None and split.guide.kind is not GuideKind.WITNESS:
            raise PermanentError("the route is left alone: the record names no canary")
        guide = guide_route(split.guide, canary, wanted, site)
    return ops + _guide_changes(layout, layout.index, guide, site)


def _canary(split: Split, record_text: str) -> str | None:
    """The version a header route leads to: the split names it, or the record written with it."""
    if isinstance(split.owned, Weighted):
        return split.owned.canary
    record = recorded(record_text)
    return None if record is None else record.canary


# ---------------------------------------------------------------- the owned route


def _owned_route(route: Obj, site: Site, owned: Pinned | Weighted) -> Obj:
    """Return the owned route with its new action; all else is as it was."""
    kept = {name: value for name, value in route.items() if name not in ACTIONS}
    return kept | {"routeAction": _action(route, site, owned)}


def _action(route: Obj, site: Site, owned: Pinned | Weighted) -> Obj:
    match owned:
        case Pinned(version):
            return {"single": destination_for(version, route, site)}
        case Weighted(stable, canary, weight):
            weights = _shares(stable, canary, weight)
            if (members := _members_of(route, site, weights)) is not None:
                return {
                    "multi": {
                        "destinations": [
                            member | {"weight": weights[version]} for version, member in members
                        ]
                    }
                }
            return {
                "multi": {
                    "destinations": [
                        {"destination": destination_for(version, route, site), "weight": share}
                        for version, share in weights.items()
                    ]
                }
            }


def _shares(stable: str, canary: str, weight: float) -> dict[str, int]:
    """Return the weights to write: of 100 as long as they are whole, else of 10,000."""
    if weight == int(weight):
        return {stable: FULL - int(weight), canary: int(weight)}
    return {stable: FULL * PARTS - in_parts(weight), canary: in_parts(weight)}


def _members_of(route: Obj, site: Site, weights: dict[str, int]) -> list[tuple[str, Obj]] | None:
    """Return the members by version if the route is already split over these two versions."""
    members = items_at(route, "routeAction", "multi", "destinations")
    found = [(version_of(at(member, "destination"), site), member) for member in members]
    if len(found) != 2 or {version for version, _ in found} != set(weights):
        return None
    return [(str(version), member) for version, member in found]


def _owned_changes(route: Obj, wanted: Obj, path: tuple[str | int, ...]) -> list[Operation]:
    """Return the least operations that make the owned route what is wanted."""
    action = wanted["routeAction"]
    if set(route) & set(ACTIONS) != {"routeAction"}:
        # Somebody gave it another kind of action; a split pins over that as one value.
        return [replace(pointer(*path), deepcopy(wanted))]
    old = route["routeAction"]
    if old == action:
        return []
    path = (*path, "routeAction")
    old_members = items_at(old, "multi", "destinations")
    members = items_at(action, "multi", "destinations")
    if members and _same_but_weights(old, action):
        return [
            add(pointer(*path, "multi", "destinations", i, "weight"), member["weight"])
            for i, (before, member) in enumerate(zip(old_members, members, strict=True))
            if (at(before, "weight") or 0) != member["weight"]
        ]
    return [replace(pointer(*path), deepcopy(action))]


def _same_but_weights(old: Any, new: Any) -> bool:
    """Whether two actions are one split that differs in its weights only."""

    def bare(action: Any) -> Any:
        members = items_at(action, "multi", "destinations")
        return [{k: v for k, v in member.items() if k != "weight"} for member in members]

    return isinstance(old, dict) and set(old) == {"multi"} and bare(old) == bare(new)


# ---------------------------------------------------------------- our own route


def _guide_changes(layout: Layout, index: int, guide: Obj | None, site: Site) -> list[Operation]:
    """Return the operations that leave exactly this guide, or none, above the owned route."""
    if guide is not None and layout.guides == (index - 1,):
        if layout.routes[index - 1] == guide:
            return []
        return [replace(pointer(*site.path, index - 1), guide)]
    # From the end, so that no removal moves an index that is still to come.
    ops = [remove(pointer(*site.path, i)) for i in reversed(layout.guides)]
    if guide is not None:
        above = index - sum(1 for i in layout.guides if i < index)
        ops.append(add(pointer(*site.path, above), guide))
    return ops
