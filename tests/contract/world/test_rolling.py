"""The rolling update never takes a needed pod, never exceeds the surge, and always arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.sandbox.controllers.rolling import (
    Limits,
    Size,
    limits_of,
    plan_paused,
    plan_sizes,
)

limits = st.builds(
    Limits,
    replicas=st.integers(0, 8),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
).filter(lambda one: one.surge + one.unavailable > 0)


def size(name: str):
    return st.integers(0, 10).flatmap(
        lambda wanted: st.builds(
            Size, st.just(name), st.just(wanted), st.just(wanted), st.integers(0, wanted)
        )
    )


@given(limits, size("new"), st.lists(size("old"), max_size=1))
def test_a_step_never_takes_availability_below_the_least(limits, new, old):
    plan = plan_sizes(limits, new, old)

    least = limits.replicas - limits.unavailable
    available = new.available + sum(one.available for one in old)
    # Of a ReplicaSet that shrinks, the pods that are not available go first.
    after = sum(min(one.available, plan.get(one.name, one.wanted)) for one in [new, *old])
    assert after >= min(available, least)


@given(limits, size("new"), st.lists(size("old"), max_size=1))
def test_a_step_never_grows_beyond_the_surge(limits, new, old):
    plan = plan_sizes(limits, new, old)

    before = new.wanted + sum(one.wanted for one in old)
    after = sum(plan.get(one.name, one.wanted) for one in [new, *old])
    assert after <= max(before, limits.replicas + limits.surge)


@given(limits, st.integers(0, 8))
def test_steps_arrive_at_the_new_template_alone(limits, running):
    sizes = {"old": running, "new": 0}
    for _ in range(100):
        new, old = (Size(name, sizes[name], sizes[name], sizes[name]) for name in ("new", "old"))
        plan = plan_sizes(limits, new, [old])
        if not plan:
            break
        sizes |= plan

    assert sizes == {"new": limits.replicas, "old": 0}


def test_a_new_version_that_never_becomes_ready_leaves_the_old_one_at_its_least():
    limits = Limits(replicas=4, surge=1, unavailable=1)
    sizes = {"old": 4, "new": 0}
    for _ in range(100):
        new = Size("new", sizes["new"], sizes["new"], 0)
        plan = plan_sizes(limits, new, [Size("old", *[sizes["old"]] * 3)])
        if not plan:
            break
        sizes |= plan

    assert sizes == {"old": 3, "new": 2}


def test_recreate_takes_all_old_pods_away_before_the_first_new_one():
    limits = Limits(replicas=2, surge=0, unavailable=2, recreate=True)

    assert plan_sizes(limits, Size("new", 0, 0, 0), [Size("old", 2, 2, 2)]) == {"old": 0}
    assert plan_sizes(limits, Size("new", 0, 0, 0), [Size("old", 0, 1, 0)]) == {}
    assert plan_sizes(limits, Size("new", 0, 0, 0), [Size("old", 0, 0, 0)]) == {"new": 2}


def test_a_paused_deployment_scales_its_newest_and_does_not_roll():
    limits = Limits(replicas=5, surge=1, unavailable=1)

    plan = plan_paused(limits, Size("new", 1, 1, 1), [Size("old", 2, 2, 2)])

    assert plan == {"new": 3}


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        pytest.param({}, Limits(10, 3, 2), id="defaults are 25 %, surge up, unavailable down"),
        pytest.param(
            {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": "50%"}},
            Limits(10, 2, 5),
            id="numbers and percentages",
        ),
        pytest.param(
            {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}},
            Limits(10, 0, 1),
            id="both zero could never move",
        ),
        pytest.param(
            {"type": "Recreate"}, Limits(10, 0, 10, recreate=True), id="recreate spares none"
        ),
    ],
)
def test_limits_are_read_as_kubernetes_reads_them(strategy, expected):
    assert limits_of({"spec": {"replicas": 10, "strategy": strategy}}) == expected
