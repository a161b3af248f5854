"""What every part of the policy has in common.

Invariant: strict, closed, immutable; nothing is converted behind a person's back.
"""

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
    named = [key for key, value in choices.items() if value is not None]
    if len(named) != 1:
        kind = "several" if named else INCOMPLETE
        raise PydanticCustomError(kind, f"name exactly one of {', '.join(choices)}")
