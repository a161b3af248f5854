"""Requests: what is obeyed, what is refused with which sentence."""

import json
from datetime import UTC, datetime

import pytest

from daemon.core.model import BadRequest, Request, Verb
from daemon.core.requests import newest_first, parse_request, request_time

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ID = "2026-11-24T11:59:00.000Z-00ff"


@pytest.mark.parametrize("verb", list(Verb))
def test_a_bare_verb_is_a_request(verb: Verb) -> None:
    request = parse_request(f" {verb}\n", NOW)

    assert isinstance(request, Request)
    assert request.verb is verb


def test_a_whole_request_is_read() -> None:
    text = json.dumps(
        {"id": ID, "verb": "abort", "by": "ana", "reason": "wrong flag", "skip": ["readiness"]}
    )

    assert parse_request(text, NOW) == Request(
        ID, Verb.ABORT, by="ana", reason="wrong flag", skip=("readiness",)
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("stop it", "neither a verb nor JSON", id="prose"),
        pytest.param("x" * 5000, "longer than", id="too long"),
        pytest.param("[" * 3000, "neither a verb nor JSON", id="deep"),
        pytest.param("[]", "is not an object", id="a list"),
        pytest.param('{"id": "x", "verb": "abort", "what": 1}', "is not an object", id="unknown"),
        pytest.param('{"verb": "abort"}', "its id is not a time", id="no id"),
        pytest.param('{"id": "7", "verb": "abort"}', "its id is not a time", id="a bad id"),
        pytest.param(
            '{"id": "2026-13-45T11:59:00.000Z-00ff", "verb": "abort"}',
            "its id is not",
            id="month 13",
        ),
        pytest.param(
            '{"id": "2026-11-24T12:06:00.000Z-00ff", "verb": "abort"}', "in the future", id="future"
        ),
        pytest.param(json.dumps({"id": ID, "verb": "explode"}), "no known verb", id="no verb"),
        pytest.param(
            json.dumps({"id": ID, "verb": "abort", "by": 1}), "must be texts", id="number"
        ),
        pytest.param(
            json.dumps({"id": ID, "verb": "abort", "skip": "all"}), "skip must", id="skip"
        ),
        pytest.param(
            json.dumps({"id": ID, "verb": "promote", "skip": ["a\nb"]}), "skip must", id="two lines"
        ),
    ],
)
def test_what_cannot_be_obeyed_says_why(text: str, why: str) -> None:
    request = parse_request(text, NOW)

    assert isinstance(request, BadRequest)
    assert why in request.why


def test_a_check_whose_name_is_two_words_can_be_skipped() -> None:
    text = json.dumps({"id": ID, "verb": "promote", "skip": ["success rate"]})

    assert parse_request(text, NOW) == Request(ID, Verb.PROMOTE, skip=("success rate",))


def test_a_request_keeps_its_id_even_when_its_verb_is_unknown() -> None:
    assert parse_request(json.dumps({"id": ID, "verb": "explode"}), NOW).id == ID


def test_the_newest_id_wins_and_a_bare_verb_counts_as_older() -> None:
    older, newer = Request(ID, Verb.PAUSE), Request(ID.replace("59", "58"), Verb.RESUME)
    bare = Request("text-1", Verb.PROMOTE)

    assert sorted([bare, newer, older], key=newest_first, reverse=True) == [older, newer, bare]


def test_the_time_inside_an_id_is_read() -> None:
    assert request_time(ID) == datetime(2026, 11, 24, 11, 59, tzinfo=UTC)
