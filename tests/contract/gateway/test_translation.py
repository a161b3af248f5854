"""Rules of the translation that need no Envoy to be seen."""

import pytest

from daemon.sandbox.gateway.matchers import path_problem, rank, regex_problem
from daemon.sandbox.gateway.objects import Ref, Snapshot
from daemon.sandbox.gateway.selectors import expression_problem, satisfies
from daemon.sandbox.gateway.translator import translate
from daemon.sandbox.gateway.verdicts import State, Verdict, verdict_of
from tests.contract.gateway.build import (
    ECHO,
    V1,
    V2,
    at,
    route_table,
    share,
    to,
    upstream,
    virtual_service,
)
from tests.contract.gateway.world import meta, service

REGEXES = [
    ("plain", "/a/[0-9]+", True),
    ("alternatives", "(a|b)*c?", True),
    ("named-group", "(?P<year>[0-9]{4})", True),
    ("flags-in-the-middle", "a(?i)b", True),
    ("class-of-a-script", r"\pL+\p{Greek}", True),
    ("class-by-name", "[[:alpha:]_]+", True),
    ("quoted", r"\Qa.b(\E", True),
    ("plus-in-a-class", "[*+]+", True),
    ("open-class", "/([", False),
    ("open-group", "/(a", False),
    ("nothing-to-repeat", "*a", False),
    ("look-ahead", "a(?=b)", False),
    ("look-behind", "(?<!a)b", False),
    ("back-reference", r"(a)\1", False),
    ("back-reference-by-name", "(?P<n>a)(?P=n)", False),
    ("possessive", "a*+", False),
    ("repeated-repetition", "a**", False),
    ("atomic-group", "(?>a)", False),
    ("too-deep", "(" * 2000 + ")" * 2000, False),
    ("class-in-a-class", "[[a]", True),
    ("too-many-repetitions", "a{1001}", False),
]


@pytest.mark.parametrize(
    ("pattern", "valid"), [r[1:] for r in REGEXES], ids=[r[0] for r in REGEXES]
)
def test_a_regex_is_judged_as_re2_would(pattern, valid):
    assert (regex_problem(pattern) is None) is valid


PATHS = [
    ("plain", "/a/b-c_d~e", True),
    ("escaped", "/a%20b", True),
    ("double-slash", "/a//b", False),
    ("dot-dot", "/a/../b", False),
    ("ends-in-a-dot", "/a/.", False),
    ("escaped-slash", "/a%2Fb", False),
    ("space", "/a b", False),
]


@pytest.mark.parametrize(("path", "valid"), [p[1:] for p in PATHS], ids=[p[0] for p in PATHS])
def test_a_path_that_gloo_dislikes_is_found(path, valid):
    assert (path_problem(path) is None) is valid


def test_a_disliked_path_is_accepted_and_shows_below():
    made = translated(ECHO, virtual_service("shop", to(V1, matchers=[{"prefix": "/a//b"}])))

    assert made.verdicts[SHOP].state is State.ACCEPTED
    assert "the path is invalid: /a//b" in made.proxy.verdict.reason


ORDERS = [
    # id, first, second
    ("more-methods", {"prefix": "/", "methods": ["GET", "PUT"]}, {"exact": "/a"}),
    ("exact-before-regex", {"exact": "/a"}, {"regex": "/abc"}),
    ("regex-before-prefix", {"regex": "/a"}, {"prefix": "/abc"}),
    ("longer-path", {"prefix": "/a/b"}, {"prefix": "/a"}),
    ("later-path", {"prefix": "/b"}, {"prefix": "/a"}),
]


@pytest.mark.parametrize(("first", "second"), [o[1:] for o in ORDERS], ids=[o[0] for o in ORDERS])
def test_routes_of_equal_tables_are_ordered_by(first, second):
    assert rank([first]) < rank([second])
    assert not rank([second]) < rank([first])


def test_headers_do_not_count_in_that_order():
    with_header = {"prefix": "/", "headers": [{"name": "stage", "value": "canary"}]}

    assert not rank([with_header]) < rank([{"prefix": "/"}])
    assert not rank([{"prefix": "/"}]) < rank([with_header])


EXPRESSIONS = [
    ("equals", "Equals", ["a"], True),
    ("equals-not", "Equals", ["b"], False),
    ("double-equals", "DoubleEquals", ["a"], True),
    ("not-equals", "NotEquals", ["a"], False),
    ("in", "In", ["b", "a"], True),
    ("not-in", "NotIn", ["b"], True),
    ("exists", "Exists", [], True),
    ("does-not-exist", "DoesNotExist", [], False),
]


@pytest.mark.parametrize(
    ("operator", "values", "holds"), [e[1:] for e in EXPRESSIONS], ids=[e[0] for e in EXPRESSIONS]
)
def test_an_expression_selects_by_label(operator, values, holds):
    expression = {"key": "k", "operator": operator, "values": values}

    assert expression_problem(expression) is None
    assert satisfies([expression], {"k": "a"}) is holds


