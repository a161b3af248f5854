"""Run the suite against a real Kubernetes: `python -m tests.cluster [pytest's arguments]`.

Prepares what is missing, then runs pytest inside a network namespace of its own. With
`--where-possible`, a machine that lacks what nobody can install (root, Go) leaves it out in one
line. With KUBECONFIG set, nothing is started: what can be run on that cluster is (theirs.py).
"""

import os
import sys
from pathlib import Path

from tests.cluster import network, setup, theirs

FOLDER = Path(__file__).parent
LOGS = FOLDER.parents[1] / "build" / "cluster"
"""What every program said stays here until the next run."""
WORKERS = "2"
"""Control planes at a time: each is one gigabyte, and half a core while pods come and go."""
WHERE_POSSIBLE = "--where-possible"


def main() -> int:
    """Prepare and run; exit code of pytest, or 1 where something is missing."""
    if os.environ.get("KUBECONFIG"):
        return theirs.main()
    chosen = [it for it in sys.argv[1:] if it != WHERE_POSSIBLE]
    code = setup.main(where_possible=WHERE_POSSIBLE in sys.argv)
    if code is not None:
        return code
    LOGS.parent.mkdir(exist_ok=True)
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
