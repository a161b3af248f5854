"""What one look costs the judge: five metrics, four of them compared at ten latency bounds."""

from time import process_time

from analysis.history import History
from analysis.judge import begin, judge
from analysis.samples import FAILED, Block, Counts, Spread
from analysis.settings import LOG_SAFE, JudgeSettings
from analysis.versus import FailuresVersus
from analysis.versus_latency import MOST_BOUNDS, LatencyVersus
from benchmarks.gates import Gate

LIMIT_MS = 3.0
METRICS = 5
LOOKS = 50
"""Of one sample; one look alone is too short to be timed."""


def measure(runs: int) -> list[Gate]:
    """Time looks by the processor's clock, which other programs do not move."""
    failures = FailuresVersus("failures", log_safe=LOG_SAFE, delay=7.0)
    slow = tuple(LatencyVersus(f"latency {number}") for number in range(1, METRICS))
    settings = JudgeSettings((failures, *slow), alpha=0.01, min_requests=30)
    bounds = [number / 10 for number in range(1, MOST_BOUNDS + 1)]
    slower = {bound: 20_000 - round(1000 * bound) for bound in bounds}
    state = begin(settings, past=History(1800.0, 100_000, 100_000, {FAILED: 100, **slower}))
    block = Block(
        5.0,
        10.0,
        Counts(100, 2, dict.fromkeys(bounds, 80), 100, pods=3),
        Counts(900, 9, dict.fromkeys(bounds, 720), 900, pods=3),
        spread=dict.fromkeys((FAILED, *bounds), Spread(10.0, 9.0)),
    )
    samples = []
    for _ in range(runs):
        began = process_time()
        for _ in range(LOOKS):
            state, _ = judge(settings, state, block, {})
        samples.append((process_time() - began) * 1000 / LOOKS)
    return [Gate("one look of five metrics at ten bounds", "ms", LIMIT_MS, tuple(samples))]
