"""The document's pictures and worked example are what the product draws and says today."""

import re
from functools import cache
from xml.etree.ElementTree import fromstring

import pytest

from benchmarks.illustrations import (
    DOCUMENT,
    PICTURES,
    Played,
    parts,
    pictures,
    play_all,
    with_parts,
)

WRITE = "python -m benchmarks.illustrations --write, and read the prose around what changed"


@cache
def played() -> Played:
    return play_all()


def test_the_documents_example_is_todays() -> None:
    text = DOCUMENT.read_text("utf-8")

    assert with_parts(text, parts(played())) == text, WRITE


def test_the_documents_pictures_are_todays() -> None:
    drawn = dict(pictures(played()))

    assert {file.name for file in PICTURES.iterdir()} == drawn.keys()
    for name, text in drawn.items():
        assert (PICTURES / name).read_text("utf-8") == text, WRITE


def test_a_picture_stands_alone_in_light_and_dark() -> None:
    for _, text in pictures(played()):
        root = fromstring(text)
        style = root[0]
        assert style.tag.endswith("style")
        assert "prefers-color-scheme:dark" in (style.text or "")
        assert {"width", "height", "viewBox"} <= root.attrib.keys()


def test_the_documents_promises_about_its_examples_hold() -> None:
    stories, harmless = played().stories, played().harmless

    assert stories["failing"].deciding.at > 45, "the text tells of the warm-up"
    assert max(rollout.highest for rollout in harmless) < 2, "no line reaches 1 : 100"
    assert sum(rollout.naive for rollout in harmless) > 3, "the textbook test is fooled"


def test_the_proofs_name_tests_that_exist() -> None:
    root = DOCUMENT.parent.parent
    text = (DOCUMENT.parent / "proofs.md").read_text("utf-8")
    files = {path.name: path for path in root.glob("tests/**/test_*.py")}

    named = set(re.findall(r"`(?:tests/[\w/]*/)?(test_\w+\.py)`", text))
    assert len(named) > 5
    assert named <= files.keys()
    for path in re.findall(r"`(tests/[\w/]+\.py)`", text):
        assert (root / path).is_file(), path
    sources = "".join(file.read_text("utf-8") for file in files.values())
    for words in re.findall(r"`(?:\.\.\.)?(\w+?)(?:_\.\.\.)?`(?=[,)])", text):
        assert words in sources, words


def test_a_document_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="made: example"):
        with_parts("nothing", {"example": "text"})
