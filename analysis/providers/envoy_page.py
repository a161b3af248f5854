"""Envoy's admin page `/clusters`, as far as one cluster's endpoints need it.

Format: a line `<cluster>::<address>:<port>::<name>::<value>` for each number of each endpoint, an
IPv6 address in brackets. What each number counts was measured on Envoy 1.40, one request each:

    what became of the attempt                            success  error  timeout  total  cx fail
    1xx to 4xx, gRPC status that is no server's fault           1                      1
    5xx, gRPC status such as UNAVAILABLE                               1               1
    no headers before the route's, or the try's, time-out              1        1      1
    connection cut, or no HTTP, before the headers                     1               1
    connection refused, or not open in time                            1                       1
    an answer that is retried, whatever its status                     1               1
    cut, or timed out, after the headers                        1            (1)       1
    the client gave up before the headers                                              1
    the client gave up before a connection was open                                            1

So `rq_error` holds every failed attempt exactly once, retried ones and refused connections too:
`rq_timeout` and `cx_connect_fail` say again what it says, and must not be added; `rq_total` lacks
refused connections and has attempts that are not over. Requests are success + error. What no
number here shows: an answer that broke off after its headers, and clients who gave up.

Where Gloo's `options.router.dynamicStats` is false, Envoy counts no error but those it retried,
while successes go on: every version would look sound. Only the cluster's own counter
`upstream_rq_completed`, which then stays 0, gives that away: see `counts_failures`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from analysis.providers.exposition import PageError
from analysis.samples import Counters

LARGEST_PAGE: Final = 8 * 1024 * 1024
"""Bytes. 1.2 KiB an endpoint: some 7,000 of them, where Envoy is too old to show one cluster."""

ENOUGH_TO_TELL: Final = 20
"""Attempts of a cluster of which one must have been counted as completed; a few are under way."""

SUCCESS: Final = "rq_success"
ERROR: Final = "rq_error"

_COMPLETED = re.compile(r"^cluster\.\S+\.upstream_rq_completed: (\d+)$", re.ASCII | re.MULTILINE)
_TOTAL = re.compile(r"^cluster\.\S+\.upstream_rq_total: (\d+)$", re.ASCII | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ClusterPage:
    """One cluster of one gateway pod.

    Attributes:
        stats_name: what the cluster's statistics are called.
        endpoints: IP address -> requests and failures, summed over the ports that it has.
    """

    stats_name: str
    endpoints: Mapping[str, Counters] = field(default_factory=dict)


def read_cluster(page: bytes, cluster: str) -> ClusterPage:
    """Read one cluster's endpoints; other clusters' lines are not looked at.

    Raises:
        PageError: too large, not text, without the cluster, or with what are no counts.
    """
    if len(page) > LARGEST_PAGE:
        raise PageError(f"its page /clusters is larger than {LARGEST_PAGE // 1024**2} MiB")
    try:
        text = page.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PageError("its page /clusters is not text") from error
    prefix = f"{cluster}::"
    lines = [line[len(prefix) :] for line in text.splitlines() if line.startswith(prefix)]
    if not lines:
        raise PageError(f"its page /clusters names no cluster {cluster}")
    named = [line.partition("::")[2] for line in lines if line.startswith("observability_name::")]
    return ClusterPage(named[0] if named and named[0] else cluster, _endpoints(lines))


def counts_failures(stats: bytes) -> bool | None:
    """Tell whether a cluster's statistics show that failures are counted; None: not known yet.

    Args:
        stats: the lines `upstream_rq_total` and `upstream_rq_completed` of the page `/stats`;
            without both, nothing is known against the gateway, and nothing ever will be.
    """
    text = stats.decode("utf-8", "replace")
    completed, total = _COMPLETED.search(text), _TOTAL.search(text)
    if completed is None or total is None or int(completed[1]):
        return True
    return False if int(total[1]) >= ENOUGH_TO_TELL else None


def plain_ip(address: str) -> str:
    """Spell an IP address in the one way that two spellings of it share; empty if it is none."""
    try:
        return ip_address(address).compressed
    except ValueError:
        return ""


def _endpoints(lines: list[str]) -> dict[str, Counters]:
    numbers: dict[tuple[str, str], float] = {}
    for line in lines:
        rest, _, value = line.rpartition("::")
        host, _, name = rest.rpartition("::")
        if name not in (SUCCESS, ERROR) or not host:
            continue
        if (host, name) in numbers:
            raise PageError(f"its page /clusters has {name} of an endpoint twice")
        if not (value.isascii() and value.isdecimal()):
            raise PageError(f"its page /clusters has an {name} that is no count")
        numbers[host, name] = float(value)
    found: dict[str, Counters] = {}
    for host in sorted({host for host, _ in numbers}):
        if (ip := _ip_of(host)) and (host, SUCCESS) in numbers and (host, ERROR) in numbers:
            failed = numbers[host, ERROR]
            before = found.get(ip, Counters(0, 0))
            found[ip] = Counters(
                before.requests + numbers[host, SUCCESS] + failed, before.failed + failed
            )
    return found


def _ip_of(host: str) -> str:
    """Read the address of `10.0.0.7:8080` or `[fd00::7]:8080`; empty for a pipe or a name."""
    address, _, port = host.rpartition(":")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return plain_ip(address) if port.isdecimal() else ""
