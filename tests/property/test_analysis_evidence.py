"""Validity of the evidence: by enumeration where it can be exact, else by seeded simulation.

If one of these fails, every error rate that the verdicts promise is void.
"""

import random
from math import comb, exp, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eprocess import Evidence, add, begin, beyond, inside

LIMITS = (0.001, 0.01, 0.05, 0.3, 0.9)
SIZES = (1, 3, 8, 40)
NULLS = (0.0, 0.1, 0.5, 0.9, 1.0)
"""Where the truth lies, as a share of the way to the limit."""


def probability(bad: int, total: int, theta: float) -> float:
    return comb(total, bad) * theta**bad * (1 - theta) ** (total - bad)


def largest_count(runs: int, share: float, confidence: float) -> int:
    """Return the smallest k with P(Binomial(runs, share) <= k) >= confidence, exactly."""
    total = 0.0
    for count in range(runs + 1):
        total += probability(count, runs, share)
        if total >= confidence:
            return count
    return runs


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("total", SIZES)
@pytest.mark.parametrize("tempering", [1.0, 3.0])
def test_a_block_is_expected_to_win_nothing_from_a_canary_that_keeps_the_limit(
    limit, total, tempering
):
    test = beyond(limit, tempering=tempering)

    for share in NULLS:
        theta = limit * share
        expected = sum(
            probability(bad, total, theta)
            * exp(add(begin(test), test, bad=bad, total=total, seconds=5).log_e)
            for bad in range(total + 1)
        )
        assert expected <= 1 + 1e-6, theta


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("total", SIZES)
@pytest.mark.parametrize("tempering", [1.0, 3.0])
def test_the_mirror_is_expected_to_win_nothing_from_a_canary_beyond_the_limit(
    limit, total, tempering
):
    test = inside(limit, tempering=tempering)

    for share in NULLS:
        theta = limit + (1 - limit) * share
        expected = sum(
            probability(bad, total, theta)
            * exp(add(begin(test), test, bad=bad, total=total, seconds=5).log_e)
            for bad in range(total + 1)
        )
        assert expected <= 1 + 1e-6, theta


@pytest.mark.parametrize("limit", [0.01, 0.3])
@pytest.mark.parametrize("mirror", [False, True])
def test_late_starts_win_nothing_either(limit, mirror):
    """Three blocks of a minute each, so that two of them bring a new start; all outcomes."""
    test, total = (inside(limit) if mirror else beyond(limit)), 4
    chances = [probability(bad, total, limit) for bad in range(total + 1)]
    states: list[tuple[float, Evidence]] = [(1.0, begin(test))]

    for _ in range(3):
        states = [
            (chance * chances[bad], add(state, test, bad=bad, total=total, seconds=60))
            for chance, state in states
            for bad in range(total + 1)
        ]

    assert states[0][1].starts == 3
    assert sum(chance * exp(state.log_e) for chance, state in states) <= 1 + 1e-6


ALPHA = 0.05
RUNS = 200
LOOKS = 60


def ever_reaches(test, rate, seed: int) -> bool:
    """One rollout, looked at after every block; how much traffic comes depends on the evidence."""
    chance = random.Random(seed)
    evidence = begin(test)
    for look in range(LOOKS):
        # A ramp that raises the weight while all is well, and one that lowers it when in doubt:
        # the past may decide about the future.
        total = chance.choice((0, 1, 4, 12)) * (3 if evidence.log_e < 0 else 1)
        bad = sum(chance.random() < rate(look) for _ in range(total))
        evidence = add(evidence, test, bad=bad, total=total, seconds=chance.choice((1, 5, 15)))
        if evidence.log_e >= log(1 / ALPHA):
            return True
    return False


@pytest.mark.parametrize(
    ("story", "rate"),
    [
        ("always on the limit", lambda _: 0.05),
        ("drifting up to the limit", lambda look: 0.05 * look / LOOKS),
        ("an outage of the limit's size now and then", lambda look: 0.05 * (look % 7 == 0)),
    ],
)
def test_a_canary_that_keeps_the_limit_is_hardly_ever_accused_at_any_look(story, rate):
    accused = sum(ever_reaches(beyond(0.05), rate, seed) for seed in range(RUNS))

    # Fixed seeds; a valid test exceeds this in fewer than 1 of 10^6 sets of seeds.
    assert accused <= largest_count(RUNS, ALPHA, 1 - 1e-6), story


@pytest.mark.parametrize(
    ("story", "rate"),
    [
        ("always on the limit", lambda _: 0.05),
        ("falling down to the limit", lambda look: 0.05 + 0.3 * (LOOKS - look) / LOOKS),
    ],
)
def test_a_canary_beyond_the_limit_is_hardly_ever_called_safe_at_any_look(story, rate):
    praised = sum(ever_reaches(inside(0.05), rate, seed) for seed in range(RUNS))

    assert praised <= largest_count(RUNS, ALPHA, 1 - 1e-6), story


def test_the_simulation_would_notice_a_test_that_is_not_valid():
    """The same runs, of a canary that fails three times the limit: nearly all are accused."""
    accused = sum(ever_reaches(beyond(0.05), lambda _: 0.15, seed) for seed in range(50))

    assert accused > 40


blocks = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 200), st.floats(0, 90)).map(
        lambda it: (min(it[0], it[1]), max(it[0], it[1]), it[2])
    ),
    min_size=1,
    max_size=12,
)
limits = st.floats(0, 1)


@settings(deadline=None, max_examples=60)
@given(limit=limits, history=blocks, which=st.integers(0, 11))
def test_one_more_failure_never_speaks_for_the_canary(limit, history, which):
    which %= len(history)
    bad, total, seconds = history[which]
    worse = [*history]
    worse[which] = (min(bad + 1, total), total, seconds)

    for test, sign in ((beyond(limit), 1), (inside(limit), -1)):
        before, after = begin(test), begin(test)
        for (y, n, dt), (y2, n2, dt2) in zip(history, worse, strict=True):
            before = add(before, test, bad=y, total=n, seconds=dt)
            after = add(after, test, bad=y2, total=n2, seconds=dt2)
        assert sign * (after.log_e - before.log_e) >= -1e-9 * max(1, abs(before.log_e))


@settings(deadline=None, max_examples=60)
@given(limit=limits, history=blocks, seconds=st.floats(0, 600))
def test_a_block_without_requests_leaves_the_evidence_as_it_was(limit, history, seconds):
    test = beyond(limit)
    evidence = begin(test)
    for bad, total, dt in history:
        evidence = add(evidence, test, bad=bad, total=total, seconds=dt)

    after = add(evidence, test, bad=0, total=0, seconds=seconds)

    assert after.log_e == pytest.approx(evidence.log_e, rel=1e-9, abs=1e-9)
