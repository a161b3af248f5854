"""Over all route lists: reading never fails, and a patch touches nothing that is not ours."""

from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.model import Guide, GuideKind, Pinned, RouteSeen, Split, Unclear, Weighted
from daemon.errors import PermanentError
from daemon.gateway import GatewayAddress
from tests.spec.routers.patching import apply_patch, same
from tests.spec.routers.routes import (
    KEY,
    RECORD,
    ROLLOUT,
    ROUTER,
    SERVICE_AT,
    UPSTREAM_AT,
    open_route,
    pinned,
    service,
    single,
    split,
    to,
    upstream,
    virtual_service,
)

few = settings(max_examples=100, deadline=None)
OTHER = {"name": "other", "namespace": "gloo-system"}
WORDS = [
    "spec",
    "virtualHost",
    "routes",
    "metadata",
    "annotations",
    "uid",
    "routeAction",
    "single",
    "multi",
    "destinations",
    "weight",
    "destination",
    "upstream",
    "name",
    "namespace",
    "subset",
    "values",
    "version",
    "matchers",
    "headers",
    "value",
    "prefix",
    "exact",
    "options",
    "headerManipulation",
    "responseHeadersToAdd",
    "header",
    "key",
    "x-crossfade-rollout",
    "status",
    "state",
    "x-crossfade-decision",
    "statuses",
    "subresourceStatuses",
    "reason",
    "managedFields",
    "fieldsV1",
    "f:spec",
    "manager",
    "kube",
    "selectors",
    "keys",
    "subsetSpec",
    "fallbackPolicy",
    "servicePort",
    "ports",
    "selector",
    "delegateAction",
    "ref",
    "echo",
    "gloo-system",
    "stage",
    "canary",
    "crossfade-probe",
    "shadowing",
    "queryParameters",
    "methods",
    "regex",
    "domains",
]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=8,
)
foreign_members = st.dictionaries(
    st.sampled_from(["name", "options", "inheritableMatchers"]), values, max_size=2
)
DAMAGES = 10
"""Damaged objects an example; a draw of Hypothesis is dear, a random one is not."""


def any_value(rng, depth=0):
    match rng.randrange(9 if depth < 3 else 7):
        case 0:
            return None
        case 1:
            return rng.random() < 0.5
        case 2:
            return rng.randrange(-2, 300)
        case 3:
            return rng.choice(WORDS)
        case 4:
            return 1.5
        case 5:
            return rng.choice(["", "\u2028", "x" * 300])
        case 6 | 7:
            return [any_value(rng, depth + 1) for _ in range(rng.randrange(3))]
        case _:
            return {rng.choice(WORDS): any_value(rng, depth + 1) for _ in range(rng.randrange(3))}


def damaged(obj, rng):
    """Put any value at one or two places of a sound object."""
    obj = deepcopy(obj)
    for _ in range(rng.randrange(1, 3)):
        here, key = obj, rng.choice(sorted(obj))
        for _ in range(rng.randrange(12)):
            if not isinstance(here[key], dict | list) or not here[key]:
                break
            here = here[key]
            key = rng.choice(sorted(here) if isinstance(here, dict) else range(len(here)))
        here[key] = any_value(rng)
    return obj


def a_full_object():
    obj = virtual_service(pinned("v1", name="main"), annotations={KEY: RECORD})
    guided = Split(Weighted("v1", "v2", 25), Guide(GuideKind.HEADER, "r7f3", 17))
    obj = apply_patch(obj, ROUTER.plan(ROLLOUT, obj, guided, RECORD))
    obj["status"] = {"statuses": {"gloo-system": {"state": 2, "reason": "x"}}}
    obj["metadata"]["managedFields"] = [
        {"manager": "x", "time": "2026", "fieldsV1": {"f:spec": {}}}
    ]
    return obj


@few
@given(rng=st.randoms(use_true_random=False))
def test_whatever_an_object_holds_it_is_read_and_never_written_unless_told(rng):
    sound = a_full_object()
    for _ in range(DAMAGES):
        obj = damaged(sound, rng)
        others = {UPSTREAM_AT: damaged(upstream(), rng), SERVICE_AT: damaged(service(), rng)}

        seen = ROUTER.read(ROLLOUT, obj, others)
        address = ROUTER.gateway(ROLLOUT, obj)

        told = not isinstance(seen.owned, Unclear) or seen.owned.identifiable
        assert isinstance(seen, RouteSeen)
        assert isinstance(address, GatewayAddress | str)
        assert can_be_written(obj) is told


def can_be_written(obj):
    try:
        ROUTER.plan(ROLLOUT, obj, Split(Pinned("v1"), None), RECORD)
    except PermanentError:
        return False
    return True


# ---------------------------------------------------------------- what is not ours stays


