"""The policy, as values: what a person may write, with every default.

The loader (`config.load`) merges `defaults` and `profiles` into each rollout before it validates,
so a `Rollout` is complete: nobody downstream asks where a value came from. Every key here does
something. Rules that need one object only stand here and hold for stored policies too; rules
across objects stand in `config.lint`. The short forms a person may use are spelled out by
`config.short_forms`.
"""

from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from config.fields import (
    BodyPattern,
    CanaryHeader,
    Expected,
    FilePath,
    GatewayUrl,
    Headers,
    Host,
    JsonPath,
    JsonValue,
    LabelKey,
    Name,
    ObjectRef,
    Selector,
    SmokePath,
    Text,
    Title,
    UrlPath,
    VersionLabel,
)
from config.judging import (
    Analysis,
    Check,
    EnvoySource,
    Latency,
    Metrics,
    OnNoData,
    PodsSource,
    PrometheusSource,
    Series,
    SuccessRate,
)
from config.model import DAY, HOUR, MINUTE, SECOND, Model, exactly_one
from config.quantities import Between, Duration

__all__ = [
    "After",
    "Analysis",
    "Check",
    "EnvoySource",
    "Expect",
    "Gateway",
    "GlooRoute",
    "Latency",
    "Metrics",
    "Model",
    "OnNoData",
    "PodsSource",
    "Policy",
    "PrometheusSource",
    "Rollout",
    "Route",
    "Series",
    "Smoke",
    "SmokeRequest",
    "Step",
    "SuccessRate",
]

MAX_STEPS: Final = 50
"""Steps of a rollout: what people can follow; finer steps show nothing more."""

MAX_REQUESTS: Final = 50
"""Requests of a smoke test: it is to prove that the canary works, not to be a test suite."""


class GlooRoute(Model):
    """Where the weights live, and the Upstream with the subsets."""

    virtual_service: ObjectRef | None = Field(
        None,
        alias="virtualService",
        description="namespace/name of the VirtualService that holds the weights; or routeTable.",
    )
    route_table: ObjectRef | None = Field(
        None,
        alias="routeTable",
        description="namespace/name of the RouteTable that holds the weights; or virtualService.",
    )
    upstream: ObjectRef = Field(description="namespace/name of the Upstream with the subsets.")
    route_name: Title | None = Field(
        None, alias="routeName", description="Picks the owned route where several match."
    )
    require_no_fallback: bool = Field(
        default=False,
        alias="requireNoFallback",
        description="Refuse an Upstream whose empty subset falls back to any pod.",
    )

    @model_validator(mode="after")
    def _one_object(self) -> Self:
        exactly_one(virtualService=self.virtual_service, routeTable=self.route_table)
        return self


class Route(Model):
    """The router and its object."""

    gloo: GlooRoute = Field(description="The route is Gloo Edge's.")


class Gateway(Model):
    """Where smoke tests and probes go; what is left out is derived from the route where unique."""

    url: GatewayUrl | None = Field(None, description="Scheme, host and port of the gateway.")
    host: Host | None = Field(None, description="Value for the Host header: the route's domain.")
    path: UrlPath | None = Field(None, description="A path that the owned route matches.")
    headers: Headers = Field(
        default_factory=dict, description="Headers that the owned route demands besides."
    )
    ca_file: FilePath | None = Field(
        None, alias="caFile", description="PEM file to verify the gateway's certificate with."
    )


class Expect(Model):
    """What an answer must be."""

    status: int = Field(200, ge=100, le=599, description="The answer's status.")
    body_contains: Expected | None = Field(
        None,
        alias="bodyContains",
        description="A text that the body holds; {{ version }} is the canary's.",
    )
    body_matches: BodyPattern | None = Field(
        None, alias="bodyMatches", description="A regular expression found in the body."
    )
    json_path: Annotated[dict[JsonPath, JsonValue], Field(max_length=50)] | None = Field(
        None,
        alias="json",
        description="Paths such as $.items[0].id and the values that the body's JSON has there.",
    )
    within: Annotated[Duration, Between(timedelta(milliseconds=1), MINUTE)] = Field(
        timedelta(seconds=5), description="The answer is complete after this time at most."
    )


class SmokeRequest(Model):
    """One request of the smoke test; exactly one method key."""

    name: Title = Field(description="What people call it; made of method and path where left out.")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
    path: SmokePath
    headers: Headers = Field(
        default_factory=dict, description="Headers to send; the canary header is added."
    )
    body: Text = Field("", description="The body to send; or json.")
    expect: Expect = Field(default_factory=Expect, description="What the answer must be.")

    @model_validator(mode="after")
    def _bodies_where_there_are_any(self) -> Self:
        if self.body and self.method in {"GET", "HEAD"}:
            raise ValueError(f"{self.method} has no body")
        wants = self.expect.body_contains, self.expect.body_matches, self.expect.json_path
        if self.method == "HEAD" and any(want is not None for want in wants):
            raise ValueError("the answer to HEAD has no body to expect anything of")
        return self


