"""The policy as a file again, with every default and where each value comes from.

Invariant: what is shown can be loaded and means the same. References are shown as references.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from config.keys import METHOD_KEYS
from config.load import API_VERSION, KIND, ReadPolicy
from config.nodes import MapNode, Path, Place, find
from config.schema import Rollout
from config.stored import dump_rollout
from config.strict_yaml import resolve

_PLAIN: Final = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./%-]*", re.ASCII)


def show_policy(read: ReadPolicy) -> str:
    """The whole policy; a comment names the origin of what does not stand in the rollout itself."""
    lines = [f"apiVersion: {API_VERSION}", f"kind: {KIND}", "rollouts:"]
    for name, rollout in read.policy.rollouts.items():
        lines.append(f"  {_scalar(name)}:")
        node = read.nodes[name]
        shown = _Shown(node, Place(0, 0, f"rollouts.{name}"))
        lines += shown.lines(file_form(rollout), (), "    ")
    return "\n".join(lines) + "\n"


def file_form(rollout: Rollout) -> dict[str, Any]:
    """The rollout as plain data under the keys that a person writes; what is unset is left out."""
    data: dict[str, Any] = set_only(dump_rollout(rollout))
    del data["name"]
    for step in data["steps"]:
        if step["weight"] == 100:
            del step["hold"]
    if "smoke" in data:
        data["smoke"]["requests"] = [_request_form(r) for r in data["smoke"]["requests"]]
    return data


def _request_form(request: dict[str, Any]) -> dict[str, Any]:
    method, path, body = (request.pop(key) for key in ("method", "path", "body"))
    sent = {"body": body} if body else {}
    return {"name": request.pop("name"), method.lower(): path, **request, **sent}


def set_only(data: Any) -> Any:
    """Without unset values; expected JSON stays as it is, for there null is a value."""
    match data:
        case dict():
            return {
                key: value if key == "json" else set_only(value)
                for key, value in data.items()
                if value is not None
            }
        case list():
            return [set_only(item) for item in data]
        case _:
            return data


@dataclass(frozen=True, slots=True)
class _Shown:
    """One rollout on its way into lines."""

    node: MapNode
    key: Place

    def lines(self, data: Any, path: Path, indent: str) -> Iterator[str]:
        """The lines of a mapping or list that is not empty."""
        items = data.items() if isinstance(data, dict) else enumerate(data)
        for step, value in items:
            lead = f"{indent}{_scalar(step)}:" if isinstance(data, dict) else f"{indent}-"
            below = (*path, step)
            if isinstance(value, dict | list) and value:
                inner = self.lines(value, below, indent + "  ")
                yield lead if isinstance(data, dict) else f"{lead} {next(inner).lstrip()}"
                yield from inner
            else:
                yield f"{lead} {_scalar(value)}{self._origin(below)}"

    def _origin(self, path: Path) -> str:
        """Where the value comes from, as a comment; nothing where the rollout itself says it."""
        if isinstance(path[-1], str) and path[-1] in METHOD_KEYS:
            path = (*path[:-1], "path")
        found = find(self.node, self.key, path)
        where = found.node.place.path
        if found.rest or where == self.key.path:
            return "  # default"
        match where.split(".")[:2]:
            case ["rollouts", _]:
                return ""
            case ["profiles", name]:
                return f"  # profile {name}"
            case words:
                return f"  # {words[0]}"


def _scalar(value: Any) -> str:
    """The value as YAML, quoted where it could be read as something else."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        plain = _PLAIN.fullmatch(value) is not None and resolve(value) == value
    except ValueError:
        plain = False
    return value if plain else json.dumps(value, ensure_ascii=False)
