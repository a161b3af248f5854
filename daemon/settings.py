"""How this process was started: the values of `crossfade run`, from options and environment.

Nothing about rollouts stands here; that is the policy. Settings never change in a process.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where every pod with a service account finds the name of its own namespace."""
MAX_NAMESPACE_BYTES = 256
"""A namespace has at most 63 characters; a longer file is not one."""
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Settings:
    """The process settings, complete.

    Attributes:
        kubeconfig: the file to use, or None: in the cluster if this is a pod, else the usual files.
        context: the kubeconfig's context, or None for its current one.
        listen_host: address of the metrics and health port; "" means every address, both families.
        listen_port: 0 lets the system choose.
        evidence_namespace: the daemon's own namespace, where its ConfigMaps live.
        pod_name: who we are, for the Events' reporting instance; the host's name outside a cluster.
    """

    policy: Path
    kubeconfig: Path | None = None
    context: str | None = None
    listen_host: str = ""
    listen_port: int = 8080
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"
    evidence_namespace: str = "default"
    pod_name: str = "crossfade"


def parse_listen(text: str) -> tuple[str, int]:
    """Read `HOST:PORT`, `:PORT` (every address) or `[IPv6]:PORT`.

    Raises:
        ValueError: with a sentence that shows how to write it.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else -1
    if not colon or not 0 <= number <= MAX_PORT or (":" in host and not bracketed):
        raise ValueError(f"{text!r} is not HOST:PORT; write for example :8080 or 127.0.0.1:8080")
    return host.strip("[]"), number


def own_namespace(given: str | None, namespace_file: Path = NAMESPACE_FILE) -> str:
    """Choose the namespace for our evidence: as given, else the pod's own, else `default`."""
    if given:
        return given
    try:
        with namespace_file.open(encoding="ascii") as file:
            return file.read(MAX_NAMESPACE_BYTES).strip() or "default"
    except (OSError, UnicodeDecodeError):
        return "default"
