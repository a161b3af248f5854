"""What every test here may ask for: a scripted server, a clock, a client of the server."""

import functools
import ssl

import pytest

from tests.contract.kube.scripted import FakeClock, ScriptedServer, connected


@pytest.fixture(scope="package", autouse=True)
def tls_settings_are_read_once():
    """Each client reads the system's certificates, 30 ms a time, and hardly a test here uses TLS."""
    patch = pytest.MonkeyPatch()
    patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
    yield
    patch.undo()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def server():
    async with ScriptedServer().running() as running:
        yield running


@pytest.fixture
async def api(server, clock, tmp_path):
    async with connected(tmp_path, server.url, clock) as client:
        yield client
