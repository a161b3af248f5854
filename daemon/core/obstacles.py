"""What stops a raise and never a way back: the gates from "written is not live" downwards.

    unconfirmed, drift         the route is not what it should be
    requests (in `people`)
    policy lost, paused        a person has to say something
    two Deployments, no way back, unreadable   the world is not what a raise needs

A hold here changes neither route nor phase, except for the one take-back of a raise that no proxy
shows. Beside them stand the warnings that go with any decision.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from config.schema import Rollout
from daemon.core import people
from daemon.core.model import Confirmed, Decision, Fresh, Notice, Observation, Pause, Phase, Unclear
from daemon.core.moves import OURS, alarm, hold, stay, write
from daemon.core.reasons import Reason
from daemon.core.record import in_record_precision
from daemon.core.situation import (
    ACTIVE,
    current,
    doubled,
    drift,
    guide_kind,
    lacking,
    quoted,
    serving,
    stable_can_serve,
    unproved_in_reach,
)
from daemon.core.skipped import overridden
from daemon.core.weights import rest_of, share_of

RESTORES_AN_HOUR: Final = 3
"""Past this, somebody else writes the route on purpose; a person has to settle it."""
UNCONFIRMED: Final = {
    Phase.IDLE: Reason.ADOPTION_UNCONFIRMED,
    Phase.SMOKE: Reason.SMOKE_UNCONFIRMED,
    Phase.SHIFTING: Reason.RAISE_UNCONFIRMED,
    Phase.BAKING: Reason.RAISE_UNCONFIRMED,
    Phase.FINALISING: Reason.FINALISING_UNCONFIRMED,
}
TO_100: Final = (Phase.PREPARING, Phase.SMOKE, Phase.SHIFTING, Phase.BAKING)


# ---------------------------------------------------------------- the route


def unconfirmed_split_is_not_built_upon(rollout: Rollout, seen: Observation) -> Decision | None:
    """Written is not live. A raise is taken back once; everything else is held and alarmed.

    Time in which the API server was out of reach counts for nothing here.
    """
    record, waited = current(seen), unproved_in_reach(seen)
    if guide_kind(rollout, record) is None or waited is None or waited < rollout.confirm_timeout:
        return None
    reason = UNCONFIRMED[record.phase]
    message = f"decision {record.decision} is not live: {quoted(seen)}"
    proved = record.confirmed or Confirmed(record.decision, 0)
    raised = reason is Reason.RAISE_UNCONFIRMED and proved.weight < record.weight
    if not raised or not stable_can_serve(seen):
        return alarm(rollout, seen, reason, message)
    if drift(rollout, seen) is not None:
        return alarm(rollout, seen, Reason.ROUTE_EDITED, message)
    return _take_back(rollout, seen, proved.weight, message)


def _take_back(rollout: Rollout, seen: Observation, weight: float, message: str) -> Decision:
    """Return once to the last proved weight, paused until a person resumes."""
    decision = write(
        rollout,
        seen,
        Reason.RAISE_UNCONFIRMED,
        f"{message}; taken back to {weight} % and paused",
        phase=Phase.SHIFTING,
        weight=weight,
        paused=Pause(Reason.RAISE_UNCONFIRMED, OURS, in_record_precision(seen.now)),
    )
    return replace(decision, notices=tuple(replace(it, warning=True) for it in decision.notices))


def edited_route_stops_raises(rollout: Rollout, seen: Observation) -> Decision | None:
    """A foreign edit is seen, told, and answered by policy; never silently overwritten."""
    record = current(seen)
    difference = drift(rollout, seen)
    if difference is None:
        return None
    if (asked := people.resume_request(seen)) is not None:
        return people.resume_after_drift(rollout, seen, asked, difference)
    if _is_drift_fight(seen):
        return hold(rollout, seen, Reason.DRIFT_FIGHT, difference)
    if rollout.on_drift == "restore" and _may_be_written_over(seen):
        if record.weight and (lack := lacking(rollout, seen, record.weight)):
            return alarm(rollout, seen, Reason.ROUTE_EDITED, f"{difference}; {lack}")
        return _restore(rollout, seen, difference)
    return alarm(rollout, seen, Reason.ROUTE_EDITED, f"{difference}; resume writes ours again")


def _may_be_written_over(seen: Observation) -> bool:
    """Only an owned route that can be told is ever written over."""
    assert seen.route is not None
    owned = seen.route.owned
    return not isinstance(owned, Unclear) or owned.identifiable


def _restore(rollout: Rollout, seen: Observation, difference: str) -> Decision:
    record = current(seen)
    recent = tuple(it for it in record.restored if seen.now - it < timedelta(hours=1))
    if len(recent) >= RESTORES_AN_HOUR:
        return write(
            rollout,
            seen,
            Reason.DRIFT_FIGHT,
            f"{difference}; restored {len(recent)} times within an hour, paused",
            record_only=True,
            paused=Pause(Reason.DRIFT_FIGHT, OURS, in_record_precision(seen.now)),
        )
    return write(
        rollout,
        seen,
        Reason.ROUTE_EDITED,
        f"{difference}; restored",
        keep_reason=True,
        restored=(*recent, in_record_precision(seen.now)),
    )


def _is_drift_fight(seen: Observation) -> bool:
    paused = current(seen).paused
    return paused is not None and (paused.reason, paused.by) == (Reason.DRIFT_FIGHT, OURS)


# ---------------------------------------------------------------- a person has to say something


def lost_policy_asks_a_person(rollout: Rollout, seen: Observation) -> Decision | None:
    """A rollout whose policy is lost goes on under the file's only when somebody resumes it."""
    record = current(seen)
    if not seen.policy_lost or record.paused is not None or record.phase not in ACTIVE:
        return None
    decision = write(
        rollout,
        seen,
        Reason.POLICY_LOST,
        "the policy this rollout began with is lost, and the file's is another: "
        "resume goes on under the file's, abort goes back",
        record_only=True,
        paused=Pause(Reason.POLICY_LOST, OURS, in_record_precision(seen.now)),
    )
    return replace(decision, notices=tuple(replace(it, warning=True) for it in decision.notices))


