"""Inputs that break parsers: each is refused with a line, in bounded time and memory."""

import tracemalloc

import pytest

from config.errors import PolicyError
from config.load import MAX_PROFILES, MAX_ROLLOUTS, load_policy
from tests.spec.config.policies import ECHO, HEAD

BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [*{chr(97 + level)}, *{chr(97 + level)}]\n"
    for level in range(20)
)

MANY = HEAD + "rollouts:\n" + "".join(f"  e{number}: {{}}\n" for number in range(20_000))

HOSTILE = [
    pytest.param(b"a: b\n" * 210_000, 1, "1,050,000 bytes; at most 262,144", id="1 MiB"),
    pytest.param(BOMB.encode(), 1, "anchor &a", id="alias bomb"),
    pytest.param(b"[" * 10_000, 1, "nested deeper|nesting depth", id="depth 10,000, flow"),
    pytest.param(b"- " * 10_000 + b"x", 1, "nested deeper", id="depth 10,000, block"),
    pytest.param(b"{a: " * 10_000, 1, "nested deeper|nesting depth", id="depth 10,000, mappings"),
    pytest.param(b"a:\n\tb: 1\n", 2, "tab in the indentation", id="tabs"),
    pytest.param(b"kind: Policy\nx: \x00\n", 2, r"U\+0000", id="NUL"),
    pytest.param(b"\xef\xbb\xbfkind: Policy\n", 1, "byte order mark", id="BOM"),
    pytest.param("kind: Policy\n".encode("utf-16"), 1, "UTF-16", id="UTF-16"),
    pytest.param("kind: Policy\n".encode("utf-16-le"), 1, "UTF-16", id="UTF-16 without BOM"),
    pytest.param("kind: Policy\n".encode("utf-32-be"), 1, "UTF-32", id="UTF-32"),
    pytest.param(b"kind: Policy\nx: \xff\n", 2, "byte 0xff is not UTF-8", id="bad UTF-8"),
    pytest.param(b"kind: \xc3", 1, "byte 0xc3 is not UTF-8", id="cut UTF-8"),
    pytest.param(MANY.encode(), 4, "20,000 entries; at most 1,000", id="20,000 targets"),
    pytest.param(b"a: &x 1\n", 1, "anchor &x", id="anchors"),
    pytest.param(b"a: 1\n<<: {b: 2}\n", 2, "merge keys", id="merge keys"),
    pytest.param(
        b"a: !!python/object/apply:os.system [id]\n", 1, "tag '!!python", id="python objects"
    ),
    pytest.param(b"[" + b"a," * 100_000 + b"]", 1, "more than 60,000 values", id="many values"),
    pytest.param(b"x: " + b"9" * 200_000, 1, "too large a number", id="a long number"),
    pytest.param(b"x: 1" + b"_1" * 100_000, 1, "in different ways", id="a long doubtful number"),
    pytest.param(b"? " + b"x" * 200_000 + b"\n: 1", 1, "a key has 1 to 253", id="a long key"),
    pytest.param(b"k" * 200_000, 1, "is a mapping", id="a long word"),
]


@pytest.mark.parametrize(("content", "line", "message"), HOSTILE)
def test_hostile_content_is_refused_with_a_line(content: bytes, line: int, message: str):
    with pytest.raises(PolicyError, match=message) as refused:
        load_policy(content, filename="policy.yaml")

    assert refused.value.problems[0].line == line
    assert len(str(refused.value)) < 100_000


@pytest.mark.parametrize(("content", "line", "message"), HOSTILE[:4] + HOSTILE[13:14])
def test_hostile_content_takes_little_memory(content: bytes, line: int, message: str):
    tracemalloc.start()
    try:
        with pytest.raises(PolicyError):
            load_policy(content, filename="policy.yaml")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 50 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("x" * 300_000, "1:1", id="a text that is too long"),
        pytest.param("kind: Policy\n" + "a: \ud800\n", "2:4", id="a surrogate"),
    ],
)
def test_a_text_is_held_to_the_same_rules_as_bytes(text: str, place: str):
    with pytest.raises(PolicyError, match=f"policy.yaml:{place}"):
        load_policy(text, filename="policy.yaml")


def test_as_many_rollouts_as_were_measured_are_possible():
    rollouts = "".join(
        f"  e{number}: {{namespace: n, selector: {{app: e{number}}},"
        f" route: {{gloo: {{virtualService: g/e{number}, upstream: g/e}}}}}}\n"
        for number in range(MAX_ROLLOUTS)
    )

    policy = load_policy(HEAD + "rollouts:\n" + rollouts, filename="policy.yaml")

    assert len(policy.rollouts) == MAX_ROLLOUTS


def test_more_profiles_than_people_tell_apart_are_refused():
    profiles = "".join(f"  p{number}: {{hold: 5m}}\n" for number in range(MAX_PROFILES + 1))

    with pytest.raises(PolicyError, match="101 entries; at most 100"):
        load_policy(HEAD + "profiles:\n" + profiles + ECHO, filename="policy.yaml")
