"""How a pod of the sandbox misbehaves: annotations on the pod, or on the template it came from.

    sandbox.crossfade.dev/error-rate: "0.2"     share of requests answered 500, from 0 to 1
    sandbox.crossfade.dev/error-paths: "/work"  only these fail (comma-separated, exact), else all
    sandbox.crossfade.dev/latency: "50ms"       added to every answer
    sandbox.crossfade.dev/start-delay: "5s"     time from start to ready
    sandbox.crossfade.dev/crash: "30s"          the container exits after that long, every time
    sandbox.crossfade.dev/never-ready: "true"   it runs, and never becomes ready
    sandbox.crossfade.dev/flap: "2s"            ready for that long, then not, and so on
    sandbox.crossfade.dev/metrics: "stale"      what /metrics shows, see MetricsFault

Pure. A value that cannot be read keeps the container from starting, with a message that says why.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

import durationpy

PREFIX: Final = "sandbox.crossfade.dev/"
PORTS_ANNOTATION: Final = f"{PREFIX}ports"
"""JSON {container port: real port}, written by the node where pods share one address; no knob."""
LONGEST: Final = timedelta(hours=1)
"""No scene of a sandbox is longer; more is a typing mistake."""
LEAST_FLAP: Final = "100ms"
"""Each turn is a status that others must see before the next one."""


class MetricsFault(StrEnum):
    """What is wrong with a pod's metrics page."""

    NONE = "none"
    VANISH = "vanish"
    """404"""
    STALE = "stale"
    """the page of the moment the fault began, for ever"""
    GARBAGE = "garbage"
    """200, and not the text format"""
    LIE = "lie"
    """every failure counted as a success"""
    HANG = "hang"
    """never answered"""
    NAN = "nan"
    """the text format, every value of it not a number"""


class KnobError(ValueError):
    """A knob's value cannot be read; the message names annotation, value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """A pod's behaviour; the defaults are those of a good pod. Durations in seconds."""

    error_rate: float = 0.0
    error_paths: tuple[str, ...] = ()
    latency: float = 0.0
    start_delay: float = 0.0
    crash: float | None = None
    never_ready: bool = False
    flap: float | None = None
    metrics: MetricsFault = MetricsFault.NONE

    def may_fail(self, path: str) -> bool:
        """Tell whether the error rate applies to this path."""
        return self.error_rate > 0 and (not self.error_paths or path in self.error_paths)


def read_knobs(annotations: Mapping[str, str]) -> Knobs:
    """Read a pod's annotations.

    Raises:
        KnobError: a value is not what the knob takes, or the knob does not exist.
    """
    given = {
        name.removeprefix(PREFIX): value
        for name, value in annotations.items()
        if name.startswith(PREFIX) and name != PORTS_ANNOTATION
    }
    for name in given.keys() - KNOBS:
        raise KnobError(f"{PREFIX}{name} is no knob; there are {', '.join(sorted(KNOBS))}")
    return Knobs(
        error_rate=_share(given.get("error-rate", "0")),
        error_paths=tuple(
            path.strip() for path in given.get("error-paths", "").split(",") if path.strip()
        ),
        latency=_seconds("latency", given.get("latency", "0s")),
        start_delay=_seconds("start-delay", given.get("start-delay", "0s")),
        crash=_seconds("crash", given["crash"]) if "crash" in given else None,
        never_ready=_truth("never-ready", given.get("never-ready", "false")),
        flap=_seconds("flap", given["flap"], least=LEAST_FLAP) if "flap" in given else None,
        metrics=_fault(given.get("metrics", "none")),
    )


KNOBS: Final = frozenset(
    {
        "error-rate",
        "error-paths",
        "latency",
        "start-delay",
        "crash",
        "never-ready",
        "flap",
        "metrics",
    }
)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise KnobError(f"{PREFIX}error-rate: {text!r} is not a number from 0 to 1")
    return share


def _seconds(knob: str, text: str, *, least: str = "0s") -> float:
    try:
        span = durationpy.from_str(text)
    except durationpy.DurationError:
        span = timedelta(-1)
    if not durationpy.from_str(least) <= span <= LONGEST:
        raise KnobError(
            f"{PREFIX}{knob}: {text!r} is not a duration from {least} to 1h, such as 500ms or 5s"
        )
    return float(span.total_seconds())


def _truth(knob: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise KnobError(f"{PREFIX}{knob}: {text!r} is neither true nor false")
    return text == "true"


def _fault(text: str) -> MetricsFault:
    try:
        return MetricsFault(text)
    except ValueError:
        choices = ", ".join(MetricsFault)
        raise KnobError(f"{PREFIX}metrics: {text!r} is none of {choices}") from None
