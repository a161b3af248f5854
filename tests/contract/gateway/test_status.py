"""How a verdict is written into an object, and when it is not."""

import json

from daemon.sandbox.gateway.status import MAX_REASON, status_entry, status_patch
from daemon.sandbox.gateway.verdicts import ACCEPTED, State, Verdict
from tests.contract.gateway.world import meta

NAMESPACE = "gloo-system"
ENTRY = status_entry(ACCEPTED, None, "gateway-proxy_gloo-system")


def item(**more):
    return {"metadata": meta("shop"), **more}


def test_the_state_is_a_word_and_an_accepted_object_has_no_reason():
    assert ENTRY == {"state": "Accepted", "reportedBy": "gloo"}


def test_no_status_speaks_of_a_generation():
    assert "observedGeneration" not in json.dumps(status_entry(ACCEPTED, ACCEPTED, "p"))


def test_the_proxys_verdict_stands_below_under_the_proxys_name():
    entry = status_entry(ACCEPTED, Verdict(State.REJECTED, "why"), "gateway-proxy_gloo-system")

    assert entry["subresourceStatuses"] == {
        "*v1.Proxy.gateway-proxy_gloo-system": {
            "state": "Rejected",
            "reportedBy": "gloo",
            "reason": "why",
        }
    }


def test_a_first_status_makes_the_whole_map():
    patch = json.loads(status_patch(item(), ENTRY, NAMESPACE))

    value = {"statuses": {NAMESPACE: ENTRY}}
    assert patch == [{"op": "add", "path": "/status", "value": value}]


def test_another_control_planes_status_is_left_alone():
    other = item(status={"statuses": {"other": ENTRY}})

    [operation] = json.loads(status_patch(other, ENTRY, NAMESPACE))

    assert operation["path"] == "/status/statuses/gloo-system"


def test_a_flat_old_status_is_left_alone_too():
    [operation] = json.loads(status_patch(item(status={"state": 1}), ENTRY, NAMESPACE))

    assert operation["path"] == "/status/statuses"


def test_an_equal_status_is_not_written():
    same = item(status={"statuses": {NAMESPACE: ENTRY}})

    assert status_patch(same, ENTRY, NAMESPACE) is None


def test_a_long_reason_is_cut():
    entry = status_entry(Verdict(State.REJECTED, "é" * 2000), None, "p")

    assert len(entry["reason"].encode()) == MAX_REASON


def test_a_status_that_is_too_long_is_dropped_and_the_old_one_stays():
    long = Verdict(State.REJECTED, "x" * 2000)

    assert status_patch(item(), status_entry(long, long, "p"), NAMESPACE) is None
