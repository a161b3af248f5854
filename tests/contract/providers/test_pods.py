"""The provider `pods` against real sockets that behave and misbehave."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from analysis.errors import RefusedError
from analysis.judge import begin, judge, settings_from
from analysis.providers.base import PodAddress, Scope
from analysis.providers.pods import LONGEST_REASON, PodsProvider
from analysis.samples import Counters, close_block
from analysis.verdict import Ground, Verdict
from config.schema import Metrics, PodsSource, PrometheusSource
from tests.contract.providers.servers import answering, fetch, serving
from tests.spec.analysis.readings import SUCCESS, rollout

STABLE = PodAddress("echo-v1-a", "127.0.0.1")
CANARY = PodAddress("echo-v2-a", "127.0.0.2")
BROKEN = PodAddress("echo-v2-b", "127.0.0.3")


def page(requests: int, failed: int = 0) -> str:
    return (
        f'http_requests_total{{code="200"}} {requests - failed}\n'
        f'http_requests_total{{code="500"}} {failed}\n'
    )


def scope(port: int, *canaries: PodAddress, canary: str | None = "v2") -> Scope:
    return Scope(
        namespace="echo",
        target="echo",
        stable="v1",
        canary=canary,
        pods={"v1": (STABLE,), "v2": canaries or (CANARY,)},
        metrics=Metrics(pods=PodsSource(port=port)),
    )


def provider(timeout: float = 2.0, by=fetch) -> PodsProvider:
    return PodsProvider(by, time.monotonic, timeout=timeout)


@asynccontextmanager
async def pods_with(pages: dict[str, str | int]):
    """Three pods on their own addresses; an int is a status, "hang" never answers."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        host = request.host.partition(":")[0]
        asked.append(request.path)
        it = pages[host]
        if it == "hang":
            await asyncio.Event().wait()
        return web.Response(status=it) if isinstance(it, int) else web.Response(text=str(it))

    async with serving(answer, "127.0.0.1", "127.0.0.2", "127.0.0.3") as port:
        yield port, asked


async def test_each_pods_counters_are_read_under_its_version():
    async with pods_with({"127.0.0.1": page(900, 2), "127.0.0.2": page(83, 6)}) as (port, asked):
        reading = await provider().read(scope(port))

    assert reading.pods == {
        "v1": {"echo-v1-a": Counters(900, 2)},
        "v2": {"echo-v2-a": Counters(83, 6)},
    }
    assert reading.missing == {}
    assert asked == ["/metrics", "/metrics"]


async def test_without_a_canary_only_stable_is_read():
    async with pods_with({"127.0.0.1": page(9)}) as (port, _):
        reading = await provider().read(scope(port, canary=None))

    assert reading.pods == {"v1": {"echo-v1-a": Counters(9, 0)}}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (500, "answered 500"),
        ("hang", "no answer within 0.2 s"),
        ("<html>ok</html>", "its page holds no metrics"),
        (page(-5), "a series http_requests_total is no count"),
    ],
)
async def test_a_pod_that_fails_is_named_and_spoils_no_other(fault, reason):
    pages = {"127.0.0.1": page(1), "127.0.0.2": page(2), "127.0.0.3": fault}
    async with pods_with(pages) as (port, _):
        reading = await provider(timeout=0.2).read(scope(port, CANARY, BROKEN))

    assert reading.pods["v2"] == {"echo-v2-a": Counters(2, 0)}
    assert reading.missing == {"echo-v2-b": reason}


async def test_a_dead_port_is_a_reason():
    async with pods_with({}) as (port, _):
        pass

    reading = await provider().read(scope(port))

    assert reading.pods == {"v1": {}, "v2": {}}
    assert set(reading.missing) == {"echo-v1-a", "echo-v2-a"}


async def test_a_body_that_never_ends_is_cut_by_the_time_out():
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\nhttp") as port:
        reading = await provider(timeout=0.2).read(scope(port, PodAddress("p", "127.0.0.1")))

    assert "no answer within 0.2 s" in reading.missing["p"]


async def test_a_reason_is_one_short_line():
    async def failing(url: str, seconds: float) -> bytes:
        raise RuntimeError("first\nsecond " * 100)

    reading = await provider(by=failing).read(scope(1))

    assert reading.missing["echo-v2-a"].startswith("first second")
    assert len(reading.missing["echo-v2-a"]) <= LONGEST_REASON


async def test_an_exception_without_a_text_is_named_by_its_kind():
    async def failing(url: str, seconds: float) -> bytes:
        raise ConnectionResetError

    reading = await provider(by=failing).read(scope(1))

    assert reading.missing["echo-v2-a"] == "ConnectionResetError"


async def test_cancelling_a_look_cancels_its_fetches():
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hanging(url: str, seconds: float) -> bytes:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return b""

    look = asyncio.ensure_future(provider(timeout=60, by=hanging).read(scope(1)))
    await asyncio.wait_for(started.wait(), 5)
    look.cancel()

    with pytest.raises(asyncio.CancelledError):
        await look
    assert cancelled.is_set()