def test_numbers_compare_as_numbers():
    assert satisfies([{"key": "k", "operator": "GreaterThan", "values": ["9"]}], {"k": "10"})
    assert not satisfies([{"key": "k", "operator": "LessThan", "values": ["9"]}], {"k": "10"})


@pytest.mark.parametrize(
    ("operator", "values"),
    [("Equals", []), ("In", []), ("Exists", ["a"]), ("GreaterThan", ["x"])],
)
def test_an_expression_with_the_wrong_values_is_found(operator, values):
    assert expression_problem({"key": "k", "operator": operator, "values": values})


SHOP = Ref("VirtualService", "gloo-system", "shop")


def translated(*objects, before=None, **options):
    more = [before] if before else []
    return translate(Snapshot.of([service("echo"), *objects]), *more, **options)


class TestNames:
    def test_a_cluster_is_named_after_upstream_and_namespace(self):
        assert set(translated(ECHO).clusters) == {"echo_gloo-system"}

    def test_a_virtual_host_is_named_after_namespace_and_virtual_service(self):
        [host] = translated(virtual_service("shop", to(V1))).routes["virtual_hosts"]

        assert host["name"] == "gloo-system_shop"

    def test_an_unnamed_route_is_named_by_its_place(self):
        made = translated(virtual_service("shop", to(V1)))

        assert route_names(made) == ["gloo-system_shop-route-0-matcher-0"]

    def test_a_name_on_the_branch_shows_the_whole_way_to_the_route(self):
        table = {"ref": {"name": "t", "namespace": "echo"}}
        made = translated(
            virtual_service("shop", {"delegateAction": table}),
            route_table("t", to(V1, name="main")),
        )

        way = (
            "vs:gateway-proxy_gateway-proxy_gloo-system_shop_route:<unnamed-0>_rt:echo_t_route:main"
        )
        assert route_names(made) == [f"gloo-system_shop-route-0-{way}-matcher-0"]


def route_names(made):
    return [r["name"] for h in made.routes["virtual_hosts"] for r in h["routes"]]


class TestEndpoints:
    def slice_of(self, *endpoints, ports=None):
        own = [{"name": "http", "port": 9000}] if ports is None else ports
        return {
            "kind": "EndpointSlice",
            "metadata": meta("echo-1", "echo", {"kubernetes.io/service-name": "echo"}),
            "ports": own,
            "endpoints": list(endpoints),
        }

    def pod(self, name="p", **labels):
        return {"kind": "Pod", "metadata": meta(name, "echo", {"app": "echo", **labels})}

    def endpoint(self, address="192.0.2.1", pod="p", **conditions):
        target = {"kind": "Pod", "name": pod, "namespace": "echo"}
        return {"addresses": [address], "conditions": conditions, "targetRef": target}

    def found(self, *objects, upstream_=ECHO):
        assignment = translated(upstream_, *objects).assignments["echo_gloo-system"]
        return [e for group in assignment["endpoints"] for e in group["lb_endpoints"]]

    def test_all_labels_of_the_pod_are_metadata_as_strings(self):
        pod = self.pod(version="v1", number=7)

        [endpoint] = self.found(self.slice_of(self.endpoint()), pod)

        assert endpoint["metadata"]["filter_metadata"]["envoy.lb"] == {
            "app": "echo",
            "version": "v1",
            "number": "7",
        }

    def test_the_slices_port_is_used_not_the_services(self):
        [endpoint] = self.found(self.slice_of(self.endpoint()), self.pod())

        address = endpoint["endpoint"]["address"]["socket_address"]
        assert address == {"address": "192.0.2.1", "port_value": 9000}

    def test_readiness_that_is_not_said_counts_as_ready(self):
        assert self.found(self.slice_of(self.endpoint()), self.pod())

    def test_an_endpoint_that_is_not_ready_is_left_out(self):
        assert not self.found(self.slice_of(self.endpoint(ready=False)), self.pod())

    def test_a_pod_that_the_selector_does_not_want_is_left_out(self):
        wanted = upstream("echo", selector={"version": "v2"})

        found = self.found(self.slice_of(self.endpoint()), self.pod(), upstream_=wanted)

        assert not found

    def test_with_a_selector_an_endpoint_without_a_pod_is_left_out(self):
        assert not self.found(self.slice_of(self.endpoint()))

    def test_of_several_ports_the_one_of_the_services_name_is_used(self):
        two = service("echo")
        two["spec"]["ports"] = [{"name": "admin", "port": 1}, {"name": "http", "port": 8080}]
        ports = [{"name": "admin", "port": 1}, {"name": "http", "port": 9000}]

        [endpoint] = self.found(self.slice_of(self.endpoint(), ports=ports), self.pod(), two)

        assert endpoint["endpoint"]["address"]["socket_address"]["port_value"] == 9000

    def test_endpoints_are_read_where_there_are_no_slices(self):
        old = {
            "kind": "Endpoints",
            "metadata": meta("echo", "echo"),
            "subsets": [
                {
                    "ports": [{"name": "http", "port": 9000}],
                    "addresses": [{"ip": "192.0.2.1", "targetRef": {"kind": "Pod", "name": "p"}}],
                    "notReadyAddresses": [{"ip": "192.0.2.2"}],
                }
            ],
        }

        assert len(self.found(old, self.pod())) == 1


