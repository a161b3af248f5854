"""A policy without `metrics`: what is proved to tell the versions apart is what judges them."""

import pytest

from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.kube.objects import ENDPOINTSLICES
from daemon.sandbox.kinds import DEPLOYMENTS
from tests.live.harness import PATIENCE

AUTO = {"metrics": None, "analysis": {"interval": "1s"}}
LONG = {"steps": [{"weight": 25, "hold": "10m"}, {"weight": 100}]}
SLICE = (ENDPOINTSLICES, "gateway-proxy-0", "gloo-system")


async def gateway_pages(scene, *, shown):
    """Let the gateway's Service name the port of Envoy's pages, or not."""
    found = await scene.world.get(*SLICE)
    admin = {"name": "admin", "port": scene.world.gateway.envoys[0].admin_port, "protocol": "TCP"}
    ports = [it for it in found["ports"] if it["name"] != "admin"] + [admin] * shown
    resource, name, namespace = SLICE
    await scene.people.merge_patch(resource, namespace, name, {"ports": ports})


async def name_page(scene, version):
    """Let the pods of a version name their metrics page by the usual annotations."""
    notes = {"prometheus.io/scrape": "true", "prometheus.io/port": str(scene.world.pod_port)}
    change = {"spec": {"template": {"metadata": {"annotations": notes}}}}
    await scene.people.merge_patch(DEPLOYMENTS, "echo", f"echo-{version}", change)


async def without_gateway_pages(begin, **policy):
    scene = await begin(policy=AUTO | policy, start=False)
    await gateway_pages(scene, shown=False)
    return scene


async def judged_by_pods(begin, **policy):
    """A release on its first step that is judged by the pods' own pages."""
    scene = await without_gateway_pages(begin, **policy)
    await name_page(scene, "v1")
    await scene.world.until(lambda: every_page_is_named(scene), "v1 to be replaced", PATIENCE)
    await scene.start()
    await scene.adopted()
    await scene.deploy("v2")
    await name_page(scene, "v2")
    return scene, await scene.reaches(Phase.SHIFTING, weight=25)


async def every_page_is_named(scene):
    pods = await scene.world.pods("v1")
    named = [it for it in pods if "prometheus.io/scrape" in it["metadata"].get("annotations", {})]
    return len(named) == len(pods) == 2


async def test_the_gateway_pods_are_chosen_where_they_count_each_pod(begin):
    scene = await begin(policy=AUTO)
    await scene.adopted()

    await scene.deploy("v2")
    first = await scene.reaches(Phase.SHIFTING, weight=25)
    last = await scene.reaches(Phase.BAKING)

    assert first.source == last.source == "envoy:admin"
    assert first.message.endswith("; metrics: envoy, the gateway pods count each pod")
    assert scene.failed == 0


async def test_a_bad_version_is_taken_back_by_what_was_chosen(begin):
    scene = await begin(policy=AUTO | LONG)
    await scene.adopted()

    await scene.deploy("v2", error_rate="0.5", error_paths="/work")
    await scene.reaches(Phase.SHIFTING, weight=25)

    await scene.reaches(Phase.ROLLING_BACK, reason=Reason.ANALYSIS_FAILED)


async def test_without_a_smoke_test_the_gateway_pods_are_chosen_before_the_first_weight(begin):
    scene = await begin(policy=AUTO | LONG | {"smoke": None})
    await scene.adopted()

    await scene.deploy("v2")
    first = await scene.reaches(Phase.SHIFTING, weight=25)

    assert first.source == "envoy:admin"


async def test_the_pods_pages_are_chosen_where_the_gateway_shows_none(begin):
    scene, first = await judged_by_pods(begin)
    last = await scene.reaches(Phase.BAKING)

    assert first.source == last.source == f"pods:{scene.world.pod_port}/metrics"
    assert "; metrics: pods, each one's own page" in first.message
    assert scene.failed == 0


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_the_choice_outlives_the_process_though_a_better_source_has_come(begin, end):
    scene, first = await judged_by_pods(begin, **LONG)
    await scene.decides(Reason.HOLDING)

    await getattr(scene, end)()
    await gateway_pages(scene, shown=True)
    await scene.start()
    await scene.decides(Reason.HOLDING)
    await scene.request("promote")
    last = await scene.reaches(Phase.BAKING)

    assert last.source == first.source == f"pods:{scene.world.pod_port}/metrics"


async def test_where_nothing_is_proved_nobody_meets_the_canary_until_it_is(begin):
    scene = await without_gateway_pages(begin, **LONG)
    await scene.start()
    await scene.adopted()
    await scene.deploy("v2")

    said = await scene.told(Reason.METRICS_UNPROVED)
    await scene.decides(Reason.METRICS_UNPROVED)
    await scene.quiet()
    held, shares = scene.record, scene.shares
    await gateway_pages(scene, shown=True)
    first = await scene.reaches(Phase.SHIFTING, weight=25)

    assert (held.phase, held.weight, shares) == (Phase.SMOKE, 0, {"v1": 100})
    assert "no metrics tell v1 and v2 apart (the gateway pods: " in said
    assert "the pods' own pages: no pod names one" in said
    assert "switch on gatewayProxies.<name>.readConfig" in said
    assert first.source == "envoy:admin"
