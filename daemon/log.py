"""Logs: structlog events and the libraries' stdlib records, through one handler on stdout.

JSON lines where stdout is no terminal, a console view where it is one. Every line passes `redact`,
so a secret that reaches a log call by mistake does not reach the log. Writing a line never raises:
a reader that went away ends the log, not the daemon. What is worth logging is decided elsewhere.
"""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

KEY_ORDER: Final = (
    "time",
    "level",
    "event",
    "target",
    "rollout",
    "revision",
    "phase",
    "step",
    "weight",
    "reason",
    "verdict",
    "message",
)
"""The standard keys come first and in this order, so that lines can be compared by eye."""

QUIET_LOGGERS: Final = (
    "aiohttp",
    "apscheduler",  # two lines a wake-up at INFO
    "asyncio",
    "kubernetes",  # answers with their bodies at DEBUG
    "prometheus_api_client",
    "urllib3",
)
"""Libraries that are heard from WARNING on, whatever our own level is."""

REDACTED: Final = "[redacted]"
MAX_DEPTH: Final = 6
"""Nested facts deeper than this are cut: a log line is no data structure."""
MAX_TEXT: Final = 4096
"""Characters of one value; the full text of anything longer belongs elsewhere."""

_SECRET_KEY = re.compile(
    r"token|passw|secret|authori[sz]ation|api[-_]?key|private[-_]?key|credential|cookie|bearer",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}"  # an Authorization header's value
    r"|(?P<user>\b[a-z][a-z0-9+.-]*://)[^\s/@]+@"  # user and password in a URL
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",  # a JSON Web Token
    re.IGNORECASE,
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def configure_logging(
    level: Literal["debug", "info", "warning", "error"] = "info",
    style: Literal["auto", "console", "json"] = "auto",
    stream: TextIO | None = None,
) -> None:
    """Send all logs of this process to `stream` (stdout), from `level` on. Call once."""
    stream = sys.stdout if stream is None else stream
    console = style == "console" or (style == "auto" and stream.isatty())
    handler = _UnbreakableHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_facts()],
            processors=_rendering(console=console, stream=stream),
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_facts(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _facts() -> list[Processor]:
    """Give every line what it needs, ours and the libraries'."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]


def _rendering(*, console: bool, stream: TextIO) -> list[Processor]:
    shared: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        # Tracebacks become text before redaction sees them; never with local variables.
        structlog.processors.format_exc_info,
        redact,
    ]
    if console:
        colors = stream.isatty() and not os.environ.get("NO_COLOR")
        return [*shared, printable, structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False)]
    return [*shared, in_order, structlog.processors.JSONRenderer(default=str)]


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of secret-like keys, and secrets inside texts, at any depth."""
    return {key: _clean(key, value, MAX_DEPTH) for key, value in event.items()}


def _clean(key: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_KEY.search(key):
        return REDACTED
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        if depth == 0:
            return "..."
        if isinstance(value, Mapping):
            return {str(k): _clean(str(k), v, depth - 1) for k, v in value.items()}
        return [_clean("", item, depth - 1) for item in value]
    text = str(value)
    text = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."
    return _SECRET_TEXT.sub(_mask, text)


def _mask(match: re.Match[str]) -> str:
    if match["user"]:
        return f"{match['user']}{REDACTED}@"
    return f"{match['scheme'] or ''}{REDACTED}"


def in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put the standard keys first, the others in the order in which they were given."""
    first = {key: event[key] for key in KEY_ORDER if key in event}
    return {**first, **event}


def printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep escape sequences of foreign texts away from the terminal. JSON escapes them."""
    return {
        key: _UNPRINTABLE.sub("?", value) if isinstance(value, str) else value
        for key, value in event.items()
    }


class _UnbreakableHandler(logging.StreamHandler[TextIO]):
    """A stream handler that loses a line, or its stream, instead of raising."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        problem = sys.exc_info()[1]
        if isinstance(problem, BrokenPipeError) or self.stream.closed:
            self._discard_from_now_on()
        elif not isinstance(problem, OSError):  # a full disk or pipe costs this line only
            super().handleError(record)

    def _discard_from_now_on(self) -> None:
        """Point the broken stream at nothing: the interpreter's last flush is harmless too."""
        logging.getLogger().handlers[:] = [logging.NullHandler()]
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)
