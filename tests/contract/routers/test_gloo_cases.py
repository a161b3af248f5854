"""Manifests of real people, and objects a real Gloo was shown: read, refused or patched, never harmed.

They are test input only and not part of the repository; without them these tests are skipped.
"""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from daemon.core.model import Guide, GuideKind, Open, Pinned, Split, Unclear, Weighted
from tests.spec.routers.patching import apply_patch, same
from tests.spec.routers.routes import RECORD, ROUTER, a_rollout

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases"
KINDS = {"VirtualService": "virtualService", "RouteTable": "routeTable"}

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the case files are not here")


def manifests():
    for folder in ("gloo", "gloo-docs"):
        for path in sorted((CASES / folder).glob("*.yaml")):
            # A placeholder of an installer becomes a namespace.
            text = path.read_text().replace("${INSTALL_NAMESPACE}", "gloo-system")
            for obj in yaml.safe_load_all(text):
                yield path.name, obj
    for path in sorted((CASES / "gloo-golden").glob("[a-z]*.json")):
        for stage in json.loads(path.read_text())["stages"]:
            for obj in stage["objects"]:
                yield path.name, obj


def route_objects():
    for name, obj in manifests():
        if isinstance(obj, dict) and obj.get("kind") in KINDS and "istio" not in obj["apiVersion"]:
            obj["metadata"].setdefault("namespace", "default")
            obj["metadata"]["name"] = obj["metadata"]["name"].lower()
            yield name, obj


def upstreams_named(value, namespace):
    """Every Upstream a route object mentions, anywhere."""
    if isinstance(value, dict):
        if isinstance(upstream := value.get("upstream"), dict) and "name" in upstream:
            yield f"{upstream.get('namespace') or namespace}/{upstream['name']}"
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from upstreams_named(item, namespace)


def pairs():
    """A route object with the policy that takes one of its Upstreams."""
    for name, obj in route_objects():
        namespace = obj["metadata"]["namespace"]
        at = f"{namespace}/{obj['metadata']['name']}"
        for upstream in sorted({*upstreams_named(obj, namespace), "x/none"}):
            gloo = {"virtualService": None, KINDS[obj["kind"]]: at, "upstream": upstream}
            yield name, obj, a_rollout(gloo=gloo)


def test_every_manifest_is_read_and_asked_for_its_gateway():
    count = 0
    for name, obj, rollout in pairs():
        seen = ROUTER.read(rollout, obj, {})
        ROUTER.gateway(rollout, obj)

        assert seen.owned is not None, name
        count += 1
    assert count > 100


def test_a_manifest_that_does_not_name_the_upstream_is_refused():
    for name, obj, rollout in pairs():
        if rollout.route.gloo.upstream == "x/none":
            owned = ROUTER.read(rollout, obj, None).owned

            assert isinstance(owned, Unclear), name
            assert not owned.identifiable, name


def test_a_rollout_over_any_manifest_leaves_every_foreign_route_as_it_was():
    patched_manifests = 0
    for name, obj, rollout in pairs():
        owned = ROUTER.read(rollout, obj, None).owned
        if isinstance(owned, Unclear):
            continue
        patched_manifests += 1
        patched = deepcopy(obj)
        for split in (
            Split(Pinned("v1"), None),
            Split(Pinned("v1"), Guide(GuideKind.HEADER, "r7f3", 1)),
            Split(Weighted("v1", "v2", 50), Guide(GuideKind.HEADER, "r7f3", 2)),
            Split(Pinned("v2"), Guide(GuideKind.WITNESS, "r7f3", 3)),
            Split(Pinned("v2"), None),
        ):
            patched = apply_patch(patched, ROUTER.plan(rollout, patched, split, RECORD))
            seen = ROUTER.read(rollout, patched, None)
            assert (seen.owned, seen.guide_sound) == (split.owned, True), name

        assert same(without_what_is_ours(patched, rollout), without_what_is_ours(obj, rollout)), (
            name
        )
    assert patched_manifests > 20


def without_what_is_ours(obj, rollout):
    rest = deepcopy(obj)
    rest["metadata"].pop("annotations", None)
    spec = rest["spec"]
    for route in (spec.get("virtualHost") or spec)["routes"]:
        if rollout.route.gloo.upstream in upstreams_named(route, rest["metadata"]["namespace"]):
            del route["routeAction"]
    return rest


GOLDEN = [
    ("pinned.json", 0, Pinned),
    ("open.json", 0, Open),
    ("weights-75-25.json", 0, Weighted("v1", "v2", 25)),
    ("weights-100-0.json", 0, "already takes requests with header"),
    ("weights-0-100.json", 0, Weighted("v1", "v2", 100)),
    ("weights-sum-4.json", 0, Weighted("v1", "v2", 75)),
    ("header.json", 0, "already takes requests with header"),
    ("weights-zero-total-first.json", 0, "sum to 0"),
    ("subset-wrong-key.json", 1, "chosen by release"),
    ("upstream-missing-in-weights.json", 0, "goes to Upstream"),
    ("group.json", 0, "UpstreamGroup"),
    ("delegate-missing-table.json", 0, Pinned),
]


@pytest.mark.parametrize(("name", "stage", "expected"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_what_a_real_gloo_was_shown_is_understood(name, stage, expected):
    objects = json.loads((CASES / "gloo-golden" / name).read_text())["stages"][stage]["objects"]
    obj = next(it for it in objects if it["kind"] == "VirtualService")
    at = f"gloo-system/{obj['metadata']['name']}"
    rollout = a_rollout(gloo={"virtualService": at, "upstream": "gloo-system/e"})

    owned = ROUTER.read(rollout, obj, None).owned

    if isinstance(expected, str):
        assert isinstance(owned, Unclear)
        assert expected in owned.why
    elif isinstance(expected, type):
        assert isinstance(owned, expected)
    else:
        assert owned == expected


def test_the_states_that_a_real_gloo_wrote_are_quoted_where_they_are_bad():
    quoted = {}
    for path in sorted((CASES / "gloo-golden").glob("[a-z]*.json")):
        for stage in json.loads(path.read_text())["stages"]:
            for key, status in stage["statuses"].items():
                obj = {"metadata": {}, "spec": {}, "status": {"statuses": {"gloo-system": status}}}
                said = ROUTER.read(a_rollout(), obj, None).gateway_says
                subs = (status.get("subresourceStatuses") or {}).values()
                states = {status.get("state"), *(sub.get("state") for sub in subs)}
                quoted[path.name, key, said] = (bool(said), bool(states & {"Rejected", "Warning"}))

    assert all(said == bad for said, bad in quoted.values())
    assert any(said for said, _ in quoted.values())
