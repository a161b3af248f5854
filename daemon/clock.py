"""The real monotonic clock, behind `ports.Clock`.

Only `daemon.app` and the command line construct it; everybody else receives a `Clock`.
"""

import asyncio
import time


class SystemClock:
    """The machine's monotonic clock; sleeps belong to the running event loop."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back, stands still while a VM is frozen."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let others run for that long; zero or less yields once."""
        await asyncio.sleep(max(0.0, seconds))
