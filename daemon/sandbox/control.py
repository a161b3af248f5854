"""The control endpoint of a running sandbox, and how another process finds and asks it.

    GET  /faults                     {"faults": {name: sentence}}
    POST /faults                     {"fault": "api.answer", "code": 409, ...} -> {"said": sentence}
    POST /clear                      {"what": "all"} -> {"said": sentence}

It listens on loopback. `control.json` beside the kubeconfig names its URL and the token that every
request must bear; only the sandbox's owner can read it. A refusal is {"error": sentence}. Not here:
what faults there are.
"""

import hmac
import json
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from daemon.errors import NotFoundError, PermanentError, TransientError
from daemon.sandbox.fault_words import FaultError
from daemon.sandbox.faults import WorldFaults
from daemon.sandbox.leftovers import PREFIX, written_files
from daemon.sandbox.world import World

CONTROL: Final = "control.json"
MAX_BODY: Final = 64 * 1024
"""Bytes of a request or an answer; they are a few lines."""
ASK_SECONDS: Final = 20.0
"""Turning knobs waits until every pod obeys, which takes ten seconds at most."""
STOP_SECONDS: Final = 1.0
MAX_DIRECTORIES: Final = 1_000
"""Temporary directories looked at for the newest sandbox; there are one or two."""


# ---------------------------------------------------------------- in the sandbox


@asynccontextmanager
async def controlled(world: World) -> AsyncIterator[WorldFaults]:
    """Let other processes of this user cause faults in a world while this lasts."""
    faults = WorldFaults(world)
    token = secrets.token_urlsafe()
    runner = web.ServerRunner(
        web.Server(_Endpoint(faults, token).serve, access_log=None), shutdown_timeout=STOP_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        text = json.dumps({"url": url, "token": token})
        with written_files(world.directory, {CONTROL: text}):
            yield faults
    finally:
        await runner.cleanup()


class _Endpoint:
    """Answers the requests of a token's holder."""

    def __init__(self, faults: WorldFaults, token: str) -> None:
        self._faults = faults
        self._expected = f"Bearer {token}".encode()

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode(errors="replace")
        if not hmac.compare_digest(given, self._expected):
            return _refusal(401, f"the token is not the one in {CONTROL}")
        try:
            answer = await self._answer(request)
        except (FaultError, ValueError) as fault:
            return _refusal(400, str(fault))
        return web.json_response(answer)

    async def _answer(self, request: web.BaseRequest) -> dict[str, Any]:
        match (request.method, request.path):
            case ("GET", "/faults"):
                return {"faults": self._faults.listed()}
            case ("POST", "/faults"):
                arguments = await _body(request)
                name = str(arguments.pop("fault", ""))
                return {"said": await self._faults.cause(name, arguments)}
            case ("POST", "/clear"):
                what = str((await _body(request)).get("what", "all"))
                return {"said": await self._faults.clear(what)}
        raise FaultError(f"there is no {request.method} {request.path}")


async def _body(request: web.BaseRequest) -> dict[str, Any]:
    body = b""
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            raise FaultError(f"the request is longer than {MAX_BODY} bytes")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise FaultError("the request is no JSON object")
    return found


def _refusal(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)


# ---------------------------------------------------------------- for other processes


def find_control(
    directory: Path | None, environment: Mapping[str, str], temporary: Path | None = None
) -> Path:
    """Find a sandbox's control file: of a directory, of $KUBECONFIG, else of the newest sandbox.

    Raises:
        NotFoundError: there is none; says how to start a sandbox or to name one.
    """
    if directory is not None:
        if (directory / CONTROL).exists():
            return directory / CONTROL
        raise NotFoundError(f"no sandbox runs with its files in {directory} (no {CONTROL} there)")
    beside = Path(environment.get("KUBECONFIG", "")).parent / CONTROL
    if environment.get("KUBECONFIG") and beside.exists():
        return beside
    found = [it for it in _temporary(temporary or Path(tempfile.gettempdir())) if it.exists()]
    if not found:
        raise NotFoundError(
            "no sandbox runs here: start one with `crossfade sandbox up`, or name its directory"
            " with --dir"
        )
    return max(found, key=lambda it: it.stat().st_mtime_ns)


def _temporary(root: Path) -> list[Path]:
    """List control files of our own sandboxes; a file of another user is none of ours."""
    directories = sorted(root.glob(f"{PREFIX}*"))[:MAX_DIRECTORIES]
    files = [it / CONTROL for it in directories]
    return [it for it in files if it.exists() and it.stat().st_uid == os.getuid()]


def ask_control(
    file: Path, method: str, path: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Send one request to the sandbox of a control file.

    Raises:
        TransientError: it does not answer.
        PermanentError: it refuses, with its sentence, or the file is none of ours.
    """
    try:
        control = json.loads(file.read_text(encoding="utf-8"))
        address, token = urlsplit(control["url"]), control["token"]
        port = address.port
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise PermanentError(f"{file} is no control file of a sandbox: {fault!r}") from fault
    connection = HTTPConnection(address.hostname or "", port, timeout=ASK_SECONDS)
    try:
        connection.request(
            method,
            path,
            body=None if body is None else json.dumps(body),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read(MAX_BODY))
    except (OSError, HTTPException, ValueError) as fault:
        raise TransientError(
            f"the sandbox of {file.parent} does not answer ({fault}): has it ended?", sent=False
        ) from fault
    finally:
        connection.close()
    if "error" in found:
        raise PermanentError(str(found["error"]))
    return found
