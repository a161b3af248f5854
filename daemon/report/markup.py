"""HTML and SVG by construction: what is not `Safe` is text, and text is escaped.

    element("p", "canary failed ", element("b", name), class_="sentence")

Invariant: a `Safe` is made here only, of names and attributes written in this package and of text
that was escaped; so no name, message or query of a cluster can become markup. Characters that a
browser would obey without showing them (controls, marks that turn text around) become a question
mark. No styles and no layout here.
"""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

VOID: Final = frozenset({"meta", "br", "path", "line", "rect", "circle", "polygon", "col"})
"""Elements without content, in HTML and in the SVG inside it."""

ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
)


TOGETHER: Final = re.compile(r"(?<=\d) (?=%|: \d)|(?<=\d :) (?=\d)")
"""The space inside `7.2 %` and `1 : 240`, which stay on one line."""


class Safe(str):
    """Markup: goes into a page as it is."""

    __slots__ = ()


Content: TypeAlias = "str | Safe | Iterable[Content] | None"
"""Text, markup, nothing, or a sequence of them."""


def text(value: str) -> Safe:
    """Escape foreign text; what is markup already stays."""
    if isinstance(value, Safe):
        return value
    shown = "".join(c if c.isprintable() else " " if c in "\n\t" else "?" for c in value)
    return Safe(TOGETHER.sub("\u00a0", shown.translate(ESCAPES)))


def joined(*content: Content) -> Safe:
    """Put content side by side."""
    return Safe("".join(_parts(content)))


def _parts(content: Content) -> Iterable[str]:
    if content is None:
        return
    if isinstance(content, str):
        yield text(content)
        return
    for part in content:
        yield from _parts(part)


def element(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Safe:
    """Build one element.

    Of an attribute's name a last `_` is left out (`class_`), others become `-` (`stroke_width`).
    None and False leave the attribute out, True writes its name alone.
    """
    opening = "".join([name, *(_attribute(*given) for given in attributes.items())])
    if name in VOID:
        return Safe(f"<{opening}/>")
    return Safe(f"<{opening}>{joined(*content)}</{name}>")


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    written = number(value) if isinstance(value, (int, float)) else text(value)
    return f' {name}="{written}"'


def number(value: float) -> str:
    """Write a number as short as a tenth of a pixel needs."""
    return f"{value:.1f}".removesuffix(".0")
