"""Words with a grammar of their own: names, labels, headers, paths, addresses, expressions.

Each function takes the text and returns it, or raises ValueError with the sentence for the person
who wrote it.
Invariant: what passes here cannot break out of a Kubernetes name, an HTTP header line or a URL.
"""

import re
import warnings
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from config.errors import quoted

LABEL_NAME: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
OBJECT_NAME: Final = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
OBJECT_REF: Final = rf"^{LABEL_NAME}/{OBJECT_NAME}$"
VERSION: Final = r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
JSON_PATH: Final = r"^\$((\.[A-Za-z_][-A-Za-z0-9_]*)|(\[[0-9]{1,6}\]))*$"

PORT_NAME: Final = r"^[a-z0-9-]*[a-z][a-z0-9-]*$"

MAX_PATTERN: Final = 200
"""Characters of a body expression: what a person can check by reading."""

MAX_CLUSTER: Final = 200
"""Characters of an Envoy cluster's name; an Upstream's name and namespace have fewer."""

MAX_OPEN_REPEATS: Final = 2
"""Repeats without a fixed count in a body expression: each multiplies a search's time."""

_LABEL_KEY = re.compile(
    rf"({OBJECT_NAME}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?", re.ASCII
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_HEADER_VALUE = re.compile(r"([\x21-\x7e]([\x20-\x7e]{0,4094}[\x21-\x7e])?)?", re.ASCII)
_URL_TEXT = re.compile(r"[\x21-\x7e]{1,2048}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?", re.ASCII)
_RESERVED_HEADERS: Final = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
    }
)
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})


def name(text: str) -> str:
    """A DNS label, as namespaces and rollouts have it."""
    if len(text) > 63 or not re.fullmatch(LABEL_NAME, text, re.ASCII):
        raise ValueError(
            f"{quoted(text)} is not a name; lower-case letters, digits and '-', at most 63"
        )
    return text


def port(value: object) -> object:
    """A port's number, or its name; a number as text would be neither."""
    if type(value) is int and 1 <= value <= 65535:
        return value
    if isinstance(value, str) and len(value) <= 63 and re.fullmatch(PORT_NAME, value, re.ASCII):
        return value
    if isinstance(value, str) and value.isdecimal():
        raise ValueError(f"{quoted(value)} is a text; write a port's number without quotes")
    shown = quoted(value) if isinstance(value, str) else value if type(value) is int else "this"
    raise ValueError(f"{shown} is no port; write a number from 1 to 65535, or a port's name")


def object_ref(text: str) -> str:
    """`namespace/name`."""
    namespace, slash, rest = text.partition("/")
    if not slash:
        raise ValueError(f"{quoted(text)} lacks the namespace; write namespace/name")
    if len(namespace) > 63 or len(rest) > 253 or not re.fullmatch(OBJECT_REF, text, re.ASCII):
        raise ValueError(f"{quoted(text)} is not namespace/name of an object")
    return text


def label_key(text: str) -> str:
    """A label's key, with or without prefix."""
    if len(text) > 253 or not _LABEL_KEY.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not a label's key")
    return text


def version(text: str) -> str:
    """A version label's value: not empty, for an empty one tells nothing apart."""
    if not re.fullmatch(VERSION, text, re.ASCII):
        raise ValueError(
            f"{quoted(text)} is not a label's value; letters, digits, '-', '_', '.', at most 63"
        )
    return text


