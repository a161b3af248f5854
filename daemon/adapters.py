"""From a piece of work to the adapters that do it: probe, smoke test, metrics provider.

Where requests go is derived from policy and route at the moment of the work, never remembered.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from analysis.errors import ProviderError, RefusedError
from analysis.providers.base import Provider, Scope
from analysis.providers.envoy_page import LARGEST_PAGE
from analysis.providers.pods import PodsProvider
from config.references import resolve_references
from config.schema import EnvoySource, Rollout
from daemon.core.model import Proof, SmokeResult, Work
from daemon.envoy import GatewaysAtRest, envoy_provider
from daemon.errors import CrossfadeError, PermanentError, TransientError
from daemon.gateway import GatewayAddress, Proxies, service_of
from daemon.kube.objects import PodRecord
from daemon.ports import Clock, Cluster, Http, HttpRequest, Obj
from daemon.probe import ProofJob, Prover
from daemon.references import read_reference, resolved
from daemon.routers.base import Router
from daemon.smoke.run import SmokeJob, run_smoke
from daemon.sources import Chosen, choose

MAX_PAGE_BYTES = 1024 * 1024
"""A metrics page of one pod; a longer one is refused, not cut."""
LONGEST_FETCH = 5.0
"""Seconds for one page, or 80 % of the interval if that is shorter."""
PREFLIGHT_FETCH = 2.0
"""Seconds for the pages that preflight looks at: a look at the target waits for them."""
UNDERIVABLE_RETRY_SECONDS = 5.0
"""A gateway address that cannot be derived is told, and looked for again: the route may change."""


class Adapters:
    """The outside side of the work beside reconcile."""

    def __init__(
        self,
        cluster: Cluster,
        http: Http,
        clock: Clock,
        *,
        router: Router,
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._http = http
        self._clock = clock
        self._router = router
        self._now = now
        self._at_rest = GatewaysAtRest(cluster, clock)
        self._proxies = Proxies(cluster, clock)
        self._prover = Prover(clock, http, self._proxies, now)

    async def prove(
        self, work: Work, rollout: Rollout, obj: Obj, report: Callable[[Proof], None]
    ) -> Proof:
        """Prove a decision; where the gateway's address is unknown, say so and keep waiting."""
        assert work.guide is not None
        address = self._address(rollout, obj)
        began = self._now()
        while isinstance(address, str):
            report(Proof(work.rollout, work.decision, None, began, address))
            await self._clock.sleep(UNDERIVABLE_RETRY_SECONDS)
            address = self._address(rollout, obj)
        job = ProofJob(
            rollout=work.rollout,
            decision=work.decision,
            kind=work.guide,
            address=address,
            canary_header=rollout.canary_header,
            ca_file=rollout.gateway.ca_file,
        )
        return await self._prover.prove(job, report)

    async def smoke(self, work: Work, rollout: Rollout, obj: Obj) -> SmokeResult:
        """Run the smoke test of a decision that is proved.

        Raises:
            CrossfadeError: it cannot run, which says nothing about the canary.
        """
        assert work.canary is not None
        address = self._address(rollout, obj)
        if isinstance(address, str):
            raise PermanentError(address)
        smoke = resolved(rollout).smoke
        assert smoke is not None
        job = SmokeJob(
            rollout=work.rollout,
            decision=work.decision,
            revision=work.revision,
            namespace=rollout.namespace,
            target=rollout.name,
            stable=work.stable,
            canary=work.canary,
            smoke=smoke,
            address=address,
            canary_header=rollout.canary_header,
            ca_file=rollout.gateway.ca_file,
            at=await self._one_proxy(address),
        )
        return await run_smoke(job, self._http, self._clock, self._now)

    def _address(self, rollout: Rollout, obj: Obj) -> GatewayAddress | str:
        """Derive where requests go; a sentence where that cannot be told."""
        try:
            return self._router.gateway(resolved(rollout), obj)
        except PermanentError as problem:
            return str(problem)

    async def _one_proxy(self, address: GatewayAddress) -> str | None:
        """Choose a proxy to go through: the Service's name need not resolve where we run."""
        service = service_of(address.url)
        if service is None:
            return None
        try:
            listing = await self._proxies.known(service)
        except CrossfadeError:
            return None
        return next(iter(listing.proxies), None)

    def provider(self, rollout: Rollout) -> Provider:
        """Build the metrics provider that the policy names.

        Raises:
            ProviderError: a reference cannot be looked up.
        """
        interval = rollout.analysis.interval.total_seconds()
        return self._provider(rollout, min(LONGEST_FETCH, 0.8 * interval))

    async def choose(self, rollout: Rollout, scope: Scope, records: Iterable[PodRecord]) -> Chosen:
        """Find what counts a rollout's requests, where its policy names no source."""
        return await choose(rollout, scope, records, self.provider)

    def provider_at_rest(self, rollout: Rollout) -> Provider | None:
        """Build what reads stable while nothing is rolled out; None where that is a Prometheus.

        A Prometheus is others' too, and serves many targets: it is asked while there is a rollout.

        Raises:
            ProviderError: a reference cannot be looked up.
        """
        if rollout.metrics.prometheus is not None or rollout.metrics.auto:
            return None
        return self._provider(rollout, LONGEST_FETCH, self._at_rest)

    async def metrics_fault(self, rollout: Rollout) -> str:
        """Say why nothing could be judged by these metrics; empty where that shows only later."""
        if rollout.metrics.envoy is None and rollout.metrics.series.upstream is None:
            return ""
        nobody = Scope(rollout.namespace, rollout.name, "", None, {}, rollout.metrics)
        try:
            provider = self._provider(rollout, PREFLIGHT_FETCH)
            try:
                await provider.read(nobody)
            finally:
                await provider.close()
        except ProviderError as problem:
            return str(problem)
        return ""

    def _provider(
        self, rollout: Rollout, timeout: float, at_rest: GatewaysAtRest | None = None
    ) -> Provider:
        if rollout.metrics.prometheus is not None:
            from daemon.prometheus import prometheus_provider

            try:
                url = resolve_references(rollout.metrics.prometheus.url, read_reference)
            except PermanentError as problem:
                raise RefusedError(str(problem)) from problem
            source = rollout.metrics.prometheus.model_copy(update={"url": url})
            return prometheus_provider(source, self._clock, timeout)
        if rollout.metrics.envoy is not None:
            return self._envoy_provider(rollout, rollout.metrics.envoy, timeout, at_rest)
        if rollout.metrics.pods is not None:
            return PodsProvider(self._fetch, self._clock.monotonic, timeout=timeout)
        raise RefusedError("which metrics tell the versions apart is not known yet")

    def _envoy_provider(
        self,
        rollout: Rollout,
        source: EnvoySource,
        timeout: float,
        at_rest: GatewaysAtRest | None,
    ) -> Provider:
        try:
            upstream = self._router.cluster(resolved(rollout))
        except PermanentError as problem:
            raise RefusedError(str(problem)) from problem
        fetch = partial(self._fetch, largest=LARGEST_PAGE)
        return envoy_provider(
            source,
            upstream,
            self._cluster,
            self._clock,
            fetch=fetch,
            timeout=timeout,
            at_rest=at_rest,
        )

    async def _fetch(self, url: str, seconds: float, largest: int = MAX_PAGE_BYTES) -> bytes:
        request = HttpRequest(url=url, timeout=seconds, max_body=largest)
        try:
            answer = await self._http.send(request)
        except TransientError as problem:
            raise RefusedError(str(problem)) from problem
        if answer.status != 200:
            raise RefusedError(f"answered {answer.status}")
        return answer.body
