"""ListWatch over a real socket, against every fault a watch is known to have.

The clock is virtual: a pause costs nothing and is written down; a stream "lives" as long as its
script says. Chance is at its upper bound, so that a jittered pause is the bound itself.
"""

import asyncio
import random
from contextlib import asynccontextmanager, suppress

import pytest

from daemon.errors import ForbiddenError
from daemon.kube import answers
from daemon.kube.listwatch import Change, ListWatch, WatchTimings
from daemon.kube.objects import DEPLOYMENTS
from tests.contract.kube.scripted import (
    DEADLINE,
    SHORT,
    UpperBound,
    answer,
    connected,
    hang_up,
    stream,
)


def deployment(name, version, label="v1"):
    return {
        "metadata": {"namespace": "echo", "name": name, "resourceVersion": str(version)},
        "label": label,
    }


def listed(version, *items, token="", **more):
    metadata = {"resourceVersion": str(version), **({"continue": token} if token else {})}
    return answer(body={"metadata": metadata, "items": list(items), **more})


def event(kind, *args, **kwargs):
    return {"type": kind, "object": deployment(*args, **kwargs)}


def bookmark(version):
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}


def failed(code, **details):
    return {"type": "ERROR", "object": {"kind": "Status", "code": code, "details": details}}


GONE = failed(410)


class Watched:
    """A ListWatch with what it told."""

    def __init__(self, api, clock, rng=None, **options):
        self.changes = []
        self.listwatch = ListWatch(
            api,
            DEPLOYMENTS,
            "echo",
            trim=lambda obj: obj["label"],
            changed=self.changes.append,
            clock=clock,
            rng=rng or UpperBound(),
            **options,
        )

    @property
    def labels(self):
        return {name: label for (_, name), label in self.listwatch.cache.items()}


@asynccontextmanager
async def running(watched):
    task = asyncio.create_task(watched.listwatch.run())
    try:
        yield watched
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            async with asyncio.timeout(DEADLINE):
                await task


async def play(server, api, clock, replies, *, requests, **options):
    """Run against these replies until that many requests were made; return what was seen."""
    server.replies += replies
    async with running(Watched(api, clock, **options)) as watched:
        await server.until_asked(requests)
    return watched


def kinds(server):
    return [
        f"watch from {asked.query['resourceVersion']}" if asked.kind == "watch" else "list"
        for asked in server.asked
    ]


# ---------------------------------------------------------------- the ordinary way


async def test_the_first_list_fills_the_cache_and_sets_synced(server, api, clock):
    watched = await play(server, api, clock, [listed(10, deployment("a", 3))], requests=2)

    assert watched.labels == {"a": "v1"}
    assert watched.listwatch.synced.is_set()
    assert watched.changes == [Change(("echo", "a"), None, "v1")]


async def test_before_the_first_list_nothing_is_synced_and_the_age_is_infinite(server, api, clock):
    watched = await play(server, api, clock, [answer(503)], requests=2)

    assert not watched.listwatch.synced.is_set()
    assert watched.listwatch.age() == float("inf")


async def test_a_watch_follows_the_list_from_its_version_with_bookmarks(server, api, clock):
    await play(server, api, clock, [listed(10)], requests=2, label_selector="app=echo")

    asked = server.asked[1].query
    assert asked["resourceVersion"] == "10"
    assert asked["allowWatchBookmarks"] == "true"
    assert [asked.query["labelSelector"] for asked in server.asked] == ["app=echo"] * 2


@pytest.mark.parametrize("seed", range(5))
async def test_a_watch_asks_to_live_between_240_and_300_seconds(server, api, clock, seed):
    await play(server, api, clock, [listed(10)], requests=2, rng=random.Random(seed))

    assert 240 <= int(server.asked[1].query["timeoutSeconds"]) <= 300


