"""Counters straight from the pods: each one's own metrics page, read at the same moment.

No Prometheus is needed, and a look is as fresh as it can be. Fetching comes from outside (`fetch`),
so there is no HTTP library here; a pod that fails is named and never spoils the others' reading.
"""

import asyncio
from collections.abc import Awaitable, Callable

from analysis.errors import RefusedError
from analysis.providers.base import PodAddress, Scope
from analysis.providers.exposition import Families, PageError, counters_of, shows
from analysis.samples import Counters, Number, Reading
from config.schema import PodsSource

Fetch = Callable[[str, float], Awaitable[bytes]]
"""(url, seconds) -> the body of an answer 200; anything else is an exception whose text says
what."""

AT_ONCE = 16
"""Pages fetched side by side: fifty slow pods take four time-outs at most, not fifty."""

LONGEST_REASON = 120
"""Characters of an exception's text that a pod's reason keeps; it ends in Events and on
terminals."""


class PodsProvider:
    """Reads every pod's own metrics page.

    Args:
        fetch: gets a page; must not return more than 1 MiB.
        monotonic: the clock that `Reading.at` is taken from.
        timeout: seconds for one page. Choose it shorter than the interval between looks.
    """

    def __init__(self, fetch: Fetch, monotonic: Callable[[], float], *, timeout: float) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._timeout = timeout
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def read(self, scope: Scope) -> Reading:
        """Read all pods of both versions; `Reading.at` is when the first page was asked for.

        Raises:
            RefusedError: the policy names no port for pages.
        """
        source, families = _source(scope), _families(scope)
        at = self._monotonic()
        versions = {version: scope.pods.get(version, ()) for version in _versions(scope)}
        pods = [(version, pod) for version, addresses in versions.items() for pod in addresses]
        answers = await asyncio.gather(
            *(self._read_pod(_url(source, pod), families) for _, pod in pods)
        )
        counters: dict[str, dict[str, Counters]] = {version: {} for version in versions}
        missing: dict[str, str] = {}
        for (version, pod), answer in zip(pods, answers, strict=True):
            if isinstance(answer, Counters):
                counters[version][pod.name] = answer
            else:
                missing[pod.name] = answer
        return Reading(at, counters, missing)

    async def number(self, scope: Scope, query: str, window: float) -> Number:  # noqa: ARG002
        """Refuse: pages cannot be queried.

        Raises:
            RefusedError: always.
        """
        raise RefusedError("checks with a query need metrics.prometheus; pods' pages have counters")

    async def doubt(self, scope: Scope, *, durations: bool) -> str:
        """Say which pod cannot be read, or of which version no pod shows the series.

        Raises:
            RefusedError: the policy names no port for pages.
        """
        source, families = _source(scope), _families(scope)
        names = [families.requests, *([f"{families.latency}_bucket"] if durations else [])]
        for version in _versions(scope):
            pods = scope.pods.get(version, ())
            pages = await asyncio.gather(*(self._page(_url(source, pod)) for pod in pods))
            for pod, page in zip(pods, pages, strict=True):
                if fault := page if isinstance(page, str) else _fault(page, families):
                    return f"{pod.name}: {fault}"
            for name in names:
                if not any(shows(page, name) for page in pages if isinstance(page, bytes)):
                    return f"no pod of {version} shows a series {name} yet"
        return ""

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _read_pod(self, url: str, families: Families) -> Counters | str:
        """Read one pod; the reason, where it cannot be read."""
        page = await self._page(url)
        if isinstance(page, str):
            return page
        try:
            return counters_of(page, families)
        except PageError as error:
            return str(error)[:LONGEST_REASON]

    async def _page(self, url: str) -> bytes | str:
        """Fetch one page; the reason, where it does not come."""
        try:
            async with self._slots, asyncio.timeout(self._timeout):
                return await self._fetch(url, self._timeout)
        except TimeoutError:
            return f"no answer within {self._timeout:g} s"  # in the words of who fetches
        except Exception as error:  # noqa: BLE001 - fetch is not ours: whatever it raises is the
            # reason of this pod, and must not take the other pods' counts with it.
            text = " ".join(str(error).split()) or type(error).__name__
            return text[:LONGEST_REASON]


def _source(scope: Scope) -> PodsSource:
    if scope.metrics.pods is None:
        raise RefusedError("metrics.pods is not in the policy, so no pod has a metrics page")
    return scope.metrics.pods


def _families(scope: Scope) -> Families:
    series = scope.metrics.series
    return Families(series.requests, series.code, series.latency)


def _fault(page: bytes, families: Families) -> str:
    try:
        counters_of(page, families)
    except PageError as error:
        return str(error)
    return ""


def _versions(scope: Scope) -> tuple[str, ...]:
    return (scope.stable,) if scope.canary is None else (scope.stable, scope.canary)


def _url(source: PodsSource, pod: PodAddress) -> str:
    host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
    return f"http://{host}:{source.port}{source.path}"
