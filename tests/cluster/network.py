"""The network namespace that a cluster lives in: loopback alone, and nothing else.

Nothing in it can send anything to another machine. Everything in it reaches everything else at the
addresses that RFC 5737 sets aside for documentation, which the API server accepts for pods, as it
would not accept loopback addresses.
"""

import os
import subprocess
import sys
from pathlib import Path

PODS = "192.0.2.0/24"
MARK = "CROSSFADE_CLUSTER"
"""Environment variable that says: this process is inside."""


def is_inside() -> bool:
    """Tell whether this process is in a namespace of `enter`."""
    return os.environ.get(MARK) == "1"


def enter(command: list[str]) -> int:
    """Run a command inside of a namespace of its own, which ends with it; return its exit code.

    Without root, a user namespace stands in where the system allows it.
    """
    wrapper = ["unshare", "--net", "--kill-child"]
    if os.geteuid() != 0:
        wrapper.append("--map-root-user")
    inner = [sys.executable, "-m", __spec__.name, *command]
    environment = {**os.environ, MARK: "1"}
    root = Path(__file__).parents[2]
    return subprocess.run([*wrapper, *inner], env=environment, cwd=root, check=False).returncode


def _set_up() -> None:
    """Bring loopback up, and make every address of the range local to it."""
    for command in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "route", "add", "local", PODS, "dev", "lo"],
    ):
        subprocess.run(command, check=True, timeout=30)


if __name__ == "__main__":
    _set_up()
    os.execvp(sys.argv[1], sys.argv[1:])
