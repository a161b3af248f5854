"""What the last look came to, written beside the evidence and read by `status`."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from analysis.verdict import Ground, Verdict
from daemon.said import LONGEST_SENTENCE, Said, plain_of, said_in

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SAID = Said(NOW, 5, Verdict.INCONCLUSIVE, Ground.UNDECIDED, "canary failed 1 of 5 requests (20 %)")
PLAIN = plain_of(SAID)


def test_it_comes_back_as_it_was_written() -> None:
    assert said_in({"said": json.loads(json.dumps(PLAIN))}) == SAID


def test_a_sentence_is_kept_up_to_a_length() -> None:
    written = plain_of(replace(SAID, message="x" * 5000))

    assert said_in({"said": written}) == replace(SAID, message="x" * LONGEST_SENTENCE)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(None, id="nothing"),
        pytest.param("undecided", id="a text"),
        pytest.param([], id="a list"),
        pytest.param({"at": 1}, id="half of it"),
        pytest.param({**PLAIN, "verdict": "Fine"}, id="a verdict that there is not"),
        pytest.param({**PLAIN, "ground": ["Safe"]}, id="a ground that is none"),
        pytest.param({**PLAIN, "at": 1e30}, id="a time out of range"),
        pytest.param({**PLAIN, "at": float("nan")}, id="a time that is no number"),
        pytest.param({**PLAIN, "weight": "much"}, id="a weight that is none"),
    ],
)
def test_what_somebody_else_wrote_there_is_not_shown(said: Any) -> None:
    assert said_in({"said": said}) is None
