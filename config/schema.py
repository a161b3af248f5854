"""The policy, as values: what a person may write, with every default.

The loader (`config.load`) merges `defaults` and `profiles` into each rollout before it validates, so a
`Rollout` is complete: nobody downstream asks where a value came from. Every key here does something.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from config.quantities import Duration, Percent, SmokeLine

Name = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
ObjectRef = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""`namespace/name`."""


class Model(BaseModel):
    """Strict, closed, immutable."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )


class GlooRoute(Model):
    """Where the weights live: `virtualService` or `routeTable`, and the Upstream with the subsets."""

    virtual_service: ObjectRef | None = Field(None, alias="virtualService")
    route_table: ObjectRef | None = Field(None, alias="routeTable")
    upstream: ObjectRef
    route_name: str | None = Field(None, alias="routeName")
    require_no_fallback: bool = Field(default=False, alias="requireNoFallback")


class Route(Model):
    """The router and its object."""

    gloo: GlooRoute


class Gateway(Model):
    """Where smoke tests and probes go; what is left out is derived from the route where unique."""

    url: str | None = None
    host: str | None = None
    path: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    ca_file: str | None = Field(None, alias="caFile")


class Expect(Model):
    """What an answer must be."""

    status: int = Field(200, ge=100, le=599)
    body_contains: str | None = Field(None, alias="bodyContains")
    body_matches: str | None = Field(None, alias="bodyMatches")
    json_path: dict[str, str | int | float | bool | None] | None = Field(None, alias="json")
    within: Duration = Field(timedelta(seconds=5))


class SmokeRequest(Model):
    """One request of the smoke test; exactly one method key."""

    name: str
    method: str
    path: str
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""
    expect: Expect = Field(default_factory=Expect)


class Smoke(Model):
    """The smoke test: every request must pass, through the gateway, answered by the canary."""

    requests: tuple[SmokeRequest, ...]
    retries: int = Field(2, ge=0, le=10)


class Step(Model):
    """Percent of ordinary traffic on the canary, and the least time on it."""

    weight: int = Field(ge=1, le=100)
    hold: Duration


class SuccessRate(Model):
    """At least this share of the canary's requests must succeed."""

    at_least: Percent = Field(alias="atLeast")


class Latency(Model):
    """At most this share of the canary's requests may be slower than the bound."""

    slower_than: Duration = Field(alias="slowerThan")
    at_most: Percent = Field(alias="atMost")


class Check(Model):
    """One metric's test: exactly one of successRate, latency, query."""

    name: str
    mode: Literal["decide", "observe"] = "decide"
    success_rate: SuccessRate | None = Field(None, alias="successRate")
    latency: Latency | None = None
    query: str | None = None
    at_least: float | None = Field(None, alias="atLeast")
    at_most: float | None = Field(None, alias="atMost")


class OnNoData(Model):
    """How long to wait for data before asking a person."""

    wait: Duration = Field(timedelta(minutes=15))
    then: Literal["pause", "rollback"] = "pause"


class Analysis(Model):
    """How the canary is judged."""

    interval: Duration = Field(timedelta(seconds=5))
    confidence: Percent = Field(0.99)
    min_requests: int = Field(30, ge=1, alias="minRequests")
    window: Duration = Field(timedelta(minutes=1))
    on_undecided: Literal["advance", "hold", "rollback"] = Field("advance", alias="onUndecided")
    on_no_data: OnNoData = Field(default_factory=OnNoData, alias="onNoData")
    checks: tuple[Check, ...] = ()


class After(Model):
    """What becomes of the old version."""

    drain: Duration = Field(timedelta(seconds=30))
    keep_old: Duration = Field(timedelta(hours=1), alias="keepOld")
    then: Literal["scaleToZero", "delete", "keep"] = "scaleToZero"


class Series(Model):
    """Names of the application's own metrics and labels."""

    requests: str = "http_requests_total"
    code: str = "code"
    latency: str = "http_request_duration_seconds"
    version: str = "version"
    pod: str = "pod"


class PodsSource(Model):
    """Read each pod's own metrics page."""

    port: int = Field(ge=1, le=65535)
    path: str = "/metrics"


class PrometheusSource(Model):
    """Ask a Prometheus."""

    url: str
    bearer_token: str | None = Field(None, alias="bearerToken")
    ca_file: str | None = Field(None, alias="caFile")
    scrape_interval: Duration = Field(timedelta(seconds=15), alias="scrapeInterval")


class Metrics(Model):
    """Exactly one source."""

    prometheus: PrometheusSource | None = None
    pods: PodsSource | None = None
    series: Series = Field(default_factory=Series)


class Rollout(Model):
    """One target, complete: defaults and profile are merged in. `name` is its key in the file."""

    name: Name
    namespace: Name
    selector: dict[str, str] = Field(min_length=1)
    version_label: str = Field("version", alias="versionLabel")
    canary_header: tuple[str, str] = Field(("stage", "canary"), alias="canaryHeader")
    stable: str | None = None
    route: Route
    allow_open_routes: bool = Field(default=False, alias="allowOpenRoutes")
    gateway: Gateway = Field(default_factory=Gateway)
    metrics: Metrics
    smoke: Smoke | None = None
    steps: tuple[Step, ...]
    bake: Duration = Field(timedelta(minutes=10))
    analysis: Analysis = Field(default_factory=Analysis)
    confirm_timeout: Duration = Field(timedelta(seconds=30), alias="confirmTimeout")
    on_unconfirmed: Literal["alarm", "scaleCanary"] = Field("alarm", alias="onUnconfirmed")
    ready_deadline: Duration | None = Field(None, alias="readyDeadline")
    capacity: Literal["require", "ignore"] = "require"
    on_new_version: Literal["restart", "queue", "ignore"] = Field("restart", alias="onNewVersion")
    on_drift: Literal["pause", "restore"] = Field("pause", alias="onDrift")
    after: After = Field(default_factory=After)


class Policy(Model):
    """The whole file, resolved."""

    rollouts: dict[str, Rollout]


_ = SmokeLine
