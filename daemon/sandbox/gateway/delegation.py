"""From a VirtualService and its RouteTables to one flat list of routes.

Depth first, in list order; tables of a selector by ascending weight, and the routes of equal
tables sorted again. A delegated route that breaks a rule is left out with a Warning on its table
and on the VirtualService; a delegating route that breaks one is an error.
Must not be put here: destinations.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from daemon.ports import Obj
from daemon.sandbox.gateway.matchers import EVERYTHING, has_path, path_of, rank
from daemon.sandbox.gateway.objects import Ref, Snapshot, at, labels, spec
from daemon.sandbox.gateway.options import merged
from daemon.sandbox.gateway.selectors import expression_problem, has_labels, satisfies
from daemon.sandbox.gateway.verdicts import Reports

ACTIONS: Final = ("routeAction", "redirectAction", "directResponseAction")


@dataclass(frozen=True, slots=True)
class Route:
    """One route, delegation resolved.

    Attributes:
        name: where it came from; empty unless some route on its branch has a name.
        matchers: at least one.
        action: map with one of ACTIONS.
        options: its own, completed by those of the routes that delegated to it.
        namespace: of the object it stands in; the default of the Upstreams it names.
    """

    name: str
    matchers: tuple[Obj, ...]
    action: Obj
    options: Obj
    namespace: str


@dataclass(frozen=True, slots=True)
class _Parent:
    """What a delegating route hands down."""

    matcher: Obj
    options: Obj
    name: str
    named: bool
    inherit: bool
    inherit_path: bool


class RouteTree:
    """One VirtualService's tree of routes; findings go to `reports`."""

    def __init__(self, root: Ref, snapshot: Snapshot, reports: Reports, listener: str) -> None:
        self._root = root
        self._snapshot = snapshot
        self._reports = reports
        self._listener = listener

    def flatten(self, routes: Sequence[Obj]) -> list[Route]:
        return self._visit(self._root, routes, None, ())

    def _visit(
        self, owner: Ref, routes: Sequence[Obj], parent: _Parent | None, path: tuple[Ref, ...]
    ) -> list[Route]:
        flat: list[Route] = []
        for index, raw in enumerate(routes):
            name, named = self._name(owner, raw, parent, index)
            route = {**raw, "options": self._with_option_refs(owner, raw)}
            if parent is not None:
                problem = _inherit(route, parent)
                if problem:
                    self._warn(owner, problem)
                    continue
            if "delegateAction" in route:
                flat += self._delegate(owner, route, name, named, path)
            elif any(kind in route for kind in ACTIONS):
                flat.append(_leaf(owner, route, name if named else ""))
            else:
                self._error(owner, "invalid route: route must specify an action")
        return flat

    def _delegate(
        self, owner: Ref, route: Obj, name: str, named: bool, path: tuple[Ref, ...]
    ) -> list[Route]:
        matcher = _delegating_matcher(route)
        if isinstance(matcher, str):
            self._error(owner, matcher)
            return []
        tables = _select_tables(route["delegateAction"] or {}, owner.namespace, self._snapshot)
        if isinstance(tables, str):
            self._warn(owner, tables)
            return []
        parent = _Parent(
            matcher=matcher,
            options=route["options"],
            name=name,
            named=named,
            inherit=bool(route.get("inheritableMatchers")),
            inherit_path=bool(route.get("inheritablePathMatchers")),
        )
        by_weight: dict[int, list[Ref]] = {}
        for table in tables:
            weight = spec(self._table(table)).get("weight") or 0
            by_weight.setdefault(weight, []).append(table)
        flat: list[Route] = []
        for _, equals in sorted(by_weight.items()):
            routes = [r for table in equals for r in self._enter(table, parent, path)]
            if len(equals) > 1:
                routes.sort(key=lambda r: rank(r.matchers))
            flat += routes
        return flat

    def _enter(self, table: Ref, parent: _Parent, path: tuple[Ref, ...]) -> list[Route]:
        if table in path:
            trail = " -> ".join(f"[{t.key}]" for t in (*path, table))
            self._error(table, f"invalid route: delegation cycle detected: {trail}")
            return []
        routes = spec(self._table(table)).get("routes") or ()
        return self._visit(table, routes, parent, (*path, table))

    def _table(self, ref: Ref) -> Obj:
        return self._snapshot.route_tables[ref.namespace, ref.name]

    def _with_option_refs(self, owner: Ref, route: Obj) -> Obj:
        options: Obj = route.get("options") or {}
        for ref in at(route, "optionsConfigRefs", "delegateOptions") or ():
            key = (ref.get("namespace", ""), ref.get("name", ""))
            found = self._snapshot.route_options.get(key)
            if found is None:
                self._warn(owner, f"list did not find routeOption {key[0]}.{key[1]}")
                continue
            options = merged(options, spec(found).get("options") or {})
        return options

    def _name(self, owner: Ref, route: Obj, parent: _Parent | None, index: int) -> tuple[str, bool]:
        start = f"{parent.name}_rt:" if parent else f"vs:{self._listener}_"
        own = route.get("name") or f"<unnamed-{index}>"
        named = bool(route.get("name")) or (parent is not None and parent.named)
        return f"{start}{owner.namespace}_{owner.name}_route:{own}", named

    def _error(self, owner: Ref, text: str) -> None:
        self._reports.error(owner, text)
        if owner != self._root:
            self._reports.error(self._root, f"on sub route table {owner.key}: {text}")

    def _warn(self, owner: Ref, text: str) -> None:
        self._reports.warn(owner, text)
        if owner != self._root:
            self._reports.warn(self._root, f"on sub route table {owner.key}: {text}")