class TestGateways:
    def gateway(self, **http):
        return {"kind": "Gateway", "metadata": meta("g"), "spec": {"httpGateway": http}}

    SERVICE = virtual_service("shop", to(V1))
    SELECTIONS = (
        ("everything", {}, True),
        ("by-label", {"virtualServiceSelector": {"team": "a"}}, True),
        ("by-other-label", {"virtualServiceSelector": {"team": "b"}}, False),
        ("by-name", {"virtualServices": [{"name": "shop", "namespace": "gloo-system"}]}, True),
        ("by-other-name", {"virtualServices": [{"name": "x", "namespace": "gloo-system"}]}, False),
        ("by-namespace", {"virtualServiceNamespaces": ["gloo-system"]}, True),
        ("by-other-namespace", {"virtualServiceNamespaces": ["echo"]}, False),
        (
            "by-expression",
            {"virtualServiceExpressions": {"expressions": [{"key": "team", "operator": "Exists"}]}},
            True,
        ),
    )

    @pytest.mark.parametrize(
        ("http", "taken"), [s[1:] for s in SELECTIONS], ids=[s[0] for s in SELECTIONS]
    )
    def test_a_gateway_serves_the_virtual_services_it_selects(self, http, taken):
        labelled = {**self.SERVICE, "metadata": meta("shop", labels={"team": "a"})}

        made = translated(labelled, self.gateway(**http))

        assert bool(made.routes["virtual_hosts"]) is taken

    def test_one_for_tls_serves_none_of_the_plain_ones(self):
        secret = {**self.SERVICE, "spec": {**self.SERVICE["spec"], "sslConfig": {}}}

        assert not translated(secret).routes["virtual_hosts"]


class TestVerdicts:
    def test_errors_are_counted_and_listed_as_gloo_does(self):
        verdict = verdict_of(["one", "two"], ["careful"])

        text = "2 errors occurred:\n\t* one\n\t* two\n\n\nwarning: \n  careful"
        assert verdict == Verdict(State.REJECTED, text)

    def test_warnings_alone_are_a_warning(self):
        assert verdict_of([], ["careful"]) == Verdict(State.WARNING, "warning: \n  careful")

    def test_every_object_gets_one(self):
        made = translated(ECHO, virtual_service("shop", to(V1)), route_table("t"))

        assert {r.kind for r in made.verdicts} == {"Upstream", "VirtualService", "RouteTable"}

    def test_a_virtual_service_without_a_host_is_a_warning(self):
        bare = {"kind": "VirtualService", "metadata": meta("shop"), "spec": {}}

        assert translated(bare).verdicts[SHOP].state is State.WARNING

    def test_an_upstream_without_a_type_is_rejected_and_has_no_cluster(self):
        bare = {"kind": "Upstream", "metadata": meta("echo"), "spec": {}}

        made = translated(bare)

        assert made.verdicts[Ref("Upstream", "gloo-system", "echo")].state is State.REJECTED
        assert not made.clusters

    def test_an_invalid_regex_in_a_table_rejects_the_host_only(self):
        table = {"ref": {"name": "t", "namespace": "echo"}}
        made = translated(
            virtual_service("shop", {"delegateAction": table, "matchers": [{"prefix": "/"}]}),
            route_table("t", to(V1, matchers=[{"regex": "/(["}])),
        )

        assert made.verdicts[SHOP].state is State.REJECTED
        assert made.verdicts[Ref("RouteTable", "echo", "t")].state is State.ACCEPTED


def test_the_same_world_gives_the_same_resources():
    objects = [ECHO, virtual_service("b", to(V1)), virtual_service("a", share((V1, 1), (V2, 2)))]

    once, again = translated(*objects), translated(*reversed(objects))

    assert (once.routes, once.clusters) == (again.routes, again.clusters)


def test_objects_are_not_changed_by_being_translated():
    parent = {"prefix": "/", "headers": [{"name": "a"}]}
    table = {"ref": {"name": "t", "namespace": "echo"}}
    route = {"matchers": [parent], "delegateAction": table, "inheritableMatchers": True}
    objects = [ECHO, virtual_service("shop", route), route_table("t", to(at()))]
    before = repr(objects)

    translated(*objects)

    assert repr(objects) == before
