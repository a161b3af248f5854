"""The echo application: what it answers, what it counts, how it fails. Over real sockets."""

import io
import random
import socket
from dataclasses import replace

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.schema import Series
from daemon.sandbox.echo import Echo
from daemon.sandbox.knobs import Knobs, MetricsFault


@pytest.fixture
async def echo():
    echo = Echo("v1", "echo-v1-x", knobs=Knobs(), rng=random.Random(1))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    await echo.listen([listening])
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield echo, session
    await echo.close(grace=0)


async def status_of(session, path="/", **options):
    async with session.get(path, **options) as answer:
        return answer.status


async def samples(session):
    """(name, labels) -> value, read by the reference parser."""
    async with session.get("/metrics") as answer:
        text = await answer.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_any_path_answers_with_the_version(echo):
    _, session = echo

    async with session.get("/some/where") as answer:
        text = await answer.text()

    assert (answer.status, text) == (200, "version:v1\n")
    assert answer.headers["x-echo-version"] == "v1"


async def test_json_is_answered_to_those_who_ask(echo):
    _, session = echo

    async with session.post("/a?b=c", json={}, headers={"Accept": "application/json"}) as answer:
        said = await answer.json()

    expected = {"version": "v1", "pod": "echo-v1-x", "method": "POST", "path": "/a"}
    assert expected.items() <= said.items()


async def test_the_metrics_page_has_the_names_that_the_policy_expects(echo):
    _, session = echo
    series = Series()
    await status_of(session)

    names = {name for name, _ in await samples(session)}

    assert {series.requests, f"{series.latency}_bucket", f"{series.latency}_count"} <= names


async def test_requests_are_counted_by_code_and_the_metrics_page_is_not_counted(echo):
    app, session = echo
    for _ in range(3):
        await status_of(session)
    app.knobs = Knobs(error_rate=1)
    await status_of(session)
    await samples(session)

    seen = await samples(session)

    assert seen["http_requests_total", (("code", "200"),)] == 3
    assert seen["http_requests_total", (("code", "500"),)] == 1
    assert seen["http_request_duration_seconds_count", ()] == 4


async def test_the_histogram_is_cumulative_and_shows_the_latency(echo):
    app, session = echo
    await status_of(session)
    app.knobs = Knobs(latency=0.03)
    await status_of(session)

    seen = await samples(session)

    bucket = "http_request_duration_seconds_bucket"
    counts = [value for (name, _), value in seen.items() if name == bucket]
    assert counts == sorted(counts)
    assert counts[-1] == 2
    assert seen[bucket, (("le", "0.025"),)] == 1


async def test_failures_are_for_the_error_paths_alone(echo):
    app, session = echo
    app.knobs = Knobs(error_rate=1, error_paths=("/work",))

    assert await status_of(session, "/work") == 500
    assert await status_of(session, "/") == 200


async def test_the_share_of_failures_is_the_error_rate(echo):
    app, session = echo
    app.knobs = Knobs(error_rate=0.2)

    failed = [await status_of(session) for _ in range(300)].count(500)

    assert 30 <= failed <= 95  # the chance of a fair draw outside is below 1 in 10,000


@pytest.mark.parametrize(
    ("fault", "seen_after"),
    [
        pytest.param(MetricsFault.NONE, {"200": 1, "500": 1}, id="honest"),
        pytest.param(MetricsFault.STALE, {"200": 1}, id="stale: the page from before the fault"),
        pytest.param(MetricsFault.LIE, {"200": 2}, id="lie: failures counted as successes"),
    ],
)
async def test_a_metrics_fault_changes_the_page_and_not_the_answers(echo, fault, seen_after):
    app, session = echo
    await status_of(session)
    app.knobs = Knobs(error_rate=1, metrics=fault)

    assert await status_of(session) == 500

    seen = await samples(session)
    codes = {dict(k)["code"]: v for (n, k), v in seen.items() if n == "http_requests_total"}
    assert codes == seen_after


async def test_a_vanished_metrics_page_is_404(echo):
    app, session = echo
    app.knobs = Knobs(metrics=MetricsFault.VANISH)

    assert await status_of(session, "/metrics") == 404


async def test_a_garbage_metrics_page_is_200_and_not_the_text_format(echo):
    app, session = echo
    app.knobs = Knobs(metrics=MetricsFault.GARBAGE)

    assert await status_of(session, "/metrics") == 200
    with pytest.raises(ValueError, match="html"):
        await samples(session)


async def test_a_cured_metrics_page_shows_what_was_counted_meanwhile(echo):
    app, session = echo
    app.knobs = Knobs(metrics=MetricsFault.STALE)
    await status_of(session)
    app.knobs = replace(app.knobs, metrics=MetricsFault.NONE)

    seen = await samples(session)

    assert seen["http_requests_total", (("code", "200"),)] == 1


async def test_a_reset_counts_from_zero(echo):
    app, session = echo
    await status_of(session)
    app.reset()

    seen = await samples(session)

    assert seen["http_request_duration_seconds_count", ()] == 0


async def test_a_body_beyond_the_bound_is_refused(echo):
    _, session = echo

    async with session.post("/", data=io.BytesIO(b"x" * (1024 * 1024 + 1))) as answer:
        assert answer.status == 413


async def test_a_closed_echo_refuses_connections(echo):
    app, session = echo
    await app.close(grace=0)

    with pytest.raises(aiohttp.ClientError):
        await status_of(session)