def stable_must_be_able_to_take_it_back(rollout: Rollout, seen: Observation) -> Decision | None:
    """Nothing goes on while there is no way back, unless a person promotes on purpose."""
    record = current(seen)
    if record.phase not in TO_100 or record.promote is not None or stable_can_serve(seen):
        return None
    remedy = "scale it up" if record.phase is Phase.BAKING else "scale it up, or promote"
    message = f"{record.stable} has no ready pod, so there is no way back: {remedy}"
    return alarm(rollout, seen, Reason.NO_WAY_BACK, message)


def paused_goes_nowhere(rollout: Rollout, seen: Observation) -> Decision | None:
    """No forward change of phase or weight, and no retiring; clocks and evidence run on."""
    record = current(seen)
    if record.paused is None:
        return None
    if _is_drift_fight(seen):
        # The gate above would have stopped us while the route differs.
        message = "somebody put the recorded route back: the pause is over"
        return write(rollout, seen, Reason.RESUMED, message, record_only=True, paused=None)
    by = f" by {record.paused.by}" if record.paused.by else ""
    return stay(rollout, seen, Reason.PAUSED, f"paused{by}: {record.paused.reason}")


# ---------------------------------------------------------------- what a raise needs


def one_deployment_has_each_version(rollout: Rollout, seen: Observation) -> Decision | None:
    """Two Deployments of one version cannot be told apart by the route or the metrics."""
    record = current(seen)
    ours = (record.stable, record.canary)
    problem = doubled(it for it in seen.versions if it.version in ours)
    if problem is None or record.phase not in ACTIVE:
        return None
    return alarm(rollout, seen, Reason.TWO_DEPLOYMENTS, f"{problem}; remove one of them")


def unreadable_deployments_stop_everything(rollout: Rollout, seen: Observation) -> Decision | None:
    """What was asked to be read live and could not be read is not decided upon."""
    if seen.fresh is not Fresh.UNREADABLE:
        return None
    message = "the Deployments cannot be read live, so nothing goes forward"
    return hold(rollout, seen, Reason.DEPLOYMENTS_UNREADABLE, message)


# ---------------------------------------------------------------- told with any decision


def warnings(seen: Observation) -> tuple[Notice, ...]:
    """Tell what is not right and stops nothing."""
    record = current(seen)
    told = []
    if record.phase in TO_100:
        left, ready = rest_of(record.weight), serving(seen, record.stable)
        share = share_of(record.base, left)
        if 0 < ready < share:
            told.append(
                Notice(
                    Reason.STABLE_SHRUNK,
                    f"{record.stable} has {ready} ready pods for {left} % of the "
                    f"traffic; at the start it had {record.base}, its share is {share}",
                    warning=True,
                )
            )
    exposed = record.phase in (Phase.SHIFTING, Phase.BAKING)
    if exposed and (message := overridden(seen)):
        told.append(Notice(Reason.CHECK_OVERRIDDEN, message, warning=True))
    if record.phase in (Phase.FINALISING, Phase.RETIRING) and not stable_can_serve(seen):
        message = f"{record.stable} has no ready pod: there is no way back any more"
        told.append(Notice(Reason.NO_WAY_BACK, message, warning=True))
    return tuple(told)
