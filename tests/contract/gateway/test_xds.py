"""The files Envoy reads: what is written when, and what stays for a moment."""

import json

from daemon.sandbox.gateway.objects import Snapshot
from daemon.sandbox.gateway.translator import empty, translate
from daemon.sandbox.gateway.xds import XdsFiles
from tests.contract.gateway.build import ECHO, V1, V2, at, to, upstream, virtual_service
from tests.contract.gateway.world import service


def publish(files: XdsFiles, *objects) -> bool:
    return files.publish(translate(Snapshot.of([service("echo"), *objects])))


def clusters(files: XdsFiles) -> set[str]:
    text = (files.directory / "cds.json").read_text(encoding="utf-8")
    return {c["name"] for c in json.loads(text)["resources"]}


def version(files: XdsFiles) -> str:
    return json.loads((files.directory / "rds.json").read_text(encoding="utf-8"))["version_info"]


def test_the_revision_that_changed_the_routes_is_their_version(tmp_path):
    files = XdsFiles(tmp_path)
    files.publish(empty())
    publish(files, ECHO, virtual_service("shop", to(V1)))

    assert (version(files), files.routes_version) == ("2", "2")


def test_routes_that_stay_the_same_keep_their_version(tmp_path):
    files = XdsFiles(tmp_path)
    publish(files, ECHO, virtual_service("shop", to(V1)))
    publish(files, ECHO, virtual_service("shop", to(V1)), upstream("more"))

    assert version(files) == files.routes_version == "1"


def test_a_cluster_stays_until_routes_that_used_it_are_gone(tmp_path):
    files = XdsFiles(tmp_path)
    publish(files, ECHO, upstream("old"), virtual_service("shop", to(at("old"))))

    due = publish(files, ECHO, virtual_service("shop", to(V2)))

    assert due
    assert clusters(files) == {"echo_gloo-system", "old_gloo-system"}
    files.sweep()
    assert clusters(files) == {"echo_gloo-system"}


def test_a_cluster_goes_at_once_where_no_route_changes(tmp_path):
    files = XdsFiles(tmp_path)
    publish(files, ECHO, upstream("old"), virtual_service("shop", to(at("old"))))

    due = publish(files, ECHO, virtual_service("shop", to(at("old"))))

    assert not due
    assert clusters(files) == {"echo_gloo-system"}


def test_every_cluster_has_a_file_of_its_own_for_its_endpoints(tmp_path):
    files = XdsFiles(tmp_path)
    long = upstream("x" * 250)
    publish(files, ECHO, long)

    found = [json.loads(p.read_text("utf-8")) for p in tmp_path.glob("eds-*.json")]

    assert all(len(f["resources"]) == 1 for f in found)
    assert {f["resources"][0]["cluster_name"] for f in found} == clusters(files)


def test_no_half_written_file_is_left(tmp_path):
    files = XdsFiles(tmp_path)
    publish(files, ECHO)

    assert not list(tmp_path.glob(".*"))
