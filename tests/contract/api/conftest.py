"""Fixtures: a namespace of one's own in the API under test."""

import os
import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest

from daemon.sandbox.api import ApiServer
from tests.contract.api.cluster import GADGET, WIDGET, Cluster

URL = os.environ.get("CROSSFADE_CONFORMANCE_URL", "")
TOKEN = os.environ.get("CROSSFADE_CONFORMANCE_TOKEN", "")
NAMESPACE = os.environ.get("CROSSFADE_CONFORMANCE_NAMESPACE", "")
"""On somebody's cluster: the one namespace that tests may use, one after the other."""


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """The API under test, with an empty namespace."""
    server = None if URL else ApiServer(bookmark_seconds=0.2)
    if server is not None:
        await server.start()
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    namespace = NAMESPACE or f"conformance-{uuid.uuid4().hex[:8]}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        session._retry_connection = (
            False  # aiohttp repeats GET, PUT and DELETE on a dropped connection
        )
        found = Cluster(server.url if server else URL, session, namespace, headers, server)
        if NAMESPACE:
            yield found
            await found.empty()
        else:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            (await found.post("/api/v1/namespaces", body)).ok()
            yield found
            if server is None:
                await found.delete(f"/api/v1/namespaces/{namespace}")
    if server is not None:
        await server.stop()


@pytest.fixture
async def widgets(cluster: Cluster) -> Cluster:
    """With a custom kind that has no status subresource."""
    await cluster.add_crd(WIDGET)
    return cluster


@pytest.fixture
async def gadgets(cluster: Cluster) -> Cluster:
    """With a custom kind that has status and scale subresources."""
    await cluster.add_crd(GADGET)
    return cluster


@pytest.fixture
def server(cluster: Cluster) -> ApiServer:
    """The embedded server itself, for what only the sandbox has."""
    if cluster.server is None:
        pytest.skip("only the sandbox has this")
    return cluster.server
