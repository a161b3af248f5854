"""A real Kubernetes without containers: etcd, kube-apiserver, kube-controller-manager.

Everything is started with a directory of its own and ports of its own number, so that several can
run in one network namespace. Users have tokens; what they may do, RBAC says. Not here: nodes, which
run the pods (scene.py), and what the audit log means (audit.py).
"""

import asyncio
import json
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.cluster.binaries import Binaries
from tests.cluster.client import TlsClient
from tests.cluster.processes import Child

ADDRESS = "192.0.2.1"
"""Of the API server: from the range for documentation (RFC 5737), local to our namespace."""
SERVICES = "198.51.100.0/24"
"""Cluster IPs, from another such range; nobody listens there."""
FIRST_PORT = 21000
PORTS_EACH = 10
ADMIN_TOKEN = "admin-token"
CONTROLLERS_TOKEN = "controllers-token"
TOKENS = f"""\
{ADMIN_TOKEN},admin,admin,system:masters
{CONTROLLERS_TOKEN},system:kube-controller-manager,controllers,system:masters
"""
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "horizontal-pod-autoscaler-controller",
)
AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["ResponseStarted", "Panic"],
    "rules": [
        {"level": "None", "users": ["admin", "system:kube-controller-manager", "system:apiserver"]},
        {"level": "Metadata"},
    ],
}
"""Every request of everybody else, once when it arrives and once when it is answered."""


class Kubernetes:
    """One control plane, as an async context manager.

    Attributes:
        url: of the API server.
        authority: certificate to verify it with.
        audit_log: one JSON line an event.
    """

    def __init__(
        self,
        binaries: Binaries,
        directory: Path,
        number: int = 0,
        controllers: tuple[str, ...] = CONTROLLERS,
    ) -> None:
        base = FIRST_PORT + PORTS_EACH * number
        self.url = f"https://{ADDRESS}:{base}"
        self.directory = directory
        self.authority = directory / "certs" / "apiserver.crt"
        self.audit_log = directory / "audit.log"
        self._chosen = controllers
        self._etcd_url = f"http://127.0.0.1:{base + 1}"
        self._etcd = Child("etcd", self._etcd_arguments(base), directory / "etcd.log")
        self._api = Child(
            "kube-apiserver", self._api_arguments(binaries, base), directory / "apiserver.log"
        )
        self._controllers = Child(
            "kube-controller-manager",
            self._controllers_arguments(binaries, base),
            directory / "controllers.log",
        )
        self._controllers_port = base + 3

    async def __aenter__(self) -> Self:
        self._write_files()
        try:
            await self._etcd.start(self._answers(f"{self._etcd_url}/health"))
            await self.start_api()
            url = f"https://127.0.0.1:{self._controllers_port}/healthz"
            await self._controllers.start(self._answers(url))
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._stop()

    async def start_api(self) -> None:
        """Start the API server (again) and wait until it serves."""
        await self._api.start(self._answers(f"{self.url}/readyz", ADMIN_TOKEN))

    async def stop_api(self) -> None:
        """Kill the API server: every connection and every watch breaks."""
        await self._api.kill()

    def client(self, token: str = ADMIN_TOKEN, manager: str = "crossfade-sandbox") -> TlsClient:
        """Return a client; use it as an async context manager."""
        return TlsClient(self.url, self.authority, token=token, manager=manager)

    def kubeconfig(self, file: Path, token: str = ADMIN_TOKEN, namespace: str = "default") -> Path:
        """Write a kubeconfig for the holder of a token."""
        cluster = {"server": self.url, "certificate-authority": str(self.authority)}
        context = {"cluster": "real", "user": "user", "namespace": namespace}
        text = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "real", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "real", "context": context}],
            "current-context": "real",
        }
        file.write_text(json.dumps(text), encoding="utf-8")
        file.chmod(0o600)
        return file

    # ------------------------------------------------------------ parts

    def _write_files(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "tokens.csv").write_text(TOKENS, encoding="utf-8")
        (self.directory / "audit.json").write_text(json.dumps(AUDIT_POLICY), encoding="utf-8")
        subprocess.run(
            ["openssl", "genrsa", "-out", str(self.directory / "accounts.key"), "2048"],
            check=True,
            capture_output=True,
            timeout=60,
        )
        self.kubeconfig(self.directory / "controllers.kubeconfig", CONTROLLERS_TOKEN)

    async def _stop(self) -> None:
        await asyncio.gather(self._controllers.stop(), self._api.kill())
        await self._etcd.kill()

    def _etcd_arguments(self, base: int) -> list[str]:
        peer = f"http://127.0.0.1:{base + 2}"
        return [
            *("etcd", "--name=real", f"--data-dir={self.directory / 'etcd'}"),
            *("--unsafe-no-fsync", "--log-level=error", "--logger=zap"),
            *(f"--listen-client-urls={self._etcd_url}",),
            *(f"--advertise-client-urls={self._etcd_url}",),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
            f"--initial-cluster=real={peer}",
        ]

    def _api_arguments(self, binaries: Binaries, base: int) -> list[str]:
        key = self.directory / "accounts.key"
        return [
            str(binaries.apiserver),
            f"--etcd-servers={self._etcd_url}",
            *(f"--bind-address={ADDRESS}", f"--advertise-address={ADDRESS}"),
            *(f"--secure-port={base}", f"--cert-dir={self.authority.parent}"),
            *("--endpoint-reconciler-type=none", f"--service-cluster-ip-range={SERVICES}"),
            *("--authorization-mode=RBAC", f"--token-auth-file={self.directory / 'tokens.csv'}"),
            f"--service-account-signing-key-file={key}",
            f"--service-account-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            # Without it no pod waits for an account that no controller makes here.
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={self.directory / 'audit.json'}",
            *(f"--audit-log-path={self.audit_log}", "--audit-log-mode=blocking-strict"),
        ]

    def _controllers_arguments(self, binaries: Binaries, base: int) -> list[str]:
        config = f"{self.directory / 'controllers.kubeconfig'}"
        return [
            str(binaries.controllers),
            *(f"--kubeconfig={config}", f"--controllers={','.join(self._chosen)}"),
            *("--leader-elect=false", f"--cert-dir={self.directory / 'controllers'}"),
            *("--bind-address=127.0.0.1", f"--secure-port={base + 3}"),
            *("--kube-api-qps=200", "--kube-api-burst=400"),
        ]

    @staticmethod
    def _answers(url: str, token: str = "") -> Callable[[], Awaitable[bool]]:
        """Build the question whether a URL answers 200; TLS is not what is asked here."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}

        async def ask() -> bool:
            timeout = aiohttp.ClientTimeout(total=2.0)
            with suppress(aiohttp.ClientError, TimeoutError):
                async with (
                    aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
                    session.get(url, ssl=False) as answer,
                ):
                    return answer.status == 200
            return False

        return ask


def temporary_directory() -> "tempfile.TemporaryDirectory[str]":
    """Make a directory for one control plane that goes with it."""
    return tempfile.TemporaryDirectory(prefix="crossfade-cluster-")
