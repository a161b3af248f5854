"""Users: a steady stream of requests through the gateway, counted by who answered and how.

Requests start on a grid, so a slow answer does not thin the stream; one that finds all connections
busy is not sent but counted as skipped. Everything is bounded: connections, seconds remembered,
latencies kept as a histogram. It sends to loopback only. Not here: what the counts mean.
"""

import asyncio
import ipaddress
import re
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from daemon.ports import Clock

REQUEST_SECONDS: Final = 10.0
"""A user waits no longer; what takes longer counts as failed."""
MOST_PER_SECOND: Final = 2000
"""Requests; more than one core of this program and one of the gateway can do."""
SECONDS_KEPT: Final = 900
"""A scene of a quarter of an hour, second by second; totals go on."""
LONGEST_RUN: Final = 24 * 3600.0
"""Seconds after which a forgotten generator stops by itself."""
CONNECTIONS: Final = 64
LONGEST_PAUSE: Final = 0.2
"""Seconds between two looks at whether to stop, however slow the stream is."""
BOUNDS: Final = tuple(round(0.0005 * 1.25**n, 6) for n in range(45))
"""Upper bounds of the latency histogram in seconds: 0.5 ms to 9 s in steps of 25 %."""
VERSION_IN_BODY: Final = re.compile(rb"version:([A-Za-z0-9._-]{1,63})")

NOBODY: Final = "-"
"""Stands for the version where no version answered: the gateway did, or nobody."""
NO_ANSWER: Final = 0
"""Stands for the status where there was none: refused, cut off, too slow."""

Answer = tuple[str, int]
"""(version, status)"""


@dataclass(slots=True)
class Tally:
    """Counts of a span of time.

    Attributes:
        answers: (version, status) -> requests.
        skipped: requests that were due and not sent, as every connection was busy.
    """

    answers: Counter[Answer] = field(default_factory=Counter)
    skipped: int = 0
    _slots: dict[str, list[int]] = field(default_factory=dict)

    def add(self, version: str, status: int, seconds: float) -> None:
        """Count one request."""
        self.answers[version, status] += 1
        slots = self._slots.setdefault(version, [0] * (len(BOUNDS) + 1))
        slots[bisect_left(BOUNDS, seconds)] += 1

    @property
    def sent(self) -> int:
        """All requests that were sent."""
        return self.answers.total()

    @property
    def failed(self) -> int:
        """Requests that users saw fail: 5xx or no answer."""
        return sum(n for (_, status), n in self.answers.items() if is_failure(status))

    def of(self, version: str) -> int:
        """Requests that this version answered."""
        return sum(n for (answered, _), n in self.answers.items() if answered == version)

    def failed_of(self, version: str) -> int:
        """Requests that this version answered with 5xx."""
        return sum(
            n
            for (answered, status), n in self.answers.items()
            if answered == version and is_failure(status)
        )

    def latency(self, share: float, version: str | None = None) -> float | None:
        """Say which latency in seconds that share of the answers kept within; None without answers.

        The true value is up to 25 % lower: it is a bound of the histogram.
        """
        chosen = [
            slots for name, slots in self._slots.items() if version is None or name == version
        ]
        merged = [sum(column) for column in zip(*chosen, strict=True)]
        wanted, running = share * sum(merged), 0
        for bound, count in zip([*BOUNDS, REQUEST_SECONDS], merged, strict=False):
            running += count
            if running and running >= wanted:
                return bound
        return None


@dataclass(frozen=True, slots=True)
class Second:
    """What began in one second of the run."""

    number: int
    tally: Tally


def is_failure(status: int) -> bool:
    """Tell whether a user would call it an error of the service."""
    return status == NO_ANSWER or status >= 500


class Load:
    """One stream of requests, to one proxy after the other. Start, stop, read the counts any time.

    Attributes:
        total: since the last start.
        seconds: of the last quarter of an hour, oldest first.
    """

    def __init__(
        self,
        *urls: str,
        rps: float,
        clock: Clock,
        path: str = "/work",
        headers: Mapping[str, str] | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        """Prepare.

        Raises:
            ValueError: the rate is out of bounds, or a URL leads away from this machine.
        """
        if not 0 < rps <= MOST_PER_SECOND:
            raise ValueError(f"the rate must be above 0 and at most {MOST_PER_SECOND} requests/s")
        for url in urls:
            _must_be_loopback(url)
        self.total = Tally()
        self.seconds: deque[Second] = deque(maxlen=SECONDS_KEPT)
        self.rps = rps
        self._urls = [url.rstrip("/") + path for url in urls]
        self._headers = dict(headers or {})
        self._clock = clock
        self._connections = connections
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._began = 0.0
        self._busy = 0

    @property
    def running(self) -> bool:
        """Whether requests are being sent."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Send from now on, counting from zero."""
        if not self.running:
            self.total = Tally()
            self.seconds.clear()
            self._stopping = False
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> Tally:
        """Send no more, let running requests end, and hand over the totals."""
        task, self._task = self._task, None
        self._stopping = True
        if task:
            await task
        return self.total

    async def _run(self) -> None:
        self._began = self._clock.monotonic()
        connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=60)
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            await self._send_on_the_grid(session, group)

    async def _send_on_the_grid(
        self, session: aiohttp.ClientSession, group: asyncio.TaskGroup
    ) -> None:
        due = 0
        while (elapsed := self._clock.monotonic() - self._began) < LONGEST_RUN:
            if self._stopping:
                return
            for _ in range(int(elapsed * self.rps) - due):
                due += 1
                if self._busy >= self._connections:
                    self.total.skipped += 1
                    self._second().skipped += 1
                else:
                    self._busy += 1
                    url = self._urls[due % len(self._urls)]
                    group.create_task(self._send(session, url))
            next_at = self._began + (due + 1) / self.rps
            pause = min(next_at - self._clock.monotonic(), LONGEST_PAUSE)
            await self._clock.sleep(max(0.0, pause))

    async def _send(self, session: aiohttp.ClientSession, url: str) -> None:
        second, began = self._second(), self._clock.monotonic()
        version, status = NOBODY, NO_ANSWER
        try:
            async with session.get(url, allow_redirects=False) as answer:
                body = await answer.content.read(256)
                status = answer.status
                version = answer.headers.get("x-echo-version") or _version_in(body)
        except (aiohttp.ClientError, TimeoutError):
            version, status = NOBODY, NO_ANSWER
        finally:
            self._busy -= 1
        seconds = self._clock.monotonic() - began
        self.total.add(version, status, seconds)
        second.add(version, status, seconds)

    def _second(self) -> Tally:
        """Find the tally of the running second."""
        number = int(self._clock.monotonic() - self._began)
        if not self.seconds or self.seconds[-1].number != number:
            self.seconds.append(Second(number, Tally()))
        return self.seconds[-1].tally


def _version_in(body: bytes) -> str:
    found = VERSION_IN_BODY.search(body)
    return found[1].decode() if found else NOBODY


def _must_be_loopback(url: str) -> None:
    host = re.fullmatch(r"http://([0-9.]+)(:\d+)?/?", url)
    if not host or not ipaddress.ip_address(host[1]).is_loopback:
        raise ValueError(
            f"{url}: load goes to a loopback address only, such as http://127.0.0.1:8080"
        )