def _leaf(owner: Ref, route: Obj, name: str) -> Route:
    return Route(
        name=name,
        matchers=tuple(route.get("matchers") or (EVERYTHING,)),
        action={kind: route[kind] or {} for kind in ACTIONS if kind in route},
        options=route["options"],
        namespace=owner.namespace,
    )


def _delegating_matcher(route: Obj) -> Obj | str:
    """The one matcher of a delegating route, or what is wrong with it."""
    matchers = route.get("matchers") or []
    if len(matchers) > 1:
        return "invalid route: routes with delegate actions must omit or specify a single matcher"
    if not matchers or not has_path(matchers[0]):
        return EVERYTHING
    if not matchers[0].get("prefix"):
        return "invalid route: routes with delegate actions must use a prefix matcher"
    return dict(matchers[0])


def _select_tables(delegate: Obj, namespace: str, snapshot: Snapshot) -> Sequence[Ref] | str:
    """The tables delegated to, by (namespace, name), or why there are none.

    The deprecated direct `name` and `namespace` go before `ref`.
    """
    ref = delegate.get("ref")
    if delegate.get("name") or delegate.get("namespace"):
        ref = delegate
    if ref is not None:
        key = (ref.get("namespace", ""), ref.get("name", ""))
        if key not in snapshot.route_tables:
            return f"route table {key[0]}.{key[1]} missing"
        return [Ref("RouteTable", *key)]
    selector = delegate.get("selector")
    if selector is None:
        return (
            "cannot determine delegation target: you must specify a route table "
            "either via a resource reference or a selector"
        )
    wanted, expressions = selector.get("labels") or {}, selector.get("expressions") or ()
    if wanted and expressions:
        return "cannot use both labels and expressions within the same selector"
    for expression in expressions:
        if problem := expression_problem(expression):
            return f"{problem}: the route table selector expression is invalid"
    spaces = selector.get("namespaces") or [namespace]
    found = [
        Ref("RouteTable", *key)
        for key, table in sorted(snapshot.route_tables.items())
        if ("*" in spaces or key[0] in spaces)
        and has_labels(wanted, labels(table))
        and satisfies(expressions, labels(table))
    ]
    return found or "no route table matches the given selector"


def _inherit(route: Obj, parent: _Parent) -> str | None:
    """Complete a delegated route in place by what its parent hands down; return a broken rule."""
    if route.get("inheritablePathMatchers") is None:
        route["inheritablePathMatchers"] = parent.inherit_path
    if route.get("inheritableMatchers") is None:
        route["inheritableMatchers"] = parent.inherit
    matchers = [dict(m) for m in route.get("matchers") or ()]
    if route["inheritablePathMatchers"]:
        from_parent = {k: v for k, v in parent.matcher.items() if k in ("prefix", "caseSensitive")}
        kept = ("headers", "methods", "queryParameters")
        matchers = [
            from_parent | {k: v for k, v in m.items() if k in kept} for m in matchers or [{}]
        ]
    matchers = matchers or [dict(EVERYTHING)]
    if route["inheritableMatchers"]:
        for matcher in matchers:
            for part in ("headers", "methods", "queryParameters"):
                both = [*(parent.matcher.get(part) or ()), *(matcher.get(part) or ())]
                if both:
                    matcher[part] = both
    route["matchers"] = matchers
    for matcher in matchers:
        if problem := _broken_rule(parent.matcher, matcher):
            return problem
    route["options"] = merged(route["options"], parent.options)
    return None


def _broken_rule(parent: Obj, child: Obj) -> str | None:
    """The rule of delegation that a child's matcher breaks, or None."""
    rule = "invalid route: route table matchers must"
    prefix, path = parent.get("prefix", ""), path_of(child)
    if not path.startswith(prefix):
        return (
            f"required prefix: {prefix}, prefix: {path}: "
            f"{rule} begin with the prefix of their parent route's matcher"
        )
    if parent.get("caseSensitive") != child.get("caseSensitive"):
        return f"{rule} have the same case sensitivity of their parent route's matcher"
    for part, word in (("headers", "headers"), ("queryParameters", "query params")):
        if not _named_superset(child.get(part) or (), parent.get(part) or ()):
            return f"{rule} have all {word} that were specified on their parent route's matcher"
    if not set(child.get("methods") or ()) >= set(parent.get("methods") or ()):
        return f"{rule} have all methods that were specified on their parent route's matcher"
    return None


def _named_superset(child: Iterable[Obj], parent: Iterable[Obj]) -> bool:
    """Whether the child has every part of the parent; of one name the child's last one counts."""
    last = {part.get("name", ""): _plain(part) for part in child}
    return all(last.get(part.get("name", "")) == _plain(part) for part in parent)


def _plain(part: Obj) -> Obj:
    """Without the fields that say nothing: missing, empty and false are one."""
    return {k: v for k, v in part.items() if v}
