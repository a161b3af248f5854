"""The policy file on disk: read, and told when it changed. config/ gets the text."""

from pathlib import Path

from config.errors import PolicyError, Problem
from config.load import load_policy
from config.schema import Policy

MAX_BYTES = 300 * 1024
"""A little over what the loader takes, so that it can say that the file is too long."""


class PolicyFile:
    """One policy file; a mounted ConfigMap swaps a symlink, which changes what stat says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def load(self) -> Policy:
        """Read and check the file.

        Raises:
            PolicyError: with every problem, or that the file cannot be read.
        """
        self._seen = self._stamp()
        try:
            with self._path.open("rb") as file:
                text = file.read(MAX_BYTES)
        except OSError as problem:
            message = f"cannot be read: {problem.strerror}"
            raise PolicyError([Problem(0, 0, "", message)], filename=str(self._path)) from problem
        return load_policy(text, filename=str(self._path))

    def changed(self) -> bool:
        """Tell whether the file is another one than was last read."""
        return self._stamp() != self._seen

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return (stat.st_ino, stat.st_mtime_ns, stat.st_size)
