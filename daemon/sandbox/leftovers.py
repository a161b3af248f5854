"""Files that go away with a world.

The temporary directory goes whatever ends this process: a child of a few kilobytes waits for the
end of a pipe that only we hold, and a killed process closes its pipes, too. It is in a session of
its own, so that Ctrl-C in the terminal does not end it before us.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from daemon.errors import PermanentError

PREFIX: Final = "crossfade-sandbox-"
SCRIPT: Final = 'while read -r _; do :; done; rm -rf -- "$1"'
END_SECONDS: Final = 5.0
"""For the child to remove what is there; it is a handful of small files."""


class PassingDirectory:
    """A temporary directory. Use as a context manager.

    Attributes:
        path: of the directory.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._cleaner = subprocess.Popen(  # noqa: S603 -- a fixed script, and a path of our own
            ["/bin/sh", "-c", SCRIPT, "crossfade-sandbox-cleaner", str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._cleaner.communicate(timeout=END_SECONDS)


@contextmanager
def written_files(directory: Path, texts: Mapping[str, str]) -> Iterator[None]:
    """Write files for people into a directory, and take away in the end what was written.

    Raises:
        PermanentError: a file of that name is there already; it is somebody's.
    """
    made = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        for name, text in texts.items():
            path = directory / name
            try:
                path.touch(mode=0o600, exist_ok=False)  # one of them may hold a token
            except FileExistsError as fault:
                raise PermanentError(
                    f"{path} exists already and is not overwritten: choose another --dir"
                ) from fault
            written.append(path)
            path.write_text(text, encoding="utf-8")
        yield
    finally:
        for path in written:
            path.unlink(missing_ok=True)
        if made:
            with suppress(OSError):  # somebody else's files are in it now: it stays
                directory.rmdir()
