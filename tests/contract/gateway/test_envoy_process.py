"""The Envoy process: it starts, it ends, it outlives nobody, and a missing one is explained."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from daemon.clock import SystemClock
from daemon.errors import PermanentError
from daemon.sandbox.gateway.envoy import Envoy, envoy_path
from daemon.sandbox.gateway.translator import empty
from daemon.sandbox.gateway.xds import XdsFiles
from tests.contract.gateway.judge import until


def make(directory, **options) -> Envoy:
    files = XdsFiles(directory)
    files.publish(empty())
    return Envoy("test", files, SystemClock(), **options)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_it_listens_once_started_and_is_gone_once_stopped(tmp_path):
    envoy = make(tmp_path)

    await envoy.start()
    pid, port = envoy.pid, envoy.port
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await envoy.stop()

    assert pid
    assert not alive(pid)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_it_keeps_its_port_when_started_again(tmp_path):
    envoy = make(tmp_path)
    await envoy.start()
    port = envoy.port
    await envoy.stop()

    await envoy.start()

    assert envoy.port == port
    await envoy.stop()


async def test_it_has_a_process_group_of_its_own(tmp_path):
    envoy = make(tmp_path)
    await envoy.start()

    assert os.getpgid(envoy.pid or 0) == envoy.pid
    await envoy.stop()


async def test_one_that_does_not_listen_to_sigterm_is_killed(tmp_path):
    envoy = make(tmp_path)
    await envoy.start()
    pid = envoy.pid or 0
    os.kill(pid, signal.SIGSTOP)

    await envoy.stop()

    assert not alive(pid)


async def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        envoy = make(tmp_path, port=port)

        with pytest.raises(PermanentError, match=f"cannot listen on 127.0.0.1:{port}"):
            await envoy.start()

    assert not envoy.running


async def test_one_that_ends_at_once_is_quoted(tmp_path, monkeypatch):
    failing = tmp_path / "envoy"
    failing.write_text("#!/bin/sh\necho the disk is on fire\n", encoding="utf-8")
    failing.chmod(0o755)
    monkeypatch.setattr("daemon.sandbox.gateway.envoy.envoy_path", lambda: str(failing))

    with pytest.raises(PermanentError, match="the disk is on fire"):
        await make(tmp_path / "files").start()


PARENT = """
    import asyncio, sys
    from pathlib import Path
    from daemon.clock import SystemClock
    from daemon.sandbox.gateway.envoy import Envoy
    from daemon.sandbox.gateway.translator import empty
    from daemon.sandbox.gateway.xds import XdsFiles

    async def main():
        files = XdsFiles(Path(sys.argv[1]))
        files.publish(empty())
        envoy = Envoy("child", files, SystemClock())
        await envoy.start()
        print(envoy.pid, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
async def test_it_dies_with_a_parent_that_is_killed(tmp_path):
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(PARENT),
        str(tmp_path),
        stdout=subprocess.PIPE,
    )
    assert parent.stdout
    child = int(await parent.stdout.readline())
    assert alive(child)

    parent.kill()
    await parent.wait()

    async def gone():
        return not alive(child)

    await until(gone)


def test_a_missing_envoy_names_the_extra_and_this_machine(monkeypatch):
    monkeypatch.setitem(sys.modules, "envoy", None)

    with pytest.raises(PermanentError) as caught:
        envoy_path()

    assert "`sandbox`" in str(caught.value)
    assert os.uname().machine in str(caught.value)


def test_what_ended_it_is_quoted_and_not_its_backtrace(tmp_path):
    envoy = make(tmp_path)
    why = "assert failure: inotify_fd_ >= 0. Details: Consider increasing value of fs.inotify"
    envoy._log.write_text(f"[critical] {why}\n" + "[envoy_bug] #5 UNKNOWN [0x55b7]\n" * 99)

    assert envoy._tail() == why
