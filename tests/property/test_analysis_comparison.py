"""Validity of the comparison with stable: by enumeration where it can be exact, else by simulation.

If one of these fails, every error rate that the verdicts promise is void.
"""

import random
from itertools import product
from math import comb, exp, isfinite, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.clumps import Clumps, count_clumps
from analysis.compare import Arms, Null, Track, open_comparison
from analysis.history import History
from analysis.judge import begin, judge
from analysis.memory import restore, save
from analysis.samples import FAILED, Block, Counters, Counts, Reading, Spread, close_block
from analysis.settings import JudgeSettings, compared
from analysis.share import begin as begin_share
from analysis.share import take_block
from analysis.twosample import (
    EXCESSES,
    FRACTIONS,
    MARGINS,
    RATIOS,
    Pair,
    batch,
    excess_excluded,
    log_factor,
    worse,
    worse_by,
)
from analysis.verdict import Verdict

THETAS = [10 ** (-5 + 5 * k / 24) * 0.999 for k in range(25)]
"""Stable's rates of the nulls, 1e-5 to 0.999."""

HOW = JudgeSettings(compared(7.0), alpha=0.01, min_requests=30)


def chances(total: int, theta: float) -> list[float]:
    return [comb(total, y) * theta**y * (1 - theta) ** (total - y) for y in range(total + 1)]


def expectation(factors: dict[tuple[int, int], float], n_a: int, n_b: int, *rates: float) -> float:
    theta_a, theta_b = rates
    p_a, p_b = chances(n_a, theta_a), chances(n_b, theta_b)
    return sum(p_a[y_a] * p_b[y_b] * e for (y_a, y_b), e in factors.items())


def largest_count(runs: int, share: float, confidence: float) -> int:
    """Return the smallest k with P(Binomial(runs, share) <= k) >= confidence, exactly."""
    total = 0.0
    for count, chance in enumerate(chances(runs, share)):
        total += chance
        if total >= confidence:
            return count
    return runs


# ---------------------------------------------------------------- one block


@pytest.mark.parametrize("ratio", [1.0, 1.25, 5.0])
@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1])
def test_a_block_is_expected_to_win_nothing_from_a_canary_that_is_no_worse(ratio, rate):
    for n_a, n_b, more in product((1, 3, 8), (2, 9, 40), (0.01, 0.3)):
        a = min(max(1.1 * ratio * rate, rate + more), 0.97)
        factors = {
            (y_a, y_b): exp(log_factor(Pair(y_a, n_a, y_b, n_b), a, rate, ratio))
            for y_a in range(n_a + 1)
            for y_b in range(n_b + 1)
        }
        for theta_b, part in product(THETAS, (1, 0.5)):
            theta_a = part * min(ratio * theta_b, 1)
            expected = expectation(factors, n_a, n_b, theta_a, theta_b)
            assert expected <= 1 + 1e-6, (n_a, n_b, a, theta_a, theta_b)


@pytest.mark.parametrize("ratio", [1.0, 1.25])
@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_the_mirror_is_expected_to_win_nothing_from_a_canary_that_is_worse(ratio, rate):
    for n_a, n_b in product((1, 3, 8), (2, 9)):
        a = 0.3 * ratio * rate
        factors = {
            (y_a, y_b): exp(log_factor(Pair(y_a, n_a, y_b, n_b), a, rate, ratio))
            for y_a in range(n_a + 1)
            for y_b in range(n_b + 1)
        }
        for theta_b, times in product(THETAS, (1, 2)):
            theta_a = min(times * ratio * theta_b, 1)
            if theta_a < ratio * theta_b:
                continue  # Not in the null: nothing fails more often than always.
            assert expectation(factors, n_a, n_b, theta_a, theta_b) <= 1 + 1e-6


