"""The text format of a metrics page, as far as two families need it.

Format: Prometheus exposition 0.0.4 and OpenMetrics 1.0 (`_total`, exemplars, timestamps). Only
lines of the two families are looked at: a page of 5,000 lines costs one pass of `str.find`. The
page comes from a pod, so nothing in it is believed: what cannot be told apart is a `PageError`
with a reason.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, isfinite, isnan

from analysis.errors import ProviderError
from analysis.samples import Counters

LARGEST_PAGE = 1024 * 1024
"""Bytes. A page of an application with 5,000 series has about half of it."""

MOST_SERIES = 20_000
"""Lines of one family that are read; 1 MiB holds about as many."""

_FIRST_LINE = re.compile(r"#|[a-zA-Z_:][\w:]*(\{.*\})?\s+([-+.\d]|NaN)")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,\s*|(?=\}))')
_ESCAPE = re.compile(r'\\(["\\n])')
_FAILED_CODE = re.compile(r"5(\d\d|xx|XX)")
_COMPLETED_CODE = re.compile(r"\d(\d\d|xx|XX)|")


class PageError(ProviderError):
    """A page that cannot be used; the message says why, without quoting it."""


@dataclass(frozen=True, slots=True)
class Families:
    """The two families' names, and the label that tells failures."""

    requests: str
    code: str
    latency: str


@dataclass(frozen=True, slots=True)
class Line:
    """One series and its value."""

    labels: Mapping[str, str] = field(default_factory=dict)
    value: float = 0.0


def counters_of(page: bytes, families: Families) -> Counters:
    """Read one pod's counters from its page.

    A family without any line is a counter that nobody has increased yet, hence 0.

    Raises:
        PageError: too large, not a metrics page, duplicate or unlabelled series, or values that
            are no counts.
    """
    if len(page) > LARGEST_PAGE:
        raise PageError(f"its metrics page is larger than {LARGEST_PAGE // 1024} KiB")
    try:
        text = "\n" + page.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PageError("its metrics page is not UTF-8") from error
    if not _looks_like_metrics(text):
        raise PageError("its page holds no metrics")
    requests, failed = _sum_requests(text, families)
    within, timed = _sum_buckets(text, families.latency)
    return Counters(requests, failed, within, timed)


def shows(page: bytes, name: str) -> bool:
    """Whether a page has a series of this name, or announces the counter or histogram of it."""
    family = re.escape(name.removesuffix("_bucket").removesuffix("_total"))
    announced = rf"# (?:TYPE|HELP) {family}(?:_total)? "
    series = rf"{re.escape(name)}(?:_total)?[ {{]"
    text = page.decode("utf-8", "replace")
    return re.search(rf"^(?:{announced}|{series})", text, re.MULTILINE) is not None


def is_failed(code: str) -> bool:
    """Whether a status code, or a class such as `5xx`, counts as failed."""
    return _FAILED_CODE.fullmatch(code) is not None


def is_code(code: str) -> bool:
    """Whether this is a status code or a class of them."""
    return _COMPLETED_CODE.fullmatch(code) is not None and bool(code)


def _looks_like_metrics(text: str) -> bool:
    """Check the first line that says anything: a comment of the format, or a name and a number."""
    return _FIRST_LINE.match(text.lstrip()) is not None


def _sum_requests(text: str, families: Families) -> tuple[float, float]:
    names = (families.requests, f"{families.requests}_total")
    requests = failed = 0.0
    for line in _lines(text, names):
        code = line.labels.get(families.code, "")
        if not is_code(code):
            raise PageError(
                f'a series {families.requests} has no status code in its label "{families.code}"'
            )
        requests += line.value
        failed += line.value if is_failed(code) else 0.0
    return requests, failed


def _sum_buckets(text: str, family: str) -> tuple[dict[float, float], float]:
    """Sum buckets over all label sets; a bound that some of them lack is left out."""
    sums: dict[float, float] = {}
    series: dict[float, int] = {}
    for line in _lines(text, (f"{family}_bucket",)):
        bound = number(line.labels.get("le", ""))
        if bound is None or isnan(bound):
            raise PageError(f'a series {family}_bucket has no number in its label "le"')
        sums[bound] = sums.get(bound, 0.0) + line.value
        series[bound] = series.get(bound, 0) + 1
    timed, sets = sums.pop(inf, 0.0), series.pop(inf, 0)
    within = {bound: sums[bound] for bound in sorted(sums) if series[bound] == sets}
    check_buckets(within, timed, family)
    return within, timed


def check_buckets(within: Mapping[float, float], timed: float, family: str) -> None:
    """Refuse buckets that are not cumulative.

    Raises:
        PageError: a larger bound holds fewer requests than a smaller one.
    """
    counts = [*(within[bound] for bound in sorted(within)), timed]
    if any(later < earlier for earlier, later in pairwise(counts)):
        raise PageError(f"the buckets of {family} are not cumulative")


def _lines(text: str, names: tuple[str, ...]) -> Iterator[Line]:
    seen: set[tuple[tuple[str, str], ...]] = set()
    for raw in _raw_lines(text, names):
        labels, value = _split(raw)
        key = tuple(sorted(labels.items()))
        if key in seen:
            raise PageError(f"the series {names[0]} is there twice with the same labels")
        seen.add(key)
        if len(seen) > MOST_SERIES:
            raise PageError(f"more than {MOST_SERIES} series {names[0]}")
        parsed = number(value)
        if parsed is None or not isfinite(parsed) or parsed < 0:
            raise PageError(f"a series {names[0]} is no count")
        yield Line(labels, parsed)


def _raw_lines(text: str, names: tuple[str, ...]) -> Iterator[str]:
    """Yield what follows the name, for each line that begins with one of the names."""
    start = text.find("\n" + names[0])
    while start >= 0:
        end = text.find("\n", start + 1)
        line = text[start + 1 : end if end >= 0 else len(text)]
        name = re.match(r"[\w:]+", line)
        if name is not None and name.group() in names:
            yield line[name.end() :].strip()
        start = text.find("\n" + names[0], start + 1)


def _split(rest: str) -> tuple[dict[str, str], str]:
    """Split `{labels} value [timestamp] [# exemplar]`."""
    labels: dict[str, str] = {}
    if rest.startswith("{"):
        position = 1
        while not rest.startswith("}", position):
            label = _LABEL.match(rest, position)
            if label is None or label[1] in labels:
                raise PageError("a series has labels that cannot be read")
            labels[label[1]] = _ESCAPE.sub(_unescape, label[2])
            position = label.end()
        rest = rest[position + 1 :]
    return labels, (rest.split() or [""])[0]


def _unescape(escape: re.Match[str]) -> str:
    return "\n" if escape[1] == "n" else escape[1]


def number(text: str) -> float | None:
    """Read a number of the format (`1e+06`, `+Inf`, `NaN`); None where it is none."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None
