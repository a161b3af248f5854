"""What the control plane says about each object: Accepted, Warning or Rejected, and why.

Invariant: an error outweighs any number of warnings; the texts keep the order in which they were
found. Must not be put here: writing them anywhere (status.py), or finding them.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from daemon.sandbox.gateway.objects import Ref


class State(StrEnum):
    """As Gloo writes it since 1.13."""

    ACCEPTED = "Accepted"
    WARNING = "Warning"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One state and its reason; Accepted has none."""

    state: State = State.ACCEPTED
    reason: str = ""


ACCEPTED: Final = Verdict()


def verdict_of(errors: list[str], warnings: list[str]) -> Verdict:
    """Word it as Gloo does: a counted list of errors, then the warnings, one a line."""
    parts = []
    if errors:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        parts.append(f"{count} occurred:\n" + "".join(f"\t* {e}\n" for e in errors) + "\n")
    if warnings:
        parts.append("warning: \n  " + "\n  ".join(warnings))
    if not parts:
        return ACCEPTED
    return Verdict(State.REJECTED if errors else State.WARNING, "\n".join(parts))


@dataclass(slots=True)
class RouteReport:
    """What rendering routes into Envoy's form turned up.

    Gloo carries the warnings over to the object they came from. The errors stay on the Proxy: the
    object is Accepted all the same, and only its sub-status tells.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def error(self, kind: str, text: str, route: str) -> None:
        self.errors.append(f"Route Error: {kind}. Reason: {text}. Route Name: {route}")

    def warn(self, text: str) -> None:
        self.warnings.append(f"Route Warning: InvalidDestinationWarning. Reason: {text}")


class Reports:
    """Errors and warnings by object, while a translation goes on."""

    def __init__(self) -> None:
        self._errors: defaultdict[Ref, list[str]] = defaultdict(list)
        self._warnings: defaultdict[Ref, list[str]] = defaultdict(list)

    def error(self, ref: Ref, text: str) -> None:
        self._errors[ref].append(text)

    def warn(self, ref: Ref, text: str) -> None:
        self._warnings[ref].append(text)

    def rejected(self, ref: Ref) -> bool:
        return bool(self._errors.get(ref))

    def verdict(self, ref: Ref) -> Verdict:
        return verdict_of(self._errors.get(ref, []), self._warnings.get(ref, []))