@pytest.mark.parametrize("rate", [0.001, 0.02])
@pytest.mark.parametrize("margin", [0.01, 0.2])
@pytest.mark.parametrize("believed", [0.0, 0.005, 0.1])
def test_a_block_is_expected_to_exclude_no_excess_that_is_there(rate, margin, believed):
    for n_a, n_b in product((1, 4, 9), (3, 20)):
        factors = {
            (y_a, y_b): exp(excess_excluded(Pair(y_a, n_a, y_b, n_b), rate, margin, believed))
            for y_a in range(n_a + 1)
            for y_b in range(n_b + 1)
        }
        for step, times in product(range(40), (1, 2)):
            theta_b = (1 - margin) * step / 39
            theta_a = min(theta_b + times * margin, 1.0)
            assert expectation(factors, n_a, n_b, theta_a, theta_b) <= 1 + 1e-6


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.3])
@pytest.mark.parametrize("margin", [0.005, 0.2])
def test_a_block_is_expected_to_win_nothing_from_a_canary_within_the_tolerated_margin(rate, margin):
    for n_a, n_b in product((1, 4, 9), (3, 20)):
        factors = {
            (y_a, y_b): [exp(e) for e in worse_by(Pair(y_a, n_a, y_b, n_b), rate, margin)]
            for y_a in range(n_a + 1)
            for y_b in range(n_b + 1)
        }
        for step, part in product(range(25), (1, 0.5)):
            theta_b = (1 - margin) * step / 24
            theta_a = part * (theta_b + margin)
            for place in range(len(RATIOS) + len(EXCESSES)):
                bet = {counts: factor[place] for counts, factor in factors.items()}
                assert expectation(bet, n_a, n_b, theta_a, theta_b) <= 1 + 1e-6


@pytest.mark.parametrize("ratio", [1.0, 1.25, 5.0])
@pytest.mark.parametrize("clumps", [(1,), (7,), (1, 1, 1), (5, 2), (3, 3, 3, 1)])
def test_the_batch_bet_wins_nothing_however_failures_hang_together(ratio, clumps):
    """Each clump lands on the canary with the largest chance that the null allows."""
    n_a, n_b = 30.0, 70.0
    promised = ratio * n_a / (ratio * n_a + n_b)
    expected = [0.0] * len(FRACTIONS)
    for landed in product((True, False), repeat=len(clumps)):
        chance, y_a = 1.0, 0
        for size, is_canary in zip(clumps, landed, strict=True):
            chance *= promised if is_canary else 1 - promised
            y_a += size * is_canary
        for place, log_e in enumerate(batch(Pair(y_a, n_a, sum(clumps) - y_a, n_b), ratio)):
            expected[place] += chance * exp(log_e)

    assert all(value <= 1 + 1e-9 for value in expected)


@pytest.mark.parametrize("bad", [(0, 9), (9, 0), (4, 5), (1, 0)])
def test_a_batch_bet_never_loses_more_than_its_stake(bad):
    for log_e, fraction in zip(batch(Pair(bad[0], 10, bad[1], 10), 1.0), FRACTIONS, strict=True):
        assert exp(log_e) >= 1 - fraction - 1e-12


@pytest.mark.parametrize("weight", [1, 10, 50, 99])
@pytest.mark.parametrize("total", [1, 7, 30])
@pytest.mark.parametrize("part", [0.5, 0.75, 1.0, 2.0])
def test_the_share_alarm_wins_nothing_from_a_canary_that_gets_half_of_its_share(
    weight, total, part
):
    share = min(part * weight / 100, 1.0)
    expected = sum(
        chance
        * exp(take_block(begin_share(), Block(5.0, weight, Counts(n), Counts(total - n))).log_e)
        for n, chance in enumerate(chances(total, share))
    )

    assert expected <= 1 + 1e-6


# ---------------------------------------------------------------- at any time

ALPHA = 0.05
RUNS = 150
LOOKS = 50


