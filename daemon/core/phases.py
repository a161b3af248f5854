r"""One function a phase: what happens when no gate had anything to say.

    Idle -> Preparing -> Smoke -> Shifting -> Baking -> Finalising -> Retiring -> Idle
                            \________\__________\___________\___ RollingBack -> RolledBack

Each says where the route stands, and what must be true before it goes on. A phase that waits says
for what, and for how long at most.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from config.schema import Rollout
from daemon.core.holds import grounds, may_go_on
from daemon.core.model import (
    Decision,
    Delete,
    Effect,
    Observation,
    Phase,
    Retire,
    ScaleToZero,
    SmokePassed,
    Verify,
    Version,
)
from daemon.core.moves import (
    IDLE_LOOK,
    SOON,
    alarm,
    hold,
    remember,
    stay,
    take_pods_away,
    write,
)
from daemon.core.raises import climb, first_weight, least_first, raise_to
from daemon.core.reasons import Reason
from daemon.core.record import in_record_precision
from daemon.core.situation import (
    ANY_POD,
    canary_of,
    confirmed_at,
    current,
    guide_kind,
    hold_at,
    lacking,
    needed_pods,
    of_version,
    proof_of,
    quoted,
    running_from,
    since,
    smoke_fault,
    smoke_result,
    step_above,
    unproved_for,
)
from daemon.core.skipped import in_words
from daemon.core.starting import wait_for_version
from daemon.core.weights import FULL

RETIRE_WINDOW = timedelta(minutes=15)
"""Later than this, a retired Deployment that runs was started again by somebody; it is let be."""
UNKNOWN_DEADLINE = timedelta(minutes=10)
"""What Kubernetes fills in for progressDeadlineSeconds, where the Deployment cannot be told."""


# ---------------------------------------------------------------- waiting for a version


def idle(rollout: Rollout, seen: Observation) -> Decision:
    """Everything is pinned to stable: finish the last release, then wait for a new version."""
    record = current(seen)
    if guide_kind(rollout, record) is not None:
        if confirmed_at(seen) is None:
            return stay(
                rollout, seen, Reason.CONFIRMING, "waiting for the gateway to serve the pin"
            )
        message = f"the gateway serves {record.stable} alone"
        return _without_witness(write(rollout, seen, Reason.ADOPTION_CONFIRMED, message))
    if effects := _retirement(rollout, seen):
        name = effects[0].deployment
        message = f"retiring {name}: {record.stable} has taken over"
        return Decision(Reason.RETIRED, message, SOON, effects=effects, verify=Verify.EVERYTHING)
    return wait_for_version(rollout, seen)


def rolled_back(rollout: Rollout, seen: Observation) -> Decision:
    """Terminal until a new revision or a retry."""
    return wait_for_version(rollout, seen)


def _retirement(rollout: Rollout, seen: Observation) -> tuple[Effect, ...]:
    """Return what is still to be done to the old Deployment; empty once it was seen done."""
    record = current(seen)
    if record.retire is None or record.retire.uid in seen.done:
        return ()
    if seen.now - since(seen) > RETIRE_WINDOW or rollout.after.then == "keep":
        return ()
    for it in seen.versions:
        named = (it.deployment, it.uid) == (record.retire.deployment, record.retire.uid)
        if named and it.version != record.stable:
            if rollout.after.then == "delete":
                return (Delete(it.deployment, it.uid, it.resource_version),)
            if it.replicas:
                return (ScaleToZero(it.deployment, it.uid, it.resource_version),)
    return ()


# ---------------------------------------------------------------- going forward


def preparing(rollout: Rollout, seen: Observation) -> Decision:
    """Wait for the canary's pods; the route is untouched."""
    canary = canary_of(seen)
    if canary is None:
        message = f"{current(seen).canary} was deleted or scaled to zero before it had traffic"
        return leave(rollout, seen, Reason.CANARY_GONE, message)
    first = least_first(rollout)
    if lack := lacking(rollout, seen, first):
        needed = needed_pods(rollout, seen, first)
        message = f"{canary.ready} of {needed} needed pods of {canary.version} are ready"
        unready = canary.ready < needed
        return _wait_for_pods(rollout, seen, canary, message if unready else lack)
    ready = f"{canary.ready} pods of {canary.version} are ready"
    if rollout.smoke is None:
        message = f"{ready}; no smoke test"
        return raise_to(rollout, seen, first, Reason.CANARY_READY, message=message)
    message = f"{ready}; requests with the canary header go to it"
    return write(rollout, seen, Reason.CANARY_READY, message, phase=Phase.SMOKE, step=0)


