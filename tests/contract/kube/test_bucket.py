"""The safety net: twenty requests a second, forty at once."""

import pytest

from daemon.kube.bucket import TokenBucket


async def taken(bucket, clock, count, **how):
    clock.pauses.clear()
    for _ in range(count):
        await bucket.take(**how)
    return sum(clock.pauses)


async def test_forty_at_once_wait_for_nothing(clock):
    assert await taken(TokenBucket(clock), clock, 40) == 0


async def test_a_long_rest_saves_up_no_more_than_forty(clock):
    bucket = TokenBucket(clock)
    clock.seconds += 3600

    assert await taken(bucket, clock, 60) == pytest.approx(1.0)


async def test_the_bucket_fills_at_twenty_a_second(clock):
    bucket = TokenBucket(clock)
    await taken(bucket, clock, 40)
    clock.seconds += 1

    assert await taken(bucket, clock, 20) == pytest.approx(0.0, abs=1e-9)
    assert await taken(bucket, clock, 1) == pytest.approx(0.05)


async def test_urgent_ones_go_a_burst_into_debt_and_no_further(clock):
    bucket = TokenBucket(clock)

    assert await taken(bucket, clock, 80, urgent=True) == 0
    assert await taken(bucket, clock, 10, urgent=True) == pytest.approx(0.5)