async def test_a_limited_number_of_pages_is_fetched_at_once():
    running = most = 0
    full = asyncio.Event()

    async def counting(url: str, seconds: float) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 16:
            full.set()
        await asyncio.wait_for(full.wait(), 5)
        running -= 1
        return page(1).encode()

    many = tuple(PodAddress(f"p{n}", "127.0.0.1") for n in range(50))
    reading = await provider(timeout=10, by=counting).read(scope(1, *many))

    assert len(reading.pods["v2"]) == 50
    assert most == 16


async def test_an_ipv6_address_stands_in_brackets():
    asked = []

    async def noting(url: str, seconds: float) -> bytes:
        asked.append(url)
        return page(1).encode()

    await provider(by=noting).read(scope(8080, PodAddress("p", "fd00::7")))

    assert asked[1] == "http://[fd00::7]:8080/metrics"


# ---------------------------------------------------------------- telling versions apart


ANNOUNCED = "# TYPE http_requests_total counter\n"
OTHERS = "go_goroutines 7\n"


async def doubt(pages, *canaries, durations=False):
    async with pods_with(pages) as (port, _):
        return await provider(timeout=0.4).doubt(scope(port, *canaries), durations=durations)


async def test_pages_with_the_series_of_both_versions_tell_them_apart():
    assert await doubt({"127.0.0.1": page(5), "127.0.0.2": page(0)}) == ""


async def test_a_series_that_is_announced_is_there():
    assert await doubt({"127.0.0.1": page(5), "127.0.0.2": ANNOUNCED}) == ""


async def test_one_pod_of_a_version_that_shows_the_series_speaks_for_the_others():
    pages = {"127.0.0.1": page(5), "127.0.0.2": page(1), "127.0.0.3": OTHERS}

    assert await doubt(pages, CANARY, BROKEN) == ""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (OTHERS, "no pod of v2 shows a series http_requests_total yet"),
        (
            "http_requests_total_of_others 1\n",
            "no pod of v2 shows a series http_requests_total yet",
        ),
        (404, "echo-v2-a: answered 404"),
        ("hang", "echo-v2-a: no answer within 0.4 s"),
        (
            "http_requests_total 7\n",
            "echo-v2-a: a series http_requests_total has no status code in",
        ),
        ("<html>", "echo-v2-a: its page holds no metrics"),
    ],
    ids=["other series", "a longer name", "404", "no answer", "no code", "no metrics"],
)
async def test_pages_that_do_not_count_the_canary_do_not_tell_it_apart(said, reason):
    assert reason in await doubt({"127.0.0.1": page(5), "127.0.0.2": said})


async def test_without_a_ready_pod_of_a_version_nothing_is_told_apart():
    async with pods_with({"127.0.0.1": page(5)}) as (port, _):
        alone = scope(port)
        alone = replace(alone, pods={"v1": alone.pods["v1"]})

        assert "no pod of v2" in await provider().doubt(alone, durations=False)


async def test_durations_are_asked_for_where_they_are_needed():
    buckets = "".join(
        f'http_request_duration_seconds_bucket{{le="{le}"}} 1\n' for le in (1, "+Inf")
    )
    pages = {"127.0.0.1": page(5) + buckets, "127.0.0.2": page(1)}

    assert await doubt(pages) == ""
    assert "no pod of v2 shows a series http_request_duration_seconds_bucket" in await doubt(
        pages, durations=True
    )
    pages["127.0.0.2"] += buckets
    assert await doubt(pages, durations=True) == ""


async def test_a_query_cannot_be_asked():
    with pytest.raises(RefusedError, match=r"need metrics\.prometheus"):
        await provider().number(scope(1), "up", 60)


async def test_without_a_port_in_the_policy_nothing_is_read():
    metrics = Metrics(prometheus=PrometheusSource(url="http://127.0.0.1:9090"))
    without = Scope("echo", "echo", "v1", "v2", {}, metrics)

    with pytest.raises(RefusedError, match=r"metrics\.pods is not in the policy"):
        await provider().read(without)


async def test_from_pages_to_a_verdict():
    pages = {"127.0.0.1": page(1000, 1), "127.0.0.2": page(10)}
    how = settings_from(rollout(SUCCESS))
    async with pods_with(pages) as (port, _):
        before = await provider().read(scope(port))
        pages.update({"127.0.0.1": page(2604, 3), "127.0.0.2": page(93, 12)})
        after = await provider().read(scope(port))
    await provider().close()

    block = close_block(before, after, stable="v1", canary="v2", weight=5)
    _, judgement = judge(how, begin(how), block, {})

    assert (judgement.verdict, judgement.ground) == (Verdict.FAIL, Ground.OVER_LIMIT)
    assert judgement.message.startswith(
        "canary failed 12 of 83 requests (14 %), stable 2 of 1,604 requests (0.12 %), limit 1 %"
    )
