"""Gloo's matchers: into Envoy's form, valid or not, and which goes first.

Source of the rules: Gloo 1.22's behaviour. Parts of one matcher are AND; several matchers of a
route are OR and become one Envoy route each.
Must not be put here: which route a matcher belongs to.
"""

import re
import warnings
from collections.abc import Iterable
from typing import Final

from daemon.ports import Obj

EVERYTHING: Final[Obj] = {"prefix": "/"}

FORBIDDEN_IN_PATHS: Final = ("//", "/./", "/../", "%2f", "%2F", "#")
FORBIDDEN_AT_THE_END: Final = ("/..", "/.")
PATH_CHARACTERS: Final = re.compile(r"(?:[A-Za-z0-9/:@._~!$&'()*+,;=-]|%[0-9a-fA-F]{2})*")

BEYOND_RE2: Final = re.compile(r"\(\?(?:[=!>(#]|<[=!]|P=|P>)")
"""Lookaround, atomic groups, conditions, comments, back-references by name."""
ESCAPE: Final = re.compile(
    r"\\(?:[pP](?:\{\^?\w+\}|\w)|x\{[0-9a-fA-F]+\}|Q.*?(?:\\E|$)|.)", re.DOTALL
)
CLASS_NAME: Final = re.compile(r"\[:\^?\w+:\]")
INLINE_FLAGS: Final = re.compile(r"\(\?[imsU-]+(\)|:)")
PARSE_ERRORS: Final = {
    "unterminated character set": "missing closing ]",
    "missing )": "missing closing )",
    "unbalanced parenthesis": "unexpected )",
    "nothing to repeat": "missing argument to repetition operator",
    "multiple repeat": "invalid nested repetition operator",
}
"""Python's words -> Go's, which stand in Gloo's reasons."""
MAX_REPEATS: Final = 1000
"""RE2 refuses a counted repetition beyond this."""
REPEATS: Final = re.compile(r"\{(\d+)(?:,(\d*))?\}")


def match_of(matcher: Obj) -> Obj:
    """Render one matcher as an Envoy RouteMatch.

    A matcher without a path gets none here either: Envoy then refuses the whole route
    configuration, which is what happens to such a matcher behind a real Gloo.
    """
    match: Obj = {}
    if "exact" in matcher:
        match["path"] = matcher["exact"]
    elif "regex" in matcher:
        match["safe_regex"] = {"regex": matcher["regex"]}
    elif "prefix" in matcher:
        match["prefix"] = matcher["prefix"]
    elif "connectMatcher" in matcher:
        match["connect_matcher"] = {}
    if matcher.get("caseSensitive") is not None:
        match["case_sensitive"] = matcher["caseSensitive"]
    headers = [_header(h) for h in matcher.get("headers") or ()]
    if methods := matcher.get("methods"):
        headers.append(
            {"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(methods)}}}
        )
    if headers:
        match["headers"] = headers
    if parameters := matcher.get("queryParameters"):
        match["query_parameters"] = [{"name": p.get("name", ""), **_value(p)} for p in parameters]
    return match


def _header(header: Obj) -> Obj:
    inverted = {"invert_match": True} if header.get("invertMatch") else {}
    return {"name": header.get("name", ""), **_value(header), **inverted}


def _value(part: Obj) -> Obj:
    """No value means "present", even with `regex: true`."""
    value = part.get("value") or ""
    if not value:
        return {"present_match": True}
    if part.get("regex"):
        return {"string_match": {"safe_regex": {"regex": value}}}
    return {"string_match": {"exact": value}}


def path_of(matcher: Obj) -> str:
    return str(matcher.get("prefix") or matcher.get("exact") or matcher.get("regex") or "")


def has_path(matcher: Obj) -> bool:
    return any(kind in matcher for kind in ("prefix", "exact", "regex", "connectMatcher"))


class _Rank:
    """Gloo's order of matchers in tables of equal weight; the smaller one goes first.

    More methods, then exact before regex before prefix, then the path that sorts later (so `/a/b`
    goes before `/a`). Headers and query parameters do not count.
    """

    __slots__ = ("kind", "methods", "path")

    def __init__(self, matcher: Obj) -> None:
        self.methods = len(matcher.get("methods") or ())
        kinds = ("exact", "regex", "prefix")
        self.kind = next((i for i, k in enumerate(kinds, 1) if k in matcher), 0)
        self.path = path_of(matcher)

    def __lt__(self, other: "_Rank") -> bool:
        if self.methods != other.methods:
            return self.methods > other.methods
        if self.kind != other.kind:
            return self.kind < other.kind
        return self.path > other.path


def rank(matchers: Iterable[Obj]) -> _Rank:
    """Sort key of a route: that of its most specific matcher."""
    return min((_Rank(m) for m in matchers), default=_Rank(EVERYTHING))


def path_problem(path: str) -> str | None:
    """What Gloo dislikes about a path, a prefix or a rewrite; it is served nevertheless."""
    if not PATH_CHARACTERS.fullmatch(path):
        return f"must only contain valid characters matching pattern {PATH_CHARACTERS.pattern}"
    for part in FORBIDDEN_IN_PATHS:
        if part in path:
            return f"path [{path}] cannot contain [{part}]"
    for part in FORBIDDEN_AT_THE_END:
        if path.endswith(part):
            return f"path [{path}] cannot end with [{part}]"
    return None


def regex_problem(pattern: str) -> str | None:
    """Why RE2 would not compile this, or None.

    Python's own parser does the work, after what only RE2 knows is taken out and what only Python
    knows is refused.
    """
    bare = ESCAPE.sub(_plain_escape, pattern)
    if "\\0" in bare:
        return "error parsing regexp: invalid escape sequence"
    outside = re.sub(r"\[\^?\]?[^\]]*\]", "x", CLASS_NAME.sub("a", bare))
    if BEYOND_RE2.search(outside):
        return "error parsing regexp: invalid or unsupported Perl syntax"
    if re.search(r"[*+?}]\+|\*\*|\+\*|\?\*", outside):
        return "error parsing regexp: invalid nested repetition operator"
    counts = [int(n) for found in REPEATS.findall(outside) for n in found if n]
    if any(n > MAX_REPEATS for n in counts):
        return "error parsing regexp: invalid repeat count"
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(
                INLINE_FLAGS.sub(lambda m: "(?:" if m[1] == ":" else "", CLASS_NAME.sub("a", bare))
            )
    except RecursionError:
        return "error parsing regexp: expression nests too deeply"
    except re.error as error:
        text, rest = PARSE_ERRORS.get(error.msg.split(",")[0], error.msg), bare
        if error.msg.startswith("unterminated character set"):
            rest = bare[error.pos or 0 :]
        return f"error parsing regexp: {text}: `{rest}`"
    return None


def _plain_escape(found: re.Match[str]) -> str:
    """Stand-in of an escape: digits (back-references) are marked, all else is one letter."""
    return "\\0" if found[0][1:].isdigit() and found[0] != "\\0" else "x"
