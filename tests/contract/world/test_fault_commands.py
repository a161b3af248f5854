"""Faults of a running sandbox, caused from another process: each is seen, listed, and mended."""

import asyncio
import json
import os
import re
import signal
import stat
import subprocess
import sys
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import click
import pytest
import pytest_asyncio
from click.testing import CliRunner

from daemon.errors import ConflictError, TransientError
from daemon.ports import Resource
from daemon.sandbox.api.faults import MAX_FAULTS
from daemon.sandbox.cli import commands
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.control import CONTROL, ask_control, controlled, find_control
from daemon.sandbox.controllers.objects import is_ready
from daemon.sandbox.faults import WorldFaults
from daemon.sandbox.kinds import NODES, VIRTUAL_SERVICES
from daemon.sandbox.knobs import PREFIX
from daemon.sandbox.world import World, WorldOptions

COMMAND = "from daemon.sandbox.cli import commands; commands(prog_name='crossfade')"
ROOT = Path(__file__).parents[3]
DEADLINE = 20.0
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
ECHO = (VIRTUAL_SERVICES, "gloo-system", "echo")
DAEMON = "crossfade/test"
"""A User-Agent as the daemon's."""


# ---------------------------------------------------------------- a sandbox in its own process


def start(*options, temporary=None):
    """Start `sandbox up`, and wait until it is."""
    environment = dict(os.environ) | ({"TMPDIR": str(temporary)} if temporary else {})
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "sandbox", "up", *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = ""
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, f"it ended: {said}"
        said += line
    return process, said


def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    process.communicate(timeout=DEADLINE)


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """A sandbox with two proxies; its directory."""
    directory = tmp_path_factory.mktemp("up") / "sandbox"
    process, _ = start("--dir", str(directory), "--proxies", "2")
    yield directory
    end(process)


@pytest.fixture
def fault(up):
    """Run `sandbox fault ...` on it; afterwards everything is mended."""

    def run(*words, code=0):
        return told(["--dir", str(up), *words], code=code)

    yield run
    run("clear")


def told(words, *, code=0, **environment):
    result = CliRunner().invoke(commands, ["sandbox", "fault", *words], env=environment)
    assert result.exit_code == code, result.output
    return result.output.strip()


def test_nothing_is_broken_at_first(fault):
    assert fault("list") == "nothing is broken"


CAUSED = [
    (
        "api answer 409 --verb patch --resource virtualservices --name echo --times 2",
        "resource virtualservices, name echo, agent crossfade/ are refused with 409, 2 times more",
    ),
    (
        "api answer 429 --retry-after 3 --until-cleared --from kubectl",
        "requests with agent kubectl/ are refused with 429, until cleared",
    ),
    ("api answer 503", "requests with agent crossfade/ are refused with 503, 1 time more"),
    (
        "api hang --verb patch",
        "requests with verb patch, agent crossfade/ are never answered, until cleared",
    ),
    (
        "api slow 50ms --from everybody --resource leases",
        "requests with resource leases are answered 50ms late, until cleared",
    ),
    (
        "api lose-answer --namespace echo",
        "requests with namespace echo, agent crossfade/ are carried out and not answered, 1 time",
    ),
    ("api silence-watches", "watches with agent crossfade/ say nothing, until cleared"),
    ("api end-watches", "watches with agent crossfade/ end with an ERROR 410, 1 time more"),
    ("api clock --ahead 90s", "the API server's clock is 1m30s ahead"),
    ("api clock --behind 1h", "the API server's clock is 1h behind"),
    ("gateway reject a-bad-regex", "the gateway rejects every VirtualService: a-bad-regex"),
    ("gateway delay 1s", "changes of routes are live after up to 1s"),
    ("gateway status-delay 2s", "statuses come 2s after the routes"),
    ("gateway freeze", "frozen proxies, told nothing: 0, 1"),
    ("gateway freeze 1", "frozen proxies, told nothing: 1"),
    ("gateway unbind", "proxies that cannot bind their listener: 0, 1"),
    ("gateway unbind 1", "proxies that cannot bind their listener: 1"),
    ("pods fail v1 0.2 --path /work --path /pay", "error-paths /work,/pay, error-rate 0.2"),
    ("pods slow v1 50ms", "2 pods of v1: latency 0.05s"),
    ("pods never-ready v1", "2 pods of v1: never-ready true"),
    ("pods flap v1 2s", "2 pods of v1: flap 2s"),
    ("metrics v1 vanish", "2 pods of v1: metrics vanish"),
    ("metrics v1 lie", "2 pods of v1: metrics lie"),
    ("metrics v1 stale", "2 pods of v1: metrics stale"),
]


