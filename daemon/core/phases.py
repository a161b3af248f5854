r"""One function a phase: what happens when no gate had anything to say.

    Idle -> Preparing -> Smoke -> Shifting -> Baking -> Finalising -> Retiring -> Idle
                            \________\__________\___________\___ RollingBack -> RolledBack

Each says where the route stands, and what must be true before it goes on. A phase that waits says
for what, and for how long at most.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from analysis.verdict import Ground, Verdict
from config.schema import Rollout
from daemon.core.adoption import replaced_in_place
from daemon.core.model import (
    Decision,
    Delete,
    Effect,
    Notice,
    Observation,
    Pause,
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
    blocked,
    hold,
    remember,
    roll_back,
    stay,
    take_pods_away,
    write,
)
from daemon.core.reasons import Reason
from daemon.core.record import in_record_precision
from daemon.core.situation import (
    canary_of,
    candidates,
    confirmed_at,
    current,
    doubled,
    guide_kind,
    judged,
    needed_pods,
    of_version,
    proof_of,
    seen_request_ids,
    serving,
    smoke_result,
)

FULL = 100
RETIRE_WINDOW = timedelta(minutes=15)
"""Later than this, a retired Deployment that runs was started again by somebody; it is let be."""

HELD_BY: dict[Ground, Reason] = {
    Ground.NO_DATA: Reason.NO_DATA,
    Ground.STALE: Reason.NO_DATA,
    Ground.PROVIDER_DOWN: Reason.PROVIDER_DOWN,
    Ground.TOO_FEW_REQUESTS: Reason.TOO_FEW_REQUESTS,
    Ground.SHARED_INCIDENT: Reason.UNDECIDED,
    Ground.UNDECIDED: Reason.UNDECIDED,
    Ground.DOUBTFUL: Reason.UNDECIDED,
}
"""Every ground on which nobody may go forward by the timetable, but Undecided alone."""


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
        return write(rollout, seen, Reason.ADOPTION_CONFIRMED, message)
    if effects := _retirement(rollout, seen):
        name = effects[0].deployment
        message = f"retiring {name}: {record.stable} has taken over"
        return Decision(Reason.RETIRED, message, SOON, effects=effects, verify=Verify.EVERYTHING)
    return wait_for_version(rollout, seen)


def rolled_back(rollout: Rollout, seen: Observation) -> Decision:
    """Terminal until a new revision or a retry."""
    return wait_for_version(rollout, seen)


def wait_for_version(rollout: Rollout, seen: Observation) -> Decision:
    """Start a rollout when a revision appears that is neither known nor rejected."""
    record = current(seen)
    if (followed := replaced_in_place(seen, record)) is not None:
        return followed
    new = candidates(seen)
    if not new:
        message = f"{record.stable} serves everybody"
        return stay(rollout, seen, Reason.WAITING_FOR_VERSION, message, IDLE_LOOK)
    if problem := doubled(seen.versions):
        return alarm(rollout, seen, Reason.TWO_DEPLOYMENTS, f"{problem}; remove one of them")
    message = f"{new[0].version} ({new[0].deployment}) appeared beside {record.stable}"
    return prepare(rollout, seen, new[0], Reason.NEW_VERSION, message)


def prepare(
    rollout: Rollout, seen: Observation, canary: Version, reason: Reason, message: str
) -> Decision:
    """Begin a rollout: a new id, and the route unchanged. Its policy is stored before."""
    record = current(seen)
    if seen.route is not None and seen.route.problems:
        return blocked(Reason.ROUTE_REFUSED, "; ".join(seen.route.problems))
    superseded = record.revision if record.phase is Phase.PREPARING else None
    stable = of_version(seen, record.stable)
    decision = write(
        rollout,
        seen,
        reason,
        message,
        record_only=True,
        handled=tuple(seen_request_ids(seen)),
        id=seen.new_id,
        policy=seen.policy_hash,
        phase=Phase.PREPARING,
        since=in_record_precision(seen.now),
        canary=canary.version,
        revision=canary.revision,
        stable_revision=stable[0].revision if len(stable) == 1 else record.stable_revision,
        step=0,
        weight=0,
        base=serving(seen, record.stable),
        known=remember(seen, record.known, superseded),
        confirmed=None,
        smoke=None,
        promote=None,
        retire=None,
        restored=(),
        deployments=(*(it.deployment for it in stable), canary.deployment),
    )
    return replace(decision, verify=Verify.EVERYTHING, save_policy_first=True)


def _retirement(rollout: Rollout, seen: Observation) -> tuple[Effect, ...]:
    """Return what is still to be done to the old Deployment; empty once it was seen done."""
    record = current(seen)
    if record.retire is None or record.retire.uid in seen.done:
        return ()
    if seen.now - record.since > RETIRE_WINDOW or rollout.after.then == "keep":
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
        return _canary_left(rollout, seen)
    needed = needed_pods(rollout, seen, rollout.steps[0].weight)
    if not canary.settled or canary.ready < needed:
        message = f"{canary.ready} of {needed} needed pods of {canary.version} are ready"
        return _wait_for_pods(rollout, seen, canary, message)
    if seen.route is not None and seen.route.problems:
        return hold(rollout, seen, Reason.ROUTE_REFUSED, "; ".join(seen.route.problems))
    ready = f"{canary.ready} pods of {canary.version} are ready"
    if rollout.smoke is None:
        return raise_to_step(
            rollout, seen, 0, Reason.CANARY_READY, message=f"{ready}; no smoke test"
        )
    message = f"{ready}; requests with the canary header go to it"
    return write(rollout, seen, Reason.CANARY_READY, message, phase=Phase.SMOKE, step=0)


def _canary_left(rollout: Rollout, seen: Observation) -> Decision:
    record = current(seen)
    if problem := doubled(seen.versions):
        return alarm(rollout, seen, Reason.TWO_DEPLOYMENTS, f"{problem}; remove one of them")
    return write(
        rollout,
        seen,
        Reason.CANARY_GONE,
        f"{record.canary} was deleted or scaled to zero before it had traffic",
        record_only=True,
        phase=Phase.IDLE,
        canary=None,
        revision=None,
        promote=None,
        paused=None,
    )


def _wait_for_pods(rollout: Rollout, seen: Observation, canary: Version, message: str) -> Decision:
    record = current(seen)
    deadline = rollout.ready_deadline or timedelta(seconds=canary.progress_deadline)
    left = record.since + deadline - seen.now
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


def smoking(rollout: Rollout, seen: Observation) -> Decision:
    """Wait until the header route is live and every smoke request passed through it."""
    record = current(seen)
    if confirmed_at(seen) is None:
        return stay(rollout, seen, Reason.CONFIRMING, _confirming(seen))
    result = smoke_result(seen)
    if result is None or result.decision != record.decision:
        return stay(rollout, seen, Reason.SMOKE_RUNNING, "the smoke test runs")
    passed = SmokePassed(record.decision, in_record_precision(result.at))
    step = len(rollout.steps) - 1 if record.promote else 0
    return raise_to_step(
        rollout, seen, step, Reason.SMOKE_PASSED, message=result.message, smoke=passed
    )


def shifting(rollout: Rollout, seen: Observation) -> Decision:
    """Hold each weight, then go on by evidence, by the timetable, or on request."""
    record = current(seen)
    proved = confirmed_at(seen)
    if proved is None:
        return stay(rollout, seen, Reason.CONFIRMING, _confirming(seen))
    if record.weight < rollout.steps[record.step].weight and record.promote is None:
        message = f"raised again to step {record.step + 1}"
        return raise_to_step(rollout, seen, record.step, Reason.RESUMED, message=message)
    if record.promote is not None:
        message = "promoted on request; holds skipped"
        last = len(rollout.steps) - 1
        return raise_to_step(rollout, seen, last, Reason.PROMOTED_BY_REQUEST, message=message)
    ends = proved + rollout.steps[record.step].hold
    if (waiting := _may_go_on(rollout, seen, ends)) is not None:
        return waiting
    reason, message = _grounds(seen)
    return raise_to_step(rollout, seen, record.step + 1, reason, message=message)


def baking(rollout: Rollout, seen: Observation) -> Decision:
    """Everybody is on the canary, stable's pods stand by: the way back is one write."""
    record = current(seen)
    proved = confirmed_at(seen)
    if proved is None:
        return stay(rollout, seen, Reason.CONFIRMING, _confirming(seen))
    if (waiting := _may_go_on(rollout, seen, proved + rollout.bake)) is not None:
        return waiting
    _, message = _grounds(seen)
    return write(
        rollout,
        seen,
        Reason.BAKED,
        f"{record.canary} alone, header route removed; {message}",
        phase=Phase.FINALISING,
        promote=None,
    )


