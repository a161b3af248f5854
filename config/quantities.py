"""Values with their unit: durations, percentages, points and ratios, as people write them.

Invariant: `5m`, `99%`, `0.5pp` and `1.25x` are the only spellings, in the file, in messages, in the
JSON Schema and in stored policies; a bare number never becomes one. Bounds are for what a person
writes: a `timedelta` or a fraction given by code is taken as it is.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

import durationpy
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, PlainSerializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from config.errors import quoted

DURATION_PATTERN: Final = r"^([0-9]{1,9}(\.[0-9]{1,6})?(w|d|h|ms|us|m|s))+$"
"""Go's spelling with days and weeks; nine digits keep every sum far inside a timedelta."""

PERCENT_PATTERN: Final = r"^[0-9]{1,3}(\.[0-9]{1,20})?%$"

POINTS_PATTERN: Final = r"^[0-9]{1,3}(\.[0-9]{1,20})?pp$"

RATIO_PATTERN: Final = r"^[0-9]{1,3}(\.[0-9]{1,20})?x$"

_MAX_TERMS: Final = 8
"""One term a unit is all that makes sense; more is a typing error."""

_UNITS: Final = (
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("m", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
    ("us", timedelta(microseconds=1)),
)


def parse_duration(text: str) -> timedelta:
    """Read `30s`, `5m`, `1h30m`, `500ms`, `2d`.

    Raises:
        ValueError: with the sentence for the person who wrote it.
    """
    terms = len(re.findall(r"[a-z]+", text))
    if not re.fullmatch(DURATION_PATTERN, text, re.ASCII) or terms > _MAX_TERMS:
        raise ValueError(f"{quoted(text)} is not a duration; write for example 30s, 5m, 1h30m")
    parsed: timedelta = durationpy.from_str(text)
    return parsed


def format_duration(value: timedelta) -> str:
    """Write a duration so that parse_duration reads the same back: `1h30m`, `500ms`, `0s`."""
    if value < timedelta(0):
        return "-" + format_duration(-value)
    terms = []
    for unit, size in _UNITS:
        count, value = divmod(value, size)
        if count:
            terms.append(f"{count}{unit}")
    return "".join(terms) or "0s"


@dataclass(frozen=True, slots=True)
class Between:
    """The shortest and the longest duration a person may write here."""

    shortest: timedelta
    longest: timedelta

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        inner = handler(source)
        return core_schema.no_info_before_validator_function(
            self._read, inner, serialization=inner.get("serialization")
        )

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": DURATION_PATTERN, "examples": ["30s", "5m", "1h30m"]}

    def _read(self, value: object) -> object:
        if isinstance(value, timedelta):
            return value
        if not isinstance(value, str):
            raise ValueError(
                f"{_shown(value)} is not a duration; write the unit, for example 30s, 5m, 1h30m"
            )
        duration = parse_duration(value)
        if not self.shortest <= duration <= self.longest:
            bounds = f"{format_duration(self.shortest)} to {format_duration(self.longest)}"
            raise ValueError(f"{value} is out of bounds; {bounds} is possible here")
        return duration


def _shown(value: object) -> str:
    """The value in a message; what is not a single value is named by its kind."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case tuple() | list():
            return "a list"
        case _:
            return "a mapping"


Duration = Annotated[timedelta, PlainSerializer(format_duration, return_type=str)]
"""A timedelta that is written as `5m`; give it bounds with `Between`."""


def parse_percent(text: str) -> float:
    """Read `99%` or `0.5%` as a fraction of one.

    Raises:
        ValueError: with the sentence for the person who wrote it.
    """
    return _parse(_PERCENT, text)


def format_percent(fraction: float) -> str:
    """Write a fraction so that parse_percent reads the same back: `99%`, `0.5%`."""
    return _format(_PERCENT, fraction)


def parse_points(text: str) -> float:
    """Read percentage points, `0.5pp`, as a fraction of one.

    Raises:
        ValueError: with the sentence for the person who wrote it.
    """
    return _parse(_POINTS, text)


def format_points(fraction: float) -> str:
    """Write a fraction so that parse_points reads the same back: `0.5pp`."""
    return _format(_POINTS, fraction)


def parse_ratio(text: str) -> float:
    """Read `1.25x`.

    Raises:
        ValueError: with the sentence for the person who wrote it.
    """
    return _parse(_RATIO, text)


def format_ratio(ratio: float) -> str:
    """Write a ratio so that parse_ratio reads the same back: `1.25x`."""
    return _format(_RATIO, ratio)


@dataclass(frozen=True, slots=True)
class _Unit:
    """How numbers of one unit are written.

    Attributes:
        sign: what stands behind the number.
        hundredths: whether the number is a hundred times the value.
        noun: what it is, in a message.
    """

    sign: str
    hundredths: bool
    noun: str
    pattern: str
    examples: tuple[str, ...]

    @property
    def hint(self) -> str:
        return f"write for example {', '.join(self.examples)}"


_PERCENT: Final = _Unit(
    "%", hundredths=True, noun="a percentage", pattern=PERCENT_PATTERN, examples=("99%", "0.5%")
)
_POINTS: Final = _Unit(
    "pp",
    hundredths=True,
    noun="a number of percentage points",
    pattern=POINTS_PATTERN,
    examples=("0.5pp", "1pp"),
)
_RATIO: Final = _Unit(
    "x", hundredths=False, noun="a ratio", pattern=RATIO_PATTERN, examples=("1.25x", "2x")
)


def _parse(unit: _Unit, text: str) -> float:
    if not re.fullmatch(unit.pattern, text, re.ASCII):
        raise ValueError(f"{quoted(text)} is not {unit.noun}; {unit.hint}")
    number = Decimal(text.removesuffix(unit.sign))
    return float(number / 100 if unit.hundredths else number)


def _format(unit: _Unit, value: float) -> str:
    number = Decimal(repr(float(value))) * (100 if unit.hundredths else 1)
    return f"{number.normalize():f}{unit.sign}"


@dataclass(frozen=True, slots=True)
class UnitBetween:
    """The least and the greatest value of one unit that a person may write here."""

    least: float
    greatest: float
    _unit: ClassVar[_Unit]

    @property
    def bounds(self) -> tuple[str, str]:
        """Both, as people write them."""
        return _format(self._unit, self.least), _format(self._unit, self.greatest)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        inner = handler(source)
        return core_schema.with_info_before_validator_function(
            self._read, inner, serialization=inner.get("serialization")
        )

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        unit = self._unit
        return {"type": "string", "pattern": unit.pattern, "examples": list(unit.examples)}

    def _read(self, value: object, info: core_schema.ValidationInfo) -> object:
        if isinstance(value, float) and info.context is None:
            return value
        unit = self._unit
        if not isinstance(value, str):
            raise ValueError(f"{_shown(value)} is not {unit.noun}; {self._hint(value)}")
        number = _parse(unit, value)
        if not self.least <= number <= self.greatest:
            bounds = " to ".join(self.bounds)
            raise ValueError(f"{value} is out of bounds; {bounds} is possible here")
        return number

    def _hint(self, value: object) -> str:  # noqa: ARG002 - some units can tell what was meant
        """What to write instead of a bare number."""
        return self._unit.hint


class PercentBetween(UnitBetween):
    """The least and the greatest percentage, as fractions."""

    __slots__ = ()
    _unit = _PERCENT

    def _hint(self, value: object) -> str:
        """99 and 0.99 both mean 99%, 1 is anybody's guess."""
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 < value <= 100
            or value == 1
        ):
            return self._unit.hint
        return f"write {format_percent(value if value < 1 else value / 100)}"


class PointsBetween(UnitBetween):
    """The least and the greatest number of percentage points, as fractions."""

    __slots__ = ()
    _unit = _POINTS


class RatioBetween(UnitBetween):
    """The least and the greatest ratio."""

    __slots__ = ()
    _unit = _RATIO


Percent = Annotated[float, PlainSerializer(format_percent, return_type=str)]
"""A fraction of one that is written as `99%`; give it bounds with `PercentBetween`."""

Points = Annotated[float, PlainSerializer(format_points, return_type=str)]
"""A fraction of one that is written as `0.5pp`; give it bounds with `PointsBetween`."""

Ratio = Annotated[float, PlainSerializer(format_ratio, return_type=str)]
"""A number that is written as `1.25x`; give it bounds with `RatioBetween`."""
