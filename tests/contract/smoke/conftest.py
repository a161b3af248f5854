"""What every test here may ask for."""

import asyncio
import socket

import pytest

from daemon.http import AiohttpHttp
from tests.contract.smoke.proxies import QuickClock


@pytest.fixture
def clock():
    return QuickClock()


@pytest.fixture
async def http(clock):
    async with AiohttpHttp(clock) as client:
        yield client


@pytest.fixture
async def nameless(monkeypatch):
    """A machine on which no name resolves, without asking anybody."""

    async def nobody(*_args, **_more):
        raise socket.gaierror(socket.EAI_NONAME, "secret")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nobody)
