"""Texts that others can write: read whole or not at all, and numbers that are what they should be.

Whatever shape somebody wrote there, the answer is a value of ours or None, never an error. Pure; no
format of any text.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from analysis.samples import LARGEST_COUNT

Told = TypeVar("Told")

MISSHAPEN = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RecursionError,
    OverflowError,
)
"""What reading data of any shape may raise."""


def told_by(text: str, read: Callable[[Any], Told], *, longest: int) -> Told | None:
    """Read JSON; None where the text is longer than `longest`, damaged, or refused by `read`.

    `read` may raise whatever a wrong type, name or number leads to.
    """
    if len(text) > longest:
        return None
    try:
        return read(json.loads(text))
    except MISSHAPEN:
        return None


def whole(value: Any) -> int:
    """Read a count.

    Raises:
        ValueError: it is none.
    """
    if type(value) is not int or not 0 <= value <= LARGEST_COUNT:
        raise ValueError("not a count")
    return value


def real(value: Any, least: float, most: float) -> float:
    """Read a number within limits; whole ones stay whole.

    Raises:
        ValueError: it is none.
    """
    if type(value) not in (int, float) or not least <= value <= most:
        raise ValueError("not a number within its limits")
    return value  # type: ignore[no-any-return]
