"""YAML, as far as a policy needs it: what can be read in one way only.

The events of PyYAML's parser are put together here, with our own resolver, because the stock
loaders read `no` as False, `010` as 8, `1:30` as 90, keep the last of two equal keys and follow
aliases for ever.
Invariant: time and memory are bounded by the text's length (nothing is recursive, nothing is
expanded), and every refusal names line and column. Nothing here knows the policy's keys.
"""

import re
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

import yaml

from config.errors import PolicyError, Problem, quoted
from config.nodes import ListNode, MapNode, Node, Place, ScalarNode

MAX_BYTES: Final = 256 * 1024
"""Size of a policy: 1,000 rollouts fit; a ConfigMap of Kubernetes ends at 1 MiB."""

MAX_DEPTH: Final = 32
"""Nesting: the policy's own keys need 9, a JSON body in a smoke test gets the rest."""

MAX_NODES: Final = 60_000
"""Values and keys: more cannot stand in a policy of that size that means anything."""

_MAX_DIGITS: Final = 18
"""Digits of a whole number: what fits in 64 bits; no key wants more."""

_MAX_KEY: Final = 253
"""Characters of a key: the longest label of Kubernetes; paths in messages repeat keys."""

_MAX_FLOAT: Final = 40
"""Characters of a number with a fraction: twice what a double can tell apart."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)", re.ASCII)
_DOUBTFUL = re.compile(
    r"[-+]?[0-9][0-9_]*(:[0-9]{1,2})+(\.[0-9_]*)?"  # 1:30 is 90 to some
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?"  # a date is an object to some
    r"|[-+]?0[xXoObB][0-9a-fA-F_]+"
    r"|[-+]?[0-9][0-9_]*"  # 010, +5, -0, 1_000
    r"|[-+]?([0-9][0-9_]*)?\.[0-9_]*([eE][-+]?[0-9]+)?"  # .5, 5., 05.1
    r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    re.ASCII,
)
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_TAB_INDENT = re.compile(r"^[ ]*\t", re.MULTILINE)


def decode(content: bytes, *, filename: str) -> str:
    """Read the file's bytes as UTF-8.

    Raises:
        PolicyError: too large, another encoding, or broken UTF-8.
    """
    if len(content) > MAX_BYTES:
        raise _refusal(filename, 1, 1, _too_large(len(content)))
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content[:4]:
        raise _refusal(filename, 1, 1, "this is UTF-16 or UTF-32; save the file as UTF-8")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(content[: error.start].decode("utf-8", "replace"))
        bad = f"0x{content[error.start]:02x}"
        raise _refusal(
            filename, line, column, f"byte {bad} is not UTF-8; save the file as UTF-8"
        ) from None


def parse(text: str, *, filename: str) -> Node:
    """Read one document.

    Raises:
        PolicyError: the text is not YAML, or uses something that a policy must not use.
    """
    _refuse_odd_characters(text, filename)
    end = _line_and_column(text)  # the parser may point behind it
    tree = _Tree(filename, end)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            tree.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        line, column = min(place, end)
        raise _refusal(filename, line, column, _syntax(error)) from None
    if tree.problems:
        raise PolicyError(tree.problems, filename=filename)
    if tree.root is None:
        raise _refusal(filename, 1, 1, "the file is empty; see the short example in the README")
    return tree.root


def _refuse_odd_characters(text: str, filename: str) -> None:
    """Refuse what editors hide and parsers read differently."""
    if len(text) > MAX_BYTES:
        raise _refusal(filename, 1, 1, _too_large(len(text)))
    if text.startswith("\ufeff"):
        raise _refusal(
            filename, 1, 1, "the file begins with a byte order mark; save it as UTF-8 without one"
        )
    if odd := _UNPRINTABLE.search(text):
        line, column = _line_and_column(text[: odd.start()])
        shown = f"U+{ord(odd.group()):04X}"
        raise _refusal(
            filename, line, column, f"character {shown} must not stand in a policy; take it out"
        )
    if tab := _TAB_INDENT.search(text):
        line, column = _line_and_column(text[: tab.end() - 1])
        raise _refusal(filename, line, column, "a tab in the indentation; indent with spaces")


def _too_large(size: int) -> str:
    return f"the file has {size:,} bytes; at most {MAX_BYTES:,} are read"


def _line_and_column(before: str) -> tuple[int, int]:
    line = before.count("\n") + 1
    return line, len(before) - (before.rfind("\n") + 1) + 1


def _refusal(filename: str, line: int, column: int, message: str) -> PolicyError:
    return PolicyError([Problem(line, column, "", message)], filename=filename)


def _syntax(error: yaml.YAMLError) -> str:
    """The parser's sentence, as far as it helps."""
    parts = [str(part) for name in ("problem", "context") if (part := getattr(error, name, None))]
    return "this is not YAML: " + ", ".join(parts)


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    place: Place
    is_map: bool
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    key: str | None = None


