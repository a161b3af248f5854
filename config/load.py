"""Reads a policy: text in, values or problems out.

The way: YAML nodes -> known keys -> short forms spelled out -> layers merged -> schema -> rules
across objects. Every stage goes on after a problem as far as it can, so that a person sees all at
once.
Invariant: `read_policy` returns or raises PolicyError, whatever the text. No I/O: the text is
given.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from config import grammar
from config.errors import PolicyError, Problem, Severity, in_order, quoted
from config.keys import TOP_KEYS, Keys, likely
from config.layers import complete, merge_all
from config.lint import Placed, lint
from config.nodes import MapNode, Node, Place, ScalarNode
from config.schema import Policy, Rollout, Step
from config.short_forms import ShortForms
from config.strict_yaml import decode, parse
from config.validation import Validation

API_VERSION: Final = "crossfade.dev/v1"
KIND: Final = "Policy"

MAX_ROLLOUTS: Final = 1_000
"""Targets of one daemon: what was measured to keep up."""

MAX_PROFILES: Final = 100
"""Profiles: more than people can tell apart."""


@dataclass(frozen=True, slots=True)
class ReadPolicy:
    """A policy with what else there is to say about its text.

    Attributes:
        warnings: sorted by place; the policy is taken all the same.
        nodes: each rollout's merged mapping, with the place of every value that a person wrote.
    """

    policy: Policy
    warnings: tuple[Problem, ...]
    nodes: Mapping[str, MapNode] = field(repr=False)


def load_policy(text: str | bytes, *, filename: str) -> Policy:
    """Read a policy.

    Raises:
        PolicyError: with every problem found.
    """
    return read_policy(text, filename=filename).policy


def read_policy(text: str | bytes, *, filename: str) -> ReadPolicy:
    """Read a policy with its warnings and with the places of its values.

    Raises:
        PolicyError: with every problem found.
    """
    if isinstance(text, bytes):
        text = decode(text, filename=filename)
    reading = _Reading()
    rollouts = reading.read(parse(text, filename=filename))
    found = [*reading.problems, *lint(rollouts)]
    problems = [problem for problem in found if problem.severity is Severity.ERROR]
    warnings = in_order(
        (problem for problem in found if problem.severity is Severity.WARNING), filename=filename
    )
    if problems:
        raise PolicyError(problems, filename=filename, warnings=warnings)
    policy = Policy(rollouts={placed.rollout.name: placed.rollout for placed in rollouts})
    return ReadPolicy(policy, warnings, {placed.rollout.name: placed.node for placed in rollouts})


class _Reading:
    """One file on its way through the stages; `problems` grows as it goes."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.keys = Keys(self.problems)
        self.short_forms = ShortForms(self.problems)
        self.validation = Validation(self.problems, self.keys.meant)

    def read(self, node: Node) -> list[Placed]:
        """The rollouts that are in order by themselves."""
        root = self._head(node)
        common = self._spelled(root.only("metrics"))
        defaults = self._layer(root, "defaults")
        offered = self._named(root, "profiles", MAX_PROFILES)
        profiles = {name: self._layer(offered, name) for name in offered.entries}
        sources = self._named(root, "rollouts", MAX_ROLLOUTS)
        own = {name: self._layer(sources, name) for name in sources.entries}
        self._check_profiles(offered, profiles)
        for layer in (common, defaults, *profiles.values()):
            self._rollout([layer], "partial", layer.place, partial=True)
        used = {name: self._profile(layer, defaults, profiles) for name, layer in own.items()}
        for name in profiles.keys() - used.values():
            self._warn(offered.key_place(name), "no rollout uses this profile")
        placed = (
            self._rollout(
                [common, defaults, profiles.get(used[name], _NOTHING), layer],
                name,
                sources.key_place(name),
            )
            for name, layer in own.items()
        )
        return [one for one in placed if one is not None]

    def _head(self, node: Node) -> MapNode:
        """The file's mapping; says what it is, and names at least one rollout."""
        if not isinstance(node, MapNode):
            self._report(node.place, "a policy is a mapping; it begins with apiVersion")
            return _NOTHING
        self.keys.unknown(node, TOP_KEYS)
        for key, value in (("apiVersion", API_VERSION), ("kind", KIND)):
            head = node.get(key)
            if head is None:
                self._missing(node, key, f"; write {key}: {value}")
            elif not isinstance(head, ScalarNode) or head.value != value:
                self._report(head.place, f"must be {value}")
        if "rollouts" not in node.entries:
            self._missing(node, "rollouts", "")
        return node

    def _named(self, root: MapNode, key: str, most: int) -> MapNode:
        """A mapping of names to layers."""
        node = root.get(key) or _NOTHING
        if not isinstance(node, MapNode):
            self._report(node.place, "must be a mapping of names")
            return _NOTHING
        if not node.entries and node is not _NOTHING:
            self._report(root.key_place(key), "is empty; write at least one name")
        if len(node.entries) > most:
            self._report(
                root.key_place(key), f"{len(node.entries):,} entries; at most {most:,} are possible"
            )
            return _NOTHING
        return node

    def _layer(self, parent: MapNode, key: str) -> MapNode:
        """A part of a rollout, spelled out."""
        node = parent.get(key) or _NOTHING
        if not isinstance(node, MapNode):
            self._report(node.place, "must be a mapping")
            return _NOTHING
        return self._spelled(node)

    def _check_profiles(self, offered: MapNode, profiles: Mapping[str, MapNode]) -> None:
        for name, profile in profiles.items():
            if "profile" in profile.entries:
                self._report(profile.key_place("profile"), "a profile cannot stand on another one")
            try:
                grammar.name(name)
            except ValueError as error:
                self._report(offered.key_place(name), str(error))

    def _spelled(self, layer: MapNode) -> MapNode:
        self.keys.check(layer, Rollout)
        return self.short_forms.spell_out(layer)

    def _profile(self, layer: MapNode, defaults: MapNode, offered: Collection[str]) -> str:
        """The name of the profile that a rollout is under, empty for none."""
        named = layer.get("profile") or defaults.get("profile")
        if not isinstance(named, ScalarNode):
            if named is not None:
                self._report(named.place, "must be the name of a profile")
            return ""
        if named.text in offered:
            return named.text
        message = f"there is no profile {quoted(named.text)}"
        if (guess := likely(named.text, offered)) is not None:
            message += f"; did you mean {quoted(guess)}?"
        self._report(named.place, message)
        return ""

    def _rollout(
        self, layers: list[MapNode], name: str, key: Place, *, partial: bool = False
    ) -> Placed | None:
        """One rollout from its layers in rising order of precedence."""
        merged = merge_all(layers)
        if (hold := merged.get("hold")) is not None:
            step = _NOTHING.with_entries({"weight": ScalarNode(1, "1", hold.place), "hold": hold})
            self.validation.validate(Step, step, hold.place)
        node = complete(merged, name, key)
        rollout = self.validation.validate(Rollout, node, key, partial=partial)
        return None if rollout is None else Placed(rollout, node, key)

    def _missing(self, node: MapNode, key: str, hint: str) -> None:
        if (node.place.path, key) not in self.keys.meant:
            self._report(node.place, f"{quoted(key)} is missing{hint}")

    def _report(self, place: Place, message: str) -> None:
        self.problems.append(Problem(*place, message))

    def _warn(self, place: Place, message: str) -> None:
        self.problems.append(Problem(*place, message, Severity.WARNING))


_NOTHING: Final = MapNode({}, {}, Place(1, 1, ""))
