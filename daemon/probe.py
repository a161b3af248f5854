"""Confirm a decision by the data plane: ask every proxy of the gateway until each shows its number.

Proof is by presence: only an answer that carries our rollout id and decision number counts.
Silence, errors and old numbers are told, never judged; no body is read. What follows from a missing
proof is decided elsewhere.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from daemon.core.model import DECISION_HEADER, PROBE_HEADER, ROLLOUT_HEADER, GuideKind, Proof
from daemon.errors import CrossfadeError, ForbiddenError, NotFoundError, TransientError
from daemon.gateway import (
    LISTING_SECONDS,
    GatewayAddress,
    GatewayService,
    Proxies,
    service_of,
)
from daemon.ports import Clock, Http, HttpAnswer, HttpRequest

POLL_SECONDS = 0.075
"""Between two requests to one proxy; a write is live within a second."""
PROBE_TIMEOUT_SECONDS = 5.0
"""The answer comes from the application, which may be slow."""
REPORT_SECONDS = 1.0
"""At most one changed detail in this time goes to the reconciler."""
SAMPLES = 20
"""Successive answers on fresh connections that stand for all proxies where none can be listed."""
MAX_IN_FLIGHT = 50
"""Probes at a time; a larger gateway is asked in turns."""
MAX_QUOTED = 3
"""Proxies that one detail quotes; the rest is counted."""
MAX_VALUE = 200
"""Characters of a quoted header."""


@dataclass(frozen=True, slots=True)
class ProofJob:
    """What is to be proved, and where.

    Attributes:
        kind: which route carries the number, and so which request header leads to it.
        canary_header: name and value of the policy's header.
    """

    rollout: str
    decision: int
    kind: GuideKind
    address: GatewayAddress
    canary_header: tuple[str, str]
    ca_file: str | None = None

    def request(self, url: str) -> HttpRequest:
        """Return the probe of one proxy (or of the gateway's own URL)."""
        name, value = self.canary_header
        if self.kind is not GuideKind.HEADER:
            name, value = PROBE_HEADER, self.rollout
        return HttpRequest(
            url=url + self.address.path,
            headers=self.address.headers_with({name: value}),
            timeout=PROBE_TIMEOUT_SECONDS,
            max_body=0,
            ca_file=self.ca_file,
            fresh=True,
        )


Report = Callable[[Proof], None]


@dataclass(slots=True)
class _Seen:
    """What is known of the proxies so far.

    Attributes:
        proxies: as last listed; None before the first listing.
        proved: proxies that answered with the number.
        said: what each of the others got last.
        trouble: why the proxies could not be listed this time.
        unlistable: why they can never be listed: no right, or no such API.
    """

    proxies: tuple[str, ...] | None = None
    proved: set[str] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)
    trouble: str = ""
    unlistable: str = ""

    def complete(self) -> bool:
        """Whether a fresh listing names proxies, and each has shown the number."""
        return bool(self.proxies) and not self.trouble and not self.missing()

    def missing(self) -> list[str]:
        return [proxy for proxy in self.proxies or () if proxy not in self.proved]


class Prover:
    """Proves decisions, one call each; holds nothing between them."""

    def __init__(
        self, clock: Clock, http: Http, proxies: Proxies, now: Callable[[], datetime]
    ) -> None:
        self._clock = clock
        self._http = http
        self._proxies = proxies
        self._now = now

    async def prove(self, job: ProofJob, report: Report) -> Proof:
        """Probe until the decision is confirmed; return and report the proof.

        On the way every changed detail is reported as an unconfirmed proof, the first at once. It
        ends with the proof or by cancellation only.
        """
        news = _News(job, self._clock, self._now(), report)
        service = service_of(job.address.url)
        sampled = ""
        if service is not None:
            seen = await self._prove_each(job, service, news)
            sampled = seen.unlistable
            if not sampled:
                return news.confirm(_detail(seen, service, job), self._now())
        await self._prove_by_samples(job, news, sampled)
        return news.confirm("", self._now(), sampled=True)

    async def _prove_each(self, job: ProofJob, service: GatewayService, news: "_News") -> _Seen:
        """Return once every proxy has shown the number, or the proxies can never be listed."""
        seen = _Seen()
        running: dict[str, asyncio.Task[str]] = {}
        due = self._clock.monotonic()
        async with asyncio.TaskGroup() as group:
            try:
                while True:
                    if self._clock.monotonic() >= due:
                        due = await self._list(service, seen)
                    _collect(running, seen)
                    if seen.unlistable or seen.complete():
                        return seen
                    for proxy in seen.missing():
                        if proxy not in running and len(running) < MAX_IN_FLIGHT:
                            running[proxy] = group.create_task(self._ask(job, proxy))
                    news.tell(_detail(seen, service, job))
                    await self._clock.sleep(POLL_SECONDS)
            finally:
                for task in running.values():
                    task.cancel()

    async def _list(self, service: GatewayService, seen: _Seen) -> float:
        """Take in the proxies; return when they are to be listed again."""
        again = self._clock.monotonic() + LISTING_SECONDS
        try:
            seen.proxies, again = await self._proxies.listed(service)
            seen.trouble = ""
        except (ForbiddenError, NotFoundError) as error:
            seen.unlistable = str(error)
        except CrossfadeError as error:
            # The last listing holds for probing, but nothing is confirmed on it.
            seen.trouble = str(error)
        return again

    async def _ask(self, job: ProofJob, url: str) -> str:
        """Ask once; return what is wrong with the answer, or nothing."""
        try:
            answer = await self._http.send(job.request(url))
        except TransientError as error:
            return str(error)
        return _fault(answer, job)

    async def _prove_by_samples(self, job: ProofJob, news: "_News", why: str) -> None:
        """Return once enough successive answers of the gateway's own URL showed the number."""
        row = 0
        note = f" (its proxies cannot be listed: {why})" if why else ""
        news.tell(f"probing {job.address.url}{note}")
        while row < SAMPLES:
            if fault := await self._ask(job, job.address.url):
                row = 0
                news.tell(f"{job.address.url}{note}: {fault}")
            else:
                row += 1
            if row < SAMPLES:
                await self._clock.sleep(POLL_SECONDS)