class Smoke(Model):
    """The smoke test: every request must pass, through the gateway, answered by the canary."""

    requests: tuple[SmokeRequest, ...] = Field(
        min_length=1, max_length=MAX_REQUESTS, description="Sent one after the other."
    )
    retries: int = Field(2, ge=0, le=10, description="How often a failed request is repeated.")

    @model_validator(mode="after")
    def _names_tell_apart(self) -> Self:
        names = [request.name for request in self.requests]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two requests are named '{name}'; give one of them another name")
        return self


class Step(Model):
    """Percent of ordinary traffic on the canary, and the least time on it."""

    weight: int = Field(ge=1, le=100, description="Percent of ordinary traffic on the canary.")
    hold: Annotated[Duration, Between(SECOND, 30 * DAY)] = Field(
        description="The least time on this step."
    )


class After(Model):
    """What becomes of the old version."""

    drain: Annotated[Duration, Between(timedelta(0), HOUR)] = Field(
        timedelta(seconds=30), description="Time for running requests of the old version."
    )
    keep_old: Annotated[Duration, Between(timedelta(0), 30 * DAY)] = Field(
        timedelta(hours=1), alias="keepOld", description="How long the old Deployment is kept."
    )
    then: Literal["scaleToZero", "delete", "keep"] = Field(
        "scaleToZero", description="What becomes of the old Deployment then."
    )


def _rising_to_100(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Weights rise and end at 100, so that every rollout ends by itself."""
    weights = [step.weight for step in steps]
    for before, weight in pairwise(weights):
        if weight <= before:
            raise ValueError(f"steps rise; {weight} stands after {before}")
    if weights[-1:] != [100]:
        raise ValueError("the last step is 100")
    return steps


class Rollout(Model):
    """One target, complete: defaults and profile are merged in. `name` is its key in the file."""

    name: Name
    namespace: Name = Field(description="Where the Deployments are.")
    selector: Selector = Field(description="Labels that the pod templates of all versions have.")
    version_label: LabelKey = Field(
        "version", alias="versionLabel", description="Pod-template label that tells versions apart."
    )
    canary_header: CanaryHeader = Field(
        ("stage", "canary"),
        alias="canaryHeader",
        description="Requests with this header go to the canary from the smoke test on.",
    )
    stable: VersionLabel | None = Field(
        None, description="Names the stable version where it cannot be told."
    )
    route: Route = Field(description="The router and the object that holds the weights.")
    allow_open_routes: bool = Field(
        default=False,
        alias="allowOpenRoutes",
        description="Accept other routes to the Upstream that do not choose a version.",
    )
    gateway: Gateway = Field(
        default_factory=Gateway, description="Where smoke tests and probes go."
    )
    metrics: Metrics = Field(
        default_factory=Metrics,
        description="Where requests, failures and durations are counted; left out: by the first of"
        " the gateway pods and the pods' own pages that is proved to tell the versions apart.",
    )
    smoke: Smoke | None = Field(None, description="The smoke test; left out: none.")
    steps: Annotated[tuple[Step, ...], AfterValidator(_rising_to_100)] = Field(
        min_length=1,
        max_length=MAX_STEPS,
        description="Percent of ordinary traffic on the canary, step by step; [100]: at once.",
    )
    ramp: Literal["steps", "budget"] = Field(
        "steps",
        description="steps: a step's weight for its hold; budget: as much traffic as the evidence"
        " allows, the steps being its timetable.",
    )
    bake: Annotated[Duration, Between(SECOND, 30 * DAY)] = Field(
        timedelta(minutes=10), description="Time at 100 with the old version's pods still there."
    )
    analysis: Analysis = Field(default_factory=Analysis, description="How the canary is judged.")
    confirm_timeout: Annotated[Duration, Between(SECOND, HOUR)] = Field(
        timedelta(seconds=30),
        alias="confirmTimeout",
        description="How long the gateway may take to show what was written.",
    )
    on_unconfirmed: Literal["alarm", "scaleCanary"] = Field(
        "alarm",
        alias="onUnconfirmed",
        description="scaleCanary: take the canary's pods away where a rollback is not shown.",
    )
    ready_deadline: Annotated[Duration, Between(SECOND, DAY)] | None = Field(
        None,
        alias="readyDeadline",
        description="How long the canary may take to be ready; else progressDeadlineSeconds.",
    )
    capacity: Literal["require", "ignore"] = Field(
        "require", description="Whether a weight needs enough ready canary pods."
    )
    on_new_version: Literal["restart", "queue", "ignore"] = Field(
        "restart", alias="onNewVersion", description="What follows on a third version."
    )
    on_drift: Literal["pause", "restore"] = Field(
        "pause", alias="onDrift", description="What follows on a foreign edit of our route."
    )
    after: After = Field(default_factory=After, description="What becomes of the old version.")


class Policy(Model):
    """The whole file, resolved."""

    rollouts: dict[str, Rollout]
