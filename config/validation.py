"""Turns what pydantic finds into problems with line, column, path and a sentence.

Invariant: one problem a mistake. A key that is missing because it is misspelt, and a value that
was refused before, are not reported again. Values are repeated only where they cannot be secrets
(see `grammar`).
"""

import re
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.errors import Problem, quoted
from config.keys import EMPTY
from config.model import INCOMPLETE, Model
from config.nodes import ListNode, MapNode, Node, Place, ScalarNode, find, plain

WRITTEN: Final = {"written": True}
"""Context of a validation of what people wrote: there a percentage must have its sign."""

_NOT_YET_VALUES: Final = frozenset({"match"})
"""Values that the documentation of later versions names."""

AnyModel = TypeVar("AnyModel", bound=Model)


@dataclass(slots=True)
class Validation:
    """Validates mappings of one file and collects problems."""

    problems: list[Problem]
    meant: set[tuple[str, str]]

    def validate(
        self, model: type[AnyModel], node: MapNode, key: Place, *, partial: bool = False
    ) -> AnyModel | None:
        """The model, or None where there is a problem.

        With `partial`, the mapping is one layer of several: what is missing in it is no problem.
        """
        try:
            return model.model_validate(plain(node), context=WRITTEN)
        except ValidationError as refused:
            refused_before = {(problem.line, problem.column) for problem in self.problems}
            for error in refused.errors(include_url=False):
                problem = self._problem(error, node, key, partial=partial)
                if problem is not None and (problem.line, problem.column) not in refused_before:
                    self.problems.append(problem)
            return None

    def _problem(
        self, error: ErrorDetails, node: MapNode, key: Place, *, partial: bool
    ) -> Problem | None:
        kind, location = error["type"], error["loc"]
        if kind == "extra_forbidden" or (partial and kind in {"missing", INCOMPLETE}):
            return None
        if kind == INCOMPLETE and self._is_left_empty(find(node, key, location).key.path):
            return None
        if kind == "missing":
            found = find(node, key, location[:-1])
            missing = str(location[-1])
            if (found.key.path, missing) in self.meant:
                return None
            return Problem(*found.key, f"{quoted(missing)} is missing")
        found = find(node, key, location)
        if kind == "too_short" and isinstance(found.node, ListNode) and found.node.items:
            return None  # its entries were refused
        place = (
            found.node.place if isinstance(found.node, ScalarNode) and not found.rest else found.key
        )
        return Problem(*place, sentence(error, found.node))

    def _is_left_empty(self, path: str) -> bool:
        """Whether a key of this mapping has no value, which was told: it is the missing choice."""
        return any(
            problem.message == EMPTY and problem.path.rpartition(".")[0] == path
            for problem in self.problems
        )


def sentence(error: ErrorDetails, node: Node) -> str:
    """What is wrong, for the person who wrote `node`."""
    context: dict[str, Any] = error.get("ctx", {})
    if isinstance(node, ScalarNode) and node.value is None:
        return EMPTY
    shown = _shown(node)
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "string_type":
            return _not_a_text(node)
        case "int_type" | "int_from_float":
            return f"{shown} is not a whole number{_percent_hint(node)}"
        case "float_type":
            return f"{shown} is not a number"
        case "bool_type":
            return f"{shown} is not true or false"
        case "literal_error" if isinstance(node, ScalarNode) and node.value in _NOT_YET_VALUES:
            return f"{shown} is not supported yet; possible: {context['expected']}"
        case "literal_error":
            return f"{shown} is not possible here; write {context['expected']}"
        case "model_type" | "dict_type":
            return f"{shown} stands where a mapping belongs"
        case "tuple_type":
            return f"{shown} stands where a list belongs"
        case "too_long":
            return (
                f"{context['actual_length']} entries; at most {context['max_length']} are possible"
            )
        case "too_short":
            return "is empty; write something or leave the key out"
        case _:
            return re.sub(r"^(Input|String) should", f"{shown} must", error["msg"])


def _not_a_text(node: Node) -> str:
    match node:
        case ScalarNode(value=bool(), text=text):
            return f'{text} is true or false; if it is meant as text, quote it: "{text}"'
        case ScalarNode(value=int() | float(), text=text):
            return f'{text} is a number; quote it: "{text}"'
        case _:
            return f"{_shown(node)} stands where a text belongs"


def _percent_hint(node: Node) -> str:
    """Weights are plain numbers, though they mean percent."""
    text = node.text if isinstance(node, ScalarNode) else ""
    return f"; write {text[:-1]}" if text.endswith("%") and text[:-1].isdecimal() else ""


def _shown(node: Node) -> str:
    match node:
        case ScalarNode(value=bool() | int() | float(), text=text):
            return text
        case ScalarNode(text=text):
            return quoted(text)
        case MapNode():
            return "a mapping"
        case _:
            return "a list"
