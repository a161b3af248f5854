"""Patches in the bytes that Go would write, and no other."""

import json
import math
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.kube import patch

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""

PINNED = [
    # (value, how Go's encoding/json spells it)
    ("<a> & b", rb'"\u003ca\u003e \u0026 b"'),
    ("\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}", rb'"\u2028\u2029"'),
    ("é 漢 \N{ROCKET}", '"é 漢 \N{ROCKET}"'.encode()),
    ("\N{REPLACEMENT CHARACTER}", '"\N{REPLACEMENT CHARACTER}"'.encode()),
    ('"\\/', rb'"\"\\/"'),
    ("\n\r\t\b\f", rb'"\n\r\t\b\f"'),
    ("\x00\x1f\x7f", b'"\\u0000\\u001f\x7f"'),
    (None, b"null"),
    (True, b"true"),
    (False, b"false"),
    (0, b"0"),
    (-7, b"-7"),
    (2**63 - 1, b"9223372036854775807"),
    (0.0, b"0"),
    (-0.0, b"-0"),
    (50.0, b"50"),
    (0.5, b"0.5"),
    (-12.25, b"-12.25"),
    (1e-6, b"0.000001"),
    (1.5e-6, b"0.0000015"),
    (1e-7, b"1e-7"),
    (9.99e-7, b"9.99e-7"),
    (1.25e-10, b"1.25e-10"),
    (5e-324, b"5e-324"),
    (1e16, b"10000000000000000"),
    (1e20, b"100000000000000000000"),
    (123456789012345680000.0, b"123456789012345680000"),
    (1e21, b"1e+21"),
    (-1.5e22, b"-1.5e+22"),
    (1.7976931348623157e308, b"1.7976931348623157e+308"),
    (0.1 + 0.2, b"0.30000000000000004"),
    ({"b": [1, {}], "a<": []}, rb'{"b":[1,{}],"a\u003c":[]}'),
]


@pytest.mark.parametrize(("value", "spelt"), PINNED, ids=[repr(row[0])[:30] for row in PINNED])
def test_a_value_is_spelt_as_go_spells_it(value, spelt):
    assert patch.encode([patch.test("/x", value)]) == (
        b'[{"op":"test","path":"/x","value":' + spelt + b"}]"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\ud800"], ids=repr)
def test_what_json_cannot_carry_is_refused(value):
    with pytest.raises(ValueError, match=r"cannot carry|surrogates"):
        patch.encode([patch.add("/x", value)])


@pytest.mark.parametrize(
    "value", [b"x", {1: 2}, {1}, object()], ids=["bytes", "key", "set", "object"]
)
def test_what_is_no_json_is_refused(value):
    with pytest.raises(TypeError, match="cannot carry"):
        patch.encode([patch.add("/x", value)])


def test_a_value_nested_beyond_the_bound_is_refused():
    value = []
    for _ in range(patch.MAX_DEPTH):
        value = [value]

    with pytest.raises(ValueError, match="nested deeper"):
        patch.encode([patch.add("/x", value)])


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@calm
@given(VALUES)
def test_what_was_encoded_reads_back_as_the_same(value):
    decoded = json.loads(patch.encode([patch.add("/x", value)]))

    assert same(decoded, [{"op": "add", "path": "/x", "value": value}])


def same(decoded, value):
    """Go writes 5.5e16 without a point, so a whole float comes back as an int of its digits."""
    match value:
        case dict():
            return decoded.keys() == value.keys() and all(same(decoded[k], value[k]) for k in value)
        case list():
            return len(decoded) == len(value) and all(map(same, decoded, value))
        case float():
            return not isinstance(decoded, bool) and float(decoded) == value
        case _:
            return type(decoded) is type(value) and decoded == value


@calm
@given(VALUES)
def test_no_byte_that_go_escapes_is_sent_raw(value):
    encoded = patch.encode([patch.add("/x", value)]).decode()

    assert not re.search("[<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}\x00-\x1f]", encoded)


NUMBER = re.compile(
    r"-?(0|[1-9][0-9]{0,20})(\.[0-9]*[1-9])?"  # plain, at most 21 digits, no needless zero
    r"|-?[1-9](\.[0-9]*[1-9])?e(-[7-9]|-[1-9][0-9]{1,2}|\+2[1-9]|\+[3-9][0-9]|\+[1-9][0-9]{2})"
)


@calm
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_has_the_form_of_go_and_the_same_value(number):
    text = patch.encode([patch.add("", number)])[
        len('[{"op":"add","path":"","value":') : -2
    ].decode()

    assert NUMBER.fullmatch(text)
    assert float(text) == number
    assert ("e" in text) == (number != 0 and not 1e-6 <= abs(number) < 1e21)


# ---------------------------------------------------------------- paths and operations


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ((), ""),
        (("spec", "routes", 0), "/spec/routes/0"),
        (("metadata", "annotations", "rollout.crossfade.dev/echo.echo"),
         "/metadata/annotations/rollout.crossfade.dev~1echo.echo"),
        (("a~b", "~1", ""), "/a~0b/~01/"),
    ],
)  # fmt: skip
def test_a_path_escapes_tilde_and_slash(parts, path):
    assert patch.pointer(*parts) == path


@calm
@given(st.lists(st.text(), max_size=5))
def test_the_parts_of_a_path_can_be_told_again(parts):
    again = [
        part.replace("~1", "/").replace("~0", "~") for part in patch.pointer(*parts).split("/")[1:]
    ]

    assert again == parts


def test_operations_are_those_of_rfc_6902():
    assert patch.test("/a", None) == {"op": "test", "path": "/a", "value": None}
    assert patch.add("/a", 1) == {"op": "add", "path": "/a", "value": 1}
    assert patch.replace("/a", 1) == {"op": "replace", "path": "/a", "value": 1}
    assert patch.remove("/a") == {"op": "remove", "path": "/a"}


KEY = "rollout.crossfade.dev/echo.echo"
PATH = "/metadata/annotations/rollout.crossfade.dev~1echo.echo"


@pytest.mark.parametrize(
    ("metadata", "expected", "written"),
    [
        pytest.param(
            {"annotations": {KEY: "old"}},
            patch.test(PATH, "old"),
            patch.add(PATH, "new"),
            id="the annotation is there: its exact text",
        ),
        pytest.param(
            {"annotations": {"x": "y"}},
            patch.test(PATH, None),
            patch.add(PATH, "new"),
            id="others are there: its absence",
        ),
        pytest.param(
            {"annotations": {}},
            patch.test(PATH, None),
            patch.add(PATH, "new"),
            id="an empty map: its absence",
        ),
        pytest.param(
            {},
            patch.test("/metadata/annotations", None),
            patch.add("/metadata/annotations", {KEY: "new"}),
            id="no map: the absence of the map, and the map is added",
        ),
        pytest.param(
            {"annotations": None},
            patch.test("/metadata/annotations", None),
            patch.add("/metadata/annotations", {KEY: "new"}),
            id="null is no map",
        ),
    ],
)
def test_an_annotation_is_tested_and_written_as_the_object_stands(metadata, expected, written):
    obj = {"metadata": metadata}

    assert patch.expect_annotation(obj, KEY) == expected
    assert patch.set_annotation(obj, KEY, "new") == written
