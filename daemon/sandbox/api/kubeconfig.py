"""A kubeconfig that points at the sandbox."""

import json
import os
from pathlib import Path


def write_kubeconfig(
    path: Path, *, url: str, token: str | None, namespace: str = "default"
) -> None:
    """Write one, readable by its owner only: it may hold a token. JSON is YAML."""
    user = {"token": token} if token else {}
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": {"server": url}}],
        "users": [{"name": "sandbox", "user": user}],
        "contexts": [
            {
                "name": "sandbox",
                "context": {"cluster": "sandbox", "user": "sandbox", "namespace": namespace},
            }
        ],
        "current-context": "sandbox",
    }
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(body, file, indent=1)