async def test_events_change_the_cache_and_are_told_with_before_and_after(server, api, clock):
    events = [
        event("ADDED", "b", 11),
        event("MODIFIED", "a", 12, "v2"),
        event("DELETED", "b", 13),
    ]

    watched = await play(
        server, api, clock, [listed(10, deployment("a", 3)), stream(*events)], requests=3
    )

    assert watched.labels == {"a": "v2"}
    assert watched.changes[1:] == [
        Change(("echo", "b"), None, "v1"),
        Change(("echo", "a"), "v1", "v2"),
        Change(("echo", "b"), "v1", None),
    ]


async def test_what_trimming_leaves_equal_is_not_told(server, api, clock):
    watched = await play(
        server,
        api,
        clock,
        [listed(10, deployment("a", 3)), stream(event("MODIFIED", "a", 11))],
        requests=3,
    )

    assert len(watched.changes) == 1


async def test_a_list_of_many_pages_is_read_to_its_end(server, api, clock):
    pages = [listed(10, deployment("a", 3), token="t1"), listed(10, deployment("b", 4))]

    watched = await play(server, api, clock, pages, requests=3)

    assert [asked.query.get("continue") for asked in server.asked] == [None, "t1", None]
    assert server.asked[0].query["limit"] == "500"
    assert watched.labels == {"a": "v1", "b": "v1"}


async def test_a_list_without_end_is_given_up(server, api, clock, monkeypatch):
    monkeypatch.setattr("daemon.kube.listwatch.MAX_PAGES", 3)
    pages = [listed(10, deployment("a", 3), token="t")] * 3

    watched = await play(server, api, clock, pages, requests=4)

    assert watched.labels == {}
    assert kinds(server) == ["list"] * 4
    assert "more than 3 pages" in str(watched.listwatch.problem)


async def test_the_age_counts_from_the_last_event_or_bookmark(server, api, clock):
    async def later(writer):
        clock.seconds += 100
        return await stream(bookmark(11), end="hang")(writer)

    server.replies += [listed(10), later]
    async with running(Watched(api, clock)) as watched:
        await until(lambda: watched.listwatch._resume == "11")
        clock.seconds += 7

        assert watched.listwatch.age() == 7


async def until(condition):
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - what is waited for is plain data of the product
            await asyncio.sleep(0)


async def test_cancelling_closes_the_stream(server, api, clock):
    server.replies += [listed(10), stream(bookmark(11), end="hang")]
    async with running(Watched(api, clock)) as watched:
        await until(lambda: watched.listwatch._resume == "11")

    assert kinds(server) == ["list", "watch from 10"]


# ---------------------------------------------------------------- every fault of a watch

ALIVE = 12.0
"""Seconds a healthy stream of these tests lives."""

