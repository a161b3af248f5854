"""Tell people: Kubernetes Events and log lines, once per change and never again for the same.

A notice repeats only when its message changed and some time has passed: at 3 a.m. one clear line is
worth more than a line a second.
"""

from typing import Any

import structlog

from daemon.core.model import Notice, TargetKey
from daemon.core.reasons import Reason
from daemon.kube.events import Events, Regarding
from daemon.memory import Memory
from daemon.ports import Clock

REPEAT_SECONDS = 600.0
"""The least time between two notices of one reason about one target with different numbers."""
EACH_IS_NEWS = frozenset({Reason.REQUEST_IGNORED})
"""Answers to a person: each is told, however soon after the last."""
ON_THE_WAY = frozenset(
    {
        Reason.CANARY_READY,
        Reason.SMOKE_PASSED,
        Reason.SMOKE_SKIPPED,
        Reason.ANALYSIS_PASSED,
        Reason.RAISED_BY_BUDGET,
        Reason.UNDECIDED_BY_TIMETABLE,
        Reason.BAKED,
        Reason.RETIRED,
    }
)
"""The steps of a release: its Deployment tells them all, and the route, which many may share, only
what began, what ended, and what needs a person."""
ABOUT_THE_ROUTE = frozenset({Reason.ROUTE_WARNING})
"""No Deployment can do anything about it."""
MAX_REASONS = 64
"""More reasons than there are; a bound on what is remembered."""


class Notices:
    """Turns a decision's notices into Events and warnings."""

    def __init__(self, events: Events, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self._log = structlog.get_logger("crossfade")

    def tell(
        self,
        key: TargetKey,
        memory: Memory,
        notices: tuple[Notice, ...],
        about: tuple[Regarding, ...],
    ) -> None:
        """Tell each notice that is news; `about` is the route, then the Deployment if there is one.

        Each notice stands on both, but for those that are plainly about one of them.
        """
        for notice in notices:
            if self._is_news(memory, notice):
                self._tell(key, notice, about)

    def moved_on(self, memory: Memory, notices: tuple[Notice, ...]) -> None:
        """Forget what no longer holds, so that it is news when it comes back."""
        present = {it.reason for it in notices}
        for reason in [it for it in memory.told if it not in present]:
            del memory.told[reason]

    def _is_news(self, memory: Memory, notice: Notice) -> bool:
        now = self._clock.monotonic()
        before = memory.told.get(notice.reason)
        if before is not None:
            message, at = before
            same = message == notice.message
            if same or (now - at < REPEAT_SECONDS and notice.reason not in EACH_IS_NEWS):
                return False
        if len(memory.told) >= MAX_REASONS:
            memory.told.clear()
        memory.told[notice.reason] = (notice.message, now)
        return True

    def _tell(self, key: TargetKey, notice: Notice, about: tuple[Regarding, ...]) -> None:
        facts: dict[str, Any] = {"target": str(key), "reason": str(notice.reason)}
        log = self._log.warning if notice.warning else self._log.info
        log("rollout.told", message=notice.message, **facts)
        for obj in _places(notice, about):
            self._events.tell(
                obj,
                str(notice.reason),
                f"{key}: {notice.message}",
                action="Decide",
                warning=notice.warning,
            )


def _places(notice: Notice, about: tuple[Regarding, ...]) -> tuple[Regarding, ...]:
    """Choose where a notice stands; `about` is the route, then the Deployment if there is one."""
    if notice.reason in ABOUT_THE_ROUTE:
        return about[:1]
    return about[-1:] if notice.reason in ON_THE_WAY and not notice.warning else about