def rollout(seed: int, canary_rate, base_rate) -> tuple[float, bool]:
    """Look after every block; how much traffic comes, and who gets it, depends on the evidence.

    Return the largest log E, and whether an excess that is there was ever excluded.
    """
    chance = random.Random(seed)
    bets, track = open_comparison(EXCESSES), Track(clumps=Clumps(1e3, 1e3))
    margins = [0.0] * len(MARGINS)
    largest, was_wrong = 0.0, False
    for look in range(LOOKS):
        total = chance.choice((0, 3, 20)) * (3 if bets.log_e < 0 else 1)
        share = chance.choice((0.05, 0.2, 0.5))
        canary = sum(chance.random() < share for _ in range(total))
        base = base_rate(look)
        arms = Arms(
            sum(chance.random() < canary_rate(base) for _ in range(canary)),
            canary,
            sum(chance.random() < base for _ in range(total - canary)),
            total - canary,
        )
        pair = track.favour(arms)
        margins = [
            log_e + excess_excluded(pair, track.rate, margin)
            for log_e, margin in zip(margins, MARGINS, strict=True)
        ]
        bets = bets.take(track, arms, Null(1.0, excesses=EXCESSES), 5.0)
        track = track.learn(arms, 5.0, None)
        largest = max(largest, bets.log_e)
        excess = canary_rate(base) - base
        was_wrong |= any(
            log_e >= log(1 / ALPHA) and margin <= excess + 1e-12
            for log_e, margin in zip(margins, MARGINS, strict=True)
        )
    return largest, was_wrong


@pytest.mark.parametrize(
    ("story", "base"),
    [
        ("steady", lambda _: 0.05),
        ("climbing to five times itself", lambda look: 0.02 + 0.08 * look / LOOKS),
        ("outages of both", lambda look: 0.5 if look % 7 == 0 else 0.01),
    ],
)
def test_a_canary_as_good_as_stable_is_hardly_ever_accused_at_any_look(story, base):
    accused = sum(
        rollout(seed, lambda rate: rate, base)[0] >= log(1 / ALPHA) for seed in range(RUNS)
    )

    # Fixed seeds; a valid test exceeds this in fewer than 1 of 10^6 sets of seeds.
    assert accused <= largest_count(RUNS, ALPHA, 1 - 1e-6), story


def test_the_simulation_would_notice_a_canary_that_is_worse():
    accused = sum(
        rollout(seed, lambda rate: 5 * rate, lambda _: 0.05)[0] >= log(1 / ALPHA)
        for seed in range(30)
    )

    assert accused > 25


def test_an_excess_that_is_there_is_hardly_ever_excluded_at_any_look():
    wrong = sum(rollout(seed, lambda rate: rate + 0.1, lambda _: 0.05)[1] for seed in range(RUNS))

    assert wrong <= largest_count(RUNS, ALPHA, 1 - 1e-6)


SMALL_SERVICES = [(100, 0.01, 5), (100, 0.01, 20), (30, 0.03, 5), (10, 0.01, 50)]
"""Requests a second, failure rate, weight."""


@pytest.mark.parametrize(("rps", "rate", "weight"), SMALL_SERVICES)
@pytest.mark.parametrize("pods", [1, 3])
def test_nothing_known_of_clumps_is_no_reason_to_accuse_the_smaller_arm(rps, rate, weight, pods):
    """Requests fail each by itself. Taken for clumps, the canary's few would seem to be many."""
    runs, looks, failed = 25, 100, 0
    for seed in range(runs):
        chance = random.Random(seed)
        state = begin(HOW)
        for _ in range(looks):
            state, judgement = judge(HOW, state, drawn(chance, 5 * rps, rate, weight, pods), {})
            if judgement.verdict is Verdict.FAIL:
                failed += 1
                break

    assert failed <= largest_count(runs, HOW.alpha, 1 - 1e-6)