@pytest.mark.parametrize(("words", "sentence"), CAUSED, ids=[row[0] for row in CAUSED])
def test_a_fault_is_told_listed_and_mended(fault, words, sentence):
    said = fault(*words.split())
    listed = fault("list")
    fault("clear")

    assert sentence in said
    assert sentence.removeprefix("2 ") in listed
    assert fault("list") == "nothing is broken"


ONCE = [
    ("api cut-watches", "cut 0 open watches"),
    ("gateway thaw", "every proxy listens and is told the newest routes"),
    ("gateway restart", "the control plane has restarted"),
    ("gateway restart-proxy 1", "proxy 1 restarts with the routes it had"),
    ("pods crash v1", "2 processes of v1 crashed; they start again"),
    ("metrics v1 reset", "2 processes of v1 count from zero"),
]


@pytest.mark.parametrize(("words", "sentence"), ONCE, ids=[row[0] for row in ONCE])
def test_what_happens_once_is_told_and_not_listed(fault, words, sentence):
    assert sentence in fault(*words.split())
    assert fault("list") == "nothing is broken"


REFUSED = [
    ("pods crash v9", 1, "error: no pod of v9 runs; versions that are there: v1"),
    ("gateway freeze 7", 1, "error: there is no proxy 7; there are 0, 1"),
    ("gateway restart-proxy 7", 1, "error: there is no proxy 7; there are 0, 1"),
    ("pods flap v1 10ms", 1, "'0.01s' is not a duration from 100ms to 1h"),
    ("clear 99", 1, "error: there is no fault 99"),
    ("clear everything", 2, "'everything' is neither a number nor one of api, gateway, pods, all"),
    ("api answer 418", 2, "'418' is not one of"),
    ("api slow soon", 2, "'soon' is no duration such as 500ms, 2s or 1m30s"),
    ("api clock", 2, "say either --ahead or --behind"),
    ("api clock --ahead 1s --behind 1s", 2, "say either --ahead or --behind"),
    ("pods fail v1 20", 2, "20.0 is not in the range 0<=x<=1"),
    ("metrics v1 none", 2, "'none' is not one of"),
]


