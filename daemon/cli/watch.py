"""`status --watch`: look again until everything that was asked for has ended.

A terminal is redrawn; a pipe gets one line per change. Looking is polling: a record changes a few
times a minute, and a read every two seconds costs the API server less than a watch of all routes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import click

from daemon.cli.exits import Exit, Failure
from daemon.cli.screens import table
from daemon.cli.session import Session
from daemon.cli.status import Standing, Status
from daemon.core.model import Phase, TargetKey
from daemon.errors import TransientError
from daemon.ports import Clock

LOOK_SECONDS: Final = 2.0
SILENCE_SECONDS: Final = 60.0
"""An API server that restarts is back within this; after it, the watch is blind and says so."""
UNSEEN_SECONDS: Final = 60.0
"""A daemon that runs takes a new version up within seconds, and one that restarts within this."""

Look = Callable[[], Awaitable[Sequence[Status]]]
Show = Callable[[Sequence[Status], datetime], None]
Unseen = Callable[[], Awaitable[Sequence[str]]]
"""Names new versions that the daemon has not taken up."""


async def watch(
    session: Session, look: Look, unseen: Unseen, show: Show, patience: timedelta | None
) -> Exit:
    """Look and show until all have ended, new versions included; the exit code tells how.

    Raises:
        Failure: timed out, or a new version is not taken up.
        TransientError: the API server was away for SILENCE_SECONDS.
    """
    clock = session.clock
    begun = heard = clock.monotonic()
    waiting = Waiting(clock)
    while patience is None or clock.monotonic() - begun < patience.total_seconds():
        try:
            statuses = await look()
            code = outcome(statuses)
            if waiting.goes_on(await unseen() if code is not None else ()):
                code = None
        except TransientError as problem:
            if clock.monotonic() - heard > SILENCE_SECONDS:
                raise
            click.echo(f"still trying: {problem}", err=True)
        else:
            heard = clock.monotonic()
            show(statuses, session.now())
            if code is not None:
                return code
        await clock.sleep(LOOK_SECONDS)
    raise Failure("timed out while waiting for the end", Exit.TIMED_OUT)


class Waiting:
    """Waits for the daemon to take up what is new; says so once, and not for ever."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None

    def goes_on(self, new: Sequence[str]) -> bool:
        """Tell whether to wait on.

        Raises:
            Failure: the daemon has not taken it up for UNSEEN_SECONDS.
        """
        if not new:
            self._since = None
            return False
        names = ", ".join(new)
        if self._since is None:
            self._since = self._clock.monotonic()
            click.echo(f"{names}: new; waiting for the daemon to begin", err=True)
        if self._clock.monotonic() - self._since > UNSEEN_SECONDS:
            raise Failure(
                f"{names}: no rollout has begun for {UNSEEN_SECONDS:.0f} s: does the daemon run?"
                " What keeps it from beginning is an Event on the route",
                Exit.WAITING,
            )
        return True


def outcome(statuses: Sequence[Status]) -> Exit | None:
    """Return the exit code once all have ended, else None. The worst of them decides."""
    if not all(status.ended for status in statuses):
        return None
    if any(status.state is Phase.ROLLED_BACK for status in statuses):
        return Exit.FAILED
    if any(isinstance(status.state, Standing) for status in statuses):
        return Exit.WAITING
    return Exit.DONE


class Lines:
    """One line per change."""

    def __init__(self, line: Callable[[Status, datetime], str]) -> None:
        self._line = line
        self._shown: dict[TargetKey, object] = {}

    def __call__(self, statuses: Sequence[Status], now: datetime) -> None:
        for status in statuses:
            news = _news(status)
            if self._shown.get(status.key) != news:
                self._shown[status.key] = news
                click.echo(self._line(status, now))


def _news(status: Status) -> object:
    """What makes a new line: not the time that passed, and not who wrote the record."""
    record, said = status.record, status.news
    if record is None:
        return status.state
    return (
        status.state,
        status.edited,
        said and (said.verdict, said.ground),
        status.overdue,
        record.id,
        record.phase,
        record.decision,
        record.reason,
        record.message,
        record.paused,
        record.held,
    )


@asynccontextmanager
async def redrawing(*, color: bool) -> AsyncIterator[Show]:
    """Own the terminal for a while: each `show` replaces what stood there."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(no_color=not color)
    with Live(console=console, auto_refresh=False) as live:

        def show(statuses: Sequence[Status], now: datetime) -> None:
            drawn = table(statuses, now, color=color, limit=console.width)
            live.update(Text.from_ansi(drawn), refresh=True)

        yield show
