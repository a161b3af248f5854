"""Knobs: what annotations make a pod do, and how a bad one is told."""

import pytest

from daemon.sandbox.knobs import PREFIX, KnobError, Knobs, MetricsFault, read_knobs
from daemon.sandbox.manifests import text_of


def annotations(**knobs: str) -> dict[str, str]:
    return {PREFIX + name.replace("_", "-"): value for name, value in knobs.items()}


def test_a_pod_without_knobs_is_a_good_pod():
    assert read_knobs({"prometheus.io/scrape": "true"}) == Knobs()


def test_every_knob_is_read_with_its_unit():
    knobs = read_knobs(
        annotations(
            error_rate="0.2",
            error_paths="/work, /pay",
            latency="50ms",
            start_delay="1.5s",
            crash="1m",
            never_ready="true",
            flap="2s",
            metrics="stale",
        )
    )

    assert knobs == Knobs(
        error_rate=0.2,
        error_paths=("/work", "/pay"),
        latency=0.05,
        start_delay=1.5,
        crash=60.0,
        never_ready=True,
        flap=2.0,
        metrics=MetricsFault.STALE,
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("error-rate", "20%", "'20%' is not a number from 0 to 1"),
        ("error-rate", "nan", "'nan' is not a number from 0 to 1"),
        ("error-rate", "1.2", "'1.2' is not a number from 0 to 1"),
        ("latency", "50", "'50' is not a duration from 0s to 1h"),
        ("latency", "-5ms", "'-5ms' is not a duration from 0s to 1h"),
        ("crash", "2h", "'2h' is not a duration from 0s to 1h"),
        ("flap", "10ms", "'10ms' is not a duration from 100ms to 1h"),
        ("never-ready", "yes", "'yes' is neither true nor false"),
        ("metrics", "gone", "'gone' is none of none, vanish"),
        ("error-rats", "0.2", "is no knob; there are crash, error-paths"),
    ],
)
def test_a_bad_knob_is_told_with_its_name_and_what_is_allowed(name, value, told):
    with pytest.raises(KnobError, match=name) as caught:
        read_knobs({PREFIX + name: value})

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("knobs", "path", "expected"),
    [
        pytest.param(Knobs(error_rate=0.1), "/", True, id="no paths given: all paths"),
        pytest.param(Knobs(error_rate=0.1, error_paths=("/work",)), "/work", True, id="named"),
        pytest.param(Knobs(error_rate=0.1, error_paths=("/work",)), "/", False, id="not named"),
        pytest.param(Knobs(error_paths=("/work",)), "/work", False, id="no rate"),
    ],
)
def test_the_error_rate_applies_to_the_error_paths(knobs, path, expected):
    assert knobs.may_fail(path) is expected


def test_manifests_are_the_four_versions_of_the_scene():
    knobs = {
        version: "sandbox.crossfade.dev" in text_of(f"echo-{version}.yaml")
        for version in ("v1", "v2", "v3", "v4")
    }

    assert knobs == {"v1": False, "v2": False, "v3": True, "v4": True}
