"""Which keys a person may write where, and what was probably meant by another one.

Invariant: a key that is accepted here ends up in the schema's models and does something; every
other key is a problem at its line and column. Values are not looked at, but for missing ones.
"""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

from config.errors import Problem, quoted
from config.nodes import ListNode, MapNode, Node, Place, ScalarNode
from config.schema import Model, Rollout, Smoke, SmokeRequest, Step

METHOD_KEYS: Final = ("get", "post", "put", "patch", "delete", "head")

EMPTY: Final = "is empty; write a value or leave the key out"

TOP_KEYS: Final = ("apiVersion", "kind", "metrics", "defaults", "profiles", "rollouts")

NOT_YET: Final = frozenset(
    {
        "approve", "compare", "discover", "freeze", "gatewayApi", "include", "istio", "limits",
        "mirror", "notify", "onFailure", "owner", "promote", "upstreamGroup",
    }
)  # fmt: skip
"""Keys that the documentation of later versions names."""

INSTEAD: Final = {
    "compare": "a query is one number without counts, judged by atLeast and atMost; successRate and"
    " latency are compared with stable",
}
"""What there is in place of such a key."""

_MORE: Final[dict[type[Model], frozenset[str]]] = {
    Rollout: frozenset({"profile", "hold"}),
    Smoke: frozenset({"via"}),
    Step: frozenset({"bake"}),
    SmokeRequest: frozenset({*METHOD_KEYS, "json"}),
}
_FEWER: Final[dict[type[Model], frozenset[str]]] = {
    Rollout: frozenset({"name"}),
    SmokeRequest: frozenset({"method", "path"}),
}

_LIKENESS: Final = 0.6
"""difflib's ratio from which on a key is suggested: one typing error in a word of three letters."""


class Keys:
    """Looks at keys and remembers what misspellings explain."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.meant: set[tuple[str, str]] = set()
        """(path of the mapping, key that was probably meant): no need to call that key missing."""

    def check(self, node: Node, model: type[Model]) -> None:
        """Report keys that `model`, as people write it, does not have, at any depth."""
        if isinstance(node, ListNode):
            inner = SmokeRequest if model is Smoke else model
            for item in node.items:
                self.check(item, inner)
        if not isinstance(node, MapNode):
            return
        fields = dict(fields_of(model))
        self.unknown(node, allowed_keys(model))
        for key, value in node.entries.items():
            self.empty(value)
            if (inner_model := fields.get(key)) is not None:
                self.check(value, inner_model)

    def unknown(self, node: MapNode, allowed: tuple[str, ...]) -> None:
        """Report the keys that are not allowed."""
        for key in node.entries:
            if key in allowed:
                continue
            message = f"unknown key {quoted(key)}"
            if key in NOT_YET:
                message = f"{quoted(key)} is not supported yet"
                message += f"; {INSTEAD[key]}" if key in INSTEAD else ""
            elif (guess := likely(key, allowed)) is not None:
                self.meant.add((node.place.path, guess))
                message += f"; did you mean {quoted(guess)}?"
            self._report(node.key_place(key), node.place.path, message)

    def empty(self, node: Node) -> None:
        """Report a key without a value: it must not pass for the default, or for `none`."""
        if isinstance(node, ScalarNode) and node.value is None:
            self._report(node.place, node.place.path, EMPTY)

    def _report(self, place: Place, path: str, message: str) -> None:
        self.problems.append(Problem(place.line, place.column, path, message))


def likely(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=_LIKENESS)), None)


def allowed_keys(model: type[Model]) -> tuple[str, ...]:
    """The keys that a person may write in this mapping, in the model's order."""
    own = [info.alias or name for name, info in model.model_fields.items()]
    kept = [key for key in own if key not in _FEWER.get(model, ())]
    return (*kept, *sorted(_MORE.get(model, ())))


def fields_of(model: type[Model]) -> Iterator[tuple[str, type[Model] | None]]:
    """The model's keys, each with the model of its value or of its items, or None."""
    for name, info in model.model_fields.items():
        yield info.alias or name, next(_models_in(info.annotation), None)


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