def selector(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Labels, key and value."""
    if not labels:
        raise ValueError("selects everything; name at least one label, for example {app: echo}")
    for key, value in labels.items():
        version(label_key(key) and value)
    return labels


def header_name(text: str) -> str:
    """A header that a person may set; some are ours, some belong to the connection."""
    if not _HEADER_NAME.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not a header's name")
    lower = text.lower()
    if lower == "host":
        raise ValueError("the Host header follows gateway.host; set it there")
    if lower in _RESERVED_HEADERS:
        raise ValueError(f"header {text} belongs to the connection and cannot be set")
    if lower.startswith("crossfade-"):
        raise ValueError(f"header {text}: names that begin with crossfade- are our own")
    return text


def header_value(text: str) -> str:
    """One line of printable ASCII; the value is not repeated, for it may be a secret."""
    if not _HEADER_VALUE.fullmatch(text):
        raise ValueError("a header's value is one line of printable ASCII without blanks around it")
    return text


def may_be_secret(header: str) -> bool:
    """Whether a header of this name carries a credential."""
    return header.lower() in _SECRET_HEADERS


def title(text: str) -> str:
    """What people call a thing: one line."""
    if not 1 <= len(text) <= 80 or not text.isprintable():
        raise ValueError(f"{quoted(text)} is not a name; one line of 1 to 80 characters")
    return text


def metric_name(text: str) -> str:
    """A metric's or one of its labels' names, as Prometheus has them."""
    if not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}", text, re.ASCII):
        raise ValueError(f"{quoted(text)} is not a metric's or label's name")
    return text


def cluster_pattern(text: str) -> str:
    """An Envoy cluster's name, in which the version stands between double braces."""
    bare = re.sub(r"\{\{(.*?)\}\}", "", text)
    if len(text) > MAX_CLUSTER or not re.fullmatch(r"[\w.:|/-]*", bare, re.ASCII):
        raise ValueError(
            f"{quoted(text)} is no cluster's name, such as echo-{{{{ version }}}}_gloo"
        )
    if not re.search(r"\{\{\s*version\s*\}\}", text):
        raise ValueError(
            f"{quoted(text)} is one cluster for all versions; {{{{ version }}}} must stand in it"
        )
    return text


def url_path(text: str) -> str:
    """What stands in a request line: path and query."""
    if not text.startswith("/"):
        raise ValueError(f"{quoted(text)} is not a path; it begins with /")
    if not _URL_TEXT.fullmatch(text) or "#" in text or "\\" in text:
        raise ValueError(
            f"{quoted(text)} is not a path; printable ASCII without blanks and '#', at most 2,048"
        )
    return text


def url(text: str) -> str:
    """An address of http or https without credentials; never repeated where it may hold some."""
    if not _URL_TEXT.fullmatch(text) or "\\" in text:
        raise ValueError("not a URL: printable ASCII without blanks and '\\', at most 2,048")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("not a URL: its host or port cannot be read") from None
    if parts.scheme not in {"http", "https"} or "://" not in text:
        raise ValueError("not a URL: write it with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("a URL must not carry a user name or password")
    if not parts.hostname or port == 0:
        raise ValueError("not a URL: host or port is missing")
    if parts.fragment or parts.query or "#" in text or "?" in text:
        raise ValueError("the URL must end before '?' and '#'")
    return text


def origin(text: str) -> str:
    """A URL that is only scheme, host and port."""
    if urlsplit(url(text)).path not in {"", "/"}:
        raise ValueError(f"{quoted(text)} has a path; write scheme, host and port only")
    return text


def host(text: str) -> str:
    """A value for the Host header."""
    if not _HOST.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not a host name")
    return text


def file_path(text: str) -> str:
    """An absolute path of a file."""
    if not text.startswith("/") or not text.isprintable() or len(text) > 1024:
        raise ValueError(f"{quoted(text)} is not an absolute path of a file")
    return text


def json_path(text: str) -> str:
    """`$.a.b[0]`: dotted names and indices only."""
    if len(text) > 200 or not re.fullmatch(JSON_PATH, text, re.ASCII):
        raise ValueError(
            f"{quoted(text)} is not a path into JSON; write for example $.state or $.items[0].id"
        )
    return text


def body_pattern(text: str) -> str:
    """An expression whose time grows with the body, not with its luck: few repeats, none nested."""
    if not 1 <= len(text) <= MAX_PATTERN:
        raise ValueError(f"an expression has 1 to {MAX_PATTERN} characters")
    try:
        with warnings.catch_warnings(action="error"):  # what Python will read otherwise one day
            re.purge()  # an expression that was compiled before would not warn again
            re.compile(text)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    bare = re.sub(r"\{\{.*?\}\}", "x", text)  # a placeholder is filled in as plain text
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "x", re.sub(r"\\[^1-9]", "x", bare))
    if re.search(r"\\[1-9]|\(\?(?!:|P<)", bare):
        raise ValueError("back-references, look-around and inline flags are not possible here")
    if len(re.findall(r"[*+]|\{\d*,\d*\}", bare)) > MAX_OPEN_REPEATS:
        raise ValueError(f"at most {MAX_OPEN_REPEATS} repeats (*, +, {{1,2}}) are possible here")
    if _repeats_within_repeats(bare):
        raise ValueError("a repeated group must not hold another repeat or alternatives")
    return text


def _repeats_within_repeats(bare: str) -> bool:
    """Whether a repeated group holds a repeat or alternatives (which may take exponential time)."""
    innermost = re.compile(r"\((?:\?:|\?P<\w+>)?([^()]*)\)([*+{])?")
    while (group := innermost.search(bare)) is not None:  # each round takes one group away
        inner, repeated = group.groups()
        restless = bool(re.search(r"[*+?{|]", inner))
        if restless and repeated:
            return True
        rest = bare[group.end(2) if repeated else group.end() :]
        bare = bare[: group.start()] + ("x+" if restless else "x") + (repeated or "") + rest
    return False


def placeholders(text: str, known: tuple[str, ...]) -> str:
    """`{{ version }}` and its like: only names that will be filled in."""
    for inner in re.findall(r"\{\{(.*?)\}\}", text):
        if inner.strip() not in known:
            possible = ", ".join("{{ " + word + " }}" for word in known)
            raise ValueError(
                f"{quoted('{{' + inner + '}}')} is not filled in; possible: {possible}"
            )
    return text
