"""What an observation holds: cached, live or unreadable; and what it costs to look."""

from datetime import timedelta
from typing import Any

import pytest

from daemon.core.model import (
    Damaged,
    Fresh,
    Observation,
    Outage,
    Record,
    Retire,
    Verify,
    Version,
    Weighted,
)
from daemon.core.record import format_record
from daemon.errors import ForbiddenError, NotFoundError, TransientError
from daemon.kube.objects import DEPLOYMENTS, PODS, REPLICASETS, UPSTREAMS, VIRTUALSERVICES
from daemon.memory import Memory
from daemon.observe import Observer, Subject
from daemon.routers.gloo import GlooRouter
from tests.fakes.clock import START
from tests.fakes.shop import KEY, Shop, pod, replicaset
from tests.spec.routers import routes

SUBJECT = Subject(KEY, routes.ROLLOUT, "hash", policy_lost=False)


class Stage:
    def __init__(self, **record: Any) -> None:
        self.shop = Shop()
        self.shop.deploy("v1", created="2026-11-01T00:00:00Z")
        self.shop.deploy("v2")
        if record:
            annotations = {routes.KEY: format_record(routes.a_record(**record))}
            self.shop.set_route(routes.pinned(), annotations=annotations)
        self.memory = Memory()
        self.jumped: Any = None
        self.outages: tuple[Outage, ...] = ()
        self.faults: list[str] = []
        self.observer = Observer(
            self.shop.cluster,
            self.shop,
            GlooRouter(),
            now=lambda: START,
            jumped_at=lambda: self.jumped,
            outages=lambda: self.outages,
            new_id=lambda: "new",
            writer="me",
            metrics_fault=self._metrics_fault,
        )

    async def _metrics_fault(self, _: Any) -> str:
        return self.faults.pop() if self.faults else ""

    async def look(self, verify: Verify = Verify.NOTHING) -> Observation:
        seen, _ = await self.observer.observe(SUBJECT, self.memory, verify)
        return seen

    async def version(self, name: str, verify: Verify = Verify.NOTHING) -> Version:
        seen = await self.look(verify)
        return next(it for it in seen.versions if it.version == name)


ROLLING: dict[str, Any] = {"canary": "v2", "revision": "v2/hash-v2"}


# ---------------------------------------------------------------- what it costs


async def test_a_look_at_a_known_target_sends_nothing() -> None:
    stage = Stage(**ROLLING)
    await stage.look()
    calls = len(stage.shop.cluster.calls)

    seen = await stage.look()

    assert len(stage.shop.cluster.calls) == calls
    assert seen.fresh is Fresh.CACHED


async def test_replicasets_are_read_once_for_each_generation_of_a_deployment() -> None:
    stage = Stage()
    await stage.look()
    before = stage.shop.cluster.count("list", "replicasets")
    stage.shop.deploy("v2", generation=2)

    await stage.look()
    await stage.look()

    assert (before, stage.shop.cluster.count("list", "replicasets")) == (2, 3)


# ---------------------------------------------------------------- revisions


async def test_a_revision_is_the_label_and_the_hash_of_the_current_replicaset() -> None:
    stage = Stage()
    stage.shop.cluster.put(REPLICASETS, replicaset("v2", "older", revision="0"))
    stage.shop.cluster.put(REPLICASETS, replicaset("v2", "foreign", owner="somebody"))

    assert (await stage.version("v2")).revision == "v2/hash-v2"


async def test_a_deployment_without_its_replicaset_has_no_revision_yet() -> None:
    stage = Stage()
    stage.shop.cluster.take_away(REPLICASETS, "echo", "echo-v2-hash-v2")

    version = await stage.version("v2")

    assert (version.revision, version.ready) == ("", 0)


async def test_a_generation_that_its_controller_has_not_seen_keeps_the_hash_and_is_not_settled() -> (
    None
):
    stage = Stage()
    await stage.look()
    stage.shop.deploy("v2", generation=2, observed=1)

    version = await stage.version("v2")

    assert (version.revision, version.settled) == ("v2/hash-v2", False)
    assert stage.shop.cluster.count("list", "replicasets") == 2


async def test_a_replicaset_that_cannot_be_read_leaves_the_last_hash_and_is_told() -> None:
    stage = Stage()
    await stage.look()
    stage.shop.deploy("v2", generation=2)
    stage.shop.cluster.fail("list", "replicasets", ForbiddenError("may not list"), times=9)

    seen = await stage.look()

    assert seen.fresh is Fresh.UNREADABLE
    assert [it.revision for it in seen.versions] == ["v1/hash-v1", "v2/hash-v2"]


