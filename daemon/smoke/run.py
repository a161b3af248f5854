"""Run the smoke test: every request through the gateway, and proof that the canary answered each.

A request passes only if the answer meets its expectation *and* carries our rollout, our decision
and the canary's version, as the gateway says them: a subset without pods is served by any pod, so a
good answer alone proves nothing. Then one request without the header shows that users do not meet
our route. A gateway that takes no connection says nothing about the canary, so then there is no
result. What follows from a failure is decided elsewhere; no body ever stands in a sentence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from config.schema import Smoke, SmokeRequest
from daemon.core.model import (
    DECISION_HEADER,
    ROLLOUT_HEADER,
    VERSION_HEADER,
    SmokeResult,
)
from daemon.errors import TransientError
from daemon.gateway import GatewayAddress
from daemon.ports import Clock, Http, HttpAnswer, HttpRequest
from daemon.smoke.expectations import fill, looks_into_body, unmet

MAX_BODY = 65_536
"""Bytes of an answer that is looked into; a page that says its version needs a fraction."""
MAX_UNSEEN_BODY = 1_048_576
"""Bytes of an answer of which only the end matters: a home page must not fail for its size."""
FIRST_PAUSE_SECONDS = 0.5
"""Before the first retry; doubled for each further one."""
MAX_PAUSE_SECONDS = 4.0
"""Retries are for a moment's fault; a longer one is what the smoke test is there to find."""
GRACE_SECONDS = 1.0
"""Waited past `within`, so that the sentence can say how long a slow answer took."""
MAX_VALUE = 64
"""Characters of a version from outside that a sentence repeats; a label has no more."""
CONNECT_ERROR = b"upstream connect error"
"""How Envoy's own page begins when a pod does not take the connection."""
NO_VERSION = ("", "-")
"""What Envoy's formatter gives when no pod was chosen."""
OUR_HEADERS = (ROLLOUT_HEADER, DECISION_HEADER, VERSION_HEADER)


@dataclass(frozen=True, slots=True)
class SmokeJob:
    """What is to be tested, and where.

    Attributes:
        stable, canary: versions.
        at: URL of one proxy to go through, or None for the gateway's own.
    """

    rollout: str
    decision: int
    revision: str
    namespace: str
    target: str
    stable: str
    canary: str
    smoke: Smoke
    address: GatewayAddress
    canary_header: tuple[str, str]
    ca_file: str | None = None
    at: str | None = None

    @property
    def values(self) -> dict[str, str]:
        """What the placeholders stand for."""
        return {"version": self.canary, "namespace": self.namespace, "target": self.target}

    def request(self, request: SmokeRequest) -> HttpRequest:
        """Return a request of the policy as it is sent; Host and canary header are ours."""
        name, value = self.canary_header
        own = {key: fill(text, self.values) for key, text in request.headers.items()}
        return HttpRequest(
            url=(self.at or self.address.url) + fill(request.path, self.values),
            method=request.method,
            headers=self.address.headers_with(own, {name: value}),
            body=fill(request.body, self.values).encode(),
            timeout=request.expect.within.total_seconds() + GRACE_SECONDS,
            max_body=MAX_BODY if looks_into_body(request.expect) else MAX_UNSEEN_BODY,
            ca_file=self.ca_file,
            fresh=True,
        )

    def plain_request(self) -> HttpRequest:
        """Return a request as users send it, without the canary header."""
        return HttpRequest(
            url=(self.at or self.address.url) + self.address.path,
            headers=self.address.headers_with(),
            max_body=0,
            ca_file=self.ca_file,
            fresh=True,
        )


async def run_smoke(
    job: SmokeJob, http: Http, clock: Clock, now: Callable[[], datetime]
) -> SmokeResult:
    """Run all requests in order; the first that fails after its retries ends it.

    Raises:
        TransientError: the gateway could not be reached, retries included.
    """
    tries = _Tries(http, clock, job.smoke.retries)
    slowest = 0.0
    for request in job.smoke.requests:
        fault, seconds = await tries.run(job.request(request), partial(_fault, job, request))
        if fault:
            return _result(job, now, f"{_title(request)}: {fault}", passed=False)
        slowest = max(slowest, seconds)
    fault, _ = await tries.run(job.plain_request(), _met_our_route)
    if fault:
        name, value = job.canary_header
        plain = f"GET {job.address.path} without {name}: {value}"
        return _result(job, now, f"{plain}: {fault}", passed=False)
    count = len(job.smoke.requests)
    message = (
        f"{count} request{'' if count == 1 else 's'} passed, answered by {job.canary},"
        f" the slowest in {slowest * 1000:.0f} ms"
    )
    return _result(job, now, message, passed=True)


