"""The status of a Deployment: when it is complete, when it progresses, when it has timed out."""

from datetime import UTC, datetime, timedelta

import pytest

from daemon.sandbox.controllers.deployment_status import Tally, seconds_to_deadline, status_of
from daemon.sandbox.controllers.rolling import limits_of

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING = Tally(replicas=0, updated=0, ready=0, available=0)
HALF = Tally(replicas=3, updated=1, ready=2, available=2)
DONE = Tally(replicas=2, updated=2, ready=2, available=2)


def deployment(**spec):
    return {"metadata": {"generation": 1}, "spec": {"replicas": 2, **spec}}


def after(body, *tallies, every=timedelta(seconds=60)):
    """The status after one look a minute at each of the tallies."""
    now = BEGIN
    for tally in tallies:
        status = status_of(body, limits_of(body), tally, "echo-abc", now)
        body = {**body, "status": {name: v for name, v in status.items() if v is not None}}
        now += every
    return body


def progressing(body):
    one = body["status"]["conditions"][1]
    return one["status"], one["reason"]


def test_zeros_are_left_out_as_kubernetes_does():
    assert set(after(deployment(), NOTHING)["status"]) == {
        "observedGeneration",
        "unavailableReplicas",
        "conditions",
    }


@pytest.mark.parametrize(
    ("tallies", "expected"),
    [
        pytest.param([NOTHING], ("True", "ReplicaSetUpdated"), id="begun"),
        pytest.param([NOTHING, HALF], ("True", "ReplicaSetUpdated"), id="got on"),
        pytest.param([NOTHING, HALF, DONE], ("True", "NewReplicaSetAvailable"), id="complete"),
        pytest.param(
            [NOTHING, HALF, HALF, HALF, HALF],
            ("False", "ProgressDeadlineExceeded"),
            id="stuck for longer than the deadline",
        ),
        pytest.param(
            [NOTHING, HALF, HALF, HALF, HALF, DONE],
            ("True", "NewReplicaSetAvailable"),
            id="done after all",
        ),
        pytest.param(
            [NOTHING, DONE, HALF, HALF, HALF, HALF],
            ("True", "NewReplicaSetAvailable"),
            id="complete stays complete when a pod fails",
        ),
    ],
)
def test_progress_is_told_with_kubernetes_reasons(tallies, expected):
    assert progressing(after(deployment(progressDeadlineSeconds=150), *tallies)) == expected


def test_a_look_that_sees_nothing_new_changes_nothing():
    body = after(deployment(), HALF, HALF)

    assert after(deployment(), HALF, HALF, HALF)["status"] == body["status"]


def test_the_deadline_is_awaited_only_while_the_rollout_runs():
    running, complete = after(deployment(), HALF), after(deployment(), DONE)

    assert seconds_to_deadline(running, running["status"], BEGIN) == 600
    assert seconds_to_deadline(complete, complete["status"], BEGIN) is None


def test_availability_is_below_the_least_where_more_than_allowed_are_missing():
    body = after(deployment(strategy={"rollingUpdate": {"maxUnavailable": 0}}), NOTHING)

    available = body["status"]["conditions"][0]
    assert (available["status"], available["reason"]) == ("False", "MinimumReplicasUnavailable")
