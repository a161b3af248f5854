"""Plain HTTP over real sockets: what is sent, what is refused, and what an error says."""

import asyncio
import shutil
import ssl
import subprocess

import aiohttp
import pytest
from aiohttp import web

from daemon.errors import TransientError
from daemon.http import AiohttpHttp, _sentence
from daemon.ports import HttpRequest
from tests.contract.smoke.proxies import (
    Proxy,
    close_at_once,
    close_early,
    hang,
    huge_header,
    no_http,
    raw_server,
)


async def refused(http, **request):
    with pytest.raises(TransientError) as caught:
        await http.send(HttpRequest(**request))
    return caught.value


async def test_an_answer_has_status_headers_body_and_time(http, clock):
    def answer(request):
        clock.seconds += 0.25
        return web.Response(status=201, headers={"X-A": "1"}, body=b"hello")

    async with Proxy(answer).running() as proxy:
        got = await http.send(HttpRequest(proxy.url + "/"))

    assert (got.status, got.headers["x-a"], got.body, got.seconds) == (201, "1", b"hello", 0.25)


async def test_of_a_repeated_header_the_first_counts(http):
    async def twice(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nx-a: 1\r\nX-A: 2\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with raw_server(twice) as url:
        got = await http.send(HttpRequest(url))

    assert got.headers["x-a"] == "1"


async def test_method_headers_host_and_body_are_sent_as_they_are(http):
    async with Proxy().running() as proxy:
        await http.send(
            HttpRequest(
                proxy.url + "/a%2Fb?c=d",
                method="PUT",
                headers={"host": "echo.example.com", "stage": "canary"},
                body=b"{}",
            )
        )

    (request,) = proxy.requests
    assert (request.method, request.raw_path) == ("PUT", "/a%2Fb?c=d")
    assert request.headers.getall("host") == ["echo.example.com"]
    assert request.headers["stage"] == "canary"
    assert "content-type" not in request.headers
    assert await request.read() == b"{}"


async def test_redirects_are_not_followed(http):
    def answer(request):
        return web.Response(status=302, headers={"location": "/elsewhere"})

    async with Proxy(answer).running() as proxy:
        got = await http.send(HttpRequest(proxy.url + "/"))

    assert (got.status, len(proxy.requests)) == (302, 1)


async def test_cookies_are_not_kept(http):
    def answer(request):
        return web.Response(headers={"set-cookie": "a=b; Path=/"})

    async with Proxy(answer).running() as proxy:
        for _ in range(2):
            await http.send(HttpRequest(proxy.url + "/"))

    assert "cookie" not in proxy.requests[1].headers


async def test_a_proxy_of_the_environment_is_not_used(http, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    async with Proxy().running() as proxy:
        assert (await http.send(HttpRequest(proxy.url + "/"))).status == 200


async def test_a_fresh_request_has_a_connection_of_its_own(http):
    async with Proxy().running() as proxy:
        for fresh in (False, False, True, True):
            await http.send(HttpRequest(proxy.url + "/", fresh=fresh))

    ports = [request.transport_port for request in map(_Peer, proxy.requests)]
    assert ports[0] == ports[1]
    assert len(set(ports)) == 3


class _Peer:
    def __init__(self, request):
        self.transport_port = request._transport_peername[1]


async def test_a_compressed_body_is_not_unpacked(http):
    def answer(request):
        assert request.headers["accept-encoding"] == "identity"
        return web.Response(body=b"\x1f\x8bxx", headers={"content-encoding": "gzip"})

    async with Proxy(answer).running() as proxy:
        assert (await http.send(HttpRequest(proxy.url + "/"))).body == b"\x1f\x8bxx"


def ten_megabytes(request):
    return web.Response(body=b"secret" * 1_700_000)


async def test_a_body_over_the_limit_is_refused(http):
    async with Proxy(ten_megabytes).running() as proxy:
        error = await refused(http, url=proxy.url + "/", max_body=1000)

    assert str(error) == "the body is longer than 1000 bytes"


async def test_a_body_of_exactly_the_limit_is_taken(http):
    async with Proxy(lambda request: web.Response(body=b"x" * 1000)).running() as proxy:
        assert len((await http.send(HttpRequest(proxy.url + "/", max_body=1000))).body) == 1000


async def test_a_limit_of_zero_leaves_the_body_unread(http):
    async with Proxy(ten_megabytes).running() as proxy:
        got = await http.send(HttpRequest(proxy.url + "/", max_body=0))

    assert (got.status, got.body) == (200, b"")


FAULTS = [
    (hang, "no answer within 0.2 s"),
    (close_early, "closed the connection before the answer was complete"),
    (close_at_once, "closed the connection before the answer was complete"),
    (huge_header, "is no HTTP, or its headers are too long"),
    (no_http, "is no HTTP, or its headers are too long"),
]


@pytest.mark.parametrize(("reply", "sentence"), FAULTS, ids=[f.__name__ for f, _ in FAULTS])
async def test_a_server_that_misbehaves_is_told_in_a_sentence_without_its_words(
    http, reply, sentence
):
    timeout = 0.2 if reply is hang else 5.0
    async with raw_server(reply) as url:
        error = await refused(http, url=url, timeout=timeout)

    assert sentence in str(error)
    assert "secret" not in str(error)


async def test_a_refused_connection_names_the_peer_and_was_not_sent(http):
    async with raw_server(hang) as url:
        pass

    error = await refused(http, url=url)

    assert str(error) == f"connection refused by {url.removeprefix('http://')}"
    assert error.sent is False


async def test_an_unknown_name_is_told(http, nameless):
    error = await refused(http, url="http://echo.example.com:81/")

    assert str(error) == "no address for echo.example.com:81"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "/path",
        "http://",
        "http://user:secret@127.0.0.1/",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "",
    ],
)
async def test_a_url_that_is_none_of_ours_is_refused_unsent(http, url):
    error = await refused(http, url=url)

    assert "secret" not in str(error)
    assert "URL" in str(error)


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"x": "a\r\nhost: b"}},
        {"headers": {"a\nb": "c"}},
        {"method": "GET / HTTP/1.1\r\n"},
    ],
    ids=["value", "name", "method"],
)
async def test_a_line_break_cannot_be_smuggled_in(http, more):
    async with Proxy().running() as proxy:
        error = await refused(http, url=proxy.url + "/", **more)

    assert str(error).startswith("the request cannot be sent")
    assert proxy.requests == []