def drawn(chance: random.Random, requests: int, rate: float, weight: float, pods: int) -> Block:
    """Draw a block whose requests fail each by itself, on one canary pod and some of stable's."""
    canary = sum(chance.random() < weight / 100 for _ in range(requests))
    shares = [(requests - canary) // pods] * pods
    failed = [sum(chance.random() < rate for _ in range(share)) for share in (canary, *shares)]
    zero, counts = (
        Counters(0, 0),
        [Counters(n, y) for n, y in zip((canary, *shares), failed, strict=True)],
    )
    stable = {f"stable-{pod}": it for pod, it in enumerate(counts[1:])}
    before = Reading(0.0, {"v1": dict.fromkeys(stable, zero), "v2": {"canary": zero}})
    after = Reading(5.0, {"v1": stable, "v2": {"canary": counts[0]}})
    return close_block(before, after, stable="v1", canary="v2", weight=weight)


# ---------------------------------------------------------------- order, extremes, memory

counts = st.integers(0, 400)
sizes = st.sampled_from([1.0, 1.2, 4.0, 10.5])


def track_with(size: float) -> Track:
    phi = 2 * size - 1
    return Track(3.0, 1500.0, clumps=Clumps(phi * 1e4, 1e4, phi * phi * 1e4, phi * 1e4, 1e4))


@settings(deadline=None, max_examples=150)
@given(
    bad=st.tuples(counts, counts),
    good=st.tuples(counts, counts),
    size=sizes,
    exposed=st.booleans(),
    margin=st.sampled_from([0.0, 0.005, 0.2]),
)
def test_one_more_failure_speaks_against_the_arm_that_has_it(bad, good, size, exposed, margin):
    """Of the same requests, one more is bad."""
    ratio = 1.0 if exposed else 5.0
    track = track_with(size)

    def log_e(y_a: int, y_b: int) -> list[float]:
        arms = Arms(y_a, bad[0] + good[0] + 1, y_b, bad[1] + good[1] + 1)
        null = Null(ratio, margin, EXCESSES)
        taken = open_comparison(EXCESSES).take(track, arms, null, 5.0)
        return [*taken.worse.bets, taken.log_e]

    before = log_e(*bad)
    for more, less in zip(log_e(bad[0] + 1, bad[1]), before, strict=True):
        assert more >= less - 1e-9 * max(1, abs(less))
    for less, more in zip(log_e(bad[0], bad[1] + 1), before, strict=True):
        assert less <= more + 1e-9 * max(1, abs(more))


@settings(deadline=None, max_examples=100)
@given(bad=st.integers(0, 10**6), promised=st.floats(0, 1e6), size=st.floats(1, 10.5))
def test_clumps_are_never_more_than_bad_requests_and_grow_with_them(bad, promised, size):
    count = count_clumps(bad, promised, size)

    assert 0 <= count <= bad * (1 + 1e-12)
    assert count_clumps(bad + 1, promised, size) >= count * (1 - 1e-12)


@settings(deadline=None, max_examples=100)
@given(
    n_a=st.sampled_from([0, 1, 10**7]),
    n_b=st.sampled_from([0, 1, 10**7]),
    shares=st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])),
    rate=st.sampled_from([1e-6, 0.01, 0.5]),
    ratio=st.sampled_from([1.0, 1.25, 5.0]),
)
def test_everything_stays_finite(n_a, n_b, shares, rate, ratio):
    pair = Pair(int(shares[0] * n_a), n_a, int(shares[1] * n_b), n_b)

    values = [*worse(pair, rate, ratio), *batch(pair, ratio)]
    values += [excess_excluded(pair, rate, margin) for margin in MARGINS]

    assert all(isfinite(value) for value in values)
    if not n_a or not n_b:
        assert not any(values)


def arm(draw) -> Counts:
    requests, bad, slow, restarts = draw
    within = {0.1: max(requests - 2 * slow, 0), 0.5: max(requests - slow, 0)}
    return Counts(requests, min(bad, requests), within, requests, 2, restarts)


