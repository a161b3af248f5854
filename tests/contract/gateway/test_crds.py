"""The definitions of Gloo's kinds: they know Gloo's fields, and only those."""

from pathlib import Path

import pytest
import yaml

from daemon.sandbox.crds import gloo_crds

REAL = Path(__file__).parents[4] / "shared" / "cases" / "crds" / "gloo-v1.22.1"
CRDS = {crd["spec"]["names"]["plural"]: crd for crd in gloo_crds()}
ROUTE = ("spec", "virtualHost", "routes")


def version_of(crd):
    [version] = crd["spec"]["versions"]
    return version


def schema_of(crd):
    return version_of(crd)["schema"]["openAPIV3Schema"]


def node(plural, *path):
    found = schema_of(CRDS[plural])
    for part in path:
        found = found["items"] if part == "[]" else found["properties"][part]
    return found


def nodes(schema):
    yield schema
    for child in (schema.get("properties") or {}).values():
        yield from nodes(child)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key])


def test_all_kinds_of_gloo_are_there():
    assert set(CRDS) == {
        *("virtualservices", "routetables", "gateways", "routeoptions", "virtualhostoptions"),
        *("upstreams", "upstreamgroups", "proxies", "settings"),
    }


SHORT = {
    "virtualservices": "vs",
    "routetables": "rt",
    "gateways": "gw",
    "upstreams": "us",
    "upstreamgroups": "ug",
}


@pytest.mark.parametrize("plural", SHORT)
def test_short_names_are_gloos(plural):
    assert SHORT[plural] in CRDS[plural]["spec"]["names"]["shortNames"]


@pytest.mark.parametrize("plural", CRDS)
def test_there_is_no_status_subresource(plural):
    assert "subresources" not in version_of(CRDS[plural])


@pytest.mark.parametrize("plural", CRDS)
def test_every_schema_is_structural(plural):
    assert all("type" in n for n in nodes(schema_of(CRDS[plural])))


@pytest.mark.parametrize("plural", CRDS)
def test_no_list_is_keyed_and_no_field_is_required(plural):
    for found in nodes(schema_of(CRDS[plural])):
        assert "x-kubernetes-list-type" not in found
        assert "required" not in found


def test_tables_know_the_same_routes_as_virtual_services():
    assert node("routetables", "spec", "routes") == node("virtualservices", *ROUTE)


def test_options_kept_apart_are_those_of_routes():
    apart = node("routeoptions", "spec", "options")

    assert apart == node("virtualservices", *ROUTE, "[]", "options")


def test_a_misspelt_field_is_not_known():
    options = node("virtualservices", *ROUTE, "[]", "options")
    retries = options["properties"]["retries"]

    assert "retryOn" in retries["properties"]
    assert "retry_on" not in retries["properties"]
    assert "x-kubernetes-preserve-unknown-fields" not in retries


def test_a_route_table_has_no_options_of_its_own():
    assert "options" not in node("routetables", "spec")["properties"]


@pytest.fixture(scope="module")
def real():
    files = [yaml.load(p.read_bytes(), yaml.CSafeLoader) for p in REAL.glob("*.yaml")]
    return {crd["spec"]["names"]["plural"]: crd for crd in files}


@pytest.mark.skipif(not REAL.is_dir(), reason="the real definitions are not beside the repository")
@pytest.mark.parametrize("plural", CRDS)
def test_the_fields_are_those_of_gloo_1_22(real, plural):
    own, other = schema_of(CRDS[plural]), schema_of(real[plural])

    assert list(differences(own["properties"]["spec"], other["properties"]["spec"], "spec")) == []


def differences(own, other, path):
    """Fields that one side lacks, above the parts we leave open."""
    if own.get("x-kubernetes-preserve-unknown-fields"):
        return
    if own["type"] != other["type"]:
        yield path, own["type"], other["type"]
    ours, theirs = own.get("properties") or {}, other.get("properties") or {}
    for name in ours.keys() ^ theirs.keys():
        yield f"{path}.{name}"
    for name in ours.keys() & theirs.keys():
        yield from differences(ours[name], theirs[name], f"{path}.{name}")
    if own["type"] == "array":
        yield from differences(own["items"], other["items"], f"{path}[]")
