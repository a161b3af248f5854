"""How faults of a sandbox are told: a line for each, in one wording."""

from datetime import timedelta
from typing import Final

import durationpy

from daemon.sandbox.api.faults import Effect, Fault


class FaultError(ValueError):
    """A fault cannot be caused as asked for; the message says what can."""


_SAID: Final = {
    Effect.ANSWER: "are refused with {code}",
    Effect.WATCH_ERROR: "end with an ERROR {code}",
    Effect.HANG: "are never answered",
    Effect.SLOW: "are answered {span} late",
    Effect.LOSE: "are carried out and not answered",
    Effect.SILENCE: "say nothing",
    Effect.RAW: "are answered {code} without a Status",
    Effect.HALF_LINE: "break off in the middle of an event",
}

_ON_WATCHES: Final = {Effect.SILENCE, Effect.WATCH_ERROR, Effect.HALF_LINE}


def describe(fault: Fault) -> str:
    """Say in a line what a fault of the API server does to whom, and how often still."""
    deed = _SAID[fault.effect].format(code=fault.code, span=span(fault.seconds))
    chosen = [f"{name} {value}" for name, value in fault.match.items()]
    left = "until cleared" if fault.left is None else f"{count(fault.left, 'time', 'times')} more"
    what = "watches" if fault.effect in _ON_WATCHES else "requests"
    which = f"{what} with {', '.join(chosen)}" if chosen else f"all {what}"
    return f"{which} {deed}, {left} (hit {count(fault.hits, 'time', 'times')} so far)"


def span(seconds: float) -> str:
    """Write a duration: 50ms, 1m30s."""
    text: str = durationpy.to_str(timedelta(seconds=seconds))
    return "0s" if text == "0" else text


def count(number: int, one: str, many: str) -> str:
    """Write a number with its noun."""
    return f"{number} {one if number == 1 else many}"
