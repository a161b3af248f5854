"""Children that do not outlive us, whatever ends us."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""<linux/prctl.h>: the signal a child gets when its parent dies."""


def with_parent() -> Callable[[], None] | None:
    """Return a `preexec_fn` that ties a child's life to ours; None where the system cannot."""
    return _die_with_parent if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Runs in the child between fork and exec: ask the kernel for SIGKILL when our thread ends."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
