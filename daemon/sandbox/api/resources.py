"""Which kinds there are, and by which paths they are reached; CRDs add some at run time.

A `Kind` is data: what differs between kinds is a field of it, never a branch elsewhere.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from daemon.ports import Obj
from daemon.sandbox.api.schema import Schema
from daemon.sandbox.api.storage import Key


class Shape(Protocol):
    """How server-side apply and strategic merge treat one place in an object."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Members that identify an item of this list; empty if it is no keyed list."""
        ...

    @property
    def is_set(self) -> bool:
        """Whether this list is a set of scalars."""
        ...

    @property
    def atomic(self) -> bool:
        """Whether this map is owned as a whole."""
        ...

    def field(self, name: str) -> "Shape | None":
        """Shape of a member; None: a granular map, an atomic list, or a scalar."""
        ...

    def items(self) -> "Shape | None":
        """Shape of this list's items."""
        ...

    def key_default(self, key: str) -> Any:
        """Value of a list key that an item leaves out, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`. `path`: JSONPath of a CRD, or a function of a built-in kind."""

    name: str
    path: "str | Callable[[Obj, float], Any]"
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


Convert = Callable[[Obj, str], Obj]
"""(object, version) -> the object in that version; must not change its argument."""


def relabel(obj: Obj, api_version: str) -> Obj:
    """The same object under another apiVersion."""
    return obj | {"apiVersion": api_version}


def _nothing(_new: Obj, _old: Obj | None) -> None:
    return None


def _no_causes(_new: Obj, _old: Obj | None) -> list[tuple[str, str, str]]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object.

    Attributes:
        stored_as: (group, plural) that its objects are stored under; two kinds may share them.
        versions: served versions, preferred first.
        storage: apiVersion of the stored objects.
        subresources: of status, scale, binding, eviction.
        generation: whether a change of the object bumps metadata.generation; None: it has none.
        prepare: defaults and fields that clients may not set, in place (new, old or None).
        check: causes for refusing (new, old or None).
        writable: verbs beyond reading; reviews have only create.
        create_on_update: whether PUT may create.
        needs_version: whether PUT must carry a resourceVersion.
        schemas: per version, of custom kinds.
        scale_paths: per version, the CRD's scale subresource.
    """

    group: str
    plural: str
    kind: str
    singular: str
    versions: tuple[str, ...]
    storage: str
    namespaced: bool = True
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    stored_as: tuple[str, str] = ("", "")
    subresources: frozenset[str] = frozenset()
    custom: bool = False
    review: bool = False
    create_on_update: bool = False
    needs_version: bool = False
    generation: Callable[[Obj, Obj], bool] | None = None
    prepare: Callable[[Obj, Obj | None], None] = _nothing
    check: Callable[[Obj, Obj | None], list[tuple[str, str, str]]] = _no_causes
    convert: Convert = relabel
    columns: Mapping[str, tuple[Column, ...]] = field(default_factory=lambda: MappingProxyType({}))
    schemas: Mapping[str, Schema] = field(default_factory=lambda: MappingProxyType({}))
    shape: Shape | None = None
    scale_paths: Mapping[str, Mapping[str, str]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    @property
    def has_status(self) -> bool:
        """Whether status is written only through /status."""
        return "status" in self.subresources

    def api_version(self, version: str) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{version}" if self.group else version

    def key(self, namespace: str, name: str) -> Key:
        """Where an object of this kind is stored."""
        return Key(*self.stored_as, namespace if self.namespaced else "", name)

    def shape_of(self, version: str) -> Shape | None:
        """Merge rules of one version."""
        return self.schemas.get(version) or self.shape


class Registry:
    """The kinds of one cluster."""

    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self.generation = 0
        for kind in kinds:
            self.add(kind)

    def add(self, kind: Kind) -> None:
        """Make a kind known, or replace what was known of it."""
        self.drop(kind.group, kind.plural)
        self._kinds[kind.group, kind.plural] = kind
        for version in kind.versions:
            self._by_path[kind.group, version, kind.plural] = kind
        self.generation += 1

    def drop(self, group: str, plural: str) -> None:
        """Forget a kind."""
        kind = self._kinds.pop((group, plural), None)
        for version in kind.versions if kind else ():
            self._by_path.pop((group, version, plural), None)
        self.generation += 1

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind served at a path, or None."""
        return self._by_path.get((group, version, plural))

    def of(self, group: str, plural: str) -> Kind | None:
        """The kind of a group and plural, whatever its version."""
        return self._kinds.get((group, plural))

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        """The kind of an object's apiVersion and kind."""
        group, _, version = api_version.rpartition("/")
        for known in self._kinds.values():
            if known.kind == kind and known.group == group and version in known.versions:
                return known
        return None

    def __iter__(self) -> Iterator[Kind]:
        return iter(list(self._kinds.values()))

    def groups(self) -> dict[str, list[str]]:
        """Versions of each named group, preferred first."""
        groups: dict[str, list[str]] = {}
        for kind in self._kinds.values():
            versions = groups.setdefault(kind.group, [])
            versions.extend(version for version in kind.versions if version not in versions)
        return {group: sorted(versions, key=version_rank) for group, versions in groups.items()}


def version_rank(version: str) -> tuple[int, int, int]:
    """Sort key: v2, v1, v1beta1, v1alpha1, as Kubernetes prefers them."""
    number, kind = version[1:], 0
    for rank, word in ((1, "beta"), (2, "alpha")):
        if word in version:
            major, _, minor = number.partition(word)
            return (rank, -int(major or 0), -int(minor or 0))
    return (kind, -int(number) if number.isdigit() else 0, 0)
