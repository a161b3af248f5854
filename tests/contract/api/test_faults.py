"""The sandbox's faults: each does what it says, to what it matches, as often as it says."""

import asyncio
import json

import aiohttp
import pytest

from daemon.sandbox.api import ApiServer
from tests.contract.api.cluster import MERGE, Cluster

REASONS = [
    (403, "Forbidden"), (404, "NotFound"), (409, "Conflict"), (410, "Expired"), (422, "Invalid"),
    (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable"), (504, "Timeout"),
]  # fmt: skip


@pytest.fixture
async def path(cluster: Cluster) -> str:
    await cluster.config()
    return cluster.at("configmaps", "c")


@pytest.mark.parametrize(("code", "reason"), REASONS, ids=[str(code) for code, _ in REASONS])
async def test_the_next_request_is_refused_and_the_one_after_is_not(
    cluster: Cluster, server: ApiServer, path, code, reason
):
    server.faults.answer(code)
    first, second = await cluster.get(path), await cluster.get(path)

    assert (first.code, first.body["reason"], second.code) == (code, reason, 200)


async def test_a_refusal_has_no_effect(cluster: Cluster, server: ApiServer, path):
    server.faults.answer(503)
    await cluster.patch(path, {"data": {"k": "2"}}, MERGE)

    assert (await cluster.get(path)).body["data"] == {"k": "v"}


async def test_retry_after_is_sent(cluster: Cluster, server: ApiServer, path):
    server.faults.answer(429, retry_after=7)

    assert (await cluster.get(path)).headers["Retry-After"] == "7"


MATCHES = [
    ("verb", {"verb": "get"}, 503),
    ("another verb", {"verb": "patch"}, 200),
    ("resource", {"resource": "configmaps"}, 503),
    ("another resource", {"resource": "pods"}, 200),
    ("name", {"name": "c"}, 503),
    ("another name", {"name": "d"}, 200),
    ("group", {"group": ""}, 503),
    ("another group", {"group": "apps"}, 200),
    ("agent", {"agent": "Python"}, 503),
    ("another agent", {"agent": "crossfade"}, 200),
    ("two, one of them wrong", {"verb": "get", "name": "d"}, 200),
]


@pytest.mark.parametrize(("match", "code"), [r[1:] for r in MATCHES], ids=[r[0] for r in MATCHES])
async def test_a_fault_matches_by(cluster: Cluster, server: ApiServer, path, match, code):
    server.faults.answer(503, times=None, **match)

    assert (await cluster.get(path)).code == code


async def test_a_fault_is_lifted(cluster: Cluster, server: ApiServer, path):
    fault = server.faults.answer(500, times=None)
    codes = [(await cluster.get(path)).code for _ in range(3)]
    fault.lift()

    assert (codes, fault.hits) == ([500, 500, 500], 3)
    assert (await cluster.get(path)).code == 200


async def test_a_lost_answer_had_its_effect(cluster: Cluster, server: ApiServer, path):
    server.faults.lose_answer(verb="patch")
    with pytest.raises(aiohttp.ClientError):
        await cluster.patch(path, {"data": {"k": "2"}}, MERGE)

    assert (await cluster.get(path)).body["data"] == {"k": "2"}


async def test_a_hanging_request_is_never_answered(cluster: Cluster, server: ApiServer, path):
    fault = server.faults.hang(verb="get")
    request = asyncio.ensure_future(cluster.get(path))
    done, _ = await asyncio.wait([request], timeout=0.1)
    fault.lift()

    assert (done, fault.hits) == (set(), 1)
    with pytest.raises(aiohttp.ClientError):
        await request


async def test_a_slow_request_is_answered_late(cluster: Cluster, server: ApiServer, path):
    fault = server.faults.slow(0.05, times=1)
    begun = asyncio.get_running_loop().time()
    answer = await cluster.get(path)

    assert (answer.code, fault.hits) == (200, 1)
    assert asyncio.get_running_loop().time() - begun >= 0.05


async def test_a_raw_answer_is_no_status(cluster: Cluster, server: ApiServer, path):
    server.faults.raw(503, b"<html>no healthy upstream</html>")
    answer = await cluster.get(path)

    assert (answer.code, answer.text) == (503, "<html>no healthy upstream</html>")


async def test_cut_watches_end_in_the_middle(cluster: Cluster, server: ApiServer, path):
    async with cluster.watch(cluster.at("configmaps")) as events:
        await events.told()
        cut = server.faults.cut_watches(resource="configmaps")

        assert cut == 1
        with pytest.raises(aiohttp.ClientError):
            await events.next()


async def test_watches_of_others_are_not_cut(cluster: Cluster, server: ApiServer, path):
    async with cluster.watch(cluster.at("configmaps")) as events:
        await events.told()

        assert server.faults.cut_watches(resource="pods") == 0
        await cluster.config("d")
        assert await events.told() == "ADDED d"


async def test_a_half_line_ends_the_watch(cluster: Cluster, server: ApiServer, path):
    async with cluster.watch(cluster.at("configmaps")) as events:
        await events.told()
        server.faults.half_line(resource="configmaps")
        await cluster.config("d")
        line = await events.answer.content.read()

    assert line.startswith(b'{"type":"ADDED"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


async def test_a_silent_watch_tells_nothing_until_the_fault_is_lifted(
    cluster: Cluster, server: ApiServer, path
):
    async with cluster.watch(cluster.at("configmaps"), allowWatchBookmarks="true") as events:
        await events.told()
        fault = server.faults.silence(verb="watch")
        await cluster.config("d")
        telling = asyncio.ensure_future(events.told())
        done, _ = await asyncio.wait([telling], timeout=0.1)
        fault.lift()

        assert not done
        assert await telling == "ADDED d"


async def test_a_watch_error_is_told_and_ends_the_watch(cluster: Cluster, server: ApiServer, path):
    async with cluster.watch(cluster.at("configmaps")) as events:
        await events.told()
        server.faults.watch_error(410)
        event = await events.any()

        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        assert await events.any() is None


async def test_a_server_that_stops_answering_answers_nothing(
    cluster: Cluster, server: ApiServer, path
):
    async with cluster.watch(cluster.at("configmaps")) as events:
        await events.told()
        fault = server.faults.stop_answering()
        tasks = [asyncio.ensure_future(cluster.get(p)) for p in (path, "/version", "/healthz")]
        tasks.append(asyncio.ensure_future(events.told()))
        done, _ = await asyncio.wait(tasks, timeout=0.1)
        fault.lift()
        outcomes = await asyncio.gather(*tasks[:3], return_exceptions=True)

        assert not done
        assert all(isinstance(outcome, aiohttp.ClientError) for outcome in outcomes)
        assert (await cluster.get(path)).code == 200
        await cluster.config("d")
        assert await tasks[3] == "ADDED d"


async def test_all_faults_are_cleared(cluster: Cluster, server: ApiServer, path):
    server.faults.answer(500, times=None)
    server.faults.answer(503, times=None)
    server.faults.clear()

    assert (await cluster.get(path)).code == 200


async def test_the_clock_can_jump(tmp_path):
    now = [1_800_000_000.0]
    server = ApiServer(clock=lambda: now[0])
    await server.start()
    async with aiohttp.ClientSession() as session:
        cluster = Cluster(server.url, session, "default", {}, server)
        first = await cluster.config("a")
        now[0] += 3_600
        second = await cluster.config("b")
    await server.stop()

    assert first.headers["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert second.headers["Date"] == "Fri, 15 Jan 2027 09:00:00 GMT"
    assert second.meta["creationTimestamp"] == "2027-01-15T09:00:00Z"


async def test_a_server_stops_with_watches_open(cluster: Cluster):
    server = ApiServer()
    await server.start()
    other = Cluster(server.url, cluster.session, "default")
    async with other.watch("/api/v1/namespaces") as events:
        await events.told()
        async with asyncio.timeout(5):
            await server.stop()
