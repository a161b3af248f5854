"""A cluster for the command line: the embedded API server, and whoever answers in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click.testing
import pytest

from daemon.cli.program import program
from daemon.core.model import Record, Request
from daemon.core.record import format_record, parse_record, record_annotation
from daemon.core.requests import REQUEST_ANNOTATION, parse_request
from daemon.kube.objects import CONFIGMAPS, DEPLOYMENTS, EVENTS, VIRTUALSERVICES
from daemon.ports import Resource
from daemon.sandbox.api import ApiServer
from daemon.sandbox.crds import gloo_crds
from tests.cli.records import KEY, NOW, a_deployment, a_route

NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ran:
    """One command that ended."""

    code: int
    stdout: str
    stderr: str


class Cluster:
    """An API server with some objects, and the command line beside it."""

    def __init__(self, kubeconfig: Path) -> None:
        self.time = NOW
        self.api = ApiServer(clock=self._now)
        self.kubeconfig = kubeconfig

    def _now(self) -> float:
        return self.time.timestamp()

    def put(self, resource: Resource, obj: dict[str, Any]) -> None:
        """Create an object where it says."""
        self.api.store.create(resource, obj["metadata"]["namespace"], obj)

    def adopt(self, record: Record | str | None, **place: Any) -> None:
        """Put a route with a record there."""
        self.put(VIRTUALSERVICES, a_route(record, **place))

    def record(self) -> Record:
        """The record of echo/echo, as it is now."""
        record = parse_record(self._route()["metadata"]["annotations"][record_annotation(KEY)])
        assert isinstance(record, Record)
        return record

    def change(self, record: Record) -> None:
        """Write the record, as the daemon would."""
        route = self._route()
        route["metadata"]["annotations"][record_annotation(KEY)] = format_record(record)
        self.api.store.replace(VIRTUALSERVICES, "gloo-system", "echo", route)

    def _route(self) -> dict[str, Any]:
        return self.api.store.get(VIRTUALSERVICES, "gloo-system", "echo")

    def request(self, deployment: str = "echo-v2") -> str | None:
        """The text of the request that stands on a Deployment."""
        metadata = self.api.store.get(DEPLOYMENTS, "echo", deployment)["metadata"]
        return metadata.get("annotations", {}).get(REQUEST_ANNOTATION)

    def tell_event(self, note: str, deployment: str = "echo-v2") -> None:
        """Tell an Event RequestIgnored, as the daemon would."""
        at = "2026-11-23T14:10:00.000000Z"
        self.put(
            EVENTS,
            {
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": {"generateName": "echo.", "namespace": "echo"},
                "eventTime": at,
                "action": "Decide",
                "reason": "RequestIgnored",
                "reportingController": "crossfade.dev/crossfade",
                "reportingInstance": "crossfade-0",
                "regarding": {"kind": "Deployment", "namespace": "echo", "name": deployment},
                "note": note,
                "type": "Warning",
            },
        )

    async def run(self, *arguments: str) -> Ran:
        """Run a command in a thread of its own, as it has an event loop of its own."""
        runner = click.testing.CliRunner()
        options = ["--kubeconfig", str(self.kubeconfig)]
        result = await asyncio.to_thread(
            runner.invoke, program(), [*arguments, *options], prog_name="crossfade"
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    async def run_beside(self, daemon: Awaitable[None], *arguments: str) -> Ran:
        """Run a command while somebody else does something."""
        async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
            command = group.create_task(self.run(*arguments))
            await daemon
            return await command

    async def wait_for(self, condition: Callable[[], Any]) -> Any:
        """Return the condition's value as soon as it is true."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (value := condition()):  # noqa: ASYNC110 - the store has no events
                await asyncio.sleep(0.005)
            return value

    async def obey(self, **changes: Any) -> None:
        """Be the daemon for one request: note it as handled, with these changes of the record."""
        request = await self.asked()
        record = self.record()
        self.change(replace(record, handled=(*record.handled, request.id), **changes))

    async def asked(self, deployment: str = "echo-v2") -> Request:
        """The next request."""
        text = await self.wait_for(partial(self.request, deployment))
        request = parse_request(text, NOW)
        assert isinstance(request, Request)
        return request


@pytest.fixture(scope="session")
def route_crds() -> list[dict[str, Any]]:
    """Definitions of the two kinds that carry records; reading them takes a while."""
    wanted = {"VirtualService", "RouteTable"}
    return [crd for crd in gloo_crds() if crd["spec"]["names"]["kind"] in wanted]


@pytest.fixture
async def cluster(tmp_path: Path, route_crds: list[dict[str, Any]]) -> AsyncIterator[Cluster]:
    """A cluster with echo-v1 and echo-v2, and no rollout yet. Its clock stands at NOW."""
    cluster = Cluster(tmp_path / "kubeconfig")
    api = cluster.api
    await api.start()
    try:
        api.write_kubeconfig(cluster.kubeconfig)
        for crd in route_crds:
            api.store.add_crd(crd)
        for namespace in ("echo", "gloo-system", "crossfade", "pay"):
            api.store.create(NAMESPACES, "", {"metadata": {"name": namespace}})
        for version in ("v1", "v2"):
            cluster.put(DEPLOYMENTS, a_deployment(version))
        yield cluster
    finally:
        await api.stop()


__all__ = ["CONFIGMAPS", "Cluster", "Ran", "cluster"]