FAULTS = [
    # (what the server does, the watch's reply, what comes next, whether after a pause)
    ("closes cleanly after a while", (stream, [event("ADDED", "b", 11)], {}), "watch from 11", False),
    ("sends bookmarks, then closes", (stream, [bookmark(40)], {}), "watch from 40", False),
    ("says 410 in an event", (stream, [event("ADDED", "b", 11), GONE], {"end": "hang"}), "list", False),
    ("says 410 as its status", (answer, [410], {}), "list", False),
    ("says 503 with a text body", (answer, [503, b"upstream connect error"], {}), "watch from 10", True),
    ("says 503 with an empty body", (answer, [503, b""], {}), "watch from 10", True),
    ("says 200 with an empty body", (answer, [200, b""], {}), "watch from 10", True),
    ("closes cleanly at once", (stream, [event("ADDED", "b", 11)], {}), "watch from 11", True),
    ("says nothing and closes", (lambda: hang_up, [], {}), "watch from 10", True),
    ("resets in the middle", (stream, [event("ADDED", "b", 11)], {"end": "reset"}), "watch from 1", True),
    ("cuts the body without an end", (stream, [event("ADDED", "b", 11)], {"end": "cut"}), "watch from 11", True),
    ("cuts a line by a clean close", (stream, [b'{"type":"ADDED","obj'], {}), "list", True),
    ("says 500 in an event", (stream, [failed(500)], {"end": "hang"}), "list", True),
    ("says 403", (answer, [403], {}), "watch from 10", True),
    ("sends a line that is a string", (stream, [b'"upstream"\n'], {"end": "hang"}), "list", True),
    ("sends a line that is a list", (stream, [b"[1]\n"], {"end": "hang"}), "list", True),
    ("sends a line that is no JSON", (stream, [b"<html>\n"], {"end": "hang"}), "list", True),
    ("sends a line nested without end", (stream, [b"[" * 90_000 + b"\n"], {"end": "hang"}), "list", True),
    ("sends an event without object", (stream, [{"type": "ADDED"}], {"end": "hang"}), "list", True),
    ("sends an event without type", (stream, [{"object": {}}], {"end": "hang"}), "list", True),
    ("sends an unknown type", (stream, [event("MOVED", "b", 11)], {"end": "hang"}), "list", True),
    ("sends a type that is a list", (stream, [{"type": [], "object": {}}], {"end": "hang"}), "list", True),
    ("sends an object without metadata", (stream, [{"type": "ADDED", "object": {}}], {"end": "hang"}), "list", True),
    ("sends a bookmark without version", (stream, [{"type": "BOOKMARK", "object": {"metadata": {}}}], {"end": "hang"}), "list", True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("made", "then"),
    [pytest.param(made, (then, pause), id=text) for text, made, then, pause in FAULTS],
)
async def test_when_the_server(server, api, clock, made, then):
    (make, args, options), (next_request, pauses) = made, then
    if not pauses and make is stream:
        options = {**options, "before_end": lambda: live(clock)}

    watched = await play(
        server,
        api,
        clock,
        [listed(10, deployment("a", 3)), make(*args, **options)],
        requests=3,
        timings=WatchTimings(relist_after=1e6),
    )

    assert kinds(server)[2].startswith(next_request)
    assert [pause for pause in clock.pauses if pause] == ([0.2] if pauses else [])
    assert watched.labels["a"] == "v1"


def live(clock):
    clock.seconds += ALIVE


async def test_a_silent_stream_is_left_and_resumed_where_it_was(server, clock, tmp_path):
    replies = [listed(10), stream(bookmark(40), end="hang")]
    timings = WatchTimings(shortest=0, longest=0)

    async with connected(tmp_path, server.url, clock, SHORT) as api:
        await play(server, api, clock, replies, requests=3, timings=timings)

    assert kinds(server) == ["list", "watch from 10", "watch from 40"]


async def test_a_watch_that_never_opens_is_left(server, clock, tmp_path):
    async with connected(tmp_path, server.url, clock, SHORT) as api:
        watched = await play(server, api, clock, [listed(10)], requests=3)

    assert kinds(server) == ["list", "watch from 10", "watch from 10"]
    assert "within 0.05 s" in str(watched.listwatch.problem)


async def test_a_line_beyond_the_bound_is_resumed_three_times_and_then_listed(
    server, api, clock, monkeypatch
):
    monkeypatch.setattr(answers, "MAX_LINE", 1000)
    endless = stream(b"x" * 2000, end="hang")

    await play(server, api, clock, [listed(10), *[endless] * 4], requests=6)

    assert kinds(server) == ["list", *["watch from 10"] * 4, "list"]


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(answer(200, b""), id="200 with an empty body"),
        pytest.param(answer(503, b""), id="503 with an empty body"),
        pytest.param(answer(503, b"text"), id="503 with a text body"),
        pytest.param(stream(), id="an end at once"),
        pytest.param(answer(410), id="410 for ever"),
        pytest.param(stream(b"{}\n"), id="nonsense"),
    ],
)
async def test_no_answer_however_empty_makes_it_run_hot(server, api, clock, reply):
    server.replies += [listed(10)]
    server.every = lambda asked: reply if asked.kind == "watch" else listed(10)

    async with running(Watched(api, clock)):
        await server.until_asked(40)

    assert len([pause for pause in clock.pauses if pause]) >= 15
    assert max(clock.pauses) == 30.0


