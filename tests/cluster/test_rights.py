"""What a release costs the API server, and which rights it needs, by the server's own audit log."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from daemon.core.model import Phase
from tests.cluster.audit import Audit, Request, Right, granted
from tests.cluster.daemon import NAMESPACE
from tests.cluster.manifests import EXAMPLE, of_kind, rendered
from tests.cluster.scene import CONFIGMAPS, RPS, Scene

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

IDLE_SECONDS = 60.0
MOST_REQUESTS = 60
DEFAULT_STEPS = {
    "steps": [*({"weight": weight, "hold": "3s"} for weight in (5, 25, 50)), {"weight": 100}],
    "analysis": {"minRequests": 5},
}
"""The steps of a policy that names none, and few enough requests for the smallest."""


@dataclass(frozen=True)
class Costs:
    """What the audit log says about one daemon.

    Attributes:
        idle: requests in an idle minute, watches among them.
        release: requests of one good release, beside watches.
        everything: all requests, from start to stop.
    """

    idle: list[Request]
    release: Counter[Right]
    everything: list[Request]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def costs(kubernetes, prometheus, addresses, tmp_path_factory) -> AsyncIterator[Costs]:
    """Start a daemon, leave it alone for a minute, let it release a good version."""
    scene = Scene(kubernetes, prometheus, addresses, tmp_path_factory.mktemp("rights") / "scene")
    try:
        await scene.begin(DEFAULT_STEPS, rps=RPS, start=False)
        # Somebody else's ConfigMap of that name: it is read before it is written over.
        decoy = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "crossfade.echo.echo", "namespace": NAMESPACE},
        }
        await scene.client.create(CONFIGMAPS, NAMESPACE, decoy)
        await scene.start()
        await scene.adopted()
        yield await measure(scene)
    finally:
        await scene.end()


async def measure(scene: Scene) -> Costs:
    idle, release = (Audit(scene.kubernetes.audit_log, scene.audit._user) for _ in range(2))
    await quiet(scene)
    idle.skip()
    await asyncio.sleep(IDLE_SECONDS)
    in_idle = idle.requests()
    release.skip()
    await scene.deploy("v2")
    await scene.promoted()
    await quiet(scene)
    in_release = release.counted()
    await scene.stop()
    return Costs(in_idle, in_release, scene.audit.requests())


async def quiet(scene: Scene) -> None:
    """Wait until the daemon has sent nothing for a moment: what it had to tell is told."""
    before = -1
    while (now := len(scene.audit.requests())) != before:
        before = now
        await asyncio.sleep(3.0)
    assert scene.record.phase is Phase.IDLE


async def test_an_idle_target_costs_no_request(costs: Costs, record_property):
    asked = [it.right for it in costs.idle if not it.is_watch]

    record_property("requests in an idle minute, beside watches", len(asked))

    assert asked == []


async def test_a_release_costs_at_most_sixty_requests_beside_watches(costs: Costs, record_property):
    kinds = Counter[str]()
    for right, number in costs.release.items():
        kinds[f"{right.verb} {right.resource}"] += number
    parts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    record_property("requests of a release of four steps", f"{costs.release.total()}: {parts}")

    assert 0 < costs.release.total() <= MOST_REQUESTS, costs.release


async def test_no_request_is_denied(costs: Costs):
    assert [it for it in costs.everything if it.code in {401, 403}] == []


async def test_every_right_is_used_and_no_other(costs: Costs):
    rights = granted(of_kind(rendered(EXAMPLE), "Role"))

    assert {it.right for it in costs.everything} == rights
