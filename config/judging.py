"""How a canary is judged: where the numbers come from, and what they must be.

Part of the schema (`config.schema` offers these names too). Every key here does something.
"""

from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from config.fields import (
    ClusterPattern,
    FilePath,
    MetricName,
    Port,
    Query,
    Secret,
    Title,
    Url,
    UrlPath,
)
from config.model import DAY, MINUTE, SECOND, Model, at_most_one, exactly_one
from config.quantities import (
    Between,
    Duration,
    Percent,
    PercentBetween,
    Points,
    PointsBetween,
    Ratio,
    RatioBetween,
)

MAX_CHECKS: Final = 20
"""Checks of an analysis; each one adds to the chance of a false alarm."""


class Series(Model):
    """Names of the application's own metrics and labels."""

    requests: MetricName = Field("http_requests_total", description="Counter of requests.")
    code: MetricName = Field("code", description="Its label with the status; 5xx is a failure.")
    latency: MetricName = Field(
        "http_request_duration_seconds", description="Histogram of durations, without _bucket."
    )
    version: MetricName = Field("version", description="Label that tells versions apart.")
    pod: MetricName = Field("pod", description="Label with the pod's name.")
    upstream: ClusterPattern | None = Field(
        None,
        description="With Prometheus, where each version is an Envoy cluster of its own: its name,"
        " such as echo-{{ version }}_gloo-system; then the gateway's series count, and pod is the"
        " label of the gateway pods.",
    )


class PodsSource(Model):
    """Read each pod's own metrics page."""

    port: int = Field(ge=1, le=65535, description="Port of the metrics page.")
    path: UrlPath = Field("/metrics", description="Path of the metrics page.")


class EnvoySource(Model):
    """Read what the gateway pods count of each pod; every attempt, those with the header too."""

    port: Port = Field(
        8082,
        description="Port of each gateway pod with Envoy's page /clusters: its number, or its name"
        " in the Service's EndpointSlices. Gloo's readConfig has it on 8082.",
    )


class PrometheusSource(Model):
    """Ask a Prometheus."""

    url: Url = Field(description="Its address, for example http://prometheus.monitoring:9090.")
    bearer_token: Secret | None = Field(
        None,
        alias="bearerToken",
        description="Reference to the token: ${secret:name/key}, ${file:/path} or ${env:NAME}.",
    )
    ca_file: FilePath | None = Field(
        None, alias="caFile", description="PEM file to verify its certificate with."
    )
    scrape_interval: Annotated[Duration, Between(SECOND, 10 * MINUTE)] = Field(
        timedelta(seconds=15),
        alias="scrapeInterval",
        description="How often it reads the pods; windows below four of these are refused.",
    )


