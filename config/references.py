"""`${env:X}`, `${file:/path}`, `${secret:name/key}`: values that must not stand in a policy.

Invariant: the policy keeps the reference, never the value; what `resolve_references` returns is
for use at once and must not be stored, printed or logged. Whole values only; `$$` stands for a
dollar sign.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, overload

from config.errors import quoted

_WHOLE: Final = re.compile(r"\$\{([a-z]+):([^{}]*)\}", re.ASCII)
_SECRET: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[-A-Za-z0-9_.]{1,253}", re.ASCII)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)


class Source(StrEnum):
    """Who holds the value."""

    ENVIRONMENT = "env"
    FILE = "file"
    SECRET = "secret"  # noqa: S105 - the word, not one


@dataclass(frozen=True, slots=True)
class Reference:
    """Where to look: a variable's name, an absolute path, or `name/key` of a mounted Secret."""

    source: Source
    where: str

    def __str__(self) -> str:
        return f"${{{self.source}:{self.where}}}"


def parse_reference(text: str) -> Reference | None:
    """The reference that a value is, or None for a literal.

    Raises:
        ValueError: it looks like a reference and is none, or only a part of the value is one.
    """
    if "${" not in text.replace("$$", ""):
        return None
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        raise ValueError(
            "a reference is the whole value, as in ${secret:name/key}; write $$ for a dollar sign"
        )
    source, where = whole.groups()
    match source:
        case Source.ENVIRONMENT if _VARIABLE.fullmatch(where):
            pass
        case Source.FILE if (
            where.startswith("/") and where.isprintable() and ".." not in where.split("/")
        ):
            pass
        case Source.SECRET if _SECRET.fullmatch(where) and ".." not in where:
            pass
        case Source.ENVIRONMENT | Source.FILE | Source.SECRET:
            forms = "${env:NAME}, ${file:/path} or ${secret:name/key}"
            raise ValueError(f"{quoted(text)} cannot be looked up; write {forms}")
        case _:
            raise ValueError(f"{quoted(source)} is no source of values; env, file and secret are")
    return Reference(Source(source), where)


@overload
def resolve_references(value: str, read: Callable[[Reference], str]) -> str: ...
@overload
def resolve_references(
    value: Mapping[str, str], read: Callable[[Reference], str]
) -> dict[str, str]: ...


def resolve_references(
    value: str | Mapping[str, str], read: Callable[[Reference], str]
) -> str | dict[str, str]:
    """The literal value, looked up with `read` where it is a reference; of a mapping, each value.

    Whatever `read` raises passes through.
    """
    if not isinstance(value, str):
        return {key: resolve_references(text, read) for key, text in value.items()}
    reference = parse_reference(value)
    return value.replace("$$", "$") if reference is None else read(reference)


def literal_or_reference(check: Callable[[str], str]) -> Callable[[str], str]:
    """A check for values that may be references: these are checked in form, literals by `check`."""

    def checked(text: str) -> str:
        if parse_reference(text) is None:
            check(text.replace("$$", "$"))
        return text

    return checked


def no_reference(text: str) -> str:
    """Refuse a reference where none is resolved, so that it is not taken for the value."""
    if _WHOLE.fullmatch(text):
        raise ValueError("a reference is not possible here; write the value")
    return text


def only_reference(text: str) -> str:
    """Refuse a literal where it would be a secret in clear; it is not repeated."""
    if parse_reference(text) is None:
        raise ValueError(
            "a secret does not belong into the policy; write for example ${secret:name/key}"
        )
    return text