# ---------------------------------------------------------------- pods


async def test_only_ready_pods_of_the_current_template_count_and_none_that_is_leaving() -> None:
    stage = Stage()
    stage.shop.cluster.put(PODS, pod("v2", 7, "older"))
    stage.shop.cluster.put(PODS, pod("v2", 8, ready=False))
    leaving = pod("v2", 9)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    stage.shop.cluster.put(PODS, leaving)

    version = await stage.version("v2")

    assert (version.ready, version.serving) == (2, 3)


async def test_live_no_more_pods_count_than_the_deployments_own_status_says() -> None:
    stage = Stage(**ROLLING)
    stage.shop.freeze()
    stage.shop.cluster.edit(
        DEPLOYMENTS, "echo", "echo-v2", lambda it: it["status"].update(readyReplicas=1)
    )

    version = await stage.version("v2", Verify.DEPLOYMENTS)

    assert (version.ready, version.serving) == (1, 1)


# ---------------------------------------------------------------- live reads


async def test_the_deployments_that_a_record_rests_on_are_read_live_and_no_others() -> None:
    stage = Stage(**ROLLING)
    stage.shop.deploy("v3")

    seen = await stage.look(Verify.DEPLOYMENTS)

    read = [name for verb, plural, name in stage.shop.cluster.calls if verb == "get"]
    assert read == ["echo-v1", "echo-v2"]
    assert seen.fresh is Fresh.LIVE


async def test_a_deployment_that_is_to_retire_is_read_live() -> None:
    stage = Stage(
        stable="v2", canary=None, revision=None, phase="Idle", retire=Retire("echo-v1", "u")
    )

    await stage.look(Verify.DEPLOYMENTS)

    assert ("get", "deployments", "echo-v1") in stage.shop.cluster.calls


async def test_without_a_record_every_deployment_is_read_live() -> None:
    stage = Stage()

    await stage.look(Verify.DEPLOYMENTS)

    assert stage.shop.cluster.count("get", "deployments") == 2


async def test_a_deployment_that_is_gone_is_gone_whatever_the_cache_says() -> None:
    stage = Stage(**ROLLING)
    stage.shop.freeze()
    stage.shop.cluster.take_away(DEPLOYMENTS, "echo", "echo-v2")

    seen = await stage.look(Verify.DEPLOYMENTS)

    assert [it.version for it in seen.versions] == ["v1"]


async def test_a_deployment_that_left_the_target_is_none_of_ours_any_more() -> None:
    stage = Stage(**ROLLING)
    stage.shop.freeze()
    stage.shop.cluster.edit(
        DEPLOYMENTS,
        "echo",
        "echo-v2",
        lambda it: it["spec"]["template"]["metadata"]["labels"].update(app="other"),
    )

    seen = await stage.look(Verify.DEPLOYMENTS)

    assert [it.version for it in seen.versions] == ["v1"]


async def test_a_deployment_that_cannot_be_read_live_is_shown_as_cached_and_unreadable() -> None:
    stage = Stage(**ROLLING)
    stage.shop.cluster.fail("get", "deployments", TransientError("timed out"))

    seen = await stage.look(Verify.DEPLOYMENTS)

    assert seen.fresh is Fresh.UNREADABLE
    assert [it.serving for it in seen.versions] == [2, 2]


async def test_a_deployment_without_a_version_is_no_version() -> None:
    stage = Stage()
    stage.shop.deploy("v3", labels={"version": ""})

    assert [it.version for it in (await stage.look()).versions] == ["v1", "v2"]


# ---------------------------------------------------------------- the route


async def test_a_route_is_read_live_where_everything_is_to_be_verified() -> None:
    stage = Stage(**ROLLING)
    stage.shop.freeze()
    stage.shop.set_route(routes.split(("v1", 70), ("v2", 30)))

    cached, live = await stage.look(), await stage.look(Verify.EVERYTHING)

    assert cached.route.owned != live.route.owned
    assert live.route.owned == Weighted("v1", "v2", 30)


async def test_a_route_that_is_gone_is_no_fault() -> None:
    stage = Stage(**ROLLING)
    stage.shop.cluster.take_away(VIRTUALSERVICES, "gloo-system", "echo")

    seen = await stage.look(Verify.EVERYTHING)

    assert (seen.route, seen.record) == (None, None)


async def test_a_route_that_cannot_be_read_live_is_a_fault() -> None:
    stage = Stage()
    stage.shop.cluster.fail("get", "virtualservices", TransientError("timed out"))

    with pytest.raises(TransientError):
        await stage.look(Verify.EVERYTHING)


