"""Nothing of requests or urllib3 leaves the session: every exception they have, raised for real."""

import time
from collections.abc import Iterator

import pytest
import requests
import requests.adapters
import urllib3.exceptions

from analysis.errors import ProviderError
from analysis.providers.session import CheckedSession


def kinds(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__.startswith(("requests", "urllib3")) and not issubclass(kind, Warning):
            yield from kinds(kind)


EVERY_KIND = sorted(
    {*kinds(requests.RequestException), *kinds(urllib3.exceptions.HTTPError)},
    key=lambda kind: (kind.__module__, kind.__name__),
)


class Raising(requests.adapters.HTTPAdapter):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def send(self, *_, **__) -> requests.Response:
        raise self._error


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_exception_of_the_libraries_becomes_one_of_ours(kind):
    error = kind.__new__(kind)
    error.args = ("http://user:hunter2@127.0.0.1/?query=secret",)
    session = CheckedSession(time.monotonic, timeout=1)
    session.mount("http://", Raising(error))

    with pytest.raises(ProviderError) as raised:
        session.request("GET", "http://127.0.0.1:1/api/v1/query", params={"query": "up"})
    session.close()

    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is error


def test_there_are_many_kinds():
    assert len(EVERY_KIND) > 40


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (requests.exceptions.SSLError("x"), "its certificate could not be verified"),
        (requests.ConnectionError(OSError(113, "No route to host")), r"no connection \(No route"),
        (requests.ConnectionError("x"), r"the exchange failed \(ConnectionError\)"),
        (requests.ReadTimeout("x"), "no answer within 1 s"),
    ],
)
def test_a_fault_of_the_connection_is_named_for_people(error, text):
    session = CheckedSession(time.monotonic, timeout=1)
    session.mount("http://", Raising(error))

    with pytest.raises(ProviderError, match=text):
        session.request("GET", "http://127.0.0.1:1/", params={})
    session.close()
