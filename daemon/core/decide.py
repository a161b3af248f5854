"""The decision: gates in order, then the phase. Pure, total, synchronous.

Whatever is observed, exactly one Decision comes out, and equal observations give equal decisions.
Time enters as `seen.now`. All I/O, clocks and logging stand outside (observe, carry_out).
"""

from dataclasses import replace

from config.schema import Rollout
from daemon.core.gates import GATES
from daemon.core.model import Decision, Observation, Record
from daemon.core.obstacles import warnings
from daemon.core.phases import BY_PHASE
from daemon.core.situation import current


def decide(rollout: Rollout, seen: Observation) -> Decision:
    """Return the next record, the split that goes with it, and when to look again."""
    decision = _first_that_says(rollout, seen)
    if decision.blocked or not isinstance(seen.record, Record):
        return decision
    return replace(decision, notices=(*decision.notices, *warnings(seen)))


def _first_that_says(rollout: Rollout, seen: Observation) -> Decision:
    for gate in GATES:
        if (decision := gate(rollout, seen)) is not None:
            return decision
    return BY_PHASE[current(seen).phase](rollout, seen)
