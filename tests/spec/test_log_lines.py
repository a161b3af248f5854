"""Logs: one JSON object a line, standard keys, no secrets, and never an exception for the daemon."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from daemon.log import REDACTED, configure_logging


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Logging is the process's; give it back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines_of(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_a_json_object_with_time_level_and_event_first() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)

    structlog.get_logger("x").info("rollout.decided", extra=1, weight=25, target="echo/echo")

    assert list(lines_of(stream)[0]) == ["time", "level", "event", "target", "weight", "extra"]


def test_a_terminal_gets_the_console_view_instead_of_json() -> None:
    stream = Terminal()
    configure_logging(stream=stream)

    structlog.get_logger("x").info("rollout.decided", weight=25)

    assert not stream.getvalue().startswith("{")
    assert "rollout.decided" in stream.getvalue()


def test_json_can_be_asked_for_on_a_terminal() -> None:
    stream = Terminal()
    configure_logging(style="json", stream=stream)

    structlog.get_logger("x").info("rollout.decided")

    assert lines_of(stream)[0]["event"] == "rollout.decided"


def test_facts_bound_for_a_reconcile_stand_on_each_line() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)

    with structlog.contextvars.bound_contextvars(target="echo/echo", rollout="r1"):
        structlog.get_logger("x").info("route.shifted")

    assert lines_of(stream)[0]["target"] == "echo/echo"


def test_records_of_libraries_come_out_as_the_same_kind_of_line() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)

    logging.getLogger("some.library").warning("pool %s is full", "p1")

    assert lines_of(stream)[0] | {"time": ""} == {
        "time": "",
        "level": "warning",
        "event": "pool p1 is full",
        "logger": "some.library",
    }


@pytest.mark.parametrize("name", ["apscheduler", "kubernetes.client.rest", "aiohttp.access"])
def test_chatty_libraries_are_heard_from_warning_on_even_at_debug(name: str) -> None:
    stream = io.StringIO()
    configure_logging("debug", stream=stream)

    logging.getLogger(name).info("running job")
    logging.getLogger(name).warning("job missed")

    assert [line["event"] for line in lines_of(stream)] == ["job missed"]


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    configure_logging("warning", stream=stream)

    structlog.get_logger("x").info("rollout.decided")

    assert not stream.getvalue()


SECRET = "s3cr3t-Value-9"
PLANTED = {
    "a key named token": {"token": SECRET},
    "a key that contains password": {"db_password": SECRET},
    "an Authorization header": {"headers": {"Authorization": f"Bearer {SECRET}"}},
    "a header inside a list": {"requests": [{"Cookie": SECRET}]},
    "bytes of a secret key": {"api_key": SECRET.encode()},
    "a bearer token inside a text": {"error": f"refused: Bearer {SECRET}"},
    "a password inside a URL": {"url": f"https://ana:{SECRET}@prom.internal/api"},
    "a JSON Web Token inside a text": {"error": f"eyJhbGciOiJSUzI1NiJ9.{SECRET}xx.{SECRET}"},
    "an object that prints itself": {"error": ValueError(f"basic {SECRET}")},
}


@pytest.mark.parametrize("facts", PLANTED.values(), ids=PLANTED.keys())
@pytest.mark.parametrize("style", ["json", "console"])
def test_a_secret_never_reaches_the_log(facts: dict, style: str) -> None:
    stream = io.StringIO()
    configure_logging("debug", style, stream=stream)

    structlog.get_logger("x").debug("probe.sent", **facts)

    assert SECRET not in stream.getvalue()
    assert REDACTED in stream.getvalue()


def test_a_secret_in_an_exceptions_text_is_redacted_in_its_traceback() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)

    try:
        int(f"https://ana:{SECRET}@prom/")
    except ValueError:
        structlog.get_logger("x").exception("provider.failed")

    assert SECRET not in stream.getvalue()
    assert "ValueError" in lines_of(stream)[0]["exception"]


def test_counts_under_secret_like_names_are_no_secrets() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)

    structlog.get_logger("x").info("bucket.filled", tokens=20)

    assert lines_of(stream)[0]["tokens"] == 20


def test_a_value_is_cut_where_it_is_long() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)

    structlog.get_logger("x").info("probe.sent", error="x" * 1_000_000)

    assert len(stream.getvalue()) < 10_000


def test_a_fact_nested_without_end_is_cut() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    ring: dict = {}
    ring["ring"] = ring

    structlog.get_logger("x").info("probe.sent", ring=ring)

    assert lines_of(stream)[0]["event"] == "probe.sent"


def test_foreign_texts_cannot_command_the_terminal() -> None:
    stream = Terminal()
    configure_logging(style="console", stream=stream)

    structlog.get_logger("x").info("route.read", editor="evil\x1b]0;title\x07")

    assert "\x1b]0;" not in stream.getvalue()


def test_a_full_disk_costs_one_line_and_raises_nothing() -> None:
    class Full(io.StringIO):
        full = True

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    stream = Full()
    configure_logging(stream=stream)

    structlog.get_logger("x").info("lost.line")
    stream.full = False
    structlog.get_logger("x").info("next.line")

    assert [line["event"] for line in lines_of(stream)] == ["next.line"]


def test_a_reader_that_went_away_ends_the_log_and_not_the_process() -> None:
    program = (
        "import sys, structlog\n"
        "from daemon.log import configure_logging\n"
        "configure_logging()\n"
        "log = structlog.get_logger('x')\n"
        "sys.stdin.readline()\n"
        "for _ in range(3):\n"
        "    log.info('rollout.decided', message='x' * 1000)\n"
        "print('went on', file=sys.stderr)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None

    process.stdout.close()
    _, stderr = process.communicate("go\n", timeout=20)

    assert (stderr, process.returncode) == ("went on\n", 0)
