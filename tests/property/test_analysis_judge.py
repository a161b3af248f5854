"""The judge on anything a provider could hand over: total, and never moved by what is no count."""

import random
from math import comb, inf, nan

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.judge import begin, judge
from analysis.memory import restore, save
from analysis.samples import Block, Counters, Counts, Number, NumberKind, Reading, close_block
from analysis.verdict import Verdict
from tests.spec.analysis.readings import LATENCY, QUERY, SUCCESS
from tests.spec.analysis.readings import settings as judged_by

HOW = judged_by(SUCCESS, LATENCY, QUERY)
INSIDE = {"queue": Number(NumberKind.VALUE, 3.0)}

anything = st.one_of(
    st.floats(),
    st.sampled_from([nan, inf, -inf, -1.0, 0.0, 0.5, 1e300, 2.0**60]),
    st.integers(0, 10_000).map(float),
)
some_counters = st.builds(
    Counters,
    requests=anything,
    failed=anything,
    within=st.dictionaries(st.sampled_from([0.25, 0.5, 1.0, 2.5]), anything, max_size=4),
    timed=anything,
)
pods = st.dictionaries(st.sampled_from("abc"), some_counters, max_size=3)
readings = st.builds(
    Reading,
    at=st.floats(0, 1e6),
    pods=st.dictionaries(st.sampled_from(["v1", "v2"]), pods, max_size=2),
    missing=st.dictionaries(st.sampled_from("xyz"), st.just("timed out"), max_size=2),
)


def sound_arm(draw_requests: int, bad: int, slow: int) -> Counts:
    within = {0.5: draw_requests - min(slow, draw_requests)}
    return Counts(draw_requests, min(bad, draw_requests), within, draw_requests, pods=1)


arms = st.builds(sound_arm, st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 500))
blocks = st.builds(
    Block,
    seconds=st.floats(0, 1e5),
    weight=st.integers(0, 100),
    canary=arms,
    stable=arms,
)
numbers = st.dictionaries(
    st.just("queue"),
    st.builds(Number, st.sampled_from(NumberKind), anything, st.floats(0, 1e9)),
    max_size=1,
)
looks = st.lists(st.tuples(st.none() | blocks, numbers), min_size=1, max_size=8)


@settings(deadline=None, max_examples=150)
@given(before=readings, after=readings, weight=st.integers(0, 100))
def test_no_pair_of_readings_makes_a_negative_or_contradicting_count(before, after, weight):
    block = close_block(before, after, stable="v1", canary="v2", weight=weight)

    assert block.seconds >= 0
    for arm in (block.canary, block.stable):
        assert 0 <= arm.failed <= arm.requests
        assert all(0 <= count <= arm.timed for count in arm.within.values())
        assert arm.pods or arm == Counts(restarts=arm.restarts)


@settings(deadline=None, max_examples=80)
@given(before=readings, after=readings)
def test_the_order_of_pods_does_not_matter(before, after):
    def backwards(reading: Reading) -> Reading:
        turned = {v: dict(reversed(pods.items())) for v, pods in reversed(reading.pods.items())}
        return Reading(reading.at, turned, reading.missing)

    forwards = close_block(before, after, stable="v1", canary="v2", weight=5)
    turned = close_block(backwards(before), backwards(after), stable="v1", canary="v2", weight=5)

    assert forwards == turned


@settings(deadline=None, max_examples=80)
@given(history=looks)
def test_every_look_has_a_verdict_a_reason_and_a_sentence(history):
    state = begin(HOW)
    for block, answers in history:
        state, judgement = judge(HOW, state, block, answers)

        assert judgement.message
        assert len(judgement.findings) == len(HOW.checks)
        assert (judgement.verdict is Verdict.PASS) == (judgement.ground == "Safe")
        assert judgement.verdict is not Verdict.PASS or judgement.requests >= HOW.min_requests


@settings(deadline=None, max_examples=80)
@given(history=looks, cut=st.integers(0, 7))
def test_saved_and_restored_anywhere_the_verdicts_are_the_same_bit_for_bit(history, cut):
    straight, interrupted = begin(HOW), begin(HOW)
    for index, (block, answers) in enumerate(history):
        if index == cut:
            restored = restore(HOW, save(HOW, interrupted))
            assert restored is not None
            interrupted = restored
        straight, expected = judge(HOW, straight, block, answers)
        interrupted, got = judge(HOW, interrupted, block, answers)

        assert got == expected
    assert interrupted == straight


BAD_COUNTERS = st.sampled_from(
    [
        Counters(nan, 0),
        Counters(inf, 0),
        Counters(5000, -1),
        Counters(-5000, -5000),
        Counters(5000, 6000),
        Counters(1e300, 1e300),
        Counters(5000, 0, {0.5: nan}, 5000),
        Counters(1, 1),
        Counters(5000, 5000, {0.5: 0}, 10),
    ]
)


@settings(deadline=None, max_examples=100)
@given(bad=st.lists(BAD_COUNTERS, min_size=2, max_size=6))
def test_readings_that_are_no_counts_never_pass_and_never_fail(bad):
    """Each look follows a sound reference, so that only the bad one could say something."""
    sound = Counters(4000, 10, {0.5: 3000}, 4000)
    state = begin(HOW)
    for index, counters in enumerate(bad):
        before = Reading(5.0 * index, {"v1": {}, "v2": {"a": sound}})
        after = Reading(5.0 * index + 5, {"v1": {}, "v2": {"a": counters}})
        block = close_block(before, after, stable="v1", canary="v2", weight=5)
        state, judgement = judge(HOW, state, block, INSIDE)

        assert judgement.verdict is Verdict.INCONCLUSIVE


@settings(deadline=None, max_examples=60)
@given(
    kinds=st.lists(st.sampled_from([kind for kind in NumberKind if kind != "value"]), min_size=1)
)
def test_answers_that_are_no_value_never_pass_and_never_fail(kinds):
    how = judged_by(QUERY)
    state = begin(how)
    for index, kind in enumerate(kinds):
        traffic = Block(60.0, 5, Counts(1000, pods=1), Counts())
        state, judgement = judge(how, state, traffic, {"queue": Number(kind, 99, 60.0 * index)})

        assert judgement.verdict is Verdict.INCONCLUSIVE


def test_a_rollout_of_two_checks_on_their_limits_fails_as_seldom_as_promised():
    """Both checks at once, their bad requests being the same ones: E_total needs no independence."""
    how = judged_by(SUCCESS, LATENCY, confidence=0.95)
    runs, failed = 100, 0
    for seed in range(runs):
        chance = random.Random(seed)
        state = begin(how)
        for _ in range(40):
            requests = chance.randint(0, 20)
            draws = [chance.random() for _ in range(requests)]
            bad = sum(draw < 0.01 for draw in draws)
            slow = sum(draw < 0.05 for draw in draws)
            canary = Counts(requests, bad, {0.5: requests - slow}, requests, pods=1)
            state, judgement = judge(how, state, Block(5.0, 10, canary, Counts()), {})
            if judgement.verdict is Verdict.FAIL:
                failed += 1
                break

    # P(Binomial(100, 5 %) > 17) is below 10^-5; the seeds are fixed.
    assert sum(comb(runs, k) * 0.05**k * 0.95 ** (runs - k) for k in range(18)) > 1 - 1e-5
    assert failed <= 17