@pytest.mark.parametrize(("words", "code", "sentence"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_caused_is_refused_with_what_can(fault, words, code, sentence):
    assert sentence in fault(*words.split(), code=code)
    assert fault("list") == "nothing is broken"


def test_one_of_several_faults_is_mended_by_its_number(fault):
    first = fault("api", "answer", "409").partition(":")[0]
    second = fault("api", "answer", "503").partition(":")[0]

    fault("clear", first)

    assert re.findall(r"^\d+", fault("list"), re.MULTILINE) == [second]


def test_one_part_of_the_sandbox_is_mended_by_its_name(fault):
    fault("api", "clock", "--ahead", "1h")
    fault("gateway", "freeze")

    fault("clear", "gateway")

    assert fault("list").startswith("api clock")


def leaves(group, *words):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, *words, name)
        else:
            yield (*words, name)


@pytest.mark.parametrize(
    "words", list(leaves(commands.commands["sandbox"].commands["fault"])), ids=" ".join
)
def test_every_fault_says_in_its_help_what_it_imitates(words):
    text = told([*words, "--help"])
    paragraph = text.split("\n\n")[1]

    assert len(paragraph.split()) > 4
    assert words[-1] in {"list", "clear", "thaw", "metrics", "answer", "end-watches"} or ":" in text


# ---------------------------------------------------------------- which sandbox


def test_the_control_file_is_its_owners_alone(up):
    mode = stat.S_IMODE((up / CONTROL).stat().st_mode)

    assert mode == 0o600


def test_the_control_file_goes_with_the_sandbox(tmp_path):
    process, _ = start("--dir", str(tmp_path / "s"))
    assert (tmp_path / "s" / CONTROL).exists()

    end(process)

    assert not (tmp_path / "s").exists()
    assert "no sandbox runs with its files in" in told(
        ["--dir", str(tmp_path / "s"), "list"], code=1
    )


def test_without_a_directory_the_newest_sandbox_is_asked(tmp_path):
    older, _ = start(temporary=tmp_path)
    newer, said = start(temporary=tmp_path)
    directory = Path(re.search(r"KUBECONFIG=(\S+)/kubeconfig", said)[1])
    try:
        assert find_control(None, {}, tmp_path) == directory / CONTROL
    finally:
        end(newer)
        end(older)


def test_the_sandbox_of_kubeconfig_comes_before_the_newest(up, tmp_path):
    newest = tmp_path / "crossfade-sandbox-x"
    newest.mkdir()
    (newest / CONTROL).write_text("{}")
    environment = {"KUBECONFIG": str(up / "kubeconfig")}

    assert find_control(None, environment, tmp_path) == up / CONTROL
    assert told(["list"], **environment) == "nothing is broken"


def test_without_any_sandbox_it_says_how_to_start_one(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    assert "`crossfade sandbox up`" in told(["list"], code=1, KUBECONFIG=str(tmp_path / "k"))


def test_a_sandbox_that_was_killed_does_not_answer(tmp_path):
    process, _ = start("--dir", str(tmp_path / "s"))
    end(process, signal.SIGKILL)

    said = told(["--dir", str(tmp_path / "s"), "list"], code=6)

    assert f"the sandbox of {tmp_path / 's'} does not answer" in said


def test_a_control_file_that_is_none_is_refused(tmp_path):
    (tmp_path / CONTROL).write_text("[]")

    assert "is no control file of a sandbox" in told(["--dir", str(tmp_path), "list"], code=1)


async def test_nobody_without_the_token_is_answered(up):
    url = json.loads((up / CONTROL).read_text())["url"]

    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"Authorization": "Bearer guess"}):
            async with session.post(
                f"{url}/clear", json={"what": "all"}, headers=headers
            ) as answer:
                assert answer.status == 401


BAD_REQUESTS = [
    (
        "POST",
        "/faults",
        {"fault": "api.melt"},
        "there is no fault 'api.melt'; there are api.answer",
    ),
    ("POST", "/faults", {"fault": "api.answer"}, "missing a required"),
    ("POST", "/faults", {"fault": "api.answer", "code": 418}, "418 is none of 403"),
    ("POST", "/faults", {"fault": "api.hang", "colour": "red"}, "are not chosen by colour"),
    ("POST", "/faults", {"fault": "gateway.reject", "reason": ""}, "needs a reason"),
    ("POST", "/faults", {"fault": "gateway.thaw", "now": True}, "unexpected keyword"),
    ("POST", "/clear", {"what": "it"}, "'it' is no fault's number and none of"),
    ("GET", "/", None, "there is no GET /"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "sentence"), BAD_REQUESTS, ids=[row[3] for row in BAD_REQUESTS]
)
def test_a_request_of_another_kind_is_refused_with_a_sentence(up, method, path, body, sentence):
    with pytest.raises(Exception, match=re.escape(sentence)):
        ask_control(up / CONTROL, method, path, body)


# ---------------------------------------------------------------- what the faults do


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world():
    async with World(WorldOptions(proxies=2)) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def faults(world):
    """The faults of the world; afterwards both proxies serve its route again."""
    made = WorldFaults(world)
    yield made
    await made.clear()
    await world.client.merge_patch(*ECHO, {"spec": {"virtualHost": {"domains": ["*"]}}})
    await world.ready("v1")
    for proxy in (0, 1):
        await world.until(lambda it=proxy: answers(world, 200, proxy=it), f"proxy {proxy}")


