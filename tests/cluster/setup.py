"""Prepare everything that the suite needs, once: `python -m tests.cluster.setup`.

What can be installed is installed, what can be built is built; the rest is named, with how to get
it. Nothing is started.
"""

import sys

import click

from tests.cluster import binaries, needs


def prepare() -> list[str]:
    """Install and build; return a line for each thing that is missing."""
    missing = needs.install_missing()
    if binaries.find() is not None:
        return missing
    version = needs.go_version()
    if version is None or version < needs.GO_MINIMUM:
        return [*missing, f"go: {needs.GO.hint}"]
    binaries.build()
    return missing


def main() -> int:
    """Prepare; exit code 0 if all is there."""
    missing = prepare()
    if not missing:
        click.echo(f"all there; Kubernetes {binaries.VERSION} is in {binaries.cache_folder()}")
        return 0
    click.echo("\n  ".join(["the cluster suite lacks:", *missing]), err=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
