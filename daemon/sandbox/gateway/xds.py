"""Envoy's dynamic configuration as files in one directory, each replaced by rename.

Invariant: Envoy never sees half a file, and no route is published before the clusters it names; a
cluster that is no longer wanted stays until the routes that used it have had time to go.
The listener is named after its address, as Gloo does: one that moves is a new one, and the old one
goes even where Envoy cannot bind the new.
No fsync: the files need to survive nothing, they are written anew at every start.
Must not be put here: what the resources say (translator.py), the process (envoy.py).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from daemon.ports import Obj
from daemon.sandbox.gateway.options import FAULT_FILTER, FAULT_TYPE
from daemon.sandbox.gateway.translator import ROUTES_NAME, Translation

LISTENER_PORT: Final = 8080
"""In its name, as in Gloo; the real port is the sandbox's own."""
STAT_PREFIX: Final = "http"
LONGEST_NAME: Final = 180
"""File systems allow 255 bytes; longer cluster names are shortened by a hash."""

FILTERS: Final = "type.googleapis.com/envoy.extensions.filters"
MANAGER_TYPE: Final = f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER_TYPE: Final = f"{FILTERS}.http.router.v3.Router"


class XdsFiles:
    """The files of one Envoy. `revision` counts publications and is what Envoy reports back.

    Attributes:
        routes_version: the revision in which the routes last changed: `version_text` in Envoy's
            statistics once it runs them.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.revision = 0
        self.routes_version = ""
        self._at = ("127.0.0.1", 0)
        self._address = ""
        self._written: dict[str, str] = {}
        self._clusters: Mapping[str, Obj] = {}
        self._leaving: Mapping[str, Obj] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def source(self, file: str) -> Obj:
        """Envoy's ConfigSource for one of the files."""
        path = str(self.directory / file)
        watched = {"path": str(self.directory)}
        return {
            "path_config_source": {"path": path, "watched_directory": watched},
            "resource_api_version": "V3",
        }

    def listen(self, host: str, port: int) -> None:
        """Write the one listener; port 0 lets Envoy choose."""
        self._at = (host, port)
        self._write("lds.json", [self._listener()])

    def bound(self, port: int) -> None:
        """Note which port Envoy chose: a listener that moves away and back has it again."""
        self._at = (self._at[0], port)

    def publish(self, translation: Translation) -> bool:
        """Write what changed: endpoints, clusters, the listener, routes, in this order.

        Returns:
            Whether `sweep` is due, once Envoy has had a moment to take the new routes.
        """
        self.revision += 1
        for name, assignment in translation.assignments.items():
            self._write(_endpoint_file(name), [assignment])
        gone = {k: c for k, c in self._clusters.items() if k not in translation.clusters}
        self._clusters = translation.clusters
        changes_routes = self._differs("rds.json", [translation.routes])
        self._leaving = gone if changes_routes else {}
        self._write_clusters()
        if translation.address != self._address:
            self._address = translation.address
            self._write("lds.json", [self._listener()])
        if self._write("rds.json", [translation.routes]):
            self.routes_version = str(self.revision)
        return bool(self._leaving)

    def sweep(self) -> None:
        """Take away the clusters that the last publication no longer has."""
        if self._leaving:
            self._leaving = {}
            self._write_clusters()

    def knock(self) -> None:
        """Make Envoy read the routes once more, as they are.

        An Envoy that refused them refuses them again, and its counter tells; a real control plane
        offers refused routes again and again, too.
        """
        body = (self.directory / "rds.json").read_text(encoding="utf-8")
        self._replace("rds.json", body)

    def _write_clusters(self) -> None:
        wanted = {**self._leaving, **self._clusters}
        self._write("cds.json", [self._cluster(name, c) for name, c in sorted(wanted.items())])

    def _cluster(self, name: str, cluster: Obj) -> Obj:
        if cluster["type"] != "EDS":
            return cluster
        return {**cluster, "eds_cluster_config": {"eds_config": self.source(_endpoint_file(name))}}

    def _differs(self, file: str, resources: list[Obj]) -> bool:
        return self._written.get(file) != json.dumps(resources)

    def _write(self, file: str, resources: list[Obj]) -> bool:
        """Replace one file if its resources changed; return whether they did."""
        text = json.dumps(resources)
        if self._written.get(file) == text:
            return False
        self._replace(file, f'{{"version_info": "{self.revision}", "resources": {text}}}')
        self._written[file] = text
        return True

    def _replace(self, file: str, body: str) -> None:
        fresh = self.directory / f".{file}.tmp"
        fresh.write_text(body, encoding="utf-8")
        fresh.replace(self.directory / file)

    def _listener(self) -> Obj:
        host, port = self._at
        manager: dict[str, Any] = {
            "@type": MANAGER_TYPE,
            "stat_prefix": STAT_PREFIX,
            "use_remote_address": True,
            "rds": {"route_config_name": ROUTES_NAME, "config_source": self.source("rds.json")},
            "http_filters": [
                {"name": FAULT_FILTER, "typed_config": {"@type": FAULT_TYPE}},
                {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER_TYPE}},
            ],
        }
        chain = {
            "filters": [
                {
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": manager,
                }
            ]
        }
        return {
            "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
            "name": f"listener-{self._address or '::'}-{LISTENER_PORT}",
            "address": {"socket_address": {"address": self._address or host, "port_value": port}},
            "filter_chains": [chain],
        }


def _endpoint_file(cluster: str) -> str:
    """One file a cluster: Envoy refuses an assignment file with more than one."""
    safe = cluster.replace("/", "_")
    if len(safe) > LONGEST_NAME:
        safe = safe[:LONGEST_NAME] + hashlib.sha256(cluster.encode()).hexdigest()[:16]
    return f"eds-{safe}.json"
