"""What `status` says about a record, before any cluster is asked."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from analysis.verdict import Ground, Verdict
from config.load import load_policy
from config.stored import dump_rollout
from daemon.cli.evidence import Evidence, evidence_of
from daemon.cli.find import Found
from daemon.cli.screens import (
    HEADINGS,
    change_line,
    state_in_words,
    table,
    traffic_of,
    versions_of,
)
from daemon.cli.status import (
    ON_STEPS,
    Standing,
    Status,
    judgement_in_words,
    next_in_words,
    status_of,
)
from daemon.cli.text import words
from daemon.core.model import Damaged, Held, Pause, Phase, Record
from daemon.core.reasons import Reason
from daemon.kube.objects import ROUTETABLES, VIRTUALSERVICES
from daemon.said import Said, plain_of
from tests.cli.records import KEY, NOW, a_policy, a_record, an_evidence

SAYS = "canary failed 0 of 228 requests (0 %)"


def told(record: Record | Damaged | None, evidence: Evidence | None = None) -> Status:
    return status_of(Found(KEY, VIRTUALSERVICES, "gloo-system", "echo", record, evidence), NOW)


def with_evidence(record: Record, *, confirmed_ago: timedelta | None = None) -> Status:
    at = None if confirmed_ago is None else NOW - confirmed_ago
    return told(record, evidence_of(an_evidence(record, confirmed_at=at)))


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.IDLE, "✔ idle"),
        (Phase.PREPARING, "● preparing"),
        (Phase.SMOKE, "● smoke"),
        (Phase.SHIFTING, "● shifting"),
        (Phase.BAKING, "● baking"),
        (Phase.FINALISING, "● finalising"),
        (Phase.RETIRING, "● retiring"),
        (Phase.ROLLING_BACK, "✖ rolling back"),
        (Phase.ROLLED_BACK, "✖ rolled back"),
    ],
)
def test_a_state_is_a_symbol_and_a_word(phase: Phase, words: str) -> None:
    assert state_in_words(told(a_record(phase)).state) == words


def test_a_pause_is_shown_with_who_and_why() -> None:
    paused = Pause("looking at the dashboard", "ana", NOW - timedelta(minutes=3))

    status = told(a_record(paused=paused))

    assert (status.state, status.why) == (
        Standing.PAUSED,
        "paused by ana 3m ago: looking at the dashboard",
    )


def test_held_is_shown_with_its_reason_and_since_when() -> None:
    status = told(a_record(held=Held(Reason.NO_DATA, NOW - timedelta(minutes=12))))

    assert (status.state, status.why) == (Standing.HELD, "no data for 12m00s (shifting)")


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        pytest.param(
            Reason.ROUTE_EDITED, "resume writes the recorded split again", id="for a person"
        ),
        pytest.param(
            Reason.RAISE_UNCONFIRMED,
            "kubectl describe -n gloo-system virtualservice echo",
            id="whose sentence is an Event",
        ),
    ],
)
def test_held_says_what_to_do_or_where_the_sentence_is(reason: Reason, hint: str) -> None:
    status = told(a_record(held=Held(reason, NOW - timedelta(minutes=12))))

    assert status.why == f"{words(reason)} for 12m00s (shifting): {hint}"


def test_a_pause_of_ours_is_told_in_words() -> None:
    status = told(a_record(paused=Pause(Reason.NO_DATA, "crossfade", NOW)))

    assert status.why == "paused by crossfade just now: no data"


def test_a_damaged_record_is_blocked_and_says_what_to_do() -> None:
    status = told(Damaged("is not JSON"))

    assert status.state is Standing.BLOCKED
    assert status.why == "the record on the route is not JSON; mend or remove the annotation"


def test_a_lost_record_is_blocked_and_names_the_ways_on() -> None:
    status = told(None, evidence_of(an_evidence(a_record())))

    assert status.state is Standing.BLOCKED
    assert "crossfade abort, or resume" in status.why


def test_an_ended_rollout_says_how_long_ago() -> None:
    record = a_record(Phase.ROLLED_BACK, since=NOW - timedelta(minutes=12), message="too slow")

    assert told(record).why == "too slow (12m ago)"


def test_a_record_alone_tells_the_step_but_not_how_many() -> None:
    status = told(a_record())

    assert (status.step, status.steps) == (3, None)


def test_the_evidence_tells_how_many_steps() -> None:
    assert with_evidence(a_record()).steps == 5


def test_the_next_step_comes_when_the_hold_since_the_proof_is_over() -> None:
    status = with_evidence(a_record(), confirmed_ago=timedelta(minutes=1, seconds=48))

    assert next_in_words(status.next, NOW) == "50% in 3m12s"


def test_without_a_proof_of_this_decision_no_time_is_promised() -> None:
    record = a_record()
    older = an_evidence(replace(record, decision=16), confirmed_at=NOW)

    status = told(record, evidence_of(older))

    assert next_in_words(status.next, NOW) == "50%"


def test_a_hold_that_is_over_waits_for_the_checks() -> None:
    status = with_evidence(a_record(), confirmed_ago=timedelta(minutes=6))

    assert next_in_words(status.next, NOW) == "50% when the checks allow"


@pytest.mark.parametrize(
    ("reason", "following"),
    [
        pytest.param(Reason.NO_DATA, "50% once that ends", id="it ends by itself"),
        pytest.param(Reason.ROUTE_EDITED, "waits for: resume", id="a person has to end it"),
    ],
)
def test_while_something_holds_it_no_time_is_promised(reason: Reason, following: str) -> None:
    status = with_evidence(a_record(held=Held(reason, NOW)), confirmed_ago=timedelta(minutes=1))

    assert next_in_words(status.next, NOW) == following


# ---------------------------------------------------------------- the last judgement


def judged(phase: Phase = Phase.SHIFTING, *, ago: float = 12, **policy: Any) -> Status:
    """A rollout whose last saved look was undecided."""
    record = a_record(phase)
    config_map = an_evidence(record, policy=a_policy(**policy))
    said = Said(NOW - timedelta(seconds=ago), 25, Verdict.INCONCLUSIVE, Ground.UNDECIDED, SAYS)
    counts = {"judge": {"rollout": record.id, "said": plain_of(said)}}
    config_map["data"]["counts.json"] = json.dumps(counts)
    return told(record, evidence_of(config_map))


def test_the_last_judgement_is_told_below_with_its_age_and_weight() -> None:
    lines = table([judged(), told(a_record())], NOW, color=False).splitlines()

    assert lines[2] == f"  judged 12s ago at 25%: inconclusive (undecided): {SAYS}"
    assert len(lines) == 4


def test_a_narrow_terminal_cuts_the_judgement_at_its_width() -> None:
    line = table([judged()], NOW, color=False, limit=60).splitlines()[2]

    assert (len(line), line[-1]) == (60, "…")


@pytest.mark.parametrize(
    ("ago", "policy", "late"),
    [
        pytest.param(180, {}, False, id="a save is late"),
        pytest.param(181, {}, True, id="three minutes without one"),
        pytest.param(780, {"analysis": {"interval": "5m"}}, False, id="looks are rare"),
        pytest.param(781, {"analysis": {"interval": "5m"}}, True, id="even for rare looks"),
    ],
)
def test_a_judgement_that_should_have_been_followed_asks_for_the_daemon(
    ago: float, policy: dict[str, Any], late: bool
) -> None:
    words = judgement_in_words(judged(ago=ago, **policy), NOW)

    assert ("does the daemon run?" in words) is late


@pytest.mark.parametrize("phase", [it for it in Phase if it not in ON_STEPS])
def test_where_nobody_is_judged_no_judgement_is_told(phase: Phase) -> None:
    assert judgement_in_words(judged(phase), NOW) == ""


def test_another_rollouts_judgement_is_not_told() -> None:
    record = a_record()
    config_map = an_evidence(record)
    said = plain_of(Said(NOW, 25, Verdict.PASS, Ground.SAFE, SAYS))
    config_map["data"]["counts.json"] = json.dumps({"judge": {"rollout": "other", "said": said}})

    assert told(record, evidence_of(config_map)).said is None


def test_a_change_line_ends_with_the_judgement() -> None:
    line = change_line(judged(), NOW)

    assert line.endswith(
        f"(4812 requests); judged 12s ago at 25%: inconclusive (undecided): {SAYS}"
    )


def test_a_change_line_leaves_out_the_judgement_that_led_to_the_new_weight() -> None:
    status = judged()
    assert status.record is not None
    raised = replace(status, record=replace(status.record, weight=50))

    assert change_line(raised, NOW).endswith("(4812 requests)")


# ---------------------------------------------------------------- a ramp by budget


def by_budget(confirmed_at: datetime | None = None, **record: Any) -> Status:
    it = a_record(step=0, **({"weight": 0.35} | record))
    return told(
        it,
        evidence_of(
            an_evidence(it, confirmed_at=confirmed_at, policy=a_policy(ramp="budget")),
        ),
    )


@pytest.mark.parametrize(
    ("weight", "minutes", "following"),
    [
        pytest.param(0.35, 1, "at least 1% in 1m00s", id="the timetable has not begun"),
        pytest.param(0.35, 3, "at least 1% when the checks allow", id="it is behind"),
        pytest.param(6.25, 3, "at least 25% in 9m00s", id="it is ahead"),
        pytest.param(50, 3, "100% in 19m00s", id="the timetable has no more"),
    ],
)
def test_a_ramp_by_budget_tells_what_it_comes_to_at_the_least(
    weight: float, minutes: int, following: str
) -> None:
    status = by_budget(weight=weight, ramp_since=NOW - timedelta(minutes=minutes))

    assert next_in_words(status.next, NOW) == following


def test_a_ramp_by_budget_begins_with_the_proof_of_its_first_weight() -> None:
    status = by_budget(confirmed_at=NOW)

    assert next_in_words(status.next, NOW) == "at least 1% in 2m00s"


def test_before_the_first_proof_a_ramp_by_budget_promises_no_time() -> None:
    assert next_in_words(by_budget().next, NOW) == "as much as the evidence allows"


def test_a_ramp_by_budget_has_no_steps_and_shows_hundredths() -> None:
    status = by_budget()

    assert (status.step, status.steps) == (None, None)
    assert traffic_of(status) == "[#.........] 0.35% of v2"


def test_what_the_record_alone_cannot_tell_is_a_dash() -> None:
    assert next_in_words(told(a_record()).next, NOW) == "-"


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.PREPARING, "smoke once its pods are ready"),
        (Phase.SMOKE, "first step once smoke passes"),
        (Phase.FINALISING, "done once the gateway serves it"),
        (Phase.ROLLING_BACK, "done once the gateway serves it"),
        (Phase.RETIRING, "old version retired in 58m00s"),
        (Phase.IDLE, "-"),
        (Phase.ROLLED_BACK, "-"),
    ],
)
def test_each_phase_says_what_comes_next(phase: Phase, words: str) -> None:
    assert next_in_words(with_evidence(a_record(phase)).next, NOW) == words


def test_baking_counts_down_to_the_promotion() -> None:
    record = a_record(Phase.BAKING, weight=100, step=4)

    status = with_evidence(record, confirmed_ago=timedelta(minutes=2))

    assert next_in_words(status.next, NOW) == "promoted in 8m00s"


def test_a_pause_waits_for_a_person_whatever_the_phase() -> None:
    paused = Pause("asked for", "ana", NOW)

    assert next_in_words(with_evidence(a_record(paused=paused)).next, NOW) == "waits for: resume"


@pytest.mark.parametrize(
    ("record", "traffic"),
    [
        (a_record(), "[##........] 25% of v2"),
        (a_record(weight=1), "[#.........] 1% of v2"),
        (a_record(weight=99), "[#########.] 99% of v2"),
        (a_record(Phase.BAKING, weight=100), "[##########] 100% of v2"),
        (a_record(Phase.ROLLED_BACK), "[..........] 0%"),
        (a_record(Phase.IDLE), "-"),
    ],
    ids=lambda it: it if isinstance(it, str) else None,
)
def test_traffic_is_drawn_and_told(record: Record, traffic: str) -> None:
    assert traffic_of(told(record)) == traffic


def test_an_idle_target_shows_stable_alone() -> None:
    assert versions_of(a_record(Phase.IDLE, canary="v0")) == "v1"


def test_foreign_text_cannot_command_the_terminal() -> None:
    status = told(a_record(message="ok"), None)
    hostile = status_of(
        Found(KEY, VIRTUALSERVICES, "gloo-system", "echo", Damaged("has \x1b]0;x\x07")), NOW
    )

    assert "\x1b" not in table([status, hostile], NOW, color=False)


def test_the_table_aligns_its_columns() -> None:
    rows = table([told(a_record()), told(a_record(Phase.IDLE))], NOW, color=False).splitlines()

    assert rows[0].split() == list(HEADINGS)
    assert {row.index(word) for row, word in zip(rows, ("WHY", "both", "both"), strict=True)} == {
        rows[0].index("WHY")
    }


def test_a_narrow_terminal_cuts_the_last_column_only() -> None:
    record = a_record(message="x" * 200)

    row = table([told(record)], NOW, color=False, limit=120).splitlines()[1]

    assert len(row) == 120
    assert row.endswith("x…")


def test_colour_never_replaces_the_word() -> None:
    assert "● shifting" in table([told(a_record())], NOW, color=True)
    assert "\x1b[" in table([told(a_record())], NOW, color=True)


# ---------------------------------------------------------------- evidence is read leniently


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"policy.json": "{", "record.json": "{", "counts.json": "["},
        {"policy.json": "[1]", "record.json": "1", "counts.json": '"x"'},
        {"policy.json": '{"steps": [{"weight": "5"}, 7], "bake": "soon", "after": 1}'},
        {"counts.json": '{"id": 5, "decision": "x", "confirmedAt": 3}'},
        {"policy.json": '{"bake": 1e400, "route": {"gloo": "x"}}'},
    ],
    ids=["empty", "cut off", "wrong shapes", "wrong types", "wrong proof", "wrong numbers"],
)
def test_damaged_evidence_is_simply_not_known(data: dict[str, str]) -> None:
    config_map = an_evidence(None) | {"data": data}

    evidence = evidence_of(config_map)

    assert evidence is not None
    assert (evidence.saved, evidence.steps, evidence.bake, evidence.confirmed) == (
        None,
        (),
        None,
        None,
    )


@pytest.mark.parametrize("name", ["other", "crossfade.", "crossfade.echo", "crossfadeXecho.echo"])
def test_a_config_map_of_another_name_is_no_evidence(name: str) -> None:
    config_map = an_evidence(None)
    config_map["metadata"]["name"] = name

    assert evidence_of(config_map) is None


def test_durations_are_read_as_the_policy_writes_them() -> None:
    evidence = evidence_of(an_evidence(None, policy=a_policy(bake="1h30m")))

    assert evidence is not None
    assert evidence.bake == timedelta(hours=1, minutes=30)


def test_the_policy_is_read_as_the_daemon_stores_it() -> None:
    text = (
        "apiVersion: crossfade.dev/v1\nkind: Policy\n"
        "metrics: {prometheus: http://prometheus.monitoring:9090}\n"
        "rollouts:\n"
        "  echo:\n"
        "    namespace: echo\n"
        "    selector: {app: echo}\n"
        "    route: {gloo: {routeTable: team/echo, upstream: gloo-system/echo}}\n"
        "    smoke: [GET / -> 200]\n"
        "    steps: [10, 100]\n"
        "    hold: 90s\n"
        "    bake: 20m\n"
    )
    stored = dump_rollout(load_policy(text, filename="policy.yaml").rollouts["echo"])

    evidence = evidence_of(an_evidence(None, policy=stored))

    assert evidence is not None
    assert [(step.weight, step.hold) for step in evidence.steps][:1] == [
        (10, timedelta(seconds=90))
    ]
    assert (evidence.bake, evidence.keep_old) == (timedelta(minutes=20), timedelta(hours=1))
    assert evidence.route == (ROUTETABLES, "team", "echo")
