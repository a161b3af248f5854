"""How long a person waits who types `crossfade demo`, and how long a cluster has no daemon."""

import asyncio
import signal
import sys
import time

from benchmarks import releases
from benchmarks.gates import Gate
from benchmarks.stage import Stage, moment_of, seconds_between
from daemon.sandbox.dying import with_this_thread
from daemon.sandbox.world import WorldOptions

FIRST_REQUEST_SECONDS = 3.0
LONGEST_SECONDS = 30.0
FIRST_LINE = b"gateway http://"
"""The demo says where the gateway is once a user's request through Envoy was answered."""


async def measure(runs: int) -> list[Gate]:
    """Start demo and daemon some times; return the figures."""
    demos = [await _demo() for _ in range(runs)]
    daemons = [await _daemon() for _ in range(runs)]
    first = "demo: start -> first request through Envoy"
    return [
        Gate(first, "s", FIRST_REQUEST_SECONDS, tuple(demos)),
        Gate("daemon: process start -> caches synced", "s", None, tuple(daemons)),
    ]


async def _daemon() -> float:
    async with Stage(releases.policy, WorldOptions()) as stage:
        return seconds_between(stage.started_at, moment_of(await stage.fact("daemon.synced")))


async def _demo() -> float:
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "daemon",
        "demo",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=with_this_thread(),
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            async for line in process.stdout:
                if FIRST_LINE in line:
                    return time.monotonic() - began
        raise RuntimeError("the demo ended before its first request")
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()