def raise_to_step(
    rollout: Rollout,
    seen: Observation,
    step: int,
    reason: Reason,
    *,
    message: str,
    smoke: SmokePassed | None = None,
) -> Decision:
    """Give the canary a step's weight, if it has the pods for it."""
    record = current(seen)
    weight = rollout.steps[step].weight
    canary = canary_of(seen)
    needed = needed_pods(rollout, seen, weight)
    if canary is None or not canary.settled or canary.ready < needed:
        have = canary.ready if canary else 0
        text = f"{weight} % needs {needed} ready pods of {record.canary}, there are {have}"
        return hold(rollout, seen, Reason.WAITING_FOR_PODS, text)
    return write(
        rollout,
        seen,
        reason,
        f"{record.weight} % -> {weight} %: {message}",
        phase=Phase.BAKING if weight == FULL else Phase.SHIFTING,
        step=step,
        weight=weight,
        smoke=smoke or record.smoke,
    )


# ---------------------------------------------------------------- may a hold end?


def _confirming(seen: Observation) -> str:
    proof = proof_of(seen)
    return "waiting for the gateway to serve this split" + (
        f": {proof.detail}" if proof and proof.detail else ""
    )


def _grounds(seen: Observation) -> tuple[Reason, str]:
    finding = judged(seen)
    assert finding is not None
    if finding.judgement.verdict is Verdict.PASS:
        return Reason.ANALYSIS_PASSED, finding.judgement.message
    return Reason.UNDECIDED_BY_TIMETABLE, f"by timetable, undecided: {finding.judgement.message}"


