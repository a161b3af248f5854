"""A program as a child of ours: started, asked whether it is ready, stopped, killed.

It dies with us, whatever ends us, and its words are in a file that an error quotes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from daemon.sandbox.dying import with_this_thread

START_SECONDS = 60.0
"""To be ready; a few seconds on a quiet machine."""
STOP_SECONDS = 15.0
"""Between SIGTERM and SIGKILL."""
POLL_SECONDS = 0.05
LOG_TAIL = 2000
"""Bytes of its log that an error quotes."""


class Child:
    """One program; `start` and `stop` may alternate."""

    def __init__(self, name: str, arguments: list[str], log: Path) -> None:
        self.name = name
        self.log = log
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, ready: Callable[[], Awaitable[bool]]) -> None:
        """Start it and wait until it is ready; what it said before is kept."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=with_this_thread(),
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await ready():
                    if not self.running:
                        raise RuntimeError(f"{self.name} ended while it started:\n{self.tail()}")
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            await self.kill()
            text = f"{self.name} is not ready after {START_SECONDS:g} s:\n{self.tail()}"
            raise RuntimeError(text) from None

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL; returns when it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def kill(self) -> None:
        """SIGKILL: no last word."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def tail(self) -> str:
        """Quote the end of what it said."""
        return self.log.read_bytes()[-LOG_TAIL:].decode(errors="replace").strip()
