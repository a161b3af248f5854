"""What the last look came to, as the evidence ConfigMap tells it to `status`. Pure.

`status` judges nothing again and loads nothing that could: the sentence is written down beside the
evidence, with its time, as of the last save. Nothing is ever decided by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from analysis.untrusted import MISSHAPEN
from analysis.verdict import Ground, Verdict

LONGEST_SENTENCE = 1000
"""Characters; the longest names a dozen pods."""


@dataclass(frozen=True, slots=True)
class Said:
    """One judgement.

    Attributes:
        at: when it was made, by the API server's clock.
        weight: the canary's percent that it is about.
    """

    at: datetime
    weight: float
    verdict: Verdict
    ground: Ground
    message: str


def plain_of(said: Said) -> dict[str, Any]:
    """Return it as plain data."""
    return {
        "at": said.at.timestamp(),
        "weight": said.weight,
        "verdict": str(said.verdict),
        "ground": str(said.ground),
        "message": said.message[:LONGEST_SENTENCE],
    }


def said_in(counts: Mapping[str, Any]) -> Said | None:
    """Read it from the judge's counts; None where it is missing, or nothing of ours."""
    data: Any = counts.get("said")
    try:
        return Said(
            datetime.fromtimestamp(data["at"], UTC),
            float(data["weight"]),
            Verdict(data["verdict"]),
            Ground(data["ground"]),
            str(data["message"])[:LONGEST_SENTENCE],
        )
    except (*MISSHAPEN, OSError):
        # Whatever shape somebody wrote there, it is no judgement of ours.
        return None
