"""Which gate wins where two have something to say; and that this table would notice a swap.

The order of the gates is the safety argument. Each row is a world in which a gate and the next one
both speak, with the reason that must win. Two neighbours swapped, or one left out, fail a row.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from daemon.core import decide as module
from daemon.core.decide import decide
from daemon.core.gates import GATES, Rule
from daemon.core.model import Damaged, Fresh, Weighted, Writer
from daemon.core.reasons import Reason
from tests.spec.core.worlds import FAIL, World, version


def shifting() -> World:
    world = World()
    world.to_shifting()
    return world


def rolling_back() -> World:
    world = shifting()
    world.judge(FAIL)
    world.look()
    return world


def without_pods(world: World, place: int) -> World:
    versions = list(world.versions)
    versions[place] = replace(versions[place], ready=0, serving=0)
    world.versions = tuple(versions)
    return world


def of_another_writer(world: World, epoch: int | None = None) -> World:
    world.writer = Writer("another", epoch)
    return world


def asked(world: World, request: str) -> World:
    world.request = request
    return world


def changed(world: World, place: int) -> World:
    versions = list(world.versions)
    versions[place] = replace(versions[place], revision=versions[place].version + "/new")
    world.versions = tuple(versions)
    return world


def failing(world: World) -> World:
    world.judge(FAIL)
    return world


def with_third(world: World) -> World:
    world.deploy("v3")
    return world


def unproved(world: World) -> World:
    world.fail_to_prove()
    world.pass_time(31)
    return world


def edited(world: World) -> World:
    world.owned = Weighted("v1", "v2", 40)
    return world


def seen_as(world: World, **extra: object) -> World:
    world.extra |= extra
    return world


def paused(world: World) -> World:
    world.request = "pause"
    world.prove()
    world.settle()
    return world


def doubled(world: World) -> World:
    world.versions = (*world.versions, version("v2", deployment="twin", uid="twin"))
    return world


def in_smoke() -> World:
    world = World()
    world.to_smoke()
    return world


ROWS: dict[str, tuple[Callable[[], World], Reason]] = {
    "a route that is gone is told before what its record was": (
        lambda: seen_as(shifting(), route=None, record=Damaged("is odd")),
        Reason.ROUTE_GONE,
    ),
    "a damaged record is left alone whatever is asked": (
        lambda: asked(World(record_text="{}"), "abort"),
        Reason.RECORD_DAMAGED,
    ),
    "a route without a record is adopted": (World, Reason.ADOPTED),
    "whoever lost the record does not even abort": (
        lambda: asked(of_another_writer(shifting(), epoch=1), "abort"),
        Reason.LOST_LEADERSHIP,
    ),
    "an abort found at the start goes in the takeover's own patch": (
        lambda: asked(of_another_writer(shifting()), "abort"),
        Reason.ABORTED,
    ),
    "a rollback of another writer is taken over before it is looked after": (
        lambda: of_another_writer(rolling_back()),
        Reason.TAKEOVER,
    ),
    "a rollback on its way does not begin again because its canary is gone": (
        lambda: replace_versions(rolling_back(), 1),
        Reason.CONFIRMING,
    ),
    "a canary that was deleted is not blamed for what it failed": (
        lambda: failing(replace_versions(shifting(), 1)),
        Reason.CANARY_GONE,
    ),
    "a failing template is rejected although it has been replaced": (
        lambda: changed(failing(shifting()), 1),
        Reason.ANALYSIS_FAILED,
    ),
    "a changed canary is named before the third version that came with it": (
        lambda: changed(with_third(shifting()), 1),
        Reason.CANARY_CHANGED,
    ),
    "a third version ends the rollout before a changed stable is noted": (
        lambda: changed(with_third(shifting()), 0),
        Reason.SUPERSEDED,
    ),
    "a changed stable is noted before a raise is taken back": (
        lambda: changed(unproved(shifting()), 0),
        Reason.STABLE_CHANGED,
    ),
    "what no proxy shows is told before the edit that may be why": (
        lambda: edited(unproved(in_smoke())),
        Reason.SMOKE_UNCONFIRMED,
    ),
    "an edited route is told before any request but resume is answered": (
        lambda: asked(edited(shifting()), "pause"),
        Reason.ROUTE_EDITED,
    ),
    "a request is answered before a lost policy stops the rollout": (
        lambda: asked(seen_as(shifting(), policy_lost=True), "promote"),
        Reason.PROMOTED_BY_REQUEST,
    ),
    "a lost policy is asked about before a missing way back is told": (
        lambda: without_pods(seen_as(shifting(), policy_lost=True), 0),
        Reason.POLICY_LOST,
    ),
    "a missing way back is told even while the rollout is paused": (
        lambda: without_pods(paused(shifting()), 0),
        Reason.NO_WAY_BACK,
    ),
    "a pause is a pause, whoever else has two Deployments": (
        lambda: doubled(paused(shifting())),
        Reason.PAUSED,
    ),
    "two Deployments of one version are named, read or not": (
        lambda: seen_as(doubled(shifting()), fresh=Fresh.UNREADABLE),
        Reason.TWO_DEPLOYMENTS,
    ),
    "what could not be read live goes nowhere": (
        lambda: seen_as(shifting(), fresh=Fresh.UNREADABLE),
        Reason.DEPLOYMENTS_UNREADABLE,
    ),
}

DISJOINT = {
    ("damaged_record_is_left_alone", "route_without_record_is_adopted"): (
        "a record is damaged or absent, never both"
    ),
}


def replace_versions(world: World, kept: int) -> World:
    world.versions = world.versions[:kept]
    return world


@pytest.mark.parametrize(("build", "reason"), ROWS.values(), ids=ROWS)
def test_where_two_gates_speak_the_first_one_wins(
    build: Callable[[], World], reason: Reason
) -> None:
    world = build()

    decision = decide(world.policy, world.observe())

    assert decision.reason is reason


@pytest.fixture(scope="module")
def scenes() -> dict[str, tuple[World, Reason]]:
    return {row: (build(), reason) for row, (build, reason) in ROWS.items()}


@pytest.fixture
def rows_that_fail(
    scenes: dict[str, tuple[World, Reason]], monkeypatch: pytest.MonkeyPatch
) -> Callable[[tuple[Rule, ...]], list[str]]:
    """Return the rows that another order of gates gets wrong, or that it breaks down on."""

    def run(gates: tuple[Rule, ...]) -> list[str]:
        monkeypatch.setattr(module, "GATES", gates)
        return [row for row, (world, reason) in scenes.items() if not right(world, reason)]

    def right(world: World, reason: Reason) -> bool:
        try:
            return decide(world.policy, world.observe()).reason is reason
        except AssertionError:
            return False

    return run


PAIRS = list(pairwise(GATES))


@pytest.mark.parametrize("place", range(len(PAIRS)), ids=lambda i: PAIRS[i][0].__name__)
def test_two_neighbouring_gates_that_are_swapped_are_caught(
    place: int, rows_that_fail: Callable[[tuple[Rule, ...]], list[str]]
) -> None:
    first, second = PAIRS[place]

    wrong = rows_that_fail((*GATES[:place], second, first, *GATES[place + 2 :]))

    disjoint = (first.__name__, second.__name__) in DISJOINT
    assert bool(wrong) is not disjoint


@pytest.mark.parametrize("place", range(len(GATES)), ids=lambda i: GATES[i].__name__)
def test_a_gate_that_is_left_out_is_caught(
    place: int, rows_that_fail: Callable[[tuple[Rule, ...]], list[str]]
) -> None:
    assert rows_that_fail((*GATES[:place], *GATES[place + 1 :]))
