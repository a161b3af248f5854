"""The programs that a real cluster without containers is made of: found, installed, or named.

Everything is looked up once, before anything starts, so that a person reads one list of what is
missing and not one complaint after the other.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click

ROOT_HINT = "root: run it as root, or let users make namespaces (unshare --net --map-root-user)"
PROBE_SECONDS = 10.0
"""For `unshare` to say whether it may."""
APT_SECONDS = 600.0
"""For an installation by apt-get; a slow mirror, not a hanging one."""
GO_MINIMUM = (1, 25)
"""What Kubernetes 1.34's modules ask for."""


@dataclass(frozen=True, slots=True)
class Need:
    """One program.

    Attributes:
        package: Debian's, or "" where Debian has none that is new enough.
        hint: how to get it by hand.
    """

    program: str
    package: str
    hint: str

    def find(self) -> Path | None:
        """Where the program is, or None."""
        found = shutil.which(self.program)
        return None if found is None else Path(found)


ETCD = Need("etcd", "etcd-server", "apt-get install etcd-server, or https://etcd.io")
PROMETHEUS = Need("prometheus", "prometheus", "apt-get install prometheus, or prometheus.io")
OPENSSL = Need("openssl", "openssl", "apt-get install openssl")
IP = Need("ip", "iproute2", "apt-get install iproute2")
UNSHARE = Need("unshare", "util-linux", "part of util-linux, so of every Linux")
GO = Need("go", "", "Go 1.25 or newer from https://go.dev/dl; only the first run needs it")
ALWAYS = (ETCD, PROMETHEUS, OPENSSL, IP, UNSHARE)


def install_missing(needs: tuple[Need, ...] = ALWAYS) -> list[str]:
    """Install what is missing where we may; return a line for each thing that is still not there."""
    packages = [need.package for need in needs if need.find() is None and need.package]
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(packages)
    return [f"{need.program}: {need.hint}" for need in needs if need.find() is None]


def lacking_namespaces() -> list[str]:
    """Return a line if we may not make a network namespace; root may."""
    if os.geteuid() == 0 or UNSHARE.find() is None:
        return []
    probe = ["unshare", "--net", "--map-root-user", "true"]
    done = subprocess.run(probe, capture_output=True, check=False, timeout=PROBE_SECONDS)
    return [] if done.returncode == 0 else [ROOT_HINT]


def excuses(*, built: bool) -> list[str]:
    """Say what no program can install here: empty where the whole suite has to run.

    Where root and Go are there, everything else is installed or built. Something missing then is a
    fault, and never a reason to leave the suite out.
    """
    found = {
        "Linux": sys.platform == "linux",
        "root": os.geteuid() == 0,
        "Go 1.25 or newer": built or (go_version() or ()) >= GO_MINIMUM,
    }
    return [name for name, there in found.items() if not there]


def go_version() -> tuple[int, ...] | None:
    """Tell the version of Go, or None where there is none."""
    if GO.find() is None:
        return None
    text = subprocess.run(
        ["go", "env", "GOVERSION"], capture_output=True, text=True, check=False, timeout=60
    ).stdout
    return tuple(int(part) for part in text.strip().removeprefix("go").split(".") if part.isdigit())


def _install(packages: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["update", "-q"],
        ["install", "-q", "-y", "--no-install-recommends", *packages],
    ):
        click.echo(f"apt-get {' '.join(command)}")
        subprocess.run(
            ["apt-get", *command],
            check=False,
            env=environment,
            timeout=APT_SECONDS,
            stdout=subprocess.DEVNULL,
        )
