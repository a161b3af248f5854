"""What is wrong with a policy, told to the person who wrote it.

    PolicyError      the file is refused; carries every problem found, at most MAX_PROBLEMS
    └── Problem      file:line:col: path: message; a warning where the file is taken all the same

Invariant: a message never quotes a value that may be a secret (header values, tokens). No other
exception leaves `config` for anything a person can write.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

MAX_PROBLEMS: Final = 100
"""Problems told at once: more than anybody corrects in one go; the rest is counted."""

_QUOTED_LENGTH: Final = 60
"""Characters of a user's value that a message repeats; enough to recognise it on its line."""


class Severity(StrEnum):
    """Whether the policy is refused for it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to correct (or, as a warning, to know).

    Attributes:
        line: from 1; 0 where there is no text (a stored policy).
        column: from 1, in characters.
        path: where in the policy, e.g. `rollouts.echo.steps[2]`; empty for the file as a whole.
    """

    line: int
    column: int
    path: str
    message: str
    severity: Severity = Severity.ERROR
    filename: str = ""

    def __str__(self) -> str:
        place = f"{self.filename}:{self.line}:{self.column}" if self.line else self.filename
        told = ": ".join(part for part in (place, self.path, self.message) if part)
        return f"warning {told}" if self.severity is Severity.WARNING else told


class PolicyError(ValueError):
    """The policy is refused.

    Attributes:
        problems: sorted by place; at least one, at most MAX_PROBLEMS.
        warnings: sorted by place; what else there is to know.
        left_out: how many more problems there are.
    """

    def __init__(
        self, problems: Iterable[Problem], *, filename: str = "", warnings: Iterable[Problem] = ()
    ) -> None:
        found = in_order(problems, filename=filename)
        self.problems = found[:MAX_PROBLEMS]
        self.warnings = in_order(warnings, filename=filename)
        self.left_out = len(found) - len(self.problems)
        lines = [str(problem) for problem in self.problems]
        if self.left_out:
            lines.append(f"... and {self.left_out} more")
        super().__init__("\n".join(lines))


def in_order(problems: Iterable[Problem], *, filename: str) -> tuple[Problem, ...]:
    """Each problem once, sorted by place, with the file's name."""
    return tuple(sorted({replace(problem, filename=filename) for problem in problems}))


def quoted(text: str) -> str:
    """The user's text in quotes, on one line, printable, cut where long."""
    shown = text if len(text) <= _QUOTED_LENGTH else text[: _QUOTED_LENGTH - 3] + "..."
    plain = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    return f"'{''.join(plain)}'"