def leave(rollout: Rollout, seen: Observation, reason: Reason, message: str) -> Decision:
    """Give a rollout up that has not begun for anybody: nothing is rejected, nothing to undo."""
    return write(
        rollout,
        seen,
        reason,
        message,
        record_only=True,
        phase=Phase.IDLE,
        canary=None,
        revision=None,
        promote=None,
        paused=None,
    )


def _wait_for_pods(rollout: Rollout, seen: Observation, canary: Version, message: str) -> Decision:
    record = current(seen)
    deadline = ready_deadline(rollout, canary)
    left = since(seen) + deadline - seen.now
    if left > timedelta(0):
        return stay(rollout, seen, Reason.WAITING_FOR_PODS, message, min(left, IDLE_LOOK))
    decision = write(
        rollout,
        seen,
        Reason.CANARY_NOT_READY,
        f"{message} after {deadline.total_seconds():.0f} s",
        record_only=True,
        phase=Phase.ROLLED_BACK,
        rejected=remember(seen, record.rejected, record.revision),
        promote=None,
        paused=None,
    )
    return replace(decision, notices=(replace(decision.notices[0], warning=True),))


def ready_deadline(rollout: Rollout, canary: Version | None) -> timedelta:
    """Return how long the canary may take to be ready: the policy's, else the Deployment's."""
    if rollout.ready_deadline is not None:
        return rollout.ready_deadline
    return timedelta(seconds=canary.progress_deadline) if canary else UNKNOWN_DEADLINE


def smoking(rollout: Rollout, seen: Observation) -> Decision:
    """Wait until the header route is live and every smoke request passed through it."""
    record = current(seen)
    if confirmed_at(seen) is None:
        return stay(rollout, seen, Reason.CONFIRMING, _confirming(seen))
    weight = FULL if record.promote else first_weight(rollout, seen)
    if rollout.smoke is None:
        # Resumed under a policy without a smoke test.
        message = "the policy has no smoke test"
        return raise_to(rollout, seen, weight, Reason.SMOKE_SKIPPED, message=message)
    result = smoke_result(seen)
    if result is None or result.decision != record.decision:
        if why := smoke_fault(seen):
            return hold(rollout, seen, Reason.SMOKE_NOT_RUN, f"the smoke test cannot run: {why}")
        return stay(rollout, seen, Reason.SMOKE_RUNNING, "the smoke test runs")
    passed = SmokePassed(record.decision, in_record_precision(result.at))
    return raise_to(
        rollout, seen, weight, Reason.SMOKE_PASSED, message=result.message, smoke=passed
    )


def shifting(rollout: Rollout, seen: Observation) -> Decision:
    """Hold each weight, then go on by evidence, by the timetable, or on request."""
    record = current(seen)
    proved = confirmed_at(seen)
    if proved is None:
        return stay(rollout, seen, Reason.CONFIRMING, _confirming(seen))
    if record.promote is not None:
        skips = in_words(record.promote)
        message = "promoted on request; holds skipped" + (f"; {skips}" if skips else "")
        return raise_to(rollout, seen, FULL, Reason.PROMOTED_BY_REQUEST, message=message)
    if record.weight == 0:
        # Taken back to nothing and resumed: nobody is there who could be judged.
        message, first = "raised again after it was taken back", first_weight(rollout, seen)
        return raise_to(rollout, seen, first, Reason.RESUMED, message=message)
    if rollout.ramp == "budget":
        return climb(rollout, seen, proved)
    ends = running_from(seen, proved) + hold_at(rollout, record.weight)
    if (waiting := may_go_on(rollout, seen, ends)) is not None:
        return waiting
    reason, message = grounds(rollout, seen)
    upwards = rollout.steps[step_above(rollout, record.weight)].weight
    return raise_to(rollout, seen, upwards, reason, message=message)


def baking(rollout: Rollout, seen: Observation) -> Decision:
    """Everybody is on the canary, stable's pods stand by: the way back is one write."""
    record = current(seen)
    proved = confirmed_at(seen)
    if proved is None:
        return stay(rollout, seen, Reason.CONFIRMING, _confirming(seen))
    if (waiting := may_go_on(rollout, seen, running_from(seen, proved) + rollout.bake)) is not None:
        return waiting
    _, message = grounds(rollout, seen)
    return write(
        rollout,
        seen,
        Reason.BAKED,
        f"{record.canary} alone, header route removed; {message}",
        phase=Phase.FINALISING,
        promote=None,
    )


