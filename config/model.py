"""What every part of the policy has in common.

Invariant: strict, closed, immutable; nothing is converted behind a person's back.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)
SECOND: Final = timedelta(seconds=1)


class Model(BaseModel):
    """Strict, closed, immutable."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )


INCOMPLETE: Final = "incomplete"
"""Type of the error that another layer of the policy may still put right."""


def exactly_one(**choices: object) -> None:
    """Refuse none and several; an unnamed choice is None."""
    named = _named(choices)
    if len(named) != 1:
        kind = "several" if named else INCOMPLETE
        raise PydanticCustomError(kind, f"name exactly one of {', '.join(choices)}")


def at_most_one(**choices: object) -> None:
    """Refuse several; an unnamed choice is None."""
    if len(_named(choices)) > 1:
        raise PydanticCustomError("several", f"name at most one of {', '.join(choices)}")


def _named(choices: Mapping[str, object]) -> list[str]:
    return [key for key, value in choices.items() if value is not None]