foreign_routes = st.builds(
    lambda route, members: deepcopy(route) | members,
    st.sampled_from(
        [
            single(to("v1", OTHER)),
            single({"upstream": OTHER}),
            {"matchers": [{"prefix": "/r"}], "redirectAction": {"hostRedirect": "a<b>&\u2028"}},
            {"delegateAction": {"ref": {"name": "t", "namespace": "n"}}},
            {"routeAction": {"upstreamGroup": {"name": "g"}}, "unknown": {"weight": 0}},
        ]
    ),
    foreign_members,
)
matchers = st.lists(
    st.sampled_from(
        [
            {"prefix": "/"},
            {"exact": "/a", "methods": ["GET"]},
            {"regex": "/b.*", "headers": [{"name": "x-tenant", "value": "t"}]},
            {"queryParameters": [{"name": "q"}]},
        ]
    ),
    max_size=2,
)
owned_routes = st.builds(
    lambda route, its_matchers, members: deepcopy(route) | {"matchers": its_matchers} | members,
    st.sampled_from(
        [
            pinned("v1"),
            pinned("v2"),
            open_route(),
            split(("v1", 75), ("v2", 25)),
            split(("v2", None), ("v1", 7)),
            split(("v1", 33), ("v2", 33), ("v3", 33)),
            single({"upstream": {"name": "echo"}, "subset": {"values": {"release": "x"}}}),
        ]
    ),
    matchers,
    foreign_members,
)
owned_states = st.one_of(
    st.sampled_from([Pinned("v1"), Pinned("v2")]),
    st.builds(Weighted, st.just("v1"), st.just("v2"), st.integers(0, 100)),
)
guides = st.none() | st.builds(
    Guide, st.sampled_from(list(GuideKind)), st.just("r7f3"), st.integers(1, 10**6)
)
splits = st.builds(Split, owned_states, guides)
annotation_maps = st.none() | st.dictionaries(
    st.sampled_from(["team", "a/b", KEY]), st.text(max_size=5)
)


@st.composite
def objects(draw):
    above = draw(st.lists(foreign_routes, max_size=3))
    below = draw(st.lists(foreign_routes, max_size=3))
    owned = draw(owned_routes)
    obj = virtual_service(*above, owned, *below, annotations=draw(annotation_maps))
    obj["spec"]["displayName"] = draw(values)
    return obj, above, owned, below


@few
@given(drawn=objects(), history=st.lists(splits, min_size=1, max_size=4))
def test_patches_leave_all_but_action_guide_and_record_as_it_was(drawn, history):
    obj, above, owned, below = drawn
    patched = obj

    for the_split in history:
        patched = apply_patch(patched, ROUTER.plan(ROLLOUT, patched, the_split, RECORD))

    routes = patched["spec"]["virtualHost"]["routes"]
    count = len(above) + (history[-1].guide is not None)
    here = routes[count]
    assert same(routes[: len(above)], above)
    assert same(routes[count + 1 :], below)
    assert same(without(here, "routeAction"), without(owned, "routeAction"))
    assert same(without_ours(patched), without_ours(obj))


def without(route, *members):
    return {name: value for name, value in route.items() if name not in members}


def without_ours(obj):
    """The object without its routes and without our annotation."""
    rest = deepcopy(obj)
    del rest["spec"]["virtualHost"]["routes"]
    annotations = rest["metadata"].pop("annotations", None) or {}
    rest["metadata"]["annotations"] = without(annotations, KEY)
    return rest


@few
@given(drawn=objects(), history=st.lists(splits, min_size=1, max_size=3))
def test_what_was_written_is_read_back_and_nothing_is_left_to_write(drawn, history):
    patched = drawn[0]
    for the_split in history:
        patched = apply_patch(patched, ROUTER.plan(ROLLOUT, patched, the_split, RECORD))

    seen = ROUTER.read(ROLLOUT, patched, None)

    last = history[-1]
    assert seen.owned == last.owned
    assert seen.record_text == RECORD
    assert seen.guide_sound
    assert (seen.guide is None) == (last.guide is None)
    if last.guide is not None:
        assert seen.guide.decision == last.guide.decision
    changes = ROUTER.plan(ROLLOUT, patched, last, RECORD)
    assert [op["path"] for op in changes if op["op"] != "test"] == [
        "/metadata/annotations/rollout.crossfade.dev~1echo.echo"
    ]


@few
@given(drawn=objects(), the_split=splits, data=st.data())
def test_a_guide_that_anybody_moved_is_brought_home(drawn, the_split, data):
    obj = drawn[0]
    guided = Split(Pinned("v1"), Guide(GuideKind.HEADER, "r7f3", 1))
    obj = apply_patch(obj, ROUTER.plan(ROLLOUT, obj, guided, RECORD))
    routes = obj["spec"]["virtualHost"]["routes"]
    guide = routes.pop(len(drawn[1]))
    routes.insert(data.draw(st.integers(0, len(routes))), guide)

    patched = apply_patch(obj, ROUTER.plan(ROLLOUT, obj, the_split, RECORD))

    left = patched["spec"]["virtualHost"]["routes"]
    ours = 1 + (the_split.guide is not None)
    start = len(drawn[1])
    assert same(left[:start] + left[start + ours :], drawn[1] + drawn[3])
