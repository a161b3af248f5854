"""Bad input, source by source: whatever is wrong with the canary's numbers, nothing is judged by it.

Each row takes a look that would end a release one way or the other, spoils what the source says of
the canary, and demands that neither verdict falls. `test_without_a_fault_...` shows that the same
numbers do decide when nothing is wrong with them.
"""

from collections.abc import Callable

import pytest

from analysis.errors import ProviderError
from analysis.judge import begin, judge, judge_unread
from analysis.providers.base import PodAddress, Scope
from analysis.providers.upstreams import REQUESTS, RETRIED
from analysis.samples import Reading, close_block
from analysis.verdict import Judgement, Verdict
from tests.contract.providers.servers import Sample
from tests.contract.providers.sources import (
    ADDRESSES,
    NOW,
    SOURCES,
    Clusters,
    Gateway,
    Pods,
    Scraped,
    Source,
)
from tests.spec.analysis.readings import LATENCY, SUCCESS, settings
from tests.spec.analysis.test_envoy_page import CLUSTER, endpoint

BEFORE = {"v1": (1000, 1), "v2": (500, 1)}
"""version -> requests that succeeded and failed, at the first look."""
PASSING = {"v1": (101_000, 1), "v2": (50_500, 1)}
FAILING = {"v1": (101_000, 1), "v2": (500, 5000)}
"""The same at the second: enough to pass, or to fail, whatever the check."""
DECIDING = {"a pass": PASSING, "a fail": FAILING}
WANTED = {"a pass": Verdict.PASS, "a fail": Verdict.FAIL}


# ---------------------------------------------------------------- looking


def scope(source: Source) -> Scope:
    pods = {it: (PodAddress(f"{it}-0", address),) for it, address in ADDRESSES.items()}
    return Scope("echo", "echo", "v1", "v2", pods, source.metrics)


async def judged(
    source: Source, second: dict[str, tuple[int, int]], spoil: Callable[[], object]
) -> Judgement:
    """Look twice, judge what came in between; `spoil` changes what the second look finds."""
    checks = (SUCCESS, LATENCY) if source.durations else (SUCCESS,)
    how = settings(*checks)
    state = begin(how)
    async with source.serving() as provider:
        source.write(BEFORE)
        before = await provider.read(scope(source))
        source.write(second)
        spoil()
        try:
            after: Reading = await provider.read(scope(source))
        except ProviderError as problem:
            return judge_unread(how, state, problem)
    block = close_block(before, after, stable="v1", canary="v2", weight=10)
    assert block.seconds >= 0
    _, judgement = judge(how, state, block, {})
    return judgement


@pytest.mark.parametrize("decided", DECIDING)
@pytest.mark.parametrize("name", SOURCES)
async def test_without_a_fault_the_same_numbers_decide(name: str, decided: str) -> None:
    judgement = await judged(SOURCES[name](), DECIDING[decided], lambda: None)

    assert judgement.verdict is WANTED[decided], judgement.message


# ---------------------------------------------------------------- faults


def page(source: Source, change: Callable[[str], str]) -> None:
    """Change what a page says of the canary."""
    if isinstance(source, Pods):
        source.pages["v2"] = change(source.pages["v2"])
    elif isinstance(source, Gateway):
        stable, mark, canary = source.page.partition(f"{CLUSTER}::{ADDRESSES['v2']}")
        source.page = stable + change(mark + canary)


def samples(source: Scraped, change: Callable[[Sample], object]) -> None:
    for sample in source.of_canary():
        change(sample)


def empty(source: Source) -> None:
    if isinstance(source, Scraped):
        for sample in source.of_canary():
            source.prometheus.samples.remove(sample)
    page(source, lambda _: "")


def partial(source: Source) -> None:
    """The first half of a page; half of the series."""
    if isinstance(source, Scraped):
        for sample in source.of_canary()[:2]:
            source.prometheus.samples.remove(sample)
    page(source, lambda text: text[: text.index("5") + 1] if "::" not in text else text[:60])


def without_failures(source: Source) -> None:
    """The series of failures, which was there, is gone."""
    if isinstance(source, Scraped):
        for sample in source.of_canary():
            if sample.labels.keys() & {"code", "envoy_response_code"} and is_bad(sample):
                source.prometheus.samples.remove(sample)
    page(source, lambda text: "".join(it for it in text.splitlines(True) if not is_bad_line(it)))


def is_bad(sample: Sample) -> bool:
    return {"500", "503"} & set(sample.labels.values()) != set()


def is_bad_line(line: str) -> bool:
    return 'code="500"' in line or "::rq_error::" in line


def stale(source: Source) -> None:
    """A page that stands still; samples of ten minutes ago."""
    if isinstance(source, Scraped):
        samples(source, lambda it: setattr(it, "at", NOW - 600))
        return
    still = type(source)()
    still.write(BEFORE)
    if isinstance(source, Pods):
        source.pages["v2"] = still.pages["v2"]  # type: ignore[union-attr]
    else:
        source.page = still.page  # type: ignore[union-attr]


def reset(source: Source) -> None:
    """Counters that began anew, and have not yet overtaken what they were."""
    young = {"v1": PASSING["v1"], "v2": (300, 0)}
    source.write(young)


def spelt(value: str) -> Callable[[Source], None]:
    def spoil(source: Source) -> None:
        if isinstance(source, Scraped):
            samples(source, lambda it: setattr(it, "value", value))
        elif isinstance(source, Pods):
            page(
                source,
                lambda text: "".join(
                    f"{it.rpartition(' ')[0]} {value}\n" for it in text.splitlines()
                ),
            )
        else:
            page(source, lambda _: endpoint(f"{ADDRESSES['v2']}:80", value, value))

    return spoil