async def test_the_pause_doubles_up_to_its_bound_and_no_further(server, api, clock):
    await play(server, api, clock, [answer(503)] * 12, requests=13)

    assert clock.pauses[:10] == pytest.approx(
        [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    )


async def test_a_pause_is_drawn_from_all_of_its_range(server, api, clock):
    await play(server, api, clock, [answer(503)] * 20, requests=21, rng=random.Random(7))

    assert min(clock.pauses[8:]) < 10
    assert 20 < max(clock.pauses[8:]) <= 30


async def test_ten_seconds_of_health_end_the_doubling(server, api, clock):
    healthy = stream(bookmark(11), before_end=lambda: live(clock), end="reset")

    await play(
        server, api, clock, [answer(503)] * 3 + [listed(10), healthy, answer(503)], requests=7
    )

    assert clock.pauses == pytest.approx([0.2, 0.4, 0.8, 0.2, 0.4])


async def test_less_than_ten_seconds_do_not(server, api, clock):
    short = stream(bookmark(11), before_end=lambda: setattr(clock, "seconds", clock.seconds + 9))

    await play(server, api, clock, [listed(10), short, short], requests=4)

    assert clock.pauses == pytest.approx([0.2, 0.4])


@pytest.mark.parametrize(
    ("reply", "pause"),
    [
        pytest.param(answer(429, Retry_After="8"), 10.0, id="the header, up to a quarter more"),
        pytest.param(answer(503, Retry_After="8"), 10.0, id="also with 503"),
        pytest.param(answer(429, Retry_After="600"), 60.0, id="a minute at most"),
        pytest.param(answer(429, Retry_After="0"), 0.2, id="never less than the pause"),
        pytest.param(stream(failed(429, retryAfterSeconds=8), end="hang"), 10.0, id="in an event"),
    ],
)
async def test_the_server_is_given_the_time_it_asks_for(server, api, clock, reply, pause):
    await play(server, api, clock, [listed(10), reply], requests=3)

    assert clock.pauses == pytest.approx([pause])


async def test_a_second_410_in_a_row_is_paused_for(server, api, clock):
    await play(server, api, clock, [listed(10), answer(410), listed(20), answer(410)], requests=5)

    assert kinds(server) == ["list", "watch from 10", "list", "watch from 20", "list"]
    assert clock.pauses == pytest.approx([0.0, 0.4])


async def test_a_page_that_is_too_old_starts_the_list_again(server, api, clock):
    replies = [
        listed(10, deployment("a", 3), token="t"),
        answer(410),
        listed(20, deployment("b", 4)),
    ]

    watched = await play(server, api, clock, replies, requests=4)

    assert watched.labels == {"b": "v1"}
    assert watched.changes == [Change(("echo", "b"), None, "v1")]


async def test_a_missing_right_is_named_until_it_is_there(server, api, clock):
    replies = [answer(403), listed(10)]
    server.replies += replies

    async with running(Watched(api, clock)) as watched:
        await server.until_asked(1)
        await until(lambda: clock.pauses)
        assert isinstance(watched.listwatch.problem, ForbiddenError)
        await server.until_asked(3)

        assert watched.listwatch.problem is None
        assert watched.listwatch.synced.is_set()


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(answer(body={"items": []}), id="no metadata"),
        pytest.param(answer(body={"metadata": {}, "items": []}), id="no version"),
        pytest.param(listed(10, 7), id="an item that is no object"),
        pytest.param(listed(10, {"metadata": {"resourceVersion": "1"}}), id="an item without name"),
        pytest.param(
            answer(body={"metadata": {"resourceVersion": "1"}, "items": {}}), id="no list"
        ),
    ],
)
async def test_what_is_no_list_changes_nothing(server, api, clock, reply):
    watched = await play(server, api, clock, [reply], requests=2)

    assert watched.changes == []
    assert kinds(server) == ["list", "list"]


# ---------------------------------------------------------------- events lost, late, doubled


async def test_a_new_list_tells_what_went_away_meanwhile(server, api, clock):
    first = listed(10, deployment("a", 3), deployment("b", 4), deployment("c", 5))
    second = listed(20, deployment("b", 15, "v2"), deployment("c", 5))

    watched = await play(server, api, clock, [first, stream(GONE), second], requests=4)

    assert watched.labels == {"b": "v2", "c": "v1"}
    assert watched.changes[3:] == [
        Change(("echo", "a"), "v1", None),
        Change(("echo", "b"), "v1", "v2"),
    ]


