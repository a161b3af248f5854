"""The caches follow the policy: a target that is added finds its route at once."""

import asyncio
import random
from contextlib import asynccontextmanager, suppress

from config.load import load_policy
from daemon.clock import SystemClock
from daemon.core.model import TargetKey
from daemon.routers.gloo import GlooRouter
from daemon.sandbox.api import ApiServer
from daemon.sandbox.client import SandboxClient
from daemon.sandbox.crds import gloo_crds
from daemon.watcher import Watcher

DEADLINE = 10.0


def rollouts(*names):
    """Return targets with a VirtualService of their name each, all in one namespace."""
    head = "apiVersion: crossfade.dev/v1\nkind: Policy\nmetrics: {pods: {port: 8080}}\nrollouts:\n"
    entries = [
        f"  {it}: {{namespace: apps, selector: {{app: {it}}}, steps: [10, 100], bake: 1m, hold: 1m,"
        f" route: {{gloo: {{virtualService: gloo-system/{it}, upstream: gloo-system/{it}}}}}}}\n"
        for it in names
    ]
    policy = load_policy(head + "".join(entries), filename="policy.yaml")
    return {TargetKey(it.namespace, it.name): it for it in policy.rollouts.values()}


def virtual_service(name):
    return {
        "apiVersion": "gateway.solo.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "gloo-system"},
        "spec": {"virtualHost": {"domains": [f"{name}.example"]}},
    }


class Woken:
    """Who was woken, and a way to wait for a state of the caches."""

    def __init__(self):
        self.keys = []
        self._news = asyncio.Event()

    def wake(self, key):
        self.keys.append(key)
        self._news.set()

    async def until(self, holds):
        async with asyncio.timeout(DEADLINE):
            while not holds():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def watching(*names):
    """Follow these targets; VirtualServices `one` and `two` exist."""
    api = ApiServer()
    for crd in gloo_crds():
        api.add_crd(crd)
    await api.start()
    woken = Woken()
    async with SandboxClient(api.url) as client:
        for name in ("gloo-system", "apps"):
            await client.apply(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )
        for name in ("one", "two"):
            await client.apply(virtual_service(name))
        watcher = Watcher(
            client, SystemClock(), random.Random(1), router=GlooRouter(), wake=woken.wake
        )
        watcher.follow(rollouts(*names))
        running = asyncio.create_task(watcher.run())
        await asyncio.wait_for(watcher.synced(), DEADLINE)
        try:
            yield watcher, woken
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await api.stop()


async def test_a_target_that_is_added_finds_its_route_although_the_watch_ran_before():
    both = rollouts("one", "two")
    two = both[TargetKey("apps", "two")]
    async with watching("one") as (watcher, woken):
        before = watcher.route(two)

        watcher.follow(both)
        await woken.until(lambda: watcher.route(two))

        assert before is None
        assert woken.keys[-1] in both


async def test_an_unchanged_policy_begins_no_watch_anew():
    async with watching("one", "two") as (watcher, _):
        watches = dict(watcher._watches)

        watcher.follow(rollouts("one", "two"))

        assert watcher._watches == watches


async def test_a_target_that_is_dropped_takes_no_watch_of_others_along():
    one = rollouts("one")[TargetKey("apps", "one")]
    async with watching("one", "two") as (watcher, _):
        watcher.follow(rollouts("one"))

        assert watcher.is_synced(one)
        assert watcher.route(one) is not None
