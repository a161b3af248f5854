"""Credentials, kubeconfigs and the walls around foreign exceptions and calls without a time-out."""

import ast
import asyncio
import inspect
import json
import shutil
import ssl
import subprocess
from pathlib import Path
from unittest.mock import MagicMock

import aiohttp
import aiohttp.http_exceptions
import kubernetes.aio.client.exceptions
import kubernetes.aio.config
import pytest

import daemon.kube
from daemon.errors import CrossfadeError, ForbiddenError, PermanentError, TransientError
from daemon.kube.answers import Call, only_our_errors
from daemon.kube.api import KubeApi
from daemon.kube.connection import Connection, Outgoing, TokenFile, _proxy_for, in_cluster
from daemon.kube.objects import DEPLOYMENTS
from tests.contract.kube.scripted import (
    FakeClock,
    ScriptedServer,
    answer,
    write_kubeconfig,
)

CALL = Call("get", DEPLOYMENTS, "echo", "echo-v1")


def tokens(server):
    return [asked.headers.get("authorization") for asked in server.asked]


# ---------------------------------------------------------------- a token that rotates


async def test_after_a_401_the_token_is_read_again_and_the_request_sent_again(server, tmp_path):
    path = write_kubeconfig(tmp_path, server.url, {"token": "old"})
    api = await KubeApi.from_kubeconfig(FakeClock(), path)
    server.replies += [answer(401), answer(body={"kind": "Deployment"})]
    write_kubeconfig(tmp_path, server.url, {"token": "new"})

    assert await api.get(DEPLOYMENTS, "echo", "echo-v1") == {"kind": "Deployment"}

    assert tokens(server) == ["Bearer old", "Bearer new"]
    await api.close()


async def test_a_second_401_is_the_answer(server, api):
    server.replies += [answer(401), answer(401), answer()]

    with pytest.raises(ForbiddenError, match="does not know us"):
        await api.get(DEPLOYMENTS, "echo", "echo-v1")

    assert len(server.asked) == 2


async def test_a_kubeconfig_gone_at_a_401_is_transient(server, api, tmp_path):
    server.replies += [answer(401)]
    (tmp_path / "kubeconfig").unlink()

    with pytest.raises(TransientError, match="credentials") as caught:
        await api.get(DEPLOYMENTS, "echo", "echo-v1")

    assert not caught.value.sent


async def test_the_newline_at_the_end_of_a_token_file_is_no_part_of_it(server, tmp_path):
    (tmp_path / "token").write_text("from-file\n")
    path = write_kubeconfig(tmp_path, server.url, {"tokenFile": str(tmp_path / "token")})
    api = await KubeApi.from_kubeconfig(FakeClock(), path)
    server.replies += [answer()]

    await api.get(DEPLOYMENTS, "echo", "echo-v1")

    assert tokens(server) == ["Bearer from-file"]
    await api.close()


class Settings:
    def __init__(self):
        self.api_key = {}


def filled(token):
    settings = Settings()
    token.fill(settings)
    return settings.api_key["BearerToken"]


def test_a_token_is_read_again_after_a_minute(tmp_path, clock):
    path = tmp_path / "token"
    path.write_text("one\n")
    token = TokenFile(path, clock)
    assert filled(token) == "Bearer one"

    path.write_text("two")
    clock.seconds += 59
    assert filled(token) == "Bearer one"
    clock.seconds += 1
    assert filled(token) == "Bearer two"


def test_a_token_is_read_at_once_when_it_was_refused(tmp_path, clock):
    path = tmp_path / "token"
    path.write_text("one")
    token = TokenFile(path, clock)
    filled(token)

    path.write_text("two")
    token.read()

    assert filled(token) == "Bearer two"


def test_a_token_file_that_is_empty_for_a_moment_leaves_the_old_token(tmp_path, clock):
    path = tmp_path / "token"
    path.write_text("one")
    token = TokenFile(path, clock)
    filled(token)

    path.write_text("")
    clock.seconds += 60

    assert filled(token) == "Bearer one"


