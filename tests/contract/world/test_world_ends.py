"""A world leaves nothing behind, however it ends: no process, no port, no file."""

import asyncio
import os
import re
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.errors import PermanentError
from daemon.sandbox.clock import SandboxClock
from daemon.sandbox.listening import PortTakenError
from daemon.sandbox.world import World, WorldOptions

DEADLINE = 20.0
COMMAND = "from daemon.sandbox.cli import commands; commands(prog_name='crossfade')"
ROOT = Path(__file__).parents[3]


@dataclass
class Started:
    """`crossfade sandbox up` as its own process, and what it said and made."""

    process: asyncio.subprocess.Process
    said: str
    children: set[int]

    @property
    def directory(self):
        return Path(re.search(r"KUBECONFIG=(\S+)/kubeconfig", self.said)[1])

    @property
    def ports(self):
        return {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", self.said)}


async def start(*options):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, "sandbox", "up", *options),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = ""
    async with asyncio.timeout(DEADLINE):
        while "Ctrl-C" not in said:
            line = await process.stdout.readline()
            assert line, f"it ended: {said}"
            said += line.decode()
    return Started(process, said, children_of(process.pid))


def children_of(parent):
    """Process ids whose parent is `parent`."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                found.add(int(entry.name))
    return found


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def directories():
    """The temporary directories of all worlds of this machine."""
    return set(Path(tempfile.gettempdir()).glob("crossfade-sandbox-*"))


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def until(condition, what):
    try:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                await SandboxClock().sleep(0.02)
    except TimeoutError:
        raise TimeoutError(what) from None


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, 0, id="SIGTERM"),
        pytest.param(signal.SIGINT, 0, id="Ctrl-C"),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="SIGKILL"),
    ],
)
async def test_nothing_is_left_after(number, code):
    started = await start("--rps", "50")
    assert len(started.children) == 2  # Envoy, and the one that clears up
    assert len(started.ports) == 3  # gateway, its admin page, API server
    assert all(is_listening(port) for port in started.ports)

    started.process.send_signal(number)
    async with asyncio.timeout(DEADLINE):
        await started.process.communicate()

    assert started.process.returncode == code
    await until(lambda: not any(map(is_running, started.children)), "its children to end")
    await until(lambda: not any(map(is_listening, started.ports)), "its ports to be closed")
    await until(lambda: not started.directory.exists(), "its directory to go")


async def test_nothing_is_left_after_the_context():
    before = directories()
    own = children_of(os.getpid())

    async with World(WorldOptions(proxies=2)) as world:
        assert len(children_of(os.getpid()) - own) == 3
        made = directories() - before
        assert world.directory in made
        ports = [int(url.rpartition(":")[2]) for url in (*world.urls, world.api.url)]

    assert children_of(os.getpid()) <= own
    assert not world.directory.exists()
    assert not any(is_listening(port) for port in ports)


async def test_a_given_directory_keeps_what_is_not_ours(tmp_path):
    (tmp_path / "notes").write_text("mine")

    async with World(WorldOptions(directory=tmp_path)) as world:
        assert world.kubeconfig == tmp_path / "kubeconfig"
        assert (tmp_path / "policy.yaml").exists()

    assert [file.name for file in tmp_path.iterdir()] == ["notes"]


async def test_a_file_of_somebody_else_is_not_overwritten(tmp_path):
    (tmp_path / "kubeconfig").write_text("mine")

    with pytest.raises(PermanentError, match="exists already"):
        async with World(WorldOptions(directory=tmp_path)):
            pass

    assert (tmp_path / "kubeconfig").read_text() == "mine"


@pytest.mark.parametrize(
    ("option", "name"), [("port", "--port"), ("api_port", "--api-port")], ids=["gateway", "API"]
)
async def test_an_occupied_port_is_named_with_its_option(option, name):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(PortTakenError, match=f"port {port} .* {name}"):
            async with World(WorldOptions(**{option: port})):
                pass


async def test_a_taken_port_ends_the_command_with_a_sentence():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", COMMAND, "sandbox", "up", "--port", port),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(DEADLINE):
            _, told = await process.communicate()

    assert process.returncode == 1
    assert told.decode().startswith(f"error: port {port} on 127.0.0.1 cannot be used")
