"""How a command ends: the exit codes, which are an API, and the error that carries one."""

from enum import IntEnum
from typing import IO, Any

import click


class Exit(IntEnum):
    """Exit codes. Scripts branch on them; add one, never change one."""

    DONE = 0
    """done, or promoted"""
    ERROR = 1
    USAGE = 2
    """bad usage, or an invalid policy"""
    FAILED = 3
    """the rollout failed or was rolled back"""
    TIMED_OUT = 4
    WAITING = 5
    """waits for a person"""
    UNREACHABLE = 6
    """cluster unreachable, or not allowed"""


class Failure(click.ClickException):
    """Ends the command with a sentence on stderr and an exit code."""

    def __init__(self, message: str, code: Exit = Exit.ERROR) -> None:
        super().__init__(message)
        # Each failure has its own code; click reads it from the instance.
        self.exit_code = int(code)  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the sentence."""
        click.echo(f"error: {self.format_message()}", file=file, err=file is None)
