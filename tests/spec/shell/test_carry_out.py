"""What becomes of a decision's one write, and of its effects, whatever the API server answers."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from daemon.carry_out import Hands, Result
from daemon.core.model import (
    Decision,
    Delete,
    Guide,
    GuideKind,
    Observation,
    Phase,
    Pinned,
    Record,
    ScaleToZero,
    Split,
    Weighted,
    Writer,
)
from daemon.core.reasons import Reason
from daemon.core.record import format_record, parse_record
from daemon.errors import (
    ConflictError,
    CrossfadeError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TransientError,
)
from daemon.kube.objects import DEPLOYMENTS, VIRTUALSERVICES
from daemon.memory import Memory
from daemon.routers.gloo import GlooRouter
from tests.fakes.clock import START
from tests.fakes.shop import KEY, Shop
from tests.spec.routers import routes

ROUTER = GlooRouter()
BEFORE = routes.a_record(phase=Phase.SMOKE, decision=3, epoch=4)
AFTER = replace(BEFORE, phase=Phase.SHIFTING, decision=4, weight=5, epoch=5)
SPLIT = Split(Weighted("v1", "v2", 5), Guide(GuideKind.HEADER, "r7f3", 4))


class Stage:
    """A route with a record, and a decision about it that has been made but not written."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.shop.set_route(routes.pinned(), annotations={routes.KEY: format_record(BEFORE)})
        self.shop.deploy("v1")
        self.memory = Memory()
        self.obj = json.loads(json.dumps(self.shop.route_object))
        self.hands = Hands(self.shop.cluster, ROUTER)

    @property
    def seen(self) -> Observation:
        route = ROUTER.read(routes.ROLLOUT, self.obj, None)
        record = parse_record(str(route.record_text))
        return Observation(KEY, START, (), route, record, Writer("me"), "new", "hash")

    async def carry_out(self, record: Record | None = AFTER, **more: Any) -> Any:
        split = more.pop("split", SPLIT if record is AFTER else None)
        decision = Decision(Reason.SMOKE_PASSED, "", START - START, record, split, **more)
        return await self.hands.carry_out(
            routes.ROLLOUT, decision, self.seen, self.obj, self.memory
        )

    @property
    def record(self) -> Record | None:
        text = (self.shop.route_object["metadata"].get("annotations") or {}).get(routes.KEY)
        found = parse_record(text) if text else None
        return found if isinstance(found, Record) else None

    def edit(self, change: Callable[[Any], None]) -> Callable[[], None]:
        return lambda: self.shop.cluster.edit(VIRTUALSERVICES, "gloo-system", "echo", change)


def other_weights(obj: Any) -> None:
    obj["spec"]["virtualHost"]["routes"][-1] = routes.pinned("v9")


def an_option(obj: Any) -> None:
    obj["spec"]["virtualHost"]["routes"][-1]["options"] = {"timeout": "1s"}


def another_record(obj: Any) -> None:
    obj["metadata"]["annotations"][routes.KEY] = format_record(replace(BEFORE, writer="w2"))


def a_status(obj: Any) -> None:
    obj["status"] = {"state": "Accepted"}


# ---------------------------------------------------------------- the one patch


async def test_record_and_route_are_written_with_one_request() -> None:
    stage = Stage()

    outcome = await stage.carry_out()

    assert outcome.result is Result.WRITTEN
    assert stage.shop.cluster.calls == [("patch", "virtualservices", "echo")]
    assert stage.record == AFTER
    assert ROUTER.read(routes.ROLLOUT, stage.shop.route_object, None).owned == SPLIT.owned


async def test_what_was_written_is_remembered_with_its_epoch() -> None:
    stage = Stage()

    await stage.carry_out()

    assert stage.memory.epoch == 5
    assert stage.memory.written == stage.shop.route_object


async def test_a_decision_without_a_record_sends_nothing() -> None:
    stage = Stage()

    outcome = await stage.carry_out(None)

    assert outcome.result is Result.NOTHING_TO_WRITE
    assert stage.shop.cluster.calls == []


async def test_a_status_that_the_gateway_wrote_meanwhile_does_not_disturb() -> None:
    stage = Stage()
    stage.edit(a_status)()

    assert (await stage.carry_out()).result is Result.WRITTEN


@pytest.mark.parametrize("error", [TransientError("reset"), ConflictError("busy")])
async def test_a_lost_answer_after_the_effect_is_a_success_once_it_is_read_back(
    error: CrossfadeError,
) -> None:
    stage = Stage()
    stage.shop.cluster.fail("patch", "virtualservices", error, lost=True)

    outcome = await stage.carry_out()

    assert outcome.result is Result.WRITTEN
    assert str(error) in outcome.detail
    assert stage.memory.epoch == 5
    assert stage.shop.cluster.count("patch", "virtualservices") == 1


@pytest.mark.parametrize(
    "meanwhile", [other_weights, an_option, another_record], ids=lambda it: it.__name__
)
async def test_a_foreign_write_in_between_makes_us_look_again(
    meanwhile: Callable[[Any], None],
) -> None:
    stage = Stage()
    stage.edit(meanwhile)()

    outcome = await stage.carry_out()

    assert outcome.result is Result.OVERTAKEN
    assert stage.record != AFTER
    assert stage.memory.epoch is None
    assert stage.memory.written == stage.shop.route_object


async def test_an_object_of_another_uid_under_the_same_name_is_not_written() -> None:
    stage = Stage()
    stage.shop.cluster.take_away(VIRTUALSERVICES, "gloo-system", "echo")
    anew = routes.virtual_service(routes.pinned(), annotations={routes.KEY: format_record(BEFORE)})
    anew["metadata"]["uid"] = "another"
    stage.shop.cluster.put(VIRTUALSERVICES, anew)

    assert (await stage.carry_out()).result is Result.OVERTAKEN


