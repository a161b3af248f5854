"""The shipped daemon as its own process beside a sandbox: started, read, stopped, killed.

It is the program that runs in a cluster, over the sandbox's kubeconfig; nothing of it is in this
process. It dies with us, whatever ends us, and its log lines can be followed.
"""

import asyncio
import json
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from daemon.errors import PermanentError
from daemon.sandbox.dying import with_this_thread

STOP_SECONDS: Final = 12.0
"""The daemon promises ten."""
KEPT_LINES: Final = 2000
"""Log lines kept for whoever has to look why; the oldest go."""
LONGEST_LINE: Final = 256 * 1024
"""Bytes of one log line; the policy's problems are the longest."""

Fact = dict[str, Any]
"""One log line, parsed."""


class ShippedDaemon:
    """One `crossfade run`. Use as an async context manager, or start and stop it by hand.

    Attributes:
        lines: the last log lines, parsed; a line that is no JSON is {"text": ...}.
    """

    def __init__(
        self,
        policy: Path,
        kubeconfig: Path,
        *,
        log_level: str = "debug",
        told: Callable[[Fact], None] | None = None,
    ) -> None:
        self._arguments = (
            "run",
            f"--policy={policy}",
            f"--kubeconfig={kubeconfig}",
            "--listen=127.0.0.1:0",
            "--log-format=json",
            f"--log-level={log_level}",
        )
        self._told = told
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.lines: deque[Fact] = deque(maxlen=KEPT_LINES)
        self.port = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int:
        """Process id of the running daemon."""
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it; returns at once."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "daemon",
            *self._arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=with_this_thread(),
            limit=LONGEST_LINE,
        )
        self._reading = asyncio.create_task(self._read())  # awaited in stop

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            text = raw.decode(errors="replace").rstrip()
            try:
                fact = json.loads(text)
            except ValueError:
                fact = {"text": text}
            self.lines.append(fact)
            if fact.get("event") == "daemon.started" and not self.port.done():
                self.port.set_result(fact["port"])
            if self._told is not None:
                self._told(fact)

    async def stop(self) -> int:
        """Stop it as Kubernetes would; return its exit code.

        Raises:
            PermanentError: it did not end in time, and was killed.
        """
        if self._process is None:
            return 0
        process, self._process = self._process, None
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise PermanentError(f"the daemon did not stop within {STOP_SECONDS:g} s") from None
        finally:
            await self._end_reading()
        return code

    async def kill(self) -> None:
        """Kill it: no last word, no clean-up."""
        assert self._process is not None
        process, self._process = self._process, None
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await self._end_reading()

    async def _end_reading(self) -> None:
        if self._reading is not None:
            await self._reading
            self._reading = None

    @property
    def ended(self) -> int | None:
        """Return the exit code if it ended by itself, else None."""
        return None if self._process is None else self._process.returncode
