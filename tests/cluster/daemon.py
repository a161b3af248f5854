"""The shipped daemon as the ServiceAccount of `deploy/`: its token, and nothing else, lets it in."""

import json
from pathlib import Path
from typing import Any

from daemon.sandbox.client import SandboxClient
from daemon.sandbox.shipped import ShippedDaemon
from tests.cluster.kubernetes import Kubernetes

NAMESPACE = "crossfade"
ACCOUNT = "crossfade"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
TOKEN_SECONDS = 3600


async def account_token(client: SandboxClient) -> str:
    """Ask the API server for a token of the ServiceAccount, as a kubelet does for a pod."""
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}/token"
    from_server = await client._call("POST", path, body=json.dumps(body).encode())
    return str(from_server["status"]["token"])


async def write_kubeconfig(kubernetes: Kubernetes, client: SandboxClient, file: Path) -> Path:
    """Write the daemon's kubeconfig."""
    return kubernetes.kubeconfig(file, await account_token(client), NAMESPACE)


class ClusterDaemon(ShippedDaemon):
    """A `crossfade run` whose own namespace is the one of `deploy/`."""

    def __init__(self, policy: Path, kubeconfig: Path, **more: Any) -> None:
        super().__init__(policy, kubeconfig, **more)
        self._arguments = (*self._arguments, f"--namespace={NAMESPACE}")