@pytest_asyncio.fixture(loop_scope="module")
async def daemon(world):
    """A client whose requests look like the daemon's."""
    async with SandboxClient(world.api.url, manager=DAEMON) as client:
        yield client


in_the_world = pytest.mark.asyncio(loop_scope="module")


@in_the_world
async def test_a_refusal_hits_whom_it_is_meant_for_so_often_and_then_no_more(faults, world, daemon):
    faults.api.answer(code=409, times=1, agent="crossfade/", verb="get")

    await world.client.get(*ECHO)
    with pytest.raises(ConflictError):
        await daemon.get(*ECHO)
    await daemon.get(*ECHO)

    assert faults.listed() == {}


@in_the_world
async def test_a_lost_answer_was_carried_out(faults, world, daemon):
    faults.api.lose_answer(agent="crossfade/", verb="create")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lost"}}

    with pytest.raises(TransientError):
        await daemon.create(CONFIG_MAPS, "echo", body)

    assert (await world.client.get(CONFIG_MAPS, "echo", "lost"))["metadata"]["name"] == "lost"


@in_the_world
async def test_a_hanging_request_ends_when_the_fault_is_cleared(faults, world, daemon):
    number = faults.api.hang(agent="crossfade/").partition(":")[0]
    asking = asyncio.ensure_future(daemon.merge_patch(*ECHO, {}))

    await world.until(lambda: "hit 1 time" in faults.listed()[number], "the request to hang")
    await faults.clear(number)

    with pytest.raises(TransientError):
        await asyncio.wait_for(asking, DEADLINE)


@in_the_world
async def test_cut_watches_are_opened_again_by_the_sandboxs_own_parts(faults, world):
    said = faults.api.cut_watches()

    assert int(re.search(r"\d+", said)[0]) > 5
    await world.deploy("v8", replicas=1)
    await world.ready("v8", 1)
    await world.scale("v8", 0)
    await world.ready("v8", 0)


@in_the_world
async def test_the_api_servers_date_follows_its_clock(faults, world):
    faults.api.clock(seconds=3600.0)

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{world.api.url}/version") as answer,
    ):
        ahead = (
            parsedate_to_datetime(answer.headers["Date"]).timestamp()
            - world.clock.now().timestamp()
        )

    assert 3590 < ahead < 3610
    await faults.clear("api")
    assert world.api_clock.ahead == 0


@in_the_world
async def test_a_rejecting_gateway_says_so_and_keeps_its_routes(faults, world):
    faults.gateway.reject(reason="a bad regex")

    await world.until(lambda: has_state(world, "Rejected"), "the route to be rejected")
    assert (await world.ask()).status == 200
    await faults.clear("gateway")
    await world.until(lambda: has_state(world, "Accepted"), "the route to be accepted again")


@in_the_world
async def test_after_a_restart_of_the_control_plane_a_rejected_host_is_lost(faults, world):
    faults.gateway.reject(reason="a bad regex")
    await world.until(lambda: has_state(world, "Rejected"), "the route to be rejected")

    faults.gateway.restart()

    await world.until(lambda: answers(world, 404), "the host to be lost")
    await faults.clear()
    await world.until(lambda: answers(world, 200), "the host to be back")


@in_the_world
async def test_a_frozen_proxy_serves_the_old_routes_until_it_thaws(faults, world):
    faults.gateway.freeze(proxies=[1])
    gone = {"spec": {"virtualHost": {"domains": ["elsewhere.example"]}}}
    await world.client.merge_patch(*ECHO, gone)

    await world.until(lambda: answers(world, 404), "proxy 0 to follow")
    assert (await world.ask(url=world.urls[1])).status == 200

    faults.gateway.thaw()
    await world.until(lambda: answers(world, 404, proxy=1), "proxy 1 to follow")