async def test_a_plain_server_on_a_tls_url_is_told(http):
    async with Proxy().running() as proxy:
        error = await refused(http, url=proxy.url.replace("http:", "https:"))

    assert str(error).startswith("no TLS connection with 127.0.0.1:")


async def test_a_ca_file_that_is_missing_is_named(http, tmp_path):
    error = await refused(http, url="https://127.0.0.1/", ca_file=str(tmp_path / "ca.pem"))

    assert str(error) == f"the CA file {tmp_path / 'ca.pem'} cannot be used"


async def test_a_ca_file_that_holds_no_certificate_is_named(http, tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")

    error = await refused(http, url="https://127.0.0.1/", ca_file=str(tmp_path / "ca.pem"))

    assert str(error) == f"the CA file {tmp_path / 'ca.pem'} cannot be used"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of its own for echo.example.com, and its key."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl is not here")
    folder = tmp_path_factory.mktemp("tls")
    name = ("-subj", "/CN=echo.example.com", "-addext", "subjectAltName=DNS:echo.example.com")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.pem"))
    subprocess.run(
        [openssl, "req", "-x509", *curve, *name, "-days", "1", *files],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def tls(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "ca.pem", certificate / "key.pem")
    return context


async def test_a_gateway_is_trusted_by_the_ca_file_for_the_host_that_is_asked_for(
    http, certificate, tls
):
    async with Proxy().running(tls) as proxy:
        url = proxy.url.replace("http:", "https:")
        headers = {"host": "echo.example.com"}
        request = HttpRequest(url, headers=headers, ca_file=str(certificate / "ca.pem"))

        assert (await http.send(request)).status == 200


@pytest.mark.parametrize(
    ("host", "with_ca"), [("other.example.com", True), ("echo.example.com", False)]
)
async def test_a_certificate_for_another_host_or_of_nobody_is_not_trusted(
    http, certificate, tls, host, with_ca
):
    async with Proxy().running(tls) as proxy:
        url = proxy.url.replace("http:", "https:")
        ca_file = str(certificate / "ca.pem") if with_ca else None
        error = await refused(http, url=url, headers={"host": host}, ca_file=ca_file)

    assert str(error).endswith("is not trusted")


def all_subclasses(kind):
    for child in kind.__subclasses__():
        yield child
        yield from all_subclasses(child)


def test_every_error_of_the_library_has_a_sentence():
    request = HttpRequest("http://a.example/")
    known = {aiohttp.ClientError, *all_subclasses(aiohttp.ClientError), TimeoutError, ssl.SSLError}
    for kind in known:
        error = kind.__new__(kind)
        if isinstance(error, aiohttp.ClientConnectorError):
            error._os_error = OSError(1, "secret")

        assert "secret" not in _sentence(error, request)


async def test_cancelling_a_request_ends_it(clock):
    async with raw_server(hang) as url, AiohttpHttp(clock) as http:
        task = asyncio.ensure_future(http.send(HttpRequest(url)))
        await asyncio.sleep(0)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
