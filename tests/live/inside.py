"""The daemon in this process: the app over real sockets, stopped or dropped at will."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from daemon.app import App
from daemon.clock import SystemClock
from daemon.http import AiohttpHttp
from daemon.kube.api import KubeApi
from daemon.policyfile import PolicyFile
from daemon.settings import Settings
from tests.live.history import Obj

STOP_SECONDS = 10.0
"""What the daemon promises after SIGTERM (S19)."""


class Inside:
    """The daemon in this process: real sockets, no start-up time. One at a time.

    Attributes:
        lines: its log lines as facts, the last ones.
    """

    def __init__(self, policy: Path, kubeconfig: Path, told: Callable[[Obj], None]) -> None:
        self._policy = policy
        self._kubeconfig = kubeconfig
        self._told = told
        self._task: asyncio.Task[int] | None = None
        self.app: App | None = None
        self.lines: deque[Obj] = deque(maxlen=5000)

    async def start(self) -> None:
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.format_exc_info,
                self._hear,
            ],
            cache_logger_on_first_use=False,
        )
        self._task = asyncio.create_task(self._run())  # awaited in stop or kill

    async def _run(self) -> int:
        clock = SystemClock()
        file = PolicyFile(self._policy)
        policy = file.load()
        cluster = await KubeApi.from_kubeconfig(clock, str(self._kubeconfig))
        settings = Settings(
            policy=self._policy,
            kubeconfig=self._kubeconfig,
            listen_host="127.0.0.1",
            listen_port=0,
        )
        try:
            async with AiohttpHttp(clock) as http:
                self.app = App(settings, cluster, http, clock, random.Random())
                return await self.app.run(policy, file)
        finally:
            await cluster.close()

    def _hear(self, _logger: object, _method: str, fact: Any) -> Any:
        fact = dict(fact)
        self.lines.append(fact)
        self._told(fact)
        raise structlog.DropEvent

    @property
    def ended(self) -> int | None:
        """Return what it ended with, if it ended by itself; raises what ended it."""
        return self._task.result() if self._task is not None and self._task.done() else None

    async def stop(self) -> int:
        """Stop as SIGTERM does; return the exit code."""
        if self._task is None:
            return 0
        task, self._task = self._task, None
        if self.app is not None:
            self.app.stop()
        try:
            return await asyncio.wait_for(task, STOP_SECONDS)
        finally:
            structlog.reset_defaults()

    async def kill(self) -> None:
        """Drop it in the middle of whatever it does: no drain, no last word."""
        assert self._task is not None
        task, self._task = self._task, None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        structlog.reset_defaults()