@in_the_world
async def test_a_proxy_that_restarts_comes_back_on_its_port(faults, world):
    first = world.gateway.envoys[1].pid

    await faults.gateway.restart_proxy(number=1)

    await world.until(lambda: world.gateway.envoys[1].pid not in (first, None), "a new process")
    await world.until(lambda: answers(world, 200, proxy=1), "it to answer")


@in_the_world
async def test_failing_pods_fail_on_their_paths_alone_and_are_well_again_when_cleared(
    faults, world
):
    await faults.pods.turn(version="v1", knobs={"error-rate": "1", "error-paths": "/work"})

    assert [(await world.ask(path)).status for path in ("/work", "/")] == [500, 200]
    await faults.clear("pods")
    assert (await world.ask("/work")).status == 200


@in_the_world
async def test_clearing_leaves_a_pod_the_knobs_of_its_deployment(faults, world):
    await world.deploy("v3", replicas=1, error_rate="1")
    await world.ready("v3", 1)
    await faults.pods.turn(version="v3", knobs={"error-rate": "0", "latency": "1ms"})
    assert faults.listed() == {"pods v3": "pods of v3: error-rate 0, latency 1ms"}

    await faults.clear("pods")

    [pod] = await world.pods("v3")
    annotations = pod["metadata"]["annotations"]
    assert annotations[f"{PREFIX}error-rate"] == "1"
    assert f"{PREFIX}latency" not in annotations
    await world.scale("v3", 0)
    await world.ready("v3", 0)


@in_the_world
async def test_a_flapping_pod_is_ready_and_not_ready_by_turns(faults, world):
    await faults.pods.turn(version="v1", knobs={"flap": "150ms"})

    for wanted in (False, True, False):
        await world.until(lambda it=wanted: all_are(world, it), f"all pods to be ready: {wanted}")


@in_the_world
async def test_a_crash_is_a_restart_of_the_container(faults, world):
    before = await restarts(world)

    await faults.pods.crash(version="v1")

    await world.until(lambda: restarted(world, before), "the containers to be restarted")


@in_the_world
async def test_metrics_that_are_reset_begin_at_zero(faults, world):
    await world.ask()

    await faults.pods.reset_metrics(version="v1")

    runs = [run for (_, name), run in world.node.pods.items() if name.startswith("echo-v1-")]
    assert [run.echo.counts.by_code.total() for run in runs] == [0, 0]


@in_the_world
async def test_what_is_broken_can_be_told_and_mended_while_the_api_server_hangs(faults, world):
    async with controlled(world):
        faults.api.hang()
        faults.gateway.freeze(proxies=[])
        file = world.directory / CONTROL
        listed = await asyncio.to_thread(ask_control, file, "GET", "/faults")
        other = await asyncio.to_thread(ask_control, file, "POST", "/clear", {"what": "all"})

    assert "frozen proxies, told nothing: 0, 1" in listed["faults"].values()
    assert other == {"said": "everything is mended"}


@in_the_world
async def test_more_faults_than_there_can_be_are_refused(faults, world):
    for _ in range(MAX_FAULTS):
        faults.api.answer(code=503, agent="nobody")

    async with controlled(world):
        with pytest.raises(Exception, match="more than 1000 faults"):
            await asyncio.to_thread(
                ask_control,
                world.directory / CONTROL,
                "POST",
                "/faults",
                {"fault": "api.hang", "agent": "nobody"},
            )

    await faults.clear()
    await world.client.get(NODES, "", "sandbox")


async def has_state(world, state):
    obj = await world.client.get(*ECHO)
    return obj["status"]["statuses"]["gloo-system"]["state"] == state


async def answers(world, status, *, proxy=0):
    try:
        return (await world.ask(url=world.urls[proxy])).status == status
    except TransientError:
        return False


async def all_are(world, wanted):
    return all(is_ready(pod) is wanted for pod in await world.pods("v1"))


async def restarts(world):
    pods = await world.pods("v1")
    return {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"]
        for pod in pods
    }


async def restarted(world, before):
    return await restarts(world) == {name: count + 1 for name, count in before.items()}
