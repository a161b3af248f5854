"""The record's text: what survives, what is refused, what goes first when there is no room."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from daemon.core.model import (
    Confirmed,
    Damaged,
    Held,
    Pause,
    Phase,
    Promote,
    Record,
    Retire,
    SmokePassed,
    TargetKey,
)
from daemon.core.reasons import Reason
from daemon.core.record import MAX_BYTES, format_record, parse_record, parse_time, record_annotation

NOW = datetime(2026, 11, 24, 12, 0, 0, 123000, tzinfo=UTC)
FULL = Record(
    id="20261124-120000-00ff",
    target="echo",
    policy="a" * 64,
    stable="v1",
    stable_revision="v1/abc",
    canary="v2",
    revision="v2/def",
    phase=Phase.SHIFTING,
    step=2,
    weight=25,
    since=NOW,
    reason=Reason.ANALYSIS_PASSED,
    message="25 %",
    decision=17,
    epoch=4,
    writer="pod-1",
    confirmed=Confirmed(16, 5),
    paused=Pause("asked for", "ana@example.com", NOW),
    held=Held(Reason.NO_DATA, NOW),
    promote=Promote("id", ("success rate",), "ana@example.com", "a known fault"),
    smoke=SmokePassed(3, NOW),
    base=4,
    known=("v1/abc",),
    rejected=("v0/xyz",),
    handled=("text-abort",),
    retire=Retire("echo-v0", "uid"),
    deployments=("echo-v1", "echo-v2"),
    restored=(NOW,),
)


def test_what_is_written_is_read_again() -> None:
    assert parse_record(format_record(FULL)) == FULL


def test_the_text_is_ascii_without_characters_that_json_encoders_disagree_about() -> None:
    text = format_record(replace(FULL, message="a < b & c > ü"))

    assert text.isascii()
    assert not set("<>&") & set(text)


def test_free_texts_are_cut() -> None:
    record = parse_record(format_record(replace(FULL, message="x" * 5000)))

    assert isinstance(record, Record)
    assert len(record.message) == 256


def test_a_record_never_grows_past_its_bound_and_keeps_what_safety_needs() -> None:
    long = tuple(f"{i:02d}-{'v' * 61}/{'h' * 60}" for i in range(40))
    text = format_record(replace(FULL, known=long, rejected=long, message="m" * 300))
    record = parse_record(text)

    assert len(text) <= MAX_BYTES
    assert isinstance(record, Record)
    assert (record.weight, record.epoch, record.stable) == (25, 4, "v1")
    assert record.rejected[-1] == long[-1]


def members(**changes: object) -> str:
    return json.dumps(json.loads(format_record(FULL)) | changes)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "is not JSON", id="nothing"),
        pytest.param("[" * 100_000, "bytes long", id="deep"),
        pytest.param("[" * 5000, "is not JSON", id="deep but short"),
        pytest.param("[]", "is not a JSON object", id="a list"),
        pytest.param("{}", "has format None", id="no format"),
        pytest.param(members(v=2), "has format 2", id="a newer format"),
        pytest.param(members(v=True), "has format True", id="true is no 1"),
        pytest.param(members(extra=1), "unknown member 'extra'", id="an unknown member"),
        pytest.param('{"v":1}', "lacks the member 'id'", id="a missing member"),
        pytest.param(members(weight=101), "'weight' is over 100", id="weight 101"),
        pytest.param(members(weight=-1), "'weight' is not a whole number", id="negative"),
        pytest.param(members(weight=1.505), "'weight' has more than two decimals", id="a half"),
        pytest.param(members(weight=100.5), "'weight' is not a whole number", id="over a half"),
        pytest.param(members(weight=float("nan")), "'weight' is not a whole number", id="NaN"),
        pytest.param(members(weight="0.5"), "'weight' is not a whole number", id="a text"),
        pytest.param(
            members(phase="Smoke", weight=0.5), "weight 0.5 in phase Smoke", id="0.5 in Smoke"
        ),
        pytest.param(members(rampSince="now"), "member 'rampSince'", id="no beginning of a ramp"),
        pytest.param(members(epoch=2**63), "'epoch' is not a whole number", id="huge epoch"),
        pytest.param(members(phase="Sleeping"), "member 'phase'", id="no such phase"),
        pytest.param(members(since="yesterday"), "member 'since'", id="no time"),
        pytest.param(members(since="2026-11-24T12:00:00"), "has no time zone", id="no zone"),
        pytest.param(members(since=12), "is not a time", id="a number as time"),
        pytest.param(members(stable="a\nb"), "'stable' is not a short", id="control characters"),
        pytest.param(members(known=["x"] * 33), "'known' is not a list", id="too many"),
        pytest.param(members(known="x"), "'known' is not a list", id="no list"),
        pytest.param(members(held={"reason": "NoData"}), "'held' is not an object", id="half held"),
        pytest.param(
            members(promote={"id": "id"}),
            "'promote' is not an object of id, skip",
            id="half promote",
        ),
        pytest.param(
            members(promote={"id": "id", "skip": "all"}), "'promote' does not skip", id="skips all"
        ),
        pytest.param(
            members(promote={"id": "id", "skip": ["x"] * 17}), "'promote' does not", id="17 skips"
        ),
        pytest.param(
            members(promote={"id": "id", "skip": [], "by": "ana"}),
            "'promote' is not an object of id, skip, by, reason",
            id="a promote by somebody for no reason",
        ),
        pytest.param(members(canary=None), "Shifting without a canary", id="no canary"),
        pytest.param(members(revision=""), "Shifting without a canary", id="no revision"),
        pytest.param(members(canary="v1"), "v1 as stable and as canary", id="canary is stable"),
        pytest.param(members(rejected=["v2/def"]), "that it has rejected", id="rejected"),
        pytest.param(members(weight=100), "weight 100 in phase Shifting", id="100 while shifting"),
        pytest.param(members(phase="Baking"), "weight 25 in phase Baking", id="baking at 25"),
        pytest.param(
            members(since="0001-01-01T00:00:00+14:00"), "no time of our calendar", id="before time"
        ),
        pytest.param(members(stable="v\u00e9"), "'stable' is not a short", id="no ASCII"),
        pytest.param(members(known=["a b"]), "'known' is not a short plain name", id="no name"),
        pytest.param(members(writer="<"), "'writer' is not a short plain name", id="escaped"),
        pytest.param(members(message="x" * 300), "'message' is not a short", id="a long text"),
        pytest.param(
            members(phase="Smoke"), "has weight 25 in phase Smoke", id="weight in a phase without"
        ),
    ],
)
def test_a_text_that_cannot_be_a_record_is_damaged_with_why(text: str, why: str) -> None:
    record = parse_record(text)

    assert isinstance(record, Damaged)
    assert why in record.why


def test_the_annotation_names_namespace_and_target() -> None:
    assert record_annotation(TargetKey("echo", "api")) == "rollout.crossfade.dev/echo.api"


def test_a_long_name_ends_in_a_hash_and_stays_distinct() -> None:
    one, other = TargetKey("n" * 60, "a" * 60 + "1"), TargetKey("n" * 60, "a" * 60 + "2")

    assert len(record_annotation(one).partition("/")[2]) == 63
    assert record_annotation(one) != record_annotation(other)


def test_a_free_text_takes_its_bytes_as_it_is_written() -> None:
    text = format_record(replace(FULL, message="<" * 300))
    record = parse_record(text)

    assert isinstance(record, Record)
    assert record.message == "<" * 42 + "..."


@pytest.mark.parametrize("year", [1, 999, 2026, 9999])
def test_any_time_that_can_be_recorded_is_read_again(year: int) -> None:
    record = replace(FULL, since=NOW.replace(year=year))

    assert parse_record(format_record(record)) == record


def test_a_targets_key_reads_as_people_write_it() -> None:
    assert str(TargetKey("echo", "api")) == "echo/api"


def test_times_of_any_zone_are_read_as_utc() -> None:
    assert parse_time("2026-11-24T13:00:00.123+01:00") == NOW


# ---------------------------------------------------------------- weights with decimals


@pytest.mark.parametrize(
    ("weight", "written"), [(0, "0"), (25, "25"), (0.01, "0.01"), (0.35, "0.35"), (99.99, "99.99")]
)
def test_a_weight_is_written_as_people_write_it(weight: float, written: str) -> None:
    record = replace(FULL, weight=weight, confirmed=Confirmed(16, weight))
    text = format_record(record)

    assert f'"weight":{written},' in text
    assert f'"confirmed":{{"decision":16,"weight":{written}}}' in text
    assert parse_record(text) == record


def test_a_whole_number_that_somebody_wrote_with_decimals_is_read_and_written_as_whole() -> None:
    record = parse_record(members(weight=25.0))

    assert isinstance(record, Record)
    assert '"weight":25,' in format_record(record)


def test_a_record_of_a_ramp_by_steps_is_spelled_as_it_was_before_there_was_another() -> None:
    assert "rampSince" not in format_record(FULL)


def test_since_when_a_ramp_runs_survives() -> None:
    record = replace(FULL, ramp_since=NOW)

    assert parse_record(format_record(record)) == record