class Metrics(Model):
    """One source; or none, and the daemon takes the first that is proved to tell versions apart."""

    prometheus: PrometheusSource | None = Field(None, description="Ask a Prometheus.")
    pods: PodsSource | None = Field(None, description="Read each pod's own metrics page.")
    envoy: EnvoySource | None = Field(
        None, description="Read what the gateway pods count of each pod; no durations."
    )
    series: Series = Field(
        default_factory=Series, description="Names of the application's metrics and labels."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        at_most_one(prometheus=self.prometheus, pods=self.pods, envoy=self.envoy)
        return self

    @property
    def auto(self) -> bool:
        """Whether no source is named, so that one is chosen for each rollout, by proof."""
        return self.prometheus is None and self.pods is None and self.envoy is None


class SuccessRate(Model):
    """How many requests succeed: `{}` compares with stable, atLeast is a limit; both are possible.

    What is written is what is judged: a limit alone compares nothing.
    """

    at_least: Annotated[Percent, PercentBetween(0.5, 0.999999)] | None = Field(
        None, alias="atLeast", description="A limit: the least share of successful requests."
    )
    max_drop: Annotated[Points, PointsBetween(0.0, 0.5)] | None = Field(
        None,
        alias="maxDrop",
        description="The comparison with stable tolerates so many percentage points; else none.",
    )

    @property
    def compares(self) -> bool:
        """Whether the canary is compared with stable."""
        return self.max_drop is not None or not self.limits

    @property
    def limits(self) -> bool:
        """Whether there is an absolute limit."""
        return self.at_least is not None


class Latency(Model):
    """How many requests are slow: `{}` compares with stable, atMost is a limit; both are possible.

    What is written is what is judged: a limit alone compares nothing.
    """

    slower_than: Annotated[Duration, Between(timedelta(milliseconds=1), 10 * MINUTE)] | None = (
        Field(
            None,
            alias="slowerThan",
            description="A request that takes longer counts as slow; left out, the comparison"
            " takes the histogram's own bounds.",
        )
    )
    at_most: Annotated[Percent, PercentBetween(0.000001, 0.5)] | None = Field(
        None, alias="atMost", description="A limit: the greatest share of slow requests."
    )
    max_ratio: Annotated[Ratio, RatioBetween(1.0, 100.0)] | None = Field(
        None,
        alias="maxRatio",
        description="The comparison with stable tolerates so many times stable's share of slow"
        " requests; else 1.25x.",
    )

    @model_validator(mode="after")
    def _a_limit_is_complete(self) -> Self:
        if self.limits and self.slower_than is None:
            raise ValueError("atMost needs slowerThan, which says what is slow")
        if self.slower_than is not None and not self.limits and self.max_ratio is None:
            raise ValueError(
                "slowerThan needs atMost, a limit, or maxRatio, the comparison with stable"
            )
        return self

    @property
    def compares(self) -> bool:
        """Whether the canary is compared with stable."""
        return self.max_ratio is not None or not self.limits

    @property
    def limits(self) -> bool:
        """Whether there is an absolute limit."""
        return self.at_most is not None


class Check(Model):
    """One metric's test: exactly one of successRate, latency, query."""

    name: Title = Field(description="What people call it.")
    mode: Literal["decide", "observe"] = Field(
        "decide", description="observe: reported, never decides."
    )
    success_rate: SuccessRate | None = Field(
        None,
        alias="successRate",
        description="Share of requests that succeed; {} compares it with stable's.",
    )
    latency: Latency | None = Field(
        None, description="Share of requests that are slow; {} compares it with stable's."
    )
    query: Query | None = Field(
        None,
        description="PromQL for one number; {{ version }} and its like are filled in.",
    )
    at_least: float | None = Field(
        None, alias="atLeast", description="The query's number must not be below."
    )
    at_most: float | None = Field(
        None, alias="atMost", description="The query's number must not be above."
    )

    @model_validator(mode="after")
    def _one_kind_with_its_limits(self) -> Self:
        exactly_one(successRate=self.success_rate, latency=self.latency, query=self.query)
        limits = [limit for limit in (self.at_least, self.at_most) if limit is not None]
        if self.query is None and limits:
            kind = "latency" if self.latency else "successRate"
            raise ValueError(f"the limit stands inside {kind}")
        if self.query is not None and not limits:
            raise ValueError("a query needs a limit: atLeast or atMost")
        if len(limits) == 2 and limits[0] > limits[1]:
            raise ValueError("atLeast is above atMost; no number can pass")
        return self

    @property
    def limit_name(self) -> str | None:
        """What its limit is called in findings where it compares as well, under its own name."""
        both = self.success_rate or self.latency
        return f"{self.name} limit" if both and both.compares and both.limits else None


class OnNoData(Model):
    """How long to wait for data before asking a person."""

    wait: Annotated[Duration, Between(SECOND, 7 * DAY)] = Field(
        timedelta(minutes=15), description="How long missing data hold the rollout."
    )
    then: Literal["pause", "rollback"] = Field("pause", description="What follows.")


DEFAULT_CHECKS: Final = (
    Check(name="success rate", success_rate=SuccessRate()),
    Check(name="latency", latency=Latency()),
)
"""The checks of a policy that names none: the comparison with stable needs no numbers of anybody.
Where the gateway counts, which keeps no durations, or may come to, the first one alone
(`config.layers`)."""


class Analysis(Model):
    """How the canary is judged."""

    interval: Annotated[Duration, Between(timedelta(milliseconds=200), 10 * MINUTE)] = Field(
        timedelta(seconds=5), description="Time between two looks at the metrics."
    )
    confidence: Annotated[Percent, PercentBetween(0.9, 0.9999)] = Field(
        0.99, description="How sure a verdict must be; 99% is evidence of 1 : 100."
    )
    min_requests: int = Field(
        30,
        ge=1,
        le=1_000_000,
        alias="minRequests",
        description="Requests to the canary on a step before it may pass.",
    )
    window: Annotated[Duration, Between(timedelta(seconds=4), DAY)] = Field(
        timedelta(minutes=1), description="For query checks: what {{ window }} is."
    )
    on_undecided: Literal["advance", "hold", "rollback"] = Field(
        "advance",
        alias="onUndecided",
        description="What follows where a hold is over and the requests prove nothing.",
    )
    on_no_data: OnNoData = Field(
        default_factory=OnNoData, alias="onNoData", description="What follows without data."
    )
    checks: tuple[Check, ...] = Field(
        DEFAULT_CHECKS,
        max_length=MAX_CHECKS,
        description="What is judged; left out: the comparison with stable.",
    )

    @model_validator(mode="after")
    def _names_tell_apart(self) -> Self:
        names = [check.name for check in self.checks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two checks are named '{name}'; give one of them another name")
        for check in self.checks:
            if check.limit_name in names:
                raise ValueError(
                    f"'{check.limit_name}' is what the limit of '{check.name}' is called;"
                    " give the other check another name"
                )
        return self