async def test_a_route_that_is_gone_makes_us_look_again() -> None:
    stage = Stage()
    stage.shop.cluster.take_away(VIRTUALSERVICES, "gloo-system", "echo")

    outcome = await stage.carry_out()

    assert (outcome.result, outcome.detail) == (Result.OVERTAKEN, "the route is gone")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            InvalidError("admission denied", causes=("weights must be even",)),
            "weights must be even",
        ),
        (ForbiddenError("may not patch virtualservices"), "may not patch"),
    ],
)
async def test_content_that_is_refused_is_told_with_the_servers_words(
    error: CrossfadeError, words: str
) -> None:
    stage = Stage()
    stage.shop.cluster.fail("patch", "virtualservices", error)

    outcome = await stage.carry_out()

    assert outcome.result is Result.REFUSED
    assert words in outcome.detail
    assert stage.record == BEFORE


@pytest.mark.parametrize("error", [TransientError("timed out"), ConflictError("busy")])
async def test_a_fault_before_the_effect_is_raised_and_never_sent_again(
    error: CrossfadeError,
) -> None:
    stage = Stage()
    stage.shop.cluster.fail("patch", "virtualservices", error)

    with pytest.raises(type(error)):
        await stage.carry_out()

    assert stage.shop.cluster.count("patch", "virtualservices") == 1
    assert stage.record == BEFORE


async def test_what_cannot_be_read_back_is_raised() -> None:
    stage = Stage()
    stage.shop.cluster.fail("patch", "virtualservices", TransientError("timed out"), lost=True)
    stage.shop.cluster.fail("get", "virtualservices", TransientError("still away"))

    with pytest.raises(TransientError, match="still away"):
        await stage.carry_out()


async def test_a_route_that_cannot_be_told_any_more_is_no_refused_content() -> None:
    stage = Stage()

    def twice(obj: Any) -> None:
        obj["spec"]["virtualHost"]["routes"] = []

    stage.edit(twice)()

    assert (await stage.carry_out()).result is Result.OVERTAKEN


# ---------------------------------------------------------------- effects


def effect(stage: Stage, kind: type, *, version: str | None = None) -> Any:
    metadata = stage.shop.cluster.objects["deployments", "echo", "echo-v1"]["metadata"]
    return kind("echo-v1", metadata["uid"], version or metadata["resourceVersion"])


async def test_a_deployment_is_scaled_to_zero_by_its_subresource() -> None:
    stage = Stage()

    await stage.carry_out(None, effects=(effect(stage, ScaleToZero),))

    assert stage.shop.cluster.objects["deployments", "echo", "echo-v1"]["spec"]["replicas"] == 0
    assert stage.memory.done == {"uid-echo-v1"}


async def test_a_deployment_is_deleted() -> None:
    stage = Stage()

    await stage.carry_out(None, effects=(effect(stage, Delete),))

    assert ("deployments", "echo", "echo-v1") not in stage.shop.cluster.objects
    assert stage.memory.done == {"uid-echo-v1"}


@pytest.mark.parametrize("kind", [ScaleToZero, Delete])
async def test_a_deployment_that_changed_since_it_was_read_is_left_alone(kind: type) -> None:
    stage = Stage()
    stale = effect(stage, kind)
    stage.shop.cluster.edit(
        DEPLOYMENTS, "echo", "echo-v1", lambda obj: obj["spec"].update(replicas=3)
    )

    with pytest.raises(CrossfadeError):
        await stage.carry_out(None, effects=(stale,))

    assert stage.shop.cluster.objects["deployments", "echo", "echo-v1"]["spec"]["replicas"] == 3
    assert stage.memory.done == frozenset()


@pytest.mark.parametrize("kind", [ScaleToZero, Delete])
async def test_a_deployment_that_is_gone_already_is_done(kind: type) -> None:
    stage = Stage()
    gone = effect(stage, kind)
    stage.shop.cluster.take_away(DEPLOYMENTS, "echo", "echo-v1")

    await stage.carry_out(None, effects=(gone,))

    assert stage.memory.done == {"uid-echo-v1"}


async def test_no_effect_follows_a_write_that_was_overtaken() -> None:
    stage = Stage()
    stage.edit(another_record)()

    await stage.carry_out(effects=(effect(stage, ScaleToZero),))

    assert stage.shop.cluster.objects["deployments", "echo", "echo-v1"]["spec"]["replicas"] == 2


async def test_a_record_alone_is_written_over_a_foreign_split() -> None:
    stage = Stage()
    stage.edit(other_weights)()
    stage.obj = json.loads(json.dumps(stage.shop.route_object))

    outcome = await stage.carry_out(replace(BEFORE, epoch=9))

    assert outcome.result is Result.WRITTEN
    assert ROUTER.read(routes.ROLLOUT, stage.shop.route_object, None).owned == Pinned("v9")


def test_the_address_of_the_route_is_the_policys() -> None:
    at = Stage().hands.address(routes.ROLLOUT)

    assert (at.resource.plural, at.namespace, at.name) == ("virtualservices", "gloo-system", "echo")


async def test_not_found_is_no_success_of_a_patch() -> None:
    stage = Stage()
    stage.shop.cluster.fail("patch", "virtualservices", NotFoundError("gone"))
    stage.edit(another_record)()

    assert (await stage.carry_out()).result is Result.OVERTAKEN
