"""PromQL text: values put into it safely, and the queries of our own.

Invariant: a value put in can only ever be that value. A version label of `v1"} or vector(1) #` or
of `.*` selects nothing but itself (Prometheus documentation, "Expression language: string
literals" and "Time series selectors"; regular expressions are RE2). Pure; no I/O.
"""

import re
from collections.abc import Iterable, Mapping

from analysis.errors import RefusedError

SCRAPED_BY = ("job", "instance", "prometheus_replica")
"""Labels that tell two scrapes of one pod apart: with two of them every request would count
twice."""

NAME = "__name__"
"""The label that holds a metric's name."""

LONGEST_QUERY = 32 * 1024
"""Characters. Go's server takes a request line of 1 MiB, proxies in front of it often 32 KiB."""

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RE2_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


def quote(value: str) -> str:
    """Write a string literal in double quotes."""
    mark = '"'
    return f"{mark}{_escape(value, mark)}{mark}"


def one_of(values: Iterable[str]) -> str:
    """Write a literal for `=~` that matches exactly these values."""
    return quote("|".join(quote_re2(value) for value in values))


def _escape(value: str, quotation_mark: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace(quotation_mark, "\\" + quotation_mark)


def quote_re2(value: str) -> str:
    """Write a value as a regular expression that matches it alone."""
    return _RE2_SPECIAL.sub(lambda special: "\\" + special.group(), value)


def selector(metric: str, pod_label: str, pods: Iterable[str]) -> str:
    """Select one metric of these pods.

    Raises:
        RefusedError: a name that PromQL does not allow, or more pods than a query can name.
    """
    return _nameable(f"{metric_name(metric)}{{{label_name(pod_label)}=~{one_of(pods)}}}")


def either_selector(metrics: Iterable[str], pod_label: str, pods: Iterable[str]) -> str:
    """Select several metrics of these pods; the label `__name__` tells them apart.

    Raises:
        RefusedError: as `selector`.
    """
    names = one_of(metric_name(metric) for metric in metrics)
    return _nameable(f"{{{NAME}=~{names}, {label_name(pod_label)}=~{one_of(pods)}}}")


def _nameable(selected: str) -> str:
    if len(selected) > LONGEST_QUERY:
        raise RefusedError(f"too many pods to be named in one query ({len(selected)} characters)")
    return selected


def metric_name(name: str) -> str:
    """Check a metric's name.

    Raises:
        RefusedError: PromQL does not allow it.
    """
    if not _METRIC_NAME.fullmatch(name):
        raise RefusedError(f"{name!r} is no name of a metric")
    return name


def label_name(name: str) -> str:
    """Check a label's name.

    Raises:
        RefusedError: PromQL does not allow it.
    """
    if not _LABEL_NAME.fullmatch(name):
        raise RefusedError(f"{name!r} is no name of a label")
    return name


def sum_by(labels: Iterable[str], selected: str) -> str:
    """Sum over everything but these labels.

    Raises:
        RefusedError: a name that PromQL does not allow.
    """
    names = dict.fromkeys(label_name(label) for label in labels)
    return f"sum by ({', '.join(names)}) ({selected})"


def newest_by(labels: Iterable[str], selected: str) -> str:
    """Tell when the newest sample behind each value of the labels was taken.

    Raises:
        RefusedError: a name that PromQL does not allow.
    """
    names = dict.fromkeys(label_name(label) for label in labels)
    return f"max by ({', '.join(names)}) (timestamp({selected}))"


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into the `{{ name }}` placeholders of a policy's query.

    A placeholder inside a string is escaped for that string, and quoted for RE2 where the string
    is the pattern of `=~` or `!~`. Outside of a string only `window` may stand, as in `[{{ window
    }}]`.

    Raises:
        RefusedError: an unknown placeholder, or one in a place where no value can be safe.
    """
    filled: list[str] = []
    position = 0
    for match in _PLACEHOLDER.finditer(template):
        filled.append(template[position : match.start()])
        filled.append(_fitting(match[1], values, template[: match.start()]))
        position = match.end()
    text = "".join([*filled, template[position:]])
    if len(text) > LONGEST_QUERY:
        raise RefusedError(f"the query is longer than {LONGEST_QUERY} characters")
    return text


def _fitting(name: str, values: Mapping[str, str], before: str) -> str:
    if name not in values:
        known = ", ".join(f"{{{{ {known} }}}}" for known in sorted(values))
        raise RefusedError(f"unknown placeholder {{{{ {name} }}}} in a query; known are {known}")
    mark, operator = _surroundings(before)
    if not mark:
        if name != "window":
            raise RefusedError(f"{{{{ {name} }}}} must stand inside quotes in a query")
        return values[name]
    value = quote_re2(values[name]) if operator in {"=~", "!~"} else values[name]
    if mark == "`":
        if "`" in value:
            raise RefusedError(f"{{{{ {name} }}}} cannot stand inside backticks")
        return value
    return _escape(value, mark)


def _surroundings(before: str) -> tuple[str, str]:
    """Find the quotation mark open at the end of the text, and the operator in front of it."""
    mark, opened, position = "", 0, 0
    while position < len(before):
        character = before[position]
        if mark:
            if character == "\\" and mark != "`":
                position += 1
            elif character == mark:
                mark = ""
        elif character in "\"'`":
            mark, opened = character, position
        elif character == "#":
            position = max(before.find("\n", position), 0) or len(before)
        position += 1
    return mark, before[:opened].rstrip()[-2:] if mark else ""