async def test_what_we_wrote_last_counts_until_the_watch_brings_something_newer() -> None:
    stage = Stage(**ROLLING)
    stage.shop.freeze()
    stage.shop.set_route(routes.split(("v1", 95), ("v2", 5)))
    stage.memory.written = stage.shop.route_object
    written = (await stage.look()).route.owned
    stage.shop.thaw()
    stage.shop.set_route(routes.pinned("v1"))

    later = (await stage.look()).route.owned

    assert written == Weighted("v1", "v2", 5)
    assert later.version == "v1"


async def test_what_we_wrote_to_an_object_that_was_made_anew_does_not_count() -> None:
    stage = Stage(**ROLLING)
    stage.memory.written = routes.virtual_service(routes.pinned("v9")) | {
        "metadata": {"uid": "another", "resourceVersion": "999"}
    }

    assert (await stage.look()).route.owned.version == "v1"


async def test_a_damaged_record_is_seen_as_damaged() -> None:
    stage = Stage()
    stage.shop.set_route(routes.pinned(), annotations={routes.KEY: "{}"})

    assert isinstance((await stage.look()).record, Damaged)


# ---------------------------------------------------------------- preflight


async def test_preflight_reads_the_upstream_and_the_service_it_names() -> None:
    stage = Stage(**ROLLING)

    seen = await stage.look(Verify.PREFLIGHT)

    names = [call[1] for call in stage.shop.cluster.calls if call[0] == "get"]
    assert {"upstreams", "services"} <= set(names)
    assert (seen.route.problems, seen.route.fallback_to) == ((), "none")


async def test_a_missing_upstream_is_a_problem_of_preflight_and_of_no_other_look() -> None:
    stage = Stage(**ROLLING)
    stage.shop.cluster.take_away(UPSTREAMS, "gloo-system", "echo")

    live, preflight = await stage.look(Verify.EVERYTHING), await stage.look(Verify.PREFLIGHT)

    assert live.route.problems == ()
    assert "does not exist" in preflight.route.problems[0]


@pytest.mark.parametrize(("record", "kind"), [({}, "warnings"), (ROLLING, "problems")])
async def test_unusable_metrics_forbid_a_rollout_and_not_the_adoption(
    record: dict[str, Any], kind: str
) -> None:
    stage = Stage(**record)
    stage.faults = ["the gateway shows no metrics"]

    seen = await stage.look(Verify.PREFLIGHT)

    assert "the gateway shows no metrics" in getattr(seen.route, kind)


# ---------------------------------------------------------------- requests, and the rest


async def test_when_the_api_server_was_out_of_reach_is_seen() -> None:
    stage = Stage()
    stage.outages = (Outage(START - timedelta(seconds=9), START),)

    assert (await stage.look()).outages == stage.outages


async def test_requests_count_on_running_deployments_and_on_stables_and_the_canarys() -> None:
    stage = Stage(**ROLLING)
    stage.shop.deploy("v3")
    for version, verb in (("v1", "pause"), ("v2", "promote"), ("v3", "resume")):
        stage.shop.ask(verb, version)
    stage.shop.cluster.edit(
        DEPLOYMENTS, "echo", "echo-v2", lambda it: it["spec"].update(replicas=0)
    )

    verbs = {it.verb for it in (await stage.look()).requests}

    assert verbs == {"pause", "promote", "resume"}


async def test_the_last_request_on_an_old_deployment_that_is_only_kept_does_not_count() -> None:
    stage = Stage(**ROLLING)
    stage.shop.deploy("v0", replicas=0, pods=0)
    stage.shop.ask("abort", "v0")

    assert (await stage.look()).requests == ()


async def test_the_same_request_on_two_deployments_is_one() -> None:
    stage = Stage(**ROLLING)
    stage.shop.ask("abort", "v1")
    stage.shop.ask("abort", "v2")

    assert len((await stage.look()).requests) == 1


async def test_what_this_process_knows_goes_with_the_observation() -> None:
    stage = Stage(**ROLLING)
    stage.memory.epoch = 7
    stage.memory.saved = routes.a_record()
    stage.jumped = START - timedelta(seconds=1)

    seen = await stage.look()

    assert (seen.writer.id, seen.writer.epoch) == ("me", 7)
    assert isinstance(seen.saved, Record)
    assert (seen.now, seen.jumped_at, seen.new_id) == (START, stage.jumped, "new")


async def test_a_service_that_is_not_there_is_for_preflight_to_tell() -> None:
    stage = Stage(**ROLLING)
    stage.shop.cluster.fail("get", "services", NotFoundError("no such Service"))

    seen = await stage.look(Verify.PREFLIGHT)

    assert "does not exist" in seen.route.problems[0]
