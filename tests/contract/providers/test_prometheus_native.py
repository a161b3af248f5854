"""Durations from native histograms: what a Prometheus answers, and what is made of it.

`PRECISE` and `REDUCED` are answers of Prometheus 2.42 to our own query, before and after the
resolution of the pod's histogram was reduced from 8 buckets an octave to 1.
"""

from collections import Counter
from itertools import pairwise
from math import ceil, inf, log2
from random import Random

import pytest

from analysis.errors import RefusedError
from analysis.providers.native import BOUNDS, Bucket, Histogram, cumulate
from analysis.samples import Counters, Counts, close_block
from tests.contract.providers.servers import Prometheus, success
from tests.contract.providers.test_prometheus import REQUESTS, asking, scope

LATENCY = "http_request_duration_seconds"
BUCKET = f"{LATENCY}_bucket"
PRECISE = {
    "count": "12",
    "sum": "3.5",
    "buckets": [
        [3, "-0.001", "0.001", "2"],
        [0, "0.0681567332915786", "0.07432544468767006", "4"],
        [0, "0.11462550540058389", "0.125", "5"],
        [0, "1.8340080864093422", "2", "1"],
    ],
}
REDUCED = {
    "count": "15",
    "sum": "4.5",
    "buckets": [
        [3, "-0.01", "0.01", "3"],
        [0, "0.0625", "0.125", "9"],
        [0, "0.25", "0.5", "2"],
        [0, "1", "2", "1"],
    ],
}


def native(count="4", total="1", buckets=((0, "0.25", "0.5", "4"),)) -> dict:
    return {"count": count, "sum": total, "buckets": [list(bucket) for bucket in buckets]}


def labels_of(pod: str) -> dict[str, str]:
    version = {"a": "v1", "b": "v2", "c": "v2"}[pod]
    return {"pod": pod, "version": version, "job": "echo", "instance": f"{pod}:80"}


def with_histograms(*histograms: tuple[str, dict], requests: int = 20) -> Prometheus:
    """Pods with a native histogram each, and as many requests."""
    prometheus = Prometheus()
    for pod, histogram in histograms:
        prometheus.has(REQUESTS, requests, code="200", **labels_of(pod))
        prometheus.has(LATENCY, histogram, **labels_of(pod))
    return prometheus


async def counters_by(prometheus: Prometheus, pod: str = "b") -> Counters:
    async with asking(prometheus) as provider:
        reading = await provider.read(scope(pods={"v1": ("a",), "v2": ("b", "c")}))
    assert pod not in reading.missing, reading.missing[pod]
    return next(pods[pod] for pods in reading.pods.values() if pod in pods)


# ---------------------------------------------------------------- what is read


async def test_requests_are_counted_at_or_below_each_bound():
    counters = await counters_by(with_histograms(("b", PRECISE)))

    told = {bound: counters.within[bound] for bound in (0.0625, 0.125, 1.0, 2.0)}
    assert told == {0.0625: 2, 0.125: 11, 1.0: 11, 2.0: 12}
    assert counters.timed == 12


async def test_both_kinds_of_histogram_are_asked_for_in_one_question():
    prometheus = with_histograms(("a", PRECISE), ("b", PRECISE))
    async with asking(prometheus) as provider:
        await provider.read(scope())

    _, *queries = (asked["query"] for asked in prometheus.asked)
    wanted = f'{{__name__=~"{BUCKET}|{LATENCY}", pod=~"a|b"}}'
    assert len(queries) == 3
    assert f"sum by (__name__, pod, le) ({wanted})" in queries


async def test_where_a_pod_has_both_kinds_the_classic_one_is_read():
    prometheus = with_histograms(("b", PRECISE))
    prometheus.has(BUCKET, 9, le="0.1", **labels_of("b"))
    prometheus.has(BUCKET, 12, le="+Inf", **labels_of("b"))

    counters = await counters_by(prometheus)

    assert (counters.within, counters.timed) == ({0.1: 9}, 12)