def duplicate(source: Source) -> None:
    """Every series twice, with the same labels; of a Prometheus: scraped by two jobs."""
    if isinstance(source, Scraped):
        for sample in source.of_canary():
            again = Sample(sample.labels | {"job": "again"}, sample.value, sample.at)
            source.prometheus.samples.append(again)
    page(source, lambda text: text + text)


def unlabelled(source: Source) -> None:
    """No status code; of an endpoint: no address."""
    if isinstance(source, Scraped):
        for label in ("code", "envoy_response_code"):
            samples(source, lambda it, label=label: it.labels.pop(label, None))
    page(
        source,
        lambda text: text.replace('code="', 'status="').replace(ADDRESSES["v2"], "echo.local"),
    )


def without_codes(source: Source) -> None:
    """Attempts are counted, outcomes are not."""
    assert isinstance(source, Clusters)
    for sample in source.of_canary():
        if sample.labels["__name__"] in (REQUESTS, RETRIED):
            source.prometheus.samples.remove(sample)


def overfull(source: Source) -> None:
    """More in the buckets than was counted; of the classic ones: not cumulative."""
    assert isinstance(source, Scraped)
    for sample in source.of_canary():
        if isinstance(sample.value, dict):
            sample.value = sample.value | {"count": "7"}
        elif sample.labels.get("le") == "+Inf":
            sample.value = "7"


def warned(source: Source) -> None:
    assert isinstance(source, Scraped)
    asked = source.prometheus._answer
    source.prometheus._answer = (  # type: ignore[method-assign]
        lambda query: asked(query)[:-1] + b', "warnings": ["partial response"]}'
    )


def ahead(source: Source) -> None:
    assert isinstance(source, Scraped)
    source.prometheus.now = NOW + 3600


def behind(source: Source) -> None:
    """Nothing was scraped yet, as that clock has it."""
    assert isinstance(source, Scraped)
    source.prometheus.now = NOW - 3600


EVERY = tuple(SOURCES)
PROMETHEUS = ("prometheus", "prometheus, native", "prometheus, by cluster")
FAULTS: dict[str, tuple[Callable[[Source], object], tuple[str, ...]]] = {
    "empty": (empty, EVERY),
    "partial": (partial, EVERY),
    "answered with warnings": (warned, PROMETHEUS),
    "the failures' series vanishes": (without_failures, EVERY),
    "stale": (stale, EVERY),
    "reset": (reset, EVERY),
    "negative": (spelt("-5"), EVERY),
    "NaN": (spelt("NaN"), EVERY),
    "infinite": (spelt("+Inf"), ("pods", *PROMETHEUS)),
    "no number": (spelt("many"), ("pods", "envoy")),
    "duplicate series": (duplicate, EVERY),
    "unlabelled series": (unlabelled, EVERY),
    "attempts without outcomes": (without_codes, ("prometheus, by cluster",)),
    "more in the buckets than in all": (overfull, PROMETHEUS),
    "a clock that jumps ahead": (ahead, PROMETHEUS),
    "a clock that jumps back": (behind, PROMETHEUS),
}
ROWS = [
    pytest.param(name, fault, decided, id=f"{name}: {fault}, instead of {decided}")
    for fault, (_, names) in FAULTS.items()
    for name in names
    for decided in DECIDING
]


@pytest.mark.parametrize(("name", "fault", "decided"), ROWS)
async def test_bad_input_neither_passes_nor_fails(name: str, fault: str, decided: str) -> None:
    source = SOURCES[name]()
    spoil, _ = FAULTS[fault]

    judgement = await judged(source, DECIDING[decided], lambda: spoil(source))

    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.message


# ---------------------------------------------------------------- buckets, and our own clock


@pytest.mark.parametrize("name", ["pods", "prometheus", "prometheus, by cluster"])
@pytest.mark.parametrize("decided", DECIDING)
async def test_buckets_that_change_in_mid_release_leave_durations_undecided(
    name: str, decided: str
) -> None:
    source = SOURCES[name]()

    def change() -> None:
        if isinstance(source, Scraped):
            samples(source, lambda it: it.labels.update(le=_other(it.labels.get("le", ""))))
        page(source, lambda text: text.replace('le="0.5"', 'le="0.25"'))

    how = settings(LATENCY)
    async with source.serving() as provider:
        source.write(BEFORE)
        before = await provider.read(scope(source))
        source.write(DECIDING[decided])
        change()
        after = await provider.read(scope(source))
    block = close_block(before, after, stable="v1", canary="v2", weight=10)
    _, judgement = judge(how, begin(how), block, {})

    assert block.canary.requests > 0, "its requests are counted all the same"
    assert block.canary.within == {}
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.message


def _other(bound: str) -> str:
    return {"0.5": "0.25", "500": "250"}.get(bound, bound)


@pytest.mark.parametrize("jump", [3600.0, -3600.0], ids=["ahead", "back"])
async def test_a_jump_of_our_own_clock_counts_nothing(jump: float) -> None:
    source = Gateway()
    how = settings(SUCCESS)
    async with source.serving() as provider:
        source.write(PASSING)
        before = await provider.read(scope(source))
        source.ahead = jump
        after = await provider.read(scope(source))
    block = close_block(before, after, stable="v1", canary="v2", weight=10)
    _, judgement = judge(how, begin(how), block, {})

    assert (block.canary.requests, block.seconds >= 0) == (0, True)
    assert judgement.verdict is Verdict.INCONCLUSIVE
