"""The two facts that commands take from a kubeconfig: the default namespace and who asks.

Connecting is `daemon.kube`'s; no token, certificate or command of the file is looked at here.
"""

import getpass
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from daemon.cli.text import plain

MAX_BYTES: Final = 4 * 1024 * 1024
"""A kubeconfig with many embedded certificates is some 100 KiB."""
MAX_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """`user` is a claim: a name in a local file, not who the API server knows."""

    namespace: str
    user: str


def whereabouts(kubeconfig: str | None, context: str | None) -> Whereabouts:
    """Read the chosen context; what is not there falls back to `default` and the login name."""
    documents = [_document(path) for path in paths(kubeconfig)]
    chosen = context or next(
        (name for it in documents if (name := it.get("current-context"))), None
    )
    for document in documents:
        for entry in _entries(document):
            if entry.get("name") == chosen and isinstance(entry.get("context"), dict):
                inner = entry["context"]
                namespace, user = inner.get("namespace"), inner.get("user")
                return Whereabouts(str(namespace or "default"), _short(user or _login()))
    return Whereabouts("default", _short(_login()))


def paths(kubeconfig: str | None) -> list[Path]:
    """Return the files that are looked at: as given, else of KUBECONFIG, else the usual one."""
    given = kubeconfig or os.environ.get("KUBECONFIG")
    if not given:
        return [Path.home() / ".kube" / "config"]
    return [Path(part).expanduser() for part in given.split(os.pathsep) if part]


def _document(path: Path) -> dict[str, Any]:
    import yaml

    try:
        with path.open(encoding="utf-8") as file:
            document = yaml.load(file.read(MAX_BYTES), _loader())  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return {}  # the client that connects says what is wrong with the file
    return document if isinstance(document, dict) else {}


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _entries(document: dict[str, Any]) -> list[dict[str, Any]]:
    contexts = document.get("contexts")
    return [it for it in contexts if isinstance(it, dict)] if isinstance(contexts, list) else []


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"


def _short(name: Any) -> str:
    return plain(str(name))[:MAX_NAME]
