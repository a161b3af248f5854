"""Events are told beside all else: never waiting, never failing, never without bound."""

import asyncio
import random
import re
from contextlib import asynccontextmanager, suppress

import pytest

from daemon.errors import ConflictError, ForbiddenError, TransientError
from daemon.kube import events as told
from daemon.kube.events import Events, Regarding, cut_note
from daemon.kube.objects import DEPLOYMENTS, EVENTS, VIRTUALSERVICES
from daemon.kube.servertime import ServerClock
from tests.contract.kube.scripted import DATE, DEADLINE, answer

ROUTE = Regarding(VIRTUALSERVICES, "gw", "echo", "uid-1")


class Shelf:
    """A Cluster that keeps what is created, or raises what it is told to."""

    def __init__(self):
        self.created = []
        self.faults = []
        self.stuck = None

    async def create(self, resource, namespace, body):
        if self.stuck:
            await self.stuck.wait()
        if self.faults:
            raise self.faults.pop(0)
        self.created.append((resource, namespace, body))
        return body


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def events(shelf, clock):
    server_clock = ServerClock(clock)
    server_clock.note(DATE, clock.monotonic())
    return Events(shelf, server_clock, clock, random.Random(1), instance="crossfade-0")


@asynccontextmanager
async def working(events):
    task = asyncio.create_task(events.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def written(events):
    async with working(events):
        await events.flush(DEADLINE)


async def test_an_event_says_what_happened_to_which_object_and_why(shelf, events):
    events.tell(ROUTE, "AnalysisFailed", "5xx 4.1 % > 1 %", action="RolledBack", warning=True)

    await written(events)

    resource, namespace, body = shelf.created[0]
    assert (resource, namespace) == (EVENTS, "gw")
    name = body["metadata"].pop("name")
    assert re.fullmatch(r"echo\.[0-9a-f]{16}", name)
    assert body == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": "gw"},
        "eventTime": "2023-11-14T22:13:20.000000Z",
        "reportingController": "crossfade.dev/crossfade",
        "reportingInstance": "crossfade-0",
        "action": "RolledBack",
        "reason": "AnalysisFailed",
        "regarding": {
            "apiVersion": "gateway.solo.io/v1",
            "kind": "VirtualService",
            "namespace": "gw",
            "name": "echo",
            "uid": "uid-1",
        },
        "note": "5xx 4.1 % > 1 %",
        "type": "Warning",
    }


async def test_what_is_no_warning_is_normal(shelf, events):
    events.tell(Regarding(DEPLOYMENTS, "echo", "echo-v2"), "NewVersion", "v2", action="Prepare")

    await written(events)

    assert shelf.created[0][2]["type"] == "Normal"
    assert "uid" not in shelf.created[0][2]["regarding"]


async def test_no_two_events_have_one_name(shelf, events):
    for _ in range(20):
        events.tell(ROUTE, "Holding", "same", action="Hold")

    await written(events)

    assert len({body["metadata"]["name"] for _, _, body in shelf.created}) == 20


async def test_the_name_of_an_event_is_never_too_long(shelf, events):
    events.tell(Regarding(VIRTUALSERVICES, "gw", "a" * 199 + "." + "b" * 53), "X", "", action="Y")

    await written(events)

    name = shelf.created[0][2]["metadata"]["name"]
    assert len(name) <= 253
    assert ".." not in name


async def test_telling_never_waits_for_a_stuck_api_and_drops_the_oldest(shelf, events):
    shelf.stuck = asyncio.Event()
    async with working(events):
        events.tell(ROUTE, "First", "in flight", action="X")
        await asyncio.sleep(0)
        for number in range(told.MAX_WAITING + 5):
            events.tell(ROUTE, "Later", str(number), action="X")
        assert events.dropped == 5

        shelf.stuck.set()
        await events.flush(DEADLINE)

    notes = [body["note"] for _, _, body in shelf.created]
    assert notes == ["in flight", *map(str, range(5, told.MAX_WAITING + 5))]


async def test_flushing_gives_up_in_time(shelf, events):
    shelf.stuck = asyncio.Event()
    events.tell(ROUTE, "First", "", action="X")

    async with working(events):
        await events.flush(0.01)

    assert shelf.created == []


@pytest.mark.parametrize(
    ("faults", "written_count", "failed", "pauses"),
    [
        pytest.param([TransientError("x")], 1, 0, [1.0], id="one fault: tried again"),
        pytest.param([TransientError("x", retry_after=7.0)], 1, 0, [7.0], id="when asked to"),
        pytest.param([TransientError("x", retry_after=999.0)], 1, 0, [30.0], id="within bounds"),
        pytest.param([TransientError("x")] * 3, 0, 1, [1.0, 2.0], id="three: given up"),
        pytest.param([ForbiddenError("x")], 0, 1, [], id="no right: given up at once"),
        pytest.param(
            [TransientError("x"), ConflictError("is there")], 1, 0, [1.0],
            id="it was written after all",
        ),
    ],
)  # fmt: skip
async def test_a_fault_costs_that_event_at_most(  # noqa: PLR0917 - fixtures and a row's columns
    shelf, events, clock, faults, written_count, failed, pauses
):
    shelf.faults = faults
    events.tell(ROUTE, "First", "", action="X")

    await written(events)

    assert (events.written, events.failed, clock.pauses) == (written_count, failed, pauses)
    assert (events.problem is None) == (failed == 0)


async def test_after_a_lost_event_the_next_is_written(shelf, events):
    shelf.faults = [ForbiddenError("x")]
    events.tell(ROUTE, "First", "", action="X")
    events.tell(ROUTE, "Second", "", action="X")

    await written(events)

    assert [body["reason"] for _, _, body in shelf.created] == ["Second"]


async def test_an_event_goes_to_the_events_api(server, api, clock):
    server.replies += [answer(201)]
    events = Events(api, api.server_clock, clock, random.Random(1), instance="crossfade-0")
    events.tell(ROUTE, "First", "", action="X")

    await written(events)

    assert server.asked[0].path == "/apis/events.k8s.io/v1/namespaces/gw/events"
    assert events.written == 1


@pytest.mark.parametrize(
    ("note", "size", "end"),
    [
        pytest.param("a" * 1024, 1024, "a", id="what fits stays"),
        pytest.param("a" * 1025, 1024, "…", id="what does not is cut"),
        pytest.param("é" * 512, 1024, "é", id="bytes count"),
        pytest.param("é" * 513, 1023, "…", id="no character is cut in two"),
        pytest.param("\ud800" * 10, 10, "?", id="half a character is no reason to fail"),
    ],
)
def test_a_note_fits_into_its_bytes(note, size, end):
    cut = cut_note(note)

    assert len(cut.encode()) == size
    assert cut.endswith(end)
