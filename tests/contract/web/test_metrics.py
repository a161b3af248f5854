"""Our metrics as Prometheus reads them: names, values, and labels that cannot grow without bound."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from analysis.verdict import Verdict
from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.web.metrics import MAX_CHECKS, Metrics

TARGET = "echo/echo"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Label values (the target first, then by label name) to value, of one sample name."""
    text = metrics.page()[0].decode()
    return {
        tuple(
            sample.labels[name]
            for name in sorted(sample.labels, key=lambda name: (name != "target", name))
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_all_names_have_our_prefix(metrics: Metrics) -> None:
    metrics.decided(TARGET, Phase.SHIFTING, 25, Reason.ANALYSIS_PASSED)
    text = metrics.page()[0].decode()

    names = [family.name for family in text_string_to_metric_families(text)]

    assert [name for name in names if not name.startswith("crossfade_")] == []


def test_two_daemons_in_one_process_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.event_dropped()

    assert samples(second, "crossfade_events_dropped_total") == {(): 0}


def test_a_decision_shows_phase_weight_and_counts_its_reason(metrics: Metrics) -> None:
    metrics.decided(TARGET, Phase.SHIFTING, 25, Reason.ANALYSIS_PASSED)

    phases = samples(metrics, "crossfade_phase")
    assert samples(metrics, "crossfade_weight_set_percent") == {(TARGET,): 25}
    assert [labels for labels, value in phases.items() if value] == [(TARGET, "Shifting")]
    assert samples(metrics, "crossfade_decisions_total") == {(TARGET, "AnalysisPassed"): 1}


def test_a_target_is_in_one_phase_only(metrics: Metrics) -> None:
    metrics.decided(TARGET, Phase.SHIFTING, 25, Reason.ANALYSIS_PASSED)
    metrics.decided(TARGET, Phase.ROLLING_BACK, 0, Reason.ANALYSIS_FAILED)

    assert sum(samples(metrics, "crossfade_phase").values()) == 1


def test_held_names_one_reason_and_then_none(metrics: Metrics) -> None:
    metrics.held(TARGET, Reason.NO_DATA)
    metrics.held(TARGET, Reason.PROVIDER_DOWN)
    assert samples(metrics, "crossfade_held") == {(TARGET, "ProviderDown"): 1}

    metrics.held(TARGET, None)

    assert samples(metrics, "crossfade_held") == {}


def test_what_was_not_counted_is_no_weight_seen(metrics: Metrics) -> None:
    metrics.seen(TARGET, 24.8)
    metrics.seen(TARGET, None)

    assert samples(metrics, "crossfade_weight_seen_percent") == {}


def test_versions_replace_each_other(metrics: Metrics) -> None:
    metrics.versions(TARGET, "v1", "v2")
    metrics.versions(TARGET, "v2", None)

    assert samples(metrics, "crossfade_rollout_info") == {(TARGET, "", "v2"): 1}


def test_a_check_shows_its_last_verdict(metrics: Metrics) -> None:
    metrics.judged(TARGET, {"success rate": Verdict.PASS})
    metrics.judged(TARGET, {"success rate": Verdict.FAIL})

    shown = samples(metrics, "crossfade_check_verdict")
    assert [labels for labels, value in shown.items() if value] == [
        (TARGET, "success rate", "Fail")
    ]


def test_a_check_that_left_the_policy_is_no_series(metrics: Metrics) -> None:
    metrics.judged(TARGET, {"old": Verdict.PASS})
    metrics.judged(TARGET, {"new": Verdict.PASS})

    assert {labels[1] for labels in samples(metrics, "crossfade_check_verdict")} == {"new"}


def test_checks_beyond_the_bound_make_no_series(metrics: Metrics) -> None:
    metrics.judged(TARGET, {f"c{n}": Verdict.PASS for n in range(MAX_CHECKS + 10)})

    assert len(samples(metrics, "crossfade_check_verdict")) == MAX_CHECKS * len(Verdict)


def test_writes_of_the_split_and_of_the_record_are_counted_apart(metrics: Metrics) -> None:
    metrics.wrote(TARGET, split=True)
    metrics.wrote(TARGET, split=False)
    metrics.wrote(TARGET, split=False)

    assert samples(metrics, "crossfade_route_writes_total") == {
        (TARGET, "split"): 1,
        (TARGET, "record"): 2,
    }


def test_api_errors_of_unknown_kind_are_other(metrics: Metrics) -> None:
    metrics.api_failed("conflict")
    metrics.api_failed("/apis/apps/v1/namespaces/x")

    assert samples(metrics, "crossfade_api_errors_total") == {("conflict",): 1, ("other",): 1}


def test_the_queues_depth_is_asked_for_at_each_scrape(metrics: Metrics) -> None:
    queue = ["echo/echo"]
    metrics.queue_depth_from(lambda: len(queue))
    queue.append("pay/api")

    assert samples(metrics, "crossfade_queue_depth") == {(): 2}


def test_a_bad_policy_shows(metrics: Metrics) -> None:
    metrics.policy_loaded(successful=True)
    metrics.policy_loaded(successful=False)

    assert samples(metrics, "crossfade_config_last_reload_successful") == {(): 0}


def test_flags_of_a_target_come_and_go(metrics: Metrics) -> None:
    metrics.paused(TARGET, paused=True)
    metrics.blocked(TARGET, blocked=True)
    metrics.route_gone(TARGET, gone=True)
    metrics.confirmed(TARGET, confirmed=True)
    metrics.paused(TARGET, paused=False)

    assert samples(metrics, "crossfade_paused") == {(TARGET,): 0}
    assert samples(metrics, "crossfade_blocked") == {(TARGET,): 1}
    assert samples(metrics, "crossfade_route_gone") == {(TARGET,): 1}
    assert samples(metrics, "crossfade_split_confirmed") == {(TARGET,): 1}


def test_a_silent_watch_shows_its_age(metrics: Metrics) -> None:
    metrics.cache_aged("deployments", 12.5)

    assert samples(metrics, "crossfade_cache_age_seconds") == {("deployments",): 12.5}


def test_looks_are_timed(metrics: Metrics) -> None:
    metrics.reconciled(0.03)

    assert samples(metrics, "crossfade_reconcile_duration_seconds_count") == {(): 1}


def test_a_forgotten_target_leaves_no_series_behind(metrics: Metrics) -> None:
    metrics.decided(TARGET, Phase.SHIFTING, 25, Reason.ANALYSIS_PASSED)
    metrics.held(TARGET, Reason.NO_DATA)
    metrics.judged(TARGET, {"success rate": Verdict.PASS})
    metrics.versions(TARGET, "v1", "v2")
    metrics.wrote(TARGET, split=True)

    metrics.forget(TARGET)

    assert TARGET not in metrics.page()[0].decode()