def _may_go_on(rollout: Rollout, seen: Observation, ends: datetime) -> Decision | None:
    """Return why not yet: the hold, no data, too few requests, undecided; None means go on."""
    record = current(seen)
    finding = judged(seen)
    over = seen.now >= ends
    fresh = finding is not None and finding.decision == record.decision
    if finding is None or not fresh:
        if over:
            return _wait_for_data(rollout, seen, Reason.NO_DATA, "no judgement of this step yet")
        return _holding(rollout, seen, ends, "no judgement yet")
    judgement = finding.judgement
    if judgement.ground in (Ground.NO_DATA, Ground.STALE, Ground.PROVIDER_DOWN):
        return _wait_for_data(rollout, seen, HELD_BY[judgement.ground], judgement.message)
    if not over:
        return _holding(rollout, seen, ends, judgement.message)
    if judgement.verdict is Verdict.PASS:
        return None
    if judgement.ground is Ground.UNDECIDED:
        return _undecided(rollout, seen, judgement.message)
    return _wait_for_data(rollout, seen, HELD_BY[judgement.ground], judgement.message)


def _holding(rollout: Rollout, seen: Observation, ends: datetime, message: str) -> Decision:
    record = current(seen)
    left = ends - seen.now
    reason = Reason.BAKING if record.phase is Phase.BAKING else Reason.HOLDING
    text = f"{record.weight} % for {max(left.total_seconds(), 0):.0f} s more; {message}"
    return stay(rollout, seen, reason, text, min(left, rollout.analysis.interval))


def _undecided(rollout: Rollout, seen: Observation, message: str) -> Decision | None:
    match rollout.analysis.on_undecided:
        case "advance":
            return None
        case "hold":
            return hold(rollout, seen, Reason.UNDECIDED, message)
        case "rollback":
            text = f"undecided at the end of the hold: {message}"
            return roll_back(rollout, seen, Reason.UNDECIDED_ROLLED_BACK, text, reject=True)


def _wait_for_data(rollout: Rollout, seen: Observation, reason: Reason, message: str) -> Decision:
    """Hold; after onNoData.wait ask a person (or go back, if policy says so)."""
    record = current(seen)
    rule = rollout.analysis.on_no_data
    if record.held is None or seen.now - record.held.since < rule.wait:
        return hold(rollout, seen, reason, message)
    text = f"{message}, for {(seen.now - record.held.since).total_seconds():.0f} s"
    if rule.then == "rollback":
        return roll_back(rollout, seen, Reason.NO_DATA_ROLLED_BACK, text, reject=True)
    decision = write(
        rollout,
        seen,
        Reason.PAUSED,
        f"paused: {text}",
        record_only=True,
        keep_reason=True,
        paused=Pause(reason, "crossfade", in_record_precision(seen.now)),
    )
    return replace(decision, notices=(Notice(Reason.PAUSED, decision.message, warning=True),))


# ---------------------------------------------------------------- the end, and the way back


def finalising(rollout: Rollout, seen: Observation) -> Decision:
    """The route names the canary alone; wait until the gateway is seen to serve it."""
    record = current(seen)
    if confirmed_at(seen) is None:
        return stay(rollout, seen, Reason.CONFIRMING, _confirming(seen))
    message = f"{record.canary} serves everybody"
    return write(rollout, seen, Reason.PROMOTED, message, phase=Phase.RETIRING)


def retiring(rollout: Rollout, seen: Observation) -> Decision:
    """Let the old version drain and stand by; then Idle with the canary as stable."""
    record = current(seen)
    assert record.canary is not None
    keep = timedelta(0) if rollout.after.then == "keep" else rollout.after.keep_old
    drained = record.since + rollout.after.drain
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
    proof = proof_of(seen)
    begun = max(record.since, proof.first_probe_at) if proof else seen.now
    if seen.now - begun < rollout.confirm_timeout:
        return stay(rollout, seen, Reason.CONFIRMING, _confirming(seen))
    says = seen.route.gateway_says if seen.route else ""
    quote = f"; the gateway says: {says}" if says else ""
    detail = proof.detail if proof else ""
    message = f"the rollback is written and not live: {detail}{quote}"
    decision = alarm(rollout, seen, Reason.ROLLBACK_UNCONFIRMED, message)
    leads_back = seen.route is not None and seen.route.fallback_to in ("any", record.stable)
    if rollout.on_unconfirmed == "scaleCanary" and leads_back:
        effects = take_pods_away(seen)
        return replace(decision, effects=effects, verify=Verify.EVERYTHING)
    return decision


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
