"""What the caches keep, whatever the object lacks."""

import sys
from dataclasses import astuple
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.kube import objects
from daemon.kube.objects import trim_deployment, trim_pod, trim_replicaset

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""

DEPLOYMENT = {
    "metadata": {
        "namespace": "echo",
        "name": "echo-v2",
        "uid": "u-1",
        "resourceVersion": "17",
        "generation": 3,
        "creationTimestamp": "2026-02-03T04:05:06Z",
        "annotations": {
            "deployment.kubernetes.io/revision": "2",
            "crossfade.dev/request": "abort",
            "kubectl.kubernetes.io/last-applied-configuration": "{}" * 500,
        },
    },
    "spec": {
        "replicas": 0,
        "paused": True,
        "progressDeadlineSeconds": 60,
        "template": {"metadata": {"labels": {"version": "v2", "app": "echo"}}},
    },
    "status": {"observedGeneration": 2, "readyReplicas": 4, "updatedReplicas": 5},
}
POD = {
    "metadata": {
        "namespace": "echo",
        "name": "echo-v2-7d9f-x",
        "uid": "p-1",
        "labels": {"pod-template-hash": "7d9f", "version": "v2"},
        "deletionTimestamp": "2026-02-03T04:05:06Z",
        "ownerReferences": [{"uid": "other"}, {"uid": "rs-1", "controller": True}],
    },
    "status": {
        "podIP": "10.0.0.7",
        "conditions": [
            {"type": "Initialized", "status": "False"},
            {"type": "Ready", "status": "True"},
        ],
        "containerStatuses": [{"restartCount": 2}, {"restartCount": 1}],
    },
}


def test_a_deployment_keeps_what_decisions_need():
    record = trim_deployment(DEPLOYMENT)

    assert (record.namespace, record.name, record.uid, record.resource_version) == (
        "echo", "echo-v2", "u-1", "17",
    )  # fmt: skip
    assert (record.generation, record.observed_generation) == (3, 2)
    assert (record.replicas, record.ready_replicas, record.updated_replicas) == (0, 4, 5)
    assert record.template_labels == (("app", "echo"), ("version", "v2"))
    assert objects.label(record.template_labels, "version") == "v2"
    assert record.revision == "2"
    assert record.created == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert (record.progress_deadline, record.paused) == (60, True)
    assert record.request == "abort"


def test_a_deployment_keeps_no_foreign_annotation():
    assert trim_deployment(DEPLOYMENT).annotations == (("crossfade.dev/request", "abort"),)


def test_a_hostile_request_costs_no_memory():
    obj = {"metadata": {"annotations": {"crossfade.dev/request": "x" * 262_144}}}

    assert len(trim_deployment(obj).request) == objects.MAX_ANNOTATION


def test_a_deployment_of_nothing_has_the_defaults_of_the_api():
    record = trim_deployment({})

    assert (record.replicas, record.progress_deadline, record.paused) == (1, 600, False)
    assert (record.request, record.revision, record.template_labels) == (None, "", ())


def test_a_pod_keeps_what_readiness_needs():
    record = trim_pod(POD)

    assert (record.namespace, record.name, record.uid) == ("echo", "echo-v2-7d9f-x", "p-1")
    assert (record.ip, record.template_hash, record.owner_uid) == ("10.0.0.7", "7d9f", "rs-1")
    assert (record.ready, record.terminating, record.restarts) == (True, True, 3)


@pytest.mark.parametrize("status", ["False", "Unknown", None])
def test_a_pod_is_ready_only_if_its_condition_says_so(status):
    conditions = [{"type": "Ready", "status": status}]

    assert not trim_pod({"status": {"conditions": conditions}}).ready


def scraped(**annotations):
    return {f"prometheus.io/{key}": value for key, value in annotations.items()}


HTTP, METRICS = {"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9102}
PAGES = {
    "all of it annotated": (scraped(scrape="true", port="9090", path="/m"), [HTTP], ":9090/m"),
    "a path without its slash": (scraped(scrape="true", port="9090", path="m"), [], ":9090/m"),
    "no path": (scraped(scrape="true", port="9090"), [HTTP], ":9090/metrics"),
    "no port, and one that is meant": (scraped(scrape="true"), [HTTP, METRICS], ":9102/metrics"),
    "no port, and one only": (scraped(scrape="true"), [HTTP], ":8080/metrics"),
    "no port, and two": (scraped(scrape="true"), [HTTP, HTTP | {"name": "b"}], ""),
    "a port named metrics": ({}, [HTTP, METRICS], ":9102/metrics"),
    "not to be scraped": (scraped(scrape="false"), [METRICS], ""),
    "nothing said": ({}, [HTTP], ""),
    "a port in words": (scraped(scrape="true", port="http"), [HTTP], ""),
    "a port that is none": (scraped(scrape="true", port="70000"), [HTTP], ""),
    "a port of many digits": (scraped(scrape="true", port="9" * 5000), [HTTP], ""),
    "a path with blanks": (scraped(scrape="true", port="1", path="/a b"), [HTTP], ""),
    "a long path": (scraped(scrape="true", port="1", path="/" + "a" * 101), [HTTP], ""),
    "ports that are no list": (scraped(scrape="true"), "x", ""),
}


@pytest.mark.parametrize("case", PAGES)
def test_a_pod_names_its_metrics_page_by_the_usual_annotations_or_a_port(case):
    annotations, ports, page = PAGES[case]
    pod = {"metadata": {"annotations": annotations}, "spec": {"containers": [{"ports": ports}]}}

    assert trim_pod(pod).page == page


def test_a_pod_of_nothing_is_not_ready_and_nobodys():
    record = trim_pod({})

    assert (record.ip, record.ready, record.owner_uid, record.template_hash) == ("", False, "", "")


def test_a_replica_set_tells_whose_it_is_and_its_templates_hash():
    record = trim_replicaset({
        "metadata": {
            "namespace": "echo",
            "name": "echo-v2-7d9f",
            "uid": "rs-1",
            "labels": {"pod-template-hash": "7d9f"},
            "annotations": {"deployment.kubernetes.io/revision": "2"},
            "ownerReferences": [{"uid": "u-1", "controller": True}],
        }
    })  # fmt: skip

    assert astuple(record) == ("echo", "echo-v2-7d9f", "rs-1", "u-1", "2", "7d9f")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["metadata", "spec", "status", "labels", "annotations", "conditions", "ownerReferences",
         "creationTimestamp", "crossfade.dev/request", "template", "replicas", "name"]
    ), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@calm
@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JSON))
def test_trimming_never_fails_and_is_repeatable(obj):
    for trim in (trim_deployment, trim_pod, trim_replicaset):
        assert trim(obj) == trim(obj)


def test_a_record_is_small():
    records = [trim_deployment(DEPLOYMENT) for _ in range(2)]
    own = sys.getsizeof(records[0])

    assert own < 250
    assert not hasattr(records[0], "__dict__")
    assert records[0].template_labels[0][1] is records[1].template_labels[0][1]


def test_an_api_version_of_the_core_group_has_no_group():
    assert objects.PODS.api_version == "v1"
    assert objects.DEPLOYMENTS.api_version == "apps/v1"
