"""What is read of Envoy's pages, and what is refused."""

import pytest

from analysis.providers.envoy_page import (
    ENOUGH_TO_TELL,
    LARGEST_PAGE,
    counts_failures,
    plain_ip,
    read_cluster,
)
from analysis.providers.exposition import PageError
from analysis.samples import Counters

CLUSTER = "echo_gloo-system"


def endpoint(host: str, success: object, error: object = 0, cluster: str = CLUSTER) -> str:
    """The lines that Envoy 1.40 writes for an endpoint."""
    numbers = {
        "cx_active": 1,
        "cx_connect_fail": 7,
        "cx_total": 9,
        "rq_active": 3,
        "rq_error": error,
        "rq_pending_active": 0,
        "rq_success": success,
        "rq_timeout": 5,
        "rq_total": 12345,
        "hostname": "",
        "health_flags": "healthy",
        "weight": 1,
        "canary": "false",
        "success_rate": "-1",
    }
    return "".join(f"{cluster}::{host}::{name}::{value}\n" for name, value in numbers.items())


def head(cluster: str = CLUSTER, called: str = "") -> str:
    return (
        f"{cluster}::observability_name::{called or cluster}\n"
        f"{cluster}::default_priority::max_connections::1024\n"
        f"{cluster}::added_via_api::true\n"
    )


def read(*parts: str, cluster: str = CLUSTER):
    return read_cluster("".join(parts).encode(), cluster)


def test_requests_are_successes_and_errors_and_nothing_else():
    page = read(head(), endpoint("10.0.0.7:8080", 90, 10))

    assert page.endpoints == {"10.0.0.7": Counters(100, 10)}


def test_only_the_clusters_own_lines_are_read():
    page = read(
        head("other"),
        endpoint("10.0.0.7:8080", 1, 1, cluster="other"),
        endpoint("10.0.0.7:8080", 2, 2, cluster=f"my-{CLUSTER}"),
        endpoint("10.0.0.7:8080", 3, 3, cluster=f"{CLUSTER}-2"),
        head(),
        endpoint("10.0.0.7:8080", 90, 10),
    )

    assert page.endpoints == {"10.0.0.7": Counters(100, 10)}


@pytest.mark.parametrize(
    ("host", "ip"),
    [
        pytest.param("[fd00::7]:8080", "fd00::7", id="IPv6"),
        pytest.param("[::1]:8080", "::1", id="IPv6 that begins with colons"),
        pytest.param("[FD00:0:0::7]:8080", "fd00::7", id="IPv6 in another spelling"),
        pytest.param("10.0.0.7:65535", "10.0.0.7", id="IPv4"),
    ],
)
def test_an_address_is_read_in_its_one_spelling(host, ip):
    assert list(read(head(), endpoint(host, 1)).endpoints) == [ip]


@pytest.mark.parametrize("host", ["/var/run/echo.sock", "envoy://inner", "echo.internal:80"])
def test_an_endpoint_that_is_no_ip_address_is_no_pods(host):
    assert read(head(), endpoint(host, 1)).endpoints == {}


def test_a_cluster_with_colons_in_its_name_is_read():
    page = read(head("kube::x"), endpoint("[fd00::7]:1", 4, cluster="kube::x"), cluster="kube::x")

    assert page.endpoints == {"fd00::7": Counters(4, 0)}


def test_the_ports_of_one_address_are_summed():
    page = read(head(), endpoint("10.0.0.7:80", 5, 1), endpoint("10.0.0.7:81", 7, 2))

    assert page.endpoints == {"10.0.0.7": Counters(15, 3)}


def test_a_cluster_without_endpoints_is_there():
    assert read(head()).endpoints == {}


def test_the_statistics_may_have_a_name_of_their_own():
    assert read(head(called="echo:80")).stats_name == "echo:80"


def test_an_envoy_that_tells_no_other_name_calls_them_like_the_cluster():
    assert read(endpoint("10.0.0.7:80", 1)).stats_name == CLUSTER


@pytest.mark.parametrize(
    ("page", "why"),
    [
        pytest.param(b"", f"names no cluster {CLUSTER}", id="empty"),
        pytest.param(b"<html>ok</html>", f"names no cluster {CLUSTER}", id="another page"),
        pytest.param(head("x").encode(), f"names no cluster {CLUSTER}", id="another cluster"),
        pytest.param(b"\xff\xfe", "is not text", id="bytes"),
        pytest.param(b"x" * (LARGEST_PAGE + 1), "is larger than 8 MiB", id="too large"),
        pytest.param(endpoint("10.0.0.7:80", -1).encode(), "rq_success that is no count", id="-1"),
        pytest.param(endpoint("10.0.0.7:80", 1, "1e3").encode(), "rq_error that is no", id="1e3"),
        pytest.param(endpoint("10.0.0.7:80", "²").encode(), "that is no count", id="odd digit"),
        pytest.param(endpoint("10.0.0.7:80", "").encode(), "that is no count", id="no digit"),
        pytest.param(endpoint("10.0.0.7:80", 1).encode() * 2, "of an endpoint twice", id="twice"),
    ],
)
def test_a_page_that_is_not_what_it_should_be_is_refused_without_quoting_it(page, why):
    with pytest.raises(PageError, match=why):
        read_cluster(page, CLUSTER)


def test_an_endpoint_with_half_of_its_numbers_is_left_out():
    page = read(head(), f"{CLUSTER}::10.0.0.7:80::rq_success::5\n")

    assert page.endpoints == {}


def stats(total: int, completed: int, name: str = CLUSTER) -> bytes:
    return (
        f"cluster.{name}.upstream_rq_completed: {completed}\n"
        f"cluster.{name}.upstream_rq_total: {total}\n"
    ).encode()


@pytest.mark.parametrize(
    ("page", "counts"),
    [
        pytest.param(stats(100, 99), True, id="completed requests are counted"),
        pytest.param(stats(ENOUGH_TO_TELL, 0), False, id="many began and none was completed"),
        pytest.param(stats(ENOUGH_TO_TELL - 1, 0), None, id="the first ones are under way"),
        pytest.param(stats(0, 0), None, id="nothing happened yet"),
        pytest.param(b"", True, id="no statistics: nothing is known against it"),
        pytest.param(b"\xff", True, id="no text"),
        pytest.param(b"cluster.a.upstream_rq_total: 50\n", True, id="half of them"),
    ],
)
def test_whether_failures_are_counted_is_told_by_completed_requests(page, counts):
    assert counts_failures(page) is counts


@pytest.mark.parametrize(
    ("address", "plain"),
    [("fd00:0::7", "fd00::7"), ("10.0.0.7", "10.0.0.7"), ("10.0.0.7:80", ""), ("", "")],
)
def test_addresses_have_one_spelling(address, plain):
    assert plain_ip(address) == plain
