"""What counts a rollout's requests, where its policy names no source: the first that is proved."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from analysis.errors import RefusedError
from analysis.providers.base import PodAddress, Scope
from config.load import load_policy
from config.schema import EnvoySource, Metrics, PodsSource, Rollout
from daemon.kube.objects import PodRecord, trim_pod
from daemon.sources import choose, with_source
from tests.fakes.shop import pod
from tests.spec.routers import routes

POLICY = """
apiVersion: crossfade.dev/v1
kind: Policy
rollouts:
  echo:
    namespace: echo
    selector: {app: echo}
    route: {gloo: {virtualService: gloo-system/echo, upstream: gloo-system/echo}}
    smoke: ["GET / -> 200"]
"""
AUTO = load_policy(POLICY, filename="policy.yaml").rollouts["echo"]
PAGE = {"metadata": {"annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9102"}}}


@dataclass
class Outside:
    """What each source would say: "" tells versions apart, an exception is raised."""

    says: dict[str, Any]
    built: list[Metrics] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    closed: int = 0
    durations: bool | None = None

    def build(self, rollout: Rollout) -> "Outside":
        self.built.append(rollout.metrics)
        return self

    async def doubt(self, scope: Scope, *, durations: bool) -> str:
        self.scopes.append(scope)
        self.durations = durations
        envoy, pods = scope.metrics.envoy, scope.metrics.pods
        said = self.says[f"envoy:{envoy.port}" if envoy else "pods" if pods else "none"]
        if isinstance(said, Exception):
            raise said
        return str(said)

    async def close(self) -> None:
        self.closed += 1


def record(version: str, number: int, *, ready: bool = True, page: dict[str, Any] = PAGE):
    obj = pod(version, number, ready=ready)
    return trim_pod({**obj, "metadata": obj["metadata"] | page.get("metadata", {})})


RECORDS = (record("v1", 1), record("v2", 2))


def scope(*records: PodRecord) -> Scope:
    pods = {
        version: tuple(PodAddress(it.name, it.ip) for it in records if f"-{version}-" in it.name)
        for version in ("v1", "v2")
    }
    return Scope("echo", "echo", "v1", "v2", pods, AUTO.metrics)


async def tried(records: tuple[PodRecord, ...] = RECORDS, rollout: Rollout = AUTO, **says: Any):
    spelt = {"envoy:8082": "a", "envoy:admin": "b", "pods": "c"} | {
        key.replace("_", ":"): value for key, value in says.items()
    }
    outside = Outside(spelt)
    return outside, await choose(rollout, scope(*records), records, outside.build)  # type: ignore[arg-type]


# ---------------------------------------------------------------- the order of trust


async def test_the_gateway_pods_come_first() -> None:
    outside, chosen = await tried(envoy_8082="", pods="")

    assert (chosen.source, chosen.why) == ("envoy:8082", "envoy, the gateway pods count each pod")
    assert [it.envoy for it in outside.built] == [EnvoySource(port=8082)]


async def test_a_port_that_the_service_names_admin_is_tried_as_well() -> None:
    _, chosen = await tried(envoy_admin="")

    assert chosen.source == "envoy:admin"


async def test_the_pods_own_pages_come_next() -> None:
    outside, chosen = await tried(pods="")

    assert chosen.source == "pods:9102/metrics"
    assert chosen.why == "pods, each one's own page :9102/metrics"
    assert outside.built[-1].pods == PodsSource(port=9102, path="/metrics")


async def test_where_none_is_proved_the_sentence_says_why_and_what_to_switch_on() -> None:
    _, chosen = await tried(envoy_8082="they are closed", pods=RefusedError("they are empty"))

    assert chosen.source == ""
    assert chosen.why == (
        "no metrics tell v1 and v2 apart (the gateway pods: they are closed;"
        " the pods' own pages :9102/metrics: they are empty): switch on"
        " gatewayProxies.<name>.readConfig in Gloo's Helm values, or set metrics.pods"
    )


async def test_a_source_that_cannot_even_be_built_is_a_doubt_as_any_other() -> None:
    outside = Outside({"pods": ""})

    def build(rollout: Rollout) -> Outside:
        if rollout.metrics.envoy:
            raise RefusedError("gateway.url names no Service")
        return outside.build(rollout)

    chosen = await choose(AUTO, scope(*RECORDS), RECORDS, build)  # type: ignore[arg-type]

    assert chosen.source == "pods:9102/metrics"


async def test_whatever_is_tried_is_closed_again() -> None:
    outside, _ = await tried(pods=RefusedError("x"))

    assert outside.closed == len(outside.built) == 3


# ---------------------------------------------------------------- which pods, and which page


async def test_pods_that_are_not_ready_need_not_be_counted() -> None:
    records = (*RECORDS, record("v2", 3, ready=False, page={}))

    outside, chosen = await tried(records, pods="")

    assert chosen.source == "pods:9102/metrics"
    assert [it.name for it in outside.scopes[0].pods["v2"]] == ["echo-v2-2"]


async def test_pods_that_name_no_page_are_not_asked() -> None:
    outside, chosen = await tried((record("v1", 1, page={}), record("v2", 2, page={})))

    assert "the pods' own pages: no pod names one (annotations prometheus.io/scrape" in chosen.why
    assert not any(it.pods for it in outside.built)


async def test_versions_that_name_different_pages_are_not_asked() -> None:
    _, chosen = await tried((record("v1", 1, page={}), record("v2", 2)))

    assert "the pods' own pages: pods name different ones (none, :9102/metrics)" in chosen.why


async def test_durations_are_needed_where_a_check_judges_them() -> None:
    latency = POLICY + "    analysis: {checks: [{name: slow, latency: {}}]}\n"
    policy = load_policy(latency, filename="policy.yaml").rollouts["echo"]

    with_it, _ = await tried(rollout=policy)
    without, _ = await tried()

    assert (with_it.durations, without.durations) == (True, False)


# ---------------------------------------------------------------- as the record keeps it


@pytest.mark.parametrize(
    ("source", "metrics"),
    [
        ("envoy:8082", Metrics(envoy=EnvoySource(port=8082))),
        ("envoy:admin", Metrics(envoy=EnvoySource(port="admin"))),
        ("pods:9102/a/b?c", Metrics(pods=PodsSource(port=9102, path="/a/b?c"))),
        ("pods:9102/", Metrics(pods=PodsSource(port=9102, path="/"))),
    ],
)
def test_what_the_record_keeps_is_the_source_again(source: str, metrics: Metrics) -> None:
    assert with_source(AUTO, source).metrics == metrics


@pytest.mark.parametrize(
    "source",
    ["", "envoy", "envoy:1", "pods:9102", "pods:0/m", "pods:99999999/m", "pods:٣/m", "x:1"],
)
def test_a_text_of_no_sense_is_no_source(source: str) -> None:
    assert with_source(AUTO, source).metrics.auto


def test_the_names_of_the_series_stay_those_of_the_policy() -> None:
    policy = load_policy(
        POLICY.replace("rollouts:", "metrics: {series: {code: status}}\nrollouts:", 1),
        filename="policy.yaml",
    ).rollouts["echo"]

    assert with_source(policy, "pods:1/m").metrics.series.code == "status"


def test_a_source_that_the_policy_names_is_never_replaced() -> None:
    named = routes.a_rollout()

    assert with_source(named, "envoy:8082") == named