async def test_the_cache_is_whole_when_changes_are_told(server, api, clock):
    seen = []
    server.replies += [listed(10, deployment("a", 3), deployment("b", 4))]
    listwatch = ListWatch(
        api,
        DEPLOYMENTS,
        "echo",
        trim=lambda obj: obj["label"],
        changed=lambda _: seen.append(len(listwatch.cache)),
        clock=clock,
        rng=UpperBound(),
    )
    watched = Watched(api, clock)
    watched.listwatch = listwatch

    async with running(watched):
        await server.until_asked(2)

    assert seen == [2, 2]


async def test_after_ten_minutes_it_lists_again_whatever_the_stream_says(server, api, clock):
    def pass_four_minutes():
        clock.seconds += 240

    stay = [stream(bookmark(v), before_end=pass_four_minutes) for v in (11, 12, 13)]

    await play(server, api, clock, [listed(10), *stay], requests=5)

    assert kinds(server) == ["list", "watch from 10", "watch from 11", "watch from 12", "list"]
    assert [asked.query.get("timeoutSeconds") for asked in server.asked[1:4]] == [
        "300",
        "300",
        "120",
    ]


async def test_an_event_told_twice_is_told_on_once(server, api, clock):
    twice = [event("MODIFIED", "a", 11, "v2")] * 2

    watched = await play(
        server, api, clock, [listed(10, deployment("a", 3)), stream(*twice)], requests=3
    )

    assert len(watched.changes) == 2


async def test_events_of_several_objects_in_any_order_give_the_same_end(server, api, clock):
    events = [event("ADDED", "b", 12), event("MODIFIED", "a", 11, "v2")]

    watched = await play(
        server, api, clock, [listed(10, deployment("a", 3)), stream(*events)], requests=3
    )

    assert watched.labels == {"a": "v2", "b": "v1"}
    assert kinds(server)[2] == "watch from 12"


@pytest.mark.parametrize(
    ("events", "labels"),
    [
        pytest.param(
            [event("MODIFIED", "a", 12, "v3"), event("MODIFIED", "a", 11, "v2")],
            {"a": "v3"},
            id="modified since",
        ),
        pytest.param([event("MODIFIED", "a", 9, "v2")], {"a": "v1"}, id="older than the list"),
        pytest.param([event("ADDED", "b", 9)], {"a": "v1"}, id="gone before the list"),
        pytest.param(
            [event("ADDED", "b", 11), event("DELETED", "b", 12), event("MODIFIED", "b", 11)],
            {"a": "v1"},
            id="deleted since",
        ),
    ],
)
async def test_an_event_older_than_what_is_known_changes_nothing(
    server, api, clock, events, labels
):
    watched = await play(
        server,
        api,
        clock,
        [listed(10, deployment("a", 10)), stream(*events)],
        requests=3,
    )

    assert watched.labels == labels


async def test_a_list_from_a_lagging_server_is_not_believed(server, api, clock):
    replies = [listed(50, deployment("a", 3)), stream(bookmark(60), GONE), listed(55), listed(60)]

    watched = await play(server, api, clock, replies, requests=5)

    assert kinds(server) == ["list", "watch from 50", "list", "list", "watch from 60"]
    assert watched.changes == [
        Change(("echo", "a"), None, "v1"),
        Change(("echo", "a"), "v1", None),
    ]


async def test_a_store_restored_from_a_backup_is_believed_after_a_while(server, api, clock):
    replies = [listed(50), stream(GONE), *[listed(20)] * 9]

    await play(server, api, clock, replies, requests=12)

    assert kinds(server)[-1] == "watch from 20"
    assert sum(clock.pauses) > 20


async def test_a_version_that_is_no_number_is_passed_on_as_it_is(server, api, clock):
    await play(server, api, clock, [listed("x1"), stream(bookmark("x2"))], requests=3)

    assert kinds(server) == ["list", "watch from x1", "watch from x2"]
