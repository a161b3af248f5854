"""Run the suite against a real Kubernetes: `python -m tests.cluster [pytest's arguments]`.

Prepares what is missing, then runs pytest inside a network namespace of its own.
"""

import sys
from pathlib import Path

from tests.cluster import network, setup

FOLDER = Path(__file__).parent
LOGS = FOLDER.parents[1] / "build" / "cluster"
"""What every program said stays here until the next run."""
WORKERS = "2"
"""Control planes at a time: each is one gigabyte, and half a core while pods come and go."""


def main() -> int:
    """Prepare and run; exit code of pytest, or 1 where something is missing."""
    if code := setup.main():
        return code
    LOGS.parent.mkdir(exist_ok=True)
    chosen = sys.argv[1:]
    if not any(Path(it.partition("::")[0]).exists() for it in chosen):
        chosen.append(str(FOLDER))
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "cluster",
        "-p",
        "no:cacheprovider",
        f"--basetemp={LOGS}",
    ]
    pytest += ["-n", WORKERS, "--dist", "loadfile", "--no-loadscope-reorder"]
    return network.enter([*pytest, *chosen])


if __name__ == "__main__":
    sys.exit(main())
