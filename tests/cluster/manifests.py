"""What `deploy/` says, as kubectl's kustomize renders it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from daemon.sandbox.manifests import objects_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
EXAMPLE = DEPLOY / "examples" / "two-phase-gloo"
KUBECTL = Path(sys.executable).parent / "kubectl"
SECONDS = 60.0


def kubectl(
    *arguments: str, kubeconfig: Path | None = None, text: str = "", seconds: float = SECONDS
) -> str:
    """Run kubectl; return what it says.

    Raises:
        AssertionError: it failed; quotes it.
    """
    more = [] if kubeconfig is None else [f"--kubeconfig={kubeconfig}"]
    done = subprocess.run(
        [str(KUBECTL), *more, *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def rendered(folder: Path) -> list[dict[str, Any]]:
    """Render a kustomization."""
    return objects_of(kubectl("kustomize", str(folder)))


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Choose the objects of a kind."""
    return [it for it in objects if it["kind"] == kind]


def dumped(objects: list[dict[str, Any]]) -> str:
    """Write objects as one YAML text."""
    return yaml.safe_dump_all(objects, sort_keys=False)
