"""What is not markup of ours is text: nothing foreign can become an element or an attribute."""

import pytest

from daemon.report.markup import Safe, element, joined, text


@pytest.mark.parametrize(
    ("foreign", "written"),
    [
        pytest.param("<b>&", "&lt;b&gt;&amp;", id="markup"),
        pytest.param("\"'", "&quot;&#39;", id="quotation marks"),
        pytest.param("a\nb\tc", "a b c", id="white space"),
        pytest.param("a\x00\x1b[2Jb", "a??[2Jb", id="controls"),
        pytest.param("v2\u202egnp.exe", "v2?gnp.exe", id="marks that turn text around"),
        pytest.param("größer → 5", "größer → 5", id="other letters"),
        pytest.param("7.2 % of 1 : 240", "7.2\u00a0% of 1\u00a0:\u00a0240", id="number and unit"),
    ],
)
def test_text_is_escaped(foreign: str, written: str) -> None:
    assert text(foreign) == written


def test_markup_is_not_escaped_twice() -> None:
    assert text(text("<")) == "&lt;"


def test_an_element_holds_text_and_markup_side_by_side() -> None:
    built = element("p", "a < b ", element("b", "c"), None, [element("i", "d"), "e"])

    assert built == "<p>a &lt; b <b>c</b><i>d</i>e</p>"
    assert isinstance(built, Safe)


@pytest.mark.parametrize(
    ("attributes", "written"),
    [
        pytest.param({"class_": "a b"}, ' class="a b"', id="a word of Python"),
        pytest.param({"text_anchor": "end"}, ' text-anchor="end"', id="a dash"),
        pytest.param({"viewBox": "0 0 1 1"}, ' viewBox="0 0 1 1"', id="a capital"),
        pytest.param({"x": 1.25, "y": 3.0}, ' x="1.2" y="3"', id="numbers"),
        pytest.param({"open": True, "id": None, "hidden": False}, " open", id="there or not"),
        pytest.param({"title": '"><script>'}, ' title="&quot;&gt;&lt;script&gt;"', id="foreign"),
    ],
)
def test_attributes_are_written_as_html_wants_them(
    attributes: dict[str, str | float | bool | None], written: str
) -> None:
    assert element("a", **attributes) == f"<a{written}></a>"


def test_an_element_without_content_closes_itself() -> None:
    assert element("br") == "<br/>"


def test_content_is_joined_without_anything_between() -> None:
    assert joined("a", None, [Safe("<b>"), ["&"]]) == "a<b>&amp;"
