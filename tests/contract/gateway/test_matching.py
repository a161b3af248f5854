"""Which requests a route takes. Each row is one rule, with the request that shows it."""

import pytest

from tests.contract.gateway.build import ECHO, V1, V2, canary, host_of, to, virtual_service
from tests.contract.gateway.judge import only, versions
from tests.contract.gateway.world import Answer, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOST = host_of("match")


def header(**fields):
    return {"prefix": "/", "headers": [{"name": "x", **fields}]}


MATCHES = [
    # id, matchers of the route to v2, (method, path, headers), whether it is taken
    ("prefix-takes-longer-words", [{"prefix": "/abc"}], ("GET", "/abcd", {}), True),
    ("prefix-is-case-sensitive", [{"prefix": "/abc"}], ("GET", "/ABC", {}), False),
    (
        "case-can-be-ignored",
        [{"prefix": "/abc", "caseSensitive": False}],
        ("GET", "/ABC/x", {}),
        True,
    ),
    ("exact-takes-itself", [{"exact": "/abc"}], ("GET", "/abc", {}), True),
    ("exact-ignores-the-query", [{"exact": "/abc"}], ("GET", "/abc?x=1", {}), True),
    ("exact-takes-nothing-longer", [{"exact": "/abc"}], ("GET", "/abc/", {}), False),
    ("regex-takes-the-whole-path", [{"regex": "/r/[0-9]+"}], ("GET", "/r/12", {}), True),
    ("regex-takes-no-part", [{"regex": "/r/[0-9]+"}], ("GET", "/r/12/x", {}), False),
    ("no-matcher-takes-everything", [], ("GET", "/anything", {}), True),
    ("matchers-are-or", [{"prefix": "/a"}, {"prefix": "/b"}], ("GET", "/b", {}), True),
    ("matchers-are-or-but-not-all", [{"prefix": "/a"}, {"prefix": "/b"}], ("GET", "/c", {}), False),
    ("method-in-the-list", [{"prefix": "/", "methods": ["POST", "PUT"]}], ("PUT", "/", {}), True),
    ("method-not-in-it", [{"prefix": "/", "methods": ["POST", "PUT"]}], ("GET", "/", {}), False),
    ("header-exact", [header(value="canary")], ("GET", "/", {"x": "canary"}), True),
    ("header-exact-minds-case", [header(value="canary")], ("GET", "/", {"x": "Canary"}), False),
    ("header-name-ignores-case", [header(value="canary")], ("GET", "/", {"X": "canary"}), True),
    ("header-present", [header()], ("GET", "/", {"x": "anything"}), True),
    ("header-present-is-absent", [header()], ("GET", "/", {}), False),
    ("header-present-despite-regex", [header(regex=True)], ("GET", "/", {"x": "y"}), True),
    ("header-regex", [header(value="a.c", regex=True)], ("GET", "/", {"x": "abc"}), True),
    (
        "header-regex-is-whole",
        [header(value="a.c", regex=True)],
        ("GET", "/", {"x": "abcd"}),
        False,
    ),
    ("inverted-presence", [header(invertMatch=True)], ("GET", "/", {}), True),
    ("inverted-presence-present", [header(invertMatch=True)], ("GET", "/", {"x": "1"}), False),
    ("inverted-value", [header(value="1", invertMatch=True)], ("GET", "/", {"x": "2"}), True),
    (
        "inverted-value-needs-a-header",
        [header(value="1", invertMatch=True)],
        ("GET", "/", {}),
        False,
    ),
    (
        "query-exact",
        [{"prefix": "/", "queryParameters": [{"name": "v", "value": "2"}]}],
        ("GET", "/?v=2", {}),
        True,
    ),
    (
        "query-exact-is-whole",
        [{"prefix": "/", "queryParameters": [{"name": "v", "value": "2"}]}],
        ("GET", "/?v=22", {}),
        False,
    ),
    (
        "query-present",
        [{"prefix": "/", "queryParameters": [{"name": "v"}]}],
        ("GET", "/?v=7", {}),
        True,
    ),
    (
        "query-regex",
        [{"prefix": "/", "queryParameters": [{"name": "v", "value": "[0-9]", "regex": True}]}],
        ("GET", "/?v=7", {}),
        True,
    ),
    (
        "parts-are-and",
        [{"prefix": "/a", "methods": ["GET"], "headers": [{"name": "x", "value": "1"}]}],
        ("GET", "/a", {"x": "1"}),
        True,
    ),
    (
        "parts-are-and-all-of-them",
        [{"prefix": "/a", "methods": ["GET"], "headers": [{"name": "x", "value": "1"}]}],
        ("GET", "/a", {"x": "2"}),
        False,
    ),
]


@pytest.mark.parametrize(
    ("matchers", "request_", "taken"), [m[1:] for m in MATCHES], ids=[m[0] for m in MATCHES]
)
async def test_a_route_takes_exactly_what_its_matchers_say(world: World, matchers, request_, taken):
    method, path, headers = request_
    await world.apply(ECHO, virtual_service("match", to(V2, matchers=matchers), to(V1)))

    answers = await world.ask(HOST, path, method=method, headers=headers)

    assert versions(answers) == only("v2" if taken else "v1", 1)


async def test_the_first_route_that_matches_wins(world: World):
    await world.apply(ECHO, virtual_service("match", to(V1), canary()))

    answers = await world.ask(HOST, headers={"stage": "canary"}, times=10)

    assert versions(answers) == only("v1", 10)


async def test_a_domain_may_have_a_wildcard_in_front(world: World):
    await world.apply(ECHO, virtual_service("wild", to(V2), domains=["*.wild.example.com"]))

    assert versions(await world.ask("a.wild.example.com")) == only("v2", 1)
    assert set(await world.ask("wild.example.com")) == {Answer(404)}


async def test_without_a_domain_a_virtual_service_takes_every_host(world: World):
    await world.apply(ECHO, virtual_service("all", to(V2), domains=[]))

    assert versions(await world.ask("whatever.example.com")) == only("v2", 1)


async def test_a_host_that_nobody_serves_is_not_found(world: World):
    await world.apply(ECHO, virtual_service("match", to(V1)))

    assert set(await world.ask("nobody.example.com")) == {Answer(404)}