async def test_a_summary_of_the_same_name_is_no_histogram():
    prometheus = Prometheus()
    prometheus.has(REQUESTS, 20, code="200", **labels_of("b"))
    prometheus.has(LATENCY, 0.3, quantile="0.99", **labels_of("b"))

    assert await counters_by(prometheus) == Counters(20, 0)


async def test_a_histogram_without_any_request_has_every_bound():
    counters = await counters_by(with_histograms(("b", {"count": "0", "sum": "0"})))

    assert (counters.within, counters.timed) == (dict.fromkeys(BOUNDS, 0.0), 0)


async def test_a_histogram_whose_series_has_ended_is_not_there():
    prometheus = with_histograms(("b", PRECISE))
    prometheus.samples = [it for it in prometheus.samples if it.labels["__name__"] == REQUESTS]

    assert await counters_by(prometheus) == Counters(20, 0)


# ---------------------------------------------------------------- what a bucket can be


@pytest.mark.parametrize(
    ("histogram", "within"),
    [
        pytest.param(
            native("4.5", buckets=[(0, "0.25", "0.5", "4.5")]),
            {0.25: 0, 0.5: 4.5},
            id="fractions",
        ),
        pytest.param(native("4", "NaN"), {0.25: 0, 0.5: 4}, id="a sum that is no number"),
        pytest.param(native("5"), {0.5: 4, 1024.0: 4}, id="a duration that is no number is slow"),
        pytest.param(
            native(buckets=[(1, "-0.5", "-0.25", "3"), (0, "0.25", "0.5", "1")]),
            {BOUNDS[0]: 3, 0.25: 3, 0.5: 4},
            id="negative durations are quick",
        ),
        pytest.param(
            native(buckets=[(3, "-0.25", "0.25", "3"), (0, "0.25", "0.5", "1")]),
            {0.25: 3, 0.5: 4},
            id="a zero bucket",
        ),
        pytest.param(
            native(buckets=[(3, "-0", "0", "3"), (0, "0.25", "0.5", "1")]),
            {BOUNDS[0]: 3, 0.25: 3, 0.5: 4},
            id="a zero bucket of zeros alone",
        ),
        pytest.param(
            native(buckets=[(0, "512", "+Inf", "4")]), {256.0: 0, 512.0: 0}, id="no upper end"
        ),
    ],
)
async def test_a_bucket_counts_from_its_upper_end_on(histogram, within):
    counters = await counters_by(with_histograms(("b", histogram)))

    assert {bound: counters.within[bound] for bound in within} == within


@pytest.mark.parametrize(
    ("bucket", "unknown"),
    [
        pytest.param((0, "0.25", "1", "4"), BOUNDS[17:20], id="a coarse bucket"),
        pytest.param((3, "-0.003", "0.003", "4"), BOUNDS[:4], id="a wide zero bucket"),
        pytest.param((0, "512", "+Inf", "4"), BOUNDS[39:], id="a bucket without an end"),
        pytest.param((0, "0.25", "0.3535533905932738", "4"), (), id="a fine bucket"),
        pytest.param((0, "0.25", "1", "0"), (), id="a bucket that holds nothing"),
    ],
)
async def test_nothing_is_said_of_a_bound_inside_a_bucket(bucket, unknown):
    counters = await counters_by(with_histograms(("b", native(buckets=[bucket]))))

    assert tuple(sorted(BOUNDS - counters.within.keys())) == unknown


def exponential(durations: list[float], schema: int) -> Histogram:
    """What a client counts: bucket n ends at 2^(n / 2^schema)."""
    places = Counter(ceil(log2(it) * 2.0**schema) for it in durations)
    return Histogram(
        len(durations),
        tuple(
            Bucket(2 ** ((place - 1) / 2**schema), 2 ** (place / 2**schema), count)
            for place, count in places.items()
        ),
    )


@pytest.mark.parametrize("schema", range(-4, 9))
def test_a_count_is_exact_whatever_the_resolution(schema):
    chance = Random(schema)
    durations = [chance.lognormvariate(-3, 2) for _ in range(500)]

    within, timed = cumulate(exponential(durations, schema), LATENCY)

    assert timed == 500
    assert within == {bound: sum(it <= bound for it in durations) for bound in within}


