"""A real Prometheus that scrapes echo's pods, every second unless told otherwise.

Debian builds it without the discovery of Kubernetes, so it is told its targets by a file; the labels
are those that a usual set-up takes from the pods.
"""

import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from daemon.ports import Obj
from tests.cluster.processes import Child

SCRAPE_INTERVAL = "1s"


class Prometheus:
    """One Prometheus; `start`, `kill` and `start` again keep its data."""

    def __init__(self, directory: Path, port: int, scrape_interval: str = SCRAPE_INTERVAL) -> None:
        self.scrape_interval = scrape_interval
        self.url = f"http://127.0.0.1:{port}"
        directory.mkdir()
        self._targets = directory / "targets.json"
        self._targets.write_text("[]", encoding="utf-8")
        config = directory / "prometheus.json"
        config.write_text(json.dumps(_config(self._targets, scrape_interval)), encoding="utf-8")
        arguments = [
            "prometheus",
            f"--config.file={config}",  # JSON is YAML
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        self._child = Child("prometheus", arguments, directory / "prometheus.log")

    async def start(self) -> None:
        """Start it (again) and wait until it answers queries."""
        await self._child.start(_answers(f"{self.url}/-/ready"))

    async def kill(self) -> None:
        """End it in the middle of what it does."""
        await self._child.kill()

    def scrape(self, pods: Iterable[Obj]) -> None:
        """Scrape these pods from now on, at the first port that each declares."""
        entries = [entry for pod in pods if (entry := _target(pod))]
        other = self._targets.with_suffix(".new")
        other.write_text(json.dumps(entries), encoding="utf-8")
        other.replace(self._targets)


def _target(pod: Obj) -> dict[str, Any] | None:
    address = (pod.get("status") or {}).get("podIP")
    ports = pod["spec"]["containers"][0].get("ports") or []
    if not address or not ports:
        return None
    metadata = pod["metadata"]
    labels = {
        "pod": metadata["name"],
        "namespace": metadata["namespace"],
        "version": (metadata.get("labels") or {}).get("version", ""),
    }
    return {"targets": [f"{address}:{ports[0]['containerPort']}"], "labels": labels}


def _config(targets: Path, interval: str) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": SCRAPE_INTERVAL},
        "scrape_configs": [{"job_name": "echo", "file_sd_configs": [{"files": [str(targets)]}]}],
    }


def _answers(url: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        timeout = aiohttp.ClientTimeout(total=2.0)
        with suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as answer:
                return answer.status == 200
        return False

    return ask