def _result(
    job: SmokeJob, now: Callable[[], datetime], message: str, *, passed: bool
) -> SmokeResult:
    return SmokeResult(job.rollout, job.decision, job.revision, passed, message, now())


@dataclass(frozen=True, slots=True)
class _Tries:
    """Sends a request until its answer has no fault, a bounded number of times."""

    http: Http
    clock: Clock
    retries: int

    async def run(
        self, request: HttpRequest, fault_of: Callable[[HttpAnswer], str]
    ) -> tuple[str, float]:
        """Return the last try's fault (empty: passed) and how long its answer took.

        Raises:
            TransientError: the last try did not get as far as the gateway.
        """
        pause = FIRST_PAUSE_SECONDS
        for left in range(self.retries, -1, -1):
            seconds = 0.0
            try:
                answer = await self.http.send(request)
                fault, seconds = fault_of(answer), answer.seconds
            except TransientError as error:
                if not left and not error.sent:
                    raise
                fault = str(error)
            if not fault or not left:
                break
            await self.clock.sleep(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)
        return fault, seconds


def _title(request: SmokeRequest) -> str:
    """Name a request as the policy does, with what it asks for."""
    asked = f"{request.method} {request.path}"
    return asked if request.name in ("", asked) else f"{request.name} ({asked})"


def _fault(job: SmokeJob, request: SmokeRequest, answer: HttpAnswer) -> str:
    """Say what is wrong with an answer, who answered first; empty if nothing."""
    if fault := _wrong_server(job, answer):
        return fault
    fault = unmet(answer, request.expect, job.values)
    if fault and answer.status == 503 and answer.body.startswith(CONNECT_ERROR):
        return f"{fault}: the gateway could not reach the pod of {job.canary}"
    return fault


def _wrong_server(job: SmokeJob, answer: HttpAnswer) -> str:
    """Say who answered, if it was not the canary through our route under our decision."""
    said = {name: _short(answer.headers.get(name, "")) for name in OUR_HEADERS}
    version = said[VERSION_HEADER]
    if not any(said.values()):
        return (
            "the gateway did not say which version answered: the header route was not met"
            f" (status {answer.status}{_server(answer)})"
        )
    if (said[ROLLOUT_HEADER], said[DECISION_HEADER]) != (job.rollout, str(job.decision)):
        return (
            f"answered under decision {said[DECISION_HEADER] or 'unknown'}"
            f" of rollout {said[ROLLOUT_HEADER] or 'unknown'},"
            f" not {job.decision} of {job.rollout}: the route has changed"
        )
    if version in NO_VERSION and answer.status == 503:
        return (
            f"the gateway itself answered 503: it has no ready pod of {job.canary}"
            " (are its pods ready, and is the Upstream's servicePort a port of the Service?)"
        )
    if version in NO_VERSION:
        return (
            "the gateway did not say which version answered"
            f" (status {answer.status}{_server(answer)}; does the pod carry the version label?)"
        )
    if version == job.stable:
        return f"answered by the old version {version}, not by {job.canary}"
    if version != job.canary:
        return f"answered by {version}, not by {job.canary}"
    return ""


def _met_our_route(answer: HttpAnswer) -> str:
    """Say if a request without the header met our route, by the headers only this route adds."""
    found = [name for name in OUR_HEADERS if name in answer.headers]
    if not found:
        return ""
    return (
        f"the answer carries {found[0]}: ordinary requests meet the header route"
        f" (status {answer.status}{_server(answer)})"
    )


def _server(answer: HttpAnswer) -> str:
    server = _short(answer.headers.get("server", ""))
    return f", server: {server}" if server else ""


def _short(value: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in value[:MAX_VALUE])