@pytest.mark.parametrize("schema", range(1, 9))
def test_each_bound_is_known_at_two_buckets_an_octave_or_more(schema):
    durations = [0.7 * bound for bound in BOUNDS]

    within, _ = cumulate(exponential(durations, schema), LATENCY)

    assert tuple(within) == BOUNDS


@pytest.mark.parametrize(
    ("ends", "bounds"),
    [
        pytest.param([-inf, 0.005, 0.1, 0.3], [0.005, 0.1, 0.3], id="custom buckets"),
        pytest.param([0.3, 1.2, inf], [0.3, 1.2], id="the last one, without an end"),
        pytest.param([-inf, 0.5], list(BOUNDS[18:]), id="of powers of two alone"),
        pytest.param(
            [0.5 + place / 256 for place in range(65)],
            [*BOUNDS[:19], *BOUNDS[20:]],
            id="too many",
        ),
    ],
)
def test_custom_buckets_have_bounds_of_their_own(ends, bounds):
    buckets = tuple(Bucket(lower, upper, 1.0) for lower, upper in pairwise(ends))

    within, _ = cumulate(Histogram(len(buckets), buckets), LATENCY)

    assert list(within) == bounds


# ---------------------------------------------------------------- what cannot be believed


@pytest.mark.parametrize(
    ("histogram", "reason"),
    [
        pytest.param(native("NaN"), "a count that is none", id="NaN"),
        pytest.param(native("+Inf"), "a count that is none", id="infinite"),
        pytest.param(native("-1", buckets=()), "a count that is none", id="negative"),
        pytest.param(
            native(buckets=[(0, "1", "2", "NaN")]), "a count that is none", id="a bucket of NaN"
        ),
        pytest.param(
            native(buckets=[(0, "1", "2", "-4")]), "a count that is none", id="a negative bucket"
        ),
        pytest.param(
            native("3"), "has 4 in its buckets and 3 in all", id="more in buckets than in all"
        ),
    ],
)
async def test_a_pod_whose_histogram_cannot_be_believed_is_missing_with_a_reason(histogram, reason):
    prometheus = with_histograms(("a", PRECISE), ("b", histogram))
    async with asking(prometheus) as provider:
        reading = await provider.read(scope())

    assert (set(reading.pods["v1"]), reading.pods["v2"]) == ({"a"}, {})
    assert f"the histogram {LATENCY}" in reading.missing["b"]
    assert reason in reading.missing["b"]


def test_a_rounded_sum_of_fractions_is_no_contradiction():
    thirds = tuple(Bucket(2.0**it, 2.0 ** (it + 1), 0.1) for it in range(3))

    within, timed = cumulate(Histogram(0.3, thirds), LATENCY)

    assert sum(bucket.count for bucket in thirds) > 0.3
    assert within[8.0] == timed == 0.3


@pytest.mark.parametrize(
    "histogram",
    [
        pytest.param({}, id="no count"),
        pytest.param(native() | {"count": 4}, id="a count unquoted"),
        pytest.param(native("four"), id="a count in words"),
        pytest.param(native() | {"buckets": {}}, id="buckets that are no list"),
        pytest.param(native() | {"buckets": [3]}, id="a bucket that is none"),
        pytest.param(native(buckets=[(0, "1", "2")]), id="a bucket of three"),
        pytest.param(native(buckets=[(4, "1", "2", "4")]), id="an unknown rule"),
        pytest.param(native(buckets=[(0, 1, "2", "4")]), id="an end unquoted"),
        pytest.param(native(buckets=[(0, "1", "many", "4")]), id="an end in words"),
        pytest.param(native(buckets=[(0, "NaN", "2", "4")]), id="an end that is no number"),
        pytest.param(native(buckets=[(0, "2", "1", "4")]), id="ends the wrong way round"),
        pytest.param(native(buckets=[(0, "1", "2", 4)]), id="a bucket's count unquoted"),
    ],
)
async def test_an_answer_in_another_format_is_refused(histogram):
    async with asking(with_histograms(("b", histogram))) as provider:
        with pytest.raises(RefusedError, match="something else than a vector"):
            await provider.read(scope())


