"""People are told once: a change is news, the same again is not."""

from typing import Any

import pytest

from daemon.core.model import Notice
from daemon.core.reasons import Reason
from daemon.kube.events import Regarding
from daemon.kube.objects import DEPLOYMENTS, VIRTUALSERVICES
from daemon.memory import Memory
from daemon.notices import (
    ABOUT_THE_ROUTE,
    MOST_AT_ONCE,
    ON_THE_WAY,
    REPEAT_SECONDS,
    Notices,
)
from tests.fakes.clock import VirtualClock
from tests.fakes.shop import KEY

ROUTE = Regarding(VIRTUALSERVICES, "gloo-system", "echo")
CANARY = Regarding(DEPLOYMENTS, "echo", "echo-v2")
NO_DATA = Notice(Reason.NO_DATA, "no data for 10 s", warning=True)


class Told:
    """Stands where Events are written."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, bool]] = []
        self.clock = VirtualClock()
        self.memory = Memory()
        self.notices = Notices(self, self.clock)

    def tell(self, regarding: Regarding, reason: str, note: str, **more: Any) -> None:
        self.events.append((regarding.name, reason, note, more["warning"]))

    def look(self, *notices: Notice) -> int:
        """Tell what a look brought; return how many Events that made."""
        before = len(self.events)
        self.notices.tell(KEY, self.memory, notices, (ROUTE,))
        self.notices.moved_on(self.memory, notices)
        return len(self.events) - before


def test_a_notice_is_an_event_on_every_object_it_is_about() -> None:
    told = Told()

    told.notices.tell(KEY, told.memory, (NO_DATA,), (ROUTE, CANARY))

    assert told.events == [
        ("echo", "NoData", "echo/echo: no data for 10 s", True),
        ("echo-v2", "NoData", "echo/echo: no data for 10 s", True),
    ]


@pytest.mark.parametrize("reason", sorted(ON_THE_WAY))
def test_a_step_on_the_way_is_an_event_on_the_deployment_alone(reason: Reason) -> None:
    told = Told()

    told.notices.tell(KEY, told.memory, (Notice(reason, "5 % -> 25 %"),), (ROUTE, CANARY))

    assert [name for name, *_ in told.events] == ["echo-v2"]


@pytest.mark.parametrize("reason", sorted(set(Reason) - ON_THE_WAY - ABOUT_THE_ROUTE))
def test_all_other_news_stands_on_the_route_too(reason: Reason) -> None:
    told = Told()

    told.notices.tell(KEY, told.memory, (Notice(reason, "news"),), (ROUTE, CANARY))

    assert [name for name, *_ in told.events] == ["echo", "echo-v2"]


def test_a_warning_about_a_step_stands_on_both() -> None:
    told = Told()
    warning = Notice(Reason.RETIRED, "v1 cannot be scaled down", warning=True)

    told.notices.tell(KEY, told.memory, (warning,), (ROUTE, CANARY))

    assert [name for name, *_ in told.events] == ["echo", "echo-v2"]


def test_what_is_the_matter_with_the_route_is_told_there_alone() -> None:
    told = Told()
    warning = Notice(Reason.ROUTE_WARNING, "any pod serves an empty subset", warning=True)

    told.notices.tell(KEY, told.memory, (warning,), (ROUTE, CANARY))

    assert [name for name, *_ in told.events] == ["echo"]


def test_a_step_stands_on_the_route_where_its_deployment_is_gone() -> None:
    told = Told()

    told.notices.tell(KEY, told.memory, (Notice(Reason.RETIRED, "v1 retires"),), (ROUTE,))

    assert [name for name, *_ in told.events] == ["echo"]


def test_the_same_notice_is_told_once() -> None:
    told = Told()

    assert [told.look(NO_DATA) for _ in range(3)] == [1, 0, 0]


def test_what_came_back_is_news_again() -> None:
    told = Told()

    assert [told.look(NO_DATA), told.look(), told.look(NO_DATA)] == [1, 0, 1]


def test_other_numbers_are_news_only_after_a_while() -> None:
    told = Told()
    later = Notice(Reason.NO_DATA, "no data for 20 s", warning=True)
    told.look(NO_DATA)
    soon = told.look(later)
    told.clock.seconds += REPEAT_SECONDS

    assert (soon, told.look(later)) == (0, 1)


PODS = "no pod of the canary could be counted: "


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param(
            "10.0.0.7:8080 answered 404", "10.0.0.8:8080 answered 404", id="another host fails"
        ),
        pytest.param(
            f"{PODS}echo-v2-7xk1b: no answer within 0.8 s",
            f"{PODS}echo-v2-7xk1b: connection refused",
            id="it fails in another way",
        ),
        pytest.param(
            f"{PODS}echo-v2-7xk1b: no answer within 0.8 s",
            f"{PODS}echo-v2-p9q2c: no answer within 0.8 s",
            id="another pod fails",
        ),
        pytest.param("v2 has no ready pods", "v3 has no ready pods", id="another version"),
        pytest.param(
            "canary failed 3 of 80 requests",
            "stable failed 3 of 80 requests",
            id="of other meaning",
        ),
    ],
)
def test_what_says_something_else_is_news_however_soon(first: str, then: str) -> None:
    told = Told()

    looks = [told.look(Notice(Reason.NO_DATA, text)) for text in (first, then)]

    assert looks == [1, 1]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param("for 10 s", "for 1,020.5 s", id="a duration"),
        pytest.param("failed 6 of 83 (7.2 %)", "failed 12 of 1,604 (0.75 %)", id="counts"),
        pytest.param("evidence 1 : 12, at 5 %", "evidence 1 : 10^6, at 50 %", id="odds"),
        pytest.param("needs 50%, 1m54s left", "needs 5%, 12s left", id="with their units"),
        pytest.param(
            "edited at 2026-11-24T18:11:52Z", "edited at 2026-11-25T01:00:02Z", id="a time"
        ),
    ],
)
def test_numbers_alone_are_no_other_news(first: str, then: str) -> None:
    told = Told()

    looks = [told.look(Notice(Reason.NO_DATA, text)) for text in (first, then)]

    assert looks == [1, 0]


def test_two_warnings_of_one_reason_at_one_look_are_both_told() -> None:
    told = Told()
    warnings = [Notice(Reason.ROUTE_WARNING, text) for text in ("no fallback", "an open route")]

    assert [told.look(*warnings), told.look(*warnings)] == [2, 0]


def test_what_says_this_then_that_is_told_once_each_in_a_while() -> None:
    told = Told()
    each = [Notice(Reason.PROVIDER_DOWN, text) for text in ("refused", "timed out")]

    assert [told.look(it) for it in each * 5] == [1, 1] + [0] * 8


def test_what_holds_again_is_told_once_the_while_is_over() -> None:
    told = Told()
    first, other = (Notice(Reason.PROVIDER_DOWN, text) for text in ("refused", "timed out"))
    soon = [told.look(it) for it in (first, other, first)]
    told.clock.seconds += REPEAT_SECONDS

    assert (soon, [told.look(first), told.look(first)]) == ([1, 1, 0], [1, 0])


def test_what_says_something_else_at_every_look_is_told_so_many_times_in_a_while() -> None:
    told = Told()
    looks = [Notice(Reason.PROVIDER_DOWN, f"pod-{number}x is gone") for number in range(40)]

    events = sum(told.look(it) for it in looks)
    told.clock.seconds += REPEAT_SECONDS

    assert (events, told.look(looks[0])) == (MOST_AT_ONCE, 1)
    assert len(told.memory.told[Reason.PROVIDER_DOWN]) <= MOST_AT_ONCE


def test_every_answer_to_a_person_is_told_however_soon() -> None:
    told = Told()
    answers = [Notice(Reason.REQUEST_IGNORED, text) for text in ("pause ignored", "retry ignored")]

    assert [told.look(it) for it in answers] == [1, 1]


def test_two_reasons_are_two_notices() -> None:
    told = Told()

    assert told.look(NO_DATA, Notice(Reason.STABLE_SHRUNK, "v1 shrank")) == 2


@pytest.mark.parametrize("warning", [True, False])
def test_a_warning_is_told_as_one(warning: bool) -> None:
    told = Told()

    told.look(Notice(Reason.PAUSED, "paused", warning=warning))

    assert told.events[0][3] is warning


def test_what_is_remembered_is_bounded() -> None:
    told = Told()

    for reason in Reason:
        told.notices.tell(KEY, told.memory, (Notice(reason, "m"),), ())

    assert len(told.memory.told) <= 64
