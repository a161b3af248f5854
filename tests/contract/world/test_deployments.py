"""Deployments, pods and endpoints behave as in a cluster."""

import zlib

import pytest
import pytest_asyncio

from daemon.sandbox.controllers.objects import is_ready
from daemon.sandbox.kinds import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    PODS,
    REPLICA_SETS,
    VIRTUAL_SERVICES,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


async def replica_sets(world, version):
    labels = f"app=echo,version={version}"
    return await world.client.list_all(REPLICA_SETS, "echo", label_selector=labels)


async def hashes(world, version):
    """pod-template-hash -> replicas wanted."""
    return {
        one["metadata"]["labels"][HASH]: one["spec"]["replicas"]
        for one in await replica_sets(world, version)
    }


async def endpoints(world, version):
    """Conditions of the version's endpoints in the slices of the Service."""
    names = {pod["metadata"]["name"] for pod in await world.pods(version)}
    slices = await world.client.list_all(ENDPOINT_SLICES, "echo")
    return {
        endpoint["targetRef"]["name"]: endpoint["conditions"]
        for one in slices
        for endpoint in one["endpoints"]
        if endpoint["targetRef"]["name"] in names
    }


async def complete(world, version):
    """Wait until the rollout of a version's Deployment is complete, as kubectl sees it."""

    async def is_complete():
        found = await world.get(DEPLOYMENTS, f"echo-{version}")
        status, wanted = found.get("status", {}), found["spec"]["replicas"]
        counts = {
            status.get(one, 0) for one in ("replicas", "updatedReplicas", "availableReplicas")
        }
        observed = status.get("observedGeneration") == found["metadata"]["generation"]
        return observed and counts == {wanted}

    await world.until(is_complete, f"the rollout of echo-{version}")


def state_of(pod):
    """The state of the pod's container: {"waiting": {...}} or {"running": {...}}."""
    [container] = pod.get("status", {}).get("containerStatuses") or [{"state": {}}]
    return container["state"]


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def pinned(world):
    """Users meet v1 alone, whatever other versions the tests make."""
    destination = {
        "upstream": {"name": "echo", "namespace": "gloo-system"},
        "subset": {"values": {"version": "v1"}},
    }
    route = {"matchers": [{"prefix": "/"}], "routeAction": {"single": destination}}
    change = {"spec": {"virtualHost": {"routes": [route]}}}
    await world.client.merge_patch(VIRTUAL_SERVICES, "gloo-system", "echo", change)
    await world.gateway.settled()


@pytest_asyncio.fixture(loop_scope="module")
async def fresh(world, request):
    """A version of its own for each test, with two ready pods."""
    version = f"t{zlib.crc32(request.node.name.encode()):x}"
    await world.deploy(version)
    await world.ready(version)
    await complete(world, version)
    yield version
    await world.delete(DEPLOYMENTS, f"echo-{version}")