class _News:
    """Tells the reconciler what changed, not more often than it can use it."""

    def __init__(self, job: ProofJob, clock: Clock, started: datetime, report: Report) -> None:
        self._clock = clock
        self._report = report
        self._proof = Proof(job.rollout, job.decision, None, started)
        self._next = clock.monotonic()

    def tell(self, detail: str) -> None:
        """Report an unconfirmed proof if its detail is new and the last report is old enough."""
        if detail == self._proof.detail or self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + REPORT_SECONDS
        self._proof = replace(self._proof, detail=detail)
        self._report(self._proof)

    def confirm(self, detail: str, moment: datetime, *, sampled: bool = False) -> Proof:
        """Report and return the confirmed proof."""
        proof = replace(self._proof, confirmed_at=moment, detail=detail, sampled=sampled)
        self._report(proof)
        return proof


def _collect(running: dict[str, asyncio.Task[str]], seen: _Seen) -> None:
    """Take in what the probes that ended have found."""
    for proxy in [proxy for proxy, task in running.items() if task.done()]:
        fault = running.pop(proxy).result()
        if fault:
            seen.said[proxy] = fault
        else:
            seen.proved.add(proxy)


def _fault(answer: HttpAnswer, job: ProofJob) -> str:
    """Say how an answer falls short of the number; empty if it carries it."""
    rollout = answer.headers.get(ROLLOUT_HEADER, "")
    decision = answer.headers.get(DECISION_HEADER, "")
    if rollout == job.rollout and decision == str(job.decision):
        return ""
    if not rollout and not decision:
        carried = "without our headers"
    elif rollout != job.rollout:
        carried = "for another rollout"
    else:
        carried = f"with decision {_short(decision) or 'none'}"
    quoted = [
        f"{name}: {_short(answer.headers[name])}"
        for name in ("server", "location")
        if name in answer.headers
    ]
    return f"answered {answer.status} {carried}" + (f" ({', '.join(quoted)})" if quoted else "")


def _short(value: str) -> str:
    plain = "".join(c if c.isprintable() else "?" for c in value[: MAX_VALUE + 1])
    return plain if len(plain) <= MAX_VALUE else plain[:MAX_VALUE] + "..."


def _detail(seen: _Seen, service: GatewayService, job: ProofJob) -> str:
    """Say where the proof stands, in one sentence for a person."""
    if seen.trouble:
        return f"the proxies of Service {service} cannot be listed now: {seen.trouble}"
    if not seen.proxies:
        return f"Service {service} has no proxy that is ready (no EndpointSlice names one)"
    missing = seen.missing()
    proved = len(seen.proxies) - len(missing)
    sentence = f"{proved} of {_count(len(seen.proxies))} shown to serve decision {job.decision}"
    known = [f"{_bare(proxy)} {seen.said[proxy]}" for proxy in missing if proxy in seen.said]
    if len(known) > MAX_QUOTED:
        known = [*known[:MAX_QUOTED], f"{len(known) - MAX_QUOTED} more likewise"]
    return "; ".join([sentence, *known])


def _count(proxies: int) -> str:
    return "1 proxy" if proxies == 1 else f"{proxies} proxies"


def _bare(url: str) -> str:
    return url.partition("://")[2]
