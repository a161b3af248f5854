"""How lists and maps of the built-in kinds merge.

One table by field name stands for the real types' tags: the same name means the same thing nearly
everywhere, and where it does not, the name of the list or field around it decides.
"""

from typing import Any

_KEYED: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "containers"): ("name",),
    ("", "initContainers"): ("name",),
    ("", "ephemeralContainers"): ("name",),
    ("", "env"): ("name",),
    ("", "volumes"): ("name",),
    ("", "volumeMounts"): ("mountPath",),
    ("", "volumeDevices"): ("devicePath",),
    ("containers", "ports"): ("containerPort", "protocol"),
    ("initContainers", "ports"): ("containerPort", "protocol"),
    ("spec", "ports"): ("port", "protocol"),
    ("", "conditions"): ("type",),
    ("", "imagePullSecrets"): ("name",),
    ("", "secrets"): ("name",),
    ("", "hostAliases"): ("ip",),
    ("", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("", "ownerReferences"): ("uid",),
    ("", "podIPs"): ("ip",),
    ("", "addresses"): ("type",),
}
"""(name around it or "", field) -> members that identify an item; strategic merge has the first."""
_KEYED_EXCEPT = {("endpoints", "addresses"), ("subsets", "addresses")}
_SETS = {"finalizers"}
_ATOMIC = {
    "nodeSelector",
    "labelSelector",
    "matchLabels",
    "objectRef",
    "targetRef",
    "roleRef",
    "configMapKeyRef",
    "secretKeyRef",
    "fieldRef",
    "resourceFieldRef",
    "involvedObject",
    "regarding",
    "claimRef",
}
_DEFAULTS = {"protocol": "TCP"}


class NamedShape:
    """The shape of one field of a built-in kind."""

    __slots__ = ("_around", "_name")

    def __init__(self, name: str = "", around: str = "") -> None:
        self._name = name
        self._around = around

    @property
    def keys(self) -> tuple[str, ...]:
        """See resources.Shape."""
        if (self._around, self._name) in _KEYED_EXCEPT:
            return ()
        return _KEYED.get((self._around, self._name)) or _KEYED.get(("", self._name), ())

    @property
    def is_set(self) -> bool:
        """See resources.Shape."""
        return self._name in _SETS

    @property
    def atomic(self) -> bool:
        """See resources.Shape. A selector is atomic, whether of labels or of a Service."""
        return self._name in _ATOMIC or self._name == "selector"

    def field(self, name: str) -> "NamedShape":
        """See resources.Shape."""
        return NamedShape(name, self._name)

    def items(self) -> "NamedShape":
        """See resources.Shape: an item stands for its list, so that its members know it."""
        return NamedShape(self._name, self._around)

    def key_default(self, key: str) -> Any:
        """See resources.Shape."""
        return _DEFAULTS.get(key)


METADATA = NamedShape("metadata")
"""Metadata merges the same in every kind, custom ones too."""
