"""How the canary gets more traffic: a step at a time, or as much as the evidence allows.

    ramp: steps    the next step's weight once its hold is over (core.holds says when)
    ramp: budget   after every look the weight at which a bad canary fails the budget of requests at
                   most before it is taken back (analysis.ramp), and by the timetable of the steps
                   at the least

Invariant: only here a weight rises, never to more than the ready pods are there for. A weight never
falls here: what fails goes back to 0 by a gate. No statistics here.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from math import inf

from analysis import wording
from analysis.ramp import LEAST_WEIGHT, Timetable, next_weight, timetable_of
from analysis.verdict import Judgement
from config.schema import Rollout
from daemon.core.holds import LOOKS_BEFORE_STALE, READING_TIME, fresh, grounds, may_go_on
from daemon.core.judging import newly_chosen, nothing_to_judge_by
from daemon.core.model import Decision, Observation, Phase, SmokePassed
from daemon.core.moves import hold, write
from daemon.core.reasons import Reason
from daemon.core.situation import current, lacking, running_from, source_of, step_at
from daemon.core.weights import FULL, exact

LEAST_RAISE = 1.2
"""Times the weight in force that a raise by budget must be. Each costs a write, a proof and the
requests until the next reading; for less the evidence grows as fast under the old weight."""
NO_TIMETABLE = Timetable((), inf)
"""Of a policy that does not let an undecided canary go on: evidence alone raises."""


def raise_to(
    rollout: Rollout,
    seen: Observation,
    weight: float,
    reason: Reason,
    *,
    message: str,
    smoke: SmokePassed | None = None,
) -> Decision:
    """Give the canary this weight, if it has the pods for it."""
    record = current(seen)
    if lack := lacking(rollout, seen, weight):
        return hold(rollout, seen, Reason.WAITING_FOR_PODS, lack)
    if (waiting := nothing_to_judge_by(rollout, seen)) is not None:
        return waiting
    by_steps = rollout.ramp == "steps"
    moved = f"{record.weight} % -> {weight} %" if by_steps else f"raised to {weight} %"
    return write(
        rollout,
        seen,
        reason,
        f"{moved}: {message}{newly_chosen(rollout, seen)}",
        phase=Phase.BAKING if weight == FULL else Phase.SHIFTING,
        step=max(step_at(rollout, weight), 0),
        weight=weight,
        smoke=smoke or record.smoke,
        source=source_of(rollout, record, seen) or None,
    )


def least_first(rollout: Rollout) -> float:
    """Return the first weight that a canary gets at the least: what its pods must be there for."""
    return LEAST_WEIGHT if rollout.ramp == "budget" else rollout.steps[0].weight


def first_weight(rollout: Rollout, seen: Observation) -> float:
    """Return the weight of a canary that has none: the first step's, or what the budget allows.

    That depends on how many requests there are; where nobody has counted them, it is the least.
    """
    least = least_first(rollout)
    finding = fresh(rollout, seen)
    if rollout.ramp == "steps" or finding is None:
        return least
    return exact(max(least, finding.judgement.allowed))


# ---------------------------------------------------------------- by budget


def climb(rollout: Rollout, seen: Observation, proved: datetime) -> Decision:
    """Raise a proved weight as far as a judgement of it allows; else say what it waits for."""
    record, finding = current(seen), fresh(rollout, seen)
    live = running_from(seen, proved)
    if finding is None or finding.at < live:
        patience = LOOKS_BEFORE_STALE * rollout.analysis.interval + READING_TIME
        return _wait(rollout, seen, live + patience)
    begun = running_from(seen, record.ramp_since or proved)
    timetable = timetable_of([(it.weight, it.hold.total_seconds()) for it in rollout.steps])
    ends = begun + timedelta(seconds=timetable.ends)
    if rollout.analysis.on_undecided != "advance":
        timetable = NO_TIMETABLE
    elapsed, judgement = (seen.now - begun).total_seconds(), finding.judgement
    wanted = next_weight(judgement, record.weight, elapsed=elapsed, timetable=timetable)
    # What follows whatever the budget says: the timetable's weight, or the end.
    alone = replace(judgement, allowed=0.0)
    due = next_weight(alone, record.weight, elapsed=elapsed, timetable=timetable)
    if due <= record.weight and wanted < LEAST_RAISE * record.weight:
        return _wait(rollout, seen, ends)
    if wanted > due:
        message = _allowance(judgement)
        return raise_to(rollout, seen, exact(wanted), Reason.RAISED_BY_BUDGET, message=message)
    reason, message = grounds(rollout, seen)
    return raise_to(rollout, seen, exact(due), reason, message=message)


def _wait(rollout: Rollout, seen: Observation, ends: datetime) -> Decision:
    """Hold the weight; from the end of the timetable on, say why and ask a person at last."""
    waiting = may_go_on(rollout, seen, ends)
    assert waiting is not None, "what may go on then has been raised"
    return waiting


def _allowance(judgement: Judgement) -> str:
    if judgement.excess >= 1:
        return "so few requests are at stake that nothing has to be excluded before"
    return f"an excess above {wording.percent(judgement.excess)} is excluded"
