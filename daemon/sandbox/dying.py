"""Children that do not outlive us, whatever ends us."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""<linux/prctl.h>: the signal a child gets when the thread that started it ends."""


def with_this_thread() -> Callable[[], None] | None:
    """Return what a child calls between fork and exec: SIGKILL to it when our thread ends.

    None where the system cannot. Everything is looked up before the fork, because other threads
    may hold locks during it.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we ended before the kernel was asked
            os._exit(1)

    return ask
