"""The kinds of values that keys take: texts with a grammar, headers, expected JSON.

Invariant: each kind says in its own words what is wrong, and takes exactly what its grammar
describes. Keys and their meaning stand in `config.schema`.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from config import grammar
from config.references import literal_or_reference, no_reference, only_reference

MAX_HEADERS: Final = 32
"""Headers of a request; gateways refuse many more."""

MAX_TEXT: Final = 16_384
"""Characters of a body, an expected text or a query."""

QUERY_PLACEHOLDERS: Final = ("namespace", "target", "version", "window")
"""What `{{ ... }}` in a query is replaced by."""

SMOKE_PLACEHOLDERS: Final = ("namespace", "target", "version")
"""What `{{ ... }}` in a request and an expectation of a smoke test is replaced by."""


def placeholders(known: tuple[str, ...]) -> AfterValidator:
    """A text in which only these names stand between double braces."""
    return AfterValidator(lambda text: grammar.placeholders(text, known))


def _pattern(pattern: str, longest: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "maxLength": longest})


Name = Annotated[str, AfterValidator(grammar.name), _pattern(rf"^{grammar.LABEL_NAME}$", 63)]
"""A DNS label."""

ObjectRef = Annotated[str, AfterValidator(grammar.object_ref), _pattern(grammar.OBJECT_REF, 317)]
"""`namespace/name`."""

VersionLabel = Annotated[str, AfterValidator(grammar.version), _pattern(grammar.VERSION, 63)]
"""A version label's value."""

LabelKey = Annotated[str, AfterValidator(grammar.label_key)]
FilePath = Annotated[str, AfterValidator(grammar.file_path)]
UrlPath = Annotated[str, AfterValidator(grammar.url_path), AfterValidator(no_reference)]
Title = Annotated[str, AfterValidator(grammar.title)]
MetricName = Annotated[str, AfterValidator(grammar.metric_name)]
ClusterPattern = Annotated[
    str, AfterValidator(grammar.cluster_pattern), placeholders(SMOKE_PLACEHOLDERS)
]
Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(no_reference)]
HeaderName = Annotated[str, AfterValidator(grammar.header_name)]
HeaderValue = Annotated[str, AfterValidator(literal_or_reference(grammar.header_value))]


def _headers(headers: dict[str, str]) -> dict[str, str]:
    """One value a name, whatever its letters' case; credentials only as references."""
    if len({header.lower() for header in headers}) < len(headers):
        raise ValueError("the same header stands here twice, in different case")
    for header, value in headers.items():
        if grammar.may_be_secret(header):
            try:
                only_reference(value)
            except ValueError as error:
                raise ValueError(f"header {header}: {error}") from None
    return headers


Headers = Annotated[
    dict[HeaderName, HeaderValue], Field(max_length=MAX_HEADERS), AfterValidator(_headers)
]


def _canary_header(value: object) -> object:
    """A mapping of one entry is how a person writes the pair."""
    if isinstance(value, Mapping):
        if len(value) != 1:
            raise ValueError("is exactly one header, for example {stage: canary}")
        return next(iter(value.items()))
    return value


def _visible(value: str) -> str:
    if not value:
        raise ValueError("a header's value is missing")
    return grammar.header_value(no_reference(value))


CanaryHeader = Annotated[
    tuple[HeaderName, Annotated[str, AfterValidator(_visible)]],
    BeforeValidator(_canary_header),
    PlainSerializer(lambda pair: {pair[0]: pair[1]}, return_type=dict[str, str]),
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {"type": "string"},
        }
    ),
]


def _json_value(value: object) -> object:
    if value is not None and not isinstance(value, str | int | float | bool):
        raise ValueError("only a text, a number, true, false or null can be expected")
    return value


Port = Annotated[
    int | str,
    BeforeValidator(grammar.port),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 65535},
                {"type": "string", "pattern": grammar.PORT_NAME, "maxLength": 63},
            ]
        }
    ),
]
"""A port by its number, or by its name in a Service."""

JsonValue = Annotated[str | int | float | bool | None, BeforeValidator(_json_value)]
JsonPath = Annotated[str, AfterValidator(grammar.json_path)]
GatewayUrl = Annotated[str, AfterValidator(literal_or_reference(grammar.origin))]
Url = Annotated[str, AfterValidator(literal_or_reference(grammar.url))]
Secret = Annotated[str, AfterValidator(only_reference)]
Host = Annotated[str, AfterValidator(grammar.host)]
BodyPattern = Annotated[str, AfterValidator(grammar.body_pattern), placeholders(SMOKE_PLACEHOLDERS)]
SmokePath = Annotated[UrlPath, placeholders(SMOKE_PLACEHOLDERS)]
Selector = Annotated[dict[str, str], AfterValidator(grammar.selector)]
Expected = Annotated[Text, Field(min_length=1), placeholders(SMOKE_PLACEHOLDERS)]
Query = Annotated[Text, Field(min_length=1), placeholders(QUERY_PLACEHOLDERS)]
