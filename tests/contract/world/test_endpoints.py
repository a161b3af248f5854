"""EndpointSlices and Endpoints of a Service, from its pods. Pure."""

import json

import pytest

from daemon.sandbox.controllers.endpoints import endpoints_of, ports_of, slices_of
from daemon.sandbox.knobs import PORTS_ANNOTATION

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "echo", "namespace": "echo", "uid": "s"},
    "spec": {"selector": {"app": "echo"}, "ports": [{"name": "http", "port": 80}]},
}


def service(**port):
    return {**SERVICE, "spec": {**SERVICE["spec"], "ports": [{"port": 80, **port}]}}


def pod(name="a", *, ip="127.1.0.1", ready=True, leaving=False, real=None):
    metadata = {"name": name, "namespace": "echo", "uid": name, "annotations": {}}
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    if real:
        metadata["annotations"][PORTS_ANNOTATION] = json.dumps(real)
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "metadata": metadata,
        "spec": {
            "nodeName": "sandbox",
            "containers": [{"ports": [{"name": "web", "containerPort": 8080}]}],
        },
        "status": {"podIP": ip, "conditions": [condition]},
    }


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        pytest.param({}, [80], id="without targetPort: the port"),
        pytest.param({"targetPort": 8080}, [8080], id="a number"),
        pytest.param({"targetPort": "web"}, [8080], id="a name"),
        pytest.param({"targetPort": "grpc"}, [], id="a name that the pod lacks"),
    ],
)
def test_the_target_port_is_resolved_for_the_pod(port, expected):
    assert [one["port"] for one in ports_of(service(**port), pod())] == expected


@pytest.mark.parametrize(
    ("state", "ready", "serving", "terminating"),
    [
        pytest.param({}, True, True, False, id="ready"),
        pytest.param({"ready": False}, False, False, False, id="not ready"),
        pytest.param({"leaving": True}, False, True, True, id="leaving, still serving"),
        pytest.param({"leaving": True, "ready": False}, False, False, True, id="leaving, ended"),
    ],
)
def test_conditions_say_how_a_pod_is(state, ready, serving, terminating):
    [one] = slices_of(SERVICE, [pod(**state)])

    expected = {"ready": ready, "serving": serving, "terminating": terminating}
    assert one["endpoints"][0]["conditions"] == expected


def test_a_slice_says_whose_it_is():
    [one] = slices_of(SERVICE, [pod()])

    assert one["metadata"]["labels"]["kubernetes.io/service-name"] == "echo"
    assert one["metadata"]["ownerReferences"][0]["uid"] == "s"
    assert one["endpoints"][0]["targetRef"]["name"] == "a"


def test_pods_with_ports_of_their_own_get_a_slice_each():
    pods = [pod("a", real={"8080": 4001}), pod("b", real={"8080": 4002})]

    slices = slices_of(service(targetPort=8080), pods)

    assert [one["ports"][0]["port"] for one in slices] == [4001, 4002]
    assert len({one["metadata"]["name"] for one in slices}) == 2


def test_a_service_without_pods_has_one_empty_slice():
    [one] = slices_of(SERVICE, [])

    assert one["endpoints"] == []


def test_endpoints_tell_ready_from_not_ready_and_drop_leaving_pods():
    pods = [pod("a", ip="1"), pod("b", ip="2", ready=False), pod("c", ip="3", leaving=True)]

    [subset] = endpoints_of(SERVICE, pods)["subsets"]

    assert [one["ip"] for one in subset["addresses"]] == ["1"]
    assert [one["ip"] for one in subset["notReadyAddresses"]] == ["2"]
