"""The real kubectl as a process, with a kubeconfig and a cache of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from daemon.sandbox.api.kubeconfig import write_kubeconfig

BINARY = Path(sys.executable).parent / "kubectl"
TOKEN = os.environ.get("CROSSFADE_CONFORMANCE_TOKEN")


class Kubectl:
    def __init__(self, folder: Path, namespace: str, url: str) -> None:
        path = folder / f"{namespace}.kubeconfig"
        write_kubeconfig(path, url=url, token=TOKEN, namespace=namespace)
        self.namespace = namespace
        self.command = [
            str(BINARY),
            "--kubeconfig",
            str(path),
            "--cache-dir",
            str(folder / "cache"),
        ]
        if url.startswith("https"):
            self.command.append("--insecure-skip-tls-verify")

    def run(self, line: str, *more: str, stdin: object = None) -> subprocess.CompletedProcess:
        text = stdin if isinstance(stdin, str | None) else json.dumps(stdin)
        command = [*self.command, *line.split(), *more]
        return subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=20, check=False
        )

    def __call__(self, line: str, *more: str, stdin: object = None) -> str:
        """The output of a command that must succeed."""
        done = self.run(line, *more, stdin=stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def refused(self, line: str, *more: str, stdin: object = None) -> str:
        """What a command says that must fail."""
        done = self.run(line, *more, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr.strip()
