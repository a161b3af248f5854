"""The API server and the controllers of Kubernetes, built from the Go module beside this file.

They are built once per version and kept in the user's cache folder, outside of the repository; a
build that was interrupted leaves nothing behind.
"""

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

VERSION = "1.34.4"
MODULE = Path(__file__).parent / "go"
PROGRAMS = ("apiserver", "controllers")
BUILD_SECONDS = 1800.0
"""A cold build takes three minutes on two idle cores."""
STAMP = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the two programs are."""

    apiserver: Path
    controllers: Path


def cache_folder() -> Path:
    """Name the folder that keeps what was built, as the XDG base directories say."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "crossfade" / f"kubernetes-{VERSION}"


def find() -> Binaries | None:
    """Return what was built before, or None."""
    found = Binaries(*(cache_folder() / name for name in PROGRAMS))
    there = all(os.access(path, os.X_OK) for path in (found.apiserver, found.controllers))
    return found if there else None


def build() -> Binaries:
    """Build both programs, with low priority, and put them into the cache folder.

    Raises:
        CalledProcessError: the build failed; Go said why.
    """
    folder = cache_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    major, minor, _ = VERSION.split(".")
    # Without the version's stamp, clients cannot parse what the server says of itself.
    stamps = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor}
    flags = " ".join(["-s -w", *(f"-X {STAMP}.{name}={value}" for name, value in stamps.items())])
    begun = time.monotonic()
    click.echo(f"building Kubernetes {VERSION} (once, a few minutes)")
    with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
        command = ["go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly"]
        command += ["-ldflags", flags, "-o", f"{fresh}/"]
        command += [f"./{name}" for name in PROGRAMS]
        subprocess.run(
            ["nice", "-n", "10", *command],
            cwd=MODULE,
            check=True,
            timeout=BUILD_SECONDS,
        )
        folder.mkdir(exist_ok=True)
        for name in PROGRAMS:
            shutil.move(f"{fresh}/{name}", folder / name)
    click.echo(f"built in {time.monotonic() - begun:.0f} s: {folder}")
    found = find()
    assert found, f"Go built nothing into {folder}"
    return found
