"""Prepare everything that the suite needs, once: `python -m tests.cluster.setup`.

What can be installed is installed, what can be built is built; the rest is named, with how to get
it. Nothing is started.
"""

import sys

import click

from tests.cluster import binaries, needs


def prepare() -> list[str]:
    """Install and build; return a line for each thing that is missing."""
    missing = needs.install_missing() + needs.lacking_namespaces()
    if binaries.find() is not None:
        return missing
    version = needs.go_version()
    if version is None or version < needs.GO_MINIMUM:
        return [*missing, f"go: {needs.GO.hint}"]
    binaries.build()
    return missing


def main(*, where_possible: bool = False) -> int | None:
    """Prepare; exit code 1 if something is missing, None if all is there.

    Args:
        where_possible: exit code 0 and one line where this machine cannot be asked for the suite.
    """
    missing = prepare()
    if not missing:
        click.echo(f"all there; Kubernetes {binaries.VERSION} is in {binaries.cache_folder()}")
        return None
    excuses = needs.excuses(built=binaries.find() is not None)
    if where_possible and excuses:
        click.echo(f"LEFT OUT: the cluster suite; it needs {', '.join(excuses)}")
        return 0
    click.echo("\n  ".join(["the cluster suite lacks:", *missing]), err=True)
    return 1


if __name__ == "__main__":
    sys.exit(main() or 0)