async def test_a_replica_set_carries_hash_and_revision(world, fresh):
    deployment = await world.get(DEPLOYMENTS, f"echo-{fresh}")
    [one] = await replica_sets(world, fresh)
    pods = await world.pods(fresh)

    hashed = one["metadata"]["labels"][HASH]
    assert one["metadata"]["name"] == f"echo-{fresh}-{hashed}"
    assert one["spec"]["selector"]["matchLabels"][HASH] == hashed
    assert {pod["metadata"]["labels"][HASH] for pod in pods} == {hashed}
    assert one["metadata"]["annotations"][REVISION] == "1"
    assert deployment["metadata"]["annotations"][REVISION] == "1"
    assert one["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]


async def test_the_status_says_what_a_rollout_needs(world, fresh):
    deployment = await world.get(DEPLOYMENTS, f"echo-{fresh}")

    status = deployment["status"]
    counts = {name: n for name, n in status.items() if name.endswith("Replicas")}
    assert counts == {"updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    assert status["observedGeneration"] == deployment["metadata"]["generation"]
    conditions = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
    assert conditions == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


async def test_a_changed_template_makes_a_new_hash_and_keeps_the_old_set_empty(world, fresh):
    [before] = await hashes(world, fresh)

    await world.deploy(fresh, latency="1ms")
    await complete(world, fresh)

    after = await hashes(world, fresh)
    assert after.pop(before) == 0
    assert list(after.values()) == [2]


async def test_the_first_template_again_takes_its_old_set_and_the_next_revision(world, fresh):
    [first] = await hashes(world, fresh)
    await world.deploy(fresh, latency="1ms")
    await complete(world, fresh)

    await world.deploy(fresh)
    await complete(world, fresh)

    sets = {one["metadata"]["labels"][HASH]: one for one in await replica_sets(world, fresh)}
    assert len(sets) == 2
    assert sets[first]["spec"]["replicas"] == 2
    assert sets[first]["metadata"]["annotations"][REVISION] == "3"


async def test_a_deployment_made_again_has_the_same_hash(world, fresh):
    before = await hashes(world, fresh)
    await world.delete(DEPLOYMENTS, f"echo-{fresh}")
    await world.ready(fresh, 0)

    await world.deploy(fresh)
    await world.ready(fresh)

    assert await hashes(world, fresh) == before


async def test_a_rolling_update_fails_no_request(world):
    await world.users(100)
    before = await hashes(world, "v1")

    await world.deploy("v1", latency="1ms")
    await complete(world, "v1")
    await world.ready("v1", 2)

    await world.stop_users()
    assert len(await hashes(world, "v1")) == len(before) + 1
    assert world.load.total.sent > 20
    assert world.load.total.failed == 0


async def test_a_template_that_never_becomes_ready_leaves_the_old_pods(world, fresh):
    old = {pod["metadata"]["name"] for pod in await world.pods(fresh)}

    await world.deploy(fresh, never_ready="true")

    async def is_stuck():
        return len(await world.pods(fresh)) == 3  # two, and one by maxSurge of 25 %

    await world.until(is_stuck, "the new pod")
    ready = {pod["metadata"]["name"] for pod in await world.pods(fresh) if is_ready(pod)}
    assert ready == old


async def test_a_deployment_scales_to_zero_and_back(world, fresh):
    await world.scale(fresh, 0)
    await world.ready(fresh, 0)
    await complete(world, fresh)

    assert await endpoints(world, fresh) == {}

    await world.scale(fresh, 3)
    await world.ready(fresh, 3)


async def test_a_paused_deployment_scales_and_does_not_roll(world, fresh):
    [before] = await hashes(world, fresh)
    change = {"spec": {"paused": True, "replicas": 3}}
    await world.client.merge_patch(DEPLOYMENTS, "echo", f"echo-{fresh}", change)

    await world.deploy(fresh, replicas=3, latency="1ms")
    await world.ready(fresh, 3)

    assert await hashes(world, fresh) == {before: 3}


async def test_a_deleted_pod_is_replaced(world, fresh):
    [gone, _] = [pod["metadata"]["name"] for pod in await world.pods(fresh)]

    await world.delete(PODS, gone)

    async def is_replaced():
        names = {pod["metadata"]["name"] for pod in await world.pods(fresh) if is_ready(pod)}
        return len(names) == 2 and gone not in names

    await world.until(is_replaced, "another pod")


async def test_every_pod_has_an_address_of_its_own(world, fresh):
    addresses = {pod["status"]["podIP"] for pod in await world.pods(fresh)}

    assert len(addresses) == 2
    assert all(address.startswith("127.1.") for address in addresses)


async def test_endpoints_follow_readiness(world, fresh):
    async def all_ready(expected):
        found = await endpoints(world, fresh)
        return len(found) == 2 and {one["ready"] for one in found.values()} == {expected}

    await world.until(lambda: all_ready(True), "ready endpoints")
    await world.turn(fresh, never_ready="true")
    await world.until(lambda: all_ready(False), "endpoints that are not ready")

    names = {pod["metadata"]["name"] for pod in await world.pods(fresh)}
    subsets = (await world.get(ENDPOINTS, "echo"))["subsets"]
    listed = {one["targetRef"]["name"] for s in subsets for one in s.get("addresses", [])}
    assert not names & listed


async def test_a_leaving_pod_is_terminating_before_it_is_gone(world, fresh):
    [name, _] = [pod["metadata"]["name"] for pod in await world.pods(fresh)]
    await world.delete(PODS, name)

    async def is_terminating():
        conditions = (await endpoints(world, fresh)).get(name, {})
        return conditions.get("terminating") is True and conditions["ready"] is False

    await world.until(is_terminating, "the endpoint to be terminating")


async def test_a_killed_process_is_started_again_and_counted(world, fresh):
    world.kill(fresh)

    async def is_back():
        pods = await world.pods(fresh)
        counts = [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods]
        return counts == [1, 1] and all(is_ready(pod) for pod in pods)

    await world.until(is_back, "both pods to be back after one restart")


async def test_a_crashing_pod_says_so_while_it_waits(world, fresh):
    await world.turn(fresh, crash="0s")

    async def backs_off():
        [one, _] = await world.pods(fresh)
        waiting = state_of(one).get("waiting", {})
        return waiting.get("reason") == "CrashLoopBackOff" and not is_ready(one)

    await world.until(backs_off, "CrashLoopBackOff")


async def test_a_start_takes_the_start_delay(world, fresh):
    await world.deploy(fresh, start_delay="1h")

    async def is_starting():
        pods = [pod for pod in await world.pods(fresh) if not is_ready(pod)]
        waiting = [state_of(pod).get("waiting", {}) for pod in pods]
        return [one.get("reason") for one in waiting] == ["ContainerCreating"]

    await world.until(is_starting, "a pod that starts")


async def test_a_bad_knob_keeps_the_container_from_starting_and_says_why(world, fresh):
    await world.deploy(fresh, error_rate="20%")

    async def is_told():
        for pod in await world.pods(fresh):
            waiting = state_of(pod).get("waiting", {})
            if waiting.get("reason") == "CreateContainerConfigError":
                return "'20%' is not a number from 0 to 1" in waiting["message"]
        return False

    await world.until(is_told, "the reason in the pod's status")


async def test_a_knob_turned_on_running_pods_holds_at_once_and_makes_no_new_pod(world):
    before = {pod["metadata"]["name"] for pod in await world.pods("v1")}

    await world.turn("v1", error_rate="1", error_paths="/work")

    assert (await world.ask("/work")).status == 500
    assert (await world.ask("/")).status == 200
    await world.turn("v1", error_rate=None, error_paths=None)
    assert (await world.ask("/work")).status == 200
    assert {pod["metadata"]["name"] for pod in await world.pods("v1")} == before
