"""The real CRDs of Gloo, the Gateway API and Istio: served, defaulted, checked as their schemas say."""

import json
from pathlib import Path

import pytest
import yaml

from daemon.ports import Resource
from daemon.sandbox.api import Options, StatusError, Store
from daemon.sandbox.api.patches import JSON_PATCH, Patch

CASES = Path(__file__).parents[4] / "shared" / "cases"
FOLDERS = ("gloo-v1.22.1", "gateway-api-v1.6.1-standard", "istio-1.30.3")

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not there")

VIRTUAL_SERVICE = Resource("gateway.solo.io", "v1", "virtualservices", "VirtualService")
HTTP_ROUTE = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
ISTIO = Resource("networking.istio.io", "v1", "virtualservices", "VirtualService")


def documents(path: Path) -> list:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [
        d
        for d in yaml.load_all(path.read_text(), Loader=loader)
        if isinstance(d, dict) and "kind" in d
    ]


@pytest.fixture(scope="module")
def crds() -> list:
    files = [
        path for folder in FOLDERS for path in sorted((CASES / "crds" / folder).glob("*.yaml"))
    ]
    found = [document for path in files for document in documents(path)]
    return [document for document in found if document["kind"] == "CustomResourceDefinition"]


@pytest.fixture(scope="module")
def store(crds: list) -> Store:
    store = Store()
    for crd in crds:
        store.add_crd(crd)
    return store


@pytest.fixture
def namespace(store: Store, request: pytest.FixtureRequest) -> str:
    name = f"n{abs(hash(request.node.name))}"
    store.create(Resource("", "v1", "namespaces", "Namespace"), "", {"metadata": {"name": name}})
    return name


def test_all_of_them_are_served(store: Store, crds: list):
    for crd in crds:
        kind = store.registry.of(crd["spec"]["group"], crd["spec"]["names"]["plural"])
        served = {v["name"] for v in crd["spec"]["versions"] if v["served"]}
        assert kind is not None
        assert set(kind.versions) == served


def test_gloos_kinds_have_no_status_subresource_and_the_others_do(store: Store):
    has = {
        r.plural + r.group: store.kind_of(r).has_status
        for r in (VIRTUAL_SERVICE, HTTP_ROUTE, ISTIO)
    }

    assert list(has.values()) == [False, True, True]


MANIFESTS = [
    path
    for folder in ("gloo", "gloo-docs", "gateway-api")
    for path in sorted((CASES / folder).glob("*.yaml"))
]
INVALID = {
    "security--cors--01": "spec.virtualHost.options.cors",  # a placeholder in brackets
}


def resource_of(store: Store, document: dict) -> Resource | None:
    kind = store.registry.by_kind(document["apiVersion"], document["kind"])
    version = document["apiVersion"].rpartition("/")[2]
    return None if kind is None else Resource(kind.group, version, kind.plural, kind.kind)


@pytest.mark.parametrize("path", MANIFESTS, ids=[path.stem for path in MANIFESTS])
def test_a_manifest_from_the_wild_is_stored_and_read_back(store: Store, namespace, path):
    for document in documents(path):
        resource = resource_of(store, document)
        if resource is None or not document.get("metadata"):
            continue
        for name in ("namespace", "resourceVersion"):
            document["metadata"].pop(name, None)
        document["metadata"].setdefault("name", "unnamed")
        spec = json.loads(json.dumps(document.get("spec")))
        if path.stem in INVALID:
            with pytest.raises(StatusError, match=INVALID[path.stem]):
                store.create(resource, namespace, document)
            continue
        stored = store.create(resource, namespace, document)
        if not stored.warnings and "solo.io" in resource.group:
            assert without_nulls(stored.entry.obj["spec"]) == without_nulls(spec)


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def test_a_gloo_route_is_edited_without_touching_its_neighbours(store: Store, namespace):
    def destination(version: str) -> dict:
        upstream = {"name": "echo", "namespace": "gloo-system"}
        return {
            "destination": {"upstream": upstream, "subset": {"values": {"version": version}}},
            "weight": 50,
        }

    spec = {
        "virtualHost": {
            "domains": ["*"],
            "routes": [
                {"matchers": [{"prefix": "/"}], "routeAction": {"multi": {"destinations": [destination("v1"), destination("v2")]}}},
                {"matchers": [{"prefix": "/other"}], "directResponseAction": {"status": 200}},
            ],
        }
    }  # fmt: skip
    body = {
        "apiVersion": "gateway.solo.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "e"},
        "spec": spec,
    }
    before = store.create(VIRTUAL_SERVICE, namespace, body).entry.obj
    path = "/spec/virtualHost/routes/0/routeAction/multi/destinations"
    operations = [
        {"op": "test", "path": "/metadata/uid", "value": before["metadata"]["uid"]},
        {
            "op": "test",
            "path": "/spec/virtualHost/routes/0",
            "value": before["spec"]["virtualHost"]["routes"][0],
        },
        {"op": "add", "path": f"{path}/0/weight", "value": 75},
        {"op": "add", "path": f"{path}/1/weight", "value": 25},
    ]
    patch = Patch(JSON_PATCH, json.dumps(operations).encode())
    after = store.patch(
        VIRTUAL_SERVICE, namespace, "e", patch, Options(validation="Strict")
    ).entry.obj

    routes = after["spec"]["virtualHost"]["routes"]
    weights = [d["weight"] for d in routes[0]["routeAction"]["multi"]["destinations"]]
    assert weights == [75, 25]
    assert routes[1] == before["spec"]["virtualHost"]["routes"][1]


def test_a_gateway_api_route_gets_its_defaults(store: Store, namespace):
    rule = {"backendRefs": [{"name": "echo", "port": 80}]}
    body = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r"},
            "spec": {"parentRefs": [{"name": "gw"}], "rules": [rule]}}  # fmt: skip
    spec = store.create(HTTP_ROUTE, namespace, body).entry.obj["spec"]

    assert spec["rules"][0]["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert spec["rules"][0]["backendRefs"][0]["weight"] == 1
    assert spec["parentRefs"][0]["kind"] == "Gateway"


REFUSED = [
    ("a weight over the limit", HTTP_ROUTE, {"rules": [{"backendRefs": [{"name": "a", "port": 80, "weight": 9_999_999}]}]}),
    ("a port out of range", HTTP_ROUTE, {"rules": [{"backendRefs": [{"name": "a", "port": 99_999}]}]}),
    ("a weight that is text", ISTIO, {"http": [{"route": [{"destination": {"host": "a"}, "weight": "50"}]}]}),
    ("two kinds of a match", ISTIO, {"http": [{"match": [{"uri": {"exact": "/", "prefix": "/"}}]}]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "spec"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_a_real_schema_refuses(store: Store, namespace, resource, spec):
    body = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": "x"},
        "spec": spec,
    }
    with pytest.raises(StatusError) as refused:
        store.create(resource, namespace, body)

    assert refused.value.code == 422


def test_a_misspelt_field_of_gloo_is_refused_where_asked(store: Store, namespace):
    body = {"apiVersion": "gateway.solo.io/v1", "kind": "VirtualService", "metadata": {"name": "x"},
            "spec": {"virtualHost": {"domians": ["*"]}}}  # fmt: skip
    with pytest.raises(StatusError, match=r'unknown field "spec.virtualHost.domians"'):
        store.create(VIRTUAL_SERVICE, namespace, body, Options(validation="Strict"))
