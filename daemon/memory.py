"""What this process remembers of one target. Losing it costs time or evidence, never safety."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.core.model import Findings, Held, Record
from daemon.core.reasons import Reason
from daemon.kept import NOTHING_KEPT, Kept
from daemon.ports import Obj

Told = dict[str, tuple[str, float]]
"""Messages without their numbers -> the last one as it was told, and when (monotonic seconds), in
the order of telling."""


@dataclass(slots=True)
class Memory:
    """The mutable side of one target; everything durable stands in the record.

    Attributes:
        epoch: the epoch we last wrote to this target's record with, or None.
        holding: what the last decisions were held by, and since when.
        done: uids of old Deployments whose retirement we carried out.
        written: the route object as the API server returned it after our last write.
        saved: the last record, as the evidence ConfigMap has it or is to have it.
        unsaved_since: when that record was written to the route (monotonic), until it is saved.
        told: what was told lately by its reason, so that people are told once and not at every
            look.
        failures: reconciles in a row that raised.
        confirmed: (rollout id, decision) -> when it was proved, from before a restart.
        kept: the judge's evidence as it was last written down; `evidence` brings it up to date.
        keeping: writes it down, while somebody judges.
        evidence_saved: when evidence was last sent to its ConfigMap (monotonic).
        save_again: when to send it again, where that failed and might not the next time.
    """

    findings: Findings = field(default_factory=Findings)
    epoch: int | None = None
    holding: Held | None = None
    done: frozenset[str] = frozenset()
    written: Obj | None = None
    saved: Record | None = None
    unsaved_since: float | None = None
    told: dict[Reason, Told] = field(default_factory=dict)
    failures: int = 0
    confirmed: Mapping[tuple[str, int], datetime] = field(default_factory=dict)
    kept: Kept = NOTHING_KEPT
    keeping: Callable[[], Kept] | None = None
    evidence_saved: float | None = None
    save_again: float | None = None

    def evidence(self) -> Kept:
        """Return the evidence to save, as after the last look."""
        if self.keeping is not None:
            self.kept = self.keeping()
        return self.kept
