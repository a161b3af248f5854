"""Wake-ups arrive in the loop's own thread, and none is lost."""

import asyncio
import threading
from collections import Counter
from datetime import timedelta

from daemon.core.model import TargetKey
from daemon.scheduler import Scheduler

KEY = TargetKey("echo", "echo")
OTHER = TargetKey("echo", "other")
DEADLINE = 10.0


async def test_a_wake_up_comes_in_the_loops_own_thread():
    threads = []
    woken = asyncio.Event()

    def put(_):
        threads.append(threading.current_thread())
        loop.call_soon_threadsafe(woken.set)

    loop = asyncio.get_running_loop()
    scheduler = Scheduler(put, list)
    scheduler.start()

    scheduler.look_in(KEY, timedelta(0))
    await asyncio.wait_for(woken.wait(), DEADLINE)
    scheduler.stop()

    assert threads == [threading.main_thread()]


async def test_a_look_planned_while_one_is_taken_is_not_lost(caplog):
    counts = Counter()
    enough = asyncio.Event()

    def put(key):
        counts[key] += 1
        if counts[key] < 5:
            # As a worker does that takes the key at once: the next look is planned in the same
            # turn of the loop, before the scheduler has noted the end of this one.
            scheduler.look_in(key, timedelta(0))
        elif min(counts[KEY], counts[OTHER]) >= 5:
            enough.set()

    scheduler = Scheduler(put, list)
    scheduler.start()

    for key in (KEY, OTHER):
        scheduler.look_in(key, timedelta(0))
    await asyncio.wait_for(enough.wait(), DEADLINE)
    scheduler.stop()

    assert counts == {KEY: 5, OTHER: 5}
    assert "skipped" not in caplog.text


async def test_a_later_plan_replaces_the_one_before():
    puts = []
    woken = asyncio.Event()

    def put(key):
        puts.append(key)
        if key == OTHER:
            woken.set()

    scheduler = Scheduler(put, list)
    scheduler.start()

    scheduler.look_in(KEY, timedelta(0))
    scheduler.look_in(KEY, timedelta(hours=1))
    scheduler.look_in(OTHER, timedelta(0))
    await asyncio.wait_for(woken.wait(), DEADLINE)
    scheduler.stop()

    assert puts == [OTHER]
