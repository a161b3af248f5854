"""A rollout with its references looked up: for use in memory, at once.

Invariant: a resolved rollout is never stored, hashed, shown or logged; no message here holds a
value that was looked up. What was looked up must pass the same rules as if it had been written.
"""

from collections.abc import Callable

from config import grammar
from config.errors import PolicyError, Problem
from config.references import Reference, parse_reference, resolve_references
from config.schema import Rollout

Read = Callable[[Reference], str]


def resolve_rollout(rollout: Rollout, read: Read) -> Rollout:
    """Put the values of its references in; `read` looks one up.

    Raises:
        PolicyError: a value is not possible where it is needed. What `read` raises passes through.
    """
    look = _Lookup(f"rollouts.{rollout.name}", read)
    gateway = rollout.gateway.model_copy(
        update={
            "url": look.text("gateway.url", rollout.gateway.url, grammar.origin),
            "headers": look.headers("gateway.headers", rollout.gateway.headers),
        }
    )
    changed: dict[str, object] = {"gateway": gateway}
    if (prometheus := rollout.metrics.prometheus) is not None:
        where = "metrics.prometheus"
        update = {
            "url": look.text(f"{where}.url", prometheus.url, grammar.url),
            "bearer_token": look.text(
                f"{where}.bearerToken", prometheus.bearer_token, grammar.header_value
            ),
        }
        source = prometheus.model_copy(update=update)
        changed["metrics"] = rollout.metrics.model_copy(update={"prometheus": source})
    if rollout.smoke is not None:
        requests = tuple(
            request.model_copy(
                update={
                    "headers": look.headers(f"smoke.requests[{index}].headers", request.headers)
                }
            )
            for index, request in enumerate(rollout.smoke.requests)
        )
        changed["smoke"] = rollout.smoke.model_copy(update={"requests": requests})
    return rollout.model_copy(update=changed)


class _Lookup:
    """Looks values up and checks them."""

    def __init__(self, path: str, read: Read) -> None:
        self.path = path
        self.read = read

    def text(self, where: str, value: str | None, check: Callable[[str], str]) -> str | None:
        """The value itself; None stays None."""
        if value is None:
            return None
        found = resolve_references(value, self.read)
        if (reference := parse_reference(value)) is not None:
            found = found.removesuffix("\n")  # files usually end with one
            try:
                check(found)
            except ValueError:
                message = f"what {reference} holds is not possible here"
                problem = Problem(0, 0, f"{self.path}.{where}", message)
                raise PolicyError([problem]) from None
        return found

    def headers(self, where: str, headers: dict[str, str]) -> dict[str, str]:
        """Each header with its value."""
        return {
            name: self.text(f"{where}.{name}", value, grammar.header_value) or ""
            for name, value in headers.items()
        }
