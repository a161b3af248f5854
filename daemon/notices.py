"""Tell people: Kubernetes Events and log lines, once per change and never again for the same.

What says something else is told at once. The same with other numbers is told again only when some
time has passed: at 3 a.m. one clear line is worth more than a line a second.
"""

import re
from typing import Any, Final

import structlog

from daemon.core.model import Notice, TargetKey
from daemon.core.reasons import Reason
from daemon.kube.events import Events, Regarding
from daemon.memory import Memory, Told
from daemon.ports import Clock

REPEAT_SECONDS = 600.0
"""The least time between two notices about one target that differ in their numbers only."""
MOST_AT_ONCE = 5
"""Different messages of one reason that are told, and remembered, within REPEAT_SECONDS. Pods that
fail one after the other are news each; what changes its words at every look is not."""
NUMBER: Final = re.compile(
    r"(?<![\w.:/-])"
    r"(\d{4}-\d\d-\d\dT[\d:.]+Z|10\^\d+|\d+(,\d{3})*(\.\d+)?(ms|[smhd](\d+[smhd])*)?)"
    r"(?![\w:/-]|\.\d)"
)
"""A count, share, duration or time. Digits within a name (`v2`, a pod's, an address) are none: with
other ones something else is meant."""
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
        if len(memory.told) >= MAX_REASONS:
            memory.told.clear()
        told = memory.told.setdefault(notice.reason, {})
        shape = NUMBER.sub("#", notice.message)
        if notice.reason in EACH_IS_NEWS:
            if told.get(shape, ("", now))[0] == notice.message:
                return False
            told.clear()
        elif not _may_be_told(told, shape, notice.message, now):
            return False
        told[shape] = (notice.message, now)
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


def _may_be_told(told: Told, shape: str, message: str, now: float) -> bool:
    """Tell whether this is news beside what was told of the same reason; makes room for it."""
    last = next(reversed(told), None)
    if last == shape and told[shape][0] == message:
        return False
    if shape not in told and len(told) < MOST_AT_ONCE:
        return True
    replaced = shape if shape in told else next(iter(told))
    if now - told[replaced][1] < REPEAT_SECONDS:
        return False
    del told[replaced]
    return True


def _places(notice: Notice, about: tuple[Regarding, ...]) -> tuple[Regarding, ...]:
    """Choose where a notice stands; `about` is the route, then the Deployment if there is one."""
    if notice.reason in ABOUT_THE_ROUTE:
        return about[:1]
    return about[-1:] if notice.reason in ON_THE_WAY and not notice.warning else about