@pytest.mark.parametrize("content", [None, "", "\n", "é"])
def test_no_token_at_all_is_transient_until_there_is_one(tmp_path, clock, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    token = TokenFile(path, clock)
    with pytest.raises(TransientError, match="missing or empty"):
        filled(token)

    path.write_text("one")

    assert filled(token) == "Bearer one"


# ---------------------------------------------------------------- inside a cluster


@pytest.fixture
def service_account(tmp_path):
    """A service account's folder whose CA signs a server on 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=it", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", tmp_path / "key", "-out", tmp_path / "ca.crt"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return tmp_path


async def test_a_pod_uses_its_service_account_over_tls(service_account, clock):
    (service_account / "token").write_text("")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(service_account / "ca.crt", service_account / "key")
    async with ScriptedServer([answer(), answer(401), answer()]).running(context) as server:
        environ = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(server.port),
        }
        api = KubeApi(await in_cluster(clock, "crossfade/test", environ, service_account), clock)

        with pytest.raises(TransientError, match="empty"):
            await api.get(DEPLOYMENTS, "echo", "echo-v1")
        (service_account / "token").write_text("one")
        await api.get(DEPLOYMENTS, "echo", "echo-v1")
        (service_account / "token").write_text("two")
        await api.get(DEPLOYMENTS, "echo", "echo-v1")

        assert tokens(server) == ["Bearer one", "Bearer one", "Bearer two"]
        await api.close()


@pytest.mark.parametrize("environ", [{}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}])
async def test_outside_of_a_cluster_it_says_what_is_missing(clock, environ, tmp_path):
    (tmp_path / "ca.crt").touch()

    with pytest.raises(PermanentError, match="Not inside a cluster"):
        await in_cluster(clock, "crossfade/test", environ, tmp_path)


# ---------------------------------------------------------------- kubeconfigs


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("[]", id="a list"),
        pytest.param("{}", id="an empty map"),
        pytest.param("a: [", id="no YAML"),
        pytest.param("\x00", id="binary"),
        pytest.param(json.dumps({"current-context": "it", "contexts": [{"name": "it"}]}), id="half"),
        pytest.param(
            json.dumps({
                "current-context": "it",
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                "clusters": [{"name": "it", "cluster": {"server": "https://127.0.0.1:1",
                              "certificate-authority": "/nowhere"}}],
                "users": [],
            }),
            id="its CA is missing",
        ),
    ],
)  # fmt: skip
async def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path, clock, content):
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)

    with pytest.raises(PermanentError, match=str(path)):
        await KubeApi.from_kubeconfig(clock, str(path))


async def test_a_context_that_is_not_there_is_named(tmp_path, clock):
    path = write_kubeconfig(tmp_path, "http://127.0.0.1:1")

    with pytest.raises(PermanentError, match="elsewhere"):
        await KubeApi.from_kubeconfig(clock, path, "elsewhere")


# ---------------------------------------------------------------- proxies


async def test_neither_a_proxy_nor_netrc_of_the_environment_touches_loopback(
    server, tmp_path, monkeypatch
):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    path = write_kubeconfig(tmp_path, server.url, {"username": "", "password": ""})
    api = await KubeApi.from_kubeconfig(FakeClock(), path)
    server.replies += [answer()]

    await api.get(DEPLOYMENTS, "echo", "echo-v1")

    assert tokens(server) == ["Basic Og=="]
    await api.close()


@pytest.mark.parametrize(
    ("host", "proxy"),
    [
        ("https://api.example.com:6443", "http://proxy.example.com:3128"),
        ("https://api.internal", None),
        ("https://127.0.0.1:6443", None),
        ("https://localhost", None),
        ("https://[::1]:6443", None),
    ],
)
def test_a_proxy_of_the_environment_is_used_as_kubectl_would(monkeypatch, host, proxy):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    monkeypatch.delenv("https_proxy", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "internal")

    assert _proxy_for(host) == proxy


# ---------------------------------------------------------------- nothing foreign gets out


def exception_classes():
    modules = (
        aiohttp,
        aiohttp.client_exceptions,
        aiohttp.http_exceptions,
        kubernetes.aio.client.exceptions,
        kubernetes.aio.config,
        asyncio,
        ssl,
    )
    found = {
        each
        for module in modules
        for each in vars(module).values()
        if inspect.isclass(each)
        and issubclass(each, Exception)
        and not issubclass(each, Warning | CrossfadeError)
        and each not in NOT_THE_CONNECTIONS
    }
    return sorted(found, key=lambda each: f"{each.__module__}.{each.__qualname__}")


NOT_THE_CONNECTIONS = {
    asyncio.InvalidStateError,  # misuse of a Future
    asyncio.QueueEmpty,
    asyncio.QueueFull,
    asyncio.BrokenBarrierError,
    asyncio.IncompleteReadError,  # of asyncio's own streams, which aiohttp does not use
    asyncio.LimitOverrunError,
    asyncio.SendfileNotAvailableError,
    aiohttp.WebSocketError,  # we open no web sockets
    aiohttp.WSMessageTypeError,
    aiohttp.EofStream,  # a signal inside aiohttp, caught there
}


def raised(kind):
    """Make one, with stand-ins for whatever it wants to know."""
    wanted = [
        parameter
        for parameter in inspect.signature(kind.__init__).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ][1:]
    return kind(*[MagicMock(name=parameter.name) for parameter in wanted])


FOREIGN = exception_classes()


def test_the_walk_below_has_something_to_walk_over():
    assert len(FOREIGN) > 40


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
async def test_no_exception_of_the_libraries_leaks(kind):
    client = MagicMock()
    client.configuration.host = "http://127.0.0.1"

    async def fail(*_args, **_kwargs):
        raise raised(kind)

    client.update_params_for_auth = fail if "kubernetes" in kind.__module__ else nothing
    client.rest_client.pool_manager.request = fail
    connection = Connection(client, fail, "crossfade/test")

    with pytest.raises(CrossfadeError) as caught, only_our_errors(CALL, 1):
        await connection.send(Outgoing("GET", "/"), limits=aiohttp.ClientTimeout(1))

    assert str(caught.value)
    assert caught.value.__cause__ is not None


async def nothing(*_args, **_kwargs):
    pass


# ---------------------------------------------------------------- no call without a time-out


def calls_in(name):
    source = Path(daemon.kube.__file__).with_name(name).read_text()
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]


def called(node):
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


TIMED = {"request": "timeout", "send": "limits", "_exchange": "seconds"}
"""Name of a method that goes out: the argument that bounds it."""


@pytest.mark.parametrize(
    "name", sorted(p.name for p in Path(daemon.kube.__file__).parent.glob("*.py"))
)
def test_no_call_goes_out_without_a_time_out(name):
    for node in calls_in(name):
        if called(node) in TIMED:
            given = {keyword.arg for keyword in node.keywords}
            assert TIMED[called(node)] in given, ast.unparse(node)


def test_the_rule_above_finds_the_calls():
    found = [called(node) for name in ("api.py", "connection.py") for node in calls_in(name)]

    assert found.count("request") == 1
    assert found.count("send") == 2
    assert found.count("_exchange") == 6


@pytest.mark.parametrize(
    ("method", "argument"), [(Connection.send, "limits"), (KubeApi._exchange, "seconds")]
)
def test_no_time_out_is_left_to_a_default(method, argument):
    assert inspect.signature(method).parameters[argument].default is inspect.Parameter.empty


def test_every_way_into_the_cluster_goes_through_the_timed_ones():
    public = {
        name: ast.unparse(ast.parse(inspect.getsource(method).replace("\n    ", "\n").strip()))
        for name, method in inspect.getmembers(KubeApi, inspect.isfunction)
        if not name.startswith("_") and name != "close"
    }

    assert set(public) == {"get", "list_page", "watch", "json_patch", "create", "replace", "delete"}
    for name, source in public.items():
        assert "self._exchange(" in source or name == "watch"


@pytest.mark.parametrize("name", ["get", "post", "put", "patch", "head", "options", "ws_connect"])
def test_nobody_uses_a_shortcut_of_the_http_session(name):
    for path in Path(daemon.kube.__file__).parent.glob("*.py"):
        for node in calls_in(path.name):
            if called(node) == name:
                assert "session" not in ast.unparse(node.func), path.name
