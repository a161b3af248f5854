"""Native histograms through a real Prometheus: scraped, merged over paths, and read."""

import json
import shutil
import socket
import time
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web

from analysis.providers.prometheus import PrometheusProvider
from config.schema import PrometheusSource
from tests.cluster.processes import Child
from tests.contract.providers.protobuf import (
    CONTENT_TYPE,
    COUNTER,
    HISTOGRAM,
    counter,
    family,
    histogram,
)
from tests.contract.providers.servers import serving
from tests.contract.providers.test_prometheus import scope

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed"
)


@asynccontextmanager
async def scraping(page: bytes, directory):
    """A Prometheus that scrapes this page; yields its address once it has a sample."""

    async def respond(_: web.Request) -> web.Response:
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE})

    async with serving(respond) as target:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        job = {
            "job_name": "echo",
            "honor_labels": True,
            "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
        }
        every = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        (directory / "config.json").write_text(
            json.dumps({"global": every, "scrape_configs": [job]})
        )
        arguments = [
            "prometheus",
            f"--config.file={directory / 'config.json'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=native-histograms",
            "--log.level=warn",
        ]
        child = Child("prometheus", arguments, directory / "log")
        url = f"http://127.0.0.1:{port}"
        await child.start(lambda: has_scraped(url))
        try:
            yield url
        finally:
            await child.kill()


async def has_scraped(url: str) -> bool:
    query = {"query": "http_request_duration_seconds"}
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{url}/api/v1/query", params=query) as answer,
        ):
            return answer.status == 200 and bool((await answer.json())["data"]["result"])
    except aiohttp.ClientError:
        return False


async def test_native_histograms_of_a_real_prometheus_are_read(tmp_path):
    page = family(
        "http_requests_total",
        COUNTER,
        [({"pod": pod, "code": "200"}, counter(14)) for pod in ("a", "b")],
    ) + family(
        "http_request_duration_seconds",
        HISTOGRAM,
        [
            ({"pod": "a"}, histogram({-8: 5, -7: 2, 0: 6, 8: 1}, schema=3)),
            ({"pod": "b", "path": "/"}, histogram({-24: 4, 1: 5}, schema=3, zeros=2)),
            ({"pod": "b", "path": "/coarse"}, histogram({-1: 3}, schema=0)),
        ],
    )
    async with scraping(page, tmp_path) as url:
        source = PrometheusSource(url=url, scrape_interval=timedelta(seconds=1))
        provider = PrometheusProvider(source, time.monotonic, timeout=5, budget=10)
        try:
            reading = await provider.read(scope())
        finally:
            await provider.close()

    [stable], [canary] = ([*pods.values()] for pods in reading.pods.values())
    assert (stable.requests, stable.timed, canary.timed) == (14, 14, 14)
    # 0.5 s is where bucket -8 ends; bucket -7 ends at 0.545 s.
    assert [stable.within[it] for it in (0.25, 0.5, 2**-0.5, 1.0, 2.0)] == [0, 5, 7, 13, 14]
    # Summed with a histogram of whole octaves: bucket -24 ends at 0.125 s, bucket 1 is within 2 s.
    assert [canary.within[it] for it in (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0)] == [2, 6, 6, 9, 9, 14]
    assert 2**0.5 not in canary.within
