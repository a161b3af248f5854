"""Label selection as Gloo's selectors spell it. Pure; knows labels only."""

from collections.abc import Iterable, Mapping, Sequence

from daemon.ports import Obj

EXACTLY_ONE = ("Equals", "DoubleEquals", "NotEquals", "GreaterThan", "LessThan")


def has_labels(wanted: Mapping[str, str], found: Mapping[str, str]) -> bool:
    return all(found.get(key) == value for key, value in wanted.items())


def expression_problem(expression: Obj) -> str | None:
    """Why the expression cannot be evaluated, or None."""
    operator, values = expression.get("operator", "Equals"), expression.get("values") or []
    if operator in EXACTLY_ONE and len(values) != 1:
        return f"{operator}: exact one value is required"
    if operator in {"In", "NotIn"} and not values:
        return f"{operator}: values set can't be empty"
    if operator in {"Exists", "DoesNotExist"} and values:
        return f"{operator}: values set must be empty"
    if operator in {"GreaterThan", "LessThan"} and not values[0].lstrip("-").isdigit():
        return f"{operator}: the value must be an integer"
    return None


def satisfies(expressions: Iterable[Obj], found: Mapping[str, str]) -> bool:
    """Whether all expressions hold; each of them must have been found without a problem."""
    return all(
        _holds(e.get("operator", "Equals"), e.get("key", ""), e.get("values") or (), found)
        for e in expressions
    )


def _holds(operator: str, key: str, values: Sequence[str], found: Mapping[str, str]) -> bool:
    value = found.get(key)
    match operator:
        case "Equals" | "DoubleEquals" | "In":
            return value in values
        case "NotEquals" | "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "GreaterThan" | "LessThan":
            if value is None or not value.lstrip("-").isdigit():
                return False
            limit = int(values[0])
            return int(value) > limit if operator == "GreaterThan" else int(value) < limit
        case _:
            return False