arms = st.tuples(
    st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 500), st.integers(0, 2)
).map(arm)
spreads = st.dictionaries(
    st.sampled_from([FAILED, 0.1, 0.5]),
    st.builds(Spread, st.floats(0, 1e9), st.floats(1, 1e9)),
    max_size=3,
)
blocks = st.builds(
    Block,
    seconds=st.floats(0, 1e5),
    weight=st.sampled_from([0.0, 0.04, 5.0, 50.0, 100.0]),
    canary=arms,
    stable=arms,
    spread=spreads,
)
histories = st.builds(
    lambda seconds, requests, bad, slow: History(
        seconds, requests, requests, {FAILED: bad, 0.1: 2 * slow, 0.5: slow}
    ),
    st.floats(0, 1e5),
    st.integers(0, 10**6),
    st.integers(0, 1000),
    st.integers(0, 1000),
)


@settings(deadline=None, max_examples=60)
@given(
    past=histories,
    looks=st.lists(st.none() | blocks, min_size=1, max_size=6),
    cut=st.integers(0, 5),
)
def test_saved_anywhere_the_comparison_goes_on_bit_for_bit_and_its_excess_never_rises(
    past, looks, cut
):
    straight = interrupted = begin(HOW, past=past)
    excess = 1.0
    for place, block in enumerate(looks):
        if place == cut:
            restored = restore(HOW, save(HOW, interrupted))
            assert restored is not None
            interrupted = restored
        straight, expected = judge(HOW, straight, block, {})
        interrupted, got = judge(HOW, interrupted, block, {})

        assert got == expected
        assert expected.message
        assert 0.001 <= expected.excess <= excess
        assert 0.01 <= expected.allowed <= 50
        excess = expected.excess
    assert interrupted == straight


@settings(deadline=None, max_examples=60)
@given(looks=st.lists(blocks, min_size=1, max_size=4), seconds=st.floats(0, 100))
def test_a_block_without_one_of_the_arms_moves_no_comparison(looks, seconds):
    state = begin(HOW)
    for block in looks:
        state, _ = judge(HOW, state, block, {})

    for lonely in (
        Block(seconds, 20.0, Counts(0), Counts(500, 400, {0.1: 9, 0.5: 9}, 500, pods=1)),
        Block(seconds, 20.0, Counts(500, 400, {0.1: 9, 0.5: 9}, 500, pods=1), Counts(0)),
    ):
        after, _ = judge(HOW, state, lonely, {})
        for before_check, after_check in zip(state.checks, after.checks, strict=True):
            for name, evidence in before_check.evidence.items():
                # The limit of an outage is absolute, and needs the canary alone.
                assert name == "outage" or after_check.evidence[name] == evidence


def test_a_rollout_on_the_nulls_edge_with_clumps_fails_as_seldom_as_promised():
    """Clumps of four, all of one client: without their protection a third of these would fail."""
    runs, failed = 60, 0
    clumps = Clumps().add(Spread(7000.0, 1000.0))
    past = History(1800.0, 200_000, 0, {FAILED: 2000}, {FAILED: clumps})
    for seed in range(runs):
        chance = random.Random(seed)
        state = begin(HOW, past=past)
        for _ in range(40):
            sizes_a = [chance.choice((1, 3, 8)) for _ in range(chance.choice((0, 0, 1, 2)))]
            sizes_b = [chance.choice((1, 3, 8)) for _ in range(chance.choice((0, 0, 1, 2)))]
            block = Block(
                5.0, 50, Counts(300, sum(sizes_a), pods=1), Counts(300, sum(sizes_b), pods=3)
            )
            state, judgement = judge(HOW, state, block, {})
            if judgement.verdict is Verdict.FAIL:
                failed += 1
                break

    assert failed <= largest_count(runs, 0.01, 1 - 1e-6)