async def test_a_histogram_that_is_none_is_refused():
    prometheus = with_histograms(("b", PRECISE))
    async with asking(prometheus) as provider:
        await provider.read(scope())
        query = next(it["query"] for it in prometheus.asked if "le" in it["query"])
        row = {"metric": {"__name__": LATENCY, "pod": "b"}, "histogram": [1.7e9, "4"]}
        prometheus.scripted[query] = success([row])
        with pytest.raises(RefusedError, match="something else than a vector"):
            await provider.read(scope())


async def test_two_histograms_of_one_pod_are_refused():
    prometheus = with_histograms(("b", PRECISE))
    async with asking(prometheus) as provider:
        await provider.read(scope())
        query = next(it["query"] for it in prometheus.asked if "le" in it["query"])
        row = {"metric": {"__name__": LATENCY, "pod": "b"}, "histogram": [1.7e9, PRECISE]}
        prometheus.scripted[query] = success([row, row])
        reading = await provider.read(scope())

    assert "there twice" in reading.missing["b"]


async def test_a_histogram_is_no_count_of_requests():
    prometheus = Prometheus()
    prometheus.has(REQUESTS, PRECISE, code="200", **labels_of("b"))
    async with asking(prometheus) as provider:
        with pytest.raises(RefusedError, match="a histogram where numbers belong"):
            await provider.read(scope())


# ---------------------------------------------------------------- from one look to the next


async def block_between(before: Prometheus, after: Prometheus, *pods: str):
    of = scope(pods={"v1": ("a",), "v2": pods or ("b",)})
    readings = []
    for prometheus in (before, after):
        async with asking(prometheus) as provider:
            readings.append(await provider.read(of))
    return close_block(*readings, stable="v1", canary="v2", weight=10)


async def test_buckets_that_merge_are_no_fall():
    block = await block_between(
        with_histograms(("b", PRECISE), requests=20), with_histograms(("b", REDUCED), requests=23)
    )

    assert block.restarted == ()
    assert (block.canary.requests, block.canary.timed) == (3, 3)
    whole = {0.0625: 1, 0.125: 1, 0.25: 1, 0.5: 3, 1.0: 3, 2.0: 3}
    assert block.canary.within.items() >= whole.items()


async def test_only_bounds_of_both_resolutions_are_compared():
    block = await block_between(with_histograms(("b", PRECISE)), with_histograms(("b", REDUCED)))

    lost = {bound for bound in BOUNDS if bound < 0.01} | {2**-3.5, 2**-1.5, 2**0.5}
    assert set(BOUNDS) - block.canary.within.keys() == lost


async def test_a_histogram_that_began_anew_costs_its_pod_the_block_and_is_no_restart():
    young = native("1", buckets=[(0, "0.25", "0.5", "1")])

    block = await block_between(
        with_histograms(("b", PRECISE), requests=20), with_histograms(("b", young), requests=21)
    )

    assert (block.canary, block.restarted) == (Counts(), ())
    assert block.missing["b"] == "its histogram began anew, counted from now on"


async def test_pods_with_either_kind_share_the_bounds_that_both_have():
    def both(classic: int, precise: dict, requests: int) -> Prometheus:
        prometheus = with_histograms(("b", precise), requests=requests)
        prometheus.has(REQUESTS, classic, code="200", **labels_of("c"))
        for le, count in (("0.1", classic - 4), ("0.5", classic - 2), ("+Inf", classic)):
            prometheus.has(BUCKET, count, le=le, **labels_of("c"))
        return prometheus

    grown = [*PRECISE["buckets"], (0, "4", "8", "3")]
    later = native("15", buckets=grown)
    block = await block_between(both(10, PRECISE, 12), both(20, later, 15), "b", "c")

    assert (block.canary.within, block.canary.timed) == ({0.5: 10}, 13)
    assert block.canary.pods == 2
