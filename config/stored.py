"""A rollout's policy as plain data: to store it, and to tell whether it changed.

Invariant: `load_rollout(dump_rollout(rollout)) == rollout`, references stay unresolved, and equal
rollouts have equal hashes. What is stored may have been edited by anybody, so it is validated like
a file.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from config.errors import PolicyError, Problem
from config.schema import Check, Rollout, SuccessRate
from config.validation import WRITTEN

_STORED: Final = "stored policy"

_FIRST_CHECKS: Final = (Check(name="success rate", success_rate=SuccessRate(at_least=0.99)),)
"""The default of `analysis.checks` when hashes began. It stays what a hash is silent about: what
began under it has it written in its stored policy, and is recognised by its hash."""


def dump_rollout(rollout: Rollout) -> dict[str, Any]:
    """The rollout as JSON-able data with every default, values spelled as people write them."""
    return rollout.model_dump(mode="json", by_alias=True)


def load_rollout(data: Mapping[str, Any]) -> Rollout:
    """Read what dump_rollout gave.

    Raises:
        PolicyError: it is damaged, or of a version that knows other keys.
    """
    try:
        text = json.dumps(data, allow_nan=False)
        return Rollout.model_validate_json(text, context=WRITTEN)
    except ValidationError as refused:
        problems = [
            Problem(0, 0, ".".join(map(str, error["loc"])), error["msg"])
            for error in refused.errors(include_url=False, include_input=False)
        ]
    except (TypeError, ValueError, RecursionError):
        problems = [Problem(0, 0, "", "this is not plain data")]
    raise PolicyError(problems, filename=_STORED)


def policy_hash(rollout: Rollout) -> str:
    """sha256 (hex) of what differs from the defaults: a new key does not change old hashes."""
    changed = rollout.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    analysis = changed.pop("analysis", {}) | {"checks": _hashed_checks(rollout.analysis.checks)}
    if set_ones := {key: value for key, value in analysis.items() if value is not None}:
        changed["analysis"] = set_ones
    text = json.dumps(changed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _hashed_checks(checks: tuple[Check, ...]) -> list[dict[str, Any]] | None:
    if checks == _FIRST_CHECKS:
        return None
    return [it.model_dump(mode="json", by_alias=True, exclude_defaults=True) for it in checks]