# ---------------------------------------------------------------- the end, and the way back


def finalising(rollout: Rollout, seen: Observation) -> Decision:
    """The route names the canary alone; wait until the gateway is seen to serve it."""
    record = current(seen)
    if confirmed_at(seen) is None:
        return stay(rollout, seen, Reason.CONFIRMING, _confirming(seen))
    message = f"{record.canary} serves everybody"
    return _without_witness(write(rollout, seen, Reason.PROMOTED, message, phase=Phase.RETIRING))


def retiring(rollout: Rollout, seen: Observation) -> Decision:
    """Let the old version drain and stand by; then Idle with the canary as stable."""
    record = current(seen)
    assert record.canary is not None
    keep = timedelta(0) if rollout.after.then == "keep" else rollout.after.keep_old
    drained = since(seen) + rollout.after.drain
    ends = drained + keep
    if seen.now < drained:
        left = drained - seen.now
        return stay(rollout, seen, Reason.DRAINING, f"{record.stable} drains", left)
    if seen.now < ends:
        left = ends - seen.now
        message = f"{record.stable} is kept for {left.total_seconds():.0f} s more"
        return stay(rollout, seen, Reason.KEEPING_OLD, message, left)
    return _promoted(rollout, seen)


def _promoted(rollout: Rollout, seen: Observation) -> Decision:
    record = current(seen)
    old = [it for it in of_version(seen, record.stable) if it.replicas]
    retire = None
    if rollout.after.then != "keep" and len(old) == 1:
        retire = Retire(old[0].deployment, old[0].uid)
    known = remember(seen, record.known, record.stable_revision)
    for it in old:
        known = remember(seen, known, it.revision)
    return write(
        rollout,
        seen,
        Reason.RETIRED,
        f"{record.canary} is stable; {record.stable} retires",
        record_only=True,
        keep_reason=True,
        phase=Phase.IDLE,
        stable=record.canary,
        stable_revision=record.revision,
        canary=None,
        revision=None,
        step=0,
        weight=0,
        known=known,
        promote=None,
        retire=retire,
    )


def rolling_back(rollout: Rollout, seen: Observation) -> Decision:
    """Everything is pinned to stable; it counts once the gateway is seen to serve it."""
    record = current(seen)
    if confirmed_at(seen) is not None:
        message = f"{record.stable} serves everybody again; {record.message}"
        # The record keeps the cause: that a rollout is rolled back, its phase says already.
        return write(
            rollout, seen, Reason.ROLLED_BACK, message, keep_reason=True, phase=Phase.ROLLED_BACK
        )
    waited = unproved_for(seen)
    if waited is None or waited < rollout.confirm_timeout:
        return stay(rollout, seen, Reason.CONFIRMING, _confirming(seen))
    message = f"the rollback is written and not live: {quoted(seen)}"
    decision = alarm(rollout, seen, Reason.ROLLBACK_UNCONFIRMED, message)
    leads_back = seen.route is not None and seen.route.fallback_to in (ANY_POD, record.stable)
    if rollout.on_unconfirmed == "scaleCanary" and leads_back:
        effects = take_pods_away(seen)
        return replace(decision, effects=effects, verify=Verify.PREFLIGHT)
    return decision


def _confirming(seen: Observation) -> str:
    proof = proof_of(seen)
    return "waiting for the gateway to serve this split" + (
        f": {proof.detail}" if proof and proof.detail else ""
    )


def _without_witness(decision: Decision) -> Decision:
    """Only our witness goes with this write: nobody is sent elsewhere, so nothing is read live."""
    return replace(decision, verify=Verify.NOTHING)


BY_PHASE: dict[Phase, Callable[[Rollout, Observation], Decision]] = {
    Phase.IDLE: idle,
    Phase.PREPARING: preparing,
    Phase.SMOKE: smoking,
    Phase.SHIFTING: shifting,
    Phase.BAKING: baking,
    Phase.FINALISING: finalising,
    Phase.RETIRING: retiring,
    Phase.ROLLING_BACK: rolling_back,
    Phase.ROLLED_BACK: rolled_back,
}
