"""The queue: every key once, one worker a key, nothing lost that came while one was at work."""

import asyncio

from daemon.core.model import TargetKey
from daemon.queue import KeyQueue
from tests.fakes.clock import turns

ONE, TWO = TargetKey("echo", "one"), TargetKey("echo", "two")


async def test_keys_are_taken_in_their_order() -> None:
    queue = KeyQueue()
    queue.put(ONE)
    queue.put(TWO)

    assert [await queue.take(), await queue.take()] == [ONE, TWO]


async def test_a_key_that_waits_already_is_not_queued_twice() -> None:
    queue = KeyQueue()
    for _ in range(3):
        queue.put(ONE)

    assert queue.depth() == 1


async def test_a_key_that_is_put_while_it_is_worked_on_is_looked_at_once_more_and_not_at_once() -> (
    None
):
    queue = KeyQueue()
    queue.put(ONE)
    await queue.take()
    queue.put(ONE)
    queue.put(ONE)
    during = queue.depth()

    queue.done(ONE)

    assert (during, queue.depth()) == (0, 1)


async def test_a_worker_waits_until_there_is_a_key() -> None:
    queue = KeyQueue()
    taking = asyncio.ensure_future(queue.take())
    await turns()
    waited = not taking.done()

    queue.put(ONE)

    assert waited
    assert await taking == ONE


async def test_two_workers_never_have_one_key() -> None:
    queue = KeyQueue()
    queue.put(ONE)
    await queue.take()
    second = asyncio.ensure_future(queue.take())
    queue.put(ONE)
    await turns()
    alone = not second.done()

    queue.done(ONE)

    assert alone
    assert await second == ONE


async def test_idle_waits_for_who_is_at_work_and_not_for_who_waits() -> None:
    queue = KeyQueue()
    queue.put(ONE)
    queue.put(TWO)
    await queue.take()
    idle = asyncio.ensure_future(queue.idle())
    await turns()
    at_work = not idle.done()

    queue.done(ONE)
    await turns()

    assert at_work
    assert idle.done()
    assert queue.depth() == 1
