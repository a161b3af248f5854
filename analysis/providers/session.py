"""One HTTP session that PrometheusConnect can use and that believes nothing.

prometheus-api-client asks its session and looks at `status_code`, `json()` and `content`; it drops
`status`, `resultType` and `warnings`, has no bound on time or size, and raises whatever the JSON
parser raises. Here the answer is read within a deadline and a size, parsed once and checked; what
`custom_query` hands back is then an `Answer` with all of it.

Everything here runs in a thread. Nothing of requests leaves it: see `analysis.errors`.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import requests.adapters
import requests.auth
import urllib3.exceptions

from analysis.errors import ProviderError, RefusedError, UnavailableError

LARGEST_BODY = 4 * 1024 * 1024
"""Bytes after decompression. 200 pods with 20 buckets make 0.5 MB; more is not an answer to us."""

CHUNK = 64 * 1024
"""Bytes decompressed at a time: a bomb of 1 GB stops at `LARGEST_BODY`, some chunks after it."""

CONNECTIONS = 16
"""As many as threads ask at the same time; the library's default of 10 would drop and reopen
some."""

LONGEST_ERROR = 200
"""Characters of Prometheus' own error text that are told; it names the place in the query."""

LARGEST_TOKEN = 16 * 1024
"""Bytes. A projected service account token has about 1 KiB."""

DEEPEST_CAUSE = 8
"""Exceptions between ours and the system's own; requests and urllib3 put three or four."""

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """The checked `data` of one answer.

    Attributes:
        kind: `vector`, `scalar`, `string` or `matrix`.
        result: as it came; its shape is not checked here.
        warned: whether Prometheus answered with warnings, hence perhaps only a part.
    """

    kind: str
    result: Any
    warned: bool


@dataclass(frozen=True, slots=True)
class CheckedResponse:
    """The three things PrometheusConnect looks at."""

    answer: Answer
    status_code: int = 200
    content: bytes = b""

    def json(self) -> Mapping[str, Any]:
        return {"data": {"result": self.answer}}


Token = Callable[[], str]
"""Gives the bearer token in force; asked before each query, in a thread."""


class TokenFile:
    """A token that is read again whenever its file has changed."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._changed = -1
        self._token = ""
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """Tell the token.

        Raises:
            RefusedError: the file cannot be read.
        """
        try:
            with self._lock:
                changed = self._path.stat().st_mtime_ns
                if changed != self._changed:
                    with self._path.open("rb") as file:
                        self._token = file.read(LARGEST_TOKEN).decode("ascii").strip()
                    self._changed = changed
                return self._token
        except (OSError, ValueError) as error:
            raise RefusedError(f"the bearer token file {self._path} cannot be read") from error


class _Bearer(requests.auth.AuthBase):
    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token()}"
        return request


class CheckedSession:
    """What PrometheusConnect needs of a `requests.Session`, with bounds.

    Args:
        monotonic: seconds, for the deadline of one answer.
        timeout: seconds for one whole answer.
        token: gives a bearer token, or None to send none.
        ca_file: PEM file to verify TLS with, or None for the system's.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        timeout: float,
        token: Token | None = None,
        ca_file: str | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._timeout = timeout
        self._session = requests.Session()
        # Neither HTTP_PROXY nor .netrc of the daemon's environment may lead queries elsewhere.
        self._session.trust_env = False
        self._session.headers["User-Agent"] = "crossfade"
        self._session.headers["Accept-Encoding"] = "gzip"
        self._auth = _Bearer(token) if token else None
        self.verify: bool | str = ca_file or True
        self.cert = None

    def mount(self, prefix: str, adapter: requests.adapters.HTTPAdapter) -> None:
        self._session.mount(prefix, adapter)

    def widen(self, prefix: str) -> None:
        """Replace the adapter for this prefix by one with enough connections, and no retries."""
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=0)
        self._session.mount(prefix, adapter)

    def close(self) -> None:
        self._session.close()

    def request(self, method: str, url: str, **parts: Any) -> CheckedResponse:
        """Ask once and check the answer.

        Raises:
            UnavailableError: no whole answer in time, or 408, 429, 5xx.
            RefusedError: any other status, a redirect, or an answer that is none of Prometheus'.
        """
        deadline = self._monotonic() + self._timeout
        try:
            with self._session.request(
                method,
                url,
                params=parts["params"],
                auth=self._auth,
                verify=self.verify,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = self._read(response, deadline)
                return CheckedResponse(_check(response.status_code, body))
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise UnavailableError(f"no answer within {self._timeout:g} s") from error
        except ValueError as error:
            # requests' errors about a URL or a header are ValueErrors, too; asking again is no use.
            raise RefusedError(f"it cannot be asked ({type(error).__name__})") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise UnavailableError(_connection_fault(error)) from error
        except OSError as error:
            raise RefusedError("it cannot be asked: is caFile a PEM file?") from error

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        body = bytearray()
        for chunk in response.raw.stream(CHUNK, decode_content=True):
            body += chunk
            if len(body) > LARGEST_BODY:
                raise RefusedError(f"its answer is larger than {LARGEST_BODY // 1024**2} MiB")
            if self._monotonic() > deadline:
                raise UnavailableError(f"no whole answer within {self._timeout:g} s")
        return bytes(body)


def _connection_fault(error: Exception) -> str:
    """Name the fault; the libraries' own texts hold addresses of objects and whole URLs."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate could not be verified"
    cause: object = error
    for _ in range(DEEPEST_CAUSE):
        if isinstance(cause, OSError) and cause.strerror:
            return f"no connection ({cause.strerror})"
        if isinstance(cause, requests.RequestException) and cause.args:
            cause = cause.args[0]
        elif isinstance(cause, BaseException):
            cause = getattr(cause, "reason", None) or cause.__cause__ or cause.__context__
    return f"the exchange failed ({type(error).__name__})"


def _check(status: int, body: bytes) -> Answer:
    document = _parse(body)
    if status != 200:
        raise _fault(status, document)
    if document is None or document.get("status") != "success":
        raise RefusedError(f"it does not answer as Prometheus does{_told(document)}")
    data = document.get("data")
    if not isinstance(data, dict) or "result" not in data:
        raise RefusedError("it does not answer as Prometheus does: no data")
    return Answer(str(data.get("resultType")), data["result"], bool(document.get("warnings")))


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _fault(status: int, document: Mapping[str, Any] | None) -> ProviderError:
    if status in _TRANSIENT:
        return UnavailableError(f"status {status}{_told(document)}")
    if status in {401, 403}:
        return RefusedError(f"status {status}: it wants (other) credentials")
    if 300 <= status < 400:
        return RefusedError(f"status {status}: it redirects, which is never followed")
    return RefusedError(f"status {status}{_told(document)}")


def _told(document: Mapping[str, Any] | None) -> str:
    """Quote the error that Prometheus itself writes; never any other body."""
    text = document.get("error") if document else None
    if not isinstance(text, str):
        return ""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f": {plain[:LONGEST_ERROR]}"
