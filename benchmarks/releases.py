"""Good releases, one after the other: how quick the daemon sees a version, and what it costs.

The weights are those of a policy that names none. Holds are longer than a listing of proxies is
good, as they are outside of benchmarks: shorter ones would cost fewer requests than a real release.
"""

import asyncio

from benchmarks.gates import Gate
from benchmarks.stage import Stage, is_in, policy_of_echo, seconds_between
from daemon.core.model import Phase
from daemon.kube.objects import DEPLOYMENTS
from daemon.sandbox.world import World, WorldOptions

WEIGHTS = (5, 25, 50)
STEPS = len(WEIGHTS) + 1
"""One more costs six requests: a patch, a live read of either Deployment, the proxies, the
evidence, and an Event.
"""
ROUTE_WRITES = STEPS + 5
REQUESTS = 60
LAST_REQUESTS = 0.5
"""Seconds for the last Events and the evidence, which follow the last decision."""
USERS_RPS = 200.0


def policy(world: World) -> str:
    steps = "\n".join(f"      - {{weight: {weight}, hold: 2s}}" for weight in WEIGHTS)
    rest = f"""\
    smoke: [GET / -> 200]
    steps:
{steps}
      - {{weight: 100}}
    bake: 2s
    analysis: {{interval: 500ms, minRequests: 5}}
    after: {{drain: 0s, keepOld: 0s, then: delete}}
"""
    return policy_of_echo(world.pod_port, rest)


async def measure(runs: int) -> list[Gate]:
    """Release v2, v3, ...; return the figures."""
    written: list[float] = []
    live: list[float] = []
    writes: list[float] = []
    requests: list[float] = []
    async with Stage(policy, WorldOptions(rps=USERS_RPS)) as stage:
        await stage.adopted()
        await stage.clock.sleep(LAST_REQUESTS)
        for number in range(2, runs + 2):
            old, new = f"v{number - 1}", f"v{number}"
            costs = await _release(stage, old, new)
            written.append(costs[0])
            live.append(costs[1])
            writes.append(costs[2])
            requests.append(costs[3])
    return [
        Gate("canary's first pod ready -> header route written", "s", 0.5, tuple(written)),
        Gate("canary's first pod ready -> header route live", "s", 1.0, tuple(live)),
        Gate(f"writes to the route per release of {STEPS} steps", "", ROUTE_WRITES, tuple(writes)),
        Gate("API requests per good release, without watches", "", REQUESTS, tuple(requests)),
    ]


async def _release(stage: Stage, old: str, new: str) -> tuple[float, float, float, float]:
    before, calls = len(stage.writes), stage.requests()
    await stage.world.deploy(new)
    seen_live = asyncio.create_task(stage.live(new))  # awaited below
    header = await stage.write(is_in(Phase.SMOKE), f"the header route of {new}", after=before)
    live = await seen_live
    ready = stage.ready[f"echo-{new}"]

    await stage.write(
        lambda it: it.phase is Phase.IDLE and it.stable == new, f"{new} as stable", after=before
    )
    await stage.world.until(lambda: _is_gone(stage, old), f"{old} retired")
    await stage.clock.sleep(LAST_REQUESTS)
    spent = stage.requests() - calls
    patches = sum(
        number
        for call, number in spent.items()
        if (call.verb, call.resource) == ("patch", "virtualservices")
    )
    return (
        seconds_between(ready, header.at),
        seconds_between(ready, live),
        float(patches),
        float(spent.total()),
    )


async def _is_gone(stage: Stage, version: str) -> bool:
    found = await stage.world.client.list_all(DEPLOYMENTS, "echo")
    return all(it["metadata"]["name"] != f"echo-{version}" for it in found)