@dataclass(slots=True)
class _Tree:
    """Builds nodes from events with a stack of its own; collects problems that allow going on."""

    filename: str
    end: tuple[int, int]
    root: Node | None = None
    problems: list[Problem] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    count: int = 0
    documents: int = 0

    def take(self, event: Any) -> None:
        """Take the parser's next event."""
        match event:
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise self._stop(event, "a second document begins; a policy is one document")
                if event.version or event.tags:
                    raise self._stop(event, "a % directive; take it out")
            case yaml.AliasEvent():
                raise self._stop(
                    event, f"alias *{event.anchor}: aliases are not read; use profiles"
                )
            case yaml.ScalarEvent():
                self._check(event)
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._check(event)
                is_map = isinstance(event, yaml.MappingStartEvent)
                if is_map and self._wants_key():
                    raise self._stop(event, "a key must be a single word, not a mapping")
                if not is_map and self._wants_key():
                    raise self._stop(event, "a key must be a single word, not a list")
                self.stack.append(_Open(self._place(event), is_map))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self.stack.pop()
                self._add(
                    MapNode(done.entries, done.keys, done.place)
                    if done.is_map
                    else ListNode(tuple(done.items), done.place)
                )
            case _:
                pass

    def _check(self, event: Any) -> None:
        """What holds for every value: no anchor, no tag, not too many, not too deep."""
        self.count += 1
        if event.anchor is not None:
            raise self._stop(event, f"anchor &{event.anchor}: anchors are not read; use profiles")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise self._stop(event, f"tag {quoted(tag)}: tags are not read; quote the value")
        if self.count > MAX_NODES:
            raise self._stop(event, f"more than {MAX_NODES:,} values; split the policy")
        if len(self.stack) >= MAX_DEPTH:
            raise self._stop(event, f"nested deeper than {MAX_DEPTH} levels")

    def _scalar(self, event: Any) -> None:
        if self._wants_key():
            self._key(event)
            return
        place = self._place(event)
        value: str | int | float | bool | None = event.value
        if event.implicit[0]:
            try:
                value = resolve(event.value)
            except ValueError as error:
                self.problems.append(Problem(*place, str(error)))
        elif odd := _UNPRINTABLE.search(event.value):
            message = f"an escape makes character U+{ord(odd.group()):04X}; take it out"
            self.problems.append(Problem(*place, message))
        self._add(ScalarNode(value, event.value, place))

    def _key(self, event: Any) -> None:
        mapping, key = self.stack[-1], event.value
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        here = _below(mapping.place.path, key)
        if key == "<<" and event.implicit[0]:
            raise self._stop(event, "merge keys (<<) are not read; use profiles")
        if not 1 <= len(key) <= _MAX_KEY or not key.isprintable():
            raise self._stop(event, f"a key has 1 to {_MAX_KEY} characters on one line")
        if key in mapping.keys:
            first = mapping.keys[key]
            message = f"key {quoted(key)} stands here twice; first on line {first.line}"
            self.problems.append(Problem(line, column, mapping.place.path, message))
        else:
            mapping.keys[key] = Place(line, column, here)
        mapping.key = key

    def _wants_key(self) -> bool:
        return bool(self.stack) and self.stack[-1].is_map and self.stack[-1].key is None

    def _place(self, event: Any) -> Place:
        """Where a value stands; its path follows from the collections that are open."""
        path = ""
        if self.stack:
            above = self.stack[-1]
            step = above.key if above.key is not None else len(above.items)
            path = _below(above.place.path, step)
        line, column = min((event.start_mark.line + 1, event.start_mark.column + 1), self.end)
        return Place(line, column, path)

    def _add(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        above = self.stack[-1]
        if above.key is None:
            above.items.append(node)
        else:
            above.entries.setdefault(above.key, node)
            above.key = None

    def _stop(self, event: Any, message: str) -> PolicyError:
        """Nothing after this can be trusted: refuse at once, with what was found before."""
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1, "")
        path = self.stack[-1].place.path if self.stack else ""
        return PolicyError(
            [*self.problems, Problem(place.line, place.column, path, message)],
            filename=self.filename,
        )


def _below(path: str, step: str | int) -> str:
    """The path of a value inside `path`, as people write it."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step


def resolve(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar.

    Raises:
        ValueError: programs disagree about what it means, or the number is too large.
    """
    match text:
        case "" | "~" | "null":
            return None
        case "true" | "false":
            return text == "true"
        case _ if len(text) <= _MAX_DIGITS and _INTEGER.fullmatch(text):
            return int(text)
        case _ if len(text) <= _MAX_FLOAT and _FLOAT.fullmatch(text) and isfinite(float(text)):
            return float(text) + 0.0  # no negative zero: it equals zero and is written otherwise
        case _ if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
            raise ValueError(f"{quoted(text)} is too large a number; if it is text, quote it")
        case _ if _DOUBTFUL.fullmatch(text) and any(c.isalnum() for c in text):
            raise ValueError(
                f"programs read {quoted(text)} in different ways; write a plain number,"
                " or a duration with its unit; if it is text, quote it"
            )
        case _:
            return text
