"""Weights in a route: of 100 as long as they are whole percent, of 10,000 where they have decimals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.model import Guide, GuideKind, Pinned, Split, Unclear, Weighted
from daemon.kube.patch import pointer
from tests.spec.routers.patching import apply_patch
from tests.spec.routers.routes import (
    KEY,
    RECORD,
    ROLLOUT,
    ROUTER,
    pinned,
    read,
    split,
    virtual_service,
)

HEADER = Guide(GuideKind.HEADER, "r7f3", 18)


def written(weight, before=None):
    """Return the route object after a split with this weight was written."""
    obj = before or virtual_service(pinned("v1"), annotations={KEY: RECORD})
    patch = ROUTER.plan(ROLLOUT, obj, Split(Weighted("v1", "v2", weight), HEADER), RECORD)
    return apply_patch(obj, patch)


def weights_of(obj):
    members = obj["spec"]["virtualHost"]["routes"][-1]["routeAction"]["multi"]["destinations"]
    return [it["weight"] for it in members]


@pytest.mark.parametrize(
    ("weight", "weights"),
    [
        (0, [100, 0]),
        (1, [99, 1]),
        (100, [0, 100]),
        (0.01, [9999, 1]),
        (0.35, [9965, 35]),
        (1.25, [9875, 125]),
        (33.33, [6667, 3333]),
        (99.99, [1, 9999]),
    ],
)
def test_a_weight_is_written_in_whole_numbers(weight, weights):
    assert weights_of(written(weight)) == weights


@pytest.mark.parametrize(
    ("weights", "weight"),
    [
        ((9965, 35), 0.35),
        ((9875, 125), 1.25),
        ((9900, 100), 1),
        ((95, 5), 5),
        ((7, 1), 12.5),
        ((1, 3), 75),
        ((0, 10000), 100),
    ],
)
def test_a_weight_is_read_from_whatever_total_it_is_of(weights, weight):
    owned = read(split(("v1", weights[0]), ("v2", weights[1]))).owned

    assert owned == Weighted("v1", "v2", weight)
    assert str(owned.weight) == str(weight)


@pytest.mark.parametrize("weights", [(1, 2), (99_999, 1), (2**31, 1)])
def test_a_weight_between_two_hundredths_is_nobodys_of_ours(weights):
    owned = read(split(("v1", weights[0]), ("v2", weights[1]))).owned

    assert isinstance(owned, Unclear)
    assert "are no hundredths of a percent" in owned.why


@pytest.mark.parametrize(("old", "new"), [(5, 0.35), (0.35, 1.25), (1.25, 5), (50, 100)])
def test_from_one_total_to_another_only_the_weights_change(old, new):
    obj = written(old)
    split_now = Split(Weighted("v1", "v2", new), HEADER)

    patch = ROUTER.plan(ROLLOUT, obj, split_now, RECORD)

    annotation = pointer("metadata", "annotations", KEY)
    changed = [it["path"] for it in patch if it["op"] != "test" and it["path"] != annotation]
    destinations = "/spec/virtualHost/routes/1/routeAction/multi/destinations"
    assert changed == [f"{destinations}/0/weight", f"{destinations}/1/weight"]
    assert weights_of(apply_patch(obj, patch)) == weights_of(written(new))


def test_from_any_weight_the_way_back_is_one_destination():
    obj = written(0.35)

    back = apply_patch(obj, ROUTER.plan(ROLLOUT, obj, Split(Pinned("v1"), None), RECORD))

    assert ROUTER.read(ROLLOUT, back, None).owned == Pinned("v1")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_whatever_was_written_before_what_is_written_is_what_is_read(before, parts):
    weight = parts // 100 if parts % 100 == 0 else parts / 100
    earlier = before // 100 if before % 100 == 0 else before / 100

    obj = written(weight, written(earlier))

    assert ROUTER.read(ROLLOUT, obj, None).owned == Weighted("v1", "v2", weight)
    assert sum(weights_of(obj)) == (100 if parts % 100 == 0 else 10_000)
